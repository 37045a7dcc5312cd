"""The files of a run that a visitor can take home. Written once for every state of a run, in temporary folders."""

from __future__ import annotations

import tempfile
import threading
import zipfile
from functools import lru_cache
from pathlib import Path

from uld_explorer import workflow
from uld_explorer.export.formats import FORMATS
from uld_explorer.runs import Run

NAMES = {name: f"landmarks{item.suffix}" for name, item in FORMATS.items()}
BUNDLE = "landmarks.zip"
KEPT = 32
"""Folders kept at once; the one that was not asked for longest goes first."""
_turn = threading.Lock()


NOTHING: tuple[str | None, ...] = (None,) * (len(NAMES) + 1)


def downloads(run: Run) -> list[str | None]:
    """Paths of the files to download: one per export format, then all in one ZIP; None where nothing is there."""
    if run.landmarks() is None:
        return list(NOTHING)
    with _turn:
        files = _files(run)
        if not all(file.exists() for file in files):  # something has tidied up the temporary folders
            _packed.cache_clear()
            files = _files(run)
    return [str(file) for file in files]


def _files(run: Run) -> list[Path]:
    folder = Path(_packed(run, _state(run)).name)
    return [folder / name for name in (*NAMES.values(), BUNDLE)]


def _extra(run: Run) -> list[Path]:
    """What the ZIP holds besides the exports: the model, the figures and the settings, as far as they are there."""
    results, model = run.folder / "results", run.folder / "model"
    wanted = [model / "model.json", model / "model.safetensors", results / "report.json"]
    wanted += [run.folder / "settings.json", run.folder / "edits.json"]
    return [file for file in wanted if file.exists()]


def _state(run: Run) -> tuple[float, ...]:
    """Changes when a file is added or written anew."""
    files = [run.folder / "results" / "landmarks.safetensors", *_extra(run)]
    return tuple(file.stat().st_mtime for file in files)


@lru_cache(maxsize=KEPT)
def _packed(run: Run, _state: tuple[float, ...]) -> tempfile.TemporaryDirectory[str]:
    """The folder with the files. It is removed when this cache lets go of it."""
    packed: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="uld-")
    folder = Path(packed.name)
    files = [workflow.export_run(run, name, folder / file) for name, file in NAMES.items()]
    with zipfile.ZipFile(folder / BUNDLE, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in [*files, *_extra(run)]:
            archive.write(file, file.name)
    return packed
