"""What points of a map can be coloured by: values become a few named groups, in colours that fit their kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8c564b",
    "#f0e442",
    "#6a3d9a",
    "#7f7f7f",
)
"""Okabe and Ito's colour-blind-safe colours and four more; number k has colour k everywhere, and its number tells
repeats apart."""
NONE = "#9aa0a6"
RISING = ("#440154", "#443a83", "#31688e", "#21918c", "#35b779", "#90d743", "#e0c91f")
"""From little to much, readable without telling hues apart (after Viridis, its palest end darkened)."""
BOTH_WAYS = ("#8c2d04", "#d9671b", "#e8a951", "#9aa0a6", "#6fb0d8", "#2f7fbc", "#08306b")
"""From one side over nothing to the other."""
MOST_GROUPS = 12


@dataclass(frozen=True)
class Colouring:
    """group (M,) int, -1 for none; names and colours of the groups."""

    group: np.ndarray
    names: tuple[str, ...]
    colours: tuple[str, ...]

    def take(self, rows: np.ndarray) -> Colouring:
        """The same groups for the points in `rows`."""
        return Colouring(self.group[rows], self.names, self.colours)


def by_number(group: np.ndarray, names: Sequence[str], numbers: Sequence[int] = ()) -> Colouring:
    """Numbered things such as landmarks or pose clusters: group (M,) from 0, -1 for none.

    numbers: those that they are called by, where these are not 0, 1 ...
    """
    called = numbers or range(len(names))
    return Colouring(group, tuple(names), tuple(PALETTE[k % len(PALETTE)] for k in called))


def by_value(values: np.ndarray, digits: int = 2, symmetric: bool = False) -> Colouring:
    """Numbers (M,) in seven equal steps; those that are not finite have a group of their own.

    symmetric: the steps lie evenly about 0, as for angles.
    """
    known = np.isfinite(values)
    if not known.any():
        return Colouring(np.zeros(len(values), int), ("unknown",), (NONE,))
    low, high = float(values[known].min()), float(values[known].max())
    if symmetric:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    colours = BOTH_WAYS if symmetric else RISING
    edges = np.linspace(low, high, len(colours) + 1)
    group = np.clip(np.digitize(np.where(known, values, low), edges[1:-1]), 0, len(colours) - 1)
    names = [f"{a:.{digits}f} … {b:.{digits}f}" for a, b in pairwise(edges)]
    if known.all():
        return Colouring(group, tuple(names), colours)
    return Colouring(np.where(known, group, len(colours)), (*names, "unknown"), (*colours, NONE))


def by_folder(names: Sequence[str]) -> Colouring:
    """The first folder in each picture's name; the commonest, and all others together."""
    folders = [name.split("/")[0] if "/" in name else "no folder" for name in names]
    common = [folder for folder, _ in Counter(folders).most_common(MOST_GROUPS - 1)]
    rest = any(folder not in common for folder in folders)
    group = np.array([common.index(folder) if folder in common else len(common) for folder in folders])
    titles = (*common, "others") if rest else tuple(common)
    return Colouring(group, titles, tuple(PALETTE[k % len(PALETTE)] for k in range(len(titles))))
