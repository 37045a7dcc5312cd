"""Passports, pose cards, training panels and the list of runs: right numbers, escaped names, everything labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.ui.conftest import EVIL, drawings, elements, is_harmless, make_images, make_landmarks, text_of
from uld_explorer.analysis.passports import Passport
from uld_explorer.analysis.poses import PoseProfile
from uld_explorer.analysis.training import Round, TrainingStory
from uld_explorer.estimate import Estimate
from uld_explorer.types import ImageSet, Landmarks, Regions
from uld_explorer.ui import passport_cards, pose_cards, training_view
from uld_explorer.ui.patches import PATCH
from uld_explorer.ui.training_view import ListedRun

REGIONS = Regions(np.tile([5.0, 5.0, 40.0, 30.0], (4, 1)), np.zeros(4))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return make_images(tmp_path_factory.mktemp("pictures"), names=(EVIL, "b.png", "c.png", "d.png"))


def landmarks() -> Landmarks:
    some = make_landmarks()
    return Landmarks(some.xy, some.present, some.score, None, (EVIL, "ear", "landmark_6"), (0, 1, 5))


def passports() -> list[Passport]:
    def one(name: str, seen: float, health: float, partner: int | None, rows: list[int]) -> Passport:
        return Passport(name, seen, np.array([1.0, 0.5]), 0.1, 0.8, 2.5, partner, health, np.array(rows, int))

    return [
        one(EVIL, 1.0, 90.0, 0, [0, 1, 2, 3]),
        one("ear", 0.75, 20.0, 2, [1]),
        one("landmark_6", 0.2, 50.0, None, []),
    ]


# ---------------------------------------------------------------- passports


@pytest.mark.parametrize(("order", "places"), [("health", [1, 2, 0]), ("seen", [0, 1, 2]), ("number", [0, 1, 2])])
def test_passports_are_ordered(order: str, places: list[int]) -> None:
    assert passport_cards.ordered(passports(), order) == places


def test_a_passport_says_what_is_known_and_no_name_is_markup(images: ImageSet) -> None:
    html = passport_cards.cards(images, landmarks(), passports(), "number", 2, {7: EVIL})
    assert is_harmless(html)
    fields = [attrs for tag, attrs in elements(html, "input")]
    assert [field["value"] for field in fields] == [EVIL, "ear", "landmark_6"]
    assert [field["data-rename"] for field in fields] == ["0", "1", "5"], "by their keys, which edits keep"
    text = text_of(html)
    for words in (
        "90 good",
        "20 weak",
        "50 fair",
        "seen in 75 %",
        "unsteady by 2.5 px",
        "itself (in the middle)",
        "not known",
    ):
        assert words in text, words
    assert "seen nowhere" in text and f"show {EVIL}" in text


def test_every_tool_names_its_landmark_and_the_others(images: ImageSet) -> None:
    html = passport_cards.cards(images, landmarks(), passports(), "number", 2)
    buttons = [attrs for _, attrs in elements(html, "button") if "data-edit" in attrs]
    assert [(b["data-edit"], b["data-key"]) for b in buttons[:4]] == [
        ("hide", "0"), ("split", "0"), ("merge", "0"), ("swap", "0")
    ]  # fmt: skip
    values = [attrs["value"] for _, attrs in elements(html, "option")][:5]
    assert values == ["1", "5", "-1", "0", "1"], "the other landmarks, then everywhere and two poses"
    selects = [attrs for _, attrs in elements(html, "select")]
    assert all(attrs.get("aria-label") for attrs in selects)
    assert "data-where" not in passport_cards.cards(images, landmarks(), passports(), "number", 0)


def test_history_is_told() -> None:
    assert "Nothing edited" in text_of(passport_cards.history(0, 0))
    assert "1 edit" in text_of(passport_cards.history(1, 0)) and "2 taken back" in text_of(passport_cards.history(3, 2))


# ---------------------------------------------------------------- poses


def test_a_pose_card_shows_the_mean_picture_and_the_mean_layout(images: ImageSet) -> None:
    layout = np.array([[0.5, 0.5], [np.nan, np.nan], [0.25, 1.0]])
    profiles = [PoseProfile(0, np.array([3, 1]), layout, 0.75, (-18.0, 18.0)), PoseProfile(2, np.array([0]), layout)]
    html = pose_cards.cards(images, REGIONS, landmarks(), profiles, 4)
    assert is_harmless(html)
    first, second = drawings(html)
    marks = [g.attrib["data-mark"] for g in first.iter("g") if "data-mark" in g.attrib]
    assert marks == ["0", "5"], "a landmark that is never there has no place"
    text = text_of(html)
    assert (
        "pose 1 2 pictures, 50 %" in text and "75 % turned by -18° … 18°" in text and "pose 3 1 pictures, 25 %" in text
    )
    assert second is not None


def test_the_mean_picture_is_the_mean_whatever_the_size_of_the_copies(images: ImageSet) -> None:
    mean = pose_cards.mean_picture(images, Regions(np.tile([10.0, 10.0, 20.0, 20.0], (4, 1)), np.zeros(4)))
    assert mean.shape == (pose_cards.MEAN_SIDE, pose_cards.MEAN_SIDE, 3)
    np.testing.assert_allclose(mean.mean((0, 1)), [100, 100, 140], atol=3)
    larger = ImageSet(images.ids, images.names, images.paths, images.sizes * 2)
    doubled = pose_cards.mean_picture(larger, Regions(np.tile([20.0, 20.0, 40.0, 40.0], (4, 1)), np.zeros(4)))
    np.testing.assert_allclose(doubled, mean, atol=2)


def test_the_dial_has_heat_layout_and_pictures(images: ImageSet) -> None:
    html = pose_cards.dial(images, np.eye(8), [2, 0], np.array([[0.5, 0.5]]), [5])
    assert is_harmless(html) and html.count("data-picture=") == 2 and 'data-mark="5"' in html
    assert pose_cards.heat_uri(np.zeros((4, 4))).startswith("data:image/png")


# ---------------------------------------------------------------- training


def test_what_a_round_saw_lies_on_its_picture(images: ImageSet) -> None:
    """The heat map is laid over the region by the crop's own geometry."""
    arrays = {"rows": np.array([0, 2]), "points": np.full((2, 2, 2), 9.0), "heat": np.ones((2, 8, 8))}
    arrays["points"][0, 1] = np.nan
    html = training_view.rounds(images, REGIONS, [(1, arrays), (2, arrays)])
    assert is_harmless(html) and text_of(html).startswith("Round 2")
    drawing = drawings(html)[0]
    over = drawing.findall("image")[1]
    assert over.attrib["transform"] == "matrix(40 0 0 40 5 0)", "a square crop of side 40 around the region"
    assert len([g for g in drawing.iter("g") if "data-mark" in g.attrib]) == 1


def test_the_log_and_the_rounds_are_told() -> None:
    story = TrainingStory(
        [], [Round(1, {"found": 0.5, "churn": 0.25}, [], [3, 4], {})], [(0.0, "<b>first"), (1.0, "second")]
    )
    log = training_view.log(story)
    assert is_harmless(log) and text_of(log).index("second") < text_of(log).index("<b>first")
    assert text_of(training_view.round_table(story.rounds)).endswith("1 50 % 25 % – 3, 4")
    assert training_view.log(TrainingStory([], [], [])) == "" == training_view.round_table([])


def test_an_estimate_in_words() -> None:
    html = training_view.estimated(Estimate({"clustering": 30.0, "training": 270.0}, 1.5e9, 3e6), 40)
    text = text_of(html)
    assert "About 5 min for 40 pictures, 1.5 GB of memory, 3 MB on disk" in text and "training 4 min" in text


def test_the_list_of_runs_offers_what_can_be_done() -> None:
    states = {"done": False, "paused": True, "interrupted": True, "running": False, "waiting": False, "failed": True}
    for state, resumes in states.items():
        html = training_view.run_list([ListedRun("id", EVIL, state, "facts", 5e6, True)])
        assert is_harmless(html)
        offered = [attrs["data-do"] for _, attrs in elements(html, "button")]
        assert ("resume" in offered) == resumes and ("remove" in offered) == (state not in ("running", "waiting"))
        assert all(EVIL in attrs["aria-label"] for _, attrs in elements(html, "button"))
    assert "No runs of your own yet" in training_view.run_list([])


def test_patches_are_of_one_size(images: ImageSet, tmp_path: Path) -> None:
    html = passport_cards.cards(images, landmarks(), passports(), "number")
    assert {attrs["width"] for _, attrs in elements(html, "img")} == {str(PATCH)}
