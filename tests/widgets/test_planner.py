"""The plan's pictures show its windows, and what is picked in them is what is handed on."""

from __future__ import annotations

import pytest

from integral_oda.archive.plan import PlannedWindow, PointingPlan, Target
from integral_widgets.planner import PlanView, plan_figure


def window(number, chosen=True, placed=True):
    name = f"2559{number:04d}0010.001"
    ra = 290.0 + number if placed else None
    start = 8320.0 + number / 10 if placed else None
    return PlannedWindow(name, ra, 20.0, start, start and start + 0.04, 2.0, 0.8, 3500.0, True, 2800.0, chosen,
                         "" if chosen else "bad time: <i>belts</i>")  # fmt: skip


@pytest.fixture
def plan():
    windows = (window(1), window(2), window(3, chosen=False), window(4, placed=False))
    return PointingPlan(Target("SGR 1935+2154", 293.7, 21.9), None, windows, "digest", 10)


def test_map_and_time_line_share_their_windows(plan):
    figure, source = plan_figure(plan)
    sky, times = figure.children
    assert source.data["scw"] == [w.scw for w in plan.windows[:3]]
    assert sky.select_one({"name": "plan_map"}).renderers[0].data_source is source
    assert times.renderers[0].data_source is source
    assert source.data["colour"][0] != source.data["colour"][2]
    # 2000-01-01 is IJD 0
    assert source.data["start"][0] == pytest.approx(946684800e3 + 8320.1 * 86400e3)


def test_what_is_picked_is_handed_on_and_all_that_is_taken_otherwise(plan):
    handed = []
    view = PlanView(handed.append)
    assert view.picked == ()
    view.show(plan)
    view.use_button.click()
    view._source.selected.indices = [1]
    view.use_button.click()
    assert handed == [plan.chosen, (plan.windows[1].scw,)]


def test_words_of_the_plan_are_text(plan):
    view = PlanView(lambda _: None)
    view.show(plan)
    assert "&lt;i&gt;belts&lt;/i&gt;" in view.text.value
    assert "3 of 4 science windows are taken" in view.text.value


def test_a_second_plan_takes_the_place_of_the_first(plan):
    view = PlanView(lambda _: None)
    view.show(plan)
    first = view.place.children
    view.show(PointingPlan(plan.target, None, plan.windows[:1], "digest", 10))
    assert len(view.place.children) == 1
    assert view.place.children != first
    assert view.picked == (plan.windows[0].scw,)
