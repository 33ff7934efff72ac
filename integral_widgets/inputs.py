"""One input of the query form: its title, its widget and the place of its error."""

from __future__ import annotations

import hashlib
import html
import re
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import ipywidgets as widgets
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from integral_oda.errors import RequestError
from integral_widgets.callbacks import error_html
from integral_widgets.labels import label

__all__ = ["CatalogInput", "FieldInput", "Uploads"]

UPLOAD_LIMIT_MB = 180
HINTS = {
    "scw_list": "science windows: 12 digits and a 3-digit version, such as 255900280010.001; several with commas or one"
    " a line. Empty: those that fit the times and the place below",
    "src_name": "any name that the catalogue knows, such as Crab; empty: every source of the field",
    "RA": "degrees (J2000), in place of a name; with the declination",
    "DEC": "degrees (J2000), in place of a name; with the right ascension",
    "catalog": "adds to the built-in catalogue; FITS, ECSV with name, ra, dec, ds9 regions or the online system's JSON",
    "only_catalog": "fit the sources of the list alone: none of the built-in catalogue, no new ones",
    "bands": "such as 28-80, or 20-40, 40-80; 15 to 1000 keV in steps of 0.5",
    "gti": "such as 2022-10-12T15:20:00,2022-10-12T15:40:00 (UTC), IJD or MJD; several with semicolons",
    "phase": "such as 59864.5,3.245,0.4,0.6; epoch in MJD, period in s",
    "rate_range": "such as 0,50; times when the source has other rates are not used",
    "rate_bin": "0.1 to 1e4 s",
    "at": "names or positions, such as Cyg X-1; 293.7,21.9",
    "detection_threshold": "excesses above it that no catalogue source explains are listed as new",
    "E1_keV": "15 to 1000 keV in steps of 0.5",
    "E2_keV": "above the lower energy",
    "time_bin": "0.001 s to 1e7 s",
    "more_bands": "such as 20-40, 40-80; hardness ratios of neighbouring bands are made too",
    "binning": "fixed: bins of the length above; scw or revolution: one bin each; blocks: where the rate changes",
    "bin_edges": "times in place of the bins: IJD, MJD or ISO (UTC), with commas",
    "barycentre": "times at the barycentre of the solar system",
    "bursts": "search for bursts of the source",
    "events": "write the events with what each is worth for the source",
    "fold": "such as 3.245,0,59864.5; period in s, its derivative, epoch of phase 0 in MJD",
    "period_search": "such as 1,10; shortest and longest period in s",
    "epoch_correction": "make rates of different years comparable",
    "channels": "62, 256, 16 or 13 channels, or edges in keV; empty: 62 by fit, 13 by mosaic",
    "method": "fit: every channel on the detector; mosaic: fluxes in images, for faint sources",
    "group": "significance that the file's grouping gives each bin; 0 leaves every channel alone",
    "T1": "in place of a list: science windows from this time on, such as 2022-10-12T00:00:00",
    "T2": "and up to this time",
    "T_format": "isot, mjd, ... (UTC), ijd (TT) or revolution",
    "radius": "largest angle of the telescope's axis from the source",
    "max_pointings": "where more fit, they are spread evenly over the time, or drawn with the seed",
    "seed": "draws the science windows at random, the same for the same seed; empty: evenly spread",
    "readiness": "cons: consolidated; nrt: near real time; any: the best there is",
    "min_good_isgri": "seconds of good time of ISGRI, where the index knows it",
    "min_ontime": "seconds",
    "max_off_axis": "degrees between ISGRI's axis and the source",
    "min_coded_fraction": "0 to 1: part of the mask's shadow of the source that falls on the detector",
    "exclude": "bti: leave out windows within the instrument's known bad time",
    "engine": "native: here, needs no other software; osa: ISDC's OSA on this machine; mmoda: the online service",
    "engine_for": "such as MOSAIC=native; several with semicolons",
    "osa_version": "11.2, 10.2, 11.1, 11.0, or 10.2+11.2 split at revolution 1626",
    "osa_parameters": "such as ii_skyimage.ToSearch=10; several with semicolons",
}
_FULL_WIDTH = widgets.Layout(width="auto", margin="0 0 2px 0")
_SEPARATORS = {"bands": ("-", ", "), "more_bands": ("-", ", "), "at": (",", "; "), "gti": (",", "; "),
               "engine_for": (",", "; "), "osa_parameters": (",", "; ")}  # fmt: skip
_TRUE = ("true", "1", "yes", "on")


class FieldInput:
    """One field of a query.

    Parameters
    ----------
    name : str
        Name of the field as the query spells it.
    info : pydantic.fields.FieldInfo
        Title, type and default: choices become a list, yes or no a box to tick.
    """

    def __init__(self, name: str, info: FieldInfo) -> None:
        self.name, self.info = name, info
        self.default = "" if info.default in (None, PydanticUndefined) else self.as_text(info.default)
        self.title = info.title or name
        hint = HINTS.get(name, "")
        self.input = self._make_input(hint)
        self.input.add_class(f"oda-field-{name}")
        ticked = isinstance(self.input, widgets.Checkbox)
        self.hint = widgets.HTML(f"<span class='oda-hint'>{html.escape(hint)}</span>" if ticked else "")
        self.error = widgets.HTML()
        self.error.add_class(f"oda-error-{name}")
        self.widget = widgets.VBox([self.input, self.hint, self.error] if ticked else [self.input, self.error])
        self.widget.add_class("oda-field")

    def _make_input(self, hint: str) -> Any:
        kind = _plain_type(self.info.annotation)
        if kind is bool:
            return widgets.Checkbox(
                value=self.default == "true", description=self.title, indent=False, tooltip=hint, layout=_FULL_WIDTH
            )
        if get_origin(kind) is Literal:
            options = [str(option) for option in get_args(kind)]
            return widgets.Dropdown(options=options, value=self.default, **self._labelled(hint))
        shown = widgets.Textarea if self.name == "scw_list" else widgets.Text
        placeholder = hint if self.name == "at" else hint.split(";", maxsplit=1)[0]
        made = shown(value=self.default, placeholder=placeholder, continuous_update=False, **self._labelled(hint))
        if self.name == "scw_list":
            made.rows = 2
        return made

    def _labelled(self, hint: str) -> dict[str, Any]:
        """The title as the input's own label, which the style sheet puts above it."""
        return {**label(self.title, hint), "style": {"description_width": "auto"}, "layout": _FULL_WIDTH}

    @property
    def text(self) -> str:
        """What stands in the input, without surrounding blanks."""
        value = self.input.value
        return str(value).lower() if isinstance(value, bool) else str(value).strip()

    @property
    def is_changed(self) -> bool:
        """Whether something else than the default stands in it."""
        return self.text != self.default

    def put(self, text: str) -> None:
        """Fill the input.

        Raises
        ------
        RequestError
            If it is a list of choices without this one.
        """
        if isinstance(self.input, widgets.Checkbox):
            self.input.value = text.strip().lower() in _TRUE
        elif isinstance(self.input, widgets.Dropdown) and text not in self.input.options:
            raise RequestError(self.name, text[:80], f"one of {', '.join(self.input.options)}")
        else:
            self.input.value = text

    def as_text(self, value: object) -> str:
        """Value of the field as it is typed: bands as ``28-80, 40-60``, intervals as ``8320.1,8320.2; ...``."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, tuple | list):
            return _as_typed(value)
        within, between = _SEPARATORS.get(self.name, (",", ", "))
        texts = [
            within.join(_as_typed(part) for part in item if part is not None)
            if isinstance(item, tuple | list)
            else _as_typed(item)
            for item in value
            if item is not None
        ]
        return between.join(texts)

    def show(self, sentence: str) -> None:
        """Show an error beside the field, or clear it with an empty sentence."""
        self.error.value = error_html(sentence)


def _as_typed(value: object) -> str:
    """A number as short as it can be without another value."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _plain_type(annotation: Any) -> Any:
    """Type of a field without the None that stands for its absence."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


class Uploads:
    """Files that came through the page, kept by their content: the same file is the same query.

    Parameters
    ----------
    folder : Path
        Where they lie. A link names one as ``DIGEST/NAME``, which tells nothing of the machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, name: str, content: bytes) -> Path:
        """Write a file; its name keeps letters, digits, +, - and dots."""
        plain = re.sub(r"[^A-Za-z0-9+.-]", "_", Path(name).name)[-80:].lstrip(".") or "file"
        path = self.folder / hashlib.sha256(plain.encode() + b"\0" + content).hexdigest()[:16] / plain
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{plain}.part")
            aside.write_bytes(content)
            aside.replace(path)
        return path

    def token(self, path: str) -> str:
        """Name of a kept file for a link; empty for any other file."""
        place = Path(path)
        return f"{place.parent.name}/{place.name}" if path and place.parent.parent == self.folder else ""

    def find(self, token: str) -> Path | None:
        """The file that a link names, None where there is none."""
        if not re.fullmatch(r"[0-9a-f]{16}/[A-Za-z0-9+_-][A-Za-z0-9+_.-]*", token):
            return None
        path = self.folder / token
        return path if path.is_file() else None


class CatalogInput(FieldInput):
    """The source catalogue, uploaded; its bytes go to disk at once and leave the kernel's memory.

    Parameters
    ----------
    name, info
        As for `FieldInput`.
    uploads : Uploads
        Where uploads are written.
    """

    def __init__(self, name: str, info: FieldInfo, uploads: Uploads) -> None:
        super().__init__(name, info)
        self.uploads = uploads
        self.on_upload: Callable[[Path], Path] = lambda path: path
        self.upload = widgets.FileUpload(
            accept=".fits,.gz,.ecsv,.txt,.reg,.json", description="Upload a file",
            tooltip=f"up to {UPLOAD_LIMIT_MB} MB",
        )  # fmt: skip
        self.input.disabled = True
        self.upload.observe(self._received, names="value")
        self.clear = widgets.Button(
            description="Remove", tooltip="use the built-in catalogue alone", layout=widgets.Layout(width="80px")
        )
        self.clear.on_click(lambda _: setattr(self.input, "value", ""))
        row = widgets.HBox([self.upload, self.clear])
        self.widget.children = [self.input, row, self.error]

    def _received(self, _: Any) -> None:
        items: Sequence[Any] = self.upload.value
        if not items:
            return
        try:
            for item in items:
                path = self.uploads.keep(item["name"], bytes(item["content"]))
                self.input.value = str(self.on_upload(path))
        except RequestError as exc:
            self.show(str(exc))
        finally:
            self.upload.value = ()
