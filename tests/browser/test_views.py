"""Image, light-curve and spectrum view of the real window on a page of their own, as a hand and an eye meet them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def views_url(sample_archive, tmp_path_factory):
    """Address of the page of `views_page.build`, its products made beforehand."""
    folder = tmp_path_factory.mktemp("views")
    here = str(Path(__file__).parent)
    cell = f"import sys; sys.path.insert(0, {here!r})\nfrom views_page import build\nbuild()"
    notebook = {
        "cells": [{"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / "views.ipynb"
    path.write_text(json.dumps(notebook))
    environment = {
        **os.environ,
        "INTEGRAL_ODA_ARCHIVE": str(sample_archive),
        "INTEGRAL_ODA_STORE": str(folder / "store"),
    }
    ahead = "from views_page import products; products()"
    subprocess.run([sys.executable, "-c", ahead], env=environment, cwd=here, check=True, timeout=400)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "voila", str(path), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1",
               "--VoilaConfiguration.show_tracebacks=True"]  # fmt: skip
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    _wait_for(port, server)
    yield f"http://127.0.0.1:{port}/"
    server.terminate()
    server.wait(30)


def _wait_for(port, server):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.poll() is None
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
            return
        time.sleep(0.2)
    pytest.fail(f"nothing answers at port {port}")


def note(page, view):
    return page.locator(f".{view} .oda-note").last.inner_text()


def test_the_views_do_what_their_controls_say(views_url, page, tmp_path):
    kept = Path(os.environ.get("INTEGRAL_ODA_SCREENSHOTS") or tmp_path)
    page.goto(views_url)
    page.locator(".oda-spectrum .bk-Figure").wait_for()
    assert page.locator(".bk-Figure").count() == 3

    handle = page.locator(".oda-image .noUi-handle").nth(1)
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.locator(".oda-image .oda-note", has_text="28-86 keV in").wait_for()
    page.screenshot(path=kept / "views-slider.png")

    page.locator(".oda-image .bk-Canvas").click(position={"x": 280, "y": 300})
    page.locator(".oda-image .oda-note", has_text="Forced photometry").wait_for()
    page.get_by_role("button", name="Measure here in the next query").click()
    page.locator(".handed", has_text="measure 28").wait_for()
    page.get_by_role("button", name="Analyse this band in full").click()
    page.locator(".handed", has_text="band 28.000000 86.000000").wait_for()
    for shown, grid in (("side by side", "visible"), ("as red, green, blue", "detached")):
        page.locator(".oda-image select").first.select_option(shown)
        page.locator(".oda-image .bk-GridPlot").wait_for(state=grid)
        page.wait_for_timeout(500)
        page.screenshot(path=kept / f"views-{shown.split()[-1]}.png")

    page.locator(".oda-light-curve select").last.select_option("linear")
    page.locator(".oda-light-curve .oda-note", has_text="slope").first.wait_for()
    page.get_by_role("button", name="Spectra of this interval").click()
    page.locator(".handed", has_text="spectrum 8320").wait_for()

    page.get_by_role("button", name="Fit", exact=True).click()
    page.locator(".oda-fit", has_text="flux 20-100 keV").wait_for()
    page.get_by_role("button", name="Contours", exact=True).click()
    page.locator(".oda-spectrum .bk-Figure").nth(3).wait_for()
    with page.expect_download() as fetched:
        page.get_by_role("button", name="fit.xcm").click()
        page.locator("a[download='fit.xcm']").click()
    assert "model powerlaw" in Path(fetched.value.path()).read_text()
    page.wait_for_timeout(500)
    page.screenshot(path=kept / "views-fit.png", full_page=True)
