import numpy as np
import pytest
from astropy.modeling.models import PowerLaw1D
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.errors import RequestError
from integral_oda.spectra.model import energy_flux, model_from_expression, wrap_model

EDGES = np.arange(15.0, 300.0, 0.5)


@given(st.floats(-1, 6))
def test_photons_in_bins_are_the_integral(index):
    model = model_from_expression("powerlaw")
    photons = model.photons(EDGES[:-1], EDGES[1:], np.array([index, 2.0]))
    power = 1 - index
    exact = np.log(EDGES[1:] / EDGES[:-1]) if abs(power) < 1e-9 else np.diff(EDGES**power) / power
    assert np.allclose(photons, 2 * exact, rtol=1e-7)


def test_energy_flux_of_the_crab():
    """Power law 9.7 E^-2.1: 7.71e-9, 4.27e-9 and 5.14e-9 erg/cm2/s in 20-40, 40-60 and 60-100 keV."""
    model = model_from_expression("powerlaw")
    for band, flux in (((20, 40), 7.71e-9), ((40, 60), 4.27e-9), ((60, 100), 5.14e-9)):
        assert energy_flux(model, np.array([2.1, 9.7]), *band) == pytest.approx(flux, rel=2e-3)


def test_sums_and_products():
    model = model_from_expression("constant*(powerlaw*highecut + gaussian)")
    assert model.names == ("factor", "index", "norm_3", "e_cut", "e_fold", "line_e", "sigma", "norm_5") or set(
        model.names
    ) >= {"factor", "index", "e_cut", "e_fold", "line_e", "sigma"}
    assert len([name for name in model.names if name.startswith("norm")]) == 2
    values = dict(zip(model.names, model.values, strict=True))
    expected = 15.0 ** -values["index"]
    assert model.density(np.array([15.0]), model.values)[0] == pytest.approx(
        expected + float(model_from_expression("gaussian").density(np.array([15.0]), np.array([60.0, 3.0, 1.0]))[0])
    )


def test_any_astropy_model_is_taken():
    model = wrap_model(PowerLaw1D(amplitude=2.0, x_0=10.0, alpha=1.5))
    assert model.density(np.array([40.0]), model.values)[0] == pytest.approx(2 * 4**-1.5)
    assert model.norms == (0,)


@pytest.mark.parametrize("text", ["", "powerlow", "powerlaw+", "powerlaw-bbody", "__import__('os')", "highecut", "1+2"])
def test_what_is_no_model_is_refused(text):
    with pytest.raises(RequestError, match="powerlaw"):
        model_from_expression(text)


def test_values_freezing_and_thawing():
    model = model_from_expression("bkn2pow", {"index2": 1.7}, frozen=["index1"], thawed=["e_break2"])
    assert model.values[model.index_of("index2")] == 1.7
    assert [n for n, fixed in zip(model.names, model.fixed, strict=True) if fixed] == ["index1", "e_break1"]
    with pytest.raises(RequestError, match="index9"):
        model_from_expression("powerlaw", {"index9": 1.0})
    with pytest.raises(RequestError, match="index is from"):
        model_from_expression("powerlaw", {"index": 99.0})
