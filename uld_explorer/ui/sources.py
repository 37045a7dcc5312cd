"""What a run looks at: a demo, or pictures that a visitor uploaded, kept with the run so that it can go on later."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from uld_explorer.data.archives import ARCHIVE_SUFFIXES
from uld_explorer.data.images import SUPPORTED_SUFFIXES
from uld_explorer.data.sources import iter_open
from uld_explorer.events import RunView, Stage, fold
from uld_explorer.runs import Run, write_json
from uld_explorer.types import ImageSet, UserError
from uld_explorer.ui import status
from uld_explorer.ui.controls import on_space

DEMO_SOURCES = {"faces": "demo:faces", "heads": "demo:heads:200:0"}
KEPT_SOURCES = DEMO_SOURCES | {"example": "demo:heads:240:0"}
"""example: what the run was made on that the page opens with."""
TITLES = {"faces": "Demo faces", "heads": "Demo heads"}
SPACE_LIMIT = 500
"""Pictures a visitor may use where many share one machine."""
ANNOTATION_SUFFIXES = (".json", ".csv")
KNOWN_SUFFIXES = {*SUPPORTED_SUFFIXES, *ARCHIVE_SUFFIXES, *ANNOTATION_SUFFIXES}
NOTE = '<div class="uld-note">{}</div>'
GONE = "The pictures of this run are not here any more: start a new one."
UPLOAD_NOTE = "Drop pictures of one kind of thing, or a ZIP of them. A COCO or CSV file with points is optional."
DEMO_NOTES = {
    "faces": "200 photographs of people who do not exist. No annotations.",
    "heads": "200 rendered heads, every turn from profile to profile, with exact points to measure against.",
}


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


def iter_uploaded(kind: str, files: list[str] | None) -> Stage[ImageSet]:
    """Open a demo, or what was just uploaded."""
    source, notes = source_of(kind, files)
    limit = SPACE_LIMIT if on_space() else None
    images = yield from iter_open(source, annotations=notes, limit=limit)
    return _labelled(images, source)


def _labelled(images: ImageSet, source: str | list[str] | list[Path]) -> ImageSet:
    """Several files are otherwise called by the name of the first."""
    return replace(images, label="my pictures") if isinstance(source, list) and len(source) > 1 else images


def keep_source(run: Run, kind: str, files: list[str] | None) -> None:
    """Put what was uploaded into the run's folder, under names of our own, and note what it was called.

    Raises:
        UserError: nothing was uploaded.
    """
    source_of(kind, files)
    called: dict[str, str] = {}
    if kind not in DEMO_SOURCES:
        (run.folder / "source").mkdir(exist_ok=True)
        for index, name in enumerate(files or []):
            suffix = Path(name).suffix.lower()
            kept = f"{index:06d}{suffix if suffix in KNOWN_SUFFIXES else '.bin'}"
            _link(Path(name), run.folder / "source" / kept)
            called[kept] = Path(name).name
    write_json(run.folder / "source.json", {"kind": kind, "files": called})


def can_reopen(run: Run) -> bool:
    """Whether the run knows what it looked at."""
    return (run.folder / "source.json").exists()


def keep_again(run: Run, other: Run) -> None:
    """What `run` keeps of its source, for another run.

    Raises:
        UserError: it is not there any more.
    """
    if not can_reopen(run):
        raise UserError(GONE)
    if (run.folder / "source").is_dir():
        (other.folder / "source").mkdir(exist_ok=True)
        for file in sorted((run.folder / "source").iterdir()):
            _link(file, other.folder / "source" / file.name)
    shutil.copyfile(run.folder / "source.json", other.folder / "source.json")


def _link(file: Path, to: Path) -> None:
    """The same file under another name; a copy where a link cannot be made."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copyfile(file, to)


def iter_kept(run: Run) -> Stage[ImageSet]:
    """Open what `keep_source` kept.

    Raises:
        UserError: it is not there any more.
    """
    try:
        record = json.loads((run.folder / "source.json").read_text(encoding="utf-8"))
        kind, named = str(record["kind"]), dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(GONE) from None
    if kind in KEPT_SOURCES:
        return (yield from iter_open(KEPT_SOURCES[kind]))
    called = {run.folder / "source" / file: name for file, name in named.items()}
    notes = next((path for path in called if path.suffix in ANNOTATION_SUFFIXES), None)
    files = [path for path in called if path != notes]
    limit = SPACE_LIMIT if on_space() else None
    images = yield from iter_open(files, annotations=notes, limit=limit, called=called)
    return _labelled(images, files)


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
        stage = iter_uploaded(kind, files)
        while True:
            before, view = view, fold([next(stage)], view)
            if view.step % 25 == 0 or view.stage != before.stage:
                yield status.progress(view)
    except StopIteration as stop:
        yield status.accepted(stop.value)
    except UserError as error:
        yield status.progress(RunView(state="failed", message=str(error)))
