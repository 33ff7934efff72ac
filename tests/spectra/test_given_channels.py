"""Spectra of channels whose efficiencies and background are given."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.given_plane import GivenPlane
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.spectra.extraction import IlluminationTable, fit_channels, fit_structure
from integral_oda.spectra.given_channels import GivenChannels

EDGES = np.array([20.0, 25.0, 30.0, 36.0, 44.0, 55.0, 70.0, 90.0])
BAND = slice(0, len(EDGES) - 1)
ONTIME_S = 2000.0
PLACE, FLUX = (0.02, -0.03), np.array([14.0, 12.0, 11.0, 10.0, 9.0, 7.0, 5.0])
ACTIVE = active_pixels()
LIVE = np.where(ACTIVE, 0.8 * ONTIME_S, 0.0)
TURN_ON = np.array([0.2, 0.5, 0.8, 1.0, 1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def illumination():
    pif = pixel_illumination(*PLACE, energy_kev=40.0)
    return IlluminationTable(lambda _energy: pif[ACTIVE][:, None], [PLACE])


def channels(rng):
    pif = pixel_illumination(*PLACE, energy_kev=40.0)
    pixel = np.where(ACTIVE, rng.uniform(0.6, 0.8, ACTIVE.shape), 0.0)
    planes = []
    for flux, on in zip(FLUX, TURN_ON, strict=True):
        efficiency = pixel * on
        background = 2.0 * efficiency
        mean = background + flux * pif * efficiency * ONTIME_S / OPEN_PIXELS
        counts = rng.poisson(mean).astype(float)
        told = background * counts.sum() / background.sum()  # normalised with the source's counts in it
        planes.append(GivenPlane(counts, efficiency, told))
    return GivenChannels(planes, EDGES, ONTIME_S, LIVE)


def fitted(plane, illumination):
    return fit_channels(plane, [fit_structure(plane, BAND, illumination)], illumination)


def test_fluxes_and_errors_are_right_where_the_background_is_levelled(illumination):
    """The noise of a channel is that of its counts, so the pulls of all channels are of unit width."""
    rng, pulls, wide = np.random.default_rng(5), [], []
    for _ in range(12):
        plane = channels(rng)
        first = fitted(plane, illumination)
        plane = plane.with_background(first.background * plane.live_time[plane.usable].mean())
        second = fitted(plane, illumination)
        error = np.sqrt(np.diag(second.covariance[0]))
        pulls.append((second.flux[0] - FLUX) / error)
        wide.append(np.sqrt(np.diag(first.covariance[0])) / error)
    pulls = np.array(pulls)
    assert abs(pulls.mean()) < 3 / np.sqrt(pulls.size)
    assert 0.85 < pulls.std() < 1.15
    assert np.mean(wide, axis=0)[0] > 1.03


def test_nothing_is_extracted_below_the_first_channel_that_sees(illumination):
    plane = channels(np.random.default_rng(1))
    dark = [GivenPlane(p.counts, p.efficiency * 1e-4, p.background) for p in plane.planes[:2]]
    plane = GivenChannels([*dark, *plane.planes[2:]], EDGES, ONTIME_S, LIVE)
    assert plane.lowest_kev() == 30.0
    fit = fitted(plane, illumination)
    assert np.isnan(fit.flux[0, :2]).all()
    assert np.isfinite(fit.flux[0, 2:]).all()
    assert fit.efficiency[2:] == pytest.approx(TURN_ON[2:] * 0.7 / 0.8, rel=0.01)


def test_a_background_without_counts_stays_as_it_is():
    plane = channels(np.random.default_rng(2))
    wanted = np.array([100.0, 0.0, -5.0, 200.0, 300.0, 1.0, 2.0])
    levelled = plane.with_background(wanted)
    totals = np.array([p.background.sum() for p in levelled.planes])
    before = np.array([p.background.sum() for p in plane.planes])
    np.testing.assert_allclose(totals, np.where(wanted > 0, wanted, before))
