import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.errors import DataError, RequestError, UnavailableError
from integral_oda.instrument.response import nominal_response
from integral_oda.products.response_file import write_arf, write_rmf
from integral_oda.products.spectrum import Spectrum, write_spectrum
from integral_oda.query import make_query
from integral_oda.spectral_fit import FitRequest, fit_spectra, repeat_fit

REFERENCE = json.loads((Path(__file__).parents[1] / "benchmarks/reports/sherpa_reference.json").read_text("utf-8"))
GRB = "volodymyrss_grb221009/IBIS_{}_GRB221009A{}.fits"
SMC = "astropy_astroquery/SMC_X-1_ISGRI_0745_06340000001_spectrum_{}.fits"
NGC = "oda-hub_oda_api_benchmark/NGC2110_ursini_{}_osa10.fits"
FILES = {
    "SMC X-1": [SMC.format(part) for part in ("spe", "rmf", "arf")],
    "SMC X-1 cutoffpl": [SMC.format(part) for part in ("spe", "rmf", "arf")],
    "1A 0535+262": [f"oda-hub_ogip/{part}.fits" for part in ("phaI", "rmf", "arf")],
    "4U 1700-377": [f"oda-hub_oda_api/{part}_test.fits" for part in ("spec", "rmf", "arf")],
    "GRB 221009A, rev 2558": [GRB.format("spectrum", "_rev2558"), GRB.format("rmf", ""), GRB.format("arf", "")],
    "GRB 221009A, rev 2559": [GRB.format("spectrum", "_rev2559"), GRB.format("rmf", ""), GRB.format("arf", "")],
    "NGC 2110": [NGC.format(part) for part in ("spectrum", "rmf", "arf")],
    "NGC 2110 cutoffpl": [NGC.format(part) for part in ("spectrum", "rmf", "arf")],
}


def found(folder, name):
    path = folder / name
    return path if path.is_file() else path.with_name(path.name + ".gz")


@pytest.mark.parametrize("case", FILES)
def test_real_spectra_fit_as_sherpa_fits_them(real_data, case):
    reference = REFERENCE["fits"][case]
    pha, rmf, arf = (found(real_data, name) for name in FILES[case])
    e1, e2 = reference["band_kev"]
    request = FitRequest(spectrum=(pha,), rmf=(rmf,), arf=(arf,), model=reference["model"], e1=e1, e2=e2)
    report = fit_spectra(request).report
    assert report["dof"] == reference["dof"]
    assert report["value"] == pytest.approx(reference["statistic"], abs=0.5)
    for parameter in report["parameters"]:
        assert abs(parameter["value"] - reference["values"][parameter["name"]]) < 0.1 * parameter["error"]
        assert parameter["error"] == pytest.approx(reference["errors"][parameter["name"]], rel=0.1)
    (flux,) = report["fluxes"]
    assert abs(flux["flux"] - reference["flux_20_100"]) < 0.1 * flux["error"]


def test_ngc_2110_as_published(real_data):
    """Ursini et al. 2019 give a cut-off of 320 (-60 +100) keV; the online system Gamma 1.752(29) with a power law."""
    pha = real_data / NGC.format("spectrum")
    bent = fit_spectra(FitRequest(spectrum=(pha,), model="cutoffpl", e1=20, e2=300)).report["parameters"]
    cutoff = next(p for p in bent if p["name"] == "e_cut")
    assert abs(cutoff["value"] - 320) < cutoff["error"]
    straight = fit_spectra(FitRequest(spectrum=(pha,), e1=20, e2=300)).report
    index = straight["parameters"][0]
    assert abs(index["value"] - 1.752) < 2 * np.hypot(index["error"], 0.029)
    ratio = 2.156e-10 / straight["fluxes"][0]["flux"]
    assert 1.05 < ratio < 1.15  # its points run 5-15 % above Ursini's


@pytest.fixture
def files(tmp_path):
    """A Crab spectrum over 62 channels with ARF and RMF in OSA 10's form."""
    response = nominal_response(700, np.geomspace(20, 400, 63).round(0) + np.arange(63) * 0.5)
    rate = response.fold(lambda e: 9.7 * e**-2.1)
    zero = np.zeros(62, np.int16)
    spectrum = Spectrum("Crab", 83.6, 22.0, rate, 0.02 * rate, np.zeros(62), zero, zero, 1e4,
                        response_file="r.fits", area_file="a.fits")  # fmt: skip
    write_spectrum(tmp_path / "s.fits", spectrum)
    write_arf(tmp_path / "a.fits", response, "OSA10")
    write_rmf(tmp_path / "r.fits", response, "OSA10")
    return tmp_path


def change(path, **cards):
    with fits.open(path, mode="update") as hdus:
        hdus[1].header.update(cards)
    return path


def test_products_reproduce_the_fit(files):
    products = fit_spectra(FitRequest(spectrum=(files / "s.fits",), minos=True, contour=("index", "norm")))
    written = products.write(files / "out")
    assert [path.name for path in written] == ["fit.json", "fit.xcm", "fit.png"]
    report = json.loads(written[0].read_text("utf-8"))
    assert report["parameters"][0]["value"] == pytest.approx(2.1, abs=0.005)
    again = fit_spectra(FitRequest(**report["request"])).report
    assert again["value"] == pytest.approx(report["value"], abs=1e-9)
    assert again["parameters"] == report["parameters"]
    script = written[1].read_text("utf-8").splitlines()
    assert script[0] == "statistic chi"
    assert f"response 1 {files / 'r.fits'}" in script
    assert "model powerlaw" in script


def test_nan_channels_are_masked_and_counted(files):
    path = files / "s.fits"
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["RATE"][10:14] = np.nan
        hdus[1].data["STAT_ERR"][20] = np.inf
    report = fit_spectra(FitRequest(spectrum=(path,))).report
    assert report["spectra"][0]["bins"] == 57
    assert report["spectra"][0]["good_channels_without_a_number"] == 4
    assert report["parameters"][0]["value"] == pytest.approx(2.1, abs=0.005)


def test_systematic_error_is_applied_once(files):
    path = files / "s.fits"
    plain = fit_spectra(FitRequest(spectrum=(path,))).report
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["SYS_ERR"] = 0.02
    in_file = fit_spectra(FitRequest(spectrum=(path,))).report
    in_both = fit_spectra(FitRequest(spectrum=(path,), systematic=0.02)).report
    ratio = in_file["parameters"][0]["error"] / plain["parameters"][0]["error"]
    assert ratio == pytest.approx(np.sqrt(2), rel=1e-3)
    assert in_both["parameters"][0]["error"] == pytest.approx(in_file["parameters"][0]["error"], rel=1e-5)


def test_a_response_that_is_not_there(files):
    (files / "r.fits").rename(files / "elsewhere.fits")
    with pytest.raises(DataError, match=r"r\.fits, which is not there"):
        fit_spectra(FitRequest(spectrum=(files / "s.fits",)))
    assert fit_spectra(FitRequest(spectrum=(files / "s.fits",), rmf=(files / "elsewhere.fits",))).result.converged


def test_none_is_allowed_for_an_area(files):
    change(files / "s.fits", ANCRFILE="NONE")
    response = nominal_response(700, np.geomspace(20, 400, 63).round(0) + np.arange(63) * 0.5)
    write_rmf(files / "r.fits", response, "OSA11")
    found = fit_spectra(FitRequest(spectrum=(files / "s.fits",))).report["parameters"]
    assert found[1]["value"] == pytest.approx(9.7, rel=0.01)


def test_no_response_at_all(files):
    change(files / "s.fits", RESPFILE="NONE")
    with pytest.raises(RequestError, match="62 channels"):
        fit_spectra(FitRequest(spectrum=(files / "s.fits",)))


def test_other_channels(files):
    write_rmf(files / "other.fits", nominal_response(700), "OSA10")
    with pytest.raises(RequestError, match="256 channels"):
        fit_spectra(FitRequest(spectrum=(files / "s.fits",), rmf=(files / "other.fits",), arf=(Path("NONE"),)))
    shutil.copy(files / "other.fits", files / "r.fits")
    with pytest.raises(DataError, match="62 channels, but its response"):
        fit_spectra(FitRequest(spectrum=(files / "s.fits",), arf=(Path("NONE"),)))


@pytest.mark.parametrize("exposure", [-5.0, 0.0, "long"])
def test_bad_exposure(files, exposure):
    with pytest.raises(DataError, match="EXPOSURE"):
        fit_spectra(FitRequest(spectrum=(change(files / "s.fits", EXPOSURE=exposure),)))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"e1": 100, "e2": 20}, "above e1"),
        ({"flux": ["20"]}, "flux"),
        ({"flux": ["100-20"]}, "flux"),
        ({"statistic": "ks"}, "statistic"),
        ({"e1": float("nan")}, "e1"),
        ({"systematic": 2.0}, "systematic"),
        ({"model": "wave"}, "model"),
        ({"e1": 5000.0}, "no usable channel"),
        ({"rmf": ["a", "b", "c"]}, "3 files"),
        ({"row": 3}, "row"),
    ],
)
def test_bad_requests_name_what_is_wrong(files, given, named):
    with pytest.raises(RequestError, match=named):
        fit_spectra(make_query(FitRequest, spectrum=[files / "s.fits"], **given))


def test_a_fit_is_repeated_from_its_report(files):
    request = FitRequest(spectrum=(files / "s.fits",), e1=30, e2=200, model="cutoffpl", freeze=("e_cut",))
    first = fit_spectra(request)
    first.write(files / "out")
    assert repeat_fit(files / "out" / "fit.json") == request
    with fits.open(files / "s.fits", mode="update") as hdus:
        hdus[1].data["RATE"] *= 2
    with pytest.raises(DataError, match="not what it was"):
        repeat_fit(files / "out" / "fit.json")
    with pytest.raises(DataError, match=r"no fit\.json"):
        repeat_fit(files / "s.fits")


def test_a_chain_agrees_with_the_errors(files):
    products = fit_spectra(FitRequest(spectrum=(files / "s.fits",), chain=300))
    index, drawn = products.report["parameters"][0], products.report["chain"]["parameters"]["index"]
    assert abs(drawn["median"] - index["value"]) < 0.3 * index["error"]
    assert drawn["upper"] == pytest.approx(index["error"], rel=0.3)
    assert (files / "out" / "chain.ecsv") in products.write(files / "out")
    again = fit_spectra(FitRequest(spectrum=(files / "s.fits",), chain=300))
    assert again.report["chain"] == products.report["chain"]


def test_sherpa_as_the_fitter_agrees_or_says_that_it_is_missing(files):
    request = FitRequest(spectrum=(files / "s.fits",), fitter="sherpa")
    if importlib.util.find_spec("sherpa") is None:
        with pytest.raises(UnavailableError, match="sherpa is not installed"):
            fit_spectra(request)
        return
    plain = fit_spectra(FitRequest(spectrum=(files / "s.fits",))).report
    for mine, other in zip(plain["parameters"], fit_spectra(request).report["parameters"], strict=True):
        assert abs(mine["value"] - other["value"]) < 0.05 * mine["error"]
        assert other["error"] == pytest.approx(mine["error"], rel=0.05)
