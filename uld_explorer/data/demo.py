"""The two bundled sets: rendered heads (made on demand, exact ground truth) and synthetic photographs (in assets/)."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np
from PIL import Image

from uld_explorer import paths
from uld_explorer.data.heads.anatomy import POINTS
from uld_explorer.data.heads.scene import RenderedHead, render_head
from uld_explorer.data.images import iter_open_images
from uld_explorer.events import Stage, progress
from uld_explorer.types import Annotations, ImageSet, UserError

HEADS_VERSION = 2
"""Raise it when the renderer changes, so that pictures cached by an older version are not used."""
HEADS_SIZE = 128
HEADS_DEFAULT = 300
OUTER_EYES = (POINTS.index("eye_outer_left"), POINTS.index("eye_outer_right"))


def iter_open_heads(count: int = HEADS_DEFAULT, seed: int = 0, size: int = HEADS_SIZE) -> Stage[ImageSet]:
    """Rendered heads number 0 to count - 1 of the series `seed`, `size` pixels, with points, visibility, box and yaw.

    Head i of a series is the same whatever the count. Pictures are kept in the cache.

    Raises:
        UserError: count not in 1...100000 or size not in 32...1024.
    """
    if not 1 <= count <= 100_000 or not 32 <= size <= 1024 or seed < 0:
        raise UserError("demo:heads takes 1 to 100000 heads of 32 to 1024 pixels and a seed of 0 or more.")
    folder = paths.cache_dir(f"heads/v{HEADS_VERSION}-{size}px-seed{seed}")
    records = []
    for index in range(count):
        records.append(_head_record(folder, seed, index, size))
        if index % 4 == 0:
            yield progress("rendering demo heads", index, count)
    yield progress("rendering demo heads", count, count)
    ids = tuple(f"head-v{HEADS_VERSION}-{seed}-{index:06d}-{size}" for index in range(count))
    names = tuple(f"head_{index:06d}.png" for index in range(count))
    files = tuple(folder / name for name in names)
    return ImageSet(
        ids, names, files, np.full((count, 2), size), (), _annotations(records), f"demo heads {count}:{seed}"
    )


def _head_record(folder: Path, seed: int, index: int, size: int) -> dict:
    picture, record = folder / f"head_{index:06d}.png", folder / f"head_{index:06d}.json"
    if record.exists() and picture.exists():
        return json.loads(record.read_text())
    head = render_head(seed, index, size)
    found = _to_record(head)
    # The record is written last and both by rename: a killed run leaves no half of a head behind, and two at once
    # do not meet, not even in one process.
    part = folder / f"{picture.stem}.{secrets.token_hex(4)}.part"
    Image.fromarray(head.image).save(part, format="PNG")
    part.replace(picture)
    part.write_text(json.dumps(found))
    part.replace(record)
    return found


def _to_record(head: RenderedHead) -> dict:
    visibility = np.where(head.visible, 2, 1)
    return {"xy": head.xy.tolist(), "visibility": visibility.tolist(), "box": head.box.tolist(), "yaw": head.yaw}


def _annotations(records: list[dict]) -> Annotations:
    xy, visibility, boxes, yaw = (np.array([r[key] for r in records]) for key in ("xy", "visibility", "box", "yaw"))
    return Annotations(xy, visibility.astype(np.uint8), boxes, POINTS, yaw, OUTER_EYES)


def iter_open_faces(count: int | None = None) -> Stage[ImageSet]:
    """The bundled photographs of people who do not exist, at most `count` of them."""
    folder = paths.ASSETS / "faces"
    return (yield from iter_open_images([folder], paths.cache_dir("uploads"), limit=count, label="demo faces"))
