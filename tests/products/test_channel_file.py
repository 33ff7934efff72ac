import numpy as np
import pytest

from integral_oda.errors import DataError
from integral_oda.products.channel_file import read_channel_edges


def test_edges_and_pairs_in_text(tmp_path):
    (tmp_path / "edges.txt").write_text("# keV\n20\n40\n60.5\n", encoding="utf-8")
    (tmp_path / "pairs.txt").write_text("20 40\n40 60.5\n", encoding="utf-8")
    for name in ("edges.txt", "pairs.txt"):
        assert read_channel_edges(tmp_path / name).tolist() == [20.0, 40.0, 60.5]


def test_the_channels_of_a_response(real_data):
    edges = read_channel_edges(real_data / "oda-hub_ogip/rmf.fits.gz")
    assert (len(edges), edges[0], edges[-1]) == (257, 12.5, 1029.5)


@pytest.mark.parametrize("text", ["", "a b\n", "20 40\n50 60\n"])
def test_bad_files(tmp_path, text):
    path = tmp_path / "bad.txt"
    path.write_text(text, encoding="utf-8")
    with np.errstate(all="ignore"), pytest.raises(DataError, match=r"bad\.txt"):
        read_channel_edges(path)
