"""INTEGRAL/ISGRI sky images, spectra and light curves, from a query to a product."""

import os

__version__ = "0.1.0"

# One thread for the linear algebra: its sums, and so the products' last bits, depend on the number of
# threads, and processes that share cores lose more by waiting for each other than the threads gain.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
