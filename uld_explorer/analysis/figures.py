"""Figures for people: from typed data to plotly Figures, for the page and for notebooks. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from uld_explorer.analysis.passports import Passport
from uld_explorer.analysis.training import ROUND_FIGURES, TrainingStory
from uld_explorer.types import Report

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#6a3d9a", "#7f7f7f")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SCALE = [[0.0, "#f4f5fb"], [0.5, "#8f93e0"], [1.0, "#2b2a8c"]]
"""From nothing to everything, in one hue: readable without telling colours apart."""
WORDS = {"found": "landmarks found", "churn": "labels that changed", "silhouette": "silhouette of the clusters"}


def _figure(title: str, x: str, y: str) -> Figure:
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.update_layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "paper"},
        xaxis_title=x,
        yaxis_title=y,
        margin={"l": 54, "r": 14, "t": 40, "b": 100},
        legend={"orientation": "h", "yanchor": "top", "y": -0.3, "x": 0},
        template="none",
        height=320,
        font={"size": 12},
    )
    return figure


def loss_curves(story: TrainingStory) -> Figure:
    """Every loss over the training steps of all phases, one after the other; each phase begins at a thin line."""
    from plotly.graph_objects import Scatter

    figure, start = _figure("Losses", "training step", "loss (log)"), 0
    names = list(dict.fromkeys(name for phase in story.phases for name in phase.losses))
    curves: dict[str, tuple[list[float], list[float | None]]] = {name: ([], []) for name in names}
    for phase in story.phases:
        for name, values in phase.losses.items():
            x, y = curves[name]
            x += [start + step for step in phase.steps] + [start + phase.total]
            y += [*values, None]  # a gap between phases
        if start:
            figure.add_vline(start, line_width=1, line_dash="dot", line_color="#999")
        start += phase.total
    for index, (name, (x, y)) in enumerate(curves.items()):
        line = {"color": COLOURS[index % len(COLOURS)], "dash": DASHES[index % len(DASHES)], "width": 2}
        figure.add_trace(Scatter(x=x, y=y, name=name, mode="lines", line=line))
    figure.update_yaxes(type="log", nticks=6)
    return figure


def round_curves(story: TrainingStory) -> Figure:
    """Share of landmarks found, of labels changed, and the clusters' silhouette after every round."""
    from plotly.graph_objects import Scatter

    figure = _figure("After every round", "round", "0 … 1")
    for index, name in enumerate(ROUND_FIGURES):
        known = [(each.number, each.figures[name]) for each in story.rounds if name in each.figures]
        if known:
            x, y = zip(*known, strict=True)
            line = {"color": COLOURS[index], "dash": DASHES[index], "width": 2}
            figure.add_trace(Scatter(x=x, y=y, name=WORDS[name], mode="lines+markers", line=line))
    figure.update_yaxes(range=[min(0.0, _lowest(story)), 1.02])
    figure.update_xaxes(dtick=1)
    return figure


def _lowest(story: TrainingStory) -> float:
    return min((value for each in story.rounds for value in each.figures.values()), default=0.0)


def mixing_weights(weights: dict[str, float]) -> Figure:
    """The aggregation network's soft-max weights, layer by timestep ("up0@t20"), as a heat map in percent."""
    from plotly.graph_objects import Heatmap

    blocks = sorted({name.split("@")[0] for name in weights})
    times = sorted({name.split("@")[-1] for name in weights}, key=lambda text: int(text.lstrip("t")))
    share = np.full((len(blocks), len(times)), np.nan)
    for name, value in weights.items():
        block, time = name.split("@")
        share[blocks.index(block), times.index(time)] = 100 * value
    text = [[f"{value:.0f} %" if np.isfinite(value) else "" for value in row] for row in share]
    figure = _figure("What the network listens to", "timestep of the diffusion model", "layer")
    heat = Heatmap(z=share, x=times, y=blocks, zmin=0, zmax=100, text=text, texttemplate="%{text}", colorscale=SCALE)
    figure.add_trace(heat.update(showscale=False))
    return figure


def pose_rates(passports: Sequence[Passport]) -> Figure:
    """In how many pictures of each pose cluster every landmark is seen, as a heat map in percent."""
    from plotly.graph_objects import Heatmap

    share = np.array([100 * passport.by_pose for passport in passports])
    poses = [f"pose {q + 1}" for q in range(share.shape[1])] if share.ndim == 2 else []
    text = [[f"{value:.0f}" if np.isfinite(value) else "" for value in row] for row in share]
    figure = _figure("Seen in percent of each pose's pictures", "", "")
    names = [passport.name for passport in passports]
    heat = Heatmap(z=share, x=poses, y=names, zmin=0, zmax=100, text=text, texttemplate="%{text}", colorscale=SCALE)
    figure.add_trace(heat.update(showscale=False))
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def error_curves(report: Report) -> Figure:
    """Cumulative error curves (CED): the mean of the best 1, 2 ... landmarks; the last value is the error itself."""
    from plotly.graph_objects import Scatter

    figure = _figure("Cumulative error", "number of points, best first", "mean error, %")
    for index, (key, name) in enumerate((("forward_ced", "forward"), ("backward_ced", "backward"))):
        values = report.tables.get(key, [])
        if values:
            line = {"color": COLOURS[index], "dash": DASHES[index], "width": 2}
            x = list(range(1, len(values) + 1))
            figure.add_trace(Scatter(x=x, y=values, name=name, mode="lines+markers", line=line))
    figure.update_yaxes(rangemode="tozero")
    return figure


def yaw_errors(ranges: Sequence[dict[str, float | None]]) -> Figure:
    """Forward and backward error in each range of the annotated yaw, from `measuring.by_yaw`."""
    from plotly.graph_objects import Bar

    figure = _figure("Error by yaw", "annotated yaw, degrees", "mean error, %")
    labels = [f"{each['from']:.0f}…{each['to']:.0f}" for each in ranges]
    for index, name in enumerate(("forward", "backward")):
        errors = [each[f"{name}_nme"] for each in ranges]
        figure.add_trace(Bar(x=labels, y=errors, name=name, marker_color=COLOURS[index]))
    figure.update_layout(barmode="group", xaxis={"tickangle": 0, "tickfont": {"size": 10}})
    return figure
