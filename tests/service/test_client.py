"""The online system's own client, unmodified, against a server on loopback."""

import json
import subprocess
from pathlib import Path

import pytest
from astropy.io import fits

pytestmark = pytest.mark.slow
SESSION = Path(__file__).with_name("client_session.py")


@pytest.fixture(scope="module")
def seen(client_python, server, windows, tmp_path_factory):
    """What the session saw, and the folder it wrote to."""
    folder = tmp_path_factory.mktemp("session")
    command = [client_python, SESSION, server.url, server.token("alice"), ",".join(windows)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("SEEN"))
    return json.loads(line.removeprefix("SEEN")), folder


def test_the_image_is_the_servers(seen, server):
    found, folder = seen
    assert found["instruments"] == ["isgri"]
    assert found["peak"] > 20
    assert found["stamp"].startswith(server.url)
    with fits.open(folder / "image.fits") as hdus:
        assert [hdu.name for hdu in hdus] == found["planes"]
        assert hdus[4].header["IMATYPE"] == "SIGNIFICANCE"


def test_the_catalogue_makes_the_round_trip(seen):
    found = seen[0]
    assert {"Crab", "1A 0535+262"} <= set(found["sources"])
    assert set(found["curves"]) == {"Crab", "Forced"}
    assert found["curves"]["Crab"] == pytest.approx(150, rel=0.1)
    assert abs(found["curves"]["Forced"]) < 15
    assert "isgri_lc_0_Crab" in found["attributes"]


def test_spectra_come_with_their_responses(seen):
    found, folder = seen
    assert {"Crab", "1A 0535+262"} <= set(found["spectra"])
    assert found["channels"] == 256
    assert {"MATRIX", "EBOUNDS"} <= set(found["units"]["isgri_rmf"])
    assert found["companions"] == ["NONE", "NONE"]
    with fits.open(folder / "isgri_spectrum.fits") as hdus:
        assert hdus[1].data["RATE"].sum() == pytest.approx(found["crab_rate"])


def test_a_model_is_fitted_to_a_spectrum_that_was_asked_for(seen):
    value, error = seen[0]["fit"]["index"]
    assert abs(value - 2.1) < max(4 * error, 0.1)


def test_windows_are_found_by_time_and_field(seen):
    listed, chosen = seen[0]["exposures"]
    assert chosen == pytest.approx(listed)


def test_none_is_the_default(seen):
    assert seen[0]["none_is_the_default"] == 2


def test_errors_of_each_kind(seen):
    errors = seen[0]["errors"]
    assert errors["energy"][0] == "RequestNotUnderstood"
    assert "15 - 800 keV" in errors["energy"][1]
    assert errors["token"][0] == "Unauthorized"
    assert errors["nothing"][0] == "FailedToFindAnyUsefulResults"
    assert errors["window"][0] == "RemoteException"
    assert "999900010010.001" in errors["window"][1]


def test_no_request_that_the_description_allows_breaks_the_server(client_python, server):
    checks = "not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance"
    command = [client_python.with_name("schemathesis"), "--no-color", "run", f"{server.url}/openapi.json"]
    options = ["--url", server.url, "--header", f"Authorization: token {server.token('carol')}", "--checks", checks]
    done = subprocess.run(
        [*command, *options, "--max-examples", "15", "--seed", "7"],
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Traceback" not in (server.folder / "log.txt").read_text()
