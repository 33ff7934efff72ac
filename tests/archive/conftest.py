"""Small event files in the archive's structure, made with astropy."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).parent))

TSTART, TSTOP = 8320.6323, 8320.6736


def event_columns(n: int, seed: int) -> list[fits.Column]:
    rng = np.random.default_rng(seed)
    y, z = rng.integers(0, 128, n), rng.integers(0, 128, n)
    return [
        fits.Column("DELTA_TIME", "1B", array=rng.integers(0, 256, n)),
        fits.Column("RISE_TIME", "1B", array=rng.integers(0, 128, n)),
        fits.Column("ISGRI_PHA", "1I", array=rng.integers(0, 2048, n)),
        fits.Column("ISGRI_Y", "1B", array=y),
        fits.Column("ISGRI_Z", "1B", array=z),
        fits.Column("DETY", "1B", array=y + 2 * (y >= 64)),
        fits.Column("DETZ", "1B", array=z + 2 * (z // 32)),
        fits.Column("OB_TIME", "4I", bzero=32768, array=rng.integers(0, 65536, (n, 4)).astype(np.uint16)),
        fits.Column("ISGRI_PI", "1B", null=255, array=rng.integers(0, 256, n)),
        fits.Column("ISGRI_ENERGY", "1E", unit="keV", array=rng.uniform(0, 500, n)),
        fits.Column("SELECT_FLAG", "1B", array=rng.integers(0, 2, n)),
        fits.Column("TIME", "1D", unit="d", array=np.sort(rng.uniform(TSTART, TSTOP, n))),
    ]


def event_hdus(n: int = 500, seed: int = 1) -> fits.HDUList:
    events = fits.BinTableHDU.from_columns(event_columns(n, seed), name="ISGR-EVTS-ALL")
    events.header.update(
        SWID="255900280010", REVOL=2559, TSTART=TSTART, TSTOP=TSTOP, CREATOR="it''s a test / not a comment"
    )
    events.header.update(RA_SCX=286.8229, DEC_SCX=20.2763, RA_SCZ=199.3752, DEC_SCZ=-6.8731)
    gti = fits.BinTableHDU.from_columns(
        [
            fits.Column("START", "1D", array=[TSTART + 0.0001, TSTART + 0.02]),
            fits.Column("STOP", "1D", array=[TSTART + 0.01, TSTOP]),
        ],
        name="IBIS-GNRL-GTI",
    )
    gti.header["GTI_NAME"] = "MERGED_ISGRI"
    return fits.HDUList([fits.PrimaryHDU(), events, gti])


def as_bytes(hdus: fits.HDUList) -> bytes:
    buffer = io.BytesIO()
    hdus.writeto(buffer)
    return buffer.getvalue()


@pytest.fixture
def make_events() -> Callable[..., fits.HDUList]:
    """The function that makes an event file's HDUs: ``make_events(n=500, seed=1)``."""
    return event_hdus


@pytest.fixture
def to_bytes() -> Callable[[fits.HDUList], bytes]:
    """The function that gives the bytes of a FITS file."""
    return as_bytes


@pytest.fixture(scope="session")
def event_bytes() -> bytes:
    """Bytes of a plain FITS event file with 500 events."""
    return as_bytes(event_hdus())


@pytest.fixture(scope="session")
def packed_event_bytes(event_bytes: bytes) -> bytes:
    """The same, gzipped."""
    return gzip.compress(event_bytes, 1)
