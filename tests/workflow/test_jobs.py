"""Jobs in processes of their own: found again by anybody, shared, cancelled, and never lost without a word."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from workflow_toys import wait_for

from integral_oda.background import account
from integral_oda.cli.jobs import jobs_app
from integral_oda.errors import DataError, IntegralOdaError, OutputError, RequestError
from integral_oda.workflow.jobs import Jobs, JobState, advance

HERE = str(Path(__file__).parent)


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, *sys.path]))
    kept = Jobs(tmp_path / "store", account())
    yield kept
    (tmp_path / "open").touch()
    for state in kept.list():
        kept.get(state.id).cancel()


def request(folder, gate=False, windows=("w1", "w2")):
    return {"folder": str(folder), "windows": list(windows), "gate": gate}


def runs(folder):
    path = folder / "runs"
    return path.read_text().split() if path.exists() else []


def is_alive(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


# -- life ------------------------------------------------------------------------------------------------------------


def test_a_job_does_its_work_in_a_process_of_its_own(tmp_path, jobs):
    job = jobs.submit("job_work:image", request(tmp_path))
    state = job.wait(60)
    assert (state.status, state.exit_status, state.reason, state.asked) == ("done", 0, "", 1)
    assert runs(tmp_path) == [str(state.pid)]
    assert state.pid != os.getpid()
    assert job.result() == {"computed": 11}
    assert (job.folder / "out" / "mosaic.txt").read_text() == "2"
    assert job.log() == "all is well\n"
    assert state.submitted <= state.started <= state.ended
    events = job.steps()
    assert [event.state for event in events if event.step == "MOSAIC"] == ["queued", "running", "computed"]
    assert job.steps(after=len(events) - 1) == events[-1:]


SUBMIT = """
import sys
from integral_oda.workflow.jobs import Jobs
import json
print(Jobs(sys.argv[1], sys.argv[3]).submit("job_work:image", json.loads(sys.argv[2])).id)
"""


def submit_elsewhere(jobs, asked):
    command = [sys.executable, "-c", SUBMIT, str(jobs.folder.parent), json.dumps(asked), jobs.owner]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_job_outlives_the_process_that_began_it(tmp_path, jobs):
    process = submit_elsewhere(jobs, request(tmp_path, gate=True))
    name = process.communicate(timeout=60)[0].strip()
    wait_for(lambda: jobs.get(name).state().status == "running")
    assert [state.id for state in jobs.list()] == [name]
    (tmp_path / "open").touch()
    assert jobs.get(name).wait(60).status == "done"


def test_identical_requests_share_one_job(tmp_path, jobs):
    first = jobs.submit("job_work:image", request(tmp_path, gate=True))
    second = jobs.submit("job_work:image", dict(reversed(request(tmp_path, gate=True).items())))
    other = jobs.submit("job_work:image", request(tmp_path, gate=True, windows=["w1"]))
    assert first.id == second.id != other.id
    assert first.state().asked == 2
    (tmp_path / "open").touch()
    assert first.wait(60).status == other.wait(60).status == "done"
    assert len(runs(tmp_path)) == 2


def test_many_processes_that_ask_the_same_share_one_job(tmp_path, jobs):
    processes = [submit_elsewhere(jobs, request(tmp_path, gate=True)) for _ in range(8)]
    names = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert len(names) == 1
    job = jobs.get(names.pop())
    assert job.state().asked == 8
    (tmp_path / "open").touch()
    assert job.wait(60).status == "done"
    assert len(runs(tmp_path)) == 1


def test_where_memory_is_short_jobs_take_turns(tmp_path, jobs, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_LEAN", "1")
    first = jobs.submit("job_work:image", request(tmp_path, gate=True))
    wait_for(lambda: runs(tmp_path))
    second, third = (jobs.submit("job_work:image", request(tmp_path, windows=[name])) for name in ("w1", "w2"))
    assert third.cancel().status == "cancelled"
    assert [job.state().status for job in (first, second)] == ["running", "queued"]
    (tmp_path / "open").touch()
    assert first.wait(60).status == second.wait(60).status == "done"
    assert second.state().started >= first.state().ended


def test_the_same_request_after_the_end_is_a_new_try(tmp_path, jobs):
    first = jobs.submit("job_work:image", request(tmp_path))
    first.wait(60)
    second = jobs.submit("job_work:image", request(tmp_path))
    second.wait(60)
    assert (first.id.rpartition("-")[0], first.id[-2:], second.id[-2:]) == (second.id.rpartition("-")[0], "-1", "-2")
    assert second.result() == {"computed": 0}
    assert [state.id for state in jobs.list()] == [second.id, first.id]


def test_a_job_whose_beginning_was_interrupted_is_none(tmp_path, jobs):
    first = jobs.submit("job_work:image", request(tmp_path))
    first.wait(60)
    (first.folder / "request.json").unlink()
    assert jobs.list() == []
    second = jobs.submit("job_work:image", request(tmp_path))
    assert second.id[-2:] == "-2"
    assert second.wait(60).status == "done"


# -- ends ------------------------------------------------------------------------------------------------------------


def test_an_error_is_told_in_its_sentence(jobs):
    job = jobs.submit("job_work:refuse", {"band": "80-20"})
    state = job.wait(60)
    assert (state.status, state.reason, state.exit_status) == ("failed", "band = 80-20: 15 to 1000 keV", 2)
    with pytest.raises(DataError, match=rf"job {job.id} has no result: it is failed \(band = 80-20"):
        job.result()


def test_an_error_in_the_program_is_in_the_log(jobs):
    job = jobs.submit("job_work:stumble", {})
    state = job.wait(60)
    assert (state.status, state.reason) == ("failed", "error in the program, see its log")
    wait_for(lambda: "ZeroDivisionError" in job.log())


@pytest.mark.parametrize("work", ["job_work:nothing", "no_such_module:work", "nonsense"])
def test_work_that_is_not_there_is_told(jobs, work):
    state = jobs.submit(work, {}).wait(60)
    assert state.status == "failed"
    assert state.reason.startswith(f"work = {work}: module:function")


def test_a_cancelled_job_stops_and_keeps_its_nodes(tmp_path, jobs):
    job = jobs.submit("job_work:image", request(tmp_path, gate=True))
    wait_for(lambda: bool(runs(tmp_path)))
    state = job.cancel()
    assert state.status == "cancelled"
    assert not (tmp_path / "open").exists()
    assert job.cancel() == state
    with pytest.raises(DataError, match="it is cancelled"):
        job.result()


def test_a_job_that_does_not_listen_is_ended_with_its_processes(tmp_path, jobs):
    job = jobs.submit("job_work:deaf", {"folder": str(tmp_path)})
    wait_for(lambda: (tmp_path / "child").exists() and bool((tmp_path / "child").read_text()))
    pid, child = job.state().pid, int((tmp_path / "child").read_text())
    assert is_alive(child)
    assert job.cancel().status == "cancelled"
    wait_for(lambda: not is_alive(pid) and not is_alive(child))


def test_a_killed_job_is_known_as_lost_and_can_be_asked_again(tmp_path, jobs):
    job = jobs.submit("job_work:image", request(tmp_path, gate=True))
    wait_for(lambda: bool(runs(tmp_path)))
    os.kill(job.state().pid, signal.SIGKILL)
    state = job.wait(60)
    assert (state.status, state.reason, state.exit_status) == ("lost", "its process was killed", 1)
    (tmp_path / "open").touch()
    again = jobs.submit("job_work:image", request(tmp_path, gate=True))
    assert again.id != job.id
    assert again.wait(60).status == "done"


def test_waiting_ends_in_time(tmp_path, jobs):
    job = jobs.submit("job_work:image", request(tmp_path, gate=True))
    assert job.wait(0.01).status in ("queued", "running")


def test_a_half_written_line_is_not_read(tmp_path, jobs):
    job = jobs.submit("job_work:image", request(tmp_path))
    state, steps = job.wait(60), job.steps()
    for name in ("state.jsonl", "steps.jsonl"):
        with (job.folder / name).open("a") as stream:
            stream.write('{"happened": "fai')
    assert (job.state(), job.steps()) == (state, steps)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the folder of jobs"):
        Jobs(tmp_path / "file")


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_job_is_found_by_a_beginning_of_its_id(tmp_path, jobs):
    job = jobs.submit("job_work:image", request(tmp_path))
    assert jobs.get(job.id[:6]).id == jobs.get(job.id).id == job.id
    job.wait(60)
    second = jobs.submit("job_work:image", request(tmp_path))
    assert jobs.get(second.id).id == second.id
    for name in (job.id[:6], "zzz", ""):
        with pytest.raises(
            RequestError, match=f"job = {name}: the id of one job, or its beginning; there are: {job.id}"
        ):
            jobs.get(name)


# -- the state machine -----------------------------------------------------------------------------------------------

NEW = JobState("x-1", "module:work", {})
events = st.lists(
    st.fixed_dictionaries(
        {
            "happened": st.sampled_from(["submitted", "asked", "started", "done", "failed", "cancelled"]),
            "time": st.floats(0, 1e9),
            "pid": st.integers(1, 10**6),
        }
    )
)


@given(events)
def test_nothing_changes_after_the_end(life):
    state, ended = NEW, None
    for event in life:
        state = advance(state, event)
        if ended is None and state.is_over:
            ended = state
        assert ended is None or (state.status, state.ended, state.pid) == (ended.status, ended.ended, ended.pid)
    assert state.asked == 1 + sum(event["happened"] == "asked" for event in life)
    happened = [event["happened"] for event in life]
    assert state.is_over == bool({"done", "failed", "cancelled"} & set(happened))


def test_a_life_is_followed():
    state = advance(NEW, {"happened": "submitted", "time": 1.0})
    assert (state.status, state.submitted) == ("queued", 1.0)
    state = advance(state, {"happened": "started", "time": 2.0, "pid": 7})
    assert (state.status, state.started, state.pid) == ("running", 2.0, 7)
    state = advance(state, {"happened": "failed", "time": 3.0, "reason": "truncated", "exit_status": 1})
    assert (state.status, state.ended, state.reason, state.exit_status) == ("failed", 3.0, "truncated", 1)


# -- command line ----------------------------------------------------------------------------------------------------


def run(jobs, *arguments):
    done = CliRunner().invoke(jobs_app, [*arguments, "--store", str(jobs.folder.parent)])
    if isinstance(done.exception, IntegralOdaError):
        return done.stdout, str(done.exception)
    assert done.exception is None
    return done.stdout, ""


def test_the_command_line_finds_jobs(tmp_path, jobs):
    assert run(jobs, "list")[0].strip() in ("", "no jobs")
    job = jobs.submit("job_work:image", request(tmp_path))
    text, error = run(jobs, "wait", job.id[:8])
    assert (text.split()[:2], error) == ([job.id, "done"], "")
    assert run(jobs, "list")[0] == text
    shown = run(jobs, "show", job.id)[0]
    assert "all MOSAIC computed" in shown
    assert shown.strip().endswith("all is well")
    record = json.loads(run(jobs, "show", job.id, "--json")[0])
    assert (record["status"], len(record["steps"])) == ("done", 33)
    assert [item["id"] for item in json.loads(run(jobs, "list", "--json")[0])] == [job.id]
    assert run(jobs, "cancel", job.id)[0] == text


def test_the_command_line_tells_what_went_wrong(tmp_path, jobs):
    job = jobs.submit("job_work:refuse", {"band": "80-20"})
    text, error = run(jobs, "wait", job.id)
    assert error == f"job {job.id} is failed: band = 80-20: 15 to 1000 keV"
    assert "band = 80-20" in text
    waiting = jobs.submit("job_work:image", request(tmp_path, gate=True))
    assert run(jobs, "wait", waiting.id, "--timeout", "0.01")[1].startswith(f"job {waiting.id} is ")
    assert run(jobs, "cancel", waiting.id)[0].split()[:2] == [waiting.id, "cancelled"]


# -- owners, folders, retention --------------------------------------------------------------------------------------


def test_nobody_finds_or_shares_the_jobs_of_another(tmp_path, jobs):
    asked = request(tmp_path)
    mine, theirs = Jobs(tmp_path / "store", "ada"), Jobs(tmp_path / "store", "bob")
    first, second, third = (owner.submit("job_work:image", asked) for owner in (mine, theirs, jobs))
    assert len({first.id, second.id, third.id}) == 3
    for owner, job in ((mine, first), (theirs, second), (jobs, third)):
        assert job.wait(60).owner == owner.owner
        assert [state.id for state in owner.list()] == [job.id]
        assert owner.find("job_work:image", asked).id == job.id
    with pytest.raises(RequestError, match="the id of one job"):
        theirs.get(first.id)
    # What they made is one and the same, whoever came first to each node.
    assert sum(job.result()["computed"] for job in (first, second, third)) == 11


def test_a_job_is_found_by_what_was_asked(tmp_path, jobs):
    asked = request(tmp_path)
    assert jobs.find("job_work:image", asked) is None
    job = jobs.submit("job_work:image", asked)
    assert jobs.find("job_work:image", asked).id == job.id
    job.wait(60)
    assert jobs.find("job_work:image", asked).state().status == "done"
    assert jobs.find("job_work:image", request(tmp_path, windows=("w3",))) is None


def test_every_folder_that_was_asked_for_gets_the_files(tmp_path, jobs):
    asked = request(tmp_path, gate=True)
    job = jobs.submit("job_work:image", asked, out=tmp_path / "one")
    wait_for(lambda: runs(tmp_path))
    assert jobs.submit("job_work:image", asked, out=tmp_path / "two").id == job.id
    (tmp_path / "open").touch()
    state = job.wait(60)
    assert (state.status, state.reason, state.asked) == ("done", "", 2)
    assert state.outs == (str(tmp_path / "one"), str(tmp_path / "two"))
    for out in ("one", "two"):
        assert (tmp_path / out / "mosaic.txt").read_text() == "2"


def test_a_folder_that_cannot_be_written_is_told_and_the_job_is_done(tmp_path, jobs):
    (tmp_path / "file").touch()
    job = jobs.submit("job_work:image", request(tmp_path), out=tmp_path / "file" / "out")
    state = job.wait(60)
    assert state.status == "done"
    assert str(tmp_path / "file" / "out") in state.reason


def test_the_way_of_working_makes_no_other_job(tmp_path, jobs):
    asked = {"folder": str(tmp_path), "windows": ["w1"]}
    job = jobs.submit("job_work:image", asked, way={"gate": True})
    assert jobs.submit("job_work:image", asked, way={"gate": False}).id == job.id
    (tmp_path / "open").touch()
    assert job.wait(60).status == "done"


def test_progress_is_followed_from_the_disk_to_the_end(tmp_path, jobs):
    job = jobs.submit("job_work:image", request(tmp_path))
    followed = list(jobs.get(job.id).follow())
    assert followed == job.steps()
    assert [event.state for event in followed if event.step == "MOSAIC"][-1] == "computed"
    assert job.state().status == "done"


def test_ended_jobs_are_removed_by_number_and_age_and_running_ones_stay(tmp_path, jobs):
    running = jobs.submit("job_work:image", request(tmp_path, gate=True, windows=("w1",)))
    ended = []
    for number in range(4):
        job = jobs.submit("job_work:refuse", {"band": [number, 1]})
        assert job.wait(60).status == "failed"
        ended.append(job.id)
    assert jobs.prune(keep=3) == ended[:1]
    assert {state.id for state in jobs.list()} == {running.id, *ended[1:]}
    assert sorted(jobs.prune(max_days=0)) == sorted(ended[1:])
    assert [state.id for state in jobs.list()] == [running.id]
    result = CliRunner().invoke(jobs_app, ["prune", "--store", str(tmp_path / "store"), "--keep", "0"])
    assert (result.exit_code, result.output.strip()) == (0, "")


def test_numbers_of_tries_are_not_used_again(tmp_path, jobs):
    first = jobs.submit("job_work:refuse", {"band": [1, 2]})
    first.wait(60)
    second = jobs.submit("job_work:refuse", {"band": [1, 2]})
    second.wait(60)
    assert [job.id.rpartition("-")[2] for job in (first, second)] == ["1", "2"]
