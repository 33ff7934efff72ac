"""A mosaic of a thousand by a thousand pixels on the page; how fast it is there measures benchmarks/mosaic_view.py."""

from __future__ import annotations

import pytest

from integral_oda.background import submit
from integral_oda.query import ImageQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_widgets.identity import owner
from integral_widgets.launcher import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE = {
    "seed": 12,
    "pointings": [{"ra": 83.6 + 17.6 * i, "dec": 17.6 * j} for i in (-1, 0, 1) for j in (-1, 0, 1)],
    "duration_s": 200,
    "sources": [{"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": [28, 80]}}],
    "background": {"rate": 150, "band": [28, 80]},
}


@pytest.fixture
def wide_url(tmp_path):
    """Address of the page of a user who has made a wide mosaic."""
    archive, store = tmp_path / "archive", tmp_path / "store"
    simulate(make_recipe(WIDE), archive)
    windows = [path.name for path in sorted((archive / "scw").glob("*/*"))]
    state = submit(make_query(ImageQuery, scw_list=windows), archive, store, owner=owner()).wait(300)
    assert state.status == "done"
    with serving(archive=archive, store=store) as (url, _):
        yield url


def test_a_wide_mosaic_is_drawn_and_its_planes_in_turn(wide_url, page, colours):
    page.goto(wide_url)
    figure = page.locator(".oda-image .bk-Figure")
    figure.wait_for()
    page.wait_for_timeout(1500)
    pictures = [figure.screenshot()]
    for plane in ("Flux", "Exposure"):
        page.locator(".oda-image .widget-dropdown", has_text="Show").locator("select").select_option(plane)
        page.wait_for_timeout(2000)
        pictures.append(figure.screenshot())
    assert all(colours(picture) > 100 for picture in pictures)
    assert len(set(pictures)) == 3
    assert page.locator(".bk-Figure").count() == 1
