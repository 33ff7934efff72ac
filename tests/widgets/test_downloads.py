"""Every result file can be taken away whole."""

from __future__ import annotations

import base64
import re

import pytest

from integral_widgets.downloads import DATA_URI_LIMIT, SERVED_ROOT, data_uri_link, download_list, file_link


@pytest.fixture
def product(tmp_path):
    path = tmp_path / "out" / "a b" / "mosaic.fits"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(range(256)) * 10)
    return path


def test_a_served_file_is_linked_below_the_base_address(product, tmp_path, monkeypatch):
    monkeypatch.setenv(SERVED_ROOT, str(tmp_path))
    monkeypatch.setenv("VOILA_BASE_URL", "/user/me/")
    assert file_link(product) == "/user/me/voila/files/out/a%20b/mosaic.fits"
    assert 'href="/user/me/voila/files/out/a%20b/mosaic.fits"' in download_list([product]).children[0].value


def test_a_file_outside_the_served_folder_is_not_linked(product, tmp_path, monkeypatch):
    monkeypatch.setenv(SERVED_ROOT, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("VOILA_BASE_URL", "/")
    assert file_link(product) is None


def test_a_data_uri_holds_the_whole_file(product):
    content = re.search(r"base64,([^\"]+)\"", data_uri_link(product))[1]
    assert base64.b64decode(content) == product.read_bytes()


def test_a_name_is_text_never_markup(tmp_path):
    path = tmp_path / '"><script>x.fits'
    path.write_bytes(b"x")
    assert "<script>" not in data_uri_link(path)


def test_without_a_server_a_click_makes_the_link_and_another_drops_it(product, monkeypatch):
    monkeypatch.delenv(SERVED_ROOT, raising=False)
    button, place = download_list([product]).children[0].children
    assert "data:" not in place.value
    button.click()
    assert "data:application/fits;base64," in place.value
    button.click()
    assert "data:" not in place.value


def test_without_a_server_a_large_file_is_named_with_its_place(tmp_path, monkeypatch):
    monkeypatch.delenv(SERVED_ROOT, raising=False)
    path = tmp_path / "large.fits"
    path.write_bytes(bytes(DATA_URI_LIMIT + 1))
    assert str(path) in download_list([path]).children[0].value
