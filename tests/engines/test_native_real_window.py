"""The real sample window, step by step: noise, and whether the far corner that Cyg X-1 lights is understood."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Dead, Gti, select_events
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.image import BinI, BkgI, Ima, RefI, band_energy_kev
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.structure import Covariance
from integral_oda.instrument.energy import EnergyBand, neighbour_band

SCW = "255900280010.001"
BANDS = (EnergyBand(40.0, 80.0), EnergyBand(28.0, 80.0))
WORST_NOISE = {BANDS[0]: 1.06, BANDS[1]: 1.20}
"""Largest noise over null."""


@pytest.fixture(scope="module")
def window(sample_archive):
    selected = select_events(read_events(Archive(sample_archive).events_file(SCW)))
    good = Gti().compute([selected], {}, {})
    dead = Dead().compute([selected, good], {}, {})
    field = CatI().compute([selected], {}, {})
    base = [selected, good, dead, Effi().compute([selected, good, dead, field], {}, {}), field]
    reference = RefI().compute(base, {"band": list(neighbour_band(BANDS[0]))}, {})
    shadowgrams = [BinI().compute([*base, reference], {"band": list(b)}, {}) for b in BANDS]
    widths = [BkgI().compute([s, field], {"band": list(b)}, {}) for s, b in zip(shadowgrams, BANDS, strict=True)]
    return SimpleNamespace(base=base, field=field, shadowgrams=shadowgrams, widths=widths)


def test_the_noise_is_close_to_that_of_poisson_draws(window):
    parameters = {"bands": [list(b) for b in BANDS], "threshold": 7.0}
    image = Ima().compute([*window.base, *window.shadowgrams, *window.widths], parameters, {})
    for band, noise in zip(BANDS, image.noise, strict=True):
        assert noise["significance_sigma"] / noise["null_sigma"] < WORST_NOISE[band]
        assert noise["largest_excess"] < 5
    assert not any(source.new for source in image.sources)
    assert image.suppressed == []


@pytest.mark.parametrize("k", [0, 1], ids=map(str, BANDS))
def test_odd_and_even_columns_of_the_corner_that_cyg_x_1_lights_agree(window, k):
    shadowgram, band = window.shadowgrams[k], BANDS[k]
    places = [window.field.tangents[window.field.names.index(name)] for name in ("Cyg X-1", "SGR 1935+2154")]
    corner, burster = FieldModel(Covariance(shadowgram, window.widths[k]), band_energy_kev(band)).design(places).T
    odd = np.broadcast_to(np.arange(130) % 2 == 1, (134, 130))[shadowgram.usable]
    design = np.column_stack([corner * ~odd, corner * odd, burster])
    fluxes, covariance = Covariance(shadowgram, window.widths[k]).fit(shadowgram.excess, design)
    spread = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert abs(fluxes[0] - fluxes[1]) < 2 * spread
    assert (fluxes[:2] > 5 * np.sqrt(np.diag(covariance)[:2])).all()
