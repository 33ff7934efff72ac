"""Spectra on the page: a source, an energy range and a model to choose, the fit with contours and fluxes."""

from __future__ import annotations

import html
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from pydantic import ValidationError

from integral_oda.errors import RequestError
from integral_widgets.callbacks import safe_callback
from integral_widgets.downloads import download_list
from integral_widgets.figure_place import FigurePlace, Notice, choice, press, wrapped_row
from integral_widgets.labels import label

if TYPE_CHECKING:
    from integral_oda.spectral_fit import FitProducts

__all__ = ["SpectrumView", "fit_table_html"]

MODELS = (
    "powerlaw", "cutoffpl", "bknpower", "grbm", "bbody", "bbody + powerlaw", "powerlaw * highecut",
    "powerlaw + gaussian", "cutoffpl + gaussian",
)  # fmt: skip
_STATISTICS = (("chi2", "chi2"), ("cstat", "cstat"), ("wstat", "wstat"))


class SpectrumView:
    """Spectra of the sources of a product, and fits to them.

    Parameters
    ----------
    products : SpectrumProducts or alike
        With ``files``: ``isgri_spectrum_<SRC>.fits`` and their responses beside them.
    out : Path, optional
        Where ``fit.json``, ``fit.xcm`` and ``fit.png`` go; a folder of this view's own otherwise.

    Attributes
    ----------
    widget : ipywidgets.Widget
    fit : FitProducts or None
        The last one.
    """

    def __init__(self, products: Any, out: Path | None = None) -> None:
        self.products = products
        self.paths = [Path(path) for path in products.files if Path(path).name.startswith("isgri_spectrum_")]
        self.fit: FitProducts | None = None
        self._temporary = None if out else tempfile.TemporaryDirectory(prefix="integral-oda-fit-")
        self.out = out or Path(self._temporary.name if self._temporary else ".")
        self._idle = threading.Event()
        self._idle.set()
        self.notice, self.table, self.files = Notice(), widgets.HTML(), widgets.VBox()
        self._make_controls()
        self.place = FigurePlace(self._figure, ())
        self.contour_place = widgets.Box(layout=widgets.Layout(width="100%", max_width="440px"))
        for control in (self.source, self.e1, self.e2):
            control.observe(safe_callback(self.notice.fail)(self._changed), names="value")
        self.widget = widgets.VBox(
            [
                wrapped_row([self.source, self.e1, self.e2]),
                wrapped_row([self.model, self.statistic, self.flux, self.fit_button]),
                self.notice.widget,
                self.place.widget,
                self.table,
                wrapped_row([self.first, self.second, self.contour_button]),
                self.contour_place,
                self.files,
            ]
        )
        self.widget.add_class("oda-spectrum")

    def run_fit(self) -> None:
        """Fit the model to the spectrum, in a thread; `wait` for it in scripts.

        Raises
        ------
        RequestError
            If the request does not fit together.
        """
        self._in_background(self._request())

    def run_contours(self) -> None:
        """Fit again and find the contours of the two parameters chosen, in a thread.

        Raises
        ------
        RequestError
            If two different parameters are not chosen.
        """
        if not self.first.value or self.first.value == self.second.value:
            raise RequestError("contour", f"{self.first.value},{self.second.value}", "two different free parameters")
        self._in_background(self._request(contour=(self.first.value, self.second.value)))

    def wait(self, timeout_s: float = 120.0) -> None:
        """Block until no fit runs, for scripts; never called by the page.

        Raises
        ------
        TimeoutError
            If one still runs then.
        """
        if not self._idle.wait(timeout_s):
            raise TimeoutError(f"still fitting after {timeout_s} s")

    def _make_controls(self) -> None:
        from integral_oda.products.spectrum import read_spectrum

        names = [(read_spectrum(path).name or path.stem, path) for path in self.paths]
        self.source = choice("Source", names or [("no spectrum", None)])
        narrow, style = widgets.Layout(width="150px"), {"description_width": "initial"}
        self.e1 = widgets.FloatText(
            20.0, **label("From [keV]", "channels wholly above it are fitted"), layout=narrow, style=style
        )
        self.e2 = widgets.FloatText(
            300.0, **label("to [keV]", "channels wholly below it are fitted"), layout=narrow, style=style
        )
        self.model = widgets.Combobox(
            value="powerlaw", options=MODELS, ensure_option=False, style=style, layout=widgets.Layout(width="260px"),
            **label("Model", "XSPEC's names joined by +, * and parentheses"),
        )  # fmt: skip
        self.statistic = choice("Statistic", _STATISTICS, "chi2 for net rates; cstat and wstat need counts")
        self.flux = widgets.Text(
            "20-100", **label("Fluxes [keV]", "bands such as 20-100, 100-200"), style=style,
            layout=widgets.Layout(width="200px"),
        )  # fmt: skip
        self.fit_button = press("Fit", self.run_fit, self.notice)
        self.fit_button.button_style = "primary"
        self.first, self.second = (
            choice(text, [("", "")], "free parameter of the fit") for text in ("Contours of", "and")
        )
        self.contour_button = press("Contours", self.run_contours, self.notice)
        for control in (self.first, self.second, self.contour_button):
            control.layout.display = "none"

    def _request(self, **further: Any) -> Any:
        from integral_oda.spectral_fit import FitRequest

        if self.source.value is None:
            raise RequestError("spectrum", "none", "a product with spectra")
        bands = tuple(part.strip() for part in self.flux.value.split(",") if part.strip())
        try:
            return FitRequest(
                spectrum=(self.source.value,), e1=self.e1.value, e2=self.e2.value, model=self.model.value,
                statistic=self.statistic.value, flux=bands, **further,
            )  # fmt: skip
        except ValidationError as exc:
            first = exc.errors()[0]
            name = ".".join(str(part) for part in first["loc"]) or "e1-e2"
            raise RequestError(name, str(first["input"])[:80], first["msg"].removeprefix("Value error, ")) from None

    def _in_background(self, request: Any) -> None:
        self.notice.say("Fitting…")
        self.fit_button.disabled = self.contour_button.disabled = True
        self._idle.clear()
        threading.Thread(target=self._run, args=(request,), daemon=True, name="oda-fit").start()

    def _run(self, request: Any) -> None:
        try:
            safe_callback(self.notice.fail)(self._fit)(request)
        finally:
            self.fit_button.disabled = self.contour_button.disabled = False
            self._idle.set()

    def _fit(self, request: Any) -> None:
        from integral_oda.spectral_fit import fit_spectra

        products = fit_spectra(request)
        written = products.write(self.out)
        self.fit = products
        free = [p.name for p in products.result.parameters if not p.fixed]
        self._offer_contours(free)
        self.table.value = fit_table_html(products.report)
        self.place.refresh()
        self._show_contours(products)
        self.files.children = (download_list(written),)
        self.notice.say("" if products.result.converged else "The fit did not converge: take the numbers with care")

    def _offer_contours(self, free: Sequence[str]) -> None:
        display = "" if len(free) > 1 else "none"
        for number, control in enumerate((self.first, self.second)):
            kept = control.value if control.value in free else free[min(number, len(free) - 1)] if free else ""
            control.options = [(name, name) for name in free] or [("", "")]
            control.value = kept
            control.layout.display = display
        self.contour_button.layout.display = display

    def _show_contours(self, products: FitProducts) -> None:
        from integral_widgets.bokeh_spectra import contour_figure
        from integral_widgets.bokeh_views import close_figure_widget, figure_widget

        old = self.contour_place.children
        contours = products.report.get("contours")
        best = {p.name: p.value for p in products.result.parameters}
        self.contour_place.children = (figure_widget(contour_figure(contours, best)),) if contours else ()
        for widget in old:
            close_figure_widget(widget)

    def _changed(self, _: Any) -> None:
        """Another spectrum or range: the counts alone, until it is fitted."""
        self.fit = None
        self.table.value = ""
        self.files.children = ()
        self.place.refresh()

    def _figure(self) -> Any:
        from bokeh.models.widgets import Div

        from integral_oda.spectral_fit import noticed_data
        from integral_widgets.bokeh_spectra import fit_figure, spectrum_figure

        if self.fit is not None:
            return fit_figure(self.fit.result)
        if self.source.value is None:
            return Div(text="No spectrum")
        return spectrum_figure(noticed_data(self._request()))


def fit_table_html(report: Any) -> str:
    """Parameters and fluxes of a ``fit.json`` as a table; names are text, never markup."""
    rows = [
        (p["name"], f"{p['value']:.5g}" + (" (held)" if p["fixed"] else f" ± {p['error']:.2g}"), p["unit"])
        for p in report["parameters"]
    ]
    rows += [
        (f"flux {f['e1_kev']:g}-{f['e2_kev']:g} keV", f"{f['flux']:.4g} ± {f['error']:.2g}", f["unit"])
        for f in report["fluxes"]
    ]
    chance = report.get("null_probability")
    quality = f"{report['value']:.1f} / {report['dof']}" + (f", chance {chance:.2g}" if chance is not None else "")
    rows.append((report["statistic"], quality, ""))
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='oda-wide'><table class='oda-sources oda-fit'>{cells}</table></div>"
