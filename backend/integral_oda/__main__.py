"""``python -m integral_oda`` is ``integral-oda``."""

from integral_oda.cli import main

main()
