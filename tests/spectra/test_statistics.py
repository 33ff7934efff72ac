import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from integral_oda.spectra.statistics import chi2_terms, cstat_terms, wstat_terms

COUNTS = st.integers(0, 500)
RATES = st.floats(0.01, 500)


def test_chi2_by_hand():
    assert chi2_terms(np.array([5.0]), np.array([3.0]), np.array([4.0])) == pytest.approx([0.5])


@given(COUNTS, RATES)
def test_cstat_is_least_where_model_is_data(counts, model):
    n = np.array([float(counts)])
    assert cstat_terms(n, n) == pytest.approx([0.0], abs=1e-9)
    assert cstat_terms(n, np.array([model])) >= -1e-9


def test_cstat_of_no_counts_is_twice_the_model():
    assert cstat_terms(np.zeros(1), np.array([3.0])) == pytest.approx([6.0])


@given(COUNTS, COUNTS, RATES, st.floats(0.1, 20))
def test_wstat_profiles_the_background(on, off, source, ratio):
    n, m, mu = (np.array([float(v)]) for v in (on, off, source))

    def total(background):
        return float((cstat_terms(n, mu + background) + cstat_terms(m, ratio * background))[0])

    best = minimize_scalar(total, bounds=(1e-12, 2000.0), method="bounded", options={"xatol": 1e-10})
    least = min(best.fun, total(1e-12))
    assert float(wstat_terms(n, mu, m, ratio)[0]) == pytest.approx(least, abs=1e-4)


def test_wstat_without_model_and_counts():
    assert wstat_terms(np.zeros(1), np.zeros(1), np.zeros(1), 2.0) == pytest.approx([0.0])
