"""The dispatcher's addresses, from outside: a real server, two users, real jobs."""

import io
import json
import tarfile
import time

import pytest

pytestmark = pytest.mark.slow
SHARED = {"instrument": "isgri", "query_type": "Real", "session_id": "S" * 16, "query_status": "new"}
BAND = {"E1_keV": 20, "E2_keV": 45}


@pytest.fixture(scope="module")
def image(server, windows):
    """Fields of a request for an image, and its reply."""
    fields = {**SHARED, **BAND, "product_type": "isgri_image", "scw_list": windows}
    status, reply = server.run(**fields)
    assert status == 200
    return fields, reply


def test_an_image_with_its_catalogue(image, windows):
    reply = image[1]
    assert reply["query_status"] == "done", reply["exit_status"]
    (mosaic,) = reply["products"]["numpy_data_product_list"]
    assert mosaic["name"] == "mosaic_image"
    assert len(mosaic["data_unit_list"]) >= 6
    catalogue = reply["products"]["catalog"]
    names = dict(zip(catalogue["cat_column_names"], catalogue["cat_column_list"], strict=True))["src_names"]
    assert {"Crab", "1A 0535+262"} <= set(names)
    assert reply["products"]["input_prod_list"] == list(windows)
    assert "get_product" in reply["products"]["api_code"]


def test_the_monitor_tells_window_by_step(image, windows):
    report = image[1]["job_monitor"]["full_report_dict_list"]
    assert set(windows) <= {item["scwid"] for item in report}
    assert {item["message"] for item in report} <= {"main done", "restored from cache", "running"}


def test_the_same_request_is_done_at_once(server, image):
    status, reply = server.post("run_analysis", **image[0])
    assert (status, reply["query_status"]) == (200, "done")
    assert reply["job_monitor"]["job_id"] == image[1]["job_monitor"]["job_id"]


def test_a_light_curve_of_the_catalogue_that_came_back(server, image, windows):
    catalogue = image[1]["products"]["catalog"]
    fields = {**SHARED, **BAND, "product_type": "isgri_lc", "scw_list": windows, "time_bin": 100}
    status, reply = server.run(**fields, selected_catalog=json.dumps(catalogue), catalog_selected_objects="0")
    assert (status, reply["query_status"]) == (200, "done"), reply
    (curve,) = reply["products"]["numpy_data_product_list"]
    assert catalogue["cat_column_list"][1][0] in curve["meta_data"]


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"E1_keV": 5}, 400, "ISGRI energy range"),
        ({"product_type": "isgri_map"}, 400, "isgri_image"),
        ({"instrument": "jemx"}, 400, "instrument"),
        ({"query_status": "submitted"}, 400, "job_id"),
        ({"query_status": "ready", "job_id": "0" * 16}, 400, "job_id"),
        ({"job_id": "0" * 16}, 400, "job_id"),
        ({"integral_data_rights": "all-private"}, 403, "public"),
        ({"token": "wrong"}, 403, "token"),
        ({"scw_list": [f"{number:012d}.001" for number in range(501)]}, 403, "500"),
        ({"selected_catalog": '{"cat_column_names": ["ra"], "cat_column_list": [[1]]}'}, 400, "src_names"),
    ],
)
def test_a_refusal_says_why(server, image, fields, status, told):
    found, reply = server.post("run_analysis", **{**image[0], **fields})
    assert found == status
    assert told in reply["error"]
    assert told in reply["exit_status"]["message"]


def test_a_window_that_is_not_there_is_a_failed_request(server, image):
    status, reply = server.run(**{**image[0], "scw_list": "999900010010.001"})
    assert (status, reply["query_status"], reply["exit_status"]["status"]) == (200, "failed", 1)
    assert "999900010010.001" in reply["exit_status"]["message"]


def test_one_user_does_not_see_anothers_requests(server, image):
    name = image[1]["job_monitor"]["job_id"]
    for path in ("run_analysis", "download_products", "inspect-state"):
        status, reply = server.get(path, token="bob", job_id=name, query_status="ready", product_type="isgri_image")
        assert (status, "your own" in reply["error"]) == (403, True)
    assert server.get("inspect-state", token="bob")[1] == {"records": []}
    assert name in {record["job_id"] for record in server.get("inspect-state")[1]["records"]}
    assert name.encode() not in server.get("", token="bob")[1]


def test_product_files_as_an_archive(server, image):
    name = image[1]["job_monitor"]["job_id"]
    status, content = server.get("download_products", job_id=name)
    assert status == 200
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert {"mosaic.fits", "catalog.fits", "catalog.reg"} <= set(archive.getnames())
    status, reply = server.get("download_products", job_id=name, file_list="../../config.py")
    assert (status, "file_list" in reply["error"]) == (400, True)


def test_a_request_outlives_the_server(server, windows):
    fields = {**SHARED, "product_type": "isgri_image", "scw_list": windows, "E1_keV": 30, "E2_keV": 60}
    _, reply = server.post("run_analysis", **fields)
    known = {"job_id": reply["job_monitor"]["job_id"], "query_status": reply["query_status"]}
    server.kill()
    server.start()
    end = time.monotonic() + 120
    while reply["query_status"] not in ("done", "failed") and time.monotonic() < end:
        time.sleep(0.3)
        status, reply = server.post("run_analysis", **{**fields, **known})
        assert status == 200
    assert reply["query_status"] == "done"


@pytest.mark.parametrize("path", ["api/par-names", "instr-list", "api/instr-list", "api/meta-data", "openapi.json"])
def test_descriptions_need_no_token(server, path):
    status, reply = server.get(path, token=None)
    assert status == 200
    assert reply


@pytest.mark.parametrize("path", ["", "run_analysis", "resolve_name", "inspect-state", "download_products"])
def test_the_rest_needs_a_token(server, path):
    status, reply = server.get(path, token=None)
    assert status == 403
    assert "token" in reply["exit_status"]["message"]


def test_a_name_is_resolved(server):
    status, reply = server.get("resolve_name", name="crab")
    assert (status, reply["name"]) == (200, "Crab")
    assert reply["RA"] == pytest.approx(83.633, abs=0.01)
    assert server.get("resolve_name", name="No Such Source")[0] == 400


@pytest.mark.parametrize("path", ["nothing", "../api/kernels", "api/contents"])
def test_there_is_no_other_address(server, path):
    assert server.get(path)[0] == 404
