import numpy as np
import pytest

from integral_oda.instrument.usable_energy import efficiency_uncertainty, spectral_epoch


@pytest.mark.parametrize(("revolution", "energy"), [(0, 18), (51, 18), (999, 18), (1000, 22), (1626, 30), (2559, 30)])
def test_usable_energy_rises_with_the_years(revolution, energy):
    epoch = spectral_epoch(revolution)
    assert epoch.usable_kev == energy
    assert epoch.doubtful_kev < epoch.usable_kev
    assert 0.01 <= epoch.systematic <= 0.05


def test_uncertainty_is_the_correction():
    assert efficiency_uncertainty(np.array([1.0, 0.5, 0.0])).tolist() == [0.0, 1.0, pytest.approx(49.0)]
