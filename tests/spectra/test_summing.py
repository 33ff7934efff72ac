import numpy as np
import pytest

from integral_oda.spectra.summing import sum_spectra, window_weight


def test_weighted_mean_by_hand():
    rate, covariance = sum_spectra(
        [np.array([1.0, 4.0]), np.array([3.0, np.nan])], [np.diag([1.0, 4.0]), np.diag([1.0, 9.0])], [1.0, 3.0]
    )
    assert rate.tolist() == [2.5, 4.0]
    assert np.diag(covariance).tolist() == [1 / 16 + 9 / 16, 4.0]


def test_a_channel_that_no_window_has():
    rate, covariance = sum_spectra([np.array([np.nan, 1.0])], [np.eye(2)], [1.0])
    assert np.isnan(rate[0])
    assert covariance[0].tolist() == [0.0, 0.0]


def test_errors_shrink_with_the_root_of_the_windows():
    shared = np.array([[2.0, 1.0], [1.0, 2.0]])
    _, covariance = sum_spectra([np.ones(2)] * 16, [shared] * 16, [0.3] * 16)
    assert covariance == pytest.approx(shared / 16)


def test_weight_is_the_inverse_variance_of_the_sum():
    covariance = np.array([[2.0, 1.0], [1.0, 2.0]])
    assert window_weight(covariance, np.array([True, True])) == pytest.approx(1 / 6)
    assert window_weight(covariance, np.array([False, False])) == 0.0
    assert window_weight(np.full((1, 1), np.nan), np.array([True])) == 0.0
