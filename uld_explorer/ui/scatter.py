"""A scatter plot of many points: groups in colours, a picture of each point on hover, and selection by click or lasso.

A `gr.HTML` subclass over the plotly.js that ships with plotly: no build step, no CDN, nothing leaves the machine. What
it draws comes as props (see `points_of`, `paint_of`, `mask_of`, `tiles_of`), so that a new selection sends a few bytes.
It emits select events, see static/scatter.js; anything can arrive from a browser, so whoever listens must check.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from uld_explorer.ui.theme import STATIC

TILE = 56
SOON = "The map appears when a run has finished."


def plotly_file() -> Path:
    """The plotly.js inside the installed plotly package, without importing it."""
    from importlib.util import find_spec

    spec = find_spec("plotly")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def drawing_script(name: str) -> str:
    """A script of static/ that draws with plotly.js, after what loads that from this machine."""
    file = plotly_file()
    gr.set_static_paths([file])
    loader = (STATIC / "plotly.js").read_text().replace("%PLOTLY%", json.dumps(f"gradio_api/file={file}"))
    return loader + (STATIC / name).read_text()


def points_of(xy: np.ndarray, revision: str, words: str, same: str = "") -> dict[str, Any]:
    """Where M points are: xy (M, 2).

    revision  any text that changes with the positions; `same`: one that stays while the points are the same ones, so
              that they are seen to move
    words     what the points are, such as "pictures"
    """
    return {
        "x": _base64(xy[:, 0].astype("<f4")),
        "y": _base64(xy[:, 1].astype("<f4")),
        "count": len(xy),
        "revision": revision,
        "set": same or revision,
        "words": words,
    }


def tiles_of(atlas: str, columns: int, ticket: str) -> dict[str, Any]:
    """Pictures of the points: the address of one sheet with tile i for point i, `columns` a row.

    Without one, tiles are asked for one by one with the ticket and the point's number.
    """
    return {"atlas": atlas, "columns": columns, "side": TILE, "ticket": ticket}


def paint_of(group: np.ndarray, names: Sequence[str], colours: Sequence[str], revision: str) -> dict[str, Any]:
    """Which group each of M points is in: group (M,), -1 for none; names and colours of the groups."""
    groups = [{"name": name, "colour": colour} for name, colour in zip(names, colours, strict=True)]
    return {"group": _base64(group.astype("<i2")), "groups": groups, "revision": revision}


NOTHING: dict[str, Any] = {"count": 0}
"""No points, no paint, no tiles, or nothing marked: a prop that is set to None would stay what it was."""


def mask_of(chosen: np.ndarray | None) -> dict[str, Any]:
    """A bit for each of M points, chosen (M,) bool; None: nothing is selected, so that nothing is dimmed."""
    if chosen is None:
        return NOTHING
    return {"bits": _base64(np.packbits(chosen, bitorder="little")), "count": len(chosen)}


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


class EmbedScatter(gr.HTML):
    """The component.

    title: what is on the map, for screen readers; empty: what is said where nothing is; tile(ticket, index) answers the
    address of one point's picture.
    """

    def __init__(
        self,
        title: str,
        points: dict[str, Any] | None = None,
        paint: dict[str, Any] | None = None,
        marked: dict[str, Any] | None = None,
        tiles: dict[str, Any] | None = None,
        empty: str = SOON,
        tile: Callable[[str, int], str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            value=None,
            title=title,
            points=points,
            paint=paint,
            marked=marked,
            tiles=tiles,
            empty=empty,
            html_template=(STATIC / "scatter.html").read_text(),
            css_template=(STATIC / "scatter.css").read_text(),
            js_on_load=drawing_script("scatter.js"),
            server_functions=[tile] if tile else None,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        """The API sees an object."""
        return {"type": "object"}
