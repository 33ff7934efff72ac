"""Catalogues that come with a request: the client's dictionary, or an uploaded table, kept as a file by its content."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from integral_oda.errors import RequestError
from integral_oda.workflow.keys import digest

__all__ = ["catalogue_rows", "keep_catalogue", "table_rows"]

Row = tuple[str, float, float]

_MOST_SOURCES, _LONGEST_NAME = 2000, 100
_RULE = f"names (at most {_LONGEST_NAME} characters), ra from 0 to 360 and dec from -90 to 90 degrees"


def catalogue_rows(catalogue: Mapping[str, Any], selected: str | None = None) -> list[Row]:
    """Sources of the client's catalogue dictionary: name, RA and Dec in degrees.

    Parameters
    ----------
    catalogue : mapping
        As ``get_api_dictionary`` gives it.
    selected : str, optional
        Values of ``meta_ID``, separated by commas, of the rows that are meant.

    Raises
    ------
    RequestError
        If a column is missing or holds what is no source.
    """
    names, columns = catalogue["cat_column_names"], catalogue["cat_column_list"]
    if not (isinstance(names, list) and isinstance(columns, list) and len(names) == len(columns)):
        raise RequestError("selected_catalog", "cat_column_list", "one column for each of cat_column_names")
    table = dict(zip(map(str, names), columns, strict=True))
    longitude, latitude = catalogue.get("cat_lon_name", "ra"), catalogue.get("cat_lat_name", "dec")
    picked = [_column(table, str(name)) for name in ("src_names", longitude, latitude)]
    if len({len(column) for column in picked}) != 1:
        raise RequestError("selected_catalog", "cat_column_list", "columns of one length")
    rows = [_row(*cells) for cells in zip(*picked, strict=True)]
    if len(rows) > _MOST_SOURCES:
        raise RequestError("selected_catalog", f"{len(rows)} sources", f"at most {_MOST_SOURCES}")
    if not selected:
        return rows
    wanted = {part.strip() for part in selected.split(",")}
    numbers = table.get("meta_ID") or range(len(rows))
    return [row for number, row in zip(numbers, rows, strict=False) if str(number) in wanted]


def _column(table: Mapping[str, Any], name: str) -> Sequence[Any]:
    column = table.get(name)
    if not isinstance(column, list):
        raise RequestError("selected_catalog", f"no column {name[:40]}", "columns src_names, ra and dec")
    return column


def _row(name: Any, ra: Any, dec: Any) -> Row:
    try:
        ra, dec = float(ra), float(dec)
    except (TypeError, ValueError):
        raise RequestError("selected_catalog", str((name, ra, dec))[:80], _RULE) from None
    whole = isinstance(name, str) and 0 < len(name.strip()) <= _LONGEST_NAME and name.isprintable()
    if not (whole and math.isfinite(ra) and 0 <= ra <= 360 and -90 <= dec <= 90):
        raise RequestError("selected_catalog", str((name, ra, dec))[:80], _RULE)
    return name.strip(), ra % 360.0, dec


def table_rows(content: bytes) -> list[Row]:
    """Sources of an uploaded table, FITS or ECSV, with the online system's columns.

    Raises
    ------
    RequestError
        If it cannot be read as such.
    """
    from astropy.table import Table

    kind = "fits" if content.startswith(b"SIMPLE") else "ascii.ecsv"
    try:
        table = Table.read(io.BytesIO(content) if kind == "fits" else content.decode("utf-8"), format=kind)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as exc:
        reason = " ".join(str(exc).split())[:80]
        raise RequestError("user_catalog_file", reason, "a FITS or ECSV table with src_names, ra, dec") from None
    columns = {name: [_plain(value) for value in table[name]] for name in table.colnames}
    meta = {str(key).upper(): value for key, value in table.meta.items()}
    return catalogue_rows(
        {
            "cat_column_names": list(columns),
            "cat_column_list": list(columns.values()),
            "cat_lon_name": meta.get("LON_NAME", "ra"),
            "cat_lat_name": meta.get("LAT_NAME", "dec"),
        }
    )


def _plain(value: Any) -> Any:
    return str(value).strip() if isinstance(value, (str, bytes)) else getattr(value, "value", value)


def keep_catalogue(folder: Path, rows: Sequence[Row]) -> Path:
    """Write the sources as an ECSV file that is named by its content, so that the same sources are the same query."""
    from astropy.table import Table

    path = folder / f"{digest([list(row) for row in rows])[:24]}.ecsv"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        Table(rows=list(rows), names=("name", "ra", "dec"), dtype=(str, float, float)).write(aside, format="ascii.ecsv")
        aside.replace(path)
    return path
