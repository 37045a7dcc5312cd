"""What a running stage says. Knows nothing about what the stages do.

A stage is a generator: it yields events and *returns* its result, so that the algorithm stays one readable
function and whoever drives it (library, command line, page) decides what to do with the events.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """One message of a stage, JSON-able. Arrays and pictures are files; an event carries their path.

    kind   progress, note, artifact, or one of ENDS
    stage  what is being done, in words a user understands ("reading pictures")
    step, total  how far; total 0 where it is unknown
    arrays  name -> array, for whoever drives the stage to keep as a file called data["name"]; not part of the JSON
    """

    kind: str
    stage: str
    step: int = 0
    total: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    def to_json(self) -> str:
        """One line of JSON."""
        record = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "arrays"}
        return json.dumps(record)

    @classmethod
    def from_json(cls, line: str) -> Event:
        """The inverse of `to_json`."""
        return cls(**json.loads(line))


Stage = Generator[Event, None, T]


def drain(stage: Stage[T]) -> T:
    """Run a stage to its end, drop its events, return its result."""
    while True:
        try:
            next(stage)
        except StopIteration as stop:
            return stop.value


def progress(stage: str, step: int, total: int = 0, **data: Any) -> Event:
    """A progress event."""
    return Event("progress", stage, step, total, data)


def note(stage: str, text: str) -> Event:
    """A sentence for the person watching."""
    return Event("note", stage, data={"text": text})


@dataclass(frozen=True)
class RunView:
    """What a run looks like from outside, after some of its events.

    seconds_left   of the stage; None until it has gone far enough to tell
    whole_left     of the stage and those after it that are as long as the stage's events say ("later", in its own
                   steps); None where they do not say
    stage_started, stage_first  when the stage began here, and at which step: after a stop that is not the first
    """

    state: str = "waiting"
    stage: str = ""
    step: int = 0
    total: int = 0
    seconds_left: float | None = None
    notes: tuple[str, ...] = ()
    message: str = ""
    stage_started: float = 0.0
    stage_first: int = 0
    whole_left: float | None = None


ENDS = ("done", "failed", "cancelled", "paused")
"""Kinds of events that a run ends with, until it is gone on with."""


def fold(events: Iterable[Event], view: RunView = RunView()) -> RunView:
    """Fold events, oldest first, into the view of the run."""
    for event in events:
        view = _step(view, event)
    return view


def _step(view: RunView, event: Event) -> RunView:
    if event.kind in ENDS:
        message = str(event.data.get("text", ""))
        return replace(view, state=event.kind, stage=event.stage, seconds_left=0.0, whole_left=0.0, message=message)
    if event.kind == "note":
        notes = (*view.notes, str(event.data.get("text", "")))
        return replace(view, state="running", notes=notes, message="")
    if event.kind != "progress":
        return view
    # Two parts of a stage, or one that is done again, each have a pace of their own.
    same = (event.stage, event.total) == (view.stage, view.total) and event.step >= view.step
    started, first = (view.stage_started, view.stage_first) if same else (event.time, event.step)
    elapsed, done = event.time - started, event.step - first
    pace = elapsed / done if event.total > 0 and done > 0 and elapsed > 0.5 else None
    later = event.data.get("later")
    left = None if pace is None else pace * (event.total - event.step)
    whole = None if left is None or pace is None or later is None else left + pace * later
    return RunView(
        "running", event.stage, event.step, event.total, left, view.notes, "", started, first, whole_left=whole
    )
