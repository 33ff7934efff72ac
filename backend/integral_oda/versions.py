"""Which software makes the products."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import version

from integral_oda import __version__

__all__ = ["software_versions"]


@lru_cache(maxsize=1)
def software_versions() -> dict[str, str]:
    """Names and versions of this package, of Python and of the libraries that results depend on."""
    found = {name: version(name) for name in ("numpy", "scipy", "astropy")}
    return {"integral_oda": __version__, "python": sys.version.split()[0], **found}
