"""A decoding array that comes with the instrument's files, in place of the mask's own contrast.

Any array G decodes: the score of a direction is G'C^-1 x, its flux that over what a source of unit flux gives. With
the noise known, the mask's own shadow loses least (Gauss-Markov), so that another array is at best as good; an array
that is the mask's but for its weights is taken as it is, anything else would show ghosts for sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.decoding import MaskCorrelator, cells_on_pixels, mask_contrast, mask_footprint
from integral_oda.instrument.detector import active_pixels
from integral_oda.instrument.mask import MASK_CELLS

__all__ = ["DecodingMatch", "match_decoding"]

_LEAST_AGREEMENT = 0.99
"""Share of the signs that are the mask's. Transposed, its two lines through the middle alone take 2 %."""
_WHOLLY_SIGNED = 0.25
"""Contrast above which a pixel lies for the most part behind open or behind closed cells."""
_MOST_UNEVEN = 0.1
"""Of response over variance from direction to direction: twice the error of the map's significance."""
_LEAST_CODED = 0.2
_FARTHEST_SHIFT = 2


@dataclass(frozen=True)
class DecodingMatch:
    """What a decoding array is to the mask.

    Attributes
    ----------
    contrast : ndarray or None
        ``(233, 233)`` on detector pixels, scaled so that the score of a source of unit flux has the variance of the
        score; None where the array cannot be used.
    reason : str
        Why it cannot, in a few words.
    """

    contrast: Array | None
    reason: str = ""


def match_decoding(array: Array) -> DecodingMatch:
    """Bring a decoding array to the mask's pixel grid and see whether it is the mask's.

    Parameters
    ----------
    array : ndarray
        Rows along Z, columns along Y: 95 x 95 cells, positive where open, or weights on detector pixels (4.6 mm), the
        middle of the mask on the pixel in the middle, to within two pixels.
    """
    nominal = mask_contrast()
    if array.shape == (MASK_CELLS, MASK_CELLS):
        contrast = 0.5 * cells_on_pixels(np.asarray(array, dtype=float))
    elif min(array.shape) >= nominal.shape[0] - _FARTHEST_SHIFT:
        contrast = _registered(np.asarray(array, dtype=float), nominal)
    else:
        return DecodingMatch(None, f"is {array.shape[0]} x {array.shape[1]}")
    signed = np.abs(nominal) >= _WHOLLY_SIGNED
    agreement = float((np.sign(contrast) == np.sign(nominal))[signed].mean())
    if agreement < _LEAST_AGREEMENT:
        return DecodingMatch(None, f"has {100 * agreement:.0f} % of the mask's signs")
    contrast *= (contrast * nominal).sum() / (contrast**2).sum()
    uneven = _unevenness(contrast, nominal)
    if uneven > _MOST_UNEVEN:
        return DecodingMatch(None, f"has weights uneven by {100 * uneven:.0f} %")
    return DecodingMatch(contrast)


def _registered(array: Array, nominal: Array) -> Array:
    """The part of an array on the mask's pixel grid, moved by whole pixels to where it is most like the mask."""
    size, reach = nominal.shape[0], _FARTHEST_SHIFT
    padded = np.pad(np.nan_to_num(array), size // 2 + reach)
    middle = [n // 2 + reach for n in array.shape]
    places = [(z + dz, y + dy) for z, y in [middle] for dz in _shifts() for dy in _shifts()]
    parts = [padded[z : z + size, y : y + size] for z, y in places]
    return max(parts, key=lambda part: float((part * nominal).sum())).copy()


def _shifts() -> range:
    return range(-_FARTHEST_SHIFT, _FARTHEST_SHIFT + 1)


def _unevenness(contrast: Array, nominal: Array) -> float:
    """Largest departure from 1 of the response over the variance, of all directions that light a fifth."""
    flat = active_pixels().astype(float)
    response, variance, covered = (
        MaskCorrelator(kernel)(flat) for kernel in (contrast * nominal, contrast**2, mask_footprint())
    )
    seen = covered > _LEAST_CODED * covered.max()
    return float(np.abs(response[seen] / np.maximum(variance[seen], 1e-9) - 1).max())
