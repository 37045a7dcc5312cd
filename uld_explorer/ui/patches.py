"""Small pictures for the page: patches around points, whole pictures, and sheets of them. Everything is inlined.

No file of one visitor gets an address that another could ask for.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from uld_explorer.types import ImageSet

PATCH = 56
SHARE = 0.3
"""Of the shorter side of a picture, what a patch on a map shows."""


def data_uri(data: bytes, kind: str = "jpeg") -> str:
    """A picture file as an address that needs no request."""
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def cut(picture: Image.Image, size: np.ndarray, xy: np.ndarray, share: float) -> Image.Image:
    """The square around a point, `share` of the shorter side, as PATCH pixels.

    picture: the original or a smaller copy of it; size (2,) and xy (2,) in pixels of the original.
    """
    half = share * min(picture.size) / 2
    x, y = xy * picture.width / size[0]
    box = (round(x - half), round(y - half), round(x + half), round(y + half))
    return picture.crop(box).resize((PATCH, PATCH), Image.Resampling.BILINEAR)


def open_picture(path: Path) -> Image.Image:
    """A small copy of a picture, as RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")


def patch(images: ImageSet, row: int, xy: np.ndarray, share: float = 0.22) -> str:
    """The address of the patch around a point of one picture."""
    return data_uri(jpeg(cut(open_picture(images.paths[row]), images.sizes[row], xy, share)))


def thumb(images: ImageSet, row: int, side: int = PATCH) -> str:
    """The address of one picture cut to a square."""
    return data_uri(jpeg(ImageOps.fit(open_picture(images.paths[row]), (side, side))))


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def picture_atlas(images: ImageSet, rows: np.ndarray, columns: int = 64) -> str:
    """One sheet of whole pictures, PATCH pixels each, cut to squares; tile i is picture rows[i]."""
    sheet = _sheet(len(rows), columns)
    for index, row in enumerate(rows):
        tile = ImageOps.fit(open_picture(images.paths[int(row)]), (PATCH, PATCH))
        sheet.paste(tile, _corner(index, columns))
    return _webp(sheet)


def atlas(images: ImageSet, xy: np.ndarray, rows: Sequence[int] | np.ndarray, columns: int = 64) -> str:
    """One sheet of patches, PATCH pixels each, for hovering over a map: point i is tile i, row by row."""
    sheet = _sheet(len(rows), columns)
    opened: dict[int, Image.Image] = {}
    for index in np.argsort(np.asarray(rows), kind="stable"):
        row = int(rows[index])
        if row not in opened:
            opened.clear()
            opened[row] = open_picture(images.paths[row])
        sheet.paste(cut(opened[row], images.sizes[row], xy[index], SHARE), _corner(index, columns))
    return _webp(sheet)


def _sheet(count: int, columns: int) -> Image.Image:
    return Image.new("RGB", (columns * PATCH, max(1, -(-count // columns)) * PATCH))


def _corner(index: int, columns: int) -> tuple[int, int]:
    return int(index % columns) * PATCH, int(index // columns) * PATCH


def _webp(sheet: Image.Image) -> str:
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=60)
    return data_uri(buffer.getvalue(), "webp")
