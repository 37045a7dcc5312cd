"""A run in any condition gives something to look at: words where nothing is there yet, pictures where something is."""

from __future__ import annotations

import os

import pytest

from tests.ui.conftest import EVIL, elements, is_harmless, text_of
from uld_explorer.events import Event
from uld_explorer.runs import Run
from uld_explorer.ui import render, sessions

# ---------------------------------------------------------------- nothing there yet


def test_an_empty_run_gives_words_and_no_errors(empty_run: Run) -> None:
    assert render.loaded(empty_run) is None and render.report_of(empty_run) is None
    assert render.chips(empty_run, 2) == "" and render.one_picture(empty_run, 0, None) == ""
    assert render.map_data(empty_run, 1) is None and render.stamp(empty_run) == 0
    assert render.known_landmark(empty_run, 0) is None
    assert "0 pictures" in text_of(render.header(empty_run))
    assert "when a run has finished" in text_of(render.numbers(empty_run))
    assert "Discover landmarks" in text_of(render.strips(empty_run, None))


def test_the_gallery_says_whether_to_wait_or_to_begin(empty_run: Run) -> None:
    assert "as soon as they are found" in text_of(render.pictures(empty_run, 0, None, running=True))
    assert "Discover landmarks" in text_of(render.pictures(empty_run, 0, None, running=False))


def test_a_run_that_the_server_left_is_not_said_to_be_running(empty_run: Run) -> None:
    """Its last event is one of progress, and there will be no other."""
    empty_run.append(Event("progress", "clustering", 1, 2))
    assert text_of(render.state(empty_run, running=True)) == "Clustering · 1 of 2"
    stopped = render.state(empty_run, running=False)
    assert "uld-failed" in stopped and "server was stopped" in text_of(stopped)


@pytest.mark.parametrize(("kind", "word"), [("done", "Finished"), ("failed", "Failed"), ("cancelled", "Cancelled")])
def test_an_ending_is_an_ending(empty_run: Run, kind: str, word: str) -> None:
    empty_run.append(Event(kind, ""))
    assert text_of(render.state(empty_run, running=False)) == word


# ---------------------------------------------------------------- a finished run


def test_a_finished_run_fills_every_part(finished_run: Run) -> None:
    assert len(elements(render.chips(finished_run, None), "button")) == 3
    assert len(elements(render.pictures(finished_run, 0, None, running=False), "svg")) == 4
    assert len(elements(render.one_picture(finished_run, 2, None), "svg")) == 1
    assert render.strips(finished_run, None).count('class="uld-strip"') == 3
    assert render.strips(finished_run, 1).count('class="uld-strip"') == 1
    assert "0.25" in render.numbers(finished_run)
    assert "4 pictures" in text_of(render.header(finished_run))


def test_names_of_a_run_are_never_markup(finished_run: Run) -> None:
    parts = (
        render.pictures(finished_run, 0, None, running=False),
        render.one_picture(finished_run, 0, None),
        render.strips(finished_run, None),
    )
    assert all(is_harmless(html) for html in parts)
    assert EVIL in text_of(parts[1])


@pytest.mark.parametrize("row", [None, -1, 4, 10**5])
def test_a_picture_that_is_not_there_is_not_shown(finished_run: Run, row: int | None) -> None:
    assert render.one_picture(finished_run, row, None) == ""


@pytest.mark.parametrize(("asked", "known"), [(None, None), (0, 0), (2, 2), (3, None), (10**5, None)])
def test_only_a_landmark_of_the_run_can_be_chosen(finished_run: Run, asked: int | None, known: int | None) -> None:
    assert render.known_landmark(finished_run, asked) == known


# ---------------------------------------------------------------- the map


def test_the_map_has_a_tile_for_every_point(finished_run: Run) -> None:
    data = render.map_data(finished_run, 1)
    assert data is not None and data["focus"] == 1 and data["atlas"].startswith("data:image/webp;base64,")
    again = render.map_data(finished_run, None)
    assert again is not None and again["focus"] is None and again["atlas"] is data["atlas"]


def test_the_map_does_not_tell_where_the_server_keeps_its_runs(finished_run: Run) -> None:
    """Its mark of revision goes to the browser."""
    data = render.map_data(finished_run, None)
    assert data is not None and str(finished_run.folder.parent) not in str(data["revision"])


def test_what_is_kept_follows_the_results(finished_run: Run) -> None:
    """The map and the strips are made once, and again when the results have changed."""
    first = render.map_data(finished_run, None)
    os.utime(finished_run.folder / "results" / "map.safetensors", (1, 1))
    second = render.map_data(finished_run, None)
    assert first is not None and second is not None and first["revision"] != second["revision"]


# ---------------------------------------------------------------- the demo


def test_the_demo_that_ships_is_a_finished_run() -> None:
    """It is what everybody sees first: landmarks, a map and figures, and nothing about progress."""
    demo = sessions.DEMO
    data = render.loaded(demo)
    assert data is not None and len(data[0]) == len(data[1])
    assert all(path.exists() for path in data[0].paths)
    assert demo.load_arrays("keypoints") is not None and render.report_of(demo) is not None
    assert render.state(demo, running=False) == ""
