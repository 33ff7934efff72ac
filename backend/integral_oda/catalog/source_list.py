"""Lists of sources that a user edits: read from and written to every form that the field uses, without loss."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from integral_oda.catalog.reference import name_key
from integral_oda.errors import DataError, RequestError
from integral_oda.json_values import finite

__all__ = ["UNKNOWN_NEW", "ListedSource", "SourceCatalogue", "catalogue_dictionary", "read_sources", "write_sources"]

UNKNOWN_NEW = -32768
"""What the online system writes as NEW_SOURCE of a source that its catalogue knows."""
_LONGEST_NAME = 100
_NAME_RULE = f"1 to {_LONGEST_NAME} printable ASCII characters without blanks at the ends"
_SUFFIXES = (".fits", ".ecsv", ".reg", ".json")


@dataclass(frozen=True)
class ListedSource:
    """One row of a list, with the columns of the online system's catalogues.

    Attributes
    ----------
    name : str
        Name of the source.
    ra, dec : float
        Position, degrees (FK5, J2000).
    significance : float
        Of its detection, NaN where there is none.
    err_rad : float
        Error radius, degrees; NaN where it is not known.
    meta_id : int
        Number of the row that it had in a larger list.
    new_source : int
        1 for an excess that no catalogue knows.
    isgri_flag : int
        1 or 2 for a source that ISGRI has seen; 2 also keeps the position fixed in OSA's imaging.
    flag : int
        Free.
    """

    name: str
    ra: float
    dec: float
    significance: float = math.nan
    err_rad: float = math.nan
    meta_id: int = 0
    new_source: int = UNKNOWN_NEW
    isgri_flag: int = 2
    flag: int = 0

    def __post_init__(self) -> None:
        if not (
            self.name.isascii() and self.name.isprintable() and self.name == self.name.strip()
            and 0 < len(self.name) <= _LONGEST_NAME
        ):  # fmt: skip
            raise RequestError("name", repr(self.name)[:80], _NAME_RULE)
        if not (0 <= self.ra < 360 and -90 <= self.dec <= 90):
            raise RequestError(self.name, f"{self.ra}, {self.dec}", "0 <= ra < 360, -90 <= dec <= 90 degrees")

    @property
    def is_new(self) -> bool:
        """True for an excess that no catalogue knows."""
        return self.new_source == 1 or self.name.upper().startswith("NEW")


# Columns of the online system in its order, with the attribute and the kind of each.
_COLUMNS = {
    "meta_ID": ("meta_id", "<i8"), "src_names": ("name", "<U"), "significance": ("significance", "<f8"),
    "ra": ("ra", "<f8"), "dec": ("dec", "<f8"), "NEW_SOURCE": ("new_source", "<i8"),
    "ISGRI_FLAG": ("isgri_flag", "<i8"), "FLAG": ("flag", "<i8"), "ERR_RAD": ("err_rad", "<f8"),
}  # fmt: skip
_TITLES = {column: attribute for column, (attribute, _) in _COLUMNS.items()}
_ATTRIBUTES = {column.upper(): attribute for column, attribute in _TITLES.items()}
_ALIASES = {"NAME": "name", "RA_OBJ": "ra", "DEC_OBJ": "dec", "DETSIG": "significance"}
_WHOLE = {f.name for f in fields(ListedSource) if f.type == "int"}


@dataclass(frozen=True)
class SourceCatalogue:
    """A list of sources; every change gives a new list."""

    sources: tuple[ListedSource, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order of the list."""
        return tuple(source.name for source in self.sources)

    def __getitem__(self, name: str) -> ListedSource:
        """Source of a name, whatever its case and spaces.

        Raises
        ------
        RequestError
            If the list does not have it.
        """
        for source in self.sources:
            if name_key(source.name) == name_key(name):
                return source
        raise RequestError("name", name, f"one of {', '.join(self.names[:8]) or 'an empty list'}")

    def add(self, *sources: ListedSource) -> SourceCatalogue:
        """Append sources, each with a number that no other has."""
        largest = max((source.meta_id for source in self.sources), default=-1)
        numbered = [replace(source, meta_id=largest + n) for n, source in enumerate(sources, start=1)]
        return SourceCatalogue((*self.sources, *numbered))

    def remove(self, *names: str) -> SourceCatalogue:
        """Leave sources out.

        Raises
        ------
        RequestError
            If the list does not have one of them.
        """
        gone = {name_key(self[name].name) for name in names}
        return SourceCatalogue(tuple(source for source in self.sources if name_key(source.name) not in gone))

    def edit(self, name: str, /, **changes: Any) -> SourceCatalogue:
        """Change values of one source.

        Raises
        ------
        RequestError
            If the list does not have it, or a new value is impossible.
        """
        old = self[name]
        return SourceCatalogue(tuple(replace(s, **changes) if s is old else s for s in self.sources))

    def select(self, min_significance: float = -math.inf, *, new: bool = True) -> SourceCatalogue:
        """Keep what is significant enough (an unknown significance is), and new excesses only if asked for."""
        return SourceCatalogue(
            tuple(s for s in self.sources if not s.significance < min_significance and (new or not s.is_new))
        )

    def merge(self, other: SourceCatalogue, min_radius_deg: float = 0.0) -> SourceCatalogue:
        """Append the sources of another list that this one does not have, by name or by position.

        Parameters
        ----------
        other : SourceCatalogue
            What is added.
        min_radius_deg : float
            Positions closer than this are the same whatever their error radii.
        """
        fresh = [s for s in other.sources if not any(_same(s, mine, min_radius_deg) for mine in self.sources)]
        return self.add(*fresh)

    def without_duplicates(self, min_radius_deg: float = 0.0) -> SourceCatalogue:
        """Keep one of the rows of each source: same name, or positions within the larger error radius.

        The one that a catalogue knows is kept, then the most significant, then the first.
        """
        order = sorted(
            range(len(self)), key=lambda n: (self.sources[n].is_new, -_known(self.sources[n].significance), n)
        )
        kept: list[int] = []
        for number in order:
            source = self.sources[number]
            if not any(_same(source, self.sources[k], min_radius_deg) for k in kept):
                kept.append(number)
        return SourceCatalogue(tuple(self.sources[number] for number in sorted(kept)))

    def as_dictionary(self) -> dict[str, Any]:
        """The online system's catalogue dictionary (``selected_catalog``); unknown values are None."""
        columns = {title: [getattr(s, attribute) for s in self.sources] for title, attribute in _TITLES.items()}
        return catalogue_dictionary(columns)

    @classmethod
    def from_dictionary(cls, values: Mapping[str, Any]) -> SourceCatalogue:
        """Read the online system's catalogue dictionary.

        Raises
        ------
        RequestError
            If it is none, or holds what is no source.
        """
        try:
            names = [str(name) for name in values["cat_column_names"]]
            columns = dict(zip(names, values["cat_column_list"], strict=True))
            columns["ra"], columns["dec"] = (
                columns[values.get("cat_lon_name", "ra")],
                columns[values.get("cat_lat_name", "dec")],
            )
            frame = str(values.get("cat_frame", "fk5"))
            return _from_columns(columns, frame)
        except (KeyError, TypeError, ValueError) as exc:
            raise RequestError(
                "catalog", str(values)[:60], f"the online system's catalogue dictionary ({exc})"
            ) from None


def catalogue_dictionary(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Form the online system's catalogue dictionary (``selected_catalog``); numbers that are not known are None.

    Parameters
    ----------
    columns : mapping
        Values of ``meta_ID src_names significance ra dec NEW_SOURCE ISGRI_FLAG FLAG ERR_RAD``, in this order.
    """
    longest = max((len(str(name)) for name in columns["src_names"]), default=1)
    kinds = {title: kind for title, (_, kind) in _COLUMNS.items()} | {"src_names": f"<U{longest}"}
    return {
        "cat_frame": "fk5",
        "cat_coord_units": "deg",
        "cat_lon_name": "ra",
        "cat_lat_name": "dec",
        "cat_column_names": list(columns),
        "cat_column_list": finite(list(columns.values())),
        "cat_column_descr": [[title, kinds[title]] for title in columns],
    }


def _known(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _same(a: ListedSource, b: ListedSource, min_radius_deg: float) -> bool:
    from integral_oda.instrument.attitude import separation_deg

    if name_key(a.name) == name_key(b.name):
        return True
    radius = max(min_radius_deg, *(0.0 if math.isnan(s.err_rad) else s.err_rad for s in (a, b)))
    return bool(separation_deg(a.ra, a.dec, b.ra, b.dec) <= radius)


def _from_columns(columns: Mapping[str, Sequence[Any]], frame: str = "fk5") -> SourceCatalogue:
    known = {_ALIASES.get(title.upper(), _ATTRIBUTES.get(title.upper(), "")): title for title in columns}
    known.pop("", None)
    if missing := {"name", "ra", "dec"} - known.keys():
        raise KeyError(f"no column for {', '.join(sorted(missing))}")
    rows = zip(*(columns[title] for title in known.values()), strict=True)
    sources = tuple(ListedSource(**{a: _value(a, v) for a, v in zip(known, row, strict=True)}) for row in rows)
    return SourceCatalogue(tuple(_fk5(source, frame) for source in sources))


def _value(attribute: str, value: Any) -> Any:
    if attribute == "name":
        return str(value).strip()
    missing = value is None or str(value) in ("--", "")
    if attribute in _WHOLE:
        return getattr(ListedSource, attribute) if missing else int(value)
    return math.nan if missing else float(value)


def _fk5(source: ListedSource, frame: str) -> ListedSource:
    if frame.lower() in ("fk5", "icrs", "j2000"):
        return source
    from astropy.coordinates import SkyCoord

    position = SkyCoord(source.ra, source.dec, unit="deg", frame=frame.lower()).fk5
    return replace(source, ra=float(position.ra.deg) % 360, dec=float(position.dec.deg))


def write_sources(path: str | Path, catalogue: SourceCatalogue) -> Path:
    """Write a list as ``.fits``, ``.ecsv``, ``.reg`` (ds9) or ``.json`` (the online system's dictionary).

    Raises
    ------
    RequestError
        If the name ends otherwise.
    OutputError
        If it cannot be written.
    """
    from integral_oda.products.fits_io import write_aside

    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise RequestError("path", path, f"a name that ends in {', '.join(_SUFFIXES)}")
    with write_aside(path) as aside:
        if path.suffix == ".json":
            aside.write_text(json.dumps(catalogue.as_dictionary(), indent=1) + "\n", encoding="utf-8")
        elif path.suffix == ".reg":
            aside.write_text(_regions(catalogue), encoding="utf-8")
        else:
            _write_table(catalogue, aside, "fits" if path.suffix == ".fits" else "ascii.ecsv")
    return path


def _write_table(catalogue: SourceCatalogue, path: Path, kind: str) -> None:
    import warnings

    from astropy.io.fits.verify import VerifyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)  # COORD_UNIT, as the online system calls it, has ten letters
        _table(catalogue).write(path, format=kind, overwrite=True)


def _table(catalogue: SourceCatalogue) -> Any:
    from astropy.table import Table

    values = {t: [getattr(s, a) for s in catalogue.sources] for t, (a, _) in _COLUMNS.items()}
    longest = max((len(name) for name in catalogue.names), default=1)
    kinds = [f"U{longest}" if kind == "<U" else kind for _, kind in _COLUMNS.values()]
    table = Table(list(values.values()), names=list(values), dtype=kinds)
    for name in ("ra", "dec", "ERR_RAD"):
        table[name].unit = "deg"
    table.meta.update({"FRAME": "fk5", "COORD_UNIT": "deg", "LON_NAME": "ra", "LAT_NAME": "dec"})
    return table


def _regions(catalogue: SourceCatalogue) -> str:
    lines = ["# Region file format: DS9 version 4.1", "global color=green", "fk5"]
    for source in catalogue.sources:
        place = f"{source.ra!r},{source.dec!r}"
        has_radius = source.err_rad > 0
        shape = f"circle({place},{source.err_rad!r})" if has_radius else f"point({place})"
        extra = {t: getattr(source, a) for t, (a, _) in _COLUMNS.items() if a not in ("name", "ra", "dec")}
        if has_radius:
            extra.pop("ERR_RAD")
        tags = " ".join(f"tag={{{title}={value!r}}}" for title, value in extra.items())
        lines.append(f"{shape} # text={_quoted(source.name)} {'color=magenta ' if source.is_new else ''}{tags}")
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    for left, right in ("{}", '""', "''"):
        if left not in name and right not in name:
            return f"{left}{name}{right}"
    raise RequestError("name", name, "a ds9 region cannot hold a name with all of { } \" '")


_SHAPE = re.compile(
    r"^\s*(?:(\w+)\s*;)?\s*[+]?\s*(circle|point|ellipse|box)\s*\(([^)]*)\)\s*(?:#\s*(.*))?$", re.IGNORECASE
)
_TEXT = re.compile(r"text=(?:\{([^}]*)\}|\"([^\"]*)\"|'([^']*)')")
_TAG = re.compile(r"tag=\{(\w+)=([^}]*)\}")
_FRAMES = {"fk5": "fk5", "icrs": "icrs", "j2000": "fk5", "galactic": "galactic", "fk4": "fk4", "b1950": "fk4"}
_RADIUS_UNITS = {'"': 3600.0, "'": 60.0, "d": 1.0, "": 1.0}


def read_sources(path: str | Path) -> SourceCatalogue:
    """Read a list of sources, told by its content: FITS, ECSV, ds9 regions, the online system's dictionary as JSON.

    FITS may be the online system's, ISDC's reference catalogue or OSA's ISGR-SRCL-RES.

    Raises
    ------
    RequestError
        If the file cannot be read or holds no list of sources.
    """
    path = Path(path)
    try:
        start = path.read_bytes()[:64]
        if start.startswith((b"SIMPLE", b"\x1f\x8b")):
            return _from_fits(path)
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return SourceCatalogue.from_dictionary(json.loads(text))
        if text.startswith("# %ECSV"):
            return _from_ecsv(text)
        return _from_regions(text.splitlines())
    except (OSError, UnicodeDecodeError, DataError, ValueError, KeyError, TypeError) as exc:
        sentence = f"a list of sources as FITS, ECSV, ds9 regions or JSON ({' '.join(str(exc).split())[:120]})"
        raise RequestError("catalog", path, sentence) from None


def _from_ecsv(text: str) -> SourceCatalogue:
    from astropy.table import Table

    table = Table.read(text, format="ascii.ecsv")
    meta = {str(key).upper(): str(value) for key, value in table.meta.items()}
    titles = {"ra": meta.get("LON_NAME", "ra"), "dec": meta.get("LAT_NAME", "dec")}
    columns = {name: table[name].tolist() for name in table.colnames}
    columns |= {axis: columns[title] for axis, title in titles.items()}
    return _from_columns(columns, meta.get("FRAME", "fk5"))


def _from_fits(path: Path) -> SourceCatalogue:
    from integral_oda.archive.fits_table import read_hdus

    for hdu in read_hdus(path)[1:]:
        if hdu.header.get("XTENSION") != "BINTABLE":
            continue
        wanted = [title for title in hdu.columns if title in _ATTRIBUTES or title in _ALIASES]
        found = {title: _cells(hdu.column(title)) for title in wanted}
        for axis in ("RA", "DEC"):
            if f"{axis}_FIN" in hdu.columns:  # OSA's fitted position, 0 where nothing was fitted
                fitted = _cells(hdu.column(f"{axis}_FIN"))
                found[f"{axis}_OBJ"] = [f or o for f, o in zip(fitted, found.get(f"{axis}_OBJ", fitted), strict=True)]
        if {"SRC_NAMES", "NAME"} & found.keys():
            return _from_columns(found, str(hdu.header.get("FRAME", "fk5")))
    raise DataError("no table of it has names and positions")


def _cells(column: Any) -> list[Any]:
    """Values of a column, of a vector over energy bands the largest."""
    values = column.max(axis=1) if column.ndim > 1 else column
    return [value.decode("ascii", "replace") if isinstance(value, bytes) else value for value in values.tolist()]


def _from_regions(lines: Iterable[str]) -> SourceCatalogue:
    frame = "fk5"
    sources: list[ListedSource] = []
    for line in lines:
        if line.strip().lower() in _FRAMES:
            frame = _FRAMES[line.strip().lower()]
        elif match := _SHAPE.match(line):
            own = _FRAMES.get((match[1] or "").lower(), frame)
            sources.append(_fk5(_region(match[3], match[4] or "", len(sources) + 1), own))
    if not sources:
        raise ValueError("it has no region")
    return SourceCatalogue(tuple(sources))


def _region(place: str, remark: str, number: int) -> ListedSource:
    parts = [part.strip() for part in place.replace(";", ",").split(",")]
    text = _TEXT.search(remark)
    values: dict[str, Any] = {"name": next(filter(None, text.groups()), "") if text else f"region {number}"}
    values["ra"], values["dec"] = _angle(parts[0], 15.0), _angle(parts[1], 1.0)
    if len(parts) > 2:
        unit = parts[2][-1] if parts[2][-1] in _RADIUS_UNITS else ""
        values["err_rad"] = float(parts[2].rstrip("\"'d")) / _RADIUS_UNITS[unit]
    for title, value in _TAG.findall(remark):
        if attribute := _ATTRIBUTES.get(title.upper()):
            values[attribute] = _value(attribute, value)
    return ListedSource(**values)


def _angle(text: str, hours: float) -> float:
    """Angle in degrees of decimal degrees, or of sexagesimal hours or degrees."""
    if ":" not in text:
        return float(text.rstrip("d"))
    sign = -1 if text.startswith("-") else 1
    return hours * sign * sum(float(part) / 60**n for n, part in enumerate(text.lstrip("+-").split(":")))
