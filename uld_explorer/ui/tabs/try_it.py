"""The Try it tab: the opened run's landmarks on new pictures or the camera's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from uld_explorer.data.images import SUPPORTED_SUFFIXES
from uld_explorer.events import RunView
from uld_explorer.types import UserError
from uld_explorer.ui import status, trial
from uld_explorer.ui.handlers import current
from uld_explorer.ui.opened import Kept, Opened
from uld_explorer.ui.tabs.parts import EMPTY, Parts, Tab

MOST = 12
FIRST = EMPTY.format("The landmarks of the opened run, found on pictures of yours.")


def build(parts: Parts) -> None:
    """Pictures or camera on the left, the answer on the right."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=260):
            parts["try_files"] = gr.File(
                file_count="multiple",
                file_types=sorted(SUPPORTED_SUFFIXES),
                label=f"New pictures, {MOST} at most",
                height=150,
            )
            parts["try_camera"] = gr.Image(sources=["webcam"], type="filepath", label="or the camera", height=190)
            where = [("the whole picture", "whole"), ("the foreground", "foreground")]
            parts["try_roi"] = gr.Radio(where, value="whole", label="Where to look")
            parts["try"] = gr.Button("Find the landmarks", variant="primary")
        with gr.Column(scale=3, min_width=300):
            parts["try_result"] = gr.HTML(FIRST, elem_id="tried")


def answer(files: list[str] | None, camera: str | None, roi: str, memory: Kept | None, opened: Opened) -> Iterator[str]:
    """Find the opened run's landmarks on what was given."""
    paths = [*(files or []), *([camera] if camera else [])]
    if not paths:
        yield EMPTY.format("Choose or drop pictures first, or take one with the camera.")
        return
    yield EMPTY.format("Looking for landmarks …")
    try:
        yield trial.find_on_pictures(current(memory, opened), paths[:MOST], roi)
    except UserError as error:
        yield status.progress(RunView(state="failed", message=str(error)))


def nothing(shown: Any) -> list[Any]:
    """What is tried does not change with the run."""
    return []


TAB = Tab("try", "Try it", build, (), nothing, nothing)
