"""Source-selected event lists, in the FITS form of high-energy astronomy that stingray and HENDRICS read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.products.fits_io import carried_keywords, write_fits

__all__ = ["PHA_STEP_KEV", "write_event_list"]

PHA_STEP_KEV = 0.5
EVENTS_EXTENSION, GTI_EXTENSION = "ISGR-EVTS-ALL", "IBIS-GNRL-GTI"
"""ISDC's names, by which stingray finds events and good time of IBIS."""
_MJDREF, _DAY_S = 51544, 86400.0
_FRAME = ("PLEPHEM", "BARYPOS", "BARYERR")


def write_event_list(
    path: Path, columns: Mapping[str, Array], gti_ijd: Array, source: Mapping[str, Any], keywords: Mapping[str, Any]
) -> None:
    """Write ISGR-EVTS-ALL and IBIS-GNRL-GTI; times are seconds since MJD 51544 in the frame of the keywords.

    Parameters
    ----------
    path : Path
    columns : mapping of str to ndarray
        ``time_ijd``, ``energy_kev``, ``det_y``, ``det_z``, ``pif``, ``probability`` and ``weight``, each ``(n,)``.
    gti_ijd : ndarray
        ``(m, 2)``.
    source : mapping
        ``name``, ``ra_deg``, ``dec_deg``, ``e1_kev``, ``e2_kev``.
    keywords : mapping
        Keywords of the science windows and of the time frame.
    """
    from astropy.io import fits

    time, energy = columns["time_ijd"] * _DAY_S, np.asarray(columns["energy_kev"])
    table = [
        fits.Column("TIME", "1D", unit="s", array=time),
        fits.Column("ISGRI_PHA", "1J", unit="chan", array=np.floor(energy / PHA_STEP_KEV).astype(np.int32)),
        fits.Column("ENERGY", "1E", unit="keV", array=energy),
        fits.Column("DETY", "1B", array=columns["det_y"]),
        fits.Column("DETZ", "1B", array=columns["det_z"]),
        fits.Column("PIF", "1E", array=columns["pif"]),
        fits.Column("PROB", "1E", array=columns["probability"]),
        fits.Column("WEIGHT", "1D", unit="counts", array=columns["weight"]),
    ]
    span = (float(gti_ijd[0, 0]) * _DAY_S, float(gti_ijd[-1, 1]) * _DAY_S)
    frame = {
        "TELESCOP": "INTEGRAL", "INSTRUME": "IBIS", "DETNAM": "ISGRI", "OBJECT": source["name"],
        "RA_OBJ": source["ra_deg"], "DEC_OBJ": source["dec_deg"], "RADECSYS": "FK5", "EQUINOX": 2000.0,
        "E_MIN": source["e1_kev"], "E_MAX": source["e2_kev"], "EUNIT": "keV",
        "MJDREFI": _MJDREF, "MJDREFF": 0.0, "TIMEZERO": 0.0, "TIMEUNIT": "s",
        "TIMESYS": keywords.get("TIMESYS", "TT"), "TIMEREF": keywords.get("TIMEREF", "LOCAL"),
        "TSTART": span[0], "TSTOP": span[1], "TIMEDEL": 2.0**-14,
    }  # fmt: skip
    carried = {k: v for k, v in carried_keywords(keywords).items() if k not in ("TSTART", "TSTOP", "TIMESYS")}
    carried.update({key: keywords[key] for key in _FRAME if key in keywords})
    events = fits.BinTableHDU.from_columns(table, name=EVENTS_EXTENSION)
    bounds = [fits.Column(n, "1D", unit="s", array=gti_ijd[:, k] * _DAY_S) for k, n in enumerate(("START", "STOP"))]
    good = fits.BinTableHDU.from_columns(bounds, name=GTI_EXTENSION)
    for hdu in (events, good):
        hdu.header.update({**frame, **carried})
    good.header.update({"HDUCLASS": "OGIP", "HDUCLAS1": "GTI"})
    events.header.update({"HDUCLASS": "OGIP", "HDUCLAS1": "EVENTS"})
    write_fits(path, [fits.PrimaryHDU(), events, good])
