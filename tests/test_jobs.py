"""A job ends in one event that says how, stops when asked, and waits for its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from uld_explorer.events import Event, Stage, progress
from uld_explorer.jobs import LIMIT, OWN_LIMIT, Jobs
from uld_explorer.runs import Run, create_run, delete_run
from uld_explorer.types import UserError

PATIENCE = 20.0


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def finish(jobs: Jobs, run: Run) -> list[Event]:
    wait_for(lambda: not jobs.running(run))
    return list(run.events())


class Gated:
    """A stage that writes a file a step and takes the next step only when it is let."""

    def __init__(self, run: Run, steps: int = 5) -> None:
        self.run, self.steps = run, steps
        self.gate, self.taken, self.closed = threading.Semaphore(0), 0, False

    def __call__(self) -> Stage[None]:
        try:
            for step in range(self.steps):
                assert self.gate.acquire(timeout=PATIENCE)
                self.taken = step + 1
                (self.run.folder / f"{step}.txt").write_text("found")
                yield progress("working", step + 1, self.steps)
        finally:
            self.closed = True

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.gate.release()


@pytest.fixture()
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture()
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path)


def test_a_stage_that_ends_is_done_and_its_events_are_kept(jobs: Jobs, run: Run) -> None:
    stage = Gated(run, 3)
    stage.go(3)
    jobs.start(run, stage)
    events = finish(jobs, run)
    assert [event.kind for event in events] == ["progress"] * 4 + ["done"]
    assert [event.step for event in events[1:4]] == [1, 2, 3]
    assert run.view().state == "done"


def failing(error: Exception) -> Stage[None]:
    yield progress("working", 1, 2)
    raise error


def test_a_sentence_for_the_user_is_passed_on(jobs: Jobs, run: Run) -> None:
    jobs.start(run, lambda: failing(UserError("Give more pictures.")))
    finish(jobs, run)
    assert (run.view().state, run.view().message) == ("failed", "Give more pictures.")


def test_an_unexpected_error_becomes_a_sentence_without_its_inside(jobs: Jobs, run: Run) -> None:
    jobs.start(run, lambda: failing(RuntimeError("File /home/secret.py, line 3: tensor 0x7f")))
    finish(jobs, run)
    view = run.view()
    assert view.state == "failed"
    assert "RuntimeError" in view.message and view.message.endswith(".")
    assert not any(word in view.message for word in ("secret", "Traceback", "0x", "\n"))


def test_a_stage_that_cannot_be_made_fails_too(jobs: Jobs, run: Run) -> None:
    def make() -> Stage[None]:
        raise UserError("Choose another backbone.")

    jobs.start(run, make)
    finish(jobs, run)
    assert (run.view().state, run.view().message) == ("failed", "Choose another backbone.")


def test_the_next_job_runs_after_a_failed_one(jobs: Jobs, run: Run, tmp_path: Path) -> None:
    jobs.start(run, lambda: failing(ValueError()))
    after = create_run(tmp_path)
    stage = Gated(after, 1)
    stage.go(1)
    jobs.start(after, stage)
    finish(jobs, after)
    assert after.view().state == "done"


def test_cancel_stops_at_the_next_step_and_keeps_what_was_found(jobs: Jobs, run: Run) -> None:
    stage = Gated(run)
    jobs.start(run, stage)
    stage.go(2)
    wait_for(lambda: run.view().step == 2)
    assert jobs.running(run) and jobs.cancel(run)
    stage.go(3)
    finish(jobs, run)
    assert stage.taken == 3 and stage.closed
    assert run.view().state == "cancelled" and "kept" in run.view().message
    assert all((run.folder / f"{step}.txt").read_text() == "found" for step in range(3))


def test_a_waiting_job_can_be_cancelled(jobs: Jobs, run: Run, tmp_path: Path) -> None:
    first, second = Gated(run, 1), Gated(waiting := create_run(tmp_path))
    jobs.start(run, first)
    jobs.start(waiting, second)
    assert jobs.cancel(waiting)
    first.go(1)
    second.go(5)
    finish(jobs, waiting)
    assert waiting.view().state == "cancelled" and second.taken <= 1


def test_nothing_is_cancelled_that_does_not_run_here(jobs: Jobs, run: Run) -> None:
    assert not jobs.cancel(run) and not jobs.running(run)
    assert list(run.events()) == []


def test_one_computes_at_a_time(jobs: Jobs, tmp_path: Path) -> None:
    runs, busy, most = [create_run(tmp_path / str(person)) for person in range(4)], [0], [0]

    def stage() -> Stage[None]:
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        for step in range(3):
            time.sleep(0.005)
            yield progress("working", step, 3)
        busy[0] -= 1

    for run in runs:
        jobs.start(run, stage)
    for run in runs:
        finish(jobs, run)
    assert most == [1] and all(run.view().state == "done" for run in runs)


def test_a_waiting_run_says_so(jobs: Jobs, run: Run, tmp_path: Path) -> None:
    first, waiting = Gated(run, 1), create_run(tmp_path)
    jobs.start(run, first)
    jobs.start(waiting, Gated(waiting, 0))
    assert waiting.view().stage == "waiting for its turn" and jobs.running(waiting)
    first.go(1)
    finish(jobs, waiting)


def test_too_many_waiting_runs_are_refused_until_one_has_ended(jobs: Jobs, tmp_path: Path) -> None:
    runs = [create_run(tmp_path / str(person)) for person in range(LIMIT + 1)]
    stages = [Gated(run, 1) for run in runs]
    for run, stage in zip(runs[:LIMIT], stages[:LIMIT], strict=True):
        jobs.start(run, stage)
    with pytest.raises(UserError, match=f"{LIMIT} runs are waiting"):
        jobs.start(runs[LIMIT], stages[LIMIT])
    assert not jobs.running(runs[LIMIT]) and list(runs[LIMIT].events()) == []
    for stage in stages:
        stage.go(1)
    for run in runs[:LIMIT]:
        finish(jobs, run)
    jobs.start(runs[LIMIT], stages[LIMIT])
    assert finish(jobs, runs[LIMIT])[-1].kind == "done"


def test_a_run_deleted_meanwhile_stays_deleted(jobs: Jobs, run: Run) -> None:
    stage = Gated(run)
    jobs.start(run, stage)
    stage.go(1)
    wait_for(lambda: run.view().step == 1)
    delete_run(run)
    jobs.cancel(run)
    stage.go(1)
    wait_for(lambda: not jobs.running(run))
    assert not run.folder.exists()


def test_one_person_cannot_take_all_places(jobs: Jobs, tmp_path: Path) -> None:
    mine = [create_run(tmp_path / "me") for _ in range(OWN_LIMIT + 1)]
    stages = [Gated(run, 1) for run in mine]
    for run, stage in zip(mine[:OWN_LIMIT], stages[:OWN_LIMIT], strict=True):
        jobs.start(run, stage)
    with pytest.raises(UserError, match=f"{OWN_LIMIT} runs of yours are waiting"):
        jobs.start(mine[-1], stages[-1])
    other = create_run(tmp_path / "somebody")
    theirs = Gated(other, 1)
    jobs.start(other, theirs)
    for stage in (*stages[:OWN_LIMIT], theirs):
        stage.go(1)
    for run in (*mine[:OWN_LIMIT], other):
        assert finish(jobs, run)[-1].kind == "done"


def test_a_paused_run_says_so_and_can_be_begun_again(jobs: Jobs, run: Run) -> None:
    """The same run is never driven twice at once."""
    stage = Gated(run)
    jobs.start(run, stage)
    with pytest.raises(UserError, match="running already"):
        jobs.start(run, stage)
    assert jobs.pause(run)
    stage.go(2)
    assert finish(jobs, run)[-1].kind == "paused" and stage.closed
    assert run.view().state == "paused" and "goes on from here" in run.view().message
    again = Gated(run)
    jobs.start(run, again)
    again.go(1)
    wait_for(lambda: again.taken == 1 and run.view().state == "running")
    assert jobs.cancel(run)
    again.go(1)
    assert finish(jobs, run)[-1].kind == "cancelled" and not jobs.pause(run)
