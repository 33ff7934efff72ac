"""Closed loop on planes drawn from the model itself."""

import numpy as np
import pytest

from integral_oda.imaging.efficiency import channel_model, measure_pliancy
from integral_oda.imaging.thresholds import CHANNELS, SPECTRUM_EDGES, PixelSpectra, Thresholds, refit_thresholds
from integral_oda.imaging.uniformity import Template
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.spectra.extraction import DetectorPlane, IlluminationTable, fit_channels, fit_structure

EDGES = np.array([20, 24, 28, 34, 41, 50, 60.5, 79.5, 99.5, 139.5, 201.0])
BANDS = (slice(0, 4), slice(4, 7), slice(7, 10))
LIVE_S = 1500.0
PLACES = ((0.01, -0.02), (0.12, 0.10))
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
CRAB = 900 * CENTRES**-1.9 * np.diff(EDGES)
FLUXES = np.stack([CRAB, 0.02 * CRAB])
"""A Crab-like source near the axis, and one of 20 mCrab 9 degrees from it."""


def known_thresholds(usable, rng, centre=17.0, spread=0.0):
    energy = rng.normal(centre, spread, int(usable.sum())) if spread else np.full(int(usable.sum()), centre)
    background = 3e-2 * LIVE_S * CHANNELS**-1.4
    return Thresholds(energy, 2.3, centre, max(spread, 1.0), background)


def pifs(usable, energy):
    return np.stack([pixel_illumination(*p, energy_kev=energy)[usable] for p in PLACES], axis=1)


def draw(usable, thresholds, rng):
    model = channel_model(thresholds, EDGES)
    expected = model.background.copy()
    for c, energy in enumerate(CENTRES):
        expected[:, c] += pifs(usable, energy) @ FLUXES[:, c] * model.efficiency[:, c] * LIVE_S / OPEN_PIXELS
    return rng.poisson(expected)


def extract(usable, thresholds, counts):
    plane = DetectorPlane(usable, counts, EDGES, thresholds, np.where(active_pixels(), LIVE_S, 0.0))
    table = IlluminationTable(lambda energy: pifs(usable, energy))
    return fit_channels(plane, [fit_structure(plane, band, table) for band in BANDS], table)


@pytest.fixture(scope="module")
def trials():
    rng = np.random.default_rng(2)
    usable = active_pixels() & (rng.random(active_pixels().shape) > 0.03)
    thresholds = known_thresholds(usable, rng, centre=10.0)
    return [extract(usable, thresholds, draw(usable, thresholds, rng)) for _ in range(8)]


def test_bright_and_faint_source_come_back_unbiased(trials):
    found = np.stack([fit.flux for fit in trials])
    errors = np.stack([np.sqrt(np.diagonal(fit.covariance, axis1=1, axis2=2)) for fit in trials])
    pulls = (found - FLUXES) / errors
    for source in range(2):
        values = pulls[:, source]
        assert abs(values.mean()) < 4 / np.sqrt(values.size)
        assert 0.8 < values.std() < 1.2
    totals = found.sum(axis=(0, 2)) / FLUXES.sum(axis=1) / len(trials)
    assert totals[0] == pytest.approx(1.0, abs=0.01)


def test_covariance_is_one(trials):
    for fit in trials[:2]:
        for source in range(2):
            assert np.allclose(fit.covariance[source], fit.covariance[source].T)
            assert np.linalg.eigvalsh(fit.covariance[source]).min() > 0


def test_background_comes_back(trials):
    rng = np.random.default_rng(2)
    usable = active_pixels() & (rng.random(active_pixels().shape) > 0.03)
    expected = channel_model(known_thresholds(usable, rng, centre=10.0), EDGES).background.sum(axis=0) / LIVE_S
    assert np.mean([fit.background for fit in trials], axis=0) == pytest.approx(expected, rel=0.01)


def test_structure_that_is_known_is_taken_from_the_channels():
    rng = np.random.default_rng(5)
    usable = active_pixels()
    thresholds = known_thresholds(usable, rng, centre=10.0)
    structure = rng.normal(0, 0.15, int(usable.sum()))
    counts = rng.poisson(channel_model(thresholds, EDGES).background * (1 + structure[:, None]))
    plane = DetectorPlane(usable, counts, EDGES, thresholds, np.where(active_pixels(), LIVE_S, 0.0))
    table = IlluminationTable(lambda energy: pifs(usable, energy))
    relative, nothing = np.zeros(usable.shape), np.zeros(usable.shape)
    relative[usable] = structure
    known = Template(relative, nothing[None][:0], nothing, 0.0, 28.0, 80.0, "other windows")
    plain, better = (fit_structure(plane, slice(0, 7), table, template) for template in (None, known))
    assert better.shared_variance.max() < 0.3 * plain.shared_variance.min()
    assert better.relative == pytest.approx(structure.clip(-0.5, 0.5), abs=0.05)
    assert np.corrcoef(plain.relative, structure)[0, 1] < 0.9


def test_thresholds_fitted_to_the_same_counts_do_not_take_the_source():
    """With thresholds fitted to the counts themselves, channels they turn on in are unbiased for any spectrum."""
    rng = np.random.default_rng(4)
    usable = active_pixels()
    true = known_thresholds(usable, rng, centre=30.0, spread=3.0)
    model = channel_model(true, EDGES)
    pulls = []
    for _ in range(4):
        fine = _fine_counts(usable, true, rng)
        start = Thresholds(true.energy_kev, 2.3, 30.0, 3.0, true.background)
        spectra = PixelSpectra(fine, np.zeros(len(CHANNELS)))

        fitted = measure_pliancy(refit_thresholds(start, spectra.counts), spectra.counts)
        edges = SPECTRUM_EDGES[SPECTRUM_EDGES >= 26]
        counts = fine[:, SPECTRUM_EDGES[:-1] >= 26].astype(int)
        plane = DetectorPlane(usable, counts, edges, fitted, np.where(active_pixels(), LIVE_S, 0.0))
        table = IlluminationTable(lambda energy: pifs(usable, energy))
        cuts = (slice(0, 8), slice(8, len(edges) - 1))
        fit = fit_channels(plane, [fit_structure(plane, band, table) for band in cuts], table)
        truth = _hard_flux(edges)
        error = np.sqrt(np.diagonal(fit.covariance[0]))
        pulls.append(((fit.flux[0] - truth) / error)[edges[:-1] >= 28])
    pulls = np.array(pulls)
    assert model.efficiency.mean() < 1
    assert abs(pulls.mean()) < 0.5
    assert pulls.std() < 1.4


def _hard_flux(edges):
    """Photon index about 0.5 in counts: nothing like the power law that bands assume."""
    centre = (edges[1:] + edges[:-1]) / 2
    return 3.0 * (centre / 60) ** 1.0 * np.diff(edges) / 10


def _fine_counts(usable, true, rng):
    model = channel_model(true, SPECTRUM_EDGES)
    flux = _hard_flux(SPECTRUM_EDGES)
    expected = model.background.copy()
    for c, energy in enumerate((SPECTRUM_EDGES[1:] + SPECTRUM_EDGES[:-1]) / 2):
        expected[:, c] += pifs(usable, energy)[:, 0] * flux[c] * model.efficiency[:, c] * LIVE_S / OPEN_PIXELS
    return rng.poisson(expected).astype(float)
