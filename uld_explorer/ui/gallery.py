"""Pictures with their landmarks as HTML: gallery, one picture large, strips of patches. Pure functions of typed data.

Every name that comes from a user is escaped. Pictures are inlined, so that no file of one visitor gets an address
that another could ask for.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from uld_explorer.types import ImageSet, Landmarks, PoseCodes, Regions
from uld_explorer.ui.theme import colour, ink

PAGE = 48
PATCH = 56
PATCHES = 24


def data_uri(data: bytes) -> str:
    """A JPEG as an address that needs no request."""
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def chips(landmarks: Landmarks, focus: int | None) -> str:
    """One button a landmark with its share of pictures; pressing one singles the landmark out."""
    rates = landmarks.seen.mean(0) * 100
    buttons = "".join(_chip(k, rate, k == focus) for k, rate in enumerate(rates))
    return f'<div class="uld-chips" role="group" aria-label="landmarks">{buttons}</div>'


def _chip(k: int, rate: float, pressed: bool) -> str:
    words = f"landmark {k + 1}, found in {rate:.0f} % of the pictures"
    return (
        f'<button type="button" class="uld-chip" data-landmark="{k}" aria-pressed="{str(pressed).lower()}" '
        f'aria-label="{words}" title="{words}">{_dot(k)}{rate:.0f} %</button>'
    )


def _dot(k: int) -> str:
    return f'<span class="uld-dot" style="background:{colour(k)};color:{ink(k)}">{k + 1}</span>'


def gallery(
    images: ImageSet,
    landmarks: Landmarks,
    page: int,
    focus: int | None,
    poses: PoseCodes | None = None,
    pose: int | None = None,
) -> str:
    """Page `page` (from 0) of numbered pictures; of one pose cluster only where one is chosen."""
    known = poses is not None and pose is not None
    rows = np.flatnonzero(poses.cluster == pose) if poses is not None and known else np.arange(len(images))
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(page, 0), pages - 1)
    shown = rows[page * PAGE : (page + 1) * PAGE]
    cards = "".join(_card(images, landmarks, int(row), focus) for row in shown)
    head = pose_chips(poses, pose if known else None) + _pager(page, pages, len(rows))
    return f'{head}<div class="uld-gallery{_focus_class(focus)}">{cards}</div>'


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


def _pager(page: int, pages: int, total: int) -> str:
    if pages == 1:
        return f'<div class="uld-pager">{total} pictures</div>'
    first, last = page * PAGE + 1, min((page + 1) * PAGE, total)
    before, after = _page_button(page - 1, pages, "‹ before"), _page_button(page + 1, pages, "next ›")
    return f'<div class="uld-pager">{before}<span>{first}–{last} of {total} pictures</span>{after}</div>'


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
    marks = "".join(_mark(int(k), landmarks.xy[row, k], r, focus, bool(seen[k])) for k in shown)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(images.names[row])}" '
        f'preserveAspectRatio="xMidYMid meet">'
        f'<image href="{source}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
        f"{overlay}{marks}</svg>"
    )


def _mark(k: int, xy: np.ndarray, r: float, focus: int | None, seen: bool) -> str:
    """A numbered dot; a smaller ring where the landmark was not seen but placed."""
    on = " uld-on" if k == focus else ""
    group = f'<g class="uld-mark{on}" data-mark="{k}" transform="translate({xy[0]:.1f},{xy[1]:.1f})">'
    if not seen:
        ring = f'stroke="{colour(k)}" stroke-width="{r * 0.34:.1f}" stroke-dasharray="{r * 0.5:.1f} {r * 0.3:.1f}"'
        return f'{group}<circle class="uld-guess" r="{r * 0.7:.1f}" fill="#fff" fill-opacity="0.35" {ring}/></g>'
    return (
        f'{group}<circle r="{r:.1f}" fill="{colour(k)}" stroke="#fff" stroke-width="{r * 0.16:.1f}"/>'
        f'<text font-size="{r * 1.15:.1f}" fill="{ink(k)}">{k + 1}</text></g>'
    )


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
        lines.append(f"<tr><td>{_dot(k)}</td>{cells}</tr>")
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


# ---------------------------------------------------------------- patches


def cut(picture: Image.Image, size: np.ndarray, xy: np.ndarray, share: float) -> Image.Image:
    """The square around a point, `share` of the shorter side, as PATCH pixels.

    picture: the original or a smaller copy of it; size (2,) and xy (2,) in pixels of the original.
    """
    half = share * min(picture.size) / 2
    x, y = xy * picture.width / size[0]
    box = (round(x - half), round(y - half), round(x + half), round(y + half))
    return picture.crop(box).resize((PATCH, PATCH), Image.Resampling.BILINEAR)


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def strips(images: ImageSet, landmarks: Landmarks, only: int | None) -> str:
    """For each landmark (or one) a row of patches across pictures, the most typical first."""
    shown = range(landmarks.xy.shape[1]) if only is None else [only]
    return "".join(_strip(images, landmarks, k, PATCHES if only is None else 4 * PATCHES) for k in shown)


def _strip(images: ImageSet, landmarks: Landmarks, k: int, count: int) -> str:
    found = np.flatnonzero(landmarks.seen[:, k])
    rate = len(found) / max(1, len(landmarks)) * 100
    # Evenly from the most typical to the least: a strip of best examples alone would flatter.
    order = found[np.argsort(-landmarks.score[found, k])]
    rows = order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).astype(int))] if len(order) else []
    tiles = "".join(_tile(images, row, k, landmarks.xy[row, k]) for row in rows)
    bar = f'<span class="uld-bar"><i style="width:{rate:.0f}%"></i></span>'
    head = f"{_dot(k)}<b>Landmark {k + 1}</b> found in {rate:.0f} % {bar}"
    # The row scrolls sideways: only what takes the focus can be scrolled with the keyboard.
    label = f'role="group" aria-label="patches of landmark {k + 1}" tabindex="0"'
    return (
        f'<div class="uld-strip"><div class="uld-strip-head">{head}</div>'
        f'<div class="uld-strip-row" {label}>{tiles}</div></div>'
    )


def _tile(images: ImageSet, row: int, k: int, xy: np.ndarray) -> str:
    name = html.escape(images.names[row])
    patch = data_uri(_jpeg(cut(_open(images.paths[row]), images.sizes[row], xy, 0.22)))
    return f'<img alt="landmark {k + 1} in {name}" title="{name}" src="{patch}"/>'


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def atlas(images: ImageSet, xy: np.ndarray, rows: Sequence[int] | np.ndarray, columns: int = 64) -> str:
    """One sheet of patches, PATCH pixels each, for hovering over a map: point i is tile i, row by row."""
    sheet = Image.new("RGB", (columns * PATCH, -(-len(rows) // columns) * PATCH))
    opened: dict[int, Image.Image] = {}
    for index in np.argsort(np.asarray(rows), kind="stable"):
        row = int(rows[index])
        if row not in opened:
            opened.clear()
            opened[row] = _open(images.paths[row])
        tile = cut(opened[row], images.sizes[row], xy[index], 0.3)
        sheet.paste(tile, (index % columns * PATCH, index // columns * PATCH))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=60)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
