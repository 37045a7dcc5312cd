"""What a training did, from its events: losses over steps, figures of each round, notes in words. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from uld_explorer.events import Event

ROUND_FIGURES = ("found", "churn", "silhouette")


@dataclass(frozen=True)
class Phase:
    """One phase of training: steps (M,) inside it, and each loss's values (M,) at them (None where it has none)."""

    name: str
    title: str
    total: int
    steps: list[int] = field(default_factory=list)
    losses: dict[str, list[float | None]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """The figures told after one round of labelling: share found, labels changed, silhouette, sizes, layer weights."""

    number: int
    figures: dict[str, float]
    cluster_sizes: list[int]
    pose_sizes: list[int]
    mixing_weights: dict[str, float]


@dataclass(frozen=True)
class TrainingStory:
    """Phases and rounds in their order, and notes with the time at which they were said."""

    phases: list[Phase]
    rounds: list[Round]
    notes: list[tuple[float, str]]


def training_story(events: Iterable[Event]) -> TrainingStory:
    """Read events, oldest first. A phase that was gone on with after a stop continues its curve."""
    phases: dict[str, Phase] = {}
    rounds: dict[int, Round] = {}
    notes: list[tuple[float, str]] = []
    for event in events:
        if event.kind == "note" and event.data.get("text"):
            notes.append((event.time, str(event.data["text"])))
        elif event.kind == "progress" and "phase" in event.data:
            phase = phases.setdefault(event.data["phase"], Phase(event.data["phase"], event.stage, event.total))
            _add(phase, event)
        elif event.kind == "artifact" and "round" in event.data:
            rounds[int(event.data["round"])] = _round(event.data)
    return TrainingStory(list(phases.values()), [rounds[number] for number in sorted(rounds)], notes)


def _add(phase: Phase, event: Event) -> None:
    losses = event.data.get("losses") or {}
    if not losses or (phase.steps and event.step <= phase.steps[-1]):
        return  # the first event of a phase has none; after a stop some are told again
    phase.steps.append(event.step)
    phase.rates.append(float(event.data.get("rate", 0.0)))
    for name in dict.fromkeys((*phase.losses, *losses)):  # in their order, which is that of the colours
        values = phase.losses.setdefault(name, [None] * (len(phase.steps) - 1))
        values.append(None if losses.get(name) is None else float(losses[name]))


def _round(data: dict[str, Any]) -> Round:
    figures = {name: float(data[name]) for name in ROUND_FIGURES if data.get(name) is not None}
    return Round(
        int(data["round"]),
        figures,
        list(data.get("cluster_sizes", [])),
        list(data.get("pose_sizes", [])),
        dict(data.get("mixing_weights", {})),
    )
