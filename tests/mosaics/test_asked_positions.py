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
