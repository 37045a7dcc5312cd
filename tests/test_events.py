"""Events survive their line of JSON, a stage drains to its result, and folding tells what a run looks like."""

from __future__ import annotations

import json

import pytest

from uld_explorer.events import Event, RunView, Stage, drain, fold, note, progress


def at(time: float, kind: str, stage: str, step: int = 0, total: int = 0, **data: object) -> Event:
    return Event(kind, stage, step, total, data, time)


def test_an_event_survives_its_line_of_json() -> None:
    event = at(12.5, "artifact", "figures – 2 µm\nsecond line", 3, 4, path="a/b.png", values=[1, 2.5, None])
    line = event.to_json()
    assert "\n" not in line and json.loads(line)["stage"] == event.stage
    assert Event.from_json(line) == event


def test_a_drained_stage_gives_its_result_and_runs_its_end() -> None:
    ended = []

    def stage() -> Stage[str]:
        try:
            yield progress("working", 1, 2)
            inner = yield from nested()
            return f"result {inner}"
        finally:
            ended.append(True)

    def nested() -> Stage[int]:
        yield note("nested", "a word")
        return 7

    assert drain(stage()) == "result 7"
    assert ended == [True]


def test_a_failing_stage_fails_when_drained() -> None:
    def stage() -> Stage[None]:
        yield progress("working", 1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        drain(stage())


def test_nothing_yet_is_waiting() -> None:
    assert fold([]) == RunView()
    assert fold([]).state == "waiting"


def test_the_time_left_is_what_the_stages_pace_says() -> None:
    events = [at(100, "progress", "reading", 0, 40), at(110, "progress", "reading", 10, 40)]
    assert fold(events[:1]).seconds_left is None
    view = fold(events)
    assert (view.state, view.stage, view.step, view.total) == ("running", "reading", 10, 40)
    assert view.seconds_left == pytest.approx(30)
    assert fold([at(120, "progress", "reading", 40, 40)], view).seconds_left == 0


@pytest.mark.parametrize("second", [at(100.2, "progress", "reading", 5, 40), at(150, "progress", "reading", 5, 0)])
def test_no_time_left_is_told_too_early_or_without_a_total(second: Event) -> None:
    assert fold([at(100, "progress", "reading", 0, 40), second]).seconds_left is None


def test_a_new_stage_has_a_pace_of_its_own() -> None:
    view = fold([at(0, "progress", "reading", 0, 2), at(100, "progress", "reading", 2, 2)])
    view = fold([at(100, "progress", "clustering", 0, 10)], view)
    assert view.seconds_left is None and view.stage_started == 100
    assert fold([at(104, "progress", "clustering", 4, 10)], view).seconds_left == pytest.approx(6)


def test_after_a_stop_the_pace_is_that_of_what_was_done_since() -> None:
    """200 of 250 steps were made before: 10 more in 5 s leave 40, at half a second each."""
    view = fold([at(50, "progress", "training", 200, 250), at(55, "progress", "training", 210, 250)])
    assert view.seconds_left == pytest.approx(20)


def test_a_second_part_of_a_stage_has_a_pace_of_its_own() -> None:
    """100 pictures first, then 800: at a second each, 16 of 800 leave 784 s."""
    first = [at(0, "progress", "reading", 0, 100), at(100, "progress", "reading", 100, 100)]
    second = [at(100, "progress", "reading", 0, 800), at(116, "progress", "reading", 16, 800)]
    assert fold([*first, *second]).seconds_left == pytest.approx(784)


def test_the_time_left_of_the_whole_counts_what_comes_later() -> None:
    """A step a second: 30 steps are left of this stage, and as much as 70 of its steps after it."""
    events = [at(0, "progress", "training", 0, 40, later=70), at(10, "progress", "training", 10, 40, later=70)]
    assert fold(events[:1]).whole_left is None
    view = fold(events)
    assert (view.seconds_left, view.whole_left) == (pytest.approx(30), pytest.approx(100))
    assert fold([at(12, "progress", "measuring", 0, 3)], view).whole_left is None
    assert fold([at(12, "done", "")], view).whole_left == 0


def test_notes_are_kept_in_order_and_do_not_disturb_the_progress() -> None:
    events = [
        at(0, "progress", "reading", 0, 10),
        at(1, "note", "reading", text="first"),
        at(2, "progress", "reading", 5, 10),
        at(3, "note", "other", text="second"),
    ]
    view = fold(events)
    assert view.notes == ("first", "second")
    assert (view.stage, view.step, view.seconds_left) == ("reading", 5, pytest.approx(2))


@pytest.mark.parametrize("kind", ["done", "failed", "cancelled"])
def test_the_end_is_told_with_its_sentence(kind: str) -> None:
    view = fold([at(0, "progress", "reading", 1, 2), at(1, kind, "reading", text="That was all.")])
    assert (view.state, view.message, view.seconds_left) == (kind, "That was all.", 0)
    assert (view.step, view.total) == (1, 2)


def test_a_resumed_run_is_running_again_without_the_old_message() -> None:
    view = fold([at(0, "cancelled", "reading", text="Stopped."), at(5, "progress", "reading", 1, 2)])
    assert (view.state, view.message) == ("running", "")


def test_events_of_kinds_unknown_here_change_nothing() -> None:
    view = fold([at(0, "progress", "reading", 1, 2)])
    assert fold([at(1, "artifact", "figures", path="x.png"), at(2, "later idea", "x")], view) == view


def test_folding_in_parts_is_folding_at_once() -> None:
    events = [at(float(i), "progress", "a" if i < 5 else "b", i, 9) for i in range(9)] + [at(9, "done", "b")]
    for cut in range(len(events)):
        assert fold(events[cut:], fold(events[:cut])) == fold(events)
