"""What the page's server tells, and that the browser's beat is answered."""

from __future__ import annotations

import sys
from types import ModuleType

from integral_widgets.heartbeat import HEARTBEAT_S, Heartbeat
from integral_widgets.page import query_string, session_note


def test_the_query_of_the_address_is_read(monkeypatch):
    monkeypatch.setenv("QUERY_STRING", "bands=20-40")
    assert query_string() == "bands=20-40"


def test_outside_a_page_there_is_none(monkeypatch):
    monkeypatch.delenv("QUERY_STRING", raising=False)
    assert query_string() == ""


def test_visitors_on_binder_are_told_that_nothing_is_kept(monkeypatch):
    monkeypatch.delenv("BINDER_LAUNCH_HOST", raising=False)
    assert session_note() == ""
    monkeypatch.setenv("BINDER_LAUNCH_HOST", "https://mybinder.org/")
    assert "nothing is kept" in session_note()


def test_a_kernel_started_ahead_waits_for_its_visitor(monkeypatch):
    voila, utils = ModuleType("voila"), ModuleType("voila.utils")
    utils.get_query_string = lambda: "bands=40-80"
    monkeypatch.setitem(sys.modules, "voila", voila)
    monkeypatch.setitem(sys.modules, "voila.utils", utils)
    monkeypatch.setenv("VOILA_PREHEAT", "True")
    monkeypatch.setenv("QUERY_STRING", "of=the-kernel's-start")
    assert query_string() == "bands=40-80"


def test_each_beat_renews_the_banner():
    heartbeat = Heartbeat(4.0)
    assert "animation: none" in heartbeat.banner.value
    heartbeat.play.value = 1
    first = heartbeat.banner.value
    heartbeat.play.value = 2
    assert "oda-lost 0s 30s forwards" in first
    assert heartbeat.banner.value != first


def test_the_beat_can_be_set_from_outside(monkeypatch):
    monkeypatch.setenv(HEARTBEAT_S, "0.5")
    assert Heartbeat().play.interval == 500
