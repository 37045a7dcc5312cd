"""What the tabs of the page have in common: a tab is one file that lays itself out and draws an opened run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from uld_explorer.runs import Run
from uld_explorer.ui.opened import Kept, Opened
from uld_explorer.ui.opened_run import OpenedRun
from uld_explorer.ui.theme import STATIC

Parts = dict[str, Any]
"""Name -> component."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
"""For all that happens often and takes no time. A queued event answers through a stream that is closed when nothing is
waiting; one that comes while it is being closed can lose its answer, after which the page would stand still. What
yields progress, or may end in a message, has to be queued."""
EMPTY = '<div class="uld-empty">{}</div>'
NOTHING = EMPTY.format("No landmarks yet. Choose pictures on the left and press <b>Discover landmarks</b>.")
DAMAGED = EMPTY.format("The files of this run are damaged. Open another run, or delete this one in the Train tab.")
NOT_YET = EMPTY.format("The landmarks appear here as soon as they are found.")


@dataclass(frozen=True)
class Shown:
    """What a tab draws from: the run, what it has found (None before that), how it is looked at, and by whom."""

    run: Run
    data: OpenedRun | None
    opened: Opened
    kept: Kept | None
    running: bool
    damaged: bool = False

    @property
    def nothing(self) -> str:
        """Words where there are no landmarks."""
        if self.damaged:
            return DAMAGED
        return NOT_YET if self.running else NOTHING


@dataclass(frozen=True)
class Tab:
    """A tab: its name in addresses, its title, its layout, the parts it draws, and how.

    build(parts) lays out and adds parts; draw(shown) answers a value for each of `outputs`;
    redraw(shown) the same after a click that changed only what is singled out, with gr.skip() for what stays.
    """

    name: str
    title: str
    build: Callable[[Parts], None]
    outputs: Sequence[str]
    draw: Callable[[Shown], list[Any]]
    redraw: Callable[[Shown], list[Any]]


def clickable(value: str = "", **kwargs: Any) -> gr.HTML:
    """HTML whose numbered elements answer to clicks, see static/choose.js."""
    return gr.HTML(value, js_on_load=(STATIC / "choose.js").read_text(), **kwargs)
