"""Sources in a shadowgram: found, placed by their PIF's likelihood, fitted together and told from ghosts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.evidence import Evidence, level_alone
from integral_oda.imaging.sky import information_map, local_noise, score_map
from integral_oda.imaging.source_noise import with_source_noise
from integral_oda.imaging.structure import Covariance, fit_widths
from integral_oda.instrument.attitude import SKY_PIXEL, pixel_to_tangents, tangents_to_pixel
from integral_oda.instrument.mask import GHOST_PERIOD_PIXELS

__all__ = [
    "FLOOR_90_ARCMIN",
    "FieldModel",
    "FittedSource",
    "NewSources",
    "SuppressedExcess",
    "find_new_sources",
    "locate",
    "measure",
    "osa_radius_arcmin",
    "unbiased_by_choice",
]

Tangents = tuple[float, float]

ARCMIN = np.pi / 180 / 60
FLOOR_90_ARCMIN = 0.16
"""Systematic 90 % radius of a position, the constant of OSA's law."""
_SEARCHED_SHARE = 0.02
_PEAK_LOSS = 0.8
"""A source between pixel centres shows at least this share of its significance in a pixel."""
_PLACE_LOSS = 0.2
"""Share of the gain in likelihood that a place a quarter of a sky pixel off may cost."""
_MOST_PEAKS = 25
_OUTLIER = 3.5
"""Sky pixels as far off as this are sources, and count for none of the noise beside them."""
_STEPS_ARCMIN = (2.0, 0.5, 0.15)
"""Largest step of the position fit, and the least one of each of its rounds."""
_STEP_SHARE = 12.0
"""Step times significance: the grid then spans the 90 % region."""
_MOST_CLIMBS = 8
_COUNTS_SLOPE = 1.5
"""Sources brighter than S: S^-1.5, as of sources evenly spread in space."""
_UNRESOLVED_ARCMIN = 6.0
_LEFT_OVER, _NEAR_ARCMIN = 0.03, 15.0
"""An imperfect model leaves less than this share of a source, within a sky pixel or three of it and of its ghosts."""
_DELTA_90 = 4.61
"""2 delta ln L of a 90 % region in two dimensions."""


@dataclass(frozen=True)
class FittedSource:
    """A source at tangents (ISGRI frame) with its flux in one band.

    Attributes
    ----------
    radius_90_arcmin : float
        90 % radius of the likelihood with the systematic floor in quadrature; infinite where not fitted.
    """

    tangents: Tangents
    flux: float
    flux_error: float
    radius_90_arcmin: float

    @property
    def significance(self) -> float:
        """Flux over its error."""
        return self.flux / self.flux_error


def osa_radius_arcmin(significance: float) -> float:
    """90 % radius by OSA's law, 22.1 SNR^-0.95 + 0.16 arcmin."""
    return float(22.1 * max(significance, 1.0) ** -0.95 + FLOOR_90_ARCMIN)


class FieldModel:
    """Sources at fixed places in one shadowgram, fitted together with its background.

    Parameters
    ----------
    covariance : Covariance
    energy_kev : float
        Energy for the mask's transmission.
    """

    def __init__(self, covariance: Covariance, energy_kev: float) -> None:
        self.covariance, self.energy_kev = covariance, energy_kev
        self._excess = covariance.shadowgram.excess

    @cached_property
    def information(self) -> Array:
        """Information of every sky pixel, see `information_map`."""
        return information_map(self.covariance)

    def shadow(self, tangents: Tangents) -> Array:
        """Counts at unit flux of a direction, ``(n_usable,)``."""
        return self.design([tangents])[:, 0]

    def design(self, places: Sequence[Tangents]) -> Array:
        """Shadows of several directions, ``(n_usable, n_places)``."""
        return self.covariance.shadowgram.shadows(places, self.energy_kev)

    def fit(self, places: Sequence[Tangents]) -> tuple[Array, Array]:
        """Fluxes of all places together and their covariance."""
        return self.covariance.fit(self._excess, self.design(places))

    def residual(self, places: Sequence[Tangents]) -> Array:
        """Counts above expected background and fitted sources, ``(n_usable,)``."""
        design = self.design(places)
        fluxes, _ = self.covariance.fit(self._excess, design)
        left: Array = self._excess - design @ fluxes
        return left

    def with_new(self, known: Sequence[Tangents], new: Sequence[Tangents]) -> FieldModel:
        """The model after new sources were found: their noise in its variance, their shadows not taken for structure.

        Itself where they are faint.
        """
        shadowgram = self.covariance.shadowgram
        noisier = with_source_noise(shadowgram, self.design(new), in_background=True)
        if noisier is shadowgram:
            return self
        widths = fit_widths(noisier, self.design([*known, *new]))
        return FieldModel(Covariance(noisier, widths), self.energy_kev)

    def evidence_at(self, others: Sequence[Tangents]) -> Callable[[Sequence[Tangents]], Array]:
        """Like `likelihood_at`, the smooth background under a prior of fitted width, see `Evidence`."""
        evidence = Evidence(self._level_alone, self.design(others))
        return lambda places: evidence(self.design(places))

    @cached_property
    def _level_alone(self) -> Covariance:
        return level_alone(self.covariance)

    def likelihood_at(self, others: Sequence[Tangents]) -> Callable[[Sequence[Tangents]], Array]:
        """Gain of ln L, times two, from a source at each of several places beside the others."""
        design = self.design(others)
        weighted = self.covariance.solve(design) if others else design
        normal = np.linalg.inv(design.T @ weighted) if others else np.zeros((0, 0))
        residual = self.covariance.solve(self._excess)
        residual = residual - weighted @ (normal @ (design.T @ residual))

        def gain(places: Sequence[Tangents]) -> Array:
            shadows = self.design(places)
            solved = self.covariance.solve(shadows)
            shared = design.T @ solved
            information = np.einsum("ij,ij->j", shadows, solved) - np.einsum("ij,ij->j", shared, normal @ shared)
            score = shadows.T @ residual
            return np.where(score > 0, score**2 / np.maximum(information, 1e-30), 0.0)

        return gain


def locate(
    model: FieldModel, start: Tangents, others: Sequence[Tangents], significance: float
) -> tuple[Tangents, float]:
    """Fit the position of one source by the likelihood of its PIF.

    Parameters
    ----------
    model : FieldModel
    start : tuple of float
        Tangents to start from, within some 5 arcmin.
    others : sequence of tuple
        The other sources of the field, refitted at every trial.
    significance : float
        Of the source; sets the step of the grid.

    Returns
    -------
    tangents : tuple of float
    radius_90_arcmin : float
        From the curvature of the likelihood over its own 90 % region, systematic floor included.
    """
    gain = model.likelihood_at(others)
    place, curvature = start, np.zeros((2, 2))
    for least in _STEPS_ARCMIN:
        step = float(np.clip(_STEP_SHARE / max(significance, 1.0), least, _STEPS_ARCMIN[0])) * ARCMIN
        place, curvature = _climb(gain, place, step)
    return place, _radius_90(curvature)


def _climb(gain: Callable[[Sequence[Tangents]], Array], place: Tangents, step: float) -> tuple[Tangents, Array]:
    """Maximum of the likelihood and its curvature there, by paraboloids through 3 x 3 places a step apart."""
    offsets = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)], dtype=float)
    terms = np.column_stack([np.ones(9), offsets, offsets**2 / 2, offsets[:, 0] * offsets[:, 1]])
    curvature = np.zeros((2, 2))
    for _ in range(_MOST_CLIMBS):
        values = gain([(place[0] + i * step, place[1] + j * step) for i, j in offsets])
        _, gy, gz, hyy, hzz, hyz = np.linalg.lstsq(terms, values)[0]
        curvature = -np.array([[hyy, hyz], [hyz, hzz]]) / step**2
        shift = _newton_shift(curvature, np.array([gy, gz]) / step, step)
        place = (place[0] + shift[0], place[1] + shift[1])
        if np.hypot(*shift) < 0.1 * step:
            break
    return place, curvature


def _newton_shift(curvature: Array, slope: Array, step: float) -> Array:
    """Step towards the maximum, at most 1.5 grid steps."""
    if np.all(np.linalg.eigvalsh(curvature) > 0):
        shift = np.linalg.solve(curvature, slope)
    else:
        shift = slope / max(float(np.hypot(*slope)), 1e-30) * step
    length = float(np.hypot(*shift))
    limited: Array = shift * min(1.0, 1.5 * step / max(length, 1e-30))
    return limited


def _radius_90(curvature: Array) -> float:
    """Radius of the circle of the area of the 90 % region; curvature is that of 2 ln L."""
    determinant = float(np.linalg.det(curvature))
    if determinant <= 0:
        return float("inf")
    statistical = np.sqrt(2 * _DELTA_90) * determinant**-0.25 / ARCMIN
    return float(np.hypot(statistical, FLOOR_90_ARCMIN))


@dataclass(frozen=True)
class SuppressedExcess:
    """An excess above the threshold that is no source.

    Attributes
    ----------
    tangents : tuple of float
    significance : float
        Of a source there.
    reason : str
    cause : tuple of float or None
        Tangents of the place that explains it, where there is one.
    """

    tangents: Tangents
    significance: float
    reason: str
    cause: Tangents | None = None


@dataclass(frozen=True)
class NewSources:
    """What a search found, and what it has suppressed with the reasons."""

    sources: list[FittedSource]
    suppressed: list[SuppressedExcess]


def find_new_sources(model: FieldModel, known: Sequence[Tangents], threshold: float, at_most: int = 5) -> NewSources:
    """Search the residual sky for sources that the model lacks.

    An excess counts if it stands out of the residual map; if its fitted PIF has ``threshold`` times the local
    noise beyond what the freedom to choose its place is worth (two degrees of freedom); if its `Evidence`, to which the
    light in the mask's footprint counts as far as the background is smooth, has that and 3/2 ln(1/share) more where a
    pixel has so small a share of the best pixel's information (a source as significant has to be brighter there, and
    the number of sources falls with flux^-3/2); if none of its eight ghost places has more evidence; and if it is
    neither a ghost nor a part of a source of the model. A faint source (some 7 sigma) may be outdone by its own ghost:
    a ghost place that explains it nearly as well stands among what was suppressed.

    Parameters
    ----------
    model : FieldModel
    known : sequence of tuple
        Tangents of the sources already in the model.
    threshold : float
        Smallest significance.
    at_most : int
        Largest number of new sources.
    """
    search = _Search(model, threshold)
    found: list[Tangents] = []
    alternatives: list[SuppressedExcess | None] = []
    while len(found) < at_most:
        beside = _Beside(model, [*known, *found])
        place = search.next_source(beside)
        if place is None:
            break
        alternatives.append(search.alternative(beside, place))
        found.append(place)
    fitted = measure(model, [*known, *found], {})[len(known) :]
    still = [
        excess for excess in alternatives
        if excess is not None and all(_apart(excess.tangents, place) > _UNRESOLVED_ARCMIN for place in found)
    ]  # fmt: skip
    told = [*search.suppressed, *still]
    return NewSources([unbiased_by_choice(source) for source in fitted], told)


def unbiased_by_choice(source: FittedSource) -> FittedSource:
    """The source with its flux freed of what the choice of its place adds to it: two degrees of freedom."""
    share = 1 - 2 / max(source.significance, 2.0) ** 2
    return replace(source, flux=source.flux * float(np.sqrt(share)))


class _Beside:
    """What a further source beside some others gains in likelihood."""

    def __init__(self, model: FieldModel, others: Sequence[Tangents]) -> None:
        self._model, self.others = model, others
        self.gain = model.likelihood_at(others)

    @cached_property
    def evidence(self) -> Callable[[Sequence[Tangents]], Array]:
        """See `FieldModel.evidence_at`."""
        return self._model.evidence_at(self.others)


class _Search:
    """Search of one residual sky; ``suppressed`` is what its last round has rejected."""

    def __init__(self, model: FieldModel, threshold: float) -> None:
        self._model, self._threshold = model, threshold
        self._information = model.information
        self._share = self._information / self._information.max()
        self.suppressed: list[SuppressedExcess] = []

    def next_source(self, beside: _Beside) -> Tangents | None:
        """Place of the strongest excess that is a source, if there is one."""
        residual = score_map(self._model.covariance, self._model.residual(beside.others))
        significance = residual / np.sqrt(np.maximum(self._information, 1e-30))
        significance[self._share < _SEARCHED_SHARE] = np.nan
        noise = local_noise(np.where(np.abs(significance) < _OUTLIER, significance, np.nan))
        self.suppressed = []
        for row, column in _peaks(significance / noise, _PEAK_LOSS * self._threshold):
            place, strength = self._fitted(beside, row, column)
            if strength < self._threshold:
                continue
            rejected = self._rejected(beside, place, strength, noise[row, column])
            if rejected is None:
                return place
            self.suppressed.append(rejected)
        return None

    def _fitted(self, beside: _Beside, row: int, column: int) -> tuple[Tangents, float]:
        """Place of an excess and its significance there."""
        ty, tz = (float(t) for t in pixel_to_tangents(column, row))
        trials = _around((ty, tz))
        strengths = np.sqrt(beside.gain(trials))
        best = float(strengths.max())
        if best < 0.9 * self._threshold:
            return trials[int(strengths.argmax())], best
        place, _ = locate(self._model, trials[int(strengths.argmax())], beside.others, best)
        return place, float(np.sqrt(beside.gain([place])[0]))

    def _rejected(self, beside: _Beside, place: Tangents, strength: float, noise: float) -> SuppressedExcess | None:
        """Why an excess is no source; None if it is one."""
        for reason, cause in (
            self._too_weak(beside, place, strength, noise),
            self._ghost(beside, place),
            self._part_of_known(place, beside.others),
        ):
            if reason:
                return SuppressedExcess(place, strength, reason, cause)
        return None

    def _too_weak(self, beside: _Beside, place: Tangents, strength: float, noise: float) -> tuple[str, None]:
        chosen_freely = (self._threshold * noise) ** 2 + 2
        needed = float(np.sqrt(chosen_freely - 2 * self._log_prior(place)))
        if strength**2 < chosen_freely:
            return f"below the {needed:.1f} sigma that a place chosen freely needs there", None
        evidence = float(np.sqrt(beside.evidence([place])[0]))
        if evidence >= needed:
            return "", None
        return f"evidence of {evidence:.1f} sigma, its footprint included, of the {needed:.1f} needed there", None

    def _ghost(self, beside: _Beside, place: Tangents) -> tuple[str, Tangents | None]:
        """Whether one of the eight places a mask period away explains the excess better, its position free as well."""
        less, ghost = self._beside_ghosts(beside, place)
        return ("a place one mask period away explains it better", ghost) if less < 0 else ("", None)

    def _beside_ghosts(self, beside: _Beside, place: Tangents) -> tuple[float, Tangents | None]:
        """How much less evidence, with the prior, the best place a mask period away has for an excess; and it."""
        inside = [g for g in _ghosts(place) if all(20 < pixel < 380 for pixel in tangents_to_pixel(*g))]
        if not inside:
            return np.inf, None
        trials = [trial for ghost in inside for trial in _around(ghost)]
        weights = self._log_odds(beside, trials)
        best, own = int(weights.argmax()), float(self._log_odds(beside, [place])[0])
        if weights[best] < (1 - _PLACE_LOSS) * own:
            return np.inf, None
        significance = float(np.sqrt(beside.gain([trials[best]])[0]))
        ghost, _ = locate(self._model, trials[best], beside.others, significance)
        return own - float(self._log_odds(beside, [ghost])[0]), ghost

    def _log_odds(self, beside: _Beside, places: Sequence[Tangents]) -> Array:
        """Twice the logarithm of the odds of a source at each place, but for a constant; ``(n_places,)``."""
        return beside.evidence(places) + 2 * np.array([self._log_prior(place) for place in places])

    def alternative(self, beside: _Beside, place: Tangents) -> SuppressedExcess | None:
        """The place one mask period away that may be the source's own: not excluded at 90 %."""
        less, ghost = self._beside_ghosts(beside, place)
        if ghost is None or less > _DELTA_90:
            return None
        reason = f"explains nearly as well ({less:.1f} less in 2 ln L) the source one mask period away"
        return SuppressedExcess(ghost, float(np.sqrt(beside.gain([ghost])[0])), reason, place)

    def _part_of_known(self, place: Tangents, others: Sequence[Tangents]) -> tuple[str, Tangents | None]:
        """Whether an excess is what an imperfect model leaves of a source, beside it or at its ghosts."""
        if not others:
            return "", None
        nearest = min(others, key=lambda other: _apart(place, other))
        if _apart(place, nearest) < _UNRESOLVED_ARCMIN:
            return f"{_apart(place, nearest):.1f} arcmin from a source, not to be told from it", nearest
        fluxes = self._model.fit([*others, place])[0]
        for other, flux in zip(others, fluxes[:-1], strict=True):
            if fluxes[-1] > _LEFT_OVER * flux:
                continue
            if _apart(place, other) < _NEAR_ARCMIN:
                return f"{100 * fluxes[-1] / flux:.1f} % of a source that near", other
            if min(_apart(place, ghost) for ghost in _ghosts(other)) < _NEAR_ARCMIN:
                return f"{100 * fluxes[-1] / flux:.1f} % of a source one mask period away", other
        return "", None

    def _log_prior(self, place: Tangents) -> float:
        """Logarithm of how probable a source of given significance is, relative to the best pixel."""
        column, row = (int(np.clip(np.rint(v), 0, n - 1)) for v, n in zip(tangents_to_pixel(*place),
                       self._share.shape[::-1], strict=True))  # fmt: skip
        return _COUNTS_SLOPE / 2 * float(np.log(max(self._share[row, column], 1e-3)))


def _apart(a: Tangents, b: Tangents) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]) / ARCMIN)


def _around(place: Tangents) -> list[Tangents]:
    """The place and its neighbours half a sky pixel away."""
    return [(place[0] + i * SKY_PIXEL / 2, place[1] + j * SKY_PIXEL / 2) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def _ghosts(place: Tangents) -> list[Tangents]:
    period = GHOST_PERIOD_PIXELS * SKY_PIXEL
    return [(place[0] + i * period, place[1] + j * period) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]


def _peaks(scaled: Array, lowest: float) -> list[tuple[int, int]]:
    """Pixels that are the largest of their 7 x 7 neighbours and above a limit, the strongest first."""
    filled = np.nan_to_num(scaled, nan=-np.inf)
    high = [(int(row), int(column)) for row, column in np.argwhere(filled >= lowest)]
    peaks = [(r, c) for r, c in high if filled[r, c] == filled[max(r - 3, 0) : r + 4, max(c - 3, 0) : c + 4].max()]
    return sorted(peaks, key=lambda place: -filled[place])[:_MOST_PEAKS]


def measure(model: FieldModel, places: Sequence[Tangents], radii: dict[int, float]) -> list[FittedSource]:
    """Fluxes of all places fitted together; ``radii`` gives the 90 % radii of fitted positions by index."""
    fluxes, covariance = model.fit(places)
    errors = np.sqrt(np.diag(covariance))
    sources = [
        FittedSource(place, float(flux), float(error), float("inf"))
        for place, flux, error in zip(places, fluxes, errors, strict=True)
    ]
    return [replace(s, radius_90_arcmin=radii[k]) if k in radii else s for k, s in enumerate(sources)]
