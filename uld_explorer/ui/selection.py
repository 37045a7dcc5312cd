"""What is selected on the maps, small enough for an address: polygons, single points and whole groups of one map.

Anything can arrive from a browser: every number is checked, and what is not understood is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from uld_explorer.analysis.colouring import Colouring
from uld_explorer.analysis.projection import in_polygons
from uld_explorer.mapping import Placed

MAPS = ("keypoints", "poses")
MOST_CORNERS, MOST_POLYGONS, MOST_PICKS = 400, 8, 200
Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Selection:
    """on: keypoints, poses, or empty for nothing; polygons on that map; numbers of picked points; numbers of groups."""

    on: str = ""
    polygons: tuple[Corners, ...] = ()
    picks: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.on and (self.polygons or self.picks or self.groups))

    def mask(self, placed: Placed, colouring: Colouring) -> np.ndarray:
        """(P,) bool: which points of its map are selected; the colouring is the one that the groups were chosen in."""
        chosen = in_polygons(placed.xy, [np.array(polygon) for polygon in self.polygons])
        chosen |= np.isin(colouring.group, self.groups)
        picks = [pick for pick in self.picks if pick < len(chosen)]
        chosen[picks] = True
        return chosen

    def to_query(self) -> dict[str, str]:
        """Texts for an address; nothing where nothing is selected."""
        if not self:
            return {}
        shapes = ";".join(",".join(f"{v:.4g}" for corner in polygon for v in corner) for polygon in self.polygons)
        parts = {"on": self.on, "lasso": shapes, "picks": _joined(self.picks), "groups": _joined(self.groups)}
        return {name: text for name, text in parts.items() if text}

    @classmethod
    def from_query(cls, query: dict[str, str]) -> Selection:
        """The inverse of `to_query`; nothing where an address holds something else."""
        on = query.get("on", "")
        try:
            numbers = [[float(v) for v in part.split(",")] for part in query.get("lasso", "").split(";") if part]
            polygons = [corners(list(zip(part[::2], part[1::2], strict=True))) for part in numbers]
            picks = tuple(int(v) for v in query.get("picks", "").split(",") if v)
            groups = tuple(int(v) for v in query.get("groups", "").split(",") if v)
        except ValueError:
            return cls()
        if on not in MAPS or not all(polygons) or any(v < 0 for v in (*picks, *groups)):
            return cls()
        return cls(on, tuple(p for p in polygons if p)[:MOST_POLYGONS], picks[:MOST_PICKS], groups[:MOST_PICKS])


def _joined(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def corners(value: Any) -> Corners | None:
    """A polygon of 3 to MOST_CORNERS corners; None for anything else. A longer one is thinned out."""
    if not isinstance(value, list) or not 3 <= len(value) <= 20_000:
        return None
    step = -(-len(value) // MOST_CORNERS)
    found = []
    for pair in value[::step]:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(_is_number(v) for v in pair):
            return None
        found.append((float(pair[0]), float(pair[1])))
    return tuple(found) if len(found) >= 3 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e6


def after(before: Selection, on: str, event: Any) -> Selection:
    """The selection after a select event of the map `on`. What is added extends a selection on the same map."""
    kind = getattr(event, "kind", None)
    if kind == "clear":
        return Selection()
    base = before if getattr(event, "add", None) is True and before.on == on else Selection(on)
    if kind == "lasso":
        polygon = corners(getattr(event, "polygon", None))
        return before if polygon is None else replace(base, polygons=(*base.polygons, polygon)[-MOST_POLYGONS:])
    name, field = {"click": ("index", "picks"), "group": ("group", "groups")}.get(str(kind), ("", ""))
    number = getattr(event, name, None) if name else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 10**7:
        return before
    known = getattr(base, field)
    numbers = tuple(v for v in known if v != number) if number in known else (*known, number)
    values = numbers[-MOST_PICKS:]
    changed = replace(base, picks=values) if field == "picks" else replace(base, groups=values)
    return changed if changed else Selection()
