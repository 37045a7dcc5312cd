"""Every state of a run has its words, names are never markup, and an error is never shown without its reverse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.ui.conftest import EVIL, elements, is_harmless, text_of
from uld_explorer.events import Event, RunView, fold
from uld_explorer.types import Annotations, ImageSet, Report, Skipped
from uld_explorer.ui import status


def bar(html: str) -> dict[str, str]:
    """The attributes of the progress bar."""
    return next(attrs for _, attrs in elements(html) if attrs.get("role") == "progressbar")


# ---------------------------------------------------------------- progress


def test_a_run_without_events_says_nothing() -> None:
    assert status.progress(RunView()) == ""


def test_waiting_for_its_turn_is_said_without_a_share() -> None:
    """It is not known how long it takes: no number that assistive software would read as 0 %."""
    html = status.progress(fold([Event("progress", "waiting for its turn")]))
    assert text_of(html) == "Waiting for its turn"
    assert "aria-valuenow" not in bar(html)


def test_running_tells_the_step_the_share_and_the_time_left() -> None:
    events = [Event("progress", "reading pictures", step, 40, time=10.0 + step) for step in (0, 10)]
    html = status.progress(fold(events))
    assert text_of(html) == "Reading pictures · 10 of 40 · about 30 s left in this step"
    assert bar(html)["aria-valuenow"] == "25" and bar(html)["aria-label"] == "Reading pictures"
    assert ("i", {"style": "width:25%"}) in elements(html)


def test_the_time_until_training_ends_is_told_where_it_is_longer_than_the_step() -> None:
    view = RunView("running", "training, round 1", 100, 250, 60.0, whole_left=300.0)
    assert "about 60 s left in this step, 5 min until training ends" in text_of(status.progress(view))
    last = replace(view, whole_left=61.0)
    assert "until" not in text_of(status.progress(last))


def test_the_newest_note_is_shown() -> None:
    view = RunView("running", "clustering", 0, 1, None, ("on a slow computer", "K-means of 500 descriptors"))
    assert "K-means of 500 descriptors" in text_of(status.progress(view))
    assert "slow" not in status.progress(view)


def test_capitals_inside_a_stages_name_stay() -> None:
    assert "Drawing the map (UMAP)" in status.progress(RunView("running", "drawing the map (UMAP)", 0, 1))


@pytest.mark.parametrize(
    ("kind", "words"),
    [("done", "Finished"), ("failed", "Failed too few pictures"), ("cancelled", "Cancelled too few pictures")],
)
def test_an_ending_is_said_with_its_reason_and_without_a_bar(kind: str, words: str) -> None:
    data = {} if kind == "done" else {"text": "too few pictures"}
    html = status.progress(fold([Event("progress", "reading pictures", 1, 4), Event(kind, "", data=data)]))
    assert text_of(html) == words
    assert f"uld-{kind}" in html and "progressbar" not in html


@pytest.mark.parametrize("view", [RunView("running", EVIL, 1, 2, None, (EVIL,)), RunView("failed", "", message=EVIL)])
def test_words_of_a_run_are_never_markup(view: RunView) -> None:
    html = status.progress(view)
    assert is_harmless(html) and EVIL in text_of(html)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (12.4, "12 s"), (89, "89 s"), (90, "2 min"), (200, "3 min"), (3600, "60 min")]
)
def test_durations_are_whole_and_never_nothing(seconds: float, words: str) -> None:
    assert status.duration(seconds) == words


# ---------------------------------------------------------------- pictures and facts


def opened(skipped: tuple[Skipped, ...] = (), annotated: int = 0) -> ImageSet:
    truth = None
    if annotated:
        visibility = np.zeros((3, 1), np.uint8)
        visibility[:annotated] = 2
        truth = Annotations(np.zeros((3, 1, 2)), visibility, np.full((3, 4), np.nan), ("eye",))
    return ImageSet(("a", "b", "c"), ("a", "b", "c"), (), np.ones((3, 2), int), skipped, truth)


def test_accepted_pictures_are_counted() -> None:
    assert text_of(status.accepted(opened())) == "3 pictures ready."
    assert text_of(status.accepted(opened(annotated=2))) == "3 pictures ready, 2 of them annotated."


def test_every_skipped_file_is_named_with_its_reason() -> None:
    html = status.accepted(opened((Skipped("broken.jpg", "damaged"), Skipped(EVIL, "<i>no picture</i>"))))
    assert "2 skipped" in text_of(html) and "broken.jpg: damaged" in text_of(html)
    assert is_harmless(html) and f"{EVIL}: <i>no picture</i>" in text_of(html)


def test_a_long_list_of_skipped_files_is_cut_and_says_so() -> None:
    html = status.accepted(opened(tuple(Skipped(f"{i}.txt", "no picture") for i in range(203))))
    assert len(elements(html, "li")) == 201 and "and 3 more" in text_of(html)


def test_facts_name_the_run_without_markup_and_without_paths() -> None:
    info = {"source": EVIL, "images": 7, "method": "zeroshot"}
    html = status.facts(info, {"backbone": "/secret/place/net", "roi": EVIL, "landmarks": 5})
    assert is_harmless(html) and EVIL in text_of(html)
    assert "7 pictures" in text_of(html) and "5 landmarks" in text_of(html)
    assert "backbone net" in text_of(html) and "secret" not in html


def test_facts_of_a_run_that_has_none_yet_are_no_error() -> None:
    assert "0 pictures" in text_of(status.facts({}, {}))


# ---------------------------------------------------------------- numbers

MEASURED: dict[str, float | None] = {
    "forward_nme": 3.14,
    "backward_nme": 9.4,
    "mean_shape_nme": 19.9,
    "silhouette": 0.31,
}
PROTOCOL: dict[str, object] = {"normaliser": "iod", "regressor_images": 50, "test_images": 40, "roi": EVIL}


def rows(html: str) -> list[str]:
    """The rows of the tables as text."""
    return [text_of(part.split("</tr>")[0]) for part in html.split("<tr>")[1:]]


def test_no_report_says_when_there_will_be_one() -> None:
    assert "when a run has finished" in text_of(status.numbers(None))


def test_errors_are_shown_both_ways_with_what_they_are_measured_against() -> None:
    html = status.numbers(Report(MEASURED | {"random_forward_nme": 20.0, "random_backward_nme": 30.0}, PROTOCOL))
    text = text_of(html)
    assert rows(html)[:4] == [
        "error, smaller is better forward backward",
        "Discovered landmarks 3.14 % 9.40 %",
        "Mean shape (no detector) 19.90 % –",
        "Random weights 20.00 % 30.00 %",
    ]
    assert "distance between the eyes" in text and "50 pictures and measured on 40 others" in text
    assert is_harmless(html) and EVIL in text


def test_without_annotations_no_error_is_shown_and_the_way_to_get_one_is() -> None:
    html = status.numbers(Report({"forward_nme": None, "backward_nme": None, "silhouette": 0.31}, {}))
    assert "Errors need annotated pictures" in text_of(html) and "forward" not in html
    assert any("Silhouette" in row and "0.31" in row for row in rows(html))


@pytest.mark.parametrize("missing", ["forward_nme", "backward_nme"])
def test_one_direction_is_never_shown_without_the_other(missing: str) -> None:
    """A good forward error alone says little: points that merely follow the box have one, too."""
    html = status.numbers(Report(MEASURED | {missing: None}, PROTOCOL))
    assert "3.14" not in html and "9.40" not in html and "19.90" not in html


@pytest.mark.parametrize("missing", ["random_forward_nme", "random_backward_nme"])
def test_a_baseline_is_shown_both_ways_or_not_at_all(missing: str) -> None:
    figures = MEASURED | {"random_forward_nme": 20.0, "random_backward_nme": 30.0} | {missing: None}
    html = status.numbers(Report(figures, PROTOCOL))
    assert "Random weights" not in html and "Discovered landmarks" in html


def test_only_figures_that_were_measured_have_a_row() -> None:
    html = status.numbers(Report({"detection_rate": 97.5, "consistency": None, "hungarian_accuracy": 80.0}, PROTOCOL))
    assert any("97.50 %" in row for row in rows(html)) and "consistency" not in html and "None" not in html
    assert "the protocol's distance (Hungarian)" in text_of(html)
    eyes = Report({"hungarian_accuracy": 80.0}, {"hungarian_normaliser": "iod"})
    assert "a fifth of the distance between the eyes (Hungarian)" in text_of(status.numbers(eyes))
