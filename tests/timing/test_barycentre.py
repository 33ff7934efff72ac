"""Arrival times at the barycentre, beside OSA's of a real event list and astropy's of an observatory."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.io import fits
from astropy.time import Time

from integral_oda.timing.barycentre import GEOCENTRE_ERROR_S, Orbit, barycentric_ijd, moved_km


def test_osas_own_times_lie_within_the_error_that_is_stated(real_data):
    with fits.open(real_data / "gbelanger_java-tda/evlist_H_0614+091.fits.gz") as hdus:
        rows, header = hdus["GNRL-EVTS-LST"].data, hdus["GNRL-EVTS-LST"].header
        time, osa = rows["TIME"].astype(float), rows["BARYTIME_1"].astype(float)
    ours = barycentric_ijd(time, header["RA_1"], header["DEC_1"])
    difference_s = (osa - ours) * 86400
    assert np.abs(difference_s).max() < GEOCENTRE_ERROR_S
    # What is left is the way of the spacecraft over 72 minutes: smooth, and less than 4 km/s
    assert np.ptp(difference_s) < 4 / 299792 * 4400
    assert np.abs(osa - time).min() * 86400 > 300


def test_the_geocentre_is_astropys():
    ijd = np.linspace(8320.6, 8321.6, 40)
    times = Time(51544.0, ijd, format="mjd", scale="tt", location=EarthLocation.from_geocentric(0, 0, 0, unit="m"))
    place = SkyCoord(293.732, 21.897, unit="deg", frame="icrs")
    expected = (times.tdb + times.light_travel_time(place, ephemeris="builtin")).mjd - 51544.0
    ours = barycentric_ijd(ijd, 293.732, 21.897)
    # FK5 of the place for ICRS and the Sun's Shapiro delay make some 0.02 ms
    assert (ours - expected) * 86400 == pytest.approx(0, abs=1e-4)


def test_an_orbit_moves_the_times_by_its_light_travel_time():
    ijd = np.linspace(8320.6, 8320.7, 50)
    towards = np.array([np.cos(np.deg2rad(30.0)), np.sin(np.deg2rad(30.0)), 0.0]) * 150_000
    orbit = Orbit(np.array([8320.0, 8321.0]), np.stack([towards, towards]))
    later = (barycentric_ijd(ijd, 30.0, 0.0, orbit) - barycentric_ijd(ijd, 30.0, 0.0)) * 86400
    assert later == pytest.approx(150_000 / 299792.458, abs=2e-5)
    across = (barycentric_ijd(ijd, 120.0, 0.0, orbit) - barycentric_ijd(ijd, 120.0, 0.0)) * 86400
    assert across == pytest.approx(0, abs=2e-5)


def test_an_orbit_knows_its_time():
    orbit = Orbit(np.array([10.0, 11.0]), np.zeros((2, 3)))
    assert orbit.covers(np.array([10.5]))
    assert not orbit.covers(np.array([10.5, 12.0]))


def test_nothing_is_nothing():
    assert len(barycentric_ijd(np.zeros(0), 10.0, 10.0)) == 0


def test_a_circular_orbit_goes_round_both_ways():
    radius, turns = 42164.0, np.array([-0.5, -0.25, 0.0, 0.25, 1.0])
    period = 2 * np.pi * np.sqrt(radius**3 / 398600.4418)
    speed = 2 * np.pi * radius / period
    found = moved_km(np.array([radius, 0, 0]), np.array([0, speed, 0]), turns * period)
    angle = 2 * np.pi * turns
    assert found == pytest.approx(radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1), abs=0.01)
