"""A plotly Figure on the page, in the page's colours, drawn by the plotly.js that ships with plotly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from uld_explorer.ui.scatter import drawing_script
from uld_explorer.ui.theme import STATIC

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class FigureView(gr.HTML):
    """The component. figure: the JSON of a Figure (see `figure_json`); empty: what is said where there is none."""

    def __init__(self, figure: str = "", empty: str = "", **kwargs: Any) -> None:
        script = drawing_script("figure.js")
        html = (STATIC / "figure.html").read_text()
        super().__init__(value=None, figure=figure, empty=empty, html_template=html, js_on_load=script, **kwargs)

    def api_info(self) -> dict[str, Any]:
        """The API sees an object."""
        return {"type": "object"}


def figure_json(figure: Figure | None) -> str:
    """The figure as text; empty for none."""
    return "" if figure is None else str(figure.to_json())
