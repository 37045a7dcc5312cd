"""A run's state in words and a bar: waiting, running, done, failed, cancelled. Pure functions."""

from __future__ import annotations

import html

from uld_explorer.events import RunView
from uld_explorer.types import ImageSet, Report

STATES = {"waiting": "Waiting", "done": "Finished", "failed": "Failed", "cancelled": "Cancelled"}


def duration(seconds: float) -> str:
    """ "12 s", "3 min"."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"


def progress(view: RunView) -> str:
    """The state of a run for people."""
    if view.state in ("done", "failed", "cancelled"):
        text = html.escape(view.message)
        return f'<div class="uld-progress uld-{view.state}" role="status"><b>{STATES[view.state]}</b> {text}</div>'
    if view.state == "waiting" and not view.stage:
        return ""
    share = 100 * view.step / view.total if view.total else 0
    count = f" · {view.step} of {view.total}" if view.total > 1 else ""
    left = f" · about {duration(view.seconds_left)} left in this step" if view.seconds_left else ""
    note = f'<div class="uld-note">{html.escape(view.notes[-1])}</div>' if view.notes else ""
    return (
        f'<div class="uld-progress" role="status"><b>{html.escape(view.stage.capitalize())}</b>{count}{left}'
        f'<div class="uld-bar" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100">'
        f'<i style="width:{share:.0f}%"></i></div>{note}</div>'
    )


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


def numbers(report: Report | None) -> str:
    """The report as a table: forward and backward always together, the baselines beside them."""
    if report is None:
        return '<div class="uld-empty">The figures appear when a run has finished.</div>'
    figures = report.figures
    body = ""
    if figures.get("forward_nme") is None:
        body += '<p class="uld-note">Errors need annotated pictures: upload a COCO keypoints or CSV file beside the pictures. What can be measured without:</p>'
    else:
        rows = [
            ("Discovered landmarks", "forward_nme", "backward_nme"),
            ("Mean shape (no detector)", "mean_shape_nme", None),
            ("Random weights", "random_forward_nme", "random_backward_nme"),
        ]
        lines = "".join(
            f"<tr><td>{name}</td><td>{_percent(figures.get(forward))}</td><td>{_percent(figures.get(backward)) if backward else '–'}</td></tr>"
            for name, forward, backward in rows
            if figures.get(forward) is not None
        )
        body += f'<div class="uld-table-wrap"><table class="uld-numbers"><thead><tr><th>error, smaller is better</th><th>forward</th><th>backward</th></tr></thead><tbody>{lines}</tbody></table></div>'
        body += f'<p class="uld-note">{_protocol(report)}</p>'
    labels = {
        "detection_rate": ("found, share of landmarks per picture", " %"),
        "consistency": ("consistency under turning and scaling, pixels at 128, smaller is better", ""),
        "silhouette": ("Silhouette of the clusters, at most 1", ""),
        "calinski_harabasz": ("Calinski–Harabasz index of the clusters", ""),
        "hungarian_accuracy": ("annotated points met within 0.2 of the eye distance (Hungarian)", " %"),
        "seconds": ("seconds in all", ""),
    }
    lines = "".join(
        f"<tr><td>{text}</td><td>{figures[key]:.2f}{unit}</td></tr>"
        for key, (text, unit) in labels.items()
        if figures.get(key) is not None
    )
    return body + f'<div class="uld-table-wrap"><table class="uld-numbers"><tbody>{lines}</tbody></table></div>'


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} %"


def _protocol(report: Report) -> str:
    facts = report.protocol
    where = {"box": "the square root of the annotated box's area", "iod": "the distance between the eyes"}
    return (
        f"Forward: landmarks predict the annotated points; backward: the reverse. In percent of {where.get(str(facts.get('normaliser')), 'd')}. "
        f"A linear map was learned on {facts.get('regressor_images')} pictures and measured on {facts.get('test_images')} others. "
        f"Region: {html.escape(str(facts.get('roi')))}."
    )
