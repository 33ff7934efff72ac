"""Arrival times at the barycentre of the solar system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import unit_vector
from integral_oda.timing.good_time import DAY_S

__all__ = ["GEOCENTRE_ERROR_S", "Orbit", "barycentric_ijd", "moved_km"]

GEOCENTRE_ERROR_S = 0.51
"""Largest error where the spacecraft's place is not known: light travels INTEGRAL's apogee of 153 000 km in 0.51 s."""
_LIGHT_KM_S = 299792.458
_AU_KM = 149597870.7
_EARTH_GM_KM3_S2 = 398600.4418
_SUN_DELAY_S = 9.850981e-6
"""2 G M / c^3 of the Sun."""
_MJD_OF_IJD_0 = 51544.0
_KNOT_STEP_D = 120 / DAY_S
_FEWEST_KNOTS = 8


@dataclass(frozen=True)
class Orbit:
    """Where the spacecraft was.

    Attributes
    ----------
    time_ijd : ndarray
        ``(n,)`` in order.
    position_km : ndarray
        ``(n, 3)`` from the Earth's centre, J2000 axes.
    error_s : float
        What the light travel time may be off by.
    """

    time_ijd: Array
    position_km: Array
    error_s: float = 1e-4

    def covers(self, time_ijd: Array, margin_s: float = 600.0) -> bool:
        """Whether all of some times lie in the orbit's span, or just beside it."""
        margin = margin_s / DAY_S
        inside = (time_ijd >= self.time_ijd[0] - margin) & (time_ijd <= self.time_ijd[-1] + margin)
        return bool(inside.all())


def moved_km(position_km: Array, velocity_km_s: Array, seconds: Array) -> Array:
    """Places on an orbit around the Earth alone.

    Parameters
    ----------
    position_km, velocity_km_s : ndarray
        ``(3,)`` at one moment.
    seconds : ndarray
        ``(n,)`` since then, in order; before it where they are negative.

    Returns
    -------
    ndarray
        ``(n, 3)``. In an hour at INTEGRAL's apogee the Moon and the Sun move it by less than 1 km.
    """
    from scipy.integrate import solve_ivp

    def forces(_: float, state: Array) -> Array:
        return np.concatenate([state[3:], -_EARTH_GM_KM3_S2 * state[:3] / np.linalg.norm(state[:3]) ** 3])

    start, found = np.concatenate([position_km, velocity_km_s]), np.empty((len(seconds), 3))
    for part in (np.flatnonzero(seconds < 0)[::-1], np.flatnonzero(seconds >= 0)):
        if len(part):
            span = (0.0, float(seconds[part[-1]]))
            states = solve_ivp(forces, span, start, "DOP853", seconds[part], rtol=1e-10, atol=1e-6)
            found[part] = states.y[:3].T
    return found


def barycentric_ijd(time_ijd: Array, ra_deg: float, dec_deg: float, orbit: Orbit | None = None) -> Array:
    """Times at which the barycentre sees what the spacecraft saw.

    The ephemeris is astropy's built-in one (ERFA epv00, good to some 10 km or 0.03 ms); the Sun's Shapiro delay is
    taken off. The delay is computed on knots two minutes apart and interpolated by cubic splines, good to 1 us.

    Parameters
    ----------
    time_ijd : ndarray
        ``(n,)`` IJD, TT at the spacecraft.
    ra_deg, dec_deg : float
        Direction of the source.
    orbit : Orbit, optional
        The spacecraft's; else it is taken to be at the Earth's centre, `GEOCENTRE_ERROR_S` off at most.

    Returns
    -------
    ndarray
        ``(n,)`` IJD, TDB at the barycentre.
    """
    from scipy.interpolate import CubicSpline

    if not len(time_ijd):
        return time_ijd
    first, last = float(np.min(time_ijd)), float(np.max(time_ijd))
    n_knots = max(int(np.ceil((last - first) / _KNOT_STEP_D)) + 1, _FEWEST_KNOTS)
    margin = 1 / DAY_S
    knots = np.linspace(first - margin, last + margin, n_knots)
    later: Array = CubicSpline(knots, _delay_s(knots, unit_vector(ra_deg, dec_deg), orbit))(time_ijd)
    return time_ijd + later / DAY_S


def _delay_s(time_ijd: Array, direction: Array, orbit: Orbit | None) -> Array:
    """How much later the barycentre's clock shows what arrives at the spacecraft, seconds; TDB less TT included."""
    import warnings

    from astropy.coordinates import get_body_barycentric, solar_system_ephemeris
    from astropy.time import Time

    with warnings.catch_warnings(), solar_system_ephemeris.set("builtin"):
        warnings.simplefilter("ignore")  # that leap seconds of a far year are not known
        times = Time(_MJD_OF_IJD_0, time_ijd, format="mjd", scale="tt")
        place = get_body_barycentric("earth", times).xyz.to_value("km").T
        sun = get_body_barycentric("sun", times).xyz.to_value("km").T
        scale_s = (times.tdb.jd1 - times.jd1 + times.tdb.jd2 - times.jd2) * DAY_S
    if orbit is not None:
        axes = [np.interp(time_ijd, orbit.time_ijd, axis) for axis in orbit.position_km.T]
        place = place + np.stack(axes, axis=1)
    from_sun = place - sun
    cosine = from_sun @ direction / np.linalg.norm(from_sun, axis=1)
    roemer = place @ direction / _LIGHT_KM_S
    shapiro = _SUN_DELAY_S * np.log(np.maximum(1 + cosine, 1e-6))
    return np.asarray(roemer + shapiro + scale_s)
