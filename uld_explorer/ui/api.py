"""The page's main actions as named, typed endpoints, for scripts and for programs that speak to tools.

A caller is a visitor: `begin` answers a token, and a run is found with the token that began it. The run "demo" is there
for everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from uld_explorer.data.sources import iter_open
from uld_explorer.editing import edited
from uld_explorer.events import drain
from uld_explorer.export.coco import coco_document
from uld_explorer.landmarks.detector import LandmarkDetector
from uld_explorer.landmarks.methods import METHODS
from uld_explorer.landmarks.presets import preset_values
from uld_explorer.runs import Run
from uld_explorer.types import UserError
from uld_explorer.ui import handlers, sessions
from uld_explorer.ui.controls import METHOD_CHOICES


def begin(pictures: list[str], method: str = "zeroshot", landmarks: int = 10, region: str = "whole") -> dict[str, str]:
    """Begin to discover landmarks on uploaded pictures (or one ZIP of them), with the quick preset.

    Args:
        pictures: the files
        method: zeroshot, duld or duldpp
        landmarks: how many to discover, 2 to 30
        region: where to look: whole or foreground
    Returns:
        token and run: what the other endpoints find the run with
    """
    if method not in [name for _, name in METHOD_CHOICES]:
        raise gr.Error("Use zeroshot, duld or duldpp.", print_exception=False)
    chosen = METHODS[method].settings
    try:
        settings = chosen.from_json(preset_values("quick", chosen) | {"landmarks": landmarks, "roi": region})
    except UserError as error:
        raise handlers.in_words(error) from error
    values = settings.to_json()
    kept, opened = handlers.start("mine", pictures, None, method, list(values), list(values.values()))
    return {"token": kept["token"], "run": opened.run}


def state(run: str = "demo", token: str = "") -> dict[str, Any]:
    """How far a run is.

    Args:
        run: the run's id
        token: the one that `begin` answered
    Returns:
        state in one word, what is being done, step and total, and the last message
    """
    found = _find(run, token)
    view = found.view()
    word = sessions.state_of(found, handlers.is_running(found))
    return {"state": word, "stage": view.stage, "step": view.step, "total": view.total, "message": view.message}


def landmarks(run: str = "demo", token: str = "") -> dict[str, Any]:
    """A run's landmarks, as they were edited, in the COCO keypoints format.

    Args:
        run: the run's id
        token: the one that `begin` answered
    Returns:
        a COCO document: images, annotations with keypoints (x, y, visibility) in pixels, categories
    """
    found = _find(run, token)
    now, images = edited(found), found.pictures()
    if now is None or images is None:
        raise gr.Error("This run has no landmarks yet.", print_exception=False)
    return coco_document(images, now.found.landmarks, found.regions())


def predict(picture: str, run: str = "demo", token: str = "") -> dict[str, Any]:
    """Find a run's landmarks on one new picture.

    Args:
        picture: the file
        run: the run's id
        token: the one that `begin` answered
    Returns:
        a COCO document of the one picture
    """
    try:
        detector = LandmarkDetector.load(_find(run, token).folder)
        images = drain(iter_open([Path(picture)], limit=1))
        finding = drain(detector.iter_predict(images, roi="whole"))
    except UserError as error:
        raise handlers.in_words(error) from error
    return coco_document(images, finding.landmarks, finding.regions)


def _find(run: str, token: str) -> Run:
    try:
        return sessions.find_run(sessions.valid_token(token), run)
    except UserError as error:
        raise handlers.in_words(error) from error


def offer() -> None:
    """Add the endpoints to the page that is being built."""
    files = gr.File(file_count="multiple", visible=False, label="pictures")
    file = gr.File(visible=False, label="picture")
    texts = {name: gr.Textbox(visible=False, label=name) for name in ("method", "region", "run", "token")}
    count, answer = gr.Number(10, precision=0, visible=False, label="landmarks"), gr.JSON(visible=False, label="answer")
    for function, inputs in (
        (begin, [files, texts["method"], count, texts["region"]]),
        (state, [texts["run"], texts["token"]]),
        (landmarks, [texts["run"], texts["token"]]),
        (predict, [file, texts["run"], texts["token"]]),
    ):
        gr.Button(visible=False).click(function, inputs, answer, api_name=function.__name__, concurrency_limit=2)
