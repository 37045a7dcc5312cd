"""Pictures with their landmarks as HTML: gallery, one picture large, buttons. Pure functions of typed data.

Every name that comes from a user is escaped. Pictures are inlined, so that no file of one visitor gets an address
that another could ask for.
"""

from __future__ import annotations

import html

import numpy as np

from uld_explorer.types import ImageSet, Landmarks, PoseCodes, Regions
from uld_explorer.ui.patches import data_uri
from uld_explorer.ui.theme import colour, ink

PAGE = 48


def chips(landmarks: Landmarks, focus: int | None) -> str:
    """One button a landmark with its share of pictures; pressing one singles the landmark out."""
    rates = landmarks.seen.mean(0) * 100
    buttons = "".join(_chip(landmarks, k, rate, k == focus) for k, rate in enumerate(rates))
    return f'<div class="uld-chips" role="group" aria-label="landmarks">{buttons}</div>'


def _chip(landmarks: Landmarks, k: int, rate: float, pressed: bool) -> str:
    words = html.escape(f"{landmarks.titles[k]}, seen in {rate:.0f} % of the pictures")
    return (
        f'<button type="button" class="uld-chip" data-landmark="{k}" aria-pressed="{str(pressed).lower()}" '
        f'aria-label="{words}" title="{words}">{dot(landmarks.numbers[k])}{_name(landmarks, k)}{rate:.0f} %</button>'
    )


def _name(landmarks: Landmarks, k: int) -> str:
    """The name that a person gave; nothing for a number alone."""
    title, number = landmarks.titles[k], landmarks.numbers[k]
    return "" if title == f"landmark_{number + 1}" else f"<span>{html.escape(title)}</span>"


def dot(number: int) -> str:
    """A landmark's number (from 0) in its colour."""
    return f'<span class="uld-dot" style="background:{colour(number)};color:{ink(number)}">{number + 1}</span>'


def gallery(
    images: ImageSet, landmarks: Landmarks, page: int, focus: int | None, rows: np.ndarray | None = None
) -> str:
    """Page `page` (from 0) of numbered pictures; of those in `rows` where they are given."""
    rows = np.arange(len(images)) if rows is None else rows
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(page, 0), pages - 1)
    shown = rows[page * PAGE : (page + 1) * PAGE]
    cards = "".join(_card(images, landmarks, int(row), focus) for row in shown)
    return f'{_pager(page, pages, len(rows), len(images))}<div class="uld-gallery{_focus_class(focus)}">{cards}</div>'


def pose_chips(poses: PoseCodes | None, pose: int | None) -> str:
    """One button a pose cluster with its number of pictures; pressing one shows only those. Nothing without poses."""
    if poses is None:
        return ""
    sizes = np.bincount(poses.cluster)
    buttons = "".join(
        f'<button type="button" class="uld-chip" data-pose="{q}" aria-pressed="{str(q == pose).lower()}" '
        f'aria-label="pose cluster {q + 1}, {size} pictures">&nbsp;pose {q + 1} · {size}</button>'
        for q, size in enumerate(sizes)
        if size
    )
    return f'<div class="uld-chips uld-poses" role="group" aria-label="pose clusters">{buttons}</div>'


def _card(images: ImageSet, landmarks: Landmarks, row: int, focus: int | None) -> str:
    name = html.escape(images.names[row])
    return (
        f'<button type="button" class="uld-card" data-picture="{row}" aria-label="open {name}" title="{name}">'
        f"{_figure(images, landmarks, row, focus, 0.055)}</button>"
    )


def _focus_class(focus: int | None) -> str:
    return "" if focus is None else " uld-focus"


def _pager(page: int, pages: int, shown: int, total: int) -> str:
    of = f"{shown} of {total} pictures" if shown < total else f"{total} pictures"
    if pages == 1:
        return f'<div class="uld-pager">{of}</div>'
    first, last = page * PAGE + 1, min((page + 1) * PAGE, shown)
    before, after = _page_button(page - 1, pages, "‹ before"), _page_button(page + 1, pages, "next ›")
    return f'<div class="uld-pager">{before}<span>{first}–{last} of {of}</span>{after}</div>'


def _page_button(page: int, pages: int, text: str) -> str:
    off = "" if 0 <= page < pages else " disabled"
    return f'<button type="button" class="uld-chip" data-page="{page}"{off}>&nbsp;{text}</button>'


def _figure(
    images: ImageSet,
    landmarks: Landmarks,
    row: int,
    focus: int | None,
    radius: float,
    overlay: str = "",
    picture: bytes | None = None,
) -> str:
    """One picture with its marks as an SVG in the original's pixels; radius is a share of the longer side."""
    width, height = (int(v) for v in images.sizes[row])
    source = data_uri(picture if picture is not None else images.paths[row].read_bytes())
    r = radius * max(width, height)
    seen = landmarks.seen[row]
    shown = np.flatnonzero(landmarks.present[row])
    marks = "".join(mark(landmarks.numbers[k], landmarks.xy[row, k], r, bool(seen[k]), int(k) == focus) for k in shown)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(images.names[row])}" '
        f'preserveAspectRatio="xMidYMid meet">'
        f'<image href="{source}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
        f"{overlay}{marks}</svg>"
    )


def mark(number: int, xy: np.ndarray, r: float, seen: bool = True, on: bool = False) -> str:
    """A numbered dot of radius r as SVG; a smaller ring where the landmark was not seen but placed."""
    group = f'<g class="uld-mark{" uld-on" if on else ""}" data-mark="{number}" transform="translate({_pair(xy)})">'
    if not seen:
        ring = f'stroke="{colour(number)}" stroke-width="{r * 0.34:.3g}" stroke-dasharray="{r * 0.5:.3g} {r * 0.3:.3g}"'
        return f'{group}<circle class="uld-guess" r="{r * 0.7:.3g}" fill="#fff" fill-opacity="0.35" {ring}/></g>'
    return (
        f'{group}<circle r="{r:.3g}" fill="{colour(number)}" stroke="#fff" stroke-width="{r * 0.16:.3g}"/>'
        f'<text font-size="{r * 1.15:.3g}" fill="{ink(number)}">{number + 1}</text></g>'
    )


def _pair(xy: np.ndarray) -> str:
    return f"{xy[0]:.5g},{xy[1]:.5g}"


def large(
    images: ImageSet,
    landmarks: Landmarks,
    regions: Regions | None,
    row: int,
    focus: int | None,
    picture: bytes | None = None,
) -> str:
    """One picture, large, with its region and a table of its points.

    picture: a JPEG that is shown instead of the file.
    """
    overlay = "" if regions is None else _region_overlay(regions, row)
    figure = _figure(images, landmarks, row, focus, 0.022, overlay, picture)
    width, height = images.sizes[row]
    return (
        f'<div class="uld-large{_focus_class(focus)}"><div>{figure}</div><div><h3>{html.escape(images.names[row])}</h3>'
        f'<p class="uld-note">{width} × {height} px. '
        "The score is the likeness to the landmark's typical look, at most 1; placed: not seen.</p>"
        f"{_point_table(landmarks, row)}</div></div>"
    )


def _point_table(landmarks: Landmarks, row: int) -> str:
    lines = []
    for k in range(landmarks.xy.shape[1]):
        if landmarks.present[row, k]:
            x, y = landmarks.xy[row, k]
            score = f"{landmarks.score[row, k]:.2f}" if landmarks.seen[row, k] else "placed"
            cells = f"<td>{x:.1f}</td><td>{y:.1f}</td><td>{score}</td>"
        else:
            cells = '<td colspan="3">not found</td>'
        lines.append(f"<tr><td>{dot(landmarks.numbers[k])}</td>{cells}</tr>")
    head = "<thead><tr><th>point</th><th>x</th><th>y</th><th>score</th></tr></thead>"
    return f'<table class="uld-numbers">{head}<tbody>{"".join(lines)}</tbody></table>'


def _region_overlay(regions: Regions, row: int) -> str:
    """The region's outline, and a veil over what a foreground mask leaves out."""
    x, y, w, h = regions.boxes[row]
    cx, cy, angle = x + w / 2, y + h / 2, regions.angles[row]
    turn = f'transform="rotate({angle:.2f} {cx:.1f} {cy:.1f})"'
    veil = ""
    if regions.masks is not None:
        mask, side = regions.masks[row], max(w, h)
        cell = side / len(mask)
        left, top = cx - side / 2, cy - side / 2
        squares = "".join(
            f"M{left + c * cell:.1f} {top + r * cell:.1f}h{cell:.1f}v{cell:.1f}h-{cell:.1f}z"
            for r, c in np.argwhere(~mask)
        )
        veil = f'<path d="{squares}" fill="#000" fill-opacity="0.45" {turn}/>'
    line = max(w, h) * 0.006
    return veil + (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="none" stroke="#fff" '
        f'stroke-width="{line:.1f}" stroke-dasharray="{line * 4:.1f} {line * 3:.1f}" {turn}/>'
    )
