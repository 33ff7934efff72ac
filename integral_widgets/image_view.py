"""Sky images on the page: bands, planes and colours to choose, places to measure at, another band by a slider."""

from __future__ import annotations

import base64
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np

from integral_oda.errors import RequestError
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import SourceBand
from integral_widgets.bokeh_views import (
    COLOUR_MAPS,
    Look,
    name_slider_handles,
    restyle,
    rgb_figure,
    show_image,
    sky_image_figure,
)
from integral_widgets.callbacks import safe_callback
from integral_widgets.figure_place import FigurePlace, Notice, choice, press, wrapped_row
from integral_widgets.live_imaging import SLIDER_KEV, LiveImaging

__all__ = ["ImageView", "box_statistics", "describe_pixel"]

SIDE_BY_SIDE, RGB, LIVE = "side by side", "RGB", "slider"
FULL_WIDTH = 900
REGION_RADIUS_DEG = 0.2
_PLANES = (("Significance", "significance"), ("Flux", "intensity"), ("Exposure", "exposure"),
           ("Sensitivity", "sensitivity"))  # fmt: skip
_FRAMES = (("RA, Dec", "equatorial"), ("l, b", "galactic"))
_STRETCHES = (("linear", "linear"), ("asinh", "asinh"), ("log", "log"))

At = Callable[[float, float], None]


class ImageView:
    """Sky image with everything that is done on it.

    Parameters
    ----------
    products : ImageProducts or alike
        With ``images`` (one a band), ``sources`` and ``summary``.
    on_measure : callable, optional
        Given RA and Dec (degrees, FK5) where the flux is wanted in the next query.
    on_band : callable, optional
        Given the ends (keV) of the slider's band when its whole analysis is wanted.
    live : LiveImaging, optional
        Makes images of other bands of the same window; without one there is no slider.

    Attributes
    ----------
    widget : ipywidgets.Widget
    picked : tuple of float or None
        RA and Dec of the last click.
    shown : SkyImage or None
        Image of the slider's band once there is one.
    regions : list of tuple
        Name, RA, Dec, radius (degrees) of the circles drawn.
    """

    def __init__(
        self,
        products: Any,
        on_measure: At | None = None,
        on_band: At | None = None,
        live: LiveImaging | None = None,
    ) -> None:
        self.products, self.live = products, live
        self.images: list[SkyImage] = list(products.images)
        self.on_measure, self.on_band = on_measure, on_band
        self.picked: tuple[float, float] | None = None
        self.shown: SkyImage | None = None
        self.regions: list[tuple[str, float, float, float]] = []
        self.notice = Notice("Click the image to read and measure a position; draw a box for its statistics.")
        self._make_controls()
        self.place = FigurePlace(self._figure, (self.band, self.frame))
        for control in (self.plane, self.stretch, self.colours):
            control.observe(self._restyle, names="value")
        self.widget = widgets.VBox(
            [
                wrapped_row([self.band, self.plane, self.stretch, self.frame, self.colours]),
                *self._slider_row(),
                self.place.widget,
                self.notice.widget,
                wrapped_row([self.measure_button, self.upload, self.save_button, self.region_link]),
            ]
        )
        self.widget.add_class("oda-image")
        if live is not None:
            live.start()

    @property
    def data(self) -> SkyImage:
        """The image that is read by clicks: the slider's, else that of the band chosen."""
        if self.band.value == LIVE and self.shown is not None:
            return self.shown
        return self.images[self.band.value] if isinstance(self.band.value, int) else self.images[0]

    def pick(self, column: float, row: float, image: SkyImage | None = None) -> None:
        """Read an image at a pixel, 0-based, and measure there where a flux can be had at once."""
        image = image or self.data
        position = image.position_of(column, row)
        self.picked = float(position.ra.deg), float(position.dec.deg)
        read = describe_pixel(image, column, row)
        self.notice.say(read)
        self.measure_button.disabled = self.on_measure is None
        if self.live is not None and math.isfinite(self.picked[0]):
            self.live.ask_flux(
                self.picked,
                (image.band.e1_kev, image.band.e2_kev),
                lambda flux, _: self._told(read, flux),
                self.notice.fail,
            )

    def select_box(
        self, columns: tuple[float, float], rows: tuple[float, float], image: SkyImage | None = None
    ) -> None:
        """Tell what an image is like inside a box of pixels."""
        self.notice.say(box_statistics(image or self.data, columns, rows))

    def show_band(self, e1_kev: float, e2_kev: float) -> None:
        """Show another band of the window; the image follows in a fraction of a second.

        Raises
        ------
        RequestError
            If the images are not of one window of this archive.
        """
        if self.live is None:
            raise RequestError("band", f"{e1_kev:g}-{e2_kev:g}", "the slider works on images of one science window")
        self.live.ask_image(e1_kev, e2_kev, self._show_live, self.notice.fail)

    def load_regions(self, path: str | Path) -> None:
        """Draw the circles of a ds9 region file or the sources of any other list (FITS, ECSV, JSON).

        Raises
        ------
        RequestError, DataError
            If the file is none.
        """
        from integral_oda.catalog.source_list import read_sources

        listed = read_sources(Path(path)).sources
        radius = [s.err_rad if math.isfinite(s.err_rad) and s.err_rad > 0 else REGION_RADIUS_DEG for s in listed]
        self.regions = [(s.name, s.ra, s.dec, r) for s, r in zip(listed, radius, strict=True)]
        self.place.refresh()
        self.notice.say(f"{len(listed)} regions read")

    def region_text(self) -> str:
        """Sources, and the place picked, as a ds9 region file."""
        from integral_oda.catalog.source_list import ListedSource, SourceCatalogue, write_sources

        listed = [
            ListedSource(s.name, s.ra_deg % 360, s.dec_deg, err_rad=s.error_radius_arcmin / 60)
            for s in self.products.sources
        ]
        listed += [ListedSource(name, ra, dec, err_rad=radius) for name, ra, dec, radius in self.regions]
        if self.picked is not None:
            listed.append(ListedSource("picked", self.picked[0] % 360, self.picked[1], err_rad=REGION_RADIUS_DEG))
        with tempfile.TemporaryDirectory() as folder:
            path = write_sources(Path(folder) / "regions.reg", SourceCatalogue(tuple(listed)))
            return path.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the process that makes images of other bands."""
        if self.live is not None:
            self.live.close()

    def _make_controls(self) -> None:
        bands: list[tuple[str, Any]] = [(f"{image.band} keV", number) for number, image in enumerate(self.images)]
        if len(self.images) > 1:
            bands += [("side by side", SIDE_BY_SIDE), ("as red, green, blue", RGB)]
        if self.live is not None:
            bands.append(("slider", LIVE))
        self.band = choice("Band", bands, "Energy band, or several at once")
        self.plane = choice("Show", _PLANES, "What the colours mean")
        self.stretch = choice("Scale", _STRETCHES, "How values become colours")
        self.frame = choice("Grid", _FRAMES, "Celestial coordinates of the grid")
        self.colours = choice("Colours", [(name, name) for name in COLOUR_MAPS])
        self.measure_button = press(
            "Measure here in the next query", self._measure, self.notice, "adds the place clicked to the query"
        )
        self.measure_button.disabled = True
        self.upload = widgets.FileUpload(
            description="Draw regions", tooltip="ds9 regions, or a list of sources", accept=".reg,.fits,.ecsv,.json",
            layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        self.upload.observe(safe_callback(self.notice.fail)(self._uploaded), names="value")
        self.save_button = press("Save ds9 regions", self._offer_regions, self.notice)
        self.region_link = widgets.HTML()
        if self.on_measure is None:
            self.measure_button.layout.display = "none"

    def _slider_row(self) -> list[widgets.Widget]:
        if self.live is None:
            return []
        first = self.images[0].band
        energies = sorted({*SLIDER_KEV, *first})
        self.slider = widgets.SelectionRangeSlider(
            options=[(f"{energy:g}", energy) for energy in energies],
            index=(energies.index(first.e1_kev), energies.index(first.e2_kev)),
            description="Band [keV]",
            tooltip="Another energy band at once",
            continuous_update=True,
            layout=widgets.Layout(width="min(560px, 100%)"),
        )
        self.slider.observe(safe_callback(self.notice.fail)(self._slid), names="value")
        self.band_button = press(
            "Analyse this band in full",
            self._analyse_band,
            self.notice,
            "the slider keeps the sources where they are; the whole analysis seeks and places them anew",
        )
        if self.on_band is None:
            self.band_button.layout.display = "none"
        return [wrapped_row([self.slider, self.band_button])]

    def _slid(self, change: Any) -> None:
        low, high = change["new"]
        if low < high:
            self.show_band(low, high)

    def _show_live(self, image: SkyImage, seconds: float) -> None:
        """Called in the thread of `LiveImaging`."""
        self.shown = image
        if self.band.value in (SIDE_BY_SIDE, RGB):
            self.band.value = LIVE
        else:
            with self.place.kept():
                self.band.value = LIVE
            show_image(self.place.figure, image, self._look)
        self.notice.say(f"{image.band} keV in {seconds:.2f} s, with the sources that are known")

    def _restyle(self, _: Any) -> None:
        """Another plane, scale or colours of what is shown, in the figure that is there."""
        if self.band.value in (SIDE_BY_SIDE, RGB):
            self.place.refresh()
        else:
            restyle(self.place.figure, self.data, self._look, self._noise(self._number))

    @property
    def _number(self) -> int:
        """Which image's band is shown; of the slider's band, that of the image it began with."""
        return self.band.value if isinstance(self.band.value, int) else 0

    def _noise(self, number: int) -> float:
        """Width of the significance map of an image, measured."""
        noise = self.products.summary.get("noise", ())
        return float(noise[number]["significance_sigma"]) if number < len(noise) else 1.0

    @property
    def _look(self) -> Look:
        return Look(self.plane.value, self.stretch.value, self.frame.value, self.colours.value)

    def _figure(self) -> Any:
        from bokeh.layouts import gridplot

        shown = self.band.value
        if shown == SIDE_BY_SIDE:
            figures = [self._figure_of(k, image, FULL_WIDTH // 2) for k, image in enumerate(self.images)]
            for image, figure in zip(self.images, figures, strict=True):
                self._connected(figure, image)
            for figure in figures[1:]:
                figure.x_range, figure.y_range = figures[0].x_range, figures[0].y_range
            grid = gridplot(figures, ncols=2, sizing_mode="scale_width", merge_tools=False, toolbar_location=None)
            grid.update(max_width=FULL_WIDTH, name="side_by_side")
            return grid
        if shown == RGB:
            return self._connected(rgb_figure(self.images, self.products.sources, self._look, **self._marks), None)
        return self._connected(self._figure_of(self._number, self.data), None)

    def _figure_of(self, number: int, image: SkyImage, width: int = 640) -> Any:
        sources, noise = self.products.sources, self._noise(number)
        return sky_image_figure(image, sources, self._look, width, noise=noise, **self._marks)

    @property
    def _marks(self) -> dict[str, Any]:
        return {"suppressed": self.products.summary.get("suppressed", ()), "regions": self.regions}

    def _connected(self, figure: Any, image: SkyImage | None) -> Any:
        """The figure with clicks and boxes led here; ``image`` is the one they are about, None for that of `data`."""
        from bokeh.events import SelectionGeometry, Tap

        told = safe_callback(self.notice.fail)

        def boxed(event: Any) -> None:
            box = event.geometry
            if event.final and box.get("type") == "rect":
                self.select_box((box["x0"], box["x1"]), (box["y0"], box["y1"]), image)

        figure.on_event(Tap, told(lambda event: self.pick(event.x, event.y, image)))
        figure.on_event(SelectionGeometry, told(boxed))
        if self.live is not None:
            name_slider_handles(figure, "oda-image", ("Lower energy of the band, keV", "Upper energy of the band, keV"))
        return figure

    def _told(self, read: str, flux: SourceBand) -> None:
        self.notice.say(
            f"{read}. Forced photometry: {flux.flux:.2f} ± {flux.flux_error:.2f} counts/s, "
            f"{flux.flux_mcrab:.1f} mCrab, {flux.significance:.1f} sigma, "
            f"3 sigma limit {flux.limit_3sigma:.2f} counts/s"
        )

    def _measure(self) -> None:
        if self.on_measure is not None and self.picked is not None:
            self.on_measure(*self.picked)

    def _analyse_band(self) -> None:
        low, high = self.slider.value
        if self.on_band is not None and low < high:
            self.on_band(low, high)

    def _uploaded(self, change: Any) -> None:
        if not change["new"]:
            return
        (first, *_) = change["new"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"regions{Path(first['name']).suffix}"
            path.write_bytes(bytes(first["content"]))
            self.upload.value = ()
            self.load_regions(path)

    def _offer_regions(self) -> None:
        text = base64.b64encode(self.region_text().encode()).decode("ascii")
        self.region_link.value = (
            f'<a class="oda-download" href="data:text/plain;base64,{text}" download="regions.reg">regions.reg</a>'
        )


def describe_pixel(image: SkyImage, column: float, row: float) -> str:
    """Position, and flux with its error and significance of the nearest pixel, for people."""
    position = image.position_of(column, row)
    where = f"RA {position.ra.deg:.3f}°, Dec {position.dec.deg:+.3f}°"
    pixel = round(row), round(column)
    inside = all(0 <= index < size for index, size in zip(pixel, image.shape, strict=True))
    if not (inside and image.observed[pixel]):
        return f"{where}: not observed"
    error = math.sqrt(image.variance[pixel])
    return (
        f"{where}: {image.intensity[pixel]:.2f} ± {error:.2f} counts/s, "
        f"{image.significance[pixel]:.1f} sigma in {image.band} keV"
    )


def box_statistics(image: SkyImage, columns: Sequence[float], rows: Sequence[float]) -> str:
    """Mean, width and extremes of the significance and the mean flux inside a box of pixels, for people."""
    spans = []
    for ends, size in zip((rows, columns), image.shape, strict=True):
        low, high = sorted(ends)
        spans.append(slice(max(0, math.ceil(low)), max(0, min(size, math.floor(high) + 1))))
    box = spans[0], spans[1]
    seen = image.observed[box]
    if not seen.any():
        return "nothing was observed in the box"
    sigma, flux = image.significance[box][seen], image.intensity[box][seen]
    at = np.argwhere(seen)[int(np.argmax(sigma))]
    position = image.position_of(box[1].start + at[1], box[0].start + at[0])
    return (
        f"{int(seen.sum())} pixels in {image.band} keV: significance {sigma.mean():+.2f}, width {sigma.std():.2f}, "
        f"from {sigma.min():.1f} to {sigma.max():.1f} at RA {position.ra.deg:.3f}°, Dec {position.dec.deg:+.3f}°; "
        f"mean flux {flux.mean():.2f} counts/s, mean exposure {image.exposure[box][seen].mean():.0f} s"
    )
