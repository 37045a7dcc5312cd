"""Try pictures: the opened run's detector on them, drawn large."""

from __future__ import annotations

import html
import io
import threading
from functools import lru_cache
from pathlib import Path

from PIL import Image

from uld_explorer.data.images import load_rgb
from uld_explorer.data.sources import iter_open
from uld_explorer.events import drain
from uld_explorer.features.backbone import Backbone
from uld_explorer.landmarks.detector import LandmarkDetector
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.runs import Run
from uld_explorer.settings import RunSettings
from uld_explorer.types import UserError
from uld_explorer.ui import gallery

LARGEST = 900
_turn = threading.Lock()


@lru_cache(maxsize=2)
def _backbone(settings: RunSettings) -> Backbone:
    return drain(iter_load_backbone(settings))


def find_on_pictures(run: Run, paths: list[str], roi: str) -> str:
    """HTML of pictures with their landmarks.

    Raises:
        UserError: no finished run, an unusable picture, or a foreground that this run has not learned.
    """
    detector = LandmarkDetector.load(run.folder)
    if roi not in ("whole", "foreground"):
        raise UserError("Choose the whole picture or the foreground.")
    if roi == "foreground" and detector.foreground is None:
        raise UserError(
            "This run did not learn a foreground: choose the whole picture, "
            "or discover again with the region 'foreground'."
        )
    images = drain(iter_open(paths))
    with _turn:
        finding = drain(detector.iter_predict(images, roi=roi, backbone=_backbone(detector.settings)))
    shown = (
        gallery.large(images, finding.landmarks, finding.regions, row, None, _picture(path))
        for row, path in enumerate(images.paths)
    )
    skipped = "".join(f"<li>{html.escape(s.name)}: {html.escape(s.reason)}</li>" for s in images.skipped)
    return "".join(shown) + (f'<ul class="uld-list">{skipped}</ul>' if skipped else "")


def _picture(path: Path) -> bytes:
    small = Image.fromarray(load_rgb(path))
    small.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
