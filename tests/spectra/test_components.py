import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from integral_oda.spectra.components import (
    ADDITIVE,
    BandFunction,
    BlackBody,
    BrokenPowerLaw,
    DiskBlackBody,
    GaussianLine,
    HighEnergyCutoff,
    PowerLaw,
    TwiceBrokenPowerLaw,
)

ENERGY = np.geomspace(15.0, 600.0, 60)


@pytest.mark.parametrize("kind", ADDITIVE.values())
def test_additive_models_follow_their_norm(kind):
    one, three = kind(), kind(norm=3.0)
    assert np.all(one(ENERGY) >= 0)
    assert np.allclose(three(ENERGY), 3 * one(ENERGY))


def test_power_law_by_hand():
    assert PowerLaw(index=2.1, norm=9.7)(30.0) == pytest.approx(9.7 * 30**-2.1)


@given(st.floats(0.5, 4), st.floats(0.5, 4), st.floats(20, 300))
def test_broken_power_law_is_continuous_with_both_slopes(index1, index2, e_break):
    model = BrokenPowerLaw(index1=index1, index2=index2, e_break=e_break, norm=1.0)
    assert model(e_break * (1 + 1e-9)) == pytest.approx(model(e_break), rel=1e-6)
    assert np.log(model(e_break * 4) / model(e_break * 2)) / np.log(2) == pytest.approx(-index2, abs=1e-6)
    assert np.log(model(e_break / 2) / model(e_break / 4)) / np.log(2) == pytest.approx(-index1, abs=1e-6)


def test_twice_broken_power_law_with_equal_slopes_is_a_power_law():
    model = TwiceBrokenPowerLaw(index1=2.0, index2=2.0, index3=2.0, norm=2.0)
    assert np.allclose(model(ENERGY), 2 * ENERGY**-2.0)


def test_band_function_turns_smoothly_into_its_power_law():
    model = BandFunction(alpha=-1.98, beta=-2.33, tem=500.0, norm=1.0)
    turn = 500.0 * 0.35
    assert model(turn * (1 + 1e-9)) == pytest.approx(model(turn * (1 - 1e-9)), rel=1e-6)
    assert np.log(model(800.0) / model(400.0)) / np.log(2) == pytest.approx(-2.33)
    assert model(100.0) == pytest.approx(np.exp(-0.2))


def test_black_body_has_the_luminosity_of_its_norm():
    """A norm of 1 is 1e39 erg/s at 10 kpc, 8.358e-8 erg/cm2/s; the constant of XSPEC is 0.25 % above that."""
    model = BlackBody(kt=10.0, norm=1.0)
    flux, _ = quad(lambda e: e * float(model(e)), 1e-3, 500.0)
    assert flux * 1.602176634e-9 == pytest.approx(1e39 / (4 * np.pi * (3.0857e22) ** 2), rel=3e-3)


@pytest.mark.parametrize("t_in", [1.0, 3.0, 30.0, 90.0])
@pytest.mark.parametrize("energy", [12.0, 60.0, 300.0])
def test_disk_black_body_is_its_integral_over_the_radii(t_in, energy):
    integral, _ = quad(
        lambda u: u ** (5 / 3) / np.expm1(np.minimum(u * energy / t_in, 600)), 1.0, 1.0 + 80 * t_in / energy
    )
    expected = 2.768e-3 * energy**2 * integral
    assert DiskBlackBody(t_in=t_in, norm=1.0)(energy) == pytest.approx(expected, rel=1e-5, abs=1e-250)


def test_line_holds_its_norm():
    grid = np.arange(20.0, 100.0, 0.01)
    assert GaussianLine(line_e=60.0, sigma=3.0, norm=0.7)(grid).sum() * 0.01 == pytest.approx(0.7)


def test_cutoff_is_one_below():
    model = HighEnergyCutoff(e_cut=40.0, e_fold=20.0)
    assert model(30.0) == 1.0
    assert model(60.0) == pytest.approx(np.exp(-1))
