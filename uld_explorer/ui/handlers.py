"""What happens when somebody does something on the page. Named functions from values to values; no layout here."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from uld_explorer import workflow
from uld_explorer.data.sources import iter_open
from uld_explorer.events import RunView, Stage, fold
from uld_explorer.export.formats import FORMATS
from uld_explorer.jobs import Jobs
from uld_explorer.runs import Run, create_run
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet, UserError
from uld_explorer.ui import render, sessions, status, trial
from uld_explorer.ui.controls import on_space, settings_from

JOBS = Jobs()
DEMO_SOURCES = {"faces": "demo:faces", "heads": "demo:heads:200:0"}
SPACE_LIMIT = 500
"""Pictures a visitor may use where many share one machine."""
ANNOTATION_SUFFIXES = (".json", ".csv")


@dataclass(frozen=True)
class Opened:
    """What the page remembers of a visitor between two events; lives in the browser's memory of this tab."""

    run: str = "demo"
    focus: int | None = None
    page: int = 0
    picture: int | None = None


def in_words(error: UserError) -> gr.Error:
    """A user's mistake as a message on the page."""
    return gr.Error(str(error), title="That did not work", duration=12, print_exception=False)


def welcome(memory: dict[str, Any] | None) -> tuple[dict[str, Any], Opened]:
    """A visitor arrives or comes back: their token, and the run they looked at last."""
    token = sessions.valid_token((memory or {}).get("token"))
    last = (memory or {}).get("run", "demo")
    try:
        sessions.find_run(token, last)
    except UserError:
        last = "demo"
    return {"token": token, "run": last}, Opened(run=last)


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
    return (yield from iter_open(source, annotations=notes, limit=limit))


def check_pictures(kind: str, files: list[str] | None) -> Iterator[str]:
    """Open what was chosen and say what was accepted and what was not; progress while it takes."""
    if kind not in DEMO_SOURCES and not files:
        yield '<div class="uld-note">Drop pictures of one kind of thing, or a ZIP of them. A COCO or CSV file with points is optional.</div>'
        return
    if kind in DEMO_SOURCES:
        yield f'<div class="uld-note">{DEMO_NOTES[kind]}</div>'
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


DEMO_NOTES = {
    "faces": "200 photographs of people who do not exist. No annotations.",
    "heads": "200 rendered heads, every turn from profile to profile, with exact points to measure against.",
}


# ---------------------------------------------------------------- runs


def start(kind: str, files: list[str] | None, memory: dict[str, Any], names: list[str], values: list[Any]) -> Opened:
    """Begin a discovery in the background and open its run."""
    token = sessions.valid_token(memory.get("token"))
    try:
        settings = settings_from("zeroshot", names, values)
        source_of(kind, files)
        titles = {"faces": "Demo faces", "heads": "Demo heads"}
        run = create_run(sessions.visitor_dir(token), title=titles.get(kind, "My pictures"))
        JOBS.start(run, lambda: _iter_run(kind, files, settings, run))
    except UserError as error:
        raise in_words(error) from error
    return Opened(run=run.id)


def _iter_run(kind: str, files: list[str] | None, settings: RunSettings, run: Run) -> Stage[None]:
    images = yield from _iter_pictures(kind, files)
    yield from workflow.iter_discover(images, "zeroshot", settings, run)


def cancel(memory: dict[str, Any], opened: Opened) -> None:
    """Stop the opened run at its next step."""
    run = current(memory, opened)
    if not JOBS.cancel(run):
        gr.Info("This run is not running any more.")


def current(memory: dict[str, Any] | None, opened: Opened) -> Run:
    """The run on the page; the demo where it has gone."""
    try:
        return sessions.find_run(sessions.valid_token((memory or {}).get("token")), opened.run)
    except UserError:
        return sessions.DEMO


def is_running(run: Run) -> bool:
    """Whether the run is still working here. A run whose server was stopped is not, whatever its last event says."""
    return JOBS.running(run)


# ---------------------------------------------------------------- downloads


def downloads(run: Run) -> list[str | None]:
    """Paths of the files to download: one per export format, then everything in one ZIP; None where nothing is there."""
    if run.landmarks() is None:
        return [None] * (len(FORMATS) + 1)
    folder = Path(tempfile.mkdtemp(prefix="uld-"))
    files = [workflow.export_run(run, name, folder / f"landmarks{item.suffix}") for name, item in FORMATS.items()]
    bundle = folder / "landmarks.zip"
    extra = [
        *(run.folder / "model").glob("model.*"),
        run.folder / "results" / "report.json",
        run.folder / "settings.json",
    ]
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in [*files, *(path for path in extra if path.exists())]:
            archive.write(file, file.name)
    return [str(path) for path in (*files, bundle)]


# ---------------------------------------------------------------- try one picture


def try_picture(path: str | None, roi: str, memory: dict[str, Any], opened: Opened) -> Iterator[str]:
    """Find the opened run's landmarks on one new picture."""
    if not path:
        yield render.EMPTY.format("Choose or drop a picture first.")
        return
    yield render.EMPTY.format("Looking for landmarks …")
    try:
        yield trial.find_on_picture(current(memory, opened), path, roi)
    except UserError as error:
        yield status.progress(RunView(state="failed", message=str(error)))
