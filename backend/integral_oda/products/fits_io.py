"""FITS files in ISDC's structure: one way to open, to group and to write them."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda.errors import DataError, OutputError

if TYPE_CHECKING:
    from astropy.io import fits

__all__ = [
    "TIME_CARDS",
    "carried_keywords",
    "grouping_columns",
    "grouping_hdu",
    "isdc_cards",
    "open_fits",
    "open_headers",
    "write_aside",
    "write_fits",
]

TIME_CARDS = {"MJDREF": 51544.0, "TIMESYS": "TT", "TIMEUNIT": "d", "TIMEREF": "LOCAL"}
_CARRIED_KEYWORDS = (
    *("REVOL", "SWID", "SW_TYPE", "SWBOUND", "NSCW", "OBTSTART", "OBTEND", "TSTART", "TSTOP", "TFIRST", "TLAST"),
    *("TELAPSE", "ONTIME", "DEADC", "DEADORIG", "EXPOSURE", "CREATOR", "CONFIGUR", "SIMULATE", "TIMESYS"),
    *("PIXSTAT", "THRORIG", "GAINKEV", "GAINWARN", "GAINCORR", "CRABRATE", "ERGCOUNT", "CRABREF", "ERGREF", "RESPORIG"),
    "STRUCTUR",
    *("IC_MASK", "IC_DECO", "IC_EFFI", "IC_COVR", "IC_BACK", "IC_UNIF", "IC_ARF", "IC_RMF", "IC_LUT1", "IC_LUT2"),
    *("IC_MCEC", "IC_L2RE", "IC_EFFC", "IC_BTI"),
    *("MOSASPR", "IMAGESOF", "RESAMPLE", "PSFSIGMA", "PSFPEAK", "CORRLEN", "PIXVAR"),
)
_Entries = tuple[str, str, int | None, list[Any]]
_GZIP_MAGIC = b"\x1f\x8b"
_TRUNCATED = ("File may have been truncated", "Error validating header")


@contextmanager
def open_fits(path: str | Path) -> Iterator[fits.HDUList]:
    """Open a FITS file, gzipped or not, in memory.

    Raises
    ------
    DataError
        If the file is missing, truncated or no FITS file, also when that shows later inside the block.
    """
    with _told_by_name(path), _open_whole(path) as hdus:
        yield hdus


@contextmanager
def open_headers(path: str | Path) -> Iterator[fits.HDUList]:
    """Open a FITS file, gzipped or not, for its headers: data are not read.

    Raises
    ------
    DataError
        As `open_fits`.
    """
    from astropy.io import fits

    with _told_by_name(path), fits.open(path, lazy_load_hdus=True, memmap=True) as hdus:
        yield hdus


@contextmanager
def _told_by_name(path: str | Path) -> Iterator[None]:
    """Make an error of a file that cannot be read one line that names it."""
    from astropy.utils.exceptions import AstropyWarning

    try:
        yield
    except FileNotFoundError as exc:
        raise DataError(f"{path}: no such file") from exc
    except (OSError, EOFError, zlib.error, TypeError, ValueError, KeyError, AstropyWarning) as exc:
        raise DataError(f"{path}: damaged or no FITS file ({' '.join(str(exc).split())})") from exc


def _open_whole(path: str | Path) -> fits.HDUList:
    """Open from memory with every header read; what astropy only warns of in a truncated file is an error."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    content = Path(path).read_bytes()
    if content.startswith(_GZIP_MAGIC):
        content = gzip.decompress(content)
    with warnings.catch_warnings():
        for message in _TRUNCATED:
            warnings.filterwarnings("error", message, AstropyWarning)
        return fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=False)


def carried_keywords(header: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a science window or a sum of several that stay with a product, always in the same order."""
    return {name: header[name] for name in _CARRIED_KEYWORDS if name in header}


def isdc_cards(basetype: str, level: str) -> dict[str, Any]:
    """Keywords that every ISDC extension of ISGRI has."""
    return {
        "BASETYPE": basetype,
        "TELESCOP": "INTEGRAL",
        "ORIGIN": "integral-oda",
        "INSTRUME": "IBIS",
        "DETNAM": "ISGRI",
        "ISDCLEVL": level,
        **TIME_CARDS,
    }


def grouping_columns(
    members: Sequence[Any], columns: Mapping[str, str]
) -> list[tuple[str, str, int | None, list[Any]]]:
    """Name, form, null value and entries of the columns of a GROUPING table.

    Parameters
    ----------
    members : sequence
        What is listed, each with ``name`` and ``header``; in the order of the file, from HDU 2 on.
    columns : mapping of str to str
        Keywords of the members to list, with their FITS formats.
    """
    table: list[_Entries] = [
        ("MEMBER_XTENSION", "8A", None, [member.header["XTENSION"] for member in members]),
        ("MEMBER_NAME", "32A", None, [member.name for member in members]),
        ("MEMBER_VERSION", "1J", 0, [member.header.get("EXTVER", 1) for member in members]),
        ("MEMBER_POSITION", "1J", 0, [number + 2 for number in range(len(members))]),
        ("MEMBER_LOCATION", "256A", None, [""] * len(members)),
        ("MEMBER_URI_TYPE", "3A", None, [""] * len(members)),
    ]
    for key, form in columns.items():
        empty: Any = "" if form.endswith("A") else 0
        table.append((key, form, None, [member.header.get(key, empty) for member in members]))
    return table


def grouping_hdu(name: str, members: Sequence[Any], columns: Mapping[str, str]) -> fits.BinTableHDU:
    """Index of the HDUs of one file, as a GROUPING table of the name given.

    Parameters
    ----------
    name : str
        GRPNAME, such as ``"ISGR-MOSA-IMA-IDX"``.
    members, columns
        As for `grouping_columns`.
    """
    from astropy.io import fits

    table = [fits.Column(n, form, null=null, array=v) for n, form, null, v in grouping_columns(members, columns)]
    group = fits.BinTableHDU.from_columns(table, name="GROUPING")
    group.header["GRPNAME"] = name
    return group


def write_fits(path: str | Path, hdus: Sequence[Any]) -> None:
    """Write HDUs with their checksums, aside first and then renamed."""
    from astropy.io import fits

    together = fits.HDUList(list(hdus))
    together.update_extend()
    for hdu in together:
        hdu.add_checksum(when="of the HDU")  # astropy's own comment is the time: the same product, other bytes
    with write_aside(path) as aside:
        together.writeto(aside, overwrite=True)


@contextmanager
def write_aside(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its name when the block ends well.

    Raises
    ------
    OutputError
        If the folder cannot be made or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as exc:
        raise OutputError(f"{path.parent}: cannot be written to ({exc.strerror})") from exc
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o644)
        aside.replace(path)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        aside.unlink(missing_ok=True)
