"""The page can be built, every event has an answer of the right length, and clicks bring whole numbers only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.conftest import finish_run
from uld_explorer.runs import Run, create_run
from uld_explorer.ui import page, sessions
from uld_explorer.ui.handlers import Opened

ME = "0123456789abcdef" * 2
KEPT = {"token": ME}
NOT_WHOLE = [None, "3", "", 1.0, 2.5, True, False, -1, 10**6, float("nan"), [1], {"a": 1}]


@pytest.fixture
def mine(data_dir: Path, tmp_path: Path) -> Run:
    return finish_run(create_run(sessions.visitor_dir(ME), title="My pictures"), tmp_path / "pictures")


def clicked(**data: Any) -> gr.EventData:
    """The event as it comes from the page's script."""
    return gr.EventData(None, data)


# ---------------------------------------------------------------- clicks


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
def test_only_whole_numbers_are_taken(value: Any) -> None:
    assert page._whole(value) is None


@pytest.mark.parametrize("value", [0, 7, 10**6 - 1])
def test_whole_numbers_are_taken(value: int) -> None:
    assert page._whole(value) == value


def test_a_landmark_is_chosen_and_let_go() -> None:
    first = page._choose(Opened(page=2, picture=5), clicked(landmark=3, picture=None, page=None))
    assert first == Opened(focus=3, page=2, picture=5)
    assert page._choose(first, clicked(landmark=4)).focus == 4
    assert page._choose(first, clicked(landmark=3)).focus is None


def test_pages_turn_and_pictures_open_and_close() -> None:
    assert page._choose(Opened(focus=1), clicked(page=2)) == Opened(focus=1, page=2)
    opened = page._choose(Opened(focus=1, page=2), clicked(picture=9))
    assert opened == Opened(focus=1, page=2, picture=9)
    assert page._close(opened) == Opened(focus=1, page=2)


def test_a_click_on_a_pose_shows_its_pictures_from_the_first_page() -> None:
    opened = page._choose(Opened(focus=1, page=2), clicked(pose=3))
    assert opened == Opened(focus=1, pose=3)
    assert page._choose(opened, clicked(pose=3)).pose is None


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
@pytest.mark.parametrize("key", ["landmark", "page", "picture", "pose"])
def test_a_click_with_anything_else_chooses_nothing(key: str, value: Any) -> None:
    before = Opened(run="demo", focus=1, page=2)
    assert page._choose(before, clicked(**{key: value})) == before


def test_a_click_on_the_map_opens_the_points_picture(mine: Run) -> None:
    arrays = mine.load_arrays("keypoints")
    assert arrays is not None
    html = page._map_choose(KEPT, Opened(run=mine.id), clicked(index=4))
    assert f"picture {arrays['image'][4]}.jpg" in html and html.count("uld-on") == 1


@pytest.mark.parametrize("index", [None, "0", -1, 1.5, 99999, True])
def test_a_click_beside_the_map_opens_nothing(mine: Run, index: Any) -> None:
    assert page._map_choose(KEPT, Opened(run=mine.id), clicked(index=index)) == ""


# ---------------------------------------------------------------- the page


@pytest.fixture
def parts(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The components of the built page."""
    seen: dict[str, Any] = {}
    wire = page._wire
    monkeypatch.setattr(page, "_wire", lambda blocks, parts: (seen.update(parts), wire(blocks, parts)))
    seen["page"] = page.build_page()
    return seen


def test_nothing_on_the_page_is_a_public_endpoint(parts: dict[str, Any]) -> None:
    """What the page's events do is for the page: their forms may change, and no robot should call them."""
    for event in parts["page"].fns.values():
        assert event.api_visibility == "private" or event.fn is None


def test_every_answer_fills_the_parts_it_is_for(parts: dict[str, Any], mine: Run) -> None:
    """With a finished run, with none, and with a choice that the run does not have."""
    showing = page._showing(parts)
    pointing = page._drawing(parts, page._point, page.POINTED)
    browsing = page._drawing(parts, page._browse, page.BROWSED)
    for opened in (Opened(run=mine.id), Opened(run="gone"), Opened(run=mine.id, focus=77, page=9, picture=88)):
        assert len(showing["fn"](KEPT, opened)) == len(showing["outputs"])
        assert len(pointing["fn"](KEPT, opened)) == len(pointing["outputs"])
        assert len(browsing["fn"](KEPT, opened)) == len(browsing["outputs"])
        assert len(page._follow(KEPT, opened)) == 4


def test_a_choice_that_the_run_does_not_have_hides_nothing(mine: Run) -> None:
    answer = dict(zip(page.POINTED, page._point(KEPT, Opened(run=mine.id, focus=77)), strict=True))
    assert 'aria-pressed="true"' not in answer["chips"]
    assert "uld-focus" not in answer["gallery"] + answer["strips"]


def test_every_part_that_a_person_fills_in_has_a_label(parts: dict[str, Any]) -> None:
    named = (gr.Radio, gr.File, gr.Dropdown, gr.Slider, gr.Number, gr.Textbox, gr.Checkbox)
    unnamed = [block for block in parts["page"].blocks.values() if isinstance(block, named) and not block.label]
    assert not unnamed
