"""Figures hold what they must show; what the browser makes of them is tested in tests/browser."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from integral_oda.products.sky_image import read_sky_images
from integral_widgets.bokeh_views import (
    COLOUR_MAPS,
    Look,
    close_figure_widget,
    colour_limits,
    figure_widget,
    rgb_figure,
    show_image,
    sky_image_figure,
)


def renderers(figure, name):
    return [renderer for renderer in figure.renderers if renderer.name == name]


def column(figure, name, key):
    return list(renderers(figure, name)[0].data_source.data[key])


def test_pixels_travel_as_bytes_and_unobserved_ones_apart(image):
    figure = sky_image_figure(image)
    drawn = figure.renderers[0].data_source.data["image"][0]
    assert drawn.dtype == np.uint8
    assert drawn.shape == image.shape
    assert (drawn[:5] == 255).all()
    assert drawn[30, 50] == 254


def test_a_large_mosaic_sends_less_than_a_megapixel_and_keeps_its_source(image_of):
    figure = sky_image_figure(image_of(shape=(1700, 1500), peak=(901, 77)))
    drawn, hover = (figure.renderers[i].data_source.data for i in (0, 1))
    assert drawn["image"][0].size <= 2**20
    assert np.count_nonzero(drawn["image"][0] == 254) == 1
    assert hover["sigma"][0].size <= 2**18
    assert np.nanmax(hover["sigma"][0]) == 25.0


def test_the_pointer_reads_position_flux_error_and_significance(image):
    hover = sky_image_figure(image).renderers[1].data_source.data
    ra, dec = image.wcs.wcs_pix2world(50, 30, 0)
    values = [float(hover[key][0][30, 50]) for key in ("ra", "dec", "flux", "error", "sigma")]
    assert values == pytest.approx([float(ra), float(dec), 50.0, 2.0, 25.0], rel=1e-6)
    assert np.isnan(hover["flux"][0][2, 2])


def test_known_new_and_forced_sources_are_marked_apart(image, source):
    sources = [source(), source("NEW_1", 291, 21, new=True), source("here", 289, 19, forced=True)]
    figure = sky_image_figure(image, sources)
    assert column(figure, "sources_known", "name") == ["SGR 1935+2154"]
    assert column(figure, "sources_new", "name") == ["NEW_1"]
    assert column(figure, "sources_forced", "name") == ["here"]
    known, new = renderers(figure, "sources_known")[0].glyph, renderers(figure, "sources_new")[0].glyph
    assert (known.marker, known.line_color) != (new.marker, new.line_color)


def test_a_source_is_marked_where_it_is(image, source):
    figure = sky_image_figure(image, [source(ra=290.0, dec=20.0)])
    assert column(figure, "sources_known", "column") == pytest.approx([59.5])
    assert column(figure, "sources_known", "row") == pytest.approx([39.5])


def test_sources_outside_or_behind_are_left_out(image, source):
    figure = sky_image_figure(image, [source(ra=270.0), source("behind", 110.0, -20.0)])
    assert not renderers(figure, "sources_known")


@pytest.mark.parametrize(
    ("plane", "title"), [("intensity", "Flux"), ("exposure", "Exposure"), ("sensitivity", "5 sigma")]
)
def test_other_planes_have_their_own_colours(image, plane, title):
    figure = sky_image_figure(image, look=Look(plane, "asinh"))
    assert figure.title.text.startswith(title)
    bar = figure.right[0]
    labels = [float(bar.major_label_overrides[tick]) for tick in bar.ticker.ticks]
    assert labels == sorted(labels)
    assert bar.ticker.ticks == sorted(bar.ticker.ticks)


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_every_colour_map_has_a_colour_for_every_level(image, name):
    mapper = sky_image_figure(image, look=Look(colour_map=name)).renderers[0].glyph.color_mapper
    assert len(set(mapper.palette)) >= 250
    assert (mapper.low, mapper.high) == (0, 254)


def test_ticks_of_a_logarithmic_scale_do_not_overlap(image):
    ticks = sky_image_figure(image, look=Look("exposure", "log")).right[0].ticker.ticks
    assert np.diff(ticks).min() > 8


def test_what_is_no_source_is_marked_with_its_reason(image):
    item = {"ra_deg": 290.0, "dec_deg": 20.0, "e1_kev": 28.0, "e2_kev": 80.0, "significance": 8.1,
            "reason": "ghost of <b>Cyg X-1</b>"}  # fmt: skip
    other = {**item, "e1_kev": 40.0}
    figure = sky_image_figure(image, suppressed=[item, other])
    assert column(figure, "suppressed", "reason") == ["ghost of <b>Cyg X-1</b>"]
    assert column(figure, "suppressed", "column") == pytest.approx([59.5])


def test_regions_are_circles_of_their_size(image):
    figure = sky_image_figure(image, regions=[("here", 290.0, 20.0, 0.5), ("far", 110.0, -20.0, 0.5)])
    assert column(figure, "regions", "name") == ["here"]
    assert column(figure, "regions", "radius") == pytest.approx([5.0])


def test_three_bands_are_red_green_and_blue(image_of):
    bands = [(60.0, 100.0), (20.0, 40.0), (40.0, 60.0)]
    peaks = [(50, 30), (20, 30), (30, 80)]
    figure = rgb_figure([image_of(band=b, peak=p, sigma=15.0) for b, p in zip(bands, peaks, strict=True)])
    pixels = figure.renderers[0].data_source.data["image"][0].view(np.uint8).reshape(80, 120, 4)
    assert pixels[20, 30, 0] == pixels[30, 80, 1] == pixels[50, 30, 2] == 254
    assert (pixels[..., 3] == 255).all()
    assert figure.title.text == "Significance: red 20-40, green 40-60, blue 60-100 keV"


def test_another_band_goes_into_the_figure_that_is_on_the_page(image, image_of):
    figure, look = sky_image_figure(image, look=Look("intensity")), Look("intensity")
    other = image_of(band=(40.0, 60.0), peak=(60, 20), sigma=12.0)
    show_image(figure, other, look)
    fresh = sky_image_figure(other, look=look)
    for k in (0, 1):
        for name, values in fresh.renderers[k].data_source.data.items():
            assert np.array_equal(figure.renderers[k].data_source.data[name], values, equal_nan=True)
    assert figure.right[0].ticker.ticks == fresh.right[0].ticker.ticks
    assert figure.title.text == "Flux, 40-60 keV"
    assert colour_limits(other, "significance") == (-3.0, 12.0)


def test_a_flat_empty_image_can_be_drawn(image):
    image.variance[:] = 0
    assert (sky_image_figure(image).renderers[0].data_source.data["image"][0] == 255).all()


def test_a_finished_figure_becomes_a_widget_of_its_state(image):
    figure = sky_image_figure(image)
    widget = figure_widget(figure)
    assert figure.title.text in str(widget.render_bundle["docs_json"])
    close_figure_widget(widget)
    del widget
    gc.collect()


def test_osa_products_are_drawn(real_data, recwarn):
    path = real_data / "volodymyrss_pymosaics" / "isgri_sky_ima_1.fits.gz"
    drawn = sky_image_figure(read_sky_images(path)[0]).renderers[0].data_source.data["image"][0]
    assert drawn.shape == (400, 400)
    assert drawn.max() == 255
    recwarn.clear()
