"""A fit from the page is the fit of the shell: same numbers, same files."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest

from integral_oda.errors import RequestError
from integral_oda.instrument.response import Response
from integral_oda.products.response_file import write_arf, write_rmf
from integral_oda.products.spectrum import Spectrum, write_spectrum
from integral_oda.spectral_fit import fit_spectra
from integral_widgets.spectrum_view import SpectrumView, fit_table_html


@pytest.fixture
def products(spectrum_files):
    return types.SimpleNamespace(files=spectrum_files)


def fitted(view):
    view.run_fit()
    view.wait(60)
    assert view.fit is not None, view.notice.widget.value
    return view.fit


def test_the_counts_are_shown_before_any_fit(products, tmp_path):
    view = SpectrumView(products, tmp_path)
    assert view.place.figure.name == "counts"
    assert view.fit is None


def test_the_fit_finds_what_was_put_in_and_says_what_the_shell_says(products, tmp_path):
    view = SpectrumView(products, tmp_path)
    fit = fitted(view)
    index = next(p for p in fit.result.parameters if p.name == "index")
    assert abs(index.value - 2.1) < 4 * index.error
    assert index.error < 0.1
    again = fit_spectra(fit.request)
    assert again.report["parameters"] == fit.report["parameters"]
    assert json.loads((tmp_path / "fit.json").read_text())["value"] == pytest.approx(fit.result.value)
    assert (tmp_path / "fit.xcm").read_text().startswith("statistic chi")
    assert "index" in view.table.value
    assert "flux 20-100 keV" in view.table.value
    assert [panel.name for panel in view.place.figure.children] == ["counts", "residuals", "unfolded"]


def test_panels_show_model_residuals_and_band(products, tmp_path):
    view = SpectrumView(products, tmp_path)
    fit = fitted(view)
    counts, residuals, unfolded = view.place.figure.children
    assert counts.x_range is residuals.x_range is unfolded.x_range
    pull = residuals.select_one({"name": "residuals0"}).data_source.data["pull"]
    assert (np.asarray(pull) ** 2).sum() == pytest.approx(fit.result.value)
    band = unfolded.select_one({"name": "band"}).data_source.data
    data = unfolded.select_one({"name": "unfolded0"}).data_source.data
    inside = np.interp(data["energy"], band["x"], band["y1"])
    assert np.median(np.asarray(data["value"]) / inside) == pytest.approx(1, abs=0.15)


def test_contours_hold_the_best_values(products, tmp_path):
    view = SpectrumView(products, tmp_path)
    fitted(view)
    assert {name for name, _ in view.first.options} == {"index", "norm"}
    view.run_contours()
    view.wait(60)
    (first, *_) = view.fit.report["contours"]["lines"]
    points, best = np.array(first["points"]), {p.name: p.value for p in view.fit.result.parameters}
    for k, name in enumerate(view.fit.report["contours"]["parameters"]):
        assert points[:, k].min() < best[name] < points[:, k].max()
    assert len(view.contour_place.children) == 1


def test_another_range_asks_for_another_fit(products, tmp_path):
    view = SpectrumView(products, tmp_path)
    fitted(view)
    view.e2.value = 100.0
    assert view.fit is None
    assert view.place.figure.name == "counts"
    assert max(view.place.figure.select_one({"name": "counts_errors"}).data_source.data["high"]) <= 100
    assert view.table.value == ""


@pytest.mark.parametrize(
    ("control", "value", "named"),
    [
        ("e1", 500.0, "e1"),
        ("flux", "100-20", "flux"),
        ("model", "powerlaw + <b>", "model"),
        ("model", "nothing", "model"),
    ],
)
def test_what_cannot_be_asked_is_told_in_words(products, tmp_path, control, value, named):
    view = SpectrumView(products, tmp_path)
    getattr(view, control).value = value
    view.fit_button.click()
    view.wait(60)
    assert named in view.notice.widget.value
    assert 'role="alert"' in view.notice.widget.value
    assert "<b>" not in view.notice.widget.value
    assert not view.fit_button.disabled


def test_contours_need_two_parameters(products, tmp_path):
    view = SpectrumView(products, tmp_path)
    fitted(view)
    view.second.value = view.first.value
    with pytest.raises(RequestError, match="two different"):
        view.run_contours()


def test_a_product_without_spectra_is_an_empty_view(tmp_path):
    view = SpectrumView(types.SimpleNamespace(files=[]), tmp_path)
    view.fit_button.click()
    assert "a product with spectra" in view.notice.widget.value


def test_names_in_the_table_are_text():
    report = {"parameters": [{"name": "<b>", "value": 1.0, "error": 0.1, "unit": "", "fixed": False}], "fluxes": [],
              "value": 1.0, "dof": 1, "statistic": "chi2", "null_probability": None}  # fmt: skip
    assert "<b>" not in fit_table_html(report)


@pytest.fixture
def spectrum_files(tmp_path):
    """Rates of a power law of index 2.1 with 3 % errors, drawn from a known seed, with a real response."""
    edges = np.geomspace(15, 500, 31)
    energies = np.geomspace(12, 800, 121)
    matrix = _matrix(energies, edges)
    response = Response(energies, edges, matrix, "test")
    rmf = tmp_path / "isgri_rmf_x.fits"
    arf = tmp_path / "isgri_arf_x.fits"
    write_rmf(rmf, response, "OSA10")
    write_arf(arf, response, "OSA10")
    low, high = energies[:-1], energies[1:]
    photons = 10 * (low**-1.1 - high**-1.1) / 1.1
    true = photons @ matrix
    error = 0.03 * true
    rate = np.random.default_rng(21).normal(true, error)
    n, zero = len(rate), np.zeros(len(rate))
    path = tmp_path / "isgri_spectrum_x.fits"
    whole = np.zeros(n, dtype=np.int16)
    spectrum = Spectrum("x", 10.0, 20.0, rate, error, zero, whole, whole.copy(), 1000.0, response_file=rmf.name,
                        area_file=arf.name)  # fmt: skip
    write_spectrum(path, spectrum)
    return [path, rmf, arf]


def _matrix(energies, edges):
    from scipy.stats import norm

    middle = np.sqrt(energies[:-1] * energies[1:])
    sigma = 0.06 * middle
    share = np.diff(norm.cdf((edges[None, :] - middle[:, None]) / sigma[:, None]), axis=1)
    return 300 * share
