"""Selections: what events make of them, what points they hold, and that no address or browser can break them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from uld_explorer.analysis.colouring import by_number
from uld_explorer.mapping import Placed
from uld_explorer.ui.opened import Opened, chosen, whole
from uld_explorer.ui.selection import MOST_CORNERS, Selection, after, corners

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
POINTS = Placed(np.arange(4), np.array([[0.5, 0.5], [2.0, 2.0], [0.2, 0.9], [5.0, 5.0]]))
GROUPS = by_number(np.array([0, 1, 1, 2]), ["a", "b", "c"])


def event(**data: Any) -> SimpleNamespace:
    return SimpleNamespace(**data)


def mask(selection: Selection) -> list[bool]:
    return list(selection.mask(POINTS, GROUPS).tolist())


def test_events_by_hand() -> None:
    drawn = after(Selection(), "poses", event(kind="lasso", polygon=[list(c) for c in SQUARE], add=False))
    assert mask(drawn) == [True, False, True, False]
    more = after(drawn, "poses", event(kind="click", index=3, add=True))
    assert mask(more) == [True, False, True, True]
    assert mask(after(more, "poses", event(kind="click", index=3, add=True))) == [True, False, True, False]
    assert mask(after(more, "poses", event(kind="group", group=1))) == [False, True, True, False]
    assert after(more, "keypoints", event(kind="click", index=1, add=True)) == Selection("keypoints", picks=(1,))
    assert after(more, "poses", event(kind="clear")) == Selection() and not after(more, "poses", event(kind="clear"))


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"kind": "lasso"},
        {"kind": "lasso", "polygon": [[0, 0], [1, 1]]},
        {"kind": "lasso", "polygon": [[0, 0], [1, 1], ["a", 2]]},
        {"kind": "lasso", "polygon": [[0, 0], [1, 1], [float("nan"), 2]]},
        {"kind": "lasso", "polygon": "((("},
        {"kind": "click", "index": -1},
        {"kind": "click", "index": True},
        {"kind": "click", "index": 1.5},
        {"kind": "group", "group": "0"},
        {"kind": ["click"], "index": 0},
    ],
    ids=repr,
)
def test_anything_else_changes_nothing(sent: dict[str, Any]) -> None:
    before = Selection("poses", (SQUARE,))
    assert after(before, "poses", event(**sent)) == before


def test_numbers_beyond_the_map_hold_nothing() -> None:
    assert mask(Selection("poses", picks=(99,), groups=(99,))) == [False] * 4


def test_long_polygons_are_thinned_out() -> None:
    angle = np.linspace(0, 2 * np.pi, 5000)
    found = corners([[float(np.cos(a)), float(np.sin(a))] for a in angle])
    assert found is not None and len(found) <= MOST_CORNERS


def test_an_address_leads_back_to_the_selection() -> None:
    for selection in (Selection("poses", (SQUARE,), (3, 5)), Selection("keypoints", groups=(2,)), Selection()):
        assert Selection.from_query(selection.to_query()) == selection


@pytest.mark.parametrize(
    "query",
    [
        {"on": "poses", "lasso": "1,2,3"},
        {"on": "poses", "lasso": "1,2;3"},
        {"on": "poses", "lasso": "a,b,c,d,e,f"},
        {"on": "poses", "lasso": "nan,0,1,1,2,2"},
        {"on": "poses", "picks": "-3"},
        {"on": "poses", "picks": "x"},
        {"on": "../x", "picks": "1"},
        {"lasso": "0,0,1,1,2,0"},
    ],
    ids=repr,
)
def test_an_address_with_anything_else_selects_nothing(query: dict[str, str]) -> None:
    assert not Selection.from_query(query)


# ---------------------------------------------------------------- what is opened

NOT_WHOLE = [None, "x", "", "1.0", "-1", 1.0, 2.5, True, False, -1, 10**6, float("nan"), [1], {"a": 1}, "9" * 30, "²"]


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
def test_only_whole_numbers_are_taken(value: Any) -> None:
    assert whole(value) is None


@pytest.mark.parametrize(("value", "number"), [(0, 0), (7, 7), ("12", 12), (10**6 - 1, 10**6 - 1)])
def test_whole_numbers_are_taken(value: Any, number: int) -> None:
    assert whole(value) == number


def test_clicks_single_out_and_let_go() -> None:
    first = chosen(Opened(page=2, picture=5), event(landmark=3, picture=None, page=None))
    assert first == Opened(focus=3, picture=5)
    assert chosen(first, event(landmark=4)).focus == 4 and chosen(first, event(landmark=3)).focus is None
    posed = chosen(first, event(pose=2))
    assert posed.pose == 2 and chosen(posed, event(pose=2)).pose is None
    assert chosen(first, event(page=2)).page == 2 and chosen(first, event(picture=9)).picture == 9
    assert chosen(first, event(dial=4)).dial == 4


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
@pytest.mark.parametrize("key", ["landmark", "page", "picture", "pose", "dial"])
def test_a_click_with_anything_else_chooses_nothing(key: str, value: Any) -> None:
    before = Opened(run="demo", focus=1, page=2)
    assert chosen(before, event(**{key: value})) == before


def test_addresses_of_everything_and_of_nonsense() -> None:
    opened = Opened("20260101-000000-abcdef", "explore", 3, 1, 7, round=2, colours=("score", "yaw"))
    query = dict(pair.split("=") for pair in opened.to_query().split("&"))
    assert Opened.from_query(query) == opened
    odd = {"run": "x" * 500, "tab": "../etc", "landmark": "-1", "points": "evil", "round": "1e3"}
    found = Opened.from_query(odd)
    assert (found.tab, found.focus, found.colours, found.round) == ("landmarks", None, ("landmark", "pose"), None)
    assert len(found.run) == 64
