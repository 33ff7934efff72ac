"""Callbacks that cannot fail unseen."""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable
from typing import Any, ParamSpec

from integral_oda.errors import IntegralOdaError

__all__ = ["error_html", "safe_callback"]

Arguments = ParamSpec("Arguments")
_LOG = logging.getLogger(__name__)


def safe_callback(show: Callable[[str], None]) -> Callable[[Callable[Arguments, Any]], Callable[Arguments, None]]:
    """Decorate a widget's callback so that what goes wrong in it is seen on the page.

    Voila and the browser's console are silent about exceptions of callbacks.

    Parameters
    ----------
    show : callable
        Given the sentence to show. An error of this project is told as it is; anything else is a
        fault of the page: it is named, its traceback goes to the log.
    """

    def decorate(callback: Callable[Arguments, Any]) -> Callable[Arguments, None]:
        @functools.wraps(callback)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            try:
                callback(*args, **kwargs)
            except IntegralOdaError as exc:
                show(str(exc))
            except Exception as exc:  # noqa: BLE001  the last place that can still tell the user
                _LOG.exception("callback %s", getattr(callback, "__qualname__", callback))
                show(f"fault of the page in {callback.__name__}: {type(exc).__name__}: {exc}")

        return guarded

    return decorate


def error_html(sentence: str) -> str:
    """Sentence as the markup of an error; nothing in it is taken for markup or script."""
    return f'<span role="alert" class="oda-error">{html.escape(sentence)}</span>' if sentence else ""
