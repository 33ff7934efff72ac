"""The same page in a cell of JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_explorer_works_in_a_cell_of_jupyterlab(lab, page):
    page.goto(f"{lab}?reset")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_role("button", name="Image", exact=True).click()
    page.wait_for_function("document.querySelectorAll('.bk-Figure').length == 1")
    page.locator(".oda-downloads button", has_text="mosaic.fits").click()
    with page.expect_download() as download:
        page.locator("a[download='mosaic.fits']").click()
    with fits.open(Path(download.value.path())) as hdus:
        assert hdus[4].header["IMATYPE"] == "SIGNIFICANCE"
    assert page.locator(".oda-link").count() == 0
