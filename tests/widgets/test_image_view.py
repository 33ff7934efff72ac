"""What is done on a sky image; the window's other bands are in test_live_imaging."""

from __future__ import annotations

import types

import numpy as np
import pytest

from integral_oda.errors import IntegralOdaError, RequestError
from integral_widgets.image_view import RGB, SIDE_BY_SIDE, ImageView, box_statistics, describe_pixel


@pytest.fixture
def products(image_of, source):
    images = [image_of(), image_of(band=(80.0, 100.0)), image_of(band=(20.0, 28.0))]
    return types.SimpleNamespace(images=images, sources=[source()], summary={"noise": [], "suppressed": []})


def test_a_click_reads_the_image_and_hands_the_place_on(products, image):
    asked = []
    view = ImageView(products, on_measure=lambda *place: asked.append(place))
    assert view.measure_button.disabled
    view.pick(50.2, 29.8)
    assert "50.00 ± 2.00 counts/s, 25.0 sigma in 28-80 keV" in view.notice.widget.value
    view.measure_button.click()
    expected = image.wcs.wcs_pix2world(50.2, 29.8, 0)
    assert asked[0] == pytest.approx([float(v) for v in expected], abs=1e-6)


def test_bands_side_by_side_move_together_and_each_reads_itself(products):
    view = ImageView(products)
    view.band.value = SIDE_BY_SIDE
    first, second, third = (cell[0] for cell in view.place.figure.children)
    assert first.x_range is second.x_range is third.x_range
    assert first.y_range is second.y_range is third.y_range
    view.pick(10, 10, products.images[1])
    assert "80-100 keV" in view.notice.widget.value


def test_bands_as_colours(products):
    view = ImageView(products)
    view.band.value = RGB
    assert view.place.figure.title.text.startswith("Significance: red 20-28, green 28-80, blue 80-100")


def test_one_band_alone_offers_neither_colours_nor_slider(products):
    products.images = products.images[:1]
    assert [label for label, _ in ImageView(products).band.options] == ["28-80 keV"]
    with pytest.raises(RequestError, match="one science window"):
        ImageView(products).show_band(20, 40)


def test_controls_make_another_figure(products):
    view = ImageView(products)
    before = view.place.figure
    view.frame.value = "galactic"
    view.stretch.value = "asinh"
    view.plane.value = "sensitivity"
    view.colours.value = "Greys"
    assert view.place.figure is not before
    assert len(view.place.widget.children) == 1
    assert view.place.figure.title.text == "5 sigma sensitivity, 28-80 keV"


def test_a_box_tells_its_own_pixels_alone(image):
    image.significance[20:25, 10:14], image.intensity[20:25, 10:14] = 3.0, 6.0
    image.significance[22, 12] = 9.0
    told = box_statistics(image, (13.4, 9.6), (19.6, 24.4))
    assert told.startswith("20 pixels in 28-80 keV: significance +3.30")
    ra, dec = image.wcs.wcs_pix2world(12, 22, 0)
    assert f"9.0 at RA {ra:.3f}°, Dec {dec:+.3f}°" in told
    assert "mean flux 6.00" in told


@pytest.mark.parametrize(("columns", "rows"), [((0, 5), (0, 4)), ((200, 300), (10, 20)), ((-9, -3), (10, 20))])
def test_a_box_outside_the_observed_part_says_so(image, columns, rows):
    assert box_statistics(image, columns, rows) == "nothing was observed in the box"


def test_a_box_on_the_figure_is_heard(products):
    from bokeh.events import SelectionGeometry

    view = ImageView(products)
    box = {"type": "rect", "x0": 5.0, "x1": 9.0, "y0": 10.0, "y1": 12.0}
    for listener in view.place.figure._event_callbacks["selectiongeometry"]:
        listener(SelectionGeometry(view.place.figure, geometry=box, final=True))
    assert "15 pixels" in view.notice.widget.value


def test_regions_go_out_and_come_back(products, tmp_path):
    view = ImageView(products)
    view.pick(30.0, 40.0)
    path = tmp_path / "regions.reg"
    path.write_text(view.region_text())
    again = ImageView(products)
    again.load_regions(path)
    assert [name for name, *_ in again.regions] == ["SGR 1935+2154", "picked"]
    assert again.regions[1][1:3] == pytest.approx(view.picked, abs=1e-4)
    assert again.regions[0][3] == pytest.approx(0.4 / 60, rel=1e-2)
    drawn = again.place.figure.select_one({"name": "regions"}).data_source.data
    assert drawn["column"][1] == pytest.approx(30.0, abs=0.01)


def test_a_file_that_holds_no_regions_is_refused_in_words(products, tmp_path):
    path = tmp_path / "x.reg"
    path.write_bytes(b"\x00\xff no regions")
    view = ImageView(products)
    with pytest.raises(IntegralOdaError):
        view.load_regions(path)
    assert view.regions == []


def test_names_in_regions_are_text(products, tmp_path):
    path = tmp_path / "x.reg"
    path.write_text("fk5\ncircle(290.0,20.0,0.1) # text={<script>alert(1)</script>}\n")
    view = ImageView(products)
    view.load_regions(path)
    assert "<script>" not in view.notice.widget.value


@pytest.mark.parametrize(("column", "row"), [(10, 2), (-3, 10), (10, 80)])
def test_outside_the_observed_part_there_is_nothing_to_read(image, column, row):
    assert describe_pixel(image, column, row).endswith("not observed")


def test_data_is_the_array_that_is_shown(products):
    view = ImageView(products)
    view.band.value = 1
    assert view.data is products.images[1]
    assert np.shares_memory(view.data.significance, products.images[1].significance)
