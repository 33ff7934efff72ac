from __future__ import annotations

import threading
from types import SimpleNamespace

from integral_widgets.following import Follower
from integral_widgets.heartbeat import Heartbeat


def finished_job(name):
    state = SimpleNamespace(is_over=True, request={"kind": "image"}, work="tests:image")
    return SimpleNamespace(id=name, state=lambda: state, steps=lambda seen: [])


def test_nothing_is_shown_to_a_page_that_is_still_loading():
    seen, ended = threading.Event(), []
    follower = Follower(lambda *_: None, ended.append, lambda: None, lambda: seen.wait(20))
    follower.follow(finished_job("a"))
    assert not follower.wait(0.5)
    assert ended == []
    seen.set()
    assert follower.wait(10)
    assert [followed.job.id for followed in ended] == ["a"]


def test_a_page_is_there_once_its_heart_beats():
    heartbeat = Heartbeat(interval_s=60.0)
    assert not heartbeat.wait_for_page(0.05)
    heartbeat.play.value = 1
    assert heartbeat.wait_for_page(5)
