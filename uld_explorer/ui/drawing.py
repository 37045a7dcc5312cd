"""What the page shows of the opened run: which parts there are, and what each is after what happened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr
from safetensors import SafetensorError

from uld_explorer.runs import Run
from uld_explorer.types import UserError
from uld_explorer.ui import gallery, handlers, sessions, status
from uld_explorer.ui.downloads import NOTHING, downloads
from uld_explorer.ui.handlers import current
from uld_explorer.ui.opened import Kept, Opened
from uld_explorer.ui.opened_run import open_run_data, stamp_of
from uld_explorer.ui.tabs import explore, landmarks, numbers, passports, poses, train, try_it
from uld_explorer.ui.tabs.parts import AT_ONCE, Parts, Shown, Tab

log = logging.getLogger(__name__)
TABS: tuple[Tab, ...] = (
    landmarks.TAB,
    explore.TAB,
    passports.TAB,
    poses.TAB,
    train.TAB,
    try_it.TAB,
    numbers.TAB,
)
BAR = ("chips", "pose_chips", "large", "close", "link")
"""Parts above the tabs that depend on what is singled out."""
RUN_BAR = ("run", "state", "timer", "cancel", "pause", "resume", "header")
FOLLOWED = ("state", "timer", "cancel", "pause", "resume", "seen")


def outputs(parts: Parts, everything: bool) -> list[Any]:
    """The components that `show` (everything) or `redraw` and `draw_tab` answer for, in their order."""
    names = [*(RUN_BAR if everything else ()), *BAR, *(name for tab in TABS for name in tab.outputs)]
    return [parts[name] for name in names] + (parts["downloads"] if everything else [])


def drawing(parts: Parts, draw: Callable[..., list[Any]], everything: bool = False) -> dict[str, Any]:
    """Arguments of an event that draws the opened run; asked for again while it draws, it draws once more."""
    asked = {"inputs": [parts["memory"], parts["opened"]], "outputs": outputs(parts, everything)}
    return {"fn": draw, **asked, "trigger_mode": "always_last", **AT_ONCE}


def shown_to(kept: Kept | None, opened: Opened) -> Shown:
    """The opened run with what it has found; a landmark that it does not have is not singled out."""
    run, damaged = current(kept, opened), False
    try:
        data = open_run_data(run)
    except (UserError, SafetensorError, OSError, ValueError, KeyError, TypeError):
        log.exception("run %s cannot be read", run.id)
        data, damaged = None, True
    count = 0 if data is None else data.landmarks.present.shape[1]
    if opened.focus is not None and opened.focus >= count:
        opened = replace(opened, focus=None)  # another run, or an address from one
    return Shown(run, data, opened, kept, handlers.is_running(run), damaged)


def show(kept: Kept | None, opened: Opened) -> list[Any]:
    """Everything, for another run or other results."""
    shown = shown_to(kept, opened)
    run = shown.run
    choices = gr.Dropdown(choices=sessions.run_choices(sessions.token_of(kept), handlers.is_running), value=run.id)
    files = [
        gr.DownloadButton(value=path, interactive=path is not None)
        for path in (NOTHING if shown.data is None else downloads(run))
    ]
    header = status.facts(run.info(), run.settings())
    return [choices, *_progress(run), header, *_bar(shown), *_tabs(shown, lambda tab: tab.draw(shown)), *files]


def redraw(kept: Kept | None, opened: Opened) -> list[Any]:
    """What depends on what is singled out or selected."""
    shown = shown_to(kept, opened)
    return [*_bar(shown), *_tabs(shown, lambda tab: tab.redraw(shown))]


def draw_tab(kept: Kept | None, opened: Opened) -> list[Any]:
    """The tab that was turned to, whole."""
    shown = shown_to(kept, opened)
    return [*_bar(shown), *_tabs(shown, lambda tab: tab.draw(shown))]


def follow(kept: Kept | None, opened: Opened) -> list[Any]:
    """How far the run is, for FOLLOWED; the last is a mark that changes when results appear and when the run ends."""
    run = current(kept, opened)
    return [*_progress(run), f"{stamp_of(run)} {handlers.is_running(run)}"]


def watch(kept: Kept | None, opened: Opened, before: str) -> list[Any]:
    """The live parts of the Train tab where that is looked at, as far as they have changed; and a mark for the next."""
    if opened.tab != "train":
        return [gr.skip()] * (len(train.LIVE) + 1)
    return train.live(current(kept, opened), before)


def _tabs(shown: Shown, answer: Callable[[Tab], list[Any]]) -> list[Any]:
    """What the opened tab draws; the others are drawn when they are turned to."""
    values: list[Any] = []
    for tab in TABS:
        values += answer(tab) if tab.name == shown.opened.tab else [gr.skip()] * len(tab.outputs)
    return values


def _bar(shown: Shown) -> list[Any]:
    data, opened = shown.data, shown.opened
    query = opened.to_query()
    if data is None:
        return ["", "", "", gr.update(visible=False), query]
    large = ""
    if opened.picture is not None and opened.picture < len(data.images):
        large = gallery.large(data.images, data.landmarks, data.regions, opened.picture, opened.focus)
    chips = gallery.chips(data.landmarks, opened.focus)
    return [chips, gallery.pose_chips(data.poses, opened.pose), large, gr.update(visible=bool(large)), query]


def _progress(run: Run) -> list[Any]:
    running = handlers.is_running(run)
    buttons = [gr.update(visible=running), gr.update(visible=running), gr.update(visible=handlers.can_resume(run))]
    return [sessions.progress(run, running), gr.Timer(active=running), *buttons]
