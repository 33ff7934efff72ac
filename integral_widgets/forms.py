"""Query form: one input a field of the pydantic models, each error beside its field."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import ipywidgets as widgets
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from integral_oda.engine_choice import EngineChoice
from integral_oda.errors import RequestError
from integral_oda.pointing_query import PointingQuery
from integral_oda.query import Query, make_query, parse_band
from integral_widgets.callbacks import error_html

__all__ = ["QueryForm"]

UPLOAD_LIMIT_MB = 180
QueryType = TypeVar("QueryType", bound=Query)

_FULL_WIDTH = widgets.Layout(width="auto", margin="0 0 2px 0")
_HINTS = {
    "scw_list": "12 digits and a 3-digit version, such as 255900280010.001; several with commas or one a line",
    "src_name": "any name that the catalogue knows, such as Crab; empty: every source of the field",
    "RA": "in place of a name; with the declination",
    "DEC": "in place of a name; with the right ascension",
    "catalog": "adds to the built-in catalogue; FITS, or ECSV with name, ra, dec",
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
}
_SECOND_IN_ROW = ("DEC", "E2_keV")
_FOLDED = ("catalog", "gti", "phase", "rate_range", "rate_bin", "more_bands", "binning", "bin_edges", "barycentre",
           "bursts", "events", "fold", "period_search", "epoch_correction")  # fmt: skip
_SEPARATORS = {"bands": ("-", ", "), "at": (",", "; "), "gti": (",", "; ")}
_SERVER_KEYS = ("theme", "template", "voila-theme", "voila-template")
_SPELLED = {"band": "bands"}


class FieldInput:
    """One field of a query: its title, its input and the place of its error.

    Parameters
    ----------
    name : str
        Name of the field as the query spells it.
    info : pydantic.fields.FieldInfo
        Title and default.
    """

    def __init__(self, name: str, info: FieldInfo) -> None:
        self.name, self.info = name, info
        self.default = "" if info.default in (None, PydanticUndefined) else self.as_text(info.default)
        hint = _HINTS.get(name, "")
        kind = widgets.Textarea if name == "scw_list" else widgets.Text
        self.input = kind(
            value=self.default,
            placeholder=hint if name == "at" else hint.split(";")[0],
            continuous_update=False,
            tooltip=hint,
            layout=_FULL_WIDTH,
        )
        if name == "scw_list":
            self.input.rows = 2
        self.input.add_class(f"oda-field-{name}")
        title = f'<label title="{html.escape(hint)}">{html.escape(info.title or name)}</label>'
        self.error = widgets.HTML()
        self.error.add_class(f"oda-error-{name}")
        self.widget = widgets.VBox([widgets.HTML(title), self.input, self.error])
        self.widget.add_class("oda-field")

    @property
    def text(self) -> str:
        """What stands in the input, without surrounding blanks."""
        return str(self.input.value).strip()

    def as_text(self, value: object) -> str:
        """Value of the field as it is typed: bands as ``28-80, 40-60``, intervals as ``8320.1,8320.2; ...``."""
        if not isinstance(value, tuple | list):
            return f"{value:g}" if isinstance(value, float) else str(value)
        within, between = _SEPARATORS.get(self.name, (",", ", "))
        return between.join(
            within.join(f"{part:.12g}" for part in item) if isinstance(item, tuple | list) else str(item)
            for item in value
        )

    def show(self, sentence: str) -> None:
        """Show an error beside the field, or clear it with an empty sentence."""
        self.error.value = error_html(sentence)


class CatalogInput(FieldInput):
    """The source catalogue, uploaded; its bytes go to disk at once and leave the kernel's memory.

    Parameters
    ----------
    name, info
        As for `FieldInput`.
    folder : Path
        Where uploads are written.
    """

    def __init__(self, name: str, info: FieldInfo, folder: Path) -> None:
        super().__init__(name, info)
        self.folder = folder
        self.upload = widgets.FileUpload(
            accept=".fits,.gz,.ecsv,.txt", description="Upload a file", tooltip=f"up to {UPLOAD_LIMIT_MB} MB"
        )
        self.input.disabled = True
        self.upload.observe(self._received, names="value")
        self.clear = widgets.Button(description="Remove", layout=widgets.Layout(width="80px"))
        self.clear.on_click(lambda _: setattr(self.input, "value", ""))
        row = widgets.HBox([self.upload, self.clear])
        self.widget.children = [self.widget.children[0], row, self.input, self.error]

    def _received(self, _: Any) -> None:
        for item in self.upload.value:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / re.sub(r"[^A-Za-z0-9+.-]", "_", Path(item["name"]).name)
            path.write_bytes(item["content"])
            self.input.value = str(path)
            self.upload.value = ()


class QueryForm:
    """Inputs for several kinds of query that share fields.

    Parameters
    ----------
    kinds : sequence of Query subclasses
        The shared fields come first, then those of each kind under its title.
    upload_folder : Path
        Where an uploaded catalogue is written.
    """

    def __init__(self, kinds: Sequence[type[Query]], upload_folder: Path) -> None:
        self.kinds = tuple(kinds)
        self.fields: dict[str, FieldInput] = {}
        for kind in self.kinds:
            for name, info in _inputs(kind).items():
                if name not in self.fields:
                    made = CatalogInput(name, info, upload_folder) if name == "catalog" else FieldInput(name, info)
                    self.fields[name] = made
                    made.input.observe(self._changed, names="value")
        self.on_change: Callable[[], None] = lambda: None

    def group(self, kind: type[Query]) -> list[widgets.Widget]:
        """Inputs of the fields that ``kind`` itself declares: short ones two in a row, seldom used ones folded away."""
        fields = [self.fields[name] for name in _inputs(kind) if name in kind.__annotations__]
        shown = _rows([field for field in fields if field.name not in _FOLDED])
        folded = [field for field in fields if field.name in _FOLDED]
        return [*shown, self._fold(folded)] if folded else shown

    def _fold(self, fields: Sequence[FieldInput]) -> widgets.Accordion:
        """Fields behind a title; a value or an error of one of them opens it."""
        titles = ", ".join(re.sub(r" [A-Z\[].*", "", field.info.title or field.name).lower() for field in fields)
        fold = widgets.Accordion([widgets.VBox(_rows(fields))], titles=(f"More: {titles}",))
        fold.add_class("oda-fold")

        def unfold(_: Any) -> None:
            if any(field.error.value or field.text != field.default for field in fields):
                fold.selected_index = 0

        for field in fields:
            field.error.observe(unfold, names="value")
            field.input.observe(unfold, names="value")
        return fold

    def set(self, **texts: object) -> None:
        """Fill inputs.

        Raises
        ------
        RequestError
            If there is no such field.
        """
        for name, value in texts.items():
            field = self.fields.get(_SPELLED.get(name, name))
            if field is None:
                raise RequestError(name, value, f"no such parameter; there are {', '.join(self.fields)}")
            field.input.value = field.as_text(value)

    def query(self, kind: type[QueryType]) -> QueryType:
        """What the inputs ask, checked.

        Raises
        ------
        RequestError
            For the first thing that is wrong; it also stands beside its field then.
        """
        self.clear_errors()
        try:
            return make_query(kind, **self._values(kind))
        except RequestError as exc:
            self.show_error(str(exc), self._parameter(kind, exc))
            raise

    def _parameter(self, kind: type[Query], error: RequestError) -> str:
        """Field that an error is about; one of several fields together goes to the first it names or its kind has."""
        if error.parameter != "query":
            return error.parameter
        named = [name for name in _inputs(kind) if re.search(rf"\b{name}\b", error.allowed)]
        own = [name for name in _inputs(kind) if name in kind.__annotations__]
        return (named or own)[0]

    def show_error(self, sentence: str, parameter: str | None) -> bool:
        """Show a sentence beside the field it is about; says whether there is such a field."""
        field = self.fields.get(_SPELLED.get(parameter or "", parameter or ""))
        if field is not None:
            field.show(sentence)
        return field is not None

    def clear_errors(self) -> None:
        """Remove every error."""
        for field in self.fields.values():
            field.show("")

    def query_string(self) -> str:
        """Inputs that differ from their defaults, as the query part of a link; never a file."""
        changed = {f.name: f.text for f in self.fields.values() if f.text != f.default and f.name != "catalog"}
        return urlencode(changed)

    def read_query_string(self, text: str) -> list[str]:
        """Fill the inputs from the query part of a link.

        Returns
        -------
        list of str
            One sentence for each key that was not used.
        """
        refused = []
        for name, value in parse_qsl(text.removeprefix("?"), keep_blank_values=True):
            if name in _SERVER_KEYS:
                continue
            field = self.fields.get(_SPELLED.get(name, name))
            if field is None or field.name == "catalog":
                refused.append(f"{name} = {value}: not a parameter of a link; there are {', '.join(self._linkable())}")
            else:
                field.input.value = value
        self._check()
        return refused

    def _linkable(self) -> list[str]:
        return [name for name in self.fields if name != "catalog"]

    def _values(self, kind: type[Query]) -> Mapping[str, Any]:
        values = {name: self._value(name) for name in _inputs(kind)}
        return {name: value for name, value in values.items() if value is not None}

    def _value(self, name: str) -> Any:
        text = self.fields[name].text
        if name == "scw_list":
            parts = re.split(r"[\s,;]+", text)
            # As the command line passes it, but for @FILE: a page must not read files of its server.
            return tuple(parts) if "@" in text else ",".join(parts)
        if not text:
            return None
        if name == "at":
            return tuple(part.strip() for part in re.split(r"[;\n]", text) if part.strip())
        if name == "bands":
            return tuple(parse_band(part.strip()) for part in text.split(","))
        return text

    def _changed(self, _: Any) -> None:
        self._check()
        self.on_change()

    def _check(self) -> None:
        """Tell what is wrong while the user types; an empty list of windows is not yet a mistake."""
        self.clear_errors()
        for kind in self.kinds:
            try:
                make_query(kind, **self._values(kind))
            except RequestError as exc:
                if exc.parameter != "scw_list" or self.fields["scw_list"].text:
                    self.show_error(str(exc), self._parameter(kind, exc))


def _inputs(kind: type[Query]) -> dict[str, FieldInfo]:
    """Fields that have an input: all but the choice of the engine and of science windows that are not listed.

    The latter may name files, and a page must not read files of its server.
    """
    without = {*EngineChoice.model_fields, *PointingQuery.model_fields}
    return {name: info for name, info in kind.model_fields.items() if name not in without}


def _rows(fields: Sequence[FieldInput]) -> list[widgets.Widget]:
    rows: list[widgets.Widget] = []
    for field in fields:
        if field.name in _SECOND_IN_ROW:
            rows[-1] = widgets.HBox([rows[-1], field.widget], layout=widgets.Layout(align_items="flex-start"))
            rows[-1].add_class("oda-pair")
        else:
            rows.append(field.widget)
    return rows
