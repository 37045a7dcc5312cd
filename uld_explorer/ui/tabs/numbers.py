"""The Numbers tab: every figure of the run, as tables and curves."""

from __future__ import annotations

from typing import Any

import gradio as gr

from uld_explorer.analysis import figures
from uld_explorer.measuring import by_yaw
from uld_explorer.ui import status
from uld_explorer.ui.figure import FigureView, figure_json
from uld_explorer.ui.tabs.parts import Parts, Shown, Tab

OUTPUTS = ("numbers", "ced", "yaw_errors")


def build(parts: Parts) -> None:
    """Tables, then curves."""
    parts["numbers"] = gr.HTML(elem_id="numbers")
    with gr.Row(equal_height=False):
        for name in ("ced", "yaw_errors"):
            with gr.Column(min_width=280):
                parts[name] = FigureView(elem_id=name)


def draw(shown: Shown) -> list[Any]:
    """The report of the run."""
    report = None if shown.data is None else shown.data.report
    ced = figures.error_curves(report) if report and report.tables.get("forward_ced") else None
    ranges = by_yaw(report) if report else []
    yaw = figures.yaw_errors(ranges) if ranges else None
    curves = [gr.update(figure=figure_json(figure)) for figure in (ced, yaw)]
    return [status.numbers(report, shown.run.edits()["edits"]), *curves]


TAB = Tab("numbers", "Numbers", build, OUTPUTS, draw, lambda shown: [gr.skip()] * len(OUTPUTS))
