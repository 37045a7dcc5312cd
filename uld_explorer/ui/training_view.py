"""Training as HTML: what each round saw, a log in plain words, the estimate, and the list of runs. Pure functions."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uld_explorer.analysis.training import Round, TrainingStory
from uld_explorer.data.regions import crop_affines
from uld_explorer.estimate import Estimate
from uld_explorer.types import ImageSet, Regions
from uld_explorer.ui.gallery import mark
from uld_explorer.ui.patches import data_uri
from uld_explorer.ui.pose_cards import heat_uri
from uld_explorer.ui.status import duration

LAST_NOTES = 200


def rounds(images: ImageSet, regions: Regions, panels: Sequence[tuple[int, dict[str, np.ndarray]]]) -> str:
    """After every round the same few pictures: the heat map laid over them, and the points that were labelled."""
    return "".join(_round(images, regions, number, arrays) for number, arrays in reversed(panels))


def _round(images: ImageSet, regions: Regions, number: int, arrays: dict[str, np.ndarray]) -> str:
    title = f"Round {number}" if number else "Before training"
    affines = crop_affines(regions)
    cards = "".join(
        _panel(images, int(row), arrays["points"][i], arrays["heat"][i], affines[int(row)])
        for i, row in enumerate(arrays["rows"])
    )
    return f'<section class="uld-round"><h4>{title}</h4><div>{cards}</div></section>'


def _panel(images: ImageSet, row: int, points: np.ndarray, heat: np.ndarray, affine: np.ndarray) -> str:
    width, height = (int(v) for v in images.sizes[row])
    (a, c, e), (b, d, f) = affine + 0.0  # no negative zeros
    marks = "".join(mark(k, xy, 0.03 * max(width, height)) for k, xy in enumerate(points) if np.isfinite(xy).all())
    name = html.escape(images.names[row])
    picture = f'<image href="{data_uri(images.paths[row].read_bytes())}" width="{width}" height="{height}"/>'
    over = (
        f'<image href="{heat_uri(heat, alpha=True)}" width="1" height="1" preserveAspectRatio="none" '
        f'transform="matrix({a:.5g} {b:.5g} {c:.5g} {d:.5g} {e:.5g} {f:.5g})" opacity="0.75"/>'
    )
    view = f'viewBox="0 0 {width} {height}" role="img" aria-label="{name}"'
    return f'<svg {view} preserveAspectRatio="xMidYMid slice">{picture}{over}{marks}</svg>'


def log(story: TrainingStory) -> str:
    """What was said, the latest first, with the time of day."""
    if not story.notes:
        return ""
    lines = "".join(
        f"<li><time>{time.strftime('%H:%M:%S', time.localtime(when))}</time> {html.escape(text)}</li>"
        for when, text in reversed(story.notes[-LAST_NOTES:])
    )
    return f'<ol class="uld-log" reversed tabindex="0" aria-label="Log, the latest first">{lines}</ol>'


def round_table(rounds: Sequence[Round]) -> str:
    """The figures of every round, and the sizes of the pose clusters."""
    if not rounds:
        return ""
    rows = "".join(
        f"<tr><td>{each.number}</td><td>{_share(each.figures.get('found'))}</td>"
        f"<td>{_share(each.figures.get('churn'))}</td><td>{_number(each.figures.get('silhouette'))}</td>"
        f"<td>{', '.join(map(str, each.pose_sizes)) or '–'}</td></tr>"
        for each in rounds
    )
    head = "<tr><th>round</th><th>found</th><th>changed</th><th>silhouette</th><th>pictures a pose</th></tr>"
    table = f'<table class="uld-numbers"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f'<div class="uld-table-wrap">{table}</div>'


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def estimated(estimate: Estimate, pictures: int) -> str:
    """Time, memory and disk in words, the parts of the time as bars."""
    total = max(estimate.seconds, 1e-9)
    parts = "".join(
        f"<div><dt>{name}</dt><dd>{duration(seconds)} <span class='uld-bar'>"
        f"<i style='width:{100 * seconds / total:.0f}%'></i></span></dd></div>"
        for name, seconds in estimate.parts.items()
    )
    return (
        f'<div class="uld-estimate" role="status"><b>About {duration(estimate.seconds)}</b> for {pictures} pictures, '
        f"{size(estimate.memory)} of memory, {size(estimate.disk)} on disk. "
        '<span class="uld-note">From a probe of a few pictures; good to a factor of two or three on a quiet machine.'
        f'</span><dl class="uld-dl">{parts}</dl></div>'
    )


def size(count: float) -> str:
    """ "12 MB", "3.4 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"


# ---------------------------------------------------------------- runs


@dataclass(frozen=True)
class ListedRun:
    """A run in the list: its id and title, what it is in one word, facts in words, bytes on disk, when it was made."""

    id: str
    title: str
    state: str
    facts: str
    bytes: float
    opened: bool

    @property
    def can_resume(self) -> bool:
        """Whether it stopped before its end."""
        return self.state in ("paused", "cancelled", "interrupted", "failed")


def run_list(runs: Sequence[ListedRun]) -> str:
    """All runs of a visitor, each with what can be done with it."""
    if not runs:
        return (
            '<div class="uld-empty">No runs of your own yet. Choose pictures and press <b>Discover landmarks</b>.</div>'
        )
    rows = "".join(_run(run) for run in runs)
    head = "<tr><th>run</th><th>state</th><th>size</th><th></th></tr>"
    return (
        f'<div class="uld-table-wrap"><table class="uld-runs"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )


def _run(run: ListedRun) -> str:
    title = html.escape(run.title)

    def button(what: str, words: str) -> str:
        label = f'aria-label="{words} {title}"'
        return (
            f'<button type="button" data-do="{what}" data-run="{run.id}" data-title="{title}" {label}>{words}</button>'
        )

    buttons = button("open", "Open") + (button("resume", "Resume") if run.can_resume else "")
    buttons += button("rename", "Rename") + ("" if run.state in ("running", "waiting") else button("remove", "Delete"))
    mark = ' aria-current="true"' if run.opened else ""
    return (
        f"<tr{mark}><td><b>{title}</b><div class='uld-note'>{html.escape(run.facts)}</div></td>"
        f'<td><span class="uld-state uld-is-{run.state}">{run.state}</span></td><td>{size(run.bytes)}</td>'
        f'<td class="uld-actions">{buttons}</td></tr>'
    )
