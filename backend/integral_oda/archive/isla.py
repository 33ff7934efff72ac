"""Pointings from ESA's archive (ISLA), asked with astroquery over TAP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from integral_oda.archive.pointing_tables import ALIASES, index_of_columns
from integral_oda.archive.pointings import PointingIndex
from integral_oda.errors import UnavailableError
from integral_oda.folders import is_offline

__all__ = ["isla_pointings", "pointing_table"]

_COLUMNS_OF_ISLA = "select table_name, column_name from tap_schema.columns where table_name like 'ila.%'"
_WANTED = ("name", "version", "kind", "ra_x", "dec_x", "ra_z", "dec_z", "tstart", "tstop", "good_s")
_NEEDED = ("ra_x", "dec_x", "tstart", "tstop")
_NAMES = ("SWID", "SCW", "SCW_ID", "SCWID")


def isla_pointings(position: tuple[float, float] | None = None, radius_deg: float = 15.0) -> PointingIndex:
    """Get the science windows that ISLA lists.

    Which of its tables lists them, ISLA says itself (TAP_SCHEMA): the first whose columns hold a science window,
    its position and its time.

    Parameters
    ----------
    position : tuple of float, optional
        RA and Dec, degrees, around which; the whole sky unless given.
    radius_deg : float
        Of the field around the position.

    Raises
    ------
    UnavailableError
        If astroquery is not installed, ISLA cannot be reached, or it has no such table.
    """
    if is_offline():
        raise UnavailableError("ISLA: the network is not to be used (INTEGRAL_ODA_OFFLINE)")
    rows = _query(_COLUMNS_OF_ISLA)
    tables: dict[str, list[str]] = {}
    for table, column in zip(rows["table_name"].tolist(), rows["column_name"].tolist(), strict=True):
        tables.setdefault(str(table), []).append(str(column))
    name, columns = pointing_table(tables)
    adql = f"select {', '.join(columns.values())} from {name}"  # noqa: S608 - names that ISLA itself has given
    if position is not None:
        ra, dec = columns["ra_x"], columns["dec_x"]
        circle = f"CIRCLE('ICRS',{position[0]:.6f},{position[1]:.6f},{radius_deg:.6f})"
        adql += f" where 1=CONTAINS(POINT('ICRS',{ra},{dec}),{circle})"
    found = _query(adql)
    return index_of_columns(
        [column.upper() for column in columns.values()],
        lambda title: np.asarray(found[next(c for c in columns.values() if c.upper() == title)]),
    )


def pointing_table(tables: Mapping[str, Iterable[str]]) -> tuple[str, dict[str, str]]:
    """Find the table of science windows among tables with their columns; gives its name and columns by field.

    Raises
    ------
    UnavailableError
        If none has a science window, its position and its time.
    """
    for name in sorted(tables):
        titles = {column.upper(): column for column in tables[name]}
        known = {field: next((titles[t] for t in ALIASES[field] if t in titles), None) for field in _WANTED}
        known["name"] = next((titles[t] for t in _NAMES if t in titles), None)
        columns = {field: column for field, column in known.items() if column is not None}
        if {"name", *_NEEDED} <= columns.keys():
            return name, columns
    raise UnavailableError(f"ISLA lists no table of science windows among {', '.join(sorted(tables)) or 'none'}")


def _query(adql: str) -> Any:
    try:
        import pyvo
        import requests
        from astroquery.esa.integral import IntegralClass
    except ImportError:
        raise UnavailableError("ISLA is asked with astroquery: pip install 'integral-oda[remote]'") from None
    try:
        return IntegralClass().query_tap(query=adql)
    except (pyvo.dal.DALAccessError, requests.RequestException) as exc:
        raise UnavailableError(f"ISLA: {type(exc).__name__} ({' '.join(str(exc).split())[:120]})") from None
