"""Efficiency of each pixel near its low threshold, and how it answers to sources and background.

The thresholds are fitted to the same events as the image (`thresholds`): what their fit takes up of a source, and
what it leaves uncertain, is carried along (`Response`), so that fluxes stay unbiased and errors honest. A source's
counts in a band pass the pixels with the spectrum that it has: a power law of index `SOURCE_INDEX`, or for bright
sources the spectrum that was fitted beside the thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.polynomial import polynomial

from integral_oda.arrays import Array
from integral_oda.imaging.thresholds import (
    CHANNELS,
    SPECTRUM_EDGES,
    STEP_KEV,
    THRESHOLD_GRID,
    THRESHOLD_STEP_KEV,
    Thresholds,
    at_thresholds,
    rebinned_product,
    refit_thresholds,
    used_bins,
)
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import effective_area_cm2

__all__ = [
    "ChannelModel",
    "Response",
    "band_response",
    "bright_rates",
    "channel_model",
    "levelled_response",
    "lowest_threshold_kev",
    "mean_level",
    "measure_pliancy",
    "pixel_rates",
    "source_counts_ratio",
]


_PROBE_BAND = EnergyBand(28.0, 80.0)
_PROBE_SHARE = 0.01
"""Light added to find how thresholds answer to a faint source; of a tenth they move a tenth less for each count."""
_CURVE_ORDER = 4
SOURCE_INDEX = 2.1
"""Photon index that efficiencies of a source in a band are weighted with, where it is too faint to tell its own."""


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
    source = at_thresholds(thresholds.energy_kev, tables.source_spectrum)
    share = _PROBE_SHARE * float(counts.sum() / source.sum())
    before, after = (refit_thresholds(thresholds, c).energy_kev for c in (counts, counts + share * source))
    depth = (thresholds.energy_kev - thresholds.mean_kev) / thresholds.spread_kev
    grid = np.clip((THRESHOLD_GRID - thresholds.mean_kev) / thresholds.spread_kev, depth.min(), depth.max())
    modelled = share * _threshold_variance(thresholds, tables.posterior_variance)
    modelled *= at_thresholds(thresholds.energy_kev, tables.pull_of_source)
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
    first, stop = np.searchsorted(CHANNELS, edges_kev[:-1]), int(np.searchsorted(CHANNELS, edges_kev[-1]))
    turn_on, variance = thresholds.turn_on[:, :stop], _posterior_variance(thresholds)
    background, source = (
        _registered(thresholds, np.add.reduceat(turn_on * spectrum[:stop], first, axis=1), variance)
        for spectrum in (thresholds.background, _source_shape(band))
    )
    return background, source


def bright_rates(thresholds: Thresholds, edges_kev: Array) -> Array:
    """Expected counts of every pixel between the edges, of the bright sources that the thresholds were fitted with.

    Parameters
    ----------
    thresholds : Thresholds
    edges_kev : ndarray
        ``(n + 1,)`` multiples of 0.5 keV from 15 to 1000 keV.

    Returns
    -------
    ndarray
        ``(n_pixels, n)``.
    """
    first, stop = np.searchsorted(CHANNELS, edges_kev[:-1]), int(np.searchsorted(CHANNELS, edges_kev[-1]))
    turn_on = thresholds.turn_on[:, :stop]
    counts = np.zeros((len(thresholds.energy_kev), len(first)))
    for light, glow in zip(thresholds.light.T, thresholds.glow, strict=True):
        table = np.add.reduceat(turn_on * glow[:stop], first, axis=1)
        counts += light[:, None] * at_thresholds(thresholds.energy_kev, table)
    return counts


@dataclass(frozen=True)
class Response:
    """How the excess of a band's counts over the expected ones answers; each ``(n_pixels,)`` unless said otherwise.

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
    bright_source, bright_efficiency : ndarray
        ``(n_pixels, n_bright)`` as ``source`` and ``efficiency``, for the spectra of the bright sources.
    bright_counts : ndarray
        ``(n_pixels, n_bright)`` counts of the bright sources in the band at full efficiency.
    """

    expected: Array
    source: Array
    efficiency: Array
    background: Array
    variance: Array
    bright_source: Array
    bright_efficiency: Array
    bright_counts: Array

    @property
    def bright_excess(self) -> Array:
        """What the bright sources add to the excess, ``(n_pixels,)``."""
        excess: Array = (self.bright_counts * self.bright_source).sum(axis=1)
        return excess

    @property
    def bright_allowance(self) -> Array:
        """Counts that are expected, though no background, for the bright sources; ``(n_pixels,)``.

        Where a bright source was allowed for in the fit of the thresholds they did not move with it; the counts that
        they would have taken are expected instead, so that the answer to it is the same.
        """
        allowed: Array = (self.bright_counts * (self.bright_efficiency - self.bright_source)).sum(axis=1)
        return allowed


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
    return _BandTables(thresholds, band).registered(level)


def levelled_response(thresholds: Thresholds, band: EnergyBand, counts: Array) -> Response:
    """Answers of every pixel in a band, with the mean excess of the window itself (`mean_level`) as their level.

    Parameters
    ----------
    thresholds : Thresholds
    band : EnergyBand
    counts : ndarray
        ``(n_pixels,)`` events in the band.
    """
    tables = _BandTables(thresholds, band)
    plain = tables.registered()
    return tables.registered(mean_level(plain, counts - plain.expected - plain.bright_excess))


def _bright_counts(thresholds: Thresholds, band: EnergyBand) -> Array:
    in_band: Array = thresholds.glow[:, _channels(band)].sum(axis=1)
    counts: Array = thresholds.light.reshape(len(thresholds.energy_kev), -1) * in_band
    return counts


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
    return float(SPECTRUM_EDGES[:-1][used_bins(thresholds.mean_kev, thresholds.sigma_kev)][0])


def channel_model(thresholds: Thresholds, edges_kev: Array) -> ChannelModel:
    """Model of the pixels in adjoining channels.

    Parameters
    ----------
    thresholds : Thresholds
    edges_kev : ndarray
        ``(n_channels + 1,)`` multiples of 0.5 keV from 15 to 1000 keV.
    """
    first, stop = np.searchsorted(CHANNELS, edges_kev[:-1]), int(np.searchsorted(CHANNELS, edges_kev[-1]))
    turn_on, energy = thresholds.turn_on, thresholds.energy_kev

    def summed(values: Array) -> Array:
        return np.add.reduceat(values[..., :stop], first, axis=-1)

    background, shape = summed(turn_on * thresholds.background), _power_law(CHANNELS + STEP_KEV / 2)
    amplitude, variance = thresholds.amplitude(edges_kev), _posterior_variance(thresholds)
    return ChannelModel(
        background=_registered(thresholds, background, variance),
        efficiency=_registered(thresholds, summed(turn_on * shape) / summed(shape), variance),
        amplitude=amplitude,
        slope=amplitude * at_thresholds(energy, np.gradient(background, THRESHOLD_STEP_KEV, axis=0)),
        threshold_variance=_threshold_variance(thresholds, variance),
    )


def _registered(thresholds: Thresholds, table: Array, threshold_variance: Array) -> Array:
    """What pixels register, from a table over `THRESHOLD_GRID`: the mean over what the thresholds may be.

    A threshold is known to 1 or 2 keV, better where a bright source lights the pixel, and the turn-on is curved.
    """
    curvature = np.gradient(np.gradient(table, THRESHOLD_STEP_KEV, axis=0), THRESHOLD_STEP_KEV, axis=0)
    variance = threshold_variance.reshape(-1, *[1] * (table.ndim - 1))
    energy = thresholds.energy_kev
    mean: Array = at_thresholds(energy, table) + variance / 2 * at_thresholds(energy, curvature)
    return np.maximum(mean, 0.0)


def _threshold_variance(thresholds: Thresholds, posterior_variance: Array) -> Array:
    """How far a threshold moves with the pull of added counts, ``(n_pixels,)`` keV^2."""
    pliancy = np.broadcast_to(thresholds.pliancy, THRESHOLD_GRID.shape)
    variance: Array = at_thresholds(thresholds.energy_kev, pliancy) * posterior_variance
    return variance


def _posterior_variance(thresholds: Thresholds, tables: _FitTables | None = None) -> Array:
    """Square of the error of each threshold, ``(n_pixels,)`` keV^2; light adds information."""
    tables = tables or _FitTables(thresholds)
    amplitude = thresholds.amplitude()[:, tables.used]
    information = (amplitude * at_thresholds(thresholds.energy_kev, tables.information)).sum(axis=1)
    variance: Array = 1 / (information + thresholds.width_kev**-2)
    return variance


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


class _FitTables:
    """What the spectrum of a pixel tells of its threshold in each bin that is used, on `THRESHOLD_GRID`."""

    def __init__(self, thresholds: Thresholds) -> None:
        self.used = used_bins(thresholds.mean_kev, thresholds.sigma_kev)
        spectrum = rebinned_product(thresholds.turn_on, thresholds.background)[:, self.used]
        self.slope = np.gradient(spectrum, THRESHOLD_STEP_KEV, axis=0)
        self._relative_slope = self.slope / np.maximum(spectrum, 1e-12)
        self.information = self.slope * self._relative_slope

    def pull(self, spectrum: Array) -> Array:
        """Pull of added counts in the bins of `SPECTRUM_EDGES` on the threshold."""
        pull: Array = (self._relative_slope * spectrum[:, self.used]).sum(axis=1)
        return pull


class _BandTables:
    """Counts of a band as functions of the threshold, on `THRESHOLD_GRID`, and what they are at the fitted ones."""

    def __init__(self, thresholds: Thresholds, band: EnergyBand) -> None:
        self._thresholds, self._band, self._fit = thresholds, band, _FitTables(thresholds)
        inside, turn_on = _channels(band), thresholds.turn_on
        in_band = turn_on[:, inside]
        self.model = in_band @ thresholds.background[inside]
        self._model_slope = np.gradient(self.model, THRESHOLD_STEP_KEV)
        self._posterior = 1 / (self._fit.information.sum(axis=1) + thresholds.width_kev**-2)
        self._variance = thresholds.pliancy * self._posterior
        source = _source_shape(band)
        self.source_spectrum, self.efficiency = rebinned_product(turn_on, source), in_band @ source[inside]
        self.pull_of_source = self._fit.pull(self.source_spectrum)
        bright = [glow / max(float(glow[inside].sum()), 1e-30) for glow in thresholds.glow]
        self._bright_efficiency = _columns([in_band @ b[inside] for b in bright])
        self._bright_pull = _columns([self._fit.pull(rebinned_product(turn_on, b)) for b in bright])

    @cached_property
    def posterior_variance(self) -> Array:
        """Square of the error of each threshold, ``(n_pixels,)`` keV^2."""
        return _posterior_variance(self._thresholds, self._fit)

    def registered(self, level: tuple[float, float] = (0.0, 0.0)) -> Response:
        """Answers of the pixels; ``level`` as in `band_response`."""
        expected = self.model
        if any(level):
            plain = self._answers(self.model)
            expected = self.model + level[0] * plain.background + level[1] * plain.source
        answers, thresholds = self._answers(expected), self._thresholds
        names = ("expected", "source", "efficiency", "background", "bright_source", "bright_efficiency")
        table = np.column_stack([getattr(answers, name) for name in names])
        columns = np.ascontiguousarray(_registered(thresholds, table, self.posterior_variance).T)
        bright = columns[4:].reshape(2, -1, len(thresholds.energy_kev)).transpose(0, 2, 1)
        found = Response(
            **dict(zip(names, (*columns[:4], *bright), strict=True)),
            variance=at_thresholds(thresholds.energy_kev, answers.variance),
            bright_counts=_bright_counts(thresholds, self._band),
        )
        return replace(found, expected=found.expected + found.bright_allowance)

    def _answers(self, expected: Array) -> Response:
        """Answers at each threshold of the grid where so many counts are expected."""
        slope = np.gradient(expected, THRESHOLD_STEP_KEV)
        shift, moved = slope * self._posterior, slope * self._variance
        variance = self.model - 2 * shift * self._model_slope + slope * shift
        return Response(
            expected=expected,
            source=self.efficiency - moved * self.pull_of_source,
            efficiency=self.efficiency,
            background=self.model - moved * self._fit.slope.sum(axis=1),
            variance=np.maximum(variance, 0.05 * self.model),
            bright_source=self._bright_efficiency - moved[:, None] * self._bright_pull,
            bright_efficiency=self._bright_efficiency,
            bright_counts=np.zeros(0),
        )


def _columns(columns: Sequence[Array]) -> Array:
    return np.stack(columns, axis=1) if columns else np.zeros((len(THRESHOLD_GRID), 0))


def _channels(band: EnergyBand) -> slice:
    """Channels of a band."""
    return slice(*(int(np.searchsorted(CHANNELS, edge)) for edge in (band.e1_kev, band.e2_kev)))


def source_counts_ratio(band: EnergyBand, other: EnergyBand) -> float:
    """Counts in another band of a source with one count in a band, both at full efficiency."""
    return float(_source_shape(band)[_channels(other)].sum())


def _source_shape(band: EnergyBand) -> Array:
    """Counts of a power law per channel at full efficiency, normalised to 1 in the band."""
    shape = _power_law(CHANNELS + STEP_KEV / 2)
    result: Array = shape / shape[_channels(band)].sum()
    return result


def _power_law(energy_kev: Array) -> Array:
    shape: Array = effective_area_cm2(energy_kev) * energy_kev**-SOURCE_INDEX
    return shape
