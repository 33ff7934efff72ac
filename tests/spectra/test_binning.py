import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.errors import RequestError
from integral_oda.instrument.response import osa_channel_edges_kev
from integral_oda.spectra.binning import CHANNEL_SETS, channel_edges, group_channels, rebin_matrix

FULL = osa_channel_edges_kev()


@pytest.mark.parametrize("number", CHANNEL_SETS)
def test_every_set_has_its_number_of_channels_on_the_grid(number):
    edges = channel_edges(number)
    assert len(edges) == number + 1
    assert np.isin(edges, FULL).all()


def test_62_channels_are_those_of_the_real_response(real_data):
    from integral_oda.products.response_file import read_response

    real = read_response(real_data / "oda-hub_oda_api/rmf_test.fits.gz").channel_edges_kev
    nearest = FULL[np.abs(FULL[None, :] - real[:, None]).argmin(axis=1)]
    assert channel_edges(62).tolist() == nearest.tolist()


def test_what_is_no_set():
    with pytest.raises(RequestError, match="62"):
        channel_edges(61)


@given(st.lists(st.integers(0, 256), min_size=2, max_size=40, unique=True))
def test_sums_over_channels_are_kept(index):
    edges = FULL[sorted(index)]
    matrix = rebin_matrix(FULL, edges)
    values = np.arange(256.0)
    inside = (FULL[:-1] >= edges[0]) & (FULL[1:] <= edges[-1])
    assert (matrix @ values).sum() == values[inside].sum()
    assert matrix.sum(axis=0).max() <= 1


@pytest.mark.parametrize("edges", [[20.0], [20.0, 20.0], [40.0, 20.0], [20.3, 40.0]])
def test_bad_edges(edges):
    with pytest.raises(RequestError, match="channels"):
        rebin_matrix(FULL, np.array(edges))


@given(st.lists(st.floats(0, 5), min_size=1, max_size=50), st.floats(0.1, 8), st.data())
def test_groups_reach_their_significance(significance, least, data):
    good = np.array(data.draw(st.lists(st.booleans(), min_size=len(significance), max_size=len(significance))))
    flags = group_channels(np.array(significance), good, least)
    bins = np.split(np.arange(len(flags)), np.flatnonzero(flags != -1)[1:] if flags[0] != -1 else [])
    for number, members in enumerate(bins):
        assert good[members].all() or len(members) == 1
        complete = np.sqrt((np.array(significance)[members] ** 2).sum()) >= least * (1 - 1e-9)
        last = number == len(bins) - 1 or not good[bins[number + 1][0]]
        assert complete or last or not good[members[0]]


def test_no_grouping_leaves_channels_alone():
    assert group_channels(np.ones(5), np.ones(5, bool), 0.0).tolist() == [1] * 5
