"""The whole path of a visit, on simulated windows: from an example to results that are found again."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from astropy.io import fits

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = "<img src=x onerror=alert(1)>"


def fill(page, name, text):
    field = page.locator(f".oda-field-{name} input, .oda-field-{name} textarea").first
    field.fill(text)
    field.press("Tab")


def value_of(page, name):
    return page.locator(f".oda-field-{name} input, .oda-field-{name} textarea").first.input_value()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def wait_for_results(page, number):
    page.wait_for_function(f"document.querySelectorAll('.oda-result-bar').length >= {number}", timeout=180_000)
    page.wait_for_timeout(1500)


def unfold(page, title):
    page.get_by_role("button", name=re.compile(f"^▸ {title}")).first.press("Enter")


def download(page, link):
    with page.expect_download() as waiting:
        link.click()
    return Path(waiting.value.path()).read_bytes()


def test_the_whole_path(field_app, chromium, page, keep):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_the_page(page, field_app, keep)
    resolve_the_source(page)
    plan_the_windows(page, keep)
    see_the_image_grow_and_reload(page, keep)
    edit_the_catalogue(page, keep)
    make_light_curve_spectrum_and_fit(page, keep)
    take_everything_away(page)
    reload_and_find_everything_again(page, keep)
    open_the_link_in_another_browser(page, field_app, chromium, keep)
    assert dialogs == []


def open_the_page(page, app, keep):
    page.goto(app.url)
    button(page, "Resolve").wait_for()
    assert page.locator(".oda-empty").is_visible()
    keep(page, "1-open")


def resolve_the_source(page):
    fill(page, "src_name", "crab nebula")
    button(page, "Resolve").click()
    page.locator(".oda-resolved", has_text="Crab: RA 83.63").wait_for()


def plan_the_windows(page, keep):
    fill(page, "scw_list", "")
    fill(page, "T1", "2000-01-01")
    fill(page, "T2", "2030-01-01")
    button(page, "Plan windows").click()
    page.locator(".oda-plan-sums", has_text="6 of 6 science windows are taken").wait_for()
    page.locator(".oda-plan .bk-Column").wait_for()  # its figures are out of reach, in its shadow
    page.wait_for_timeout(800)
    keep(page, "2-plan")
    button(page, "Use these windows").click()
    page.wait_for_function("document.querySelector('.oda-field-scw_list textarea').value.split(',').length == 6")


def see_the_image_grow_and_reload(page, keep):
    button(page, "Image").click()
    page.locator("h2", has_text="Sky image so far").wait_for(timeout=120_000)
    assert re.search(r"[1-5] of 6 science windows", page.locator(".oda-results").inner_text())
    page.locator(".oda-results .bk-Figure").first.wait_for()
    assert page.locator(".oda-elapsed", has_text="s to go").count() == 1
    page.wait_for_timeout(800)
    keep(page, "3-growing")
    page.reload()
    wait_for_results(page, 1)
    keep(page, "4-image")


def edit_the_catalogue(page, keep):
    unfold(page, "Sources: edit the list")
    page.locator(".oda-flag").first.wait_for()
    page.locator(".oda-new-name input").fill(HOSTILE)
    page.locator(".oda-new-ra input").fill("88.0")
    page.locator(".oda-new-dec input").fill("19.0")
    button(page, "Add").click()
    page.wait_for_function(f"[...document.querySelectorAll('.oda-cell-name input')].some(i => i.value == '{HOSTILE}')")
    button(page, "Delete NEW").click()
    page.locator(".oda-flag").first.wait_for(state="hidden")
    button(page, "Use for spectra and light curves").click()
    page.locator(".oda-editor", has_text="sources go into the next products").wait_for()
    keep(page, "5-catalogue")
    assert value_of(page, "catalog").endswith("catalogue.fits")


def make_light_curve_spectrum_and_fit(page, keep):
    fill(page, "src_name", "")
    fill(page, "time_bin", "100")
    button(page, "Light curve").click()
    wait_for_results(page, 2)
    button(page, "Spectrum").click()
    wait_for_results(page, 3)
    page.locator(".oda-spectrum select").first.select_option(label="Crab")
    button(page, "Fit").click()
    page.locator(".oda-spectrum table td", has_text="index").first.wait_for(timeout=120_000)
    keep(page, "6-all")
    assert "Traceback" not in page.locator("body").inner_text()


def take_everything_away(page):
    for name, extension in (("image.zip", None), ("mosaic.fits", 4), ("isgri_lc_Crab.fits", 1),
                            ("isgri_spectrum_Crab.fits", 1), ("isgri_rmf_Crab.fits", 1)):  # fmt: skip
        content = download(page, page.locator(f"a.oda-download[download='{name}']").first)
        if extension is not None:
            with fits.open(io.BytesIO(content)) as hdus:
                assert hdus[extension].data is not None
    button(page, "Open as notebook").first.click()
    assert b'"parameters"' in download(page, page.locator("a[download='image.ipynb']"))


def reload_and_find_everything_again(page, keep):
    page.reload()
    wait_for_results(page, 3)
    assert value_of(page, "time_bin") == "100"
    unfold(page, "Your queries")
    lines = page.locator(".oda-history-list option").all_inner_texts()
    assert sum("done" in line for line in lines) >= 3
    keep(page, "7-reloaded")


def open_the_link_in_another_browser(page, app, chromium, keep):
    shared = page.locator(".oda-image ~ .oda-result-bar .oda-link").first.get_attribute("href")
    second = chromium.new_context(viewport={"width": 800, "height": 900}).new_page()
    second.goto(app.url + shared)
    wait_for_results(second, 1)
    assert value_of(second, "src_name") == "crab nebula"
    keep(second, "8-shared")
    second.goto("about:blank")
    second.context.close()
