"""SOURCE, as people write it, to pictures: a folder, archive or file, or demo:NAME[:COUNT[:SEED]]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from uld_explorer import paths
from uld_explorer.data.annotation_table import AnnotationTable
from uld_explorer.data.annotations import attach, find_annotations, pick_annotations, read_annotations
from uld_explorer.data.archives import is_archive, iter_extract
from uld_explorer.data.demo import HEADS_DEFAULT, iter_open_faces, iter_open_heads
from uld_explorer.data.images import iter_open_images
from uld_explorer.events import Stage
from uld_explorer.types import ImageSet, UserError

DEMOS = {
    "heads": "rendered 3-D heads with exact ground truth, unlimited, demo:heads:COUNT:SEED",
    "faces": "photographs of people who do not exist, demo:faces:COUNT",
}


def iter_open(
    source: str | Path | Sequence[str | Path],
    *,
    annotations: str | Path | None = None,
    limit: int | None = None,
    needed: int = 1,
    called: Mapping[Path, str] = MappingProxyType({}),
) -> Stage[ImageSet]:
    """Open pictures and their annotations: those given, else those in the one folder or the one archive.

    called: what files and archives are called, where that is not their own name.

    Raises:
        UserError: nothing there, fewer than `needed` usable pictures, or unreadable annotations.
    """
    table = None
    if isinstance(source, str) and source.startswith("demo:"):
        images = yield from _iter_demo(source, limit)
    else:
        listed = [source] if isinstance(source, str | Path) else list(source)
        files = [Path(item).expanduser() for item in listed]
        label = called.get(files[0], files[0].name) if files else "pictures"
        images = yield from iter_open_images(
            files, paths.cache_dir("uploads"), limit=limit, needed=needed, label=label, called=called
        )
        table = None if annotations else (yield from _iter_own_annotations(files))
    if annotations:
        table = read_annotations(Path(annotations).expanduser())
    if table is not None:
        images = attach(images, table)
    if len(images) < needed:
        raise UserError(f"At least {needed} pictures are needed, {images.label} has {len(images)}.")
    return images


def _iter_own_annotations(files: list[Path]) -> Stage[AnnotationTable | None]:
    """What lies with the pictures: in the only folder among the sources, or in the archive that is the only source."""
    folders = [file for file in files if file.is_dir()]
    if len(folders) == 1:
        found = find_annotations(folders[0])
        return read_annotations(found) if found else None
    if len(files) != 1 or not is_archive(files[0]):
        return None
    unpacked, _ = yield from iter_extract(files[0], paths.cache_dir("uploads"))
    found = pick_annotations(unpacked)
    return read_annotations(found, dict(unpacked)[found]) if found else None


def _iter_demo(source: str, limit: int | None) -> Stage[ImageSet]:
    name, count, seed = parse_demo(source)
    if name == "heads":
        return (yield from iter_open_heads(min(count or HEADS_DEFAULT, limit or 10**9), seed))
    wanted = [value for value in (count, limit) if value]
    return (yield from iter_open_faces(min(wanted) if wanted else None))


def parse_demo(source: str) -> tuple[str, int | None, int]:
    """ "demo:heads:300:1" -> ("heads", 300, 1); the count is None where it is not given, the seed 0.

    Raises:
        UserError: an unknown name or a count or seed that is not a number.
    """
    parts = source.split(":")
    names = ", ".join(f"demo:{name}" for name in DEMOS)
    if parts[1] not in DEMOS or len(parts) > 4:
        raise UserError(f"'{source}' is not one of the bundled sets: {names}, each with :COUNT and :SEED where wanted.")
    if not all(part.isdecimal() for part in parts[2:]) or (len(parts) > 2 and int(parts[2]) == 0):
        raise UserError(f"In '{source}' the count and the seed must be whole numbers, such as demo:{parts[1]}:300:0.")
    return parts[1], int(parts[2]) if len(parts) > 2 else None, int(parts[3]) if len(parts) > 3 else 0
