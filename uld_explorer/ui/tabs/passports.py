"""The Passports tab: every landmark with its looks and figures, and what can be changed about it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from uld_explorer.analysis.figures import pose_rates
from uld_explorer.runs import Run
from uld_explorer.ui import passport_cards
from uld_explorer.ui.figure import FigureView, figure_json
from uld_explorer.ui.opened_run import open_run_data
from uld_explorer.ui.tabs.parts import Parts, Shown, Tab
from uld_explorer.ui.theme import STATIC

OUTPUTS = ("passports", "history", "undo", "redo", "pose_rates")


def build(parts: Parts) -> None:
    """Order and history above, cards below."""
    with gr.Row(elem_classes="uld-passport-bar"):
        orders = [(words, name) for name, words in passport_cards.ORDERS.items()]
        parts["order"] = gr.Dropdown(orders, value="health", label="Sorted by", scale=1, min_width=200)
        parts["history"] = gr.HTML(elem_id="history")
        parts["undo"] = gr.Button("Undo", size="md", min_width=80, scale=0)
        parts["redo"] = gr.Button("Redo", size="md", min_width=80, scale=0)
    parts["passports"] = gr.HTML(js_on_load=(STATIC / "edit.js").read_text(), elem_id="passports")
    parts["pose_rates"] = FigureView(elem_id="pose-rates")


def draw(shown: Shown) -> list[Any]:
    """All passports in their order."""
    if shown.data is None:
        off = gr.update(interactive=False)
        return [shown.nothing, "", off, off, gr.update(figure="")]
    record = shown.run.edits()
    history = passport_cards.history(len(record["edits"]), len(record["undone"]))
    buttons = [gr.update(interactive=bool(record[name])) for name in ("edits", "undone")]
    html = _cards(str(shown.run.folder), shown.data.stamp, shown.opened.order)
    figure = pose_rates(shown.data.passports) if shown.data.poses is not None else None
    return [html, history, *buttons, gr.update(figure=figure_json(figure))]


@lru_cache(maxsize=8)
def _cards(folder: str, stamp: str, order: str) -> str:
    data = open_run_data(Run(Path(folder)))
    if data is None:
        return ""
    poses = 0 if data.poses is None else int(data.poses.cluster.max()) + 1
    return passport_cards.cards(data.images, data.landmarks, data.passports, order, poses, data.edited.hidden)


TAB = Tab("passports", "Passports", build, OUTPUTS, draw, lambda shown: [gr.skip()] * len(OUTPUTS))
