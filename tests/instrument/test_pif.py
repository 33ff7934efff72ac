from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.instrument.attitude import Attitude, Misalignment
from integral_oda.instrument.detector import active_pixels, pixel_centres_mm
from integral_oda.instrument.mask import mask_pattern
from integral_oda.instrument.pif import (
    BEAM_HEIGHT_MM,
    pixel_illumination,
    tungsten_attenuation_length_mm,
)

ALONG_AXES = [(0.0, 0.0), (0.11, 0.0), (0.0, -0.17)]
QUADRANTS = [(0.05, 0.07), (-0.09, 0.04), (-0.06, -0.13), (0.19, -0.08)]


@pytest.fixture(scope="module")
def osa_pif(real_data):
    return fits.open(real_data / "dominp_isgri/255900280010_isgri_model.fits.gz")


def osa_image(hdus):
    return next(hdu for hdu in hdus if getattr(hdu.data, "shape", None) == (134, 130))


def test_osas_own_pif_is_reproduced(osa_pif):
    hdu = osa_image(osa_pif)
    place = Attitude.from_keywords(hdu.header).tangents(hdu.header["RA_OBJ"], hdu.header["DEC_OBJ"])
    active = active_pixels()
    ours = pixel_illumination(*place, energy_kev=67)[active]
    theirs = hdu.data.astype(float)[active]
    assert np.corrcoef(ours, theirs)[0, 1] >= 0.999
    assert np.sqrt(np.mean((ours - theirs) ** 2)) <= 0.02


def test_osas_pif_tells_the_misalignment(osa_pif):
    hdu = osa_image(osa_pif)
    without = Attitude.from_keywords(hdu.header, Misalignment(0, 0, 0, "none"))
    ours = pixel_illumination(*without.tangents(hdu.header["RA_OBJ"], hdu.header["DEC_OBJ"]), energy_kev=67)
    assert np.corrcoef(ours.ravel(), hdu.data.ravel())[0, 1] < 0.9


def trace_rays(ty, tz, energy_kev, rows, columns, points=20, slices=160):
    """Mean transmission of pixels by tracing single rays through thin slices of the mask, beams in the gaps."""
    y_mm, z_mm = pixel_centres_mm()
    sub = (np.arange(points) + 0.5) / points * 4.0 - 2.0
    heights = 3202.97 - 8 + (np.arange(slices) + 0.5) / slices * 16
    y, z = y_mm[columns][:, None] + sub, z_mm[rows][:, None] + sub
    cell_y = np.floor((y[..., None] + heights * ty) / 11.2 + 47.5).astype(int)
    cell_z = np.floor((z[..., None] + heights * tz) / 11.2 + 47.5).astype(int)
    mask = np.pad(mask_pattern().astype(float), 1, constant_values=2.0)
    cells = mask[np.clip(cell_z, -1, 95)[:, :, None] + 1, np.clip(cell_y, -1, 95)[:, None] + 1]
    beside = cells[..., 0] == 2
    path = (cells == 0).sum(axis=-1) * 16 / slices * np.sqrt(1 + ty**2 + tz**2)
    lit = np.where(beside, 0.0, np.exp(-path / tungsten_attenuation_length_mm(energy_kev)))
    return (lit * ~_in_a_gap(z, tz, 1)[:, :, None] * ~_in_a_gap(y, ty, 0)[:, None]).mean(axis=(1, 2))


def _in_a_gap(coordinate, tangent, axis):
    """Whether rays have met a beam between modules by the time they are at the beams' top."""
    occupied = active_pixels().any(axis=axis)
    index = np.floor((coordinate + BEAM_HEIGHT_MM * tangent) / 4.6 + len(occupied) / 2).astype(int)
    return ~np.pad(occupied, 3, constant_values=True)[index + 3]


@pytest.mark.parametrize("energy_kev", [50, 400])
@pytest.mark.parametrize(("ty", "tz"), ALONG_AXES + QUADRANTS)
def test_exact_areas_against_single_rays(ty, tz, energy_kev):
    rng = np.random.default_rng(1)
    rows, columns = np.nonzero(active_pixels())
    beside_gap = np.isin(rows, [31, 34, 65, 68]) | np.isin(columns, [63, 66])
    chosen = np.concatenate([rng.choice(np.flatnonzero(beside_gap), 60), rng.choice(len(rows), 240)])
    rows, columns = rows[chosen], columns[chosen]
    traced = trace_rays(ty, tz, energy_kev, rows, columns)
    exact = pixel_illumination(ty, tz, energy_kev)[rows, columns]
    assert np.ptp(traced) > 0.5
    # 20 points a side place an edge to 0.05 of a pixel's side at worst, two edges in two directions.
    assert np.abs(exact - traced).max() < 0.08
    assert np.sqrt(np.mean((exact - traced) ** 2)) < 0.02
    assert np.mean(exact - traced) == pytest.approx(0, abs=0.003)


@settings(max_examples=10)
@given(st.floats(-0.25, 0.25), st.floats(-0.25, 0.25))
def test_mask_and_detector_are_mirror_symmetric(ty, tz):
    pif = pixel_illumination(ty, tz)
    assert np.allclose(pixel_illumination(-ty, tz), pif[:, ::-1], atol=1e-9)
    assert np.allclose(pixel_illumination(ty, -tz), pif[::-1], atol=1e-9)


@settings(max_examples=10)
@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(15, 1000))
def test_illumination_is_a_fraction_and_nothing_lights_the_gaps(ty, tz, energy):
    pif = pixel_illumination(ty, tz, energy)
    assert pif.shape == (134, 130)
    assert pif.min() >= 0
    assert pif.max() <= 1 + 1e-12
    assert not pif[~active_pixels()].any()


def test_half_of_the_detector_is_lit_on_axis():
    # 8192.4 pixels are OSA's mean number of open pixels on axis.
    assert pixel_illumination(0, 0).sum() == pytest.approx(8192.4, rel=0.02)


def test_no_ray_comes_beside_the_mask():
    assert pixel_illumination(0.27, 0.0).sum() == 0
    assert pixel_illumination(0.0, -0.27).sum() == 0
    assert pixel_illumination(0.25, 0.0).sum() > 0


def test_tungsten_lets_hard_photons_through():
    closed = [
        np.percentile(pixel_illumination(0.01, 0.02, energy)[active_pixels()], 5) for energy in (30, 100, 500, 1000)
    ]
    assert np.all(np.diff(closed) > 0)
    assert closed[0] < 1e-6
    assert closed[-1] == pytest.approx(np.exp(-16 * np.sqrt(1 + 5e-4) * 1.93 * 0.06618), rel=0.02)


def test_attenuation_of_tungsten_jumps_at_its_edge():
    assert tungsten_attenuation_length_mm(69.6) < tungsten_attenuation_length_mm(69.4) / 3
    assert tungsten_attenuation_length_mm(100) == pytest.approx(10 / (4.438 * 19.3))
