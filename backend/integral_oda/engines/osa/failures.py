"""Ways in which OSA's executables fail, each with its typed error and what to do about it.

The texts and codes are those of OSA's manuals, of its known-issue lists and of what runs of the same executables in
public services have met.
"""

from __future__ import annotations

from dataclasses import dataclass

from integral_oda.errors import DataError, UnavailableError

__all__ = [
    "FAILURES",
    "BandListError",
    "BandNotCoveredError",
    "CorruptWindowError",
    "EfficiencyError",
    "Failure",
    "GoodTimeError",
    "KnownDefectError",
    "MissingOutputError",
    "NoAttitudeError",
    "NoDeadTimeError",
    "NoEventsError",
    "NoUsableIntervalError",
    "OsaCrashError",
    "OsaDataError",
    "OsaStatusError",
    "OsaTimeoutError",
    "TooManySourcesError",
    "find_failure",
]


class OsaDataError(DataError):
    """An executable of OSA that failed on the data it was given."""


class CorruptWindowError(OsaDataError):
    """A science window whose files are damaged."""


class NoDeadTimeError(OsaDataError):
    """No dead-time data."""


class NoEventsError(OsaDataError):
    """A science window without events."""


class GoodTimeError(OsaDataError):
    """Good time intervals that are not in order or overlap."""


class BandListError(OsaDataError):
    """Maps that were to be rebinned to no band at all."""


class EfficiencyError(OsaDataError):
    """Efficiency that was not computed."""


class BandNotCoveredError(OsaDataError):
    """An energy band that the background maps do not cover."""


class TooManySourcesError(OsaDataError):
    """More sources than the imaging can hold."""


class NoAttitudeError(OsaDataError):
    """No attitude for the science window."""


class KnownDefectError(OsaDataError):
    """A known defect of an executable."""


class NoUsableIntervalError(OsaDataError):
    """No interval that a light curve could be made of."""


class MissingOutputError(OsaDataError):
    """Status 0 and no output file."""


class OsaStatusError(OsaDataError):
    """A status that no known failure stands for."""


class OsaCrashError(UnavailableError):
    """An executable that ended without saying so: killed, or crashed."""


class OsaTimeoutError(UnavailableError):
    """A step that took longer than it may."""


@dataclass(frozen=True)
class Failure:
    """One known failure.

    Attributes
    ----------
    executable : str
        Whose it is.
    texts : tuple of str
        Any of them in the log means this failure; an empty tuple means the output is missing at status 0.
    error : type
        Of `OsaDataError`.
    meaning, advice : str
        In words.
    statuses : tuple of int
        Any of these statuses means this failure too.
    at_status_0 : bool
        Whether the text means this failure even where the status is 0 and the output is there.
    """

    executable: str
    texts: tuple[str, ...]
    error: type[OsaDataError]
    meaning: str
    advice: str
    statuses: tuple[int, ...] = ()
    at_status_0: bool = False


_NO_EVENTS = ("DAL3IBIS_NO_IBIS_EVENTS", "DAL_TABLE_HAS_NO_ROWS")
_SHORTEN = "give a shorter source list: fewer, or only bright, sources"

FAILURES: tuple[Failure, ...] = (
    Failure("og_create", ("Can not open the new scw",), CorruptWindowError,
            "its files are corrupted or truncated", "fetch the science window again, or leave it out"),
    Failure("ibis_dead", (), NoDeadTimeError,
            "no isgri_dead.fits was written: there are no dead-time data", "leave the science window out"),
    Failure("ibis_isgr_energy", _NO_EVENTS, NoEventsError,
            "it has no events", "leave it out; near-real-time data may become complete later"),
    Failure("ii_shadow_build", ("ERR_ISGR_OSM_DATA_INCONSISTENCY",), GoodTimeError,
            "good time intervals are not in order or overlap", "give --gti in order and without overlaps", (-121221,)),
    Failure("ii_map_rebin", ("No shd found of type",), BandListError,
            "the list of energy bands is empty", "ask for at least one band", at_status_0=True),
    Failure("ii_shadow_ubc", ("Bands error 2 in TIME bins",), EfficiencyError,
            "the efficiency was not computed", "leave the science window out, or use longer time bins"),
    Failure("ii_shadow_ubc", ("Uncorrect Bckg",), BandNotCoveredError,
            "the background maps do not cover the energy band", "choose a band inside 15 to 900 keV"),
    Failure("ii_skyimage", ("ii_skyimage_main.f90:94",), TooManySourcesError,
            "too many sources", "raise --threshold, the lower energy, or give a source list"),
    Failure("ii_skyimage", ("DAL3AUXcalcInstrumentAttitudeThermal",), NoAttitudeError,
            "its attitude is missing", "fetch the auxiliary data of the revolution (aux/adp)"),
    Failure("ii_lc_extract", ("members number in shd index selection .ne.",), KnownDefectError,
            "known defect: shadowgrams of unequal number", "use longer time bins, or leave the science window out"),
    Failure("ii_lc_extract", ("ONTIME le 0",), KnownDefectError,
            "known defect: a time bin without good time", "use longer time bins, or leave the science window out"),
    Failure("ii_lc_extract", ("SIGBUS",), KnownDefectError,
            "known defect: it crashed reading its input", "use longer time bins, or leave the science window out"),
    Failure("ii_lc_extract", ("matrix AtA not pos.def",), TooManySourcesError,
            "too many or degenerate sources", _SHORTEN),
    Failure("ii_lc_extract", ("On entry to DGETRF parameter number  4", "DGETRF parameter number 4"),
            TooManySourcesError, "too many or degenerate sources", _SHORTEN, at_status_0=True),
    Failure("ii_light", (), NoUsableIntervalError,
            "no usable interval", "use longer time bins, or leave the science window out", (-25801,)),
)  # fmt: skip


def find_failure(executable: str, log: str, status: int | None, *, missing: bool = False) -> Failure | None:
    """Known failure that a log, a status or a missing output stands for, if there is one.

    Parameters
    ----------
    executable : str
        Name of the executable.
    log : str
        What it wrote.
    status : int or None
        Status of the log's last line; None where there is no such line.
    missing : bool
        Whether its output is missing.
    """
    for failure in FAILURES:
        if failure.executable != executable:
            continue
        silent = missing and not failure.texts and not failure.statuses
        if any(text in log for text in failure.texts) or status in failure.statuses or silent:
            return failure
    return None
