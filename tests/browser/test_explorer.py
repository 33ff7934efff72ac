"""The whole path in the page: ask, see, take away; and what it says to bad input."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import psutil
import pytest
from astropy.io import fits

from integral_oda.errors import RequestError
from integral_oda.query import ImageQuery, make_query

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCW = "255900280010.001"
QUERY = f"?scw_list={SCW}&src_name=SGR%201935%2B2154"
TITLE = "Bokeh.documents.map(d => d.get_model_by_name('{}')).findLast(m => m).title.text"
IMAGE_TITLE, CURVE_TITLE = TITLE.format("sky_image"), TITLE.format("light_curve")
ALL = "Image, light curve, spectrum"
FIGURES = "document.querySelectorAll('.bk-Figure').length"


def open_page(page, app, query=QUERY):
    page.goto(app.url + query)
    page.get_by_role("button", name=ALL).wait_for()


def fill(page, name, text):
    field = page.locator(f".oda-field-{name} input, .oda-field-{name} textarea").first
    field.fill(text)
    field.press("Tab")


def run(page, button=ALL):
    page.get_by_role("button", name=button, exact=True).click()
    page.locator(".oda-elapsed", has_text=re.compile("Done in|Failed after")).wait_for()


def wait_for_figures(page, number):
    page.wait_for_function(f"{FIGURES} >= {number}")
    page.wait_for_timeout(500)


def picture(page, place):
    return page.locator(f"{place} .bk-Figure").screenshot()


def wait_for_another_picture(page, title, before):
    """Wait for a sky image of this title that does not look like the one before."""
    page.wait_for_function(f"{IMAGE_TITLE} == '{title}'")
    for _ in range(60):
        if picture(page, ".oda-image") != before:
            return
        page.wait_for_timeout(500)
    pytest.fail(f"{title} looks like the image before")


def test_both_figures_are_drawn(app, page, colours):
    open_page(page, app)
    run(page)
    wait_for_figures(page, 2)
    assert colours(picture(page, ".oda-image")) > 100
    assert colours(picture(page, ".oda-light-curve")) > 5
    assert "SGR 1935+2154" in page.locator(".oda-sources").inner_text()
    assert page.locator(".oda-matrix td.oda-failed").count() == 0
    assert page.locator(".oda-matrix td.oda-computed, .oda-matrix td.oda-restored").count() > 0


def test_a_changed_band_gives_a_changed_image(app, page):
    open_page(page, app)
    run(page, "Image")
    wait_for_figures(page, 1)
    before = picture(page, ".oda-image")
    fill(page, "bands", "40-60")
    run(page, "Image")
    page.locator(".oda-sources td", has_text="40-60").first.wait_for()
    wait_for_another_picture(page, "Significance, 40-60 keV", before)


def test_another_plane_is_another_picture_of_the_same_image(app, page):
    open_page(page, app)
    run(page, "Image")
    wait_for_figures(page, 1)
    before = picture(page, ".oda-image")
    page.locator(".oda-image .widget-dropdown", has_text="Show").locator("select").select_option("Exposure")
    wait_for_another_picture(page, "Exposure, 28-80 keV", before)


def test_the_pointer_reads_values(app, page):
    open_page(page, app)
    run(page, "Image")
    wait_for_figures(page, 1)
    page.locator(".oda-image .bk-Figure").hover(position={"x": 250, "y": 300})
    page.locator(
        ".bk-Tooltip", has_text=re.compile(r"\d+\.\d{3}°, [+-]\d+\.\d{3}°.*±.*counts/s", re.S)
    ).first.wait_for()


def test_a_click_into_the_image_measures_there(app, page):
    open_page(page, app)
    run(page, "Image")
    wait_for_figures(page, 1)
    page.locator(".oda-image .bk-Figure").click(position={"x": 250, "y": 300})
    page.locator(".oda-image .oda-note", has_text="sigma in 28-80 keV").wait_for()
    page.get_by_role("button", name="Measure here in the next query").click()
    page.locator(".oda-sources td", has_text="(forced)").wait_for()


def settled_box(page, selector):
    """Where something is, in sight, once nothing above it moves it any more."""
    page.locator(selector).scroll_into_view_if_needed()
    box = None
    while (now := page.locator(selector).bounding_box()) != box:
        box = now
        page.wait_for_timeout(700)
    return box


def test_zooming_into_a_fine_light_curve_draws_all_its_bins(app, page):
    open_page(page, app)
    fill(page, "time_bin", "0.1")
    run(page, "Light curve")
    wait_for_figures(page, 1)
    assert "merged to 10 s" in page.evaluate(CURVE_TITLE)
    figure = settled_box(page, ".oda-light-curve .bk-Figure")
    page.mouse.move(figure["x"] + 300, figure["y"] + 100)
    page.mouse.down()
    page.mouse.move(figure["x"] + 330, figure["y"] + 120, steps=5)
    page.mouse.up()
    page.wait_for_function(f"!{CURVE_TITLE}.includes('merged to 10 s')")
    page.get_by_role("button", name="Image of this interval").click()
    page.wait_for_function("document.querySelector('.oda-field-gti input').value.includes(',')")
    start, stop = (float(time) for time in page.locator(".oda-field-gti input").input_value().split(","))
    assert 0 < (stop - start) * 86400 < 1000


def test_downloads_arrive_whole(app, page):
    open_page(page, app)
    run(page)
    wait_for_figures(page, 2)
    links = page.locator(".oda-downloads a")
    names = links.all_inner_texts()
    assert "mosaic.fits" in names
    assert any(name.startswith("isgri_lc_SGR") for name in names)
    for number, name in enumerate(names):
        # Chromium asks its user after ten downloads in a row.
        if not name.endswith((".fits", ".zip")):
            continue
        with page.expect_download() as download:
            links.nth(number).click()
        assert download.value.suggested_filename == name
        content = Path(download.value.path()).read_bytes()
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                assert archive.testzip() is None
                assert {"summary.json", "provenance.json"} <= {Path(member).name for member in archive.namelist()}
            continue
        assert any(content == path.read_bytes() for path in (app.store / "jobs").rglob(name)), name
        if name == "mosaic.fits":
            with fits.open(io.BytesIO(content)) as hdus:
                assert hdus[4].header["IMATYPE"] == "SIGNIFICANCE"


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("bands", "80-28", {"bands": ((80.0, 28.0),)}),
        ("bands", "28-1001", {"bands": ((28.0, 1001.0),)}),
        ("bands", "28.3-80", {"bands": ((28.3, 80.0),)}),
        ("scw_list", "2559", {"scw_list": "2559"}),
        ("detection_threshold", "1", {"detection_threshold": "1"}),
    ],
)
def test_bad_input_is_told_beside_its_field_before_anything_runs(app, page, name, text, values):
    with pytest.raises(RequestError) as expected:
        make_query(ImageQuery, **{"scw_list": SCW, **values})
    open_page(page, app)
    fill(page, name, text)
    page.get_by_role("button", name="Image", exact=True).click()
    page.locator(f".oda-error-{name} .oda-error").wait_for()
    assert expected.value.allowed in page.locator(f".oda-error-{name}").inner_text()
    assert page.locator(".oda-matrix").count() == 0


@pytest.mark.parametrize(
    ("name", "text", "button", "sentence"),
    [
        ("src_name", "No Such Star", "Light curve", "src_name = No Such Star"),
        ("scw_list", "255900990010.001", "Image", "science window 255900990010.001 is not in the archive"),
        ("scw_list", "255900290010.001", "Image", "isgri_events.fits.gz"),
        ("scw_list", "255900300010.001", "Image", "isgri_events.fits"),
    ],
)
def test_what_only_the_data_can_tell_is_told_in_one_sentence(app, page, name, text, button, sentence):
    open_page(page, app)
    fill(page, name, text)
    page.get_by_role("button", name=button, exact=True).click()
    page.locator(f".oda-error-{name} .oda-error").wait_for()
    told = page.locator(f".oda-error-{name}").inner_text()
    assert sentence in told
    assert "Traceback" not in page.locator("body").inner_text()
    assert page.get_by_role("button", name="Image", exact=True).is_enabled()


def test_the_page_answers_while_the_analysis_runs_and_can_cancel_it(app, page):
    open_page(page, app)
    fill(page, "bands", "28-61.5")
    page.get_by_role("button", name="Image", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    page.locator(".oda-elapsed", has_text="Cancelled after").wait_for()
    run(page, "Image")
    wait_for_figures(page, 1)


def test_a_link_fills_the_form(app, page):
    open_page(page, app, f"?scw_list={SCW}&src_name=Cyg%20X-1&bands=20-40,40-80&colour=red")
    assert page.locator(".oda-field-bands input").input_value() == "20-40,40-80"
    assert page.locator(".oda-field-src_name input").input_value() == "Cyg X-1"
    assert "colour = red: not a parameter of a link" in page.locator(".oda-status").inner_text()
    assert "bands=20-40" in page.locator(".oda-link").first.get_attribute("href")


def test_a_large_upload_arrives_and_its_names_do_nothing_but_appear(app, page, tmp_path):
    catalogue = tmp_path / "mine.ecsv"
    rows = '"<img src=x onerror=alert(1)>" 288.0 20.0\n' + "# filler\n" * 2_500_000
    head = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: name, datatype: string}\n"
    head += "# - {name: ra, datatype: float64}\n# - {name: dec, datatype: float64}\nname ra dec\n"
    catalogue.write_text(head + rows)
    assert catalogue.stat().st_size > 20e6
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_page(page, app)
    page.get_by_role("button", name=re.compile("More, seldom needed")).click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=re.compile("Upload a file")).click()
    chooser.value.set_files(catalogue)
    page.wait_for_function("document.querySelector('.oda-field-catalog input').value.endsWith('mine.ecsv')")
    stored = Path(page.locator(".oda-field-catalog input").input_value())
    assert stored.read_bytes() == catalogue.read_bytes()
    assert dialogs == []


def wait_for_job(app, page, bands):
    """State of the job of an image in some bands, once it is there."""
    for _ in range(100):
        for state in app.jobs.list():
            if state.request["query"].get("bands") == bands:
                return state
        page.wait_for_timeout(100)
    pytest.fail(f"no job about {bands}")


def test_closing_the_tab_ends_the_kernel_but_not_the_job(app, page):
    open_page(page, app)
    fill(page, "bands", "20-63.5,63.5-99.5")
    page.get_by_role("button", name="Image", exact=True).click()
    job = wait_for_job(app, page, [[20, 63.5], [63.5, 99.5]])
    assert app.kernels
    before = app.server.children(recursive=True)
    assert not job.is_over
    page.goto("about:blank")
    _, alive = psutil.wait_procs(before, timeout=20)
    assert not alive
    assert app.jobs.get(job.id).wait(120).status == "done"
    page.goto(app.url)
    page.locator(".oda-sources td", has_text="63.5-99.5").first.wait_for()


def test_a_dead_kernel_is_told_and_reloading_offered(nervous_app, page):
    open_page(page, nervous_app)
    page.wait_for_function("Number(document.querySelector('.oda-lost').dataset.beat) > 0")
    page.wait_for_timeout(5000)
    assert not page.locator(".oda-lost").is_visible()
    for kernel in nervous_app.kernels:
        kernel.kill()
    page.locator(".oda-lost").wait_for(state="visible")
    page.get_by_role("link", name="Reload the page").click()
    page.get_by_role("button", name=ALL).wait_for()


def test_the_page_works_when_everything_else_is_refused(app, page):
    asked = []
    page.route(
        re.compile(r"^https?://(?!127\.0\.0\.1[:/])"), lambda route: (asked.append(route.request.url), route.abort())
    )
    open_page(page, app)
    run(page)
    wait_for_figures(page, 2)
    assert all("fontawesome" in url for url in asked), asked


def test_the_page_is_small(app, page):
    answer = page.request.get(app.url)
    assert answer.ok
    assert len(answer.body()) < 4_000_000


def test_a_kernel_without_data_is_small(app, page):
    open_page(page, app)
    newest = max(app.kernels, key=lambda kernel: kernel.create_time())
    assert newest.memory_full_info().uss < 250e6


@pytest.mark.parametrize("width", [1280, 800])
def test_nothing_is_cut_off_sideways(app, page, width):
    page.set_viewport_size({"width": width, "height": 1000})
    open_page(page, app)
    run(page)
    wait_for_figures(page, 2)
    right = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.oda-page, .bk-Figure, .oda-wide')]"
        ".map(e => e.getBoundingClientRect().right))"
    )
    assert right <= width


def test_without_data_a_window_can_be_simulated_and_is_labelled(empty_app, page):
    open_page(page, empty_app, "")
    assert "holds no science window yet" in page.locator("body").inner_text()
    page.get_by_role("button", name="Simulate one science window here").click()
    page.locator(".oda-elapsed", has_text="Done in").wait_for()
    assert page.locator(".oda-field-scw_list textarea").input_value() != ""
    run(page)
    wait_for_figures(page, 2)
    assert "SIMULATED" in page.locator(".oda-image, .oda-simulated").first.inner_text()
