"""Tickets: fair turns, limits, one job for one query, nothing lost."""

import os
import signal
import time

import pytest

from integral_oda.errors import RequestError, UnavailableError
from integral_oda.service import desk as desk_module
from integral_oda.service.desk import Desk, ForbiddenError, Limits
from integral_oda.workflow.jobs import Jobs

SLEEP = "tests_service_work:sleep"


class Slow:
    """Stands where a query is begun: real jobs of the workflow, whose work lasts as long as a file is there."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.begun = folder, []
        (folder / "tests_service_work.py").write_text(
            "import pathlib, time\n"
            "def sleep(request, folder, listener, cancel):\n"
            "    while pathlib.Path(request['gate']).exists():\n"
            "        time.sleep(0.02)\n"
            "    return {'name': request['name']}\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
        monkeypatch.setattr(desk_module, "submit", self.submit)
        monkeypatch.setattr(desk_module, "query_of", lambda kind, query: query)

    def submit(self, query, archive, store, owner):
        self.begun.append(query["name"])
        gate = self.folder / f"gate-{query['name']}"
        gate.touch()
        return Jobs(store, owner).submit(SLEEP, {"name": query["name"], "gate": str(gate)})

    def release(self, name):
        (self.folder / f"gate-{name}").unlink()


@pytest.fixture
def slow(tmp_path, monkeypatch):
    work = Slow(tmp_path, monkeypatch)
    yield work
    for gate in tmp_path.glob("gate-*"):
        gate.unlink()


def ask(desk, owner, name, windows=1):
    query = {"scw_list": [f"{number:012d}.001" for number in range(windows)], "name": name}
    return desk.ask(owner, "isgri_image", {"name": name}, "image", query)


def wait_for(desk, ticket, status):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if (found := desk.standing(ticket).status) == status:
            return
        time.sleep(0.05)
    pytest.fail(f"{found} is not {status}")


def test_turns_go_to_the_user_with_the_least_at_work(slow, tmp_path):
    desk = Desk(tmp_path, tmp_path, Limits(workers=2, running=2))
    greedy = [ask(desk, "greedy", f"g{number}") for number in range(4)]
    modest = ask(desk, "modest", "m")
    assert slow.begun == ["g0", "g1"]
    slow.release("g0")
    wait_for(desk, greedy[0], "done")
    assert slow.begun == ["g0", "g1", "m"]
    assert desk.standing(modest).status == "progress"
    assert desk.standing(greedy[3]).status == "submitted"


def test_one_user_does_not_take_all_places(slow, tmp_path):
    desk = Desk(tmp_path, tmp_path, Limits(workers=3, running=1))
    for number in range(3):
        ask(desk, "greedy", f"g{number}")
    ask(desk, "modest", "m")
    assert slow.begun == ["g0", "m"]


def test_the_same_request_is_one_ticket_and_one_job(slow, tmp_path):
    desk = Desk(tmp_path, tmp_path)
    first, second = ask(desk, "a", "x"), ask(desk, "a", "x")
    assert (first.id, first.job) == (second.id, second.job)
    assert slow.begun == ["x"]


def test_two_users_share_neither_ticket_nor_job(slow, tmp_path):
    desk = Desk(tmp_path, tmp_path)
    first, second = ask(desk, "a", "x"), ask(desk, "b", "x")
    assert first.id != second.id
    assert first.job != second.job
    with pytest.raises(ForbiddenError):
        desk.look(first.id, "b")


@pytest.mark.parametrize("name", ["0" * 16, "../../etc/passwd", "", "Z" * 16])
def test_what_was_never_asked_is_not_found(tmp_path, name):
    with pytest.raises(RequestError, match="job_id"):
        Desk(tmp_path, tmp_path).look(name, "a")


def test_too_many_windows_are_forbidden(slow, tmp_path):
    with pytest.raises(ForbiddenError, match="at most 3"):
        ask(Desk(tmp_path, tmp_path, Limits(windows=3)), "a", "x", windows=4)


def test_too_many_waiting_requests_are_put_off(slow, tmp_path):
    desk = Desk(tmp_path, tmp_path, Limits(workers=1, running=1, waiting=2))
    for number in range(3):
        ask(desk, "a", f"x{number}")
    with pytest.raises(UnavailableError, match="2 requests"):
        ask(desk, "a", "one more")
    ask(desk, "b", "another user's")


def test_a_new_desk_goes_on_where_the_old_one_was(slow, tmp_path):
    old = Desk(tmp_path, tmp_path, Limits(workers=1))
    at_work, waiting = ask(old, "a", "x"), ask(old, "a", "y")
    new = Desk(tmp_path, tmp_path, Limits(workers=1))
    assert new.look(at_work.id, "a").job == at_work.job
    slow.release("x")
    wait_for(new, at_work, "done")
    wait_for(new, waiting, "progress")
    assert slow.begun == ["x", "y"]


def test_a_job_that_was_killed_is_begun_anew(slow, tmp_path):
    desk = Desk(tmp_path, tmp_path)
    ticket = ask(desk, "a", "x")
    wait_for(desk, ticket, "progress")
    job = desk.job(ticket)
    while not job.state().pid:
        time.sleep(0.02)

    os.kill(job.state().pid, signal.SIGKILL)
    end = time.monotonic() + 20
    while len(slow.begun) < 2 and time.monotonic() < end:
        desk.standing(ticket)
        time.sleep(0.05)
    slow.release("x")
    wait_for(desk, ticket, "done")
    assert slow.begun == ["x", "x"]


def test_what_is_over_begins_anew_only_if_it_failed_or_the_events_changed(slow, tmp_path, monkeypatch):
    desk = Desk(tmp_path, tmp_path)
    ticket = ask(desk, "a", "x")
    slow.release("x")
    wait_for(desk, ticket, "done")
    assert ask(desk, "a", "x").job == desk.look(ticket.id, "a").job
    assert slow.begun == ["x"]
    events = tmp_path / "scw/0000/000000000000.001/isgri_events.fits"
    events.parent.mkdir(parents=True)
    events.write_bytes(b"")
    ask(desk, "a", "x")
    assert slow.begun == ["x", "x"]
