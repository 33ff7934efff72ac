"""Where everything stands on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from integral_oda.engine_choice import EngineChoice
from integral_oda.pointing_query import PointingQuery
from integral_oda.query import ImageQuery, LightCurveQuery, Query, SpectrumQuery
from integral_widgets.callbacks import safe_callback
from integral_widgets.folds import Fold
from integral_widgets.heartbeat import Heartbeat
from integral_widgets.page import session_note
from integral_widgets.presets import PRESETS
from integral_widgets.style import STYLE

if TYPE_CHECKING:
    from integral_widgets.explorer import Explorer

__all__ = ["PageLayout"]

_PRESET_TITLE = "Choose an example …"
_EMPTY = (
    "<div class='oda-empty'><b>New here?</b> Press <b>Image, light curve, spectrum</b> above: it shows the sky in the "
    "energy band asked for, the sources in it, how the chosen source varies and what its spectrum is. What stands in "
    "the form already works.<br>For another source choose an example, or type its name and press <b>Resolve</b>; give "
    "a time range and press <b>Plan windows</b> to see when INTEGRAL looked there.</div>"
)


class PageLayout:
    """The form on the left, plan, progress and products on the right; one below the other on a narrow page.

    Parameters
    ----------
    app : Explorer
        Whose parts are placed; its methods are what the buttons do.
    """

    def __init__(self, app: Explorer) -> None:
        self.app, self.busy = app, False
        self.status, self.link, self.resolved = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.status.add_class("oda-status")
        self.resolved.add_class("oda-resolved")
        self.empty = widgets.HTML(_EMPTY)
        self.places = {kind: widgets.VBox() for kind in ("image", "lightcurve", "spectrum")}
        self._make_buttons()
        self.editor_place = Fold(
            app.editor.widget, "Sources: edit the list, use it for spectra and light curves"
        ).widget
        self.editor_place.layout.display = "none"
        history = Fold(app.history.widget, "Your queries", "what you asked before, with its results").widget
        results = widgets.VBox([
            self._actions(), self.status, app.progress.widget, app.plan_view.widget, self.empty, self.places["image"],
            self.editor_place, self.places["lightcurve"], self.places["spectrum"], history,
        ])  # fmt: skip
        results.add_class("oda-results")
        title = widgets.HTML(f"{STYLE}<h1>INTEGRAL/ISGRI: sky images, light curves, spectra</h1>{session_note()}")
        body = widgets.Box([self._form(), results])
        body.add_class("oda-body")
        self.heartbeat = Heartbeat()
        self.widget = widgets.VBox([title, self.heartbeat.widget, body])
        self.widget.add_class("oda-page")

    def set_busy(self, busy: bool) -> None:
        """Cancel can be pressed while something runs."""
        self.busy = busy
        self.cancel_button.disabled = not busy

    def free(self, button: widgets.Button) -> None:
        """Let a button be pressed again, once what it did is done."""
        button.disabled = button is self.cancel_button and not self.busy

    def _make_buttons(self) -> None:
        app = self.app
        self.explore_button = self._button(
            "Image, light curve, spectrum", app.explore, "make all three of what the form asks", "primary"
        )
        self.image_button = self._button("Image", app.make_image, "the sky image and its sources")
        self.curve_button = self._button("Light curve", app.make_light_curve, "how the source varies")
        self.spectrum_button = self._button("Spectrum", app.make_spectrum, "the spectrum with its response")
        self.cancel_button = self._slow_button("Cancel", app.cancel, "what is done stays in the store", "warning")
        self.cancel_button.disabled = True
        self.plan_button = self._slow_button(
            "Plan windows", app.plan, "which science windows this would use, on the sky and in time"
        )
        self.resolve_button = self._slow_button("Resolve", app.resolve, "where the source is, and its catalogue name")
        self.preset = widgets.Dropdown(
            options=[_PRESET_TITLE, *PRESETS], tooltip="sources that the online system was tested with",
            description="Example", layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        self.preset.add_class("oda-preset")
        self.preset.add_class("oda-quiet")
        self.preset.observe(self._preset_chosen, names="value")
        self.about = widgets.HTML()

    def _preset_chosen(self, change: dict[str, Any]) -> None:
        if change["new"] in PRESETS:
            self.app.use_preset(change["new"])
            self.about.value = f"<span class='oda-note'>{PRESETS[change['new']].about}</span>"

    def _form(self) -> widgets.VBox:
        app, form = self.app, self.app.form
        source = form.fields["src_name"]
        source.widget.children = [
            widgets.HBox([source.input, self.resolve_button], layout=widgets.Layout(align_items="flex-end")),
            self.resolved, source.error,
        ]  # fmt: skip
        source.input.layout = widgets.Layout(flex="1 1 auto", width="auto")
        made = widgets.VBox([
            app.offer.widget,
            self.preset, self.about,
            widgets.HTML("<h2>What to look at</h2>"), *form.group(Query, "More, seldom needed"), app.offer.windows,
            widgets.HTML("<h2>In place of a list of windows</h2>"), *form.group(PointingQuery, "More about windows"),
            self.plan_button,
            widgets.HTML("<h2>Sky image</h2>"), *form.group(ImageQuery),
            widgets.HTML("<h2>Light curve</h2>"), *form.group(LightCurveQuery, "More of light curves"),
            widgets.HTML("<h2>Spectrum</h2>"), *form.group(SpectrumQuery),
            widgets.HTML("<h2>Who computes</h2>"), *form.group(EngineChoice, "More about engines"),
        ])  # fmt: skip
        made.add_class("oda-form")
        return made

    def _actions(self) -> widgets.HBox:
        buttons = (self.image_button, self.curve_button, self.spectrum_button, self.cancel_button)
        actions = widgets.HBox([self.explore_button, *buttons, self.link])
        actions.layout.flex_flow = "row wrap"
        actions.add_class("oda-actions")
        return actions

    def _button(self, text: str, method: Callable[[], None], hint: str, style: str = "") -> widgets.Button:
        made = widgets.Button(description=text, tooltip=hint, button_style=style, layout=widgets.Layout(width="auto"))
        guarded = safe_callback(self.app.tell)(method)
        made.on_click(lambda _: guarded())
        return made

    def _slow_button(self, text: str, method: Callable[[], None], hint: str, style: str = "") -> widgets.Button:
        made = widgets.Button(description=text, tooltip=hint, button_style=style, layout=widgets.Layout(width="auto"))
        made.on_click(lambda button: self.app.in_background(method, button))
        return made
