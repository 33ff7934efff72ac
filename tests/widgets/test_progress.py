"""The matrix shows what each step of each window is doing."""

from __future__ import annotations

from integral_oda.workflow.progress import StepEvent
from integral_widgets.progress import ProgressMatrix

SCW = "255900280010.001"


def started():
    times = iter(range(100))
    matrix = ProgressMatrix(clock=lambda: float(next(times)))
    matrix.start("Sky image")
    return matrix


def test_a_cell_has_the_colour_of_its_last_state():
    matrix = started()
    for state in ("queued", "running", "computed"):
        matrix.listen(StepEvent(SCW, "COR", state, 1.5))
    matrix.listen(StepEvent(SCW, "IMA", "restored"))
    matrix.render()
    assert 'class="oda-computed" title="COR computed in 1.50 s"' in matrix.table.value
    assert 'class="oda-restored"' in matrix.table.value
    assert "oda-running" not in matrix.table.value
    assert (matrix.bar.value, matrix.bar.max) == (2, 2)


def test_a_failure_says_why_and_nothing_in_it_is_markup():
    matrix = started()
    matrix.listen(StepEvent(SCW, "COR", "failed", 0, "x.fits: <b>damaged</b>"))
    matrix.render()
    assert "x.fits: &lt;b&gt;damaged&lt;/b&gt;" in matrix.table.value
    assert matrix.count("failed") == 1


def test_elapsed_time_stops_with_the_query():
    matrix = started()
    matrix.stop("Done in")
    assert matrix.elapsed_s == matrix.elapsed_s
    assert matrix.line.value.startswith("<span class='oda-elapsed'>Done in")


def test_many_windows_do_not_flood_the_page():
    matrix = started()
    for number in range(1000):
        matrix.listen(StepEvent(f"{number:012d}.001", "COR", "queued"))
    matrix.render()
    assert matrix.table.value.count("<tr>") == 41
    assert "960 science windows above are not shown" in matrix.table.value


def test_nothing_is_sent_twice():
    matrix = started()
    matrix.listen(StepEvent(SCW, "COR", "running"))
    matrix.render()
    sent = []
    matrix.table.observe(sent.append)
    matrix.render()
    assert not sent


def test_gathering_stands_last_however_early_it_was_known():
    matrix = started()
    matrix.listen(StepEvent("all", "MOSAIC", "restored"))
    matrix.listen(StepEvent(SCW, "COR", "computed"))
    matrix.render()
    assert matrix.table.value.index("COR</th>") < matrix.table.value.index("MOSAIC</th>")
    assert matrix.table.value.index(SCW) < matrix.table.value.index("<th>all</th>")


def test_what_a_running_step_says_is_shown_until_it_ends():
    matrix = started()
    matrix.listen(StepEvent("all", "FETCH", "running", message="12 of 49 <MB>"))
    matrix.render()
    assert "12 of 49 &lt;MB&gt;" in matrix.line.value
    matrix.listen(StepEvent("all", "FETCH", "computed"))
    matrix.render()
    assert "49" not in matrix.line.value


def test_what_is_left_goes_by_the_same_steps_of_other_windows():
    matrix = started()
    assert matrix.remaining_s is None
    for scw, state in (("1", "computed"), ("2", "running"), ("3", "queued")):
        matrix.listen(StepEvent(scw, "COR", state, 2.0 if state == "computed" else 0.0))
        matrix.listen(StepEvent(scw, "IMA", state, 4.0 if state == "computed" else 0.0))
    assert matrix.remaining_s == 12.0
    matrix.render()
    assert "about 12 s to go" in matrix.line.value
    matrix.stop("Done in")
    assert "to go" not in matrix.line.value


def test_a_query_that_began_before_the_page_shows_its_whole_time():
    matrix = started()
    matrix.start("Sky image", elapsed_s=100.0)
    matrix.stop("Done in")
    assert 100 < matrix.elapsed_s < 110


def test_the_log_holds_the_last_steps_and_what_the_job_wrote_as_text():
    matrix = started()
    matrix.show_log("")
    assert matrix.log.value == ""
    matrix.listen(StepEvent(SCW, "COR", "computed", 1.5))
    matrix.listen(StepEvent(SCW, "IMA", "failed", 0, "<b>damaged</b>"))
    matrix.show_log("Warning: x < y")
    assert matrix.log.value.index("Warning: x &lt; y") < matrix.log.value.index("IMA failed &lt;b&gt;damaged")
    assert f"{SCW} COR computed 1.50 s" in matrix.log.value
