"""``python -m integral_oda`` is ``integral-oda``."""

from integral_oda.cli import main

if __name__ == "__main__":  # processes that are spawned import it again
    main()
