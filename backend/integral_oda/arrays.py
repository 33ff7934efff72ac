"""Names for array types used throughout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "IntArray"]

Array = NDArray[Any]
"""Array of floats; docstrings say which."""
IntArray = NDArray[np.integer[Any]]
