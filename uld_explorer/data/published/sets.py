"""The published data sets of the paper's tables, read from a folder that the user has. Nothing is downloaded.

A set is one file with a function that reads its two parts, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uld_explorer import paths
from uld_explorer.data.annotations import attach
from uld_explorer.data.images import iter_open_images
from uld_explorer.data.published import aflw, cat_heads, ls3d, mafl
from uld_explorer.data.published.parts import Part
from uld_explorer.events import Stage
from uld_explorer.types import ImageSet, UserError


@dataclass(frozen=True)
class PublishedSet:
    """A data set of the literature.

    title     what papers call it
    layout    the files that are expected in its folder
    read      folder -> training and test part
    protocol  the evaluation protocol of its table
    roi       the region of interest that suits its pictures
    """

    title: str
    layout: str
    read: Callable[[Path], tuple[Part, Part]]
    protocol: str
    roi: str


PUBLISHED = {
    "mafl": PublishedSet("MAFL", mafl.LAYOUT, mafl.read_mafl, "mafl5", "whole"),
    "aflw": PublishedSet("AFLW", aflw.LAYOUT, aflw.read_aflw, "eyes", "whole"),
    "ls3d": PublishedSet("LS3D", ls3d.LAYOUT, ls3d.read_ls3d, "ls3d", "annotations"),
    "catheads": PublishedSet("CatHeads", cat_heads.LAYOUT, cat_heads.read_cat_heads, "eyes", "annotations"),
}


def iter_open_published(name: str, folder: Path, limit: int | None = None) -> Stage[tuple[ImageSet, ImageSet]]:
    """Training and test pictures with their annotations; at most `limit` of each, evenly spread.

    Raises:
        UserError: the folder is not there or does not have the set's layout; the message says what is expected.
    """
    chosen = PUBLISHED[name]
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. {chosen.title} is read from a folder with:\n{chosen.layout}")
    sets = []
    for part, word in zip(chosen.read(folder), ("training", "test"), strict=True):
        some = part.take(limit)
        images = yield from iter_open_images(
            [some.root / path for path in some.names],
            paths.cache_dir("uploads"),
            called={some.root / path: path for path in some.names},
            label=f"{chosen.title} {word}",
        )
        sets.append(attach(images, some.table))
    return sets[0], sets[1]
