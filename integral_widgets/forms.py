"""Query form: one input a field of the pydantic models, each error beside its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import ipywidgets as widgets
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from integral_oda.errors import RequestError
from integral_oda.query import Query, make_query, parse_band
from integral_widgets.folds import Fold
from integral_widgets.inputs import CatalogInput, FieldInput, Uploads

__all__ = ["QueryForm"]

QueryType = TypeVar("QueryType", bound=Query)

_SERVER_FILES = ("background", "index")
"""Fields that name files: a page must not read files of its server."""
_SECOND_IN_ROW = ("DEC", "E2_keV", "T2", "max_pointings", "group")
_FOLDED = ("catalog", "only_catalog", "gti", "phase", "rate_range", "rate_bin", "more_bands", "binning", "bin_edges",
           "barycentre", "bursts", "events", "fold", "period_search", "epoch_correction", "T_format", "seed",
           "readiness", "min_good_isgri", "min_ontime", "max_off_axis", "min_coded_fraction", "exclude", "engine_for",
           "osa_version", "osa_parameters")  # fmt: skip
_SERVER_KEYS = ("theme", "template", "voila-theme", "voila-template")
_SPELLED = {"band": "bands"}
_WINDOWS = ("scw_list", "T1", "T2")


class QueryForm:
    """Inputs for several kinds of query that share fields.

    Parameters
    ----------
    kinds : sequence of Query subclasses
        What can be asked; there is one input for every parameter of theirs but those that name files.
    uploads : Uploads
        Where an uploaded catalogue is written.
    """

    def __init__(self, kinds: Sequence[type[Query]], uploads: Uploads) -> None:
        self.kinds, self.uploads = tuple(kinds), uploads
        self.fields: dict[str, FieldInput] = {}
        for kind in self.kinds:
            for name, info in _inputs(kind).items():
                if name not in self.fields:
                    made = CatalogInput(name, info, uploads) if name == "catalog" else FieldInput(name, info)
                    self.fields[name] = made
                    made.input.observe(self._changed, names="value")
        self.fields["catalog"].input.observe(self._catalog_gone, names="value")
        self.on_change: Callable[[], None] = lambda: None

    def group(self, kind: type[BaseModel], title: str = "More") -> list[widgets.Widget]:
        """Inputs of the fields that ``kind`` itself declares: short ones two in a row, seldom used ones folded away."""
        fields = [self.fields[name] for name in kind.__annotations__ if name in self.fields]
        shown = _rows([field for field in fields if field.name not in _FOLDED])
        folded = [field for field in fields if field.name in _FOLDED]
        return [*shown, self._fold(folded, title).widget] if folded else shown

    def _fold(self, fields: Sequence[FieldInput], title: str) -> Fold:
        """Fields behind a title; a value or an error of one of them opens it."""
        titles = ", ".join(re.sub(r"( \[|:| \(| [A-Z]+,).*", "", field.title).lower() for field in fields)
        fold = Fold(widgets.VBox(_rows(fields)), title, titles)

        def unfold(_: Any) -> None:
            if any(field.error.value or field.is_changed for field in fields):
                fold.open()

        for field in fields:
            field.error.observe(unfold, names="value")
            field.input.observe(unfold, names="value")
        return fold

    def field(self, name: str) -> FieldInput | None:
        """Input of a parameter, None where there is none."""
        return self.fields.get(_SPELLED.get(name, name))

    def set(self, **texts: object) -> None:
        """Fill inputs.

        Raises
        ------
        RequestError
            If there is no such field or it has no such choice.
        """
        for name, value in texts.items():
            field = self.field(name)
            if field is None:
                raise RequestError(name, value, f"no such parameter; there are {', '.join(self.fields)}")
            field.put(field.as_text(value))

    def fill(self, query: Query) -> None:
        """Fill the inputs with a query; parameters of other products stay as they are."""
        self.set(**{name: getattr(query, name) for name in _inputs(type(query))})

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
        field = self.field(parameter or "")
        if field is not None:
            field.show(sentence)
        return field is not None

    def shows(self, markup: str) -> bool:
        """Whether an error stands beside one of the fields already."""
        return any(field.error.value == markup for field in self.fields.values())

    def clear_errors(self) -> None:
        """Remove every error."""
        for field in self.fields.values():
            field.show("")

    def query_string(self) -> str:
        """Inputs that differ from their defaults, as the query part of a link; an uploaded file by its digest."""
        return self._link({f.name: f.text for f in self.fields.values()})

    def query_string_of(self, query: Query) -> str:
        """The same for a query in place of the inputs."""
        asked = [field for field in self.fields.values() if hasattr(query, field.name)]
        return self._link({field.name: field.as_text(getattr(query, field.name)) for field in asked})

    def _link(self, texts: Mapping[str, str]) -> str:
        changed = {name: text for name, text in texts.items() if text != self.fields[name].default}
        if "catalog" in changed:
            changed["catalog"] = self.uploads.token(changed["catalog"])
        return urlencode({name: text for name, text in changed.items() if text})

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
            sentence = self._read_key(name, value)
            if sentence:
                refused.append(sentence)
        self._check()
        return refused

    def _read_key(self, name: str, value: str) -> str:
        """Fill one input from a link; says why not where that is so."""
        field = self.field(name)
        if field is None:
            return f"{name} = {value}: not a parameter of a link; there are {', '.join(self.fields)}"
        if field.name == "catalog":
            path = self.uploads.find(value)
            if path is None:
                return f"{name} = {value}: not a catalogue that was uploaded here; upload it again"
            value = str(path)
        try:
            field.put(value)
        except RequestError as exc:
            return str(exc)
        return ""

    def _values(self, kind: type[Query]) -> Mapping[str, Any]:
        values = {name: self._value(name) for name in _inputs(kind)}
        return {name: value for name, value in values.items() if value is not None}

    def _value(self, name: str) -> Any:
        text = self.fields[name].text
        if name == "scw_list" and text:
            parts = re.split(r"[\s,;]+", text)
            # As the command line passes it, but for @FILE: a page must not read files of its server.
            return tuple(parts) if "@" in text else ",".join(parts)
        if not text:
            return None
        if name == "exclude" and text != "bti":
            raise RequestError(name, text, "bti; files are read from Python and from the command line alone")
        if name == "at":
            return tuple(part.strip() for part in re.split(r"[;\n]", text) if part.strip())
        if name == "bands":
            return tuple(parse_band(part.strip()) for part in text.split(","))
        return text

    def _catalog_gone(self, change: Any) -> None:
        """Without a list there are no sources to be the only ones."""
        if not change["new"]:
            self.fields["only_catalog"].put("false")

    def _changed(self, _: Any) -> None:
        self._check()
        self.on_change()

    def _check(self) -> None:
        """Tell what is wrong while the user types; that no window is chosen is not yet a mistake."""
        self.clear_errors()
        for kind in self.kinds:
            try:
                make_query(kind, **self._values(kind))
            except RequestError as exc:
                if exc.parameter not in _WINDOWS or self.fields[exc.parameter].text:
                    self.show_error(str(exc), self._parameter(kind, exc))


def _inputs(kind: type[Query]) -> dict[str, FieldInfo]:
    """Fields that have an input."""
    return {name: info for name, info in kind.model_fields.items() if name not in _SERVER_FILES}


def _rows(fields: Sequence[FieldInput]) -> list[widgets.Widget]:
    rows: list[widgets.Widget] = []
    for field in fields:
        if field.name in _SECOND_IN_ROW and rows:
            rows[-1] = widgets.HBox([rows[-1], field.widget], layout=widgets.Layout(align_items="flex-start"))
            rows[-1].add_class("oda-pair")
        else:
            rows.append(field.widget)
    return rows
