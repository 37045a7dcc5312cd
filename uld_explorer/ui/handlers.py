"""What happens when somebody does something on the page. Named functions from values to values; no layout here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from uld_explorer import workflow
from uld_explorer.data.sources import iter_open
from uld_explorer.events import RunView, Stage, fold
from uld_explorer.jobs import Jobs
from uld_explorer.runs import Run, create_run, delete_run
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet, UserError
from uld_explorer.ui import render, sessions, status, trial
from uld_explorer.ui.controls import on_space, settings_from

Kept = dict[str, Any]
"""What a visitor's browser keeps: their token, and the id of the run they looked at last."""

JOBS = Jobs()
DEMO_SOURCES = {"faces": "demo:faces", "heads": "demo:heads:200:0"}
TITLES = {"faces": "Demo faces", "heads": "Demo heads"}
SPACE_LIMIT = 500
"""Pictures a visitor may use where many share one machine."""
SPACE_DAYS = 3
"""Days after their last run that a visitor's runs are kept there."""
ANNOTATION_SUFFIXES = (".json", ".csv")


@dataclass(frozen=True)
class Opened:
    """What the page remembers of a visitor between two events; lives in the browser's memory of this tab."""

    run: str = "demo"
    focus: int | None = None
    page: int = 0
    picture: int | None = None
    pose: int | None = None


def in_words(error: UserError) -> gr.Error:
    """A user's mistake as a message on the page."""
    return gr.Error(str(error), title="That did not work", duration=12, print_exception=False)


def welcome(memory: Kept | None) -> tuple[Kept, Opened]:
    """A visitor arrives or comes back: their token, and the run they looked at last."""
    return open_run(memory, memory.get("run") if isinstance(memory, dict) else None)


def open_run(memory: Kept | None, run_id: str | None) -> tuple[Kept, Opened]:
    """A visitor's run, or the demo where there is no such run: what the browser keeps, and what the page shows."""
    token = sessions.token_of(memory)
    try:
        run = sessions.find_run(token, run_id)
    except UserError:
        run = sessions.DEMO
    return {"token": token, "run": run.id}, Opened(run=run.id)


# ---------------------------------------------------------------- pictures


def source_of(kind: str, files: list[str] | None) -> tuple[str | list[str], str | None]:
    """What to open, and the annotation file among the uploads.

    Raises:
        UserError: nothing was uploaded, or more than one annotation file.
    """
    if kind in DEMO_SOURCES:
        return DEMO_SOURCES[kind], None
    notes = [name for name in files or [] if name.lower().endswith(ANNOTATION_SUFFIXES)]
    pictures = [name for name in files or [] if name not in notes]
    if not pictures:
        raise UserError("Upload pictures first: several files, or one ZIP.")
    if len(notes) > 1:
        raise UserError("Upload one annotation file at most.")
    return pictures, notes[0] if notes else None


def _iter_pictures(kind: str, files: list[str] | None) -> Stage[ImageSet]:
    source, notes = source_of(kind, files)
    limit = SPACE_LIMIT if on_space() else None
    images = yield from iter_open(source, annotations=notes, limit=limit)
    # Several files are otherwise called by the name of the first.
    return replace(images, label="my pictures") if isinstance(source, list) and len(source) > 1 else images


def check_pictures(kind: str, files: list[str] | None) -> Iterator[str]:
    """Open what was chosen and say what was accepted and what was not; progress while it takes."""
    if kind not in DEMO_SOURCES and not files:
        yield NOTE.format(UPLOAD_NOTE)
        return
    if kind in DEMO_SOURCES:
        yield NOTE.format(DEMO_NOTES[kind])
        return
    view = RunView()
    try:
        stage = _iter_pictures(kind, files)
        while True:
            before, view = view, fold([next(stage)], view)
            if view.step % 25 == 0 or view.stage != before.stage:
                yield status.progress(view)
    except StopIteration as stop:
        yield status.accepted(stop.value)
    except UserError as error:
        yield status.progress(RunView(state="failed", message=str(error)))


NOTE = '<div class="uld-note">{}</div>'
UPLOAD_NOTE = "Drop pictures of one kind of thing, or a ZIP of them. A COCO or CSV file with points is optional."
DEMO_NOTES = {
    "faces": "200 photographs of people who do not exist. No annotations.",
    "heads": "200 rendered heads, every turn from profile to profile, with exact points to measure against.",
}


# ---------------------------------------------------------------- runs


def start(
    kind: str, files: list[str] | None, memory: Kept | None, method: str, names: list[str], values: list[Any]
) -> tuple[Kept, Opened]:
    """Begin a discovery in the background and open its run."""
    token = sessions.token_of(memory)
    if on_space():
        sessions.forget_visitors(SPACE_DAYS * 86_400)
    try:
        settings = settings_from(method, names, values)
        source_of(kind, files)
        run = create_run(sessions.visitor_dir(token), title=TITLES.get(kind, "My pictures"))
        _start_job(run, kind, files, method, settings)
    except UserError as error:
        raise in_words(error) from error
    return {"token": token, "run": run.id}, Opened(run=run.id)


def _start_job(run: Run, kind: str, files: list[str] | None, method: str, settings: RunSettings) -> None:
    try:
        JOBS.start(run, lambda: _iter_run(kind, files, method, settings, run))
    except UserError:
        delete_run(run)  # refused: it would stand in the list of runs for ever, waiting
        raise


def _iter_run(kind: str, files: list[str] | None, method: str, settings: RunSettings, run: Run) -> Stage[None]:
    images = yield from _iter_pictures(kind, files)
    yield from workflow.iter_discover(images, method, settings, run)


def cancel(memory: Kept | None, opened: Opened) -> None:
    """Stop the opened run at its next step."""
    run = current(memory, opened)
    if not JOBS.cancel(run):
        gr.Info("This run is not running any more.")


def current(memory: Kept | None, opened: Opened) -> Run:
    """The run on the page; the demo where it has gone."""
    try:
        return sessions.find_run(sessions.token_of(memory), opened.run)
    except UserError:
        return sessions.DEMO


def is_running(run: Run) -> bool:
    """Whether the run is still working here. A run whose server was stopped is not, whatever its last event says."""
    return JOBS.running(run)


# ---------------------------------------------------------------- try one picture


def try_picture(path: str | None, roi: str, memory: Kept | None, opened: Opened) -> Iterator[str]:
    """Find the opened run's landmarks on one new picture."""
    if not path:
        yield render.EMPTY.format("Choose or drop a picture first.")
        return
    yield render.EMPTY.format("Looking for landmarks …")
    try:
        yield trial.find_on_picture(current(memory, opened), path, roi)
    except UserError as error:
        yield status.progress(RunView(state="failed", message=str(error)))
