"""Lists of sources found or measured, in ISDC's ISGR-SRCL-RES structure and as ds9 regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.products.fits_io import isdc_cards, open_fits, write_aside
from integral_oda.products.fits_writer import Column, TableUnit, write_units

__all__ = [
    "Source",
    "SourceBand",
    "read_source_list",
    "source_from_dict",
    "write_regions",
    "write_source_list",
]


@dataclass(frozen=True)
class SourceBand:
    """Flux of a source in one energy band; counts/s in OSA's unit, mCrab and erg/cm2/s beside it.

    Attributes
    ----------
    e1_kev, e2_kev : float
    flux, flux_error, significance : float
        Counts/s; the error is 1 sigma, statistical.
    flux_mcrab, flux_erg : float
        In mCrab and erg/cm2/s; what these refer to is said in the header of the list.
    limit_3sigma, limit_90 : float
        One-sided 3 sigma and Bayesian 90 % limits, counts/s.
    flux_systematic : float
        1 sigma, counts/s.
    flux_error_mcrab, flux_error_erg : float
    """

    e1_kev: float
    e2_kev: float
    flux: float
    flux_error: float
    significance: float
    flux_mcrab: float = math.nan
    flux_erg: float = math.nan
    limit_3sigma: float = math.nan
    limit_90: float = math.nan
    flux_systematic: float = 0.0
    flux_error_mcrab: float = math.nan
    flux_error_erg: float = math.nan


@dataclass(frozen=True)
class Source:
    """A source with its position (degrees, FK5) and its flux in each band.

    Attributes
    ----------
    error_radius_arcmin : float
        90 % radius of the fitted position, systematic floor included.
    error_radius_osa_arcmin : float
        The same after OSA's law of significance.
    new : bool
        True for an excess that no catalogue source explains.
    forced : bool
        True for a flux measured at a given position that no detection stands behind.
    """

    name: str
    ra_deg: float
    dec_deg: float
    error_radius_arcmin: float
    error_radius_osa_arcmin: float
    new: bool
    forced: bool
    bands: tuple[SourceBand, ...]

    @property
    def significance(self) -> float:
        """Largest significance over the bands."""
        return max(band.significance for band in self.bands)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "bands": [asdict(band) for band in self.bands]}


def write_source_list(
    path: str | Path,
    sources: Sequence[Source],
    references: Mapping[str, Any] | None = None,
    suppressed: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write an ISGR-SRCL-RES table; flux columns are vectors over the bands.

    Parameters
    ----------
    path : str or Path
    sources : sequence of Source
    references : mapping, optional
        ``crab``, ``erg_spectrum`` and ``response``, what mCrab and erg/cm2/s refer to, for the header.
    suppressed : sequence of mapping
        Excesses that are no sources, with the ``reason``: a second table, SUPPRESSED, where there are any.
    """
    told = {key: references[name] for key, name in _REFERENCE_KEYS.items() if references and name in references}
    table = TableUnit("ISGR-SRCL-RES", {**isdc_cards("DAL_TABLE", "IMA"), **told}, _source_columns(sources))
    write_units(path, {}, [table, *([_suppressed_table(suppressed)] if suppressed else [])])


def _source_columns(sources: Sequence[Source]) -> list[Column]:
    bands = max((len(source.bands) for source in sources), default=1)

    def vector(name: str, attribute: str, unit: str) -> Column:
        values = np.array([[getattr(band, attribute) for band in source.bands] for source in sources])
        return Column(name, f"{bands}E", values.reshape(len(sources), bands), unit)

    def scalar(name: str, form: str, values: list[Any], unit: str | None = None) -> Column:
        return Column(name, form, values, unit)

    names = [source.name for source in sources]
    ra, dec = [source.ra_deg for source in sources], [source.dec_deg for source in sources]
    return [
        scalar("SOURCE_ID", "16A", names),
        scalar("NAME", "100A", names),
        scalar("RA_OBJ", "1E", ra, "deg"),
        scalar("DEC_OBJ", "1E", dec, "deg"),
        scalar("ERR_RAD", "1E", [source.error_radius_arcmin / 60 for source in sources], "deg"),
        scalar("RA_FIN", "1D", ra, "deg"),
        scalar("DEC_FIN", "1D", dec, "deg"),
        scalar("FIN_RD_ERR", "1E", [source.error_radius_arcmin / 60 for source in sources], "deg"),
        scalar("OSA_RD_ERR", "1E", [source.error_radius_osa_arcmin / 60 for source in sources], "deg"),
        vector("DETSIG", "significance", ""),
        vector("FLUX", "flux", "counts/s"),
        vector("FLUX_ERR", "flux_error", "counts/s"),
        vector("FLUX_SYS", "flux_systematic", "counts/s"),
        vector("FLUX_MCRAB", "flux_mcrab", "mCrab"),
        vector("FERR_MCRAB", "flux_error_mcrab", "mCrab"),
        vector("FLUX_ERG", "flux_erg", "erg/cm**2/s"),
        vector("FERR_ERG", "flux_error_erg", "erg/cm**2/s"),
        vector("LIMIT_3S", "limit_3sigma", "counts/s"),
        vector("LIMIT_90", "limit_90", "counts/s"),
        vector("E_MIN", "e1_kev", "keV"),
        vector("E_MAX", "e2_kev", "keV"),
        scalar("NEW_SOURCE", "1I", [int(source.new) for source in sources]),
        scalar("ISGRI_FLAG", "1I", [0 if source.new else 1 for source in sources]),
        scalar("FLAG", "1I", [0] * len(sources)),
        scalar("SEL_FLAG", "1I", [0] * len(sources)),
        scalar("FORCED", "1L", [source.forced for source in sources]),
    ]


def _suppressed_table(suppressed: Sequence[Mapping[str, Any]]) -> TableUnit:
    keys = {
        "RA": ("ra_deg", "1D", "deg"),
        "DEC": ("dec_deg", "1D", "deg"),
        "E_MIN": ("e1_kev", "1E", "keV"),
        "E_MAX": ("e2_kev", "1E", "keV"),
        "DETSIG": ("significance", "1E", ""),
        "REASON": ("reason", "160A", None),
    }
    columns = [
        Column(name, form, [excess[key] for excess in suppressed], unit) for name, (key, form, unit) in keys.items()
    ]
    return TableUnit("SUPPRESSED", {}, columns)


_REFERENCE_KEYS = {"CRABREF": "crab", "ERGREF": "erg_spectrum", "RESPORIG": "response"}


def read_source_list(path: str | Path) -> list[Source]:
    """Read an ISGR-SRCL-RES table written by `write_source_list` or by OSA.

    Where OSA has not fitted a position (RA_FIN is 0) the catalogue's is taken.

    Raises
    ------
    DataError
        If the file holds no such table.
    """
    with open_fits(path) as hdus:
        rows = hdus["ISGR-SRCL-RES"].data
        columns = set(rows.names)
        return [_from_row(row, columns) for row in rows]


_BAND_COLUMNS = {
    "e1_kev": "E_MIN", "e2_kev": "E_MAX", "flux": "FLUX", "flux_error": "FLUX_ERR", "significance": "DETSIG",
    "flux_mcrab": "FLUX_MCRAB", "flux_erg": "FLUX_ERG", "limit_3sigma": "LIMIT_3S", "limit_90": "LIMIT_90",
    "flux_systematic": "FLUX_SYS", "flux_error_mcrab": "FERR_MCRAB", "flux_error_erg": "FERR_ERG",
}  # fmt: skip


def _from_row(row: Any, columns: set[str]) -> Source:
    def vector(name: str) -> list[float]:
        return [float(value) for value in np.atleast_1d(row[name])]

    told = [(field, name) for field, name in _BAND_COLUMNS.items() if name in columns]
    rows = zip(*(vector(name) for _, name in told), strict=False)
    measured = (dict(zip((field for field, _ in told), values, strict=True)) for values in rows)
    bands = tuple(SourceBand(**values) for values in measured if values["e2_kev"] > values["e1_kev"])
    fitted = (float(row["RA_FIN"]), float(row["DEC_FIN"]))
    ra, dec = fitted if any(fitted) else (float(row["RA_OBJ"]), float(row["DEC_OBJ"]))
    radius = float(row["FIN_RD_ERR"]) * 60
    return Source(
        name=row["NAME"].strip(),
        ra_deg=ra,
        dec_deg=dec,
        error_radius_arcmin=radius,
        error_radius_osa_arcmin=float(row["OSA_RD_ERR"]) * 60 if "OSA_RD_ERR" in columns else radius,
        new=int(row["NEW_SOURCE"]) == 1,
        forced=bool(row["FORCED"]) if "FORCED" in columns else False,
        bands=bands,
    )


def write_regions(path: str | Path, sources: Sequence[Source]) -> None:
    """Write circles of each source's 90 % radius as a ds9 region file."""
    lines = ["# Region file format: DS9 version 4.1", "global color=green", "fk5"]
    for source in sources:
        colour = " color=magenta" if source.new else ""
        lines.append(
            f"circle({source.ra_deg:.5f},{source.dec_deg:.5f},{source.error_radius_arcmin / 60:.5f}) "
            f"# text={{{source.name}}}{colour}"
        )
    with write_aside(path) as aside:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def source_from_dict(values: Mapping[str, Any]) -> Source:
    """Source from what `Source.as_dict` gave."""
    bands = tuple(SourceBand(**band) for band in values["bands"])
    return Source(**{**values, "bands": bands})
