"""Merged lists of sources, from values made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from integral_oda.engines.native.gather import Mosaic
from integral_oda.engines.native.image import WindowImage
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.photometry import source_band
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source

BAND = EnergyBand(28.0, 80.0)


def make_source(name, ra, dec, flux, error, **changes):
    source = Source(name, ra, dec, 0.5, 1.0, new=False, forced=False, bands=(source_band(BAND, flux, error),))
    return replace(source, **changes)


def make_window(sources, ra=83.6, flux=1.0, variance=4.0):
    attitude = Attitude.from_keywords({"RA_SCX": ra, "DEC_SCX": 22.0, "RA_SCZ": ra, "DEC_SCZ": -68.0})
    planes = [np.full((400, 400), value, np.float32) for value in (flux, variance, flux / variance**0.5, 1000.0)]
    keywords = {"TFIRST": ra, "TLAST": ra + 1, "ONTIME": 2000.0, "TELAPSE": 2100.0, "EXPOSURE": 1000.0, "DEADC": 0.7}
    noise = [{"e1_kev": 28.0, "e2_kev": 80.0, "null_sigma": 1.0, "significance_mean": 0.0, "significance_sigma": 1.0,
              "largest_excess": 4.0, "sources_masked": 0}]  # fmt: skip
    return WindowImage([SkyImage(*planes, attitude.wcs(), BAND, keywords)], sources, noise)


def merged(*lists):
    windows = [make_window(sources, 83.6 + k) for k, sources in enumerate(lists)]
    return Mosaic().compute([(f"window {k}", window) for k, window in enumerate(windows)], {}, {})


def test_a_single_window_is_left_as_it_is():
    window = make_window([make_source("Crab", 83.63, 22.01, 100, 2)])
    assert Mosaic().compute([("window", window)], {}, {}) is window


def test_fluxes_are_weighted_by_their_errors():
    (crab,) = merged([make_source("Crab", 83.63, 22.01, 100, 1)], [make_source("Crab", 83.64, 22.02, 110, 2)]).sources
    (band,) = crab.bands
    assert band.flux == pytest.approx((100 * 4 + 110) / 5)
    assert band.flux_error == pytest.approx((1 + 1 / 4) ** -0.5)
    assert (crab.ra_deg, crab.dec_deg) == (83.63, 22.01)


def test_new_sources_are_one_if_they_are_near():
    near = [make_source("NEW_1", 85.0, 23.0, 10, 1, new=True)], [make_source("NEW_1", 85.05, 23.0, 12, 1, new=True)]
    assert [source.name for source in merged(*near).sources] == ["NEW_1"]
    far = [make_source("NEW_1", 85.0, 23.0, 10, 1, new=True)], [make_source("NEW_1", 86.0, 23.0, 12, 1, new=True)]
    names = {source.name: source.ra_deg for source in merged(*far).sources}
    assert names == {"NEW_1": 86.0, "NEW_2": 85.0}


def test_a_source_detected_once_is_not_forced():
    forced = make_source("A", 85.0, 23.0, 1, 1, forced=True)
    (both,) = merged([forced], [make_source("A", 85.0, 23.0, 9, 1)]).sources
    assert not both.forced
    (never,) = merged([forced], [forced]).sources
    assert never.forced


def test_a_mosaic_covers_both_windows_and_adds_exposure():
    (image,) = merged([], []).images
    observed = image.observed
    assert np.allclose(image.intensity[observed], 1, atol=1e-5)
    assert set(np.unique(image.variance[observed])) == {2.0, 4.0}
    assert set(np.unique(image.exposure[observed])) == {1000.0, 2000.0}
    assert (image.keywords["ONTIME"], image.keywords["EXPOSURE"]) == (4000.0, 2000.0)
    assert (image.keywords["TFIRST"], image.keywords["TLAST"]) == (83.6, 85.6)
    assert image.keywords["DEADC"] == pytest.approx(0.7)
