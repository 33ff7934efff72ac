from __future__ import annotations

import numpy as np
import pytest

from integral_oda.instrument.epochs import OSA_SEAM_IJD, sensitivity_factor
from integral_oda.products.light_curve import read_light_curve


def test_the_factor_by_hand():
    assert sensitivity_factor(52900 - 51544) == pytest.approx(1.0)
    assert sensitivity_factor(57100 - 51544) == pytest.approx(1.11, abs=0.002)


def test_the_crab_gets_level(real_data):
    curve = read_light_curve(real_data / "gbelanger_java-tda/ts_isgri_83.633_22.014_20-35keV.qdp.gz")
    before = curve.time_ijd < OSA_SEAM_IJD - 200
    year = ((curve.time_ijd - curve.time_ijd[0]) / 730.5).astype(int)

    def spread(rate):
        medians = [
            np.median(rate[before & (year == y)]) for y in np.unique(year[before]) if (before & (year == y)).sum() > 50
        ]
        return np.std(medians) / np.mean(medians)

    assert spread(curve.rate * sensitivity_factor(curve.time_ijd)) < 0.6 * spread(curve.rate)
