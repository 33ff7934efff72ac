from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.bright import fit_roughly
from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.instrument.pif import pixel_illumination

PLACES = ((0.02, -0.03), (-0.1, 0.08))
MODULE = module_map()[active_pixels()]
PIFS = np.stack([pixel_illumination(*place)[active_pixels()] for place in PLACES], axis=1)


@pytest.mark.parametrize("flux", [0.0, 30.0, 3000.0])
def test_counts_are_those_expected_whatever_outshines_them(flux):
    rng = np.random.default_rng(3)
    true = (80 + 2.0 * MODULE) + flux * PIFS[:, 0]
    counts = rng.poisson(true * rng.normal(1, 0.1, len(true)).clip(0.5)).astype(float)
    counts[rng.random(len(true)) < 0.01] *= 30
    fit = fit_roughly(counts, MODULE, PIFS)
    assert fit.expected == pytest.approx(true, rel=0.12)
    assert (fit.significance[0] > 10) == (flux > 0)
    assert abs(fit.significance[1]) < 5


def test_modules_without_pixels_are_no_matter():
    kept = MODULE != 3
    fit = fit_roughly(np.full(kept.sum(), 50.0), MODULE[kept], np.zeros((kept.sum(), 0)))
    assert fit.expected == pytest.approx(np.full(kept.sum(), 50.0))
    assert fit.significance.shape == (0,)
