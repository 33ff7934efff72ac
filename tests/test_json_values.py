from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.json_values import finite

NUMBERS = st.floats() | st.integers(-(2**50), 2**50) | st.text() | st.none() | st.booleans()
VALUES = st.recursive(NUMBERS, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(), s, max_size=3))


@given(VALUES)
def test_what_is_finite_stays_as_it_is_and_the_rest_is_none(value):
    def same(found, given):
        if isinstance(given, list):
            return len(found) == len(given) and all(map(same, found, given))
        if isinstance(given, dict):
            return found.keys() == given.keys() and all(same(found[key], given[key]) for key in given)
        unknown = isinstance(given, float) and not math.isfinite(given)
        return found is None if unknown else found == given and type(found) is type(given)

    found = finite(value)
    assert same(found, value)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_numbers_of_numpy_become_pythons():
    assert finite({1: (np.float32(0.5), np.int16(3), np.float64("nan"))}) == {"1": [0.5, 3, None]}
