from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Dead, Gti, select_events
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.gain import (
    SPECTRUM_EDGES_KEV,
    correction_card,
    gain_cards,
    gain_factors,
    module_gain,
    module_spectra,
)
from integral_oda.engines.native.image import BinI
from integral_oda.imaging.quality import TUNGSTEN_KEV
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.imaging.thresholds import threshold_sigma_kev
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

REVOLUTION = 100
MIDDLE = (SPECTRUM_EDGES_KEV[1:] + SPECTRUM_EDGES_KEV[:-1]) / 2


def spectra(line_shift=0.0, module_shift=0.0, seed=1, line=20_000.0, level_at_50_kev=400):
    """Spectra with a steep edge at 105 keV and the tungsten line; module 3's energies moved against the others'."""
    rng = np.random.default_rng(seed)
    sigma = threshold_sigma_kev(REVOLUTION)
    planes = []
    for module in range(8):
        energy = MIDDLE - (module_shift if module == 3 else 0.0)
        level = level_at_50_kev * (energy / 50) ** -0.8 * (0.35 + 0.65 / (1 + np.exp((energy - 105) / 5)))
        peak = np.exp(-0.5 * ((energy - TUNGSTEN_KEV - line_shift) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        planes.append(rng.poisson(level + line / 8 * peak * 0.5))
    return np.array(planes, dtype=float)


def test_a_gain_that_holds_is_no_warning():
    assert gain_cards(spectra(), REVOLUTION)["GAINWARN"] == "none"


@pytest.mark.parametrize("shift", [-2.0, 1.6])
def test_a_shifted_tungsten_line_is_a_warning(shift):
    cards = gain_cards(spectra(line_shift=shift), REVOLUTION)
    assert cards["GAINKEV"] == pytest.approx(shift, abs=0.5)
    assert cards["GAINWARN"].endswith(f"shifted by {cards['GAINKEV']:+.2f} keV")


def test_a_module_against_the_others_is_a_warning():
    cards = gain_cards(spectra(module_shift=2.5, line=0.0, level_at_50_kev=20_000), REVOLUTION)
    assert "module 3" in cards["GAINWARN"]
    assert cards["GAINKEV"] == pytest.approx(2.5, abs=0.6)


def test_small_shifts_are_told_but_no_warning():
    cards = gain_cards(spectra(line_shift=0.4), REVOLUTION)
    assert cards["GAINKEV"] == pytest.approx(0.4, abs=0.5)
    assert cards["GAINWARN"] == "none"


def test_no_events_no_gain():
    empty = np.zeros((8, len(MIDDLE)))
    assert gain_cards(empty, REVOLUTION) == {"GAINKEV": 0.0, "GAINWARN": "none"}
    assert module_gain(empty, 0, 2.0)["line_kev"] is None


def test_spectra_of_modules_count_what_is_in_range():
    energy = np.array([14.9, 15.0, 15.6, 249.9, 251.0, 60.0], dtype=np.float32)
    counted = module_spectra(energy, np.array([0, 0, 0, 7, 7, -1]))
    assert counted.sum() == 3
    assert (counted[0, 0], counted[0, 1], counted[7, -1]) == (1, 1, 1)


def background_spectra(shifts_kev, seed=2, continuum=4000):
    """Spectra of a falling continuum with the tungsten line of each module moved by so much."""
    rng = np.random.default_rng(seed)
    sigma = threshold_sigma_kev(REVOLUTION)
    level = 0.5 * continuum * (MIDDLE / 50) ** -1.2
    peaks = [np.exp(-0.5 * ((MIDDLE - TUNGSTEN_KEV - shift) / sigma) ** 2) for shift in shifts_kev]
    return np.array([rng.poisson(level + 0.5 * peak * 1500) for peak in peaks], dtype=float)


def test_lines_where_they_belong_leave_every_energy_as_it_is():
    # 0.4 keV is what the continuum under the line may move it by.
    for shifts in (np.zeros(8), np.full(8, 0.4), 0.4 * np.array([1, -1, 0, 0, 1, -1, 0, 0])):
        factors = gain_factors(background_spectra(shifts), REVOLUTION)
        assert factors.tolist() == [1.0] * 8
        assert correction_card(factors) == {"GAINCORR": "none"}


def test_modules_are_brought_to_the_line_of_all_together():
    shifts = np.array([1.5, -1.5, 0.0, 0.0, 0.0, 2.0, -2.0, 0.0])
    factors = gain_factors(background_spectra(shifts), REVOLUTION)
    assert factors == pytest.approx(TUNGSTEN_KEV / (TUNGSTEN_KEV + shifts), abs=5e-3)
    assert (factors[shifts == 0] == 1).all()
    assert len(correction_card(factors)["GAINCORR"]) < 68


@given(common=st.floats(1.3, 3.0), sign=st.sampled_from([-1, 1]), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_a_common_shift_above_the_warning_is_taken_off(common, sign, seed):
    shift = sign * common
    factors = gain_factors(background_spectra(np.full(8, shift), seed), REVOLUTION)
    assert factors == pytest.approx(np.full(8, TUNGSTEN_KEV / (TUNGSTEN_KEV + shift)), abs=4e-3)


def test_a_line_that_hardly_stands_out_corrects_nothing():
    weak = background_spectra(np.full(8, 2.0), continuum=500_000)
    assert (gain_factors(weak, REVOLUTION) == 1).all()
    assert (gain_factors(np.zeros((8, len(MIDDLE))), REVOLUTION) == 1).all()


GAINS = (1.03, 0.97, 1.0, 1.02, 0.98, 1.03, 0.97, 1.0)


def simulated(tmp_path, module_gains, declination=23.0, rate=150.0):
    """Events of a window with a bright source, whose modules have these gains."""
    recipe = make_recipe(
        {
            "seed": 12,
            "revolution": 100,
            "duration_s": 1500.0,
            "pointings": [{"ra": 83.6, "dec": 22.0}],
            "sources": [{"name": "A", "ra": 84.6, "dec": declination, "flux": {"value": rate, "band": (40, 80)}}],
            "detector": {"low_threshold_kev": 17.0, "low_threshold_spread_kev": 1.0, "module_gains": module_gains},
        }
    )
    (scw,) = simulate(recipe, tmp_path)
    return read_events(Archive(tmp_path).events_file(str(scw)))


def flux_of_the_source(events, band, **how):
    """Fitted flux, and the cards of the selected events."""
    selected = select_events(events, **how)
    good = Gti().compute([selected], {}, {})
    dead = Dead().compute([selected, good], {}, {})
    field = CatI().compute([selected], {"extra": [["A", 84.6, 23.0]]}, {})
    base = [selected, good, dead, Effi().compute([selected, good, dead, field], {}, {}), field]
    shadowgram = BinI().compute(base, {"band": band}, {})
    covariance = Covariance(shadowgram, StructureWidths())
    places = [field.tangents[list(field.names).index("A")]]
    flux, _ = covariance.fit(shadowgram.excess, shadowgram.shadows(places, 57.0))
    return float(flux[0]), selected.header


@pytest.mark.slow
def test_correcting_the_gain_brings_the_flux_back(tmp_path):
    true, header = flux_of_the_source(simulated(tmp_path / "true", ()), (40.0, 80.0))
    assert header["GAINCORR"] == "none"
    low = simulated(tmp_path / "low", tuple(0.97 * gain for gain in GAINS))
    left, _ = flux_of_the_source(low, (40.0, 80.0), by_line=False)
    corrected, header = flux_of_the_source(low, (40.0, 80.0))
    factors = np.array([float(factor) for factor in header["GAINCORR"].split()])
    assert factors * GAINS * 0.97 == pytest.approx(np.ones(8), abs=0.015)
    assert header["GAINWARN"] != "none"
    # 1.2 % of the gain are left, for which the continuum under the line is to blame; a third of the flux's error is.
    assert abs(left / true - 1) > 0.02
    assert abs(corrected / true - 1) < 0.7 * abs(left / true - 1)


@pytest.mark.slow
@pytest.mark.parametrize(("declination", "rate"), [(23.0, 150.0), (34.0, 1000.0)], ids=["near", "bright at the edge"])
def test_energies_of_a_gain_that_holds_are_the_same_bits(declination, rate, tmp_path):
    # The bright one lights some modules more than others, so that their spectra differ by more than a keV.
    events = simulated(tmp_path, (1.004, 0.996, 1, 1, 1, 1.003, 1, 1), declination, rate)
    selected = select_events(events)
    np.testing.assert_array_equal(selected.energy_kev, select_events(events, by_line=False).energy_kev)
    assert (selected.header["GAINCORR"], selected.header["GAINWARN"]) == ("none", "none")
