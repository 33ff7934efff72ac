"""What the authors' benchmark notebooks ask, unchanged but for the address, on simulated windows."""

import json
import subprocess
from pathlib import Path

import pytest

from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

pytestmark = pytest.mark.slow
SESSION = Path(__file__).with_name("published_queries.py")
SHORT = {"duration_s": 300, "background": {"rate": 200}}


def source(name, ra, dec, mcrab):
    return {"name": name, "ra": ra, "dec": dec, "flux": {"value": mcrab, "unit": "mCrab"}}


CRAB = {
    **SHORT, "revolution": 665, "first_pointing": 28, "start_ijd": 3007.0, "pointings": [{"ra": 84.6, "dec": 22.0}],
    "sources": [source("Crab", 83.6332, 22.0145, 1000), source("1A 0535+262", 84.7274, 26.3158, 500)],
}  # fmt: skip
V404 = {
    **SHORT, "revolution": 1555, "first_pointing": 4, "start_ijd": 5649.66,
    "pointings": [{"ra": 304.0, "dec": 34.5}, {"ra": 304.0, "dec": 36.0}],
    "sources": [source("V404 Cyg", 306.0159, 33.8672, 3000), source("Cyg X-1", 299.5903, 35.2016, 1000)],
}  # fmt: skip
GX = {
    **SHORT, "revolution": 56, "first_pointing": 62, "start_ijd": 1180.0, "pointings": [{"ra": 268.5, "dec": -25.0}],
    "sources": [source("GX 5-1", 270.2842, -25.0792, 400), source("GRS 1758-258", 270.3013, -25.7433, 400)],
}  # fmt: skip


@pytest.fixture(scope="module")
def seen(client_python, server):
    for recipe in (CRAB, V404, GX):
        simulate(make_recipe(recipe), server.archive)
    command = [client_python, SESSION, server.url, server.token("carol")]
    done = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("SEEN"))
    return json.loads(line.removeprefix("SEEN"))


def test_the_crab_by_time_and_with_its_catalogue(seen):
    assert seen["crab"][0] == "Crab"
    assert "1A 0535+262" in seen["crab"]
    assert seen["crab_channels"] == 62


def test_v404_cyg_by_its_windows(seen):
    assert {"V404 Cyg", "Cyg X-1"} <= set(seen["v404"])
    assert {"isgri_lc_0_V404Cyg", "isgri_lc_1_CygXm1"} <= set(seen["v404_curves"])


def test_gx_5_1_apart_from_its_neighbour(seen):
    assert {"GX 5-1", "GRS 1758-258"} <= set(seen["gx"])
