"""The three views of one real window on a page of their own, for the browser: a cell of a notebook runs `build`."""

from __future__ import annotations

import os
from pathlib import Path

import ipywidgets as widgets

from integral_oda.analysis import analyse
from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery, make_query
from integral_widgets.bokeh_views import load_bokeh
from integral_widgets.image_view import ImageView
from integral_widgets.light_curve_view import LightCurveView
from integral_widgets.live_imaging import live_imaging_of
from integral_widgets.spectrum_view import SpectrumView
from integral_widgets.style import STYLE

SCW, SOURCE = "255900280010.001", "SGR 1935+2154"


def products():
    """Image in three bands, light curves in two, and a spectrum."""
    archive, store = _folders()
    asked = {"scw_list": SCW, "src_name": SOURCE}
    image = make_query(ImageQuery, scw_list=SCW, bands=[(28, 80), (20, 40), (40, 80)])
    curve = make_query(LightCurveQuery, **asked, more_bands=[(80, 150)], time_bin=0.1, bursts=True)
    spectrum = make_query(SpectrumQuery, **asked, channels=16)
    return [analyse(query, archive, store) for query in (image, curve, spectrum)]


def _folders():
    return Path(os.environ["INTEGRAL_ODA_ARCHIVE"]), Path(os.environ["INTEGRAL_ODA_STORE"])


def build():
    """Page with the views; what they hand on is written below them."""
    image, curve, spectrum = products()
    handed = widgets.HTML("<span class='handed'>nothing handed on</span>")

    def hand(name):
        def keep(first, second):
            handed.value = f"<span class='handed'>{name} {first:.6f} {second:.6f}</span>"

        return keep

    load_bokeh()
    views = (
        ImageView(image, hand("measure"), hand("band"), live_imaging_of(image, *_folders())),
        LightCurveView(curve, hand("image"), hand("spectrum")),
        SpectrumView(spectrum),
    )
    page = widgets.VBox([widgets.HTML(STYLE), *(view.widget for view in views), handed])
    page.add_class("oda-page")
    return page
