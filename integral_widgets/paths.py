"""Where the notebooks lie, in a checkout and in an installation without one."""

from __future__ import annotations

from pathlib import Path

from integral_oda.errors import UnavailableError

__all__ = ["notebooks_root"]


def notebooks_root() -> Path:
    """Folder of the notebooks, which holds ``apps/`` and ``benchmarks/``.

    Raises
    ------
    UnavailableError
        If the installation has lost its notebooks.
    """
    package = Path(__file__).resolve().parent
    installed, checkout = package / "notebooks", package.parent / "notebooks"
    for folder in (installed, checkout):
        if (folder / "apps").is_dir():
            return folder
    raise UnavailableError(f"no notebooks in {installed} nor in {checkout}: install integral-oda again")
