"""ISDC's general reference catalogue, in any version."""

from __future__ import annotations

import math
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from integral_oda.archive.fits_table import Hdu, find_table, read_hdus
from integral_oda.catalog.reference import CatalogSource

__all__ = ["ISDC_CATALOGUE", "find_isdc_catalogue", "read_isdc_catalogue"]

ISDC_CATALOGUE = "GNRL-REFR-CAT"
_FILE = re.compile(r"gnrl_refr_cat_(\d{4})\.fits(\.gz)?")
_CRAB = (230.92, 59.46)
"""ISGR_FLUX_1 and ISGR_FLUX_2 of the Crab in version 0043, counts/s."""


def find_isdc_catalogue(archive: Path | None = None) -> Path | None:
    """The user's copy: ``ISDC_REF_CAT``, as OSA has it, else the highest version in ``cat/hec`` of the archive."""
    given = os.environ.get("ISDC_REF_CAT")
    if given:
        return Path(re.sub(r"\[\w+\]$", "", given))
    if archive is None:
        return None
    versions = {match[1]: path for path in archive.glob("cat/hec/*") if (match := _FILE.fullmatch(path.name))}
    return versions[max(versions)] if versions else None


@lru_cache(maxsize=2)
def read_isdc_catalogue(path: Path) -> tuple[CatalogSource, ...]:
    """Read a version of the reference catalogue, or a subset of it.

    Columns that a version does not have are unknown; names of the column COMMENTS are aliases. Fluxes are those of
    ISGRI (20-40 and 40-100 keV in OSA's selection), in mCrab.

    Raises
    ------
    DataError
        If the file is missing, damaged or no such catalogue.
    """
    table = find_table(read_hdus(path), ISDC_CATALOGUE)
    names, comments = _texts(table, "NAME"), _texts(table, "COMMENTS")
    columns = [_numbers(table, name, len(names)) for name in ("RA_OBJ", "DEC_OBJ", "ISGR_FLUX_1", "ISGR_FLUX_2")]
    comments = comments or [""] * len(names)
    return tuple(
        CatalogSource(name, ra % 360, dec, _mcrab(one, 0), _mcrab(two, 1), aliases=_aliases(comment))
        for name, comment, ra, dec, one, two in zip(names, comments, *columns, strict=True)
        if name and math.isfinite(ra) and math.isfinite(dec)
    )


def _texts(table: Hdu, name: str) -> list[str]:
    if name not in table.columns:
        return []
    return [str(value.decode("latin-1")).strip() for value in table.column(name).tolist()]


def _numbers(table: Hdu, name: str, count: int) -> list[float]:
    values: list[Any] = table.column(name).tolist() if name in table.columns else [math.nan] * count
    return [float(value) for value in values]


def _mcrab(flux: float, band: int) -> float:
    return 1000 * flux / _CRAB[band] if flux > 0 else math.nan


def _aliases(comment: str) -> tuple[str, ...]:
    parts = (re.sub(r"^V\* ", "", part.strip()) for part in comment.split(","))
    return tuple(part for part in parts if 2 < len(part) <= 32)
