"""Time from asking for a view to its pixels on the screen: a mosaic of 1000 x 1000 pixels, and a band of the slider.

Run: python benchmarks/mosaic_view.py [--archive DIR] [--repeats 7]; writes benchmarks/reports/mosaic_view.json. Needs
Chromium and playwright; the archive is that of the real sample window, which is fetched where it is not there.

The browser itself takes the times. A clock in the page looks at the canvases of the sky image in every frame and keeps
the time of their last change: what is told is when the picture had become what it stays, not when it began to change.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from integral_oda.analysis import analyse
from integral_oda.archive.sample import fetch_sample
from integral_oda.background import submit
from integral_oda.folders import archive_root
from integral_oda.query import ImageQuery, make_query
from integral_oda.results import ImageProducts
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_widgets.identity import owner
from integral_widgets.launcher import serving

REPORT = Path(__file__).resolve().parent / "reports" / "mosaic_view.json"
SCW = "255900280010.001"
PATTERN = {
    "seed": 11,
    "pointings": [{"ra": 83.6 + 17.6 * i, "dec": 17.6 * j} for i in (-1, 0, 1) for j in (-1, 0, 1)],
    "duration_s": 300,
    "sources": [{"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": [28, 80]}}],
    "background": {"rate": 150, "band": [28, 80]},
}
PLANES = ("Flux", "Exposure", "Significance")
QUIET_MS = 700
WATCH = """
window.odaWatch = (begin) => {
  const canvases = (root) => [...root.querySelectorAll('*')].flatMap(
    e => [...(e.tagName == 'CANVAS' ? [e] : []), ...(e.shadowRoot ? canvases(e.shadowRoot) : [])]);
  const small = document.createElement('canvas');
  small.width = small.height = 48;
  const pen = small.getContext('2d', {willReadFrequently: true});
  const look = () => {
    pen.clearRect(0, 0, 48, 48);
    const place = document.querySelector('.oda-image');
    for (const one of place ? canvases(place) : []) if (one.width) pen.drawImage(one, 0, 0, 48, 48);
    return [...pen.getImageData(0, 0, 48, 48).data].reduce((sum, value) => (sum * 31 + value) | 0, 0);
  };
  window.odaLast = null;
  window.odaBegin = null;
  const start = () => { if (window.odaBegin === null) window.odaBegin = performance.now(); };
  for (const kind of begin) addEventListener(kind, start, {capture: true, once: true});
  let before = look();
  const frame = () => {
    const now = look();
    if (now != before && window.odaBegin !== null) window.odaLast = performance.now();
    before = now;
    window.odaFrame = requestAnimationFrame(frame);
  };
  cancelAnimationFrame(window.odaFrame);
  frame();
};
null
"""
SETTLED = f"window.odaLast !== null && performance.now() - window.odaLast > {QUIET_MS}"


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def seconds_to_picture(page: Any, act: Callable[[], object], begin: str) -> float:
    """Seconds from the first event of a kind in the page to the last change of the picture that follows."""
    page.evaluate(WATCH)
    page.evaluate("begin => window.odaWatch(begin)", [begin])
    act()
    page.wait_for_function(SETTLED, timeout=60_000)
    return float(page.evaluate("window.odaLast - window.odaBegin")) / 1000


def in_short(seconds: list[float]) -> dict[str, float]:
    """Least, median and most."""
    return {"least_s": min(seconds), "median_s": statistics.median(seconds), "most_s": max(seconds)}


def mosaic(folder: Path) -> tuple[ImageQuery, tuple[int, int]]:
    """Query of nine simulated windows whose mosaic is a job of this user's, and the mosaic's shape."""
    simulate(make_recipe(PATTERN), folder / "archive")
    windows = sorted(path.name for path in (folder / "archive" / "scw").glob("*/*"))
    query = make_query(ImageQuery, scw_list=windows)
    submit(query, folder / "archive", folder / "store", owner=owner()).wait(600)
    made = analyse(query, folder / "archive", folder / "store")
    assert isinstance(made, ImageProducts)
    return query, made.images[0].shape


def mosaic_times(browser: Any, folder: Path, repeats: int) -> dict[str, Any]:
    """Times of a mosaic: another plane of it, and its result out of the history."""
    _, shape = mosaic(folder)
    with serving(archive=folder / "archive", store=folder / "store") as (url, _):
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(url)
        page.locator(".oda-image .bk-Figure").wait_for(timeout=120_000)
        page.wait_for_timeout(3000)
        shown = page.locator(".oda-image .widget-dropdown", has_text="Show").locator("select")
        planes = [
            seconds_to_picture(page, partial(shown.select_option, plane), "change")
            for _ in range(repeats)
            for plane in PLANES
        ]
        page.get_by_role("button", name="▸ Your queries").click()
        line = page.locator(".oda-history-list select")
        show = page.get_by_role("button", name="Show", exact=True)
        opened = []
        for _ in range(repeats):
            shown.select_option("Exposure")
            page.wait_for_timeout(2000)
            line.select_option(index=0)
            opened.append(seconds_to_picture(page, show.click, "click"))
        page.close()
    return {"shape": list(shape), "another_plane": in_short(planes), "result_opened": in_short(opened)}


def slider_times(browser: Any, archive: Path, store: Path, repeats: int) -> dict[str, Any]:
    """Times of the slider: from its release at another band to the picture of that band."""
    query = make_query(ImageQuery, scw_list=SCW)
    submit(query, archive, store, owner=owner()).wait(600)
    with serving(archive=archive, store=store) as (url, _):
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(url)
        page.locator(".oda-image .noUi-handle").first.wait_for(timeout=120_000)
        page.wait_for_timeout(30_000)  # until other bands are prepared
        handle = page.locator(".oda-image .noUi-handle").nth(1)
        handle.focus()
        # Always on to a band that was not shown before.
        moved = [seconds_to_picture(page, lambda: page.keyboard.press("ArrowRight"), "keydown") for _ in range(repeats)]
        page.close()
    return in_short(moved)


def main() -> None:
    """Measure and save the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=archive_root())
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    fetch_sample(asked.archive)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, chromium() as browser:
        folder = Path(name)
        report = {
            "data": "mosaic of nine simulated science windows; slider on the real science window 255900280010",
            "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "browser": f"Chromium {browser.version}"},
            "mosaic": mosaic_times(browser, folder / "mosaic", asked.repeats),
            "slider": slider_times(browser, asked.archive, folder / "store", asked.repeats),
        }
    rounded = json.loads(json.dumps(report), parse_float=lambda text: round(float(text), 3))
    REPORT.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
