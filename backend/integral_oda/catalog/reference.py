"""The built-in catalogue of hard X-ray sources, names resolved in it, and a user's own lists."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError, RequestError

__all__ = [
    "SAME_PLACE_ARCMIN",
    "CatalogSource",
    "find_name",
    "name_key",
    "read_user_catalogue",
    "reference_catalogue",
    "resolve",
    "sources_near",
]

SAME_PLACE_ARCMIN = 6.0
"""Sources that are closer are not told apart: half the width of the point-spread function."""
_FITS_COLUMNS = (("NAME", ("RA_OBJ", "RA_FIN"), ("DEC_OBJ", "DEC_FIN")), ("SRC_NAMES", ("RA",), ("DEC",)))
_FITS_RULE = "a FITS table with NAME, RA_OBJ or RA_FIN, DEC_OBJ or DEC_FIN, or with src_names, ra, dec"
_ECSV_RULE = "an ECSV table with the columns name, ra, dec (deg)"


@dataclass(frozen=True)
class CatalogSource:
    """A source of a catalogue.

    Attributes
    ----------
    name : str
        As the ISDC general reference catalogue writes it.
    ra_deg, dec_deg : float
        Position, ICRS, degrees.
    flux_20_40_mcrab, flux_40_100_mcrab : float
        How bright the source may be, mCrab; a scale, not a measurement. NaN where nothing is known.
    transient : bool
        True where the source is mostly off.
    source_class : str
        Kind of source (``"LMXB"``), empty where it is not known.
    aliases : tuple of str
        Other names.
    reference : str
        Key of the paper that lists the source.
    """

    name: str
    ra_deg: float
    dec_deg: float
    flux_20_40_mcrab: float = math.nan
    flux_40_100_mcrab: float = math.nan
    transient: bool = False
    source_class: str = ""
    aliases: tuple[str, ...] = ()
    reference: str = ""


@cache
def reference_catalogue() -> tuple[CatalogSource, ...]:
    """Sources of the built-in catalogue, by right ascension."""
    # astropy.table would cost a warm query half a second
    table = files("integral_oda.catalog") / "data" / "reference_catalogue.ecsv"
    lines = table.read_text(encoding="utf-8").splitlines()
    return tuple(_from_row(row) for row in csv.DictReader(line for line in lines if not line.startswith("#")))


def _from_row(row: dict[str, str]) -> CatalogSource:
    return CatalogSource(
        name=row["name"],
        ra_deg=float(row["ra"]),
        dec_deg=float(row["dec"]),
        flux_20_40_mcrab=float(row["flux_20_40_mcrab"]),
        flux_40_100_mcrab=float(row["flux_40_100_mcrab"]),
        transient=row["transient"] == "True",
        source_class=row["class"],
        aliases=tuple(filter(None, row["aliases"].split("|"))),
        reference=row["reference"],
    )


def resolve(name: str, extra: Iterable[CatalogSource] = ()) -> CatalogSource:
    """Find a source by any of its names, whatever their case, spaces and punctuation.

    Parameters
    ----------
    name : str
        Name or alias. A sign between digits counts: 4U 1901+03 is not found as 4U 1901-03.
    extra : iterable of CatalogSource
        Sources looked up before the built-in ones.

    Raises
    ------
    RequestError
        If no source has the name, or several may be meant; the message offers the nearest names.
    """
    extra = tuple(extra)
    found = find_name(name, extra)
    if found is None:
        index = {**_reference_index(), **_index(extra)}
        raise RequestError("src_name", name, f"no source of the catalogue has this name{_nearest(name, index)}")
    return found


def find_name(name: str, sources: Iterable[CatalogSource], *, builtin: bool = True) -> CatalogSource | None:
    """Find a source by any of its names, or None.

    Parameters
    ----------
    name : str
        As for `resolve`.
    sources : iterable of CatalogSource
        Where to look.
    builtin : bool
        Look into the built-in catalogue too, after the others.

    Raises
    ------
    RequestError
        If it may be one of several sources; the message lists them.
    """
    index = {**(_reference_index() if builtin else {}), **_index(sources)}
    found = index.get(name_key(name), ())
    if len(found) > 1:
        names = ", ".join(source.name for source in found)
        raise RequestError("src_name", name, f"this may be one of {names}: give one of these names")
    return found[0] if found else None


_DASHES = str.maketrans("\u2212\u2010\u2011\u2013\u2014", "-----")
_NO_SIGNS = str.maketrans("", "", "+-")
_SIGN = re.compile(r"(?<=\d)[+-](?=\d)")


def name_key(name: str) -> str:
    """Letters and digits of a name, with the signs that stand between digits: the same for all ways to write it."""
    squeezed = re.sub(r"\s", "", name.translate(_DASHES)).casefold()
    signs = {match.start() for match in _SIGN.finditer(squeezed)}
    return "".join(char for at, char in enumerate(squeezed) if char.isalnum() or at in signs)


def _index(sources: Iterable[CatalogSource]) -> dict[str, tuple[CatalogSource, ...]]:
    """Sources by the keys of their names; several where a key without its sign is that of several."""
    exact: dict[str, tuple[CatalogSource, ...]] = {}
    loose: dict[str, tuple[CatalogSource, ...]] = {}
    for source in sources:
        for name in (source.name, *source.aliases):
            exact[name_key(name)] = (source,)
            without_sign = name_key(name).translate(_NO_SIGNS)
            known = loose.setdefault(without_sign, ())
            loose[without_sign] = known if source in known else (*known, source)
    return loose | exact


@cache
def _reference_index() -> dict[str, tuple[CatalogSource, ...]]:
    return _index(reference_catalogue())


_SHORTEST_BEGINNING = 4


def _nearest(name: str, index: dict[str, tuple[CatalogSource, ...]]) -> str:
    """What may have been meant: names that begin so, else those that look alike."""
    key = name_key(name)
    keys = [other for other in index if other.startswith(key)] if len(key) >= _SHORTEST_BEGINNING else []
    keys = keys or difflib.get_close_matches(key, index, n=6, cutoff=0.6)
    names = list(dict.fromkeys(source.name for key in keys for source in index[key]))[: 6 if len(keys) > 6 else 3]
    return f"; did you mean {', '.join(names)}?" if names else ""


def sources_near(
    ra_deg: float, dec_deg: float, radius_deg: float, catalogue: Sequence[CatalogSource]
) -> tuple[CatalogSource, ...]:
    """Sources within a radius of a position, nearest first.

    Parameters
    ----------
    ra_deg, dec_deg, radius_deg : float
        Position (ICRS) and radius, degrees.
    catalogue : sequence of CatalogSource
        Where to look.
    """
    import numpy as np

    from integral_oda.instrument.attitude import separation_deg

    if not catalogue:
        return ()
    ra = np.array([source.ra_deg for source in catalogue])
    dec = np.array([source.dec_deg for source in catalogue])
    away = separation_deg(ra_deg, dec_deg, ra, dec)
    return tuple(catalogue[at] for at in np.argsort(away, kind="stable") if away[at] <= radius_deg)


def read_user_catalogue(path: str | Path) -> tuple[CatalogSource, ...]:
    """Read a list of sources: ISDC's or the online system's FITS catalogue, or ECSV with name, ra, dec (deg).

    A ds9 region file (``.reg``) and the online system's catalogue dictionary (JSON) are read too.

    Raises
    ------
    RequestError
        If the file cannot be read.
    DataError
        If it is neither, or a row has no name, a name twice, or no position on the sky.
    """
    try:
        with Path(path).open("rb") as handle:
            start = handle.read(6)
    except OSError as exc:
        raise RequestError("catalog", path, f"{_FITS_RULE}, or {_ECSV_RULE} ({exc.strerror})") from None
    if start == b"SIMPLE" or start[:2] == b"\x1f\x8b":
        return tuple(_checked(path, _fits_rows(path)))
    if start == b"# %ECS" or not (start[:1] == b"{" or Path(path).suffix == ".reg"):
        return tuple(_checked(path, _ecsv_rows(path)))
    from integral_oda.catalog.source_list import read_sources

    return tuple(_checked(path, [(source.name, source.ra, source.dec) for source in read_sources(path).sources]))


def _fits_rows(path: str | Path) -> list[tuple[Any, Any, Any]]:
    from integral_oda.products.fits_io import open_fits

    with open_fits(path) as hdus:
        for hdu in hdus[1:]:
            names = {column.name.upper() for column in getattr(hdu, "columns", ())}
            for name, ra, dec in _FITS_COLUMNS:
                columns = [name, _first(ra, names), _first(dec, names)]
                if names.issuperset(columns):
                    return list(zip(*(hdu.data[column].tolist() for column in columns), strict=True))
    raise DataError(f"{path}: no extension has the columns of a catalogue; needed is {_FITS_RULE}")


def _first(candidates: tuple[str, ...], names: set[str]) -> str:
    return next((name for name in candidates if name in names), candidates[0])


def _ecsv_rows(path: str | Path) -> list[tuple[Any, Any, Any]]:
    from astropy.table import QTable
    from astropy.units import UnitsError, deg

    try:
        table = QTable.read(path, format="ascii.ecsv")
        name = "src_names" if "src_names" in table.colnames else "name"
        positions = [(table[axis] * (deg if table[axis].unit is None else 1)).to_value(deg) for axis in ("ra", "dec")]
        return list(zip(table[name].tolist(), *(values.tolist() for values in positions), strict=True))
    except (ValueError, KeyError, TypeError, AttributeError, UnitsError) as exc:
        reason = str(exc).strip().partition("\n")[0]
        raise DataError(f"{path}: needed is {_ECSV_RULE} ({reason})") from None


def _checked(path: str | Path, rows: Iterable[tuple[Any, Any, Any]]) -> Iterable[CatalogSource]:
    seen: set[str] = set()
    for number, (given, ra, dec) in enumerate(rows, start=1):
        name = "" if given is None else str(given).strip()
        if not name or name_key(name) in seen:
            raise DataError(f"{path}: row {number} has the name {name!r}; each source needs one of its own")
        seen.add(name_key(name))
        if not _on_sky(ra, dec):
            raise DataError(f"{path}: {name} is at ra {ra}, dec {dec}; allowed is 0 <= ra < 360, -90 <= dec <= 90 deg")
        yield CatalogSource(name, float(ra), float(dec))


def _on_sky(ra: Any, dec: Any) -> bool:
    return isinstance(ra, float) and isinstance(dec, float) and 0 <= ra < 360 and -90 <= dec <= 90
