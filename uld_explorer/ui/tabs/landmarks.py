"""The Landmarks tab: all pictures with their numbered points."""

from __future__ import annotations

import numpy as np

from uld_explorer.ui import gallery
from uld_explorer.ui.tabs.parts import NOT_YET, Parts, Shown, Tab, clickable


def build(parts: Parts) -> None:
    """The gallery."""
    parts["gallery"] = clickable(NOT_YET, elem_id="gallery")


def draw(shown: Shown) -> list[str]:
    """One page of pictures; of one pose cluster where one is chosen."""
    data, opened = shown.data, shown.opened
    if data is None:
        return [shown.nothing]
    rows = None
    if data.poses is not None and opened.pose is not None and (data.poses.cluster == opened.pose).any():
        rows = np.flatnonzero(data.poses.cluster == opened.pose)
    return [gallery.gallery(data.images, data.landmarks, opened.page, opened.focus, rows)]


TAB = Tab("landmarks", "Landmarks", build, ("gallery",), draw, draw)
