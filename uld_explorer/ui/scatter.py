"""A scatter plot of described points: colours by landmark, a patch on hover, a click tells which point.

A `gr.HTML` subclass over the plotly.js that ships with plotly: no build step, no CDN, nothing leaves the machine.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from uld_explorer.ui.theme import PALETTE, STATIC


def plotly_file() -> Path:
    """The plotly.js inside the installed plotly package, without importing it."""
    from importlib.util import find_spec

    spec = find_spec("plotly")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def pack(xy: np.ndarray, label: np.ndarray, atlas: str, tile: int, columns: int, revision: str) -> dict[str, Any]:
    """What the browser needs: xy (M, 2), label (M,) from 0, an atlas with tile i for point i.

    revision: any text that changes with the data.
    """
    return {
        "x": _base64(xy[:, 0].astype("<f4")),
        "y": _base64(xy[:, 1].astype("<f4")),
        "label": _base64(label.astype("<i2")),
        "atlas": atlas,
        "tile": tile,
        "columns": columns,
        "revision": revision,
        "palette": list(PALETTE),
        "focus": None,
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


class EmbedScatter(gr.HTML):
    """The component. `data` is what `pack` returns, or None for an empty map. Emits select with {index}."""

    def __init__(self, data: dict[str, Any] | None = None, **kwargs: Any) -> None:
        file = plotly_file()
        gr.set_static_paths([file])
        script = (STATIC / "scatter.js").read_text().replace("%PLOTLY%", json.dumps(f"gradio_api/file={file}"))
        super().__init__(
            value=None,
            data=data,
            html_template=(STATIC / "scatter.html").read_text(),
            css_template=(STATIC / "scatter.css").read_text(),
            js_on_load=script,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        """The API sees an object."""
        return {"type": "object"}
