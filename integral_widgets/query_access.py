"""The form as an object in Python: ``app.query.e1 = 20``."""

from __future__ import annotations

from typing import Any

from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery
from integral_widgets.forms import QueryForm

__all__ = ["QueryAccess"]

_BANDS = {"e1": 0, "e2": 1}


class QueryAccess:
    """Parameters of the form as attributes, by the names of the online system.

    ``e1`` and ``e2`` are the first band of the image and the band of the light curve at once. Values are set as they
    are typed or as Python values; what is wrong is told when a product is asked for.

    Parameters
    ----------
    form : QueryForm
        The form behind it.
    """

    _form: QueryForm

    def __init__(self, form: QueryForm) -> None:
        object.__setattr__(self, "_form", form)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _BANDS:
            self._form.set(**{name: value})
            return
        first, *more = self._form.fields["bands"].text.split(",")
        ends = first.strip().split("-")
        ends[_BANDS[name]] = f"{value:g}" if isinstance(value, int | float) else str(value)
        self._form.set(bands=",".join(["-".join(ends), *more]), **{f"{name.upper()}_keV": value})

    def __getattr__(self, name: str) -> Any:
        if name in _BANDS:
            return float(self._form.fields["bands"].text.split(",")[0].strip().split("-")[_BANDS[name]])
        field = self._form.field(name)
        if field is None:
            raise AttributeError(f"{name} is no parameter; there are {', '.join(dir(self))}")
        return field.text

    def __dir__(self) -> list[str]:
        return [*_BANDS, *self._form.fields]

    @property
    def image(self) -> ImageQuery:
        """The query of a sky image, checked."""
        return self._form.query(ImageQuery)

    @property
    def light_curve(self) -> LightCurveQuery:
        """The query of light curves, checked."""
        return self._form.query(LightCurveQuery)

    @property
    def spectrum(self) -> SpectrumQuery:
        """The query of spectra, checked."""
        return self._form.query(SpectrumQuery)
