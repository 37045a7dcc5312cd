"""A training's story from its events: curves, rounds and notes, also after a stop; and figures of it."""

from __future__ import annotations

import numpy as np

from tests.analysis.test_passports import found
from uld_explorer.analysis import figures
from uld_explorer.analysis.passports import passports
from uld_explorer.analysis.training import training_story
from uld_explorer.events import Event, note, progress
from uld_explorer.measuring import by_yaw
from uld_explorer.types import Report


def events() -> list[Event]:
    told = [note("training", "Labels 1")]
    for step in (0, 10, 20):
        losses = {} if step == 0 else {"heat map": 1.0 / step, "places": 2.0}
        told.append(progress("training, round 1", step, 20, phase="round 1", rate=0.1, losses=losses))
    data = {"name": "round_1", "round": 1, "found": 0.5, "churn": 0.3, "silhouette": None, "pose_sizes": [3, 4]}
    told.append(Event("artifact", "training", data=data | {"mixing_weights": {"up0@t20": 0.25, "up1@t100": 0.75}}))
    told.append(progress("training, round 2", 10, 20, phase="round 2", rate=0.1, losses={"heat map": 0.5}))
    return told


def test_the_story_by_hand() -> None:
    story = training_story(events())
    first, second = story.phases
    assert (first.steps, first.losses) == ([10, 20], {"heat map": [0.1, 0.05], "places": [2.0, 2.0]})
    assert (second.steps, second.total) == ([10], 20)
    (only,) = story.rounds
    assert only.figures == {"found": 0.5, "churn": 0.3} and only.pose_sizes == [3, 4]
    assert [text for _, text in story.notes] == ["Labels 1"]


def test_what_is_told_again_after_a_stop_is_not_counted_twice() -> None:
    told = events()
    again = [*told, *told[1:4], progress("x", 20, 20, phase="round 2", rate=0.0, losses={"places": 1.0})]
    story = training_story(again)
    assert story.phases[0].steps == [10, 20]
    assert story.phases[1].losses == {"heat map": [0.5, None], "places": [None, 1.0]}


def test_a_story_without_training_is_empty() -> None:
    story = training_story([progress("reading pictures", 1, 2)])
    assert (story.phases, story.rounds, story.notes) == ([], [], [])


def test_curves_stand_one_after_the_other() -> None:
    figure = figures.loss_curves(training_story(events()))
    assert [trace.name for trace in figure.data] == ["heat map", "places"]
    assert list(figure.data[0].x) == [10, 20, 20, 30, 40] and figure.data[0].y[2] is None
    assert len(figure.layout.shapes) == 1, "a line where the second phase begins"


def test_every_figure_is_a_plotly_figure_with_its_data() -> None:
    story = training_story(events())
    rounds = figures.round_curves(story)
    assert [list(trace.y) for trace in rounds.data] == [[0.5], [0.3]]
    weights = figures.mixing_weights(story.rounds[0].mixing_weights)
    np.testing.assert_allclose(np.array(weights.data[0].z, float), [[25, np.nan], [np.nan, 75]])
    assert list(weights.data[0].x) == ["t20", "t100"], "timesteps by their size"
    rates = figures.pose_rates(passports(found()))
    np.testing.assert_allclose(np.array(rates.data[0].z, float), [[100, 100], [100, 0], [0, 0]])
    report = Report({}, {}, {"forward_ced": [1.0, 2.0], "backward_ced": [2.0, 5.0]})
    assert [list(trace.y) for trace in figures.error_curves(report).data] == [[1.0, 2.0], [2.0, 5.0]]
    tables = {"forward_by_yaw": [3.0, 2.0, 1.0, 2.0, 3.0], "backward_by_yaw": [9.0, 8.0, 7.0, 8.0, float("nan")]}
    yaw = figures.yaw_errors(
        by_yaw(Report({}, {}, tables | {"mean_shape_by_yaw": [50.0] * 5, "seen_by_yaw": [90.0] * 5}))
    )
    assert [list(trace.y) for trace in yaw.data] == [tables["forward_by_yaw"], [9.0, 8.0, 7.0, 8.0, None]]
    assert yaw.data[0].x[0] == "-90…-54"
