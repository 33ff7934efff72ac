"""Shadowgrams with known truth, built by hand: no event, no file, no fitted threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.simulation.shadowgram import LitSource, expected_shadowgram

LIVE_TIME_S = 2000.0
BACKGROUND_RATE = 300.0


def usable_pixels(seed: int = 3) -> np.ndarray:
    """All but 4 % of the pixels, the dead ones at random."""
    return active_pixels() & (np.random.default_rng(seed).random((134, 130)) > 0.04)


def uneven_efficiency() -> np.ndarray:
    return np.random.default_rng(8).uniform(0.5, 1.0, (134, 130))


def uneven_background() -> np.ndarray:
    """Shape that differs from the pixels' answer to the sky, so that a level of either can be told from the other."""
    return np.where(active_pixels(), np.random.default_rng(9).uniform(0.8, 1.2, (134, 130)), 0.0)


def make_shadowgram(
    sources: Sequence[LitSource] = (),
    rng: np.random.Generator | None = None,
    usable: np.ndarray | None = None,
    background_shape: np.ndarray | None = None,
    background_rate: float = BACKGROUND_RATE,
) -> Shadowgram:
    """Uneven background and sources through pixels of uneven efficiency; expected counts without ``rng``."""
    usable = usable_pixels() if usable is None else usable
    efficiency = np.where(usable, uneven_efficiency(), 0.0)
    known = uneven_background()
    background = expected_shadowgram([], background_rate, LIVE_TIME_S, efficiency, known)
    shape = known if background_shape is None else known * background_shape
    true = expected_shadowgram(sources, background_rate, LIVE_TIME_S, efficiency, shape)
    counts = true if rng is None else rng.poisson(true).astype(float)
    return Shadowgram(
        usable=usable,
        counts=np.where(usable, counts, 0.0),
        expected=background,
        source_response=LIVE_TIME_S * efficiency / OPEN_PIXELS,
        background_response=background,
        variance=np.where(usable, true, 0.0),
        efficiency=efficiency,
        live_time_s=LIVE_TIME_S,
    )


@pytest.fixture(scope="session")
def shadowgram_of() -> Callable[..., Shadowgram]:
    """The function that makes a shadowgram: ``shadowgram_of(sources, rng)``."""
    return make_shadowgram


@pytest.fixture(scope="session")
def covariance_of() -> Callable[..., Covariance]:
    """The function that makes a shadowgram and its covariance without structure."""

    def make(*args: object, widths: StructureWidths | None = None, **keywords: object) -> Covariance:
        return Covariance(make_shadowgram(*args, **keywords), widths or StructureWidths())

    return make
