"""What a running stage says. Knows nothing about what the stages do.

A stage is a generator: it yields events and *returns* its result, so that the algorithm stays one readable
function and whoever drives it (library, command line, page) decides what to do with the events.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, fields
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

    seconds_left is None until the current stage has gone far enough to tell.
    """

    state: str = "waiting"
    stage: str = ""
    step: int = 0
    total: int = 0
    seconds_left: float | None = None
    notes: tuple[str, ...] = ()
    message: str = ""
    stage_started: float = 0.0


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
        return RunView(event.kind, event.stage, view.step, view.total, 0.0, view.notes, message, view.stage_started)
    if event.kind == "note":
        notes = (*view.notes, str(event.data.get("text", "")))
        return RunView("running", view.stage, view.step, view.total, view.seconds_left, notes, "", view.stage_started)
    if event.kind != "progress":
        return view
    started = view.stage_started if event.stage == view.stage else event.time
    elapsed = event.time - started
    known = event.total > 0 and event.step > 0 and elapsed > 0.5
    left = elapsed * (event.total - event.step) / event.step if known else None
    return RunView("running", event.stage, event.step, event.total, left, view.notes, "", started)
