"""Landmark passports as HTML: patches, figures, health, and what a person can change. Pure functions of typed data."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from uld_explorer.analysis.passports import Passport
from uld_explorer.types import ImageSet, Landmarks
from uld_explorer.ui.gallery import dot
from uld_explorer.ui.patches import PATCH, cut, data_uri, jpeg, open_picture
from uld_explorer.ui.theme import colour

EXAMPLES = 6
ORDERS = {"health": "health, weakest first", "number": "number", "seen": "how often seen"}
ROWS = {"best": "most typical", "median": "ordinary", "worst": "least typical"}


def ordered(passports: Sequence[Passport], order: str) -> list[int]:
    """Places of the passports in the order that was asked for."""
    keys = {"health": lambda k: passports[k].health, "seen": lambda k: -passports[k].seen}
    return sorted(range(len(passports)), key=keys.get(order, lambda k: k))


def cards(
    images: ImageSet,
    landmarks: Landmarks,
    passports: Sequence[Passport],
    order: str,
    poses: int = 0,
    hidden: dict[int, str] | None = None,
) -> str:
    """All passports, the hidden landmarks below. poses: how many pose clusters there are."""
    body = "".join(_card(images, landmarks, passports, k, poses) for k in ordered(passports, order))
    return f'<div class="uld-passports">{body}</div>{_hidden(hidden or {})}'


def _card(images: ImageSet, landmarks: Landmarks, passports: Sequence[Passport], k: int, poses: int) -> str:
    passport, number = passports[k], landmarks.numbers[k]
    examples = passport.examples(EXAMPLES)
    strips = "".join(_strip(images, landmarks, k, ROWS[name], rows) for name, rows in examples.items())
    name = html.escape(passport.name)
    return (
        f'<article class="uld-passport" aria-label="landmark {name}" data-passport="{number}">'
        f"<header>{dot(number)}"
        f'<input class="uld-name" data-rename="{number}" value="{name}" maxlength="60" aria-label="its name"/>'
        f"{_health(passport.health)}</header>{strips}{_facts(passport, landmarks)}{_poses(passport, number)}"
        f"{_tools(landmarks, k, poses)}</article>"
    )


def _health(value: float) -> str:
    word = "good" if value >= 60 else "fair" if value >= 35 else "weak"
    title = "Geometric mean of being seen, steady under turning, and distinct from the others; 100 is best"
    return (
        f'<span class="uld-health" title="{title}"><span class="uld-bar"><i style="width:{value:.0f}%"></i></span>'
        f"<b>{value:.0f}</b> {word}</span>"
    )


def _strip(images: ImageSet, landmarks: Landmarks, k: int, words: str, rows: np.ndarray) -> str:
    tiles = "".join(_tile(images, int(row), landmarks.xy[row, k]) for row in rows)
    empty = '<span class="uld-note">seen nowhere</span>' if not len(rows) else ""
    return f'<div class="uld-examples"><span class="uld-note">{words}</span><div>{tiles}{empty}</div></div>'


def _tile(images: ImageSet, row: int, xy: np.ndarray) -> str:
    name = html.escape(images.names[row])
    source = data_uri(jpeg(cut(open_picture(images.paths[row]), images.sizes[row], xy, 0.22)))
    return (
        f'<button type="button" data-picture="{row}" title="{name}" aria-label="open {name}">'
        f'<img alt="" width="{PATCH}" height="{PATCH}" src="{source}"/></button>'
    )


def _facts(passport: Passport, landmarks: Landmarks) -> str:
    partner = "not known"
    if passport.partner is not None:
        partner = html.escape(landmarks.titles[passport.partner])
        partner = "itself (in the middle)" if landmarks.titles[passport.partner] == passport.name else partner
    facts = [
        ("seen in", f"{100 * passport.seen:.0f} %"),
        ("unsteady by", "–" if passport.consistency is None else f"{passport.consistency:.1f} px"),
        ("distinct", "–" if passport.distinct is None else f"{passport.distinct:.2f}"),
        ("spread", "–" if passport.spread is None else f"{passport.spread:.3f}"),
        ("mirror image", partner),
    ]
    return '<dl class="uld-dl">' + "".join(f"<div><dt>{a}</dt><dd>{b}</dd></div>" for a, b in facts) + "</dl>"


def _poses(passport: Passport, number: int) -> str:
    """A small bar a pose cluster: in how many of its pictures the landmark is seen."""
    if not len(passport.by_pose):
        return ""
    bars = "".join(
        f'<span title="pose {q + 1}: {100 * share:.0f} %"><i style="height:{100 * share:.0f}%;'
        f'background:{colour(number)}"></i><em>{q + 1}</em></span>'
        for q, share in enumerate(np.nan_to_num(passport.by_pose))
    )
    words = ", ".join(f"pose {q + 1} {100 * share:.0f} %" for q, share in enumerate(np.nan_to_num(passport.by_pose)))
    return f'<div class="uld-by-pose" role="img" aria-label="seen by pose: {words}"><b>by pose</b>{bars}</div>'


def _tools(landmarks: Landmarks, k: int, poses: int) -> str:
    number = landmarks.numbers[k]
    others = "".join(
        f'<option value="{other}">{other + 1} · {html.escape(landmarks.titles[i])}</option>'
        for i, other in enumerate(landmarks.numbers)
        if other != number
    )
    where = "".join(f'<option value="{q}">in pose {q + 1}</option>' for q in range(poses))
    pose = f'<select data-where aria-label="where to swap"><option value="-1">everywhere</option>{where}</select>'
    return (
        f'<div class="uld-tools"><button type="button" data-edit="hide" data-key="{number}">Hide</button>'
        f'<button type="button" data-edit="split" data-key="{number}" title="Part its two looks">Split</button>'
        f'<span><select data-other aria-label="the other landmark">{others}</select>'
        f'<button type="button" data-edit="merge" data-key="{number}" title="That one goes into this">Merge</button>'
        f'{pose if poses else ""}<button type="button" data-edit="swap" data-key="{number}" '
        'title="The two change places, for left and right confused">Swap</button></span></div>'
    )


def _hidden(hidden: dict[int, str]) -> str:
    if not hidden:
        return ""
    buttons = "".join(
        f'<button type="button" class="uld-chip" data-edit="show" data-key="{key}">{dot(key)}show '
        f"{html.escape(name)}</button>"
        for key, name in hidden.items()
    )
    return f'<div class="uld-hidden"><b>Hidden, not exported</b><div class="uld-chips">{buttons}</div></div>'


def history(edits: int, undone: int) -> str:
    """How many edits there are, in words."""
    if not edits and not undone:
        return '<span class="uld-note">Nothing edited. What you change here is what is exported and predicted.</span>'
    back = f", {undone} taken back" if undone else ""
    return f'<span class="uld-note"><b>{edits} edit{"" if edits == 1 else "s"}</b>{back}. Exports follow.</span>'
