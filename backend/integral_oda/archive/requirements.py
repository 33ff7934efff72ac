"""Which files of the archive which step of which engine reads."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ENGINES", "EVENTS_FILE", "GROUP_FILE", "NEEDED_FILES", "NeededFile", "needed_files", "step_of"]

EVENTS_FILE, GROUP_FILE = "isgri_events.fits", "swg.fits"
ENGINES = ("native", "osa")


@dataclass(frozen=True)
class NeededFile:
    """A file that steps read, or a pattern of such files.

    Attributes
    ----------
    place : str
        ``"scw"`` (the window's folder), ``"rev"`` (its revolution's) or ``"aux"`` (its revolution's auxiliary data).
    name : str
        Path below that place without ``.gz``; may have wildcards.
    steps : tuple of str
        Names of the steps, as OSA's.
    must : tuple of str
        Engines that cannot do the step without it.
    uses : tuple of str
        Engines that read it where it is there.
    """

    place: str
    name: str
    steps: tuple[str, ...]
    must: tuple[str, ...] = ()
    uses: tuple[str, ...] = ENGINES


_OSA = ("osa",)
NEEDED_FILES = (
    NeededFile("scw", EVENTS_FILE, ("COR", "BIN_I", "BIN_S", "BIN_T"), must=ENGINES),
    NeededFile("scw", GROUP_FILE, ("COR", "GTI", "IMA", "SPE", "LCR"), must=_OSA),
    NeededFile("scw", "ibis_hk.fits", ("COR", "GTI", "DEAD"), must=_OSA),
    NeededFile("scw", "isgri_dead.fits", ("DEAD",), uses=("native",)),
    NeededFile("scw", "sc_orbit_param.fits", ("LCR",), uses=("native",)),
    NeededFile("rev", "idx/isgri_context_index.fits", ("BIN_I", "BIN_S", "BIN_T"), must=_OSA),
    NeededFile("rev", "idx/isgri_prp_noise_index.fits", ("BIN_I", "BIN_S", "BIN_T"), must=_OSA),
    NeededFile("rev", "idx/isgri_pxlswtch_index.fits", ("COR",), must=_OSA),
    NeededFile("rev", "*/isgri_context_*.fits", ("BIN_I", "BIN_S", "BIN_T")),
    NeededFile("rev", "*/isgri_prp_noise_*.fits", ("BIN_I", "BIN_S", "BIN_T")),
    NeededFile("rev", "*/isgri_pxlswtch_*.fits", ("COR",)),
    NeededFile("aux", "time_correlation.fits", ("COR", "BIN_I", "IMA"), must=_OSA, uses=_OSA),
    NeededFile("aux", "attitude_historic.fits", ("GTI", "IMA"), must=_OSA, uses=_OSA),
    NeededFile("aux", "attitude_snapshot.fits", ("GTI", "IMA"), uses=_OSA),
    NeededFile("aux", "attitude_predicted_*.fits", ("GTI", "IMA"), uses=_OSA),
    NeededFile("aux", "orbit_historic.fits", ("COR", "LCR")),
)
"""After the step table of OSA's manual; ISDC's archive has further files, which these steps do not read."""


def needed_files(engine: str, place: str) -> Iterator[NeededFile]:
    """Files of one place that an engine reads."""
    return (needed for needed in NEEDED_FILES if needed.place == place and engine in needed.uses)


def step_of(place: str, name: str) -> str:
    """Steps that read a file, such as ``"COR, GTI, DEAD"``; empty if none does."""
    plain = name.removesuffix(".gz")
    found = [needed for needed in NEEDED_FILES if needed.place == place and fnmatch.fnmatchcase(plain, needed.name)]
    return ", ".join(found[0].steps) if found else ""
