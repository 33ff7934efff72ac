"""The engine mmoda against this project's own HTTP interface, which speaks the same protocol."""

import base64
import pickle

import numpy as np
import pytest

from integral_oda.analysis import analyse
from integral_oda.engines.remote.decoding import read_array, read_catalogue, write_product
from integral_oda.engines.remote.dispatcher import Dispatcher, find_token
from integral_oda.errors import DataError, UnavailableError
from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery
from integral_oda.service.encoding import encode_array

BAND = (20.0, 40.0)


@pytest.fixture
def remote(server, monkeypatch, tmp_path):
    """Store of an engine whose server is ours, and an archive that has nothing."""
    monkeypatch.setenv("INTEGRAL_ODA_MMODA_URL", server.url)
    monkeypatch.setenv("ODA_TOKEN", server.token("alice"))
    return tmp_path / "archive", tmp_path / "store"


@pytest.mark.slow
def test_an_image_is_the_servers_own(remote, windows, simulated_archive, tmp_path):
    query = ImageQuery(scw_list=windows[:1], bands=(BAND,))
    there = analyse(query.model_copy(update={"engine": "mmoda"}), *remote)
    here = analyse(query, simulated_archive[0], tmp_path / "here")
    # Two runs agree to rounding: sums of a linear algebra library depend on its threads.
    rounding = 1e-5 * np.nanmax(np.abs(here.images[0].intensity))
    assert np.allclose(there.images[0].intensity, here.images[0].intensity, rtol=0, atol=rounding, equal_nan=True)
    assert there.images[0].wcs.wcs.compare(here.images[0].wcs.wcs, tolerance=1e-12)
    found = {source.name: source for source in there.sources}
    for source in here.sources:
        assert found[source.name].ra_deg == pytest.approx(source.ra_deg, abs=1e-6)
        assert found[source.name].bands[0].significance == pytest.approx(source.bands[0].significance, rel=1e-6)
        assert found[source.name].bands[0].flux == pytest.approx(source.bands[0].flux, rel=0.05)


@pytest.mark.slow
def test_many_windows_are_asked_for_in_parts_and_merged(remote, windows, simulated_archive, tmp_path, monkeypatch):
    monkeypatch.setattr("integral_oda.engines.remote.graph.WINDOWS_A_REQUEST", 1)
    query = LightCurveQuery(scw_list=windows, E1_keV=20, E2_keV=40, time_bin=100, src_name="Crab")
    (there,) = analyse(query.model_copy(update={"engine": "mmoda"}), *remote).curves
    (here,) = analyse(query, simulated_archive[0], tmp_path / "here").curves
    assert there.name == "Crab"
    assert np.allclose(there.time_ijd, here.time_ijd)
    assert np.allclose(there.rate, here.rate)


@pytest.mark.slow
def test_spectra_are_summed_over_requests(remote, windows, monkeypatch):
    query = SpectrumQuery(scw_list=windows, channels=62, src_name="Crab", engine="mmoda")
    (whole,) = analyse(query, *remote).spectra
    monkeypatch.setattr("integral_oda.engines.remote.graph.WINDOWS_A_REQUEST", 1)
    (parts,) = analyse(query, *remote).spectra
    good = (whole.quality == 0) & (parts.quality == 0) & (whole.stat_error > 0)
    assert whole.name == parts.name == "Crab"
    assert parts.exposure_s == pytest.approx(whole.exposure_s, rel=1e-3)
    assert np.abs((parts.rate[good] - whole.rate[good]) / whole.stat_error[good]).max() < 1
    assert parts.rate[good].sum() == pytest.approx(whole.rate[good].sum(), rel=0.03)


@pytest.mark.slow
def test_the_same_query_again_asks_nobody(remote, windows, monkeypatch):
    query = LightCurveQuery(scw_list=windows[:1], E1_keV=20, E2_keV=40, time_bin=200, engine="mmoda")
    first = analyse(query, *remote)

    def refuse(*_):
        pytest.fail("asked again")

    monkeypatch.setattr(Dispatcher, "products", refuse)
    again = analyse(query, *remote)
    assert again.summary["nodes"]["computed"] == 0
    assert again.summary["files"] == first.summary["files"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "changed", "kind", "told"),
    [
        ("wrong", {}, DataError, "403"),
        (None, {"scw_list": ("999900010010.001",)}, DataError, "999900010010.001"),
    ],
)
def test_refusals_are_told_in_one_line(remote, server, windows, monkeypatch, token, changed, kind, told):
    if token:
        monkeypatch.setenv("ODA_TOKEN", token)
    query = ImageQuery(**{"scw_list": windows[:1], "bands": (BAND,), "engine": "mmoda", **changed})
    with pytest.raises(kind, match=told) as caught:
        analyse(query, *remote)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr("integral_oda.engines.remote.dispatcher._TRIES", 1)
    with pytest.raises(UnavailableError, match="does not answer"):
        Dispatcher("http://127.0.0.1:9").products("isgri_image", {})


def test_the_token_is_found_in_the_usual_places(monkeypatch, tmp_path):
    monkeypatch.delenv("ODA_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_token() is None
    (tmp_path / "home" / ".oda-token").write_text("home\n")
    assert find_token() == "home"
    (tmp_path / ".oda-token").write_text("here\n")
    assert find_token() == "here"
    monkeypatch.setenv("ODA_TOKEN", "environment")
    assert find_token() == "environment"


class Harm:
    """A pickle that would run a command."""

    def __reduce__(self):
        return print, ("harm",)


@pytest.mark.parametrize("content", [Harm(), [1, 2], {"a": 1}])
def test_what_is_no_array_is_refused(content, capsys):
    with pytest.raises(DataError, match="array"):
        read_array(base64.b64encode(pickle.dumps(content)).decode())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "AAAA", "no base64 at all!", "gASVCgAAAAAAAAA="])
def test_what_is_no_pickle_is_refused(text):
    with pytest.raises(DataError):
        read_array(text)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_every_protocol_are_read(protocol):
    array = np.arange(6.0, dtype=">f4").reshape(2, 3)
    assert np.array_equal(read_array(base64.b64encode(pickle.dumps(array, protocol)).decode()), array)


def test_an_array_makes_the_round_trip():
    array = np.arange(5)
    assert np.array_equal(read_array(encode_array(array)), array)


def test_a_product_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="no data"):
        write_product(tmp_path / "a.fits", {"data_unit_list": []})


def test_a_catalogue_without_a_column_is_refused():
    with pytest.raises(DataError, match="catalogue"):
        read_catalogue({"cat_column_names": ["ra"], "cat_column_list": [[1.0]]})
