"""What the page remembers of a visitor between two events, and its form as an address that can be shared or kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from uld_explorer.mapping import MapChoice
from uld_explorer.ui.linked_maps import COLOURS, View
from uld_explorer.ui.selection import Selection

TABS = ("landmarks", "explore", "passports", "poses", "train", "try", "numbers")
ORDERS = ("health", "number", "seen")
Kept = dict[str, Any]
"""What a visitor's browser keeps: their token, and the id of the run they looked at last."""


@dataclass(frozen=True)
class Opened:
    """The run on the page and how it is looked at.

    focus   the landmark that is singled out; pose: the pose cluster; picture: the one that is shown large
    page    of the gallery
    round   of training that the maps show; None: the last one
    choice  how the maps are made; colours: what keypoints and pictures are coloured by
    order   of the passports; dial: the picture whose pose is dialled
    """

    run: str = "demo"
    tab: str = "landmarks"
    focus: int | None = None
    pose: int | None = None
    picture: int | None = None
    page: int = 0
    selection: Selection = field(default_factory=Selection)
    round: int | None = None
    choice: MapChoice = field(default_factory=MapChoice)
    colours: tuple[str, str] = ("landmark", "pose")
    order: str = "health"
    dial: int | None = None

    @property
    def view(self) -> View:
        """How the maps are looked at."""
        return View(self.selection, self.focus, self.pose, self.round, self.choice, self.colours)

    def to_query(self) -> str:
        """The part of an address after the question mark; what is as at first is left out."""
        named = {"landmark": self.focus, "pose": self.pose, "picture": self.picture, "round": self.round}
        parts: dict[str, Any] = {"run": self.run, "tab": self.tab}
        parts |= {name: value for name, value in named.items() if value is not None}
        for name, value, first in zip(("points", "codes"), self.colours, ("landmark", "pose"), strict=True):
            if value != first:
                parts[name] = value
        return urlencode(parts | self.selection.to_query())

    @classmethod
    def from_query(cls, query: dict[str, str]) -> Opened:
        """The inverse of `to_query`. Anything can be in an address: what is not understood is left out."""
        numbers = {name: whole(query.get(name)) for name in ("landmark", "pose", "picture", "round")}
        points, codes = query.get("points", "landmark"), query.get("codes", "pose")
        known = points in COLOURS and codes in COLOURS
        return cls(
            run=query.get("run", "demo")[:64],
            tab=query["tab"] if query.get("tab") in TABS else "landmarks",
            focus=numbers["landmark"],
            pose=numbers["pose"],
            picture=numbers["picture"],
            round=numbers["round"],
            selection=Selection.from_query(query),
            colours=(points, codes) if known else ("landmark", "pose"),
        )


def whole(value: object) -> int | None:
    """A whole number from 0 that a browser sent as one or as text; None for anything else."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdecimal() and len(value) < 8 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**6 else None


def chosen(opened: Opened, event: Any) -> Opened:
    """After a click on anything that carries a number: a landmark, a pose, a page of the gallery, a picture, a dial."""
    names = ("landmark", "pose", "page", "picture", "dial")
    value = {name: whole(getattr(event, name, None)) for name in names}
    if value["landmark"] is not None:
        return replace(opened, focus=None if value["landmark"] == opened.focus else value["landmark"], page=0)
    if value["pose"] is not None:
        return replace(opened, pose=None if value["pose"] == opened.pose else value["pose"], page=0)
    if value["page"] is not None:
        return replace(opened, page=value["page"])
    if value["dial"] is not None:
        return replace(opened, dial=value["dial"])
    return opened if value["picture"] is None else replace(opened, picture=value["picture"])
