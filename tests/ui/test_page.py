"""The page can be built, every event has an answer of the right length, and every tab draws every state of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.conftest import finish_run
from uld_explorer.runs import Run, create_run
from uld_explorer.ui import drawing, page, sessions
from uld_explorer.ui.opened import TABS, Opened
from uld_explorer.ui.selection import Selection

ME = "0123456789abcdef" * 2
KEPT = {"token": ME}
ENDPOINTS = {"begin", "state", "landmarks", "predict"}


@pytest.fixture
def mine(data_dir: Path, tmp_path: Path) -> Run:
    return finish_run(create_run(sessions.visitor_dir(ME), title="My pictures"), tmp_path / "pictures")


@pytest.fixture
def parts(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The components of the built page."""
    seen: dict[str, Any] = {}
    wire = page._wire
    monkeypatch.setattr(page, "_wire", lambda blocks, parts: (seen.update(parts), wire(blocks, parts)))
    seen["page"] = page.build_page()
    return seen


def test_only_the_named_actions_are_public_endpoints(parts: dict[str, Any]) -> None:
    """What the page's events do is for the page: their forms may change, and no robot should call them."""
    public = {event.api_name for event in parts["page"].fns.values() if event.api_visibility == "public" and event.fn}
    assert public == ENDPOINTS


def test_the_tabs_are_those_of_the_addresses() -> None:
    assert tuple(tab.name for tab in drawing.TABS) == TABS


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("file", ["run.json", "pictures.json", "results/landmarks.safetensors", "edits.json"])
def test_a_damaged_run_can_be_left_and_hides_no_other(parts: dict[str, Any], mine: Run, tab: str, file: str) -> None:
    (mine.folder / file).write_text("{")
    answer = drawing.drawing(parts, drawing.show, everything=True)
    for run in (mine.id, "demo"):
        values = answer["fn"](KEPT, Opened(run=run, tab=tab))
        assert len(values) == len(answer["outputs"])
        assert {choice for _, choice in values[0].choices} == {mine.id, "demo"}


@pytest.mark.parametrize("tab", TABS)
def test_every_answer_fills_the_parts_it_is_for(parts: dict[str, Any], mine: Run, tab: str) -> None:
    """With a finished run, with none, with the example, and with choices that the run does not have."""
    drawings = [drawing.drawing(parts, draw) for draw in (drawing.redraw, drawing.draw_tab)]
    drawings.append(drawing.drawing(parts, drawing.show, everything=True))
    empty = create_run(sessions.visitor_dir(ME))
    odd = {"focus": 77, "page": 9, "picture": 88, "pose": 9, "dial": 99, "round": 7}
    odd |= {"selection": Selection("poses", picks=(5000,), groups=(99,)), "colours": ("yaw", "folder")}
    choices: tuple[dict[str, Any], ...] = ({}, odd)
    for run in (mine.id, empty.id, "gone", "demo"):
        for choice in choices:
            opened = Opened(run=run, tab=tab, **choice)
            for each in drawings:
                assert len(each["fn"](KEPT, opened)) == len(each["outputs"])
            assert len(drawing.follow(KEPT, opened)) == 6
            assert len(drawing.watch(KEPT, opened, "")) == 7


def test_a_choice_that_the_run_does_not_have_hides_nothing(mine: Run) -> None:
    chips, *_ = drawing.redraw(KEPT, Opened(run=mine.id, focus=77))
    assert 'aria-pressed="true"' not in chips


def test_the_address_follows_and_leads_back(mine: Run) -> None:
    opened = Opened(run=mine.id, tab="explore", focus=1, selection=Selection("poses", picks=(3,)))
    answers = drawing.redraw(KEPT, opened)
    query = dict(pair.split("=") for pair in answers[drawing.BAR.index("link")].split("&"))
    assert Opened.from_query(query) == opened


def test_every_part_that_a_person_fills_in_has_a_label(parts: dict[str, Any]) -> None:
    named = (gr.Radio, gr.File, gr.Dropdown, gr.Slider, gr.Number, gr.Textbox, gr.Checkbox)
    unnamed = [block for block in parts["page"].blocks.values() if isinstance(block, named) and not block.label]
    assert not unnamed


def test_the_example_is_whole() -> None:
    """It is what everybody sees first: landmarks, both maps, passports, poses, training and figures."""
    shown = drawing.shown_to(KEPT, Opened())
    assert shown.data is not None and shown.data.landmarks.seen.mean() > 0.5 and shown.data.poses is not None
    assert len(shown.data.passports) == 10 and all(p.consistency is not None for p in shown.data.passports)
    assert len(shown.data.profiles) == 5 and shown.data.profiles[0].purity is not None
    for tab in drawing.TABS:
        assert not any("uld-empty" in str(value) for value in tab.draw(shown)) or tab.name in ("poses", "train")


def test_what_is_watched_is_sent_once(mine: Run) -> None:
    """A second look without anything new sends nothing; one more event sends the curves alone."""
    from uld_explorer.events import progress
    from uld_explorer.ui.tabs import train

    mine.append(progress("training, round 1", 10, 20, phase="round 1", rate=0.1, losses={"heat map": 1.0}))
    *first, mark = train.live(mine)
    again = train.live(mine, mark)
    assert again[-1] == mark and all(value == gr.skip() for value in again[:-1]) and first[0] != gr.skip()
    mine.append(progress("training, round 1", 20, 20, phase="round 1", rate=0.1, losses={"heat map": 0.5}))
    *later, _ = train.live(mine, mark)
    assert later[0] != gr.skip() and all(value == gr.skip() for value in later[3:])
    assert train.live(mine, "another/1/1/1")[-2] != gr.skip(), "of another run nothing is known"
