import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.spectra.channels import noticed_bins

EDGES = np.arange(10.0, 21.0)


def bins(usable=None, grouping=None, e1=0.0, e2=np.inf):
    n = len(EDGES) - 1
    return noticed_bins(
        EDGES,
        np.ones(n, bool) if usable is None else usable,
        np.zeros(n, int) if grouping is None else grouping,
        e1,
        e2,
    )


def test_channels_wholly_inside():
    found = bins(e1=11.5, e2=15.0)
    assert found.channel.tolist() == [2, 3, 4]
    low, high = found.edges(EDGES)
    assert (low[0], high[-1]) == (12.0, 15.0)


def test_groups_keep_what_is_left_of_them():
    grouping = np.array([1, -1, -1, 1, -1, -1, 0, 1, -1, -1])
    usable = np.array([1, 1, 0, 1, 1, 1, 1, 0, 0, 0], bool)
    found = bins(usable, grouping, e1=11.0)
    assert found.sum(np.arange(10.0)).tolist() == [1.0, 3.0 + 4 + 5, 6.0]
    assert found.root_sum_square(np.ones(10)).tolist() == [1.0, np.sqrt(3), 1.0]


def test_nothing_left():
    assert len(bins(e1=50.0)) == 0
    assert bins(e1=50.0).sum(np.ones(10)).tolist() == []


@given(
    st.lists(st.sampled_from([-1, 0, 1]), min_size=10, max_size=10), st.lists(st.booleans(), min_size=10, max_size=10)
)
def test_bins_share_out_the_usable_channels(grouping, usable):
    found = bins(np.array(usable), np.array(grouping))
    assert found.sum(np.ones(10)).sum() == sum(usable)
    low, high = found.edges(EDGES) if len(found) else (np.zeros(0), np.zeros(0))
    assert np.all(low < high)
    assert np.all(low[1:] >= high[:-1])
