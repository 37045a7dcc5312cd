"""A run's state in words and a bar: waiting, running, done, failed, cancelled. Pure functions."""

from __future__ import annotations

import html
from collections.abc import Sequence

from uld_explorer.events import RunView
from uld_explorer.types import ImageSet, Report

STATES = {"done": "Finished", "failed": "Failed", "cancelled": "Cancelled", "paused": "Paused"}
EDITED = "These figures are of the landmarks as they were found, before they were edited."


def duration(seconds: float) -> str:
    """ "12 s", "3 min"."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"


def progress(view: RunView) -> str:
    """The state of a run for people."""
    if view.state in STATES:
        text = html.escape(view.message)
        return f'<div class="uld-progress uld-{view.state}" role="status"><b>{STATES[view.state]}</b> {text}</div>'
    if view.state == "waiting" and not view.stage:
        return ""
    count = f" · {view.step} of {view.total}" if view.total > 1 else ""
    left = f" · about {duration(view.seconds_left)} left in this step" if view.seconds_left else ""
    if view.seconds_left and view.whole_left and view.whole_left > 1.2 * view.seconds_left:
        left += f", {duration(view.whole_left)} until training ends"
    note = f'<div class="uld-note">{html.escape(view.notes[-1])}</div>' if view.notes else ""
    stage = html.escape(view.stage[:1].upper() + view.stage[1:])
    return f'<div class="uld-progress" role="status"><b>{stage}</b>{count}{left}{_bar(view, stage)}{note}</div>'


def _bar(view: RunView, label: str) -> str:
    """A progress bar; without a value where it is not known how much there is to do."""
    share = 100 * view.step / view.total if view.total else 0
    value = f' aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100"' if view.total else ""
    bar = f'<i style="width:{share:.0f}%"></i>'
    return f'<div class="uld-bar" role="progressbar" aria-label="{label}"{value}>{bar}</div>'


def accepted(images: ImageSet) -> str:
    """What was accepted and what was skipped, each with its reason."""
    annotated = images.annotations is not None and int(images.annotations.annotated.sum())
    more = f", {annotated} of them annotated" if annotated else ""
    text = f'<div class="uld-note"><b>{len(images)} pictures ready</b>{more}.'
    if not images.skipped:
        return text + "</div>"
    lines = "".join(f"<li><b>{html.escape(s.name)}</b>: {html.escape(s.reason)}</li>" for s in images.skipped[:200])
    more = "" if len(images.skipped) <= 200 else f"<li>and {len(images.skipped) - 200} more</li>"
    return f'{text} {len(images.skipped)} skipped:<ul class="uld-list">{lines}{more}</ul></div>'


def facts(info: dict, settings: dict) -> str:
    """One line about a run."""
    parts = [
        f"<span><b>{html.escape(str(info.get('source', '')))}</b></span>",
        f"<span><b>{info.get('images', 0)}</b> pictures</span>",
        f"<span>method <b>{html.escape(str(info.get('method', '')))}</b></span>",
        f"<span>backbone <b>{html.escape(str(settings.get('backbone', '')).rsplit('/', 1)[-1])}</b></span>",
        f"<span><b>{settings.get('landmarks', '')}</b> landmarks</span>",
        f"<span>region <b>{html.escape(str(settings.get('roi', '')).rsplit('/', 1)[-1])}</b></span>",
    ]
    return f'<div class="uld-facts">{"".join(parts)}</div>'


UNMEASURED = (
    "Errors need annotated pictures: upload a COCO keypoints or CSV file beside the pictures. "
    "What can be measured without:"
)
ERRORS = (
    ("Discovered landmarks", "forward_nme", "backward_nme"),
    ("Mean shape (no detector)", "mean_shape_nme", None),
    ("Random weights", "random_forward_nme", "random_backward_nme"),
)
"""A row's name, its forward and its backward figure; the mean shape detects nothing, so that it has no backward one."""
OTHERS = (
    ("found, share of landmarks per picture", "detection_rate", " %"),
    ("consistency under turning and scaling, pixels at 128, smaller is better", "consistency", ""),
    ("Silhouette of the clusters, at most 1", "silhouette", ""),
    ("Calinski–Harabasz index of the clusters", "calinski_harabasz", ""),
    ("annotated points met within a fifth of {distance} (Hungarian)", "hungarian_accuracy", " %"),
    ("seen, not only placed where they must be, share of landmarks per picture", "seen_rate", " %"),
    ("pose clusters that follow the annotated yaw (five ranges), share of pictures", "pose_accuracy", " %"),
    ("what pose codes know of the annotated yaw (R², at most 1)", "yaw_r2", ""),
    ("seconds in all", "seconds", ""),
)


DISTANCES = {"box": "the square root of the annotated box's area", "iod": "the distance between the eyes"}


def numbers(report: Report | None, edits: Sequence[object] = ()) -> str:
    """The report as a table: forward and backward always together, the baselines beside them."""
    if report is None:
        return '<div class="uld-empty">The figures appear when a run has finished.</div>'
    figures = report.figures
    measured = None not in (figures.get("forward_nme"), figures.get("backward_nme"))
    errors = _errors(report) if measured else f'<p class="uld-note">{UNMEASURED}</p>'
    lines = "".join(
        f"<tr><td>{text.format(distance=_distance(report, 'hungarian_normaliser'))}</td>"
        f"<td>{figures[key]:.2f}{unit}</td></tr>"
        for text, key, unit in OTHERS
        if figures.get(key) is not None
    )
    note = f'<p class="uld-note">{EDITED}</p>' if edits else ""
    return note + errors + _table(f"<tbody>{lines}</tbody>")


def _errors(report: Report) -> str:
    figures = report.figures
    lines = "".join(
        f"<tr><td>{name}</td><td>{_percent(figures.get(forward))}</td>"
        f"<td>{_percent(figures.get(backward) if backward else None)}</td></tr>"
        for name, forward, backward in ERRORS
        if figures.get(forward) is not None and (backward is None or figures.get(backward) is not None)
    )
    head = "<thead><tr><th>error, smaller is better</th><th>forward</th><th>backward</th></tr></thead>"
    return _table(f"{head}<tbody>{lines}</tbody>") + f'<p class="uld-note">{_protocol(report)}</p>'


def _table(rows: str) -> str:
    return f'<div class="uld-table-wrap"><table class="uld-numbers">{rows}</table></div>'


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} %"


def _distance(report: Report, key: str) -> str:
    return DISTANCES.get(str(report.protocol.get(key)), "the protocol's distance")


def _protocol(report: Report) -> str:
    facts = report.protocol
    return (
        "Forward: landmarks predict the annotated points; backward: the reverse. "
        f"In percent of {_distance(report, 'normaliser')}. "
        f"A linear map was learned on {facts.get('regressor_images')} pictures "
        f"and measured on {facts.get('test_images')} others. "
        f"Region: {html.escape(str(facts.get('roi')))}."
    )
