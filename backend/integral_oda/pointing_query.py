"""The part of a query that says which science windows: time, field and what a pointing must be like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = ["PointingQuery", "read_time"]

_MJD_OF_IJD_0 = 51544.0
_REVOLUTION_FORMATS = ("revolution", "rev")
_LAST_REVOLUTION = 9999


def read_time(text: str, time_format: str) -> float:
    """Read a time as IJD (TT).

    Parameters
    ----------
    text : str
        The time: TT for ``ijd``, else UTC.
    time_format : str
        ``"ijd"`` or any format of `astropy.time.Time`.

    Raises
    ------
    ValueError
        If the format or the time is not known.
    """
    import warnings

    from astropy.time import Time

    if time_format == "ijd":
        return _number(text, time_format)
    if time_format not in Time.FORMATS:
        raise ValueError(f"T_format = {time_format}: ijd, revolution or a format of astropy's Time such as isot or mjd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that leap seconds of a far year are not known
        try:
            return float(Time(text, format=time_format, scale="utc").tt.mjd - _MJD_OF_IJD_0)
        except ValueError:
            pass
        try:
            return float(Time(float(text), format=time_format, scale="utc").tt.mjd - _MJD_OF_IJD_0)
        except ValueError:
            raise ValueError(f"{text} cannot be read as a time of the format {time_format}") from None


def _number(text: str, time_format: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text} cannot be read as a time of the format {time_format}")
    return number


def _as_text(value: Any) -> Any:
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


TimeText = Annotated[str, BeforeValidator(_as_text)]
Sources = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class PointingQuery(BaseModel):
    """Which science windows, where they are not listed.

    Attributes
    ----------
    T1, T2 : str or None
        Time range; science windows that share time with it are looked at.
    T_format : str
        Of both: ``isot`` or any other format of `astropy.time.Time` (UTC), ``ijd`` (TT) or ``revolution``.
    radius : float
        Largest angle of the spacecraft's X axis from the source, degrees.
    max_pointings : int
        How many science windows are used at most.
    seed : int or None
        Of the choice where there are more; without one they are spread evenly over the time.
    readiness : str
        ``cons`` (consolidated), ``nrt`` (near real time, version 000), ``any`` (the highest version there is).
    min_good_isgri, min_ontime : float
        Least good time of ISGRI, where the index knows it, and least length, s.
    max_off_axis : float or None
        Largest angle of ISGRI's axis from the source, degrees.
    min_coded_fraction : float
        Least coded fraction at the source, 0 to 1.
    exclude : tuple of str
        What science windows are left out by: ``bti``, or files of bad time intervals, verdicts or windows.
    index : Path or None
        Pointings to choose from, in place of those of the archive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    T1: TimeText | None = Field(None, title="From", min_length=1)
    T2: TimeText | None = Field(None, title="To", min_length=1)
    T_format: str = Field("isot", title="Format of these times")
    radius: float = Field(15.0, title="Pointings within [deg]", gt=0, le=180, allow_inf_nan=False)
    max_pointings: int = Field(50, title="Most science windows", ge=1)
    seed: int | None = Field(None, title="Seed of a random choice", ge=0)
    readiness: Literal["cons", "nrt", "any"] = Field("any", title="Data: cons, nrt or any")
    min_good_isgri: float = Field(0.0, title="Least good time [s]", ge=0, allow_inf_nan=False)
    min_ontime: float = Field(0.0, title="Least length [s]", ge=0, allow_inf_nan=False)
    max_off_axis: float | None = Field(None, title="Largest off-axis angle [deg]", gt=0, le=180, allow_inf_nan=False)
    min_coded_fraction: float = Field(0.0, title="Least coded fraction", ge=0, le=1, allow_inf_nan=False)
    exclude: Sources = Field((), title="Leave out by (bti or files)")
    index: Path | None = Field(None, title="Pointing index")

    @model_validator(mode="after")
    def _time_range_is_whole(self) -> Self:
        if (self.T1 is None) != (self.T2 is None):
            raise ValueError("T1 and T2 are given together or not at all")
        if self.T1 is None or self.T2 is None:
            return self
        start, stop = self.revolutions or self.interval_ijd
        if not (start < stop or (self.revolutions and start == stop)):
            raise ValueError(f"T2 must be after T1 = {self.T1}")
        return self

    @property
    def revolutions(self) -> tuple[int, int] | None:
        """First and last revolution, None where the time range is in no revolutions."""
        if self.T1 is None or self.T2 is None or self.T_format not in _REVOLUTION_FORMATS:
            return None
        numbers = [int(text) if text.isascii() and text.isdigit() else -1 for text in (self.T1, self.T2)]
        for text, number in zip((self.T1, self.T2), numbers, strict=True):
            if not 0 <= number <= _LAST_REVOLUTION:
                raise ValueError(f"{text} is no revolution; T1 and T2 are whole numbers from 0 to {_LAST_REVOLUTION}")
        return numbers[0], numbers[1]

    @property
    def interval_ijd(self) -> tuple[float, float]:
        """Time range, IJD; all of the time where there is none."""
        if self.T1 is None or self.T2 is None or self.T_format in _REVOLUTION_FORMATS:
            return -math.inf, math.inf
        return self._read_time("T1", self.T1), self._read_time("T2", self.T2)

    def _read_time(self, name: str, text: str) -> float:
        try:
            return read_time(text, self.T_format)
        except ValueError as exc:
            reason = str(exc)
            raise ValueError(reason if reason.startswith("T_format") else f"{name} = {reason}") from None
