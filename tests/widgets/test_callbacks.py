"""What goes wrong in a callback is seen on the page."""

from __future__ import annotations

import logging

from integral_oda.errors import DataError
from integral_widgets.callbacks import error_html, safe_callback


def test_an_error_of_this_project_is_told_as_it_is():
    told = []

    @safe_callback(told.append)
    def callback():
        raise DataError("x.fits: damaged")

    callback()
    assert told == ["x.fits: damaged"]


def test_a_fault_is_named_on_the_page_and_traced_in_the_log(caplog):
    told = []

    @safe_callback(told.append)
    def callback(number):
        return 1 / number

    with caplog.at_level(logging.ERROR):
        callback(0)
    assert told == ["fault of the page in callback: ZeroDivisionError: division by zero"]
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


def test_a_sentence_never_becomes_markup():
    assert "<script>" not in error_html("src_name = <script>alert(1)</script>: not known")
    assert error_html("") == ""
