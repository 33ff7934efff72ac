from __future__ import annotations

import numpy as np
import pytest

from integral_oda.instrument.energy import resolution_sigma_kev
from integral_oda.simulation.recipe import BackgroundModel, BandFunction, CutoffPowerLaw, Flux, Line, PowerLaw
from integral_oda.simulation.spectra import (
    CountSpectrum,
    background_spectrum,
    photon_spectrum,
    source_spectrum,
)

ONE_CRAB = Flux(value=1000, unit="mCrab", band=(20, 40))


@pytest.mark.parametrize(
    ("band", "rate"), [((20, 40), 114), ((25, 80), 167), ((28, 40), 61), ((40, 80), 87), ((60, 100), 43)]
)
def test_rates_of_the_crab_in_the_reference(band, rate):
    assert source_spectrum(PowerLaw(index=2.1), ONE_CRAB, 0).band_rate(*band) == pytest.approx(rate, rel=0.015)


def test_flux_units_agree_on_the_crab():
    counts = source_spectrum(PowerLaw(index=2.1), ONE_CRAB, 665).band_rate(20, 40)
    ergs = source_spectrum(PowerLaw(index=2.1), Flux(value=7.71e-9, unit="erg/cm2/s"), 665)
    assert ergs.band_rate(20, 40) == pytest.approx(counts, rel=0.005)


@pytest.mark.parametrize("model", [PowerLaw(index=1.5), CutoffPowerLaw(), BandFunction()])
@pytest.mark.parametrize("band", [(20.0, 40.0), (28.0, 80.0), (100.0, 101.0)])
def test_counts_asked_for_are_the_counts_of_the_band(model, band):
    spectrum = source_spectrum(model, Flux(value=12.5, band=band), 2559)
    assert spectrum.band_rate(*band) == pytest.approx(12.5)


def test_the_band_function_is_smooth_and_ends_as_a_power_law():
    model = BandFunction(alpha=-1.98, beta=-2.33, e_c_kev=500)
    turn = 0.35 * 500
    below, above = photon_spectrum(model, np.array([turn * (1 - 1e-9), turn]))
    assert below == pytest.approx(above)
    high = photon_spectrum(model, np.array([400.0, 800.0]))
    assert high[1] / high[0] == pytest.approx(2**-2.33)
    assert photon_spectrum(model, np.array([100.0]))[0] == pytest.approx(np.exp(-0.2))


def test_background_has_its_rate_and_its_lines():
    flat = BackgroundModel(rate=400, band=(25, 80), continuum=((15, 1), (1000, 1)), lines=())
    lined = flat.model_copy(update={"lines": (Line(energy_kev=59, fraction=0.1),)})
    plain, with_line = background_spectrum(flat, 665), background_spectrum(lined, 665)
    assert plain.band_rate(25, 80) == pytest.approx(400)
    assert with_line.band_rate(25, 80) == pytest.approx(400)
    excess = with_line.rate / with_line.band_rate(90, 200) - plain.rate / plain.band_rate(90, 200)
    centres = (plain.edges_kev[1:] + plain.edges_kev[:-1]) / 2
    mean = (excess * centres).sum() / excess.sum()
    assert mean == pytest.approx(59, abs=0.3)
    width = np.sqrt((excess * (centres - mean) ** 2).sum() / excess.sum())
    assert width == pytest.approx(float(resolution_sigma_kev(59.0, 665)), rel=0.02)


def test_resolution_is_the_one_of_the_threshold_cut():
    assert float(resolution_sigma_kev(30.0, 1000)) == pytest.approx((4.80 + 1.7) / 2.3548)
    assert float(resolution_sigma_kev(240.0, 0)) == pytest.approx(4 * 4.80 / 2.3548)


def test_energies_follow_the_spectrum():
    spectrum = CountSpectrum(np.array([20.0, 30.0, 40.0, 60.0]), np.array([1.0, 0.0, 3.0]))
    energy = spectrum.draw_energies(40_000, np.random.default_rng(3))
    counts, _ = np.histogram(energy, spectrum.edges_kev)
    assert counts[1] == 0
    assert counts[0] == pytest.approx(10_000, abs=4 * np.sqrt(7500))
    assert energy[energy > 40].mean() == pytest.approx(50, abs=0.2)
    assert spectrum.draw_energies(0, np.random.default_rng(3)).shape == (0,)


def test_parts_of_a_spectrum_make_the_whole():
    spectrum = source_spectrum(PowerLaw(), ONE_CRAB, 665)
    parts = [spectrum.cut(e1, e2) for e1, e2 in ((13.5, 40), (40, 100), (100, 1000))]
    assert sum(part.total for part in parts) == pytest.approx(spectrum.total)
    assert parts[1].total == pytest.approx(spectrum.band_rate(40, 100))
