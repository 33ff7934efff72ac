"""Lists of bursts as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import erg_per_count
from integral_oda.products.fits_io import TIME_CARDS, write_aside, write_fits
from integral_oda.timing.bursts import Burst

__all__ = ["FoundBurst", "burst_rows", "write_burst_list"]

_COLUMNS = {
    "NAME": ("32A", ""),
    "SWID": ("12A", ""),
    "TIME": ("1D", "d"),
    "TSTOP": ("1D", "d"),
    "T90": ("1D", "s"),
    "T90START": ("1D", "d"),
    "SCALE": ("1D", "s"),
    "DETSIG": ("1D", ""),
    "FAP": ("1D", ""),
    "PEAK": ("1D", "counts/s"),
    "PEAK_ERR": ("1D", "counts/s"),
    "FLUENCE": ("1D", "counts"),
    "FLUE_ERR": ("1D", "counts"),
    "FLU_ERG": ("1D", "erg/cm2"),
    "TRUNCATED": ("1L", ""),
}


@dataclass(frozen=True)
class FoundBurst:
    """A burst with the source, science window and band that it was found in."""

    name: str
    swid: str
    band: EnergyBand
    burst: Burst

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make one from the plain values that ``dataclasses.asdict`` gives."""
        own = {item.name for item in fields(Burst)}
        burst = Burst(**{key: value for key, value in values["burst"].items() if key in own})
        return cls(values["name"], values["swid"], EnergyBand(*values["band"]), burst)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``summary.json``."""
        from dataclasses import asdict

        erg = erg_per_count(self.band)
        return {
            "name": self.name,
            "scw": self.swid,
            "e1_kev": self.band.e1_kev,
            "e2_kev": self.band.e2_kev,
            **asdict(self.burst),
            "fluence_erg": self.burst.fluence * erg,
        }


def burst_rows(bursts: Sequence[FoundBurst]) -> dict[str, list[Any]]:
    """Columns of the table of bursts; TIME and TSTOP are IJD (TT at the spacecraft)."""
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for item in bursts:
        b = item.burst
        values = (item.name, item.swid, b.start_ijd, b.stop_ijd, b.t90_s, b.t90_start_ijd, b.scale_s, b.significance,
                  b.false_alarm, b.peak_flux, b.peak_flux_error, b.fluence, b.fluence_error,
                  b.fluence * erg_per_count(item.band), b.truncated)  # fmt: skip
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value)
    return rows


def write_burst_list(folder: Path, bursts: Sequence[FoundBurst]) -> None:
    """Write ``bursts.fits`` and ``bursts.ecsv``."""
    from astropy.io import fits
    from astropy.table import Table

    rows = burst_rows(bursts)
    columns = [fits.Column(name, form, unit=unit or None, array=rows[name]) for name, (form, unit) in _COLUMNS.items()]
    table = fits.BinTableHDU.from_columns(columns, name="BURSTS")
    table.header.update({**TIME_CARDS, "TELESCOP": "INTEGRAL", "INSTRUME": "IBIS", "DETNAM": "ISGRI"})
    if bursts:
        table.header.update({"E_MIN": bursts[0].band.e1_kev, "E_MAX": bursts[0].band.e2_kev, "EUNIT": "keV"})
    write_fits(folder / "bursts.fits", [fits.PrimaryHDU(), table])
    types = {"A": "str", "L": "bool", "D": "float64"}
    dtype = [types[form[-1]] for form, _ in _COLUMNS.values()]
    text = Table(rows, names=list(_COLUMNS), dtype=dtype, units=[unit or None for _, unit in _COLUMNS.values()])
    with write_aside(folder / "bursts.ecsv") as aside:
        text.write(aside, format="ascii.ecsv", overwrite=True)
