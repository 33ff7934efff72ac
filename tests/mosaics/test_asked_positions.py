"""A position that was asked for always gets a flux, whatever the source there is like."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.catalog.reference import CatalogSource
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.mosaics.sources import LISTED_SIGNIFICANCE, find_sources
from integral_oda.simulation.sky_image import draw_sky_image

BAND = EnergyBand(20.0, 40.0)
POINTING = {"RA_SCX": 83.0, "DEC_SCX": 22.0, "RA_SCZ": 83.0, "DEC_SCZ": -68.0}
FAINT = CatalogSource("Faint", 84.0, 23.0)


@pytest.mark.parametrize("flux", [0.0, 3.5, 3.8])
def test_a_source_between_fitted_and_listed_is_measured_where_it_is_asked_for(flux):
    for seed in range(6):
        generator = np.random.default_rng([11, seed])
        image = draw_sky_image(
            Attitude.from_keywords(POINTING), [(84.0, 23.0, flux)], 1.0, generator, BAND, "066500010010.001"
        )
        found = find_sources([image], 7.0, [FAINT], at=[("Faint", 84.0, 23.0)])
        (source,) = [source for source in found.sources if source.name == "Faint"]
        assert source.forced == (source.significance < LISTED_SIGNIFICANCE)
        assert np.isfinite(source.bands[0].limit_3sigma)


@pytest.mark.parametrize("apart_arcmin", [0.0, 1.5, 3.0])
def test_a_source_keeps_its_flux_whatever_is_asked_for_beside_it(apart_arcmin):
    """The place of a faint source is found a few arcmin off: asked for by its name it is the one that was found."""
    image = draw_sky_image(
        Attitude.from_keywords(POINTING), [(84.0, 23.0, 12.0)], 1.0, np.random.default_rng(5), BAND, "066500010010.001"
    )
    (alone,) = find_sources([image], 7.0, [FAINT]).sources
    (named,) = find_sources([image], 7.0, [FAINT], at=[("Faint", 84.0, 23.0 + apart_arcmin / 60)]).sources
    assert (named.name, named.forced, named.bands) == ("Faint", False, alone.bands)
    beside = find_sources([image], 7.0, [FAINT], at=[("J0536+23", 84.0, 23.0 + (alone.error_radius_arcmin + 3) / 60)])
    assert [source.forced for source in beside.sources] == [False, True]
    assert beside.sources[0].bands[0].flux == pytest.approx(alone.bands[0].flux, abs=0.2 * alone.bands[0].flux_error)
