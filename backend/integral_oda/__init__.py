"""INTEGRAL/ISGRI sky images, spectra and light curves, from a query to a product."""

import os
import sys

__version__ = "0.1.0"

# One thread for the linear algebra: its sums, and so the products' last bits, depend on the number of
# threads, and processes that share cores lose more by waiting for each other than the threads gain.
_VARIABLES = [f"{library}_NUM_THREADS" for library in ("OPENBLAS", "OMP", "MKL")]
if "numpy" in sys.modules and not any(variable in os.environ for variable in _VARIABLES):
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")  # a library that is loaded reads no variables any more
for _variable in _VARIABLES:
    os.environ.setdefault(_variable, "1")
