import json

import numpy as np
import pytest

from integral_oda.instrument.response import nominal_response
from integral_oda.products.fit_pictures import draw_fit
from integral_oda.products.fit_report import fit_report, write_json, write_xcm
from integral_oda.spectra.fit import FitProblem, SpectrumData, fit_model
from integral_oda.spectra.model import model_from_expression

RESPONSE = nominal_response(700, np.array([20, 30, 41, 60.5, 99.5, 150, 201.0]))


def data(factor=1.0):
    rate = factor * RESPONSE.fold(lambda energy: 9.7 * energy**-2.1)
    channels, energies = RESPONSE.channel_edges_kev, RESPONSE.energy_edges_kev
    parts = (channels[:-1], channels[1:], energies[:-1], energies[1:], RESPONSE.matrix)
    return SpectrumData("Crab", rate, 0.03 * rate, *parts, 1000.0)


@pytest.fixture(scope="module")
def joint():
    return fit_model(FitProblem([data(), data(0.9)], model_from_expression("powerlaw*highecut", frozen=["e_cut"])))


def test_script_for_two_spectra(joint, tmp_path):
    files = [{"spectrum": f"s{k}.fits", "rmf": "r.fits", "arf": "a.fits"} for k in (1, 2)]
    write_xcm(tmp_path / "fit.xcm", joint, files, (20.0, 200.0))
    lines = (tmp_path / "fit.xcm").read_text(encoding="utf-8").splitlines()
    assert lines[:7] == ["statistic chi", "data 1:1 s1.fits", "response 1 r.fits", "arf 1 a.fits", "data 2:2 s2.fits",
                         "response 2 r.fits", "arf 2 a.fits"]  # fmt: skip
    assert lines[7:11] == [
        "ignore bad",
        "ignore **:**-20.0",
        "ignore **:200.0-**",
        "model constant*(powerlaw*highecut)",
    ]
    values = lines[11:]
    assert values[0] == "1.0 -0.01"
    assert len(values) == 2 * (1 + 4)
    assert float(values[5].split()[0]) == pytest.approx(0.9, abs=0.01)
    assert values[6:] == ["= p2", "= p3", "= p4", "= p5"]
    frozen = values[1 + list(joint.problem.model.names).index("e_cut")]
    assert frozen.split()[1].startswith("-")


def test_report_is_plain_json(joint, tmp_path):
    report = fit_report(joint, [(20.0, 100.0), (30.0, 50.0)])
    write_json(tmp_path / "fit.json", {**report, "odd": [float("nan"), float("inf")]})
    read = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert read["odd"] == [None, None]
    assert [f["e2_kev"] for f in read["fluxes"]] == [100.0, 50.0]
    assert {p["name"] for p in read["parameters"]} >= {"index", "norm", "e_fold", "factor_spectrum2"}


def test_picture(joint, tmp_path):
    from matplotlib.image import imread

    draw_fit(tmp_path / "fit.png", joint)
    assert imread(tmp_path / "fit.png").std() > 0.05
