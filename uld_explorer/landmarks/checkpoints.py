"""Where a training keeps its checkpoints: a folder named by all that the result depends on, one owner at a time."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from uld_explorer import paths
from uld_explorer.features import processes
from uld_explorer.landmarks.d_uld import TrainingSettings
from uld_explorer.landmarks.view_maps import ViewMaps


@contextmanager
def checkpoint(data: ViewMaps, settings: TrainingSettings) -> Iterator[Path]:
    """The folder of this training's checkpoints, so that the same command finds what it left when it was stopped.

    Emptied before where the settings do not want to resume, removed after a training that came to its end. Where
    another process is at the same training, a folder apart: neither sees the other's.
    """
    folder = paths.cache_dir("training") / _name(data, settings)
    lock = FileLock(paths.cache_dir("locks") / f"{folder.name}.lock")
    if processes.is_main():
        try:
            lock.acquire(timeout=0)
        except Timeout:
            folder = folder.with_name(f"{folder.name}-{os.getpid()}")
        if not settings.resume:
            shutil.rmtree(folder, ignore_errors=True)
    folder = folder.with_name(processes.agreed({"name": folder.name})["name"])
    try:
        yield folder
        if processes.is_main():
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()


def _name(data: ViewMaps, settings: TrainingSettings) -> str:
    digest = hashlib.sha256(f"{type(settings).__name__}{settings.fingerprint()}{data.maps.key}{data.layers}".encode())
    digest.update(data.inside.tobytes())
    return digest.hexdigest()[:24]
