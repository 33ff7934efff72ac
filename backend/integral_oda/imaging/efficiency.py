"""Low-threshold efficiency of each pixel, estimated from the spectrum of the window's own events.

ISGRI's pixels switch on between 15 keV (2003) and some 45 keV (2022), each at its own low threshold.
The turn-on is 0.5 (1 + erf((E - threshold) / (1.41 sigma))) with sigma = (4.80 + 0.0017 rev) / 2.36 keV
(the law of OSA's ii_shadow_build). Where no context gives the thresholds, they are fitted to the pixel
spectra under a Gaussian prior whose centre and width come from all pixels together. The fit uses the
same events as the image: what it takes up of a source, and what it leaves uncertain, is carried along
(`Response`), so that fluxes stay unbiased and errors honest.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray
from scipy.special import erf

from integral_oda.arrays import Array
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import effective_area_cm2

__all__ = [
    "ChannelModel",
    "PixelSpectra",
    "Response",
    "Thresholds",
    "band_response",
    "channel_model",
    "fit_thresholds",
    "lowest_threshold_kev",
    "mean_level",
    "measure_pliancy",
    "pixel_rates",
    "refit_thresholds",
    "refitted_channel_model",
    "source_counts_ratio",
    "threshold_sigma_kev",
]


STEP_KEV = 0.5
CHANNELS = np.arange(15.0, 1000.0, STEP_KEV)
"""Lower edges of the fine energy grid, keV."""
_GRID_STEP_KEV = 0.25
THRESHOLD_GRID = np.arange(8.0, 66.01, _GRID_STEP_KEV)
SPECTRUM_EDGES = np.array([16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 56, 60, 65, 70,
                           80, 90, 100.0])  # fmt: skip
_TAIL = 0.03
"""Efficiency left far below the threshold; the real turn-on has a tail that the error function lacks."""
_CONTINUATION_SLOPE = 1.0
_ROUNDS, _FURTHER_ROUNDS = 5, 3
_PROBE_BAND = EnergyBand(28.0, 80.0)
_PROBE_SHARE = 0.1
_REACH_WIDTHS = 6.0
_PIXELS_AT_ONCE = 512
_CURVE_ORDER = 4
SOURCE_INDEX = 2.1
"""Photon index that efficiencies of a source in a band are weighted with."""


@dataclass(frozen=True)
class PixelSpectra:
    """Counts of usable pixels in the bins of `SPECTRUM_EDGES`, and of all of them on the fine grid.

    Attributes
    ----------
    counts : ndarray
        ``(n_pixels, 25)``.
    total : ndarray
        ``(1970,)`` counts of all pixels in channels of 0.5 keV from 15 keV.
    """

    counts: Array
    total: Array


@dataclass(frozen=True)
class Thresholds:
    """Low thresholds of the pixels and the background spectrum that they were fitted with.

    Attributes
    ----------
    energy_kev : ndarray
        ``(n_pixels,)`` low threshold, keV.
    sigma_kev : float
        Width of the turn-on.
    centre_kev, width_kev : float
        The prior: mean and 1 sigma spread of the thresholds.
    background : ndarray
        ``(1970,)`` background of a pixel with full efficiency, counts per channel of 0.5 keV.
    amplitude : ndarray
        ``(n_pixels,)`` rate of each pixel relative to the background alone; not 1 where bright sources light it.
    pliancy : ndarray or float
        ``(233,)`` over `THRESHOLD_GRID`: how far a fitted threshold moves with a faint source, over what the
        information of the model says; see `measure_pliancy`.
    """

    energy_kev: Array
    sigma_kev: float
    centre_kev: float
    width_kev: float
    background: Array
    amplitude: Array
    pliancy: Array | float = 1.0


def threshold_sigma_kev(revolution: int) -> float:
    """Width of the turn-on at a revolution, keV (OSA: (4.80 + 0.0017 rev) / 2.36)."""
    return (4.80 + 0.0017 * revolution) / 2.36


def fit_thresholds(
    spectra: PixelSpectra, sigma_kev: float, amplitude: Array | None = None, start: Thresholds | None = None
) -> Thresholds:
    """Fit every pixel's low threshold with the common background spectrum.

    Parameters
    ----------
    spectra : PixelSpectra
    sigma_kev : float
    amplitude : ndarray, optional
        ``(n_pixels,)`` rate of each pixel relative to the background alone, where bright sources light it.
    start : Thresholds, optional
        An earlier fit of the same window, perhaps of other pixels, that saves rounds.
    """
    scale = np.ones(len(spectra.counts)) if amplitude is None else amplitude
    turn_on = _turn_on_table(sigma_kev)
    centre, width = (_first_guess(spectra.total), 5.0) if start is None else (start.centre_kev, start.width_kev)
    same_pixels = start is not None and len(start.energy_kev) == len(scale)
    thresholds = start.energy_kev if start is not None and same_pixels else np.full(len(scale), centre)
    for _ in range(_ROUNDS if start is None else _FURTHER_ROUNDS):
        prior = (centre, width, sigma_kev)
        background = _background(spectra.total, thresholds, scale, centre, turn_on, sigma_kev)
        thresholds = _most_probable(spectra.counts, _rebin(turn_on * background), scale, prior)
        centre = float(np.median(thresholds))
        width = float(np.clip(1.4826 * np.median(np.abs(thresholds - centre)), 1.0, 8.0)) * 1.1
    # The prior of the last fit goes with its thresholds, so that a fit of other counts starts from the same
    return Thresholds(thresholds, sigma_kev, prior[0], prior[1], background, scale)


def refit_thresholds(thresholds: Thresholds, counts: Array) -> Thresholds:
    """Fit the thresholds of other pixel spectra with the background and prior of an earlier fit.

    Parameters
    ----------
    thresholds : Thresholds
    counts : ndarray
        ``(n_pixels, 25)``.
    """
    model = _rebin(_turn_on_table(thresholds.sigma_kev) * thresholds.background)
    prior = (thresholds.centre_kev, thresholds.width_kev, thresholds.sigma_kev)
    return replace(thresholds, energy_kev=_most_probable(counts, model, thresholds.amplitude, prior))


def measure_pliancy(thresholds: Thresholds, counts: Array) -> Thresholds:
    """Measure how far the fitted thresholds move with a faint source.

    Real pixel spectra are no draws of the model, and their thresholds answer otherwise than its Fisher
    information says: at 28-80 keV by 0.6 to 1.1 of it in a window of 2022. So a source is added to the
    spectra themselves and the thresholds are fitted again.

    Parameters
    ----------
    thresholds : Thresholds
    counts : ndarray
        ``(n_pixels, 25)`` that they were fitted to.
    """
    tables = _BandTables(replace(thresholds, pliancy=1.0), _PROBE_BAND)
    source = _at(thresholds.energy_kev, tables.source_spectrum)
    share = _PROBE_SHARE * float(counts.sum() / source.sum())
    before, after = (refit_thresholds(thresholds, c).energy_kev for c in (counts, counts + share * source))
    depth = (thresholds.energy_kev - thresholds.centre_kev) / thresholds.width_kev
    grid = np.clip((THRESHOLD_GRID - thresholds.centre_kev) / thresholds.width_kev, depth.min(), depth.max())
    modelled = share * _at(thresholds.energy_kev, tables.shift_by_source)
    terms = polynomial.polyvander(depth, _CURVE_ORDER) * modelled[:, None]
    curve = polynomial.polyval(grid, np.linalg.lstsq(terms, after - before)[0])
    return replace(thresholds, pliancy=np.clip(curve, 0.2, 2.0))


def pixel_rates(thresholds: Thresholds, edges_kev: Array, band: EnergyBand) -> tuple[Array, Array]:
    """Expected counts of every pixel between the edges: of the background, and of a source of one count in the band.

    Parameters
    ----------
    thresholds : Thresholds
    edges_kev : ndarray
        ``(n + 1,)`` multiples of 0.5 keV from 15 to 1000 keV.
    band : EnergyBand
        That the source is normalised in, at full efficiency.

    Returns
    -------
    background, source : ndarray
        ``(n_pixels, n)``.
    """
    inside = (band.e1_kev <= CHANNELS) & (band.e2_kev > CHANNELS)
    turn_on = _turn_on_table(thresholds.sigma_kev)
    first = np.searchsorted(CHANNELS, edges_kev[:-1])
    stop = int(np.searchsorted(CHANNELS, edges_kev[-1]))
    tables = (
        np.add.reduceat((turn_on * s)[:, :stop], first, axis=1) for s in (thresholds.background, _source_shape(inside))
    )
    background, source = (_at(thresholds.energy_kev, table) for table in tables)
    return background, source


@lru_cache(maxsize=2)
def _turn_on_table(sigma_kev: float) -> Array:
    return _turn_on(THRESHOLD_GRID[:, None], CHANNELS + STEP_KEV / 2, sigma_kev)


def _most_probable(counts: Array, model: Array, scale: Array, prior: tuple[float, float, float]) -> Array:
    centre, width, sigma = prior
    used = SPECTRUM_EDGES[:-1] >= centre - 2.5 * sigma
    near = np.abs(THRESHOLD_GRID - centre) < _REACH_WIDTHS * width
    log_model = np.log(np.maximum(model[near][:, used], 1e-12))
    depth = (THRESHOLD_GRID[near] - centre) / width
    # One product gives ln L and the prior for every threshold, of as many pixels as fit a processor's cache
    terms = np.column_stack([counts[:, used], scale, np.ones(len(counts))])
    of_threshold = np.vstack([log_model.T, -model[near][:, used].sum(axis=1), -0.5 * depth**2])
    blocks = (terms[first : first + _PIXELS_AT_ONCE] for first in range(0, len(terms), _PIXELS_AT_ONCE))
    return np.concatenate([_peak(block @ of_threshold, THRESHOLD_GRID[near]) for block in blocks])


def _turn_on(threshold_kev: Array, energy_kev: Array, sigma_kev: float) -> Array:
    turn_on: Array = 0.5 * (1 + erf((energy_kev - threshold_kev) / (1.41 * sigma_kev)))
    return _TAIL + (1 - _TAIL) * turn_on


def _first_guess(total: Array) -> float:
    """Energy where the summed spectrum, smoothed over 4 keV, first reaches half of its maximum below 100 keV."""
    smooth = np.convolve(total[CHANNELS < 100], np.ones(8) / 8, mode="same")
    return float(np.clip(CHANNELS[np.argmax(smooth >= 0.5 * smooth.max())], 15.0, 45.0))


def _background(
    total: Array, thresholds: Array, scale: Array, centre: float, turn_on: Array, sigma_kev: float
) -> Array:
    """Background of a fully efficient pixel; a power law below the energy where most pixels are on."""
    share = np.bincount(
        np.rint((thresholds - THRESHOLD_GRID[0]) / _GRID_STEP_KEV).astype(int), scale, len(THRESHOLD_GRID)
    )
    background = total / np.maximum(share @ turn_on, 1e-9)
    reliable = np.searchsorted(CHANNELS, centre + 1.6 * sigma_kev)
    level = background[reliable : reliable + 8].mean()
    background[:reliable] = level * ((CHANNELS[reliable] + 2.0) / CHANNELS[:reliable]) ** _CONTINUATION_SLOPE
    return background


def _rebin(per_channel: Array) -> Array:
    first = np.searchsorted(CHANNELS, SPECTRUM_EDGES)
    return np.add.reduceat(per_channel, first, axis=-1)[..., :-1]


def _peak(likelihood: Array, grid: Array) -> Array:
    """Position on the grid of the maximum of each row, between grid points by a parabola."""
    best = np.clip(likelihood.argmax(axis=1), 1, likelihood.shape[1] - 2)
    rows = np.arange(len(likelihood))
    left, top, right = (likelihood[rows, best + k] for k in (-1, 0, 1))
    curvature = np.minimum(left - 2 * top + right, -1e-6)
    return grid[best] + np.clip(0.5 * (left - right) / curvature, -0.5, 0.5) * _GRID_STEP_KEV


def _at(thresholds: Array, table: Array) -> Array:
    """Rows of a table over the threshold grid, linear between grid points."""
    position = np.clip((thresholds - THRESHOLD_GRID[0]) / _GRID_STEP_KEV, 0, len(THRESHOLD_GRID) - 1.001)
    low = position.astype(int)
    part = (position - low).reshape(-1, *[1] * (table.ndim - 1))
    result: Array = table[low] * (1 - part) + table[low + 1] * part
    return result


@dataclass(frozen=True)
class Response:
    """How the excess of a band's counts over the expected ones answers, pixel by pixel; each ``(n_pixels,)``.

    Attributes
    ----------
    expected : ndarray
        Background counts at the fitted threshold, and what its fit took of sources or would have.
    source : ndarray
        Answer to a source, as a share of its counts at full efficiency in the band.
    efficiency : ndarray
        Share of a source's counts in the band that the pixel registers.
    background : ndarray
        Answer to a relative change of the background, counts.
    variance : ndarray
        Of the excess, counts squared.
    """

    expected: Array
    source: Array
    efficiency: Array
    background: Array
    variance: Array


def band_response(thresholds: Thresholds, band: EnergyBand, level: tuple[float, float] = (0.0, 0.0)) -> Response:
    """Expected background and linear answers of every pixel in a band.

    A change of the counts moves the fitted threshold by V sum(u dn / mu), with u the derivative of the
    spectrum to the threshold and V the posterior variance, and with it the expected counts; the excess
    is what is left of the change.

    Parameters
    ----------
    thresholds : Thresholds
    band : EnergyBand
    level : tuple of float
        What to add to the expected counts, in units of the answer to the background and of that to a
        source: the mean excess of a window (`mean_level`). It depends on the threshold, so it has to be
        part of what moves with it; fitted afterwards it would take up a share of every source.
    """
    tables = _BandTables(thresholds, band)
    expected = tables.model
    if any(level):
        plain = tables.response(tables.model)
        expected = tables.model + level[0] * plain.background + level[1] * plain.source
    response = tables.response(expected)
    values = {item.name: _at(thresholds.energy_kev, getattr(response, item.name)) for item in fields(Response)}
    # Where a bright source was allowed for in the fit of the thresholds they did not move with it; the
    # counts that they would have taken are expected instead, so that the answer to it is the same.
    not_taken = _at(thresholds.energy_kev, tables.model) - values["background"]
    values["expected"] = values["expected"] + (thresholds.amplitude - 1) * not_taken
    return Response(**values)


@dataclass(frozen=True)
class ChannelModel:
    """What every pixel should count in adjoining channels, and how that moves with its threshold.

    Attributes
    ----------
    background : ndarray
        ``(n_pixels, n_channels)`` counts of the background at the fitted threshold.
    efficiency : ndarray
        ``(n_pixels, n_channels)`` share of a source's counts that the pixel registers.
    amplitude : ndarray
        ``(n_pixels, n_channels)`` counts that the fit of the thresholds expected, over those of the background.
    slope : ndarray
        ``(n_pixels, n_channels)`` change of the expected counts with the threshold, 1/keV.
    threshold_variance : ndarray
        ``(n_pixels,)`` keV^2: a fitted threshold moves by this times the sum of slope / expected x added counts.
    """

    background: Array
    efficiency: Array
    amplitude: Array
    slope: Array
    threshold_variance: Array


def lowest_threshold_kev(thresholds: Thresholds) -> float:
    """Energy from which on counts are used in the fit of the thresholds; below, hardly a pixel is on."""
    lowest = thresholds.centre_kev - 2.5 * thresholds.sigma_kev
    return float(SPECTRUM_EDGES[:-1][SPECTRUM_EDGES[:-1] >= lowest][0])


def channel_model(thresholds: Thresholds, edges_kev: Array) -> ChannelModel:
    """Model of the pixels in adjoining channels, their thresholds fitted with one amplitude for all energies.

    Parameters
    ----------
    thresholds : Thresholds
    edges_kev : ndarray
        ``(n_channels + 1,)`` multiples of 0.5 keV from 15 to 1000 keV.
    """
    tables = _ChannelTables(thresholds, edges_kev)
    amplitude = np.broadcast_to(thresholds.amplitude[:, None], (len(thresholds.energy_kev), len(edges_kev) - 1))
    variance = _at(thresholds.energy_kev, _BandTables(thresholds, _PROBE_BAND).threshold_variance)
    return tables.model(thresholds.energy_kev, amplitude, np.ones(len(edges_kev) - 1), variance)


def refitted_channel_model(thresholds: Thresholds, edges_kev: Array, counts: Array, sources: Array) -> ChannelModel:
    """Model of the pixels with their thresholds fitted anew, channel by channel beside known sources.

    A bright source has another spectrum than the background: with one amplitude for all energies, thresholds of the
    pixels that it lights are off, and so is the background that is left over.

    Parameters
    ----------
    thresholds : Thresholds
        Of the first fit.
    edges_kev : ndarray
        ``(n_channels + 1,)``.
    counts : ndarray
        ``(n_pixels, n_channels)``.
    sources : ndarray
        ``(n_pixels, n_channels)`` counts that the sources would give at full efficiency.
    """
    tables = _ChannelTables(thresholds, edges_kev)
    energy, width, centre = thresholds.energy_kev, thresholds.width_kev, thresholds.centre_kev
    level, amplitude = np.ones(len(edges_kev) - 1), np.ones(counts.shape)
    for _ in range(_FURTHER_ROUNDS):
        level = tables.level(energy, counts, sources, centre)
        amplitude = 1 + sources / (tables.full * level)
        energy = tables.most_probable(counts, amplitude * level, (centre, width))
        centre = float(np.median(energy))
    slope = _at(energy, tables.slope) * level * amplitude
    expected = _at(energy, tables.background) * level * amplitude
    information = (slope**2 / np.maximum(expected, 1e-12))[:, tables.used(centre)].sum(axis=1)
    pliancy = _at(energy, np.broadcast_to(thresholds.pliancy, THRESHOLD_GRID.shape))
    return tables.model(energy, amplitude, level, pliancy / (information + width**-2))


class _ChannelTables:
    """Counts in channels as functions of the threshold: arrays ``(233, n_channels)`` on `THRESHOLD_GRID`."""

    def __init__(self, thresholds: Thresholds, edges_kev: Array) -> None:
        first, stop = np.searchsorted(CHANNELS, edges_kev[:-1]), int(np.searchsorted(CHANNELS, edges_kev[-1]))
        turn_on = _turn_on_table(thresholds.sigma_kev)
        energy = CHANNELS + STEP_KEV / 2
        shape = effective_area_cm2(energy) * energy**-SOURCE_INDEX

        def summed(values: Array) -> Array:
            return np.add.reduceat(values[..., :stop], first, axis=-1)

        self.low_kev, self.high_kev, self._sigma = edges_kev[:-1], edges_kev[1:], thresholds.sigma_kev
        self.background, self.full = summed(turn_on * thresholds.background), summed(thresholds.background)
        self.efficiency = summed(turn_on * shape) / summed(shape)
        self.slope = np.gradient(self.background, _GRID_STEP_KEV, axis=0)

    def used(self, centre_kev: float) -> NDArray[np.bool_]:
        """Channels that the thresholds are fitted to, ``(n_channels,)``."""
        used: NDArray[np.bool_] = (self.low_kev >= centre_kev - 2.5 * self._sigma) & (
            self.high_kev <= SPECTRUM_EDGES[-1]
        )
        return used

    def level(self, energy_kev: Array, counts: Array, sources: Array, centre_kev: float) -> Array:
        """Background over the first one; below the energy where most pixels are on, as there; ``(n_channels,)``."""
        left = counts.sum(axis=0) - (sources * _at(energy_kev, self.efficiency)).sum(axis=0)
        level = np.maximum(left, 1.0) / np.maximum(_at(energy_kev, self.background).sum(axis=0), 1e-9)
        reliable = int(np.searchsorted(self.low_kev, centre_kev + 1.6 * self._sigma))
        level[:reliable] = level[reliable : reliable + 4].mean()
        return level

    def most_probable(self, counts: Array, scale: Array, prior: tuple[float, float]) -> Array:
        """Thresholds of the highest posterior for a background scaled pixel by pixel and channel by channel."""
        centre, width = prior
        used, near = self.used(centre), np.abs(THRESHOLD_GRID - centre) < _REACH_WIDTHS * width
        model = np.maximum(self.background[np.ix_(near, used)], 1e-12)
        depth = (THRESHOLD_GRID[near] - centre) / width
        likelihood = counts[:, used] @ np.log(model).T - scale[:, used] @ model.T - 0.5 * depth**2
        return _peak(likelihood, THRESHOLD_GRID[near])

    def model(self, energy_kev: Array, amplitude: Array, level: Array, variance: Array) -> ChannelModel:
        """The model at some thresholds."""
        return ChannelModel(
            background=_at(energy_kev, self.background) * level,
            efficiency=_at(energy_kev, self.efficiency),
            amplitude=amplitude,
            slope=amplitude * level * _at(energy_kev, self.slope),
            threshold_variance=variance,
        )


def mean_level(response: Response, excess: Array) -> tuple[float, float]:
    """Mean excess of a window, in units of the answers to background and source.

    Weighted least squares; a weak prior of the size of the background itself keeps the two apart where
    all pixels answer to both alike.

    Parameters
    ----------
    response : Response
    excess : ndarray
        ``(n_pixels,)`` counts above the expected ones.
    """
    design = np.column_stack([response.background, response.source])
    weighted = design / response.variance[:, None]
    mean = design.mean(axis=0)
    prior = np.diag((mean / mean[0]) ** 2)
    background, source = np.linalg.solve(weighted.T @ design + prior, weighted.T @ excess)
    return float(background), float(source)


class _BandTables:
    """Counts of a band as functions of the threshold, on `THRESHOLD_GRID`."""

    def __init__(self, thresholds: Thresholds, band: EnergyBand) -> None:
        inside = (band.e1_kev <= CHANNELS) & (band.e2_kev > CHANNELS)
        turn_on = _turn_on_table(thresholds.sigma_kev)
        model, source = turn_on * thresholds.background, turn_on * _source_shape(inside)
        used = SPECTRUM_EDGES[:-1] >= thresholds.centre_kev - 2.5 * thresholds.sigma_kev
        slope = np.gradient(model, _GRID_STEP_KEV, axis=0)
        spectrum, spectrum_slope, source_spectrum = (_rebin(a)[:, used] for a in (model, slope, source))
        self.model, self.efficiency = model[:, inside].sum(axis=1), source[:, inside].sum(axis=1)
        self._model_slope = np.gradient(self.model, _GRID_STEP_KEV)
        self._posterior = 1 / ((spectrum_slope**2 / spectrum).sum(axis=1) + thresholds.width_kev**-2)
        pull_of_source = (spectrum_slope * source_spectrum / spectrum).sum(axis=1)
        self.threshold_variance = thresholds.pliancy * self._posterior
        self.source_spectrum = _rebin(source)
        self.shift_by_source = self.threshold_variance * pull_of_source
        self._shift_by_background = self.threshold_variance * spectrum_slope.sum(axis=1)

    def response(self, expected: Array) -> Response:
        """Answers where so many counts are expected at each threshold."""
        slope = np.gradient(expected, _GRID_STEP_KEV)
        shift = slope * self._posterior
        variance = self.model - 2 * shift * self._model_slope + slope * shift
        return Response(
            expected=expected,
            source=self.efficiency - slope * self.shift_by_source,
            efficiency=self.efficiency,
            background=self.model - slope * self._shift_by_background,
            variance=np.maximum(variance, 0.05 * self.model),
        )


def source_counts_ratio(band: EnergyBand, other: EnergyBand) -> float:
    """Counts in another band of a source with one count in a band, both at full efficiency."""
    inside, there = ((b.e1_kev <= CHANNELS) & (b.e2_kev > CHANNELS) for b in (band, other))
    return float(_source_shape(inside)[there].sum())


def _source_shape(inside: NDArray[np.bool_]) -> Array:
    """Counts of a power law per channel at full efficiency, normalised to 1 in the band."""
    energy = CHANNELS + STEP_KEV / 2
    shape = effective_area_cm2(energy) * energy**-SOURCE_INDEX
    result: Array = shape / shape[inside].sum()
    return result
