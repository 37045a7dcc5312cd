"""Where things live on disk. Knows nothing about what is in the files."""

from __future__ import annotations

import os
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
"""What ships with the project: backbone, demo pictures, demo run, styles."""


def data_root() -> Path:
    """The folder for runs, uploads and caches: $ULD_DATA_DIR, or uld_explorer in the user's cache folder."""
    chosen = os.environ.get("ULD_DATA_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(chosen).expanduser() if chosen else cache / "uld_explorer"
    root.mkdir(parents=True, exist_ok=True)
    return root


def cache_dir(name: str) -> Path:
    """A subfolder of the data root for things that can be made again."""
    folder = data_root() / "cache" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def runs_dir() -> Path:
    """Where runs are kept unless the caller chooses a folder."""
    folder = data_root() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
