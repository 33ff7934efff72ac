from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.archive.scw import ScwId, ScwKind
from integral_oda.errors import RequestError

scw_ids = st.builds(
    ScwId,
    st.integers(0, 9999),
    st.integers(0, 9999),
    st.integers(0, 999),
    st.sampled_from(list(ScwKind)),
    st.integers(0, 999),
)


def test_parts_of_an_identifier():
    scw = ScwId.parse("255900280011.002")
    assert scw == ScwId(2559, 28, 1, ScwKind.SLEW, 2)
    assert scw.swid == "255900280011"
    assert str(ScwId.parse("255900280010")) == "255900280010.001"


@given(scw_ids)
def test_text_and_back(scw):
    assert ScwId.parse(str(scw)) == scw


@given(st.lists(scw_ids))
def test_order_is_that_of_the_text(windows):
    assert [str(scw) for scw in sorted(windows)] == sorted(str(scw) for scw in windows)


@pytest.mark.parametrize(
    "text", ["", "2559", "255900280013.001", "255900280010.1", "25590028001a", "255900280010.001.gz", "٢٥٥٩٠٠٢٨٠٠١٠"]
)
def test_other_text_is_refused(text):
    with pytest.raises(RequestError, match=r"scw_list = .*RRRRPPPPSSSF") as caught:
        ScwId.parse(text)
    assert "\n" not in str(caught.value)
