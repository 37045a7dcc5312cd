"""Turns folders, files and archives into an `ImageSet`, and picture files into pixels.

Knows how to read pictures and why one cannot be used. Does not know what the pictures show, nor what is done with
them; annotations are read by `data.annotations`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO

import numpy as np
from PIL import Image

from uld_explorer.data.archives import (
    ARCHIVE_SUFFIXES,
    DEFAULT_LIMITS,
    ArchiveLimits,
    is_archive,
    is_hidden,
    iter_extract,
)
from uld_explorer.events import Stage, progress
from uld_explorer.types import ImageSet, Skipped, UserError

SUPPORTED_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
MAX_PIXELS = 50_000_000
MIN_SIDE = 16

# Only these decoders are tried: others start programs (EPS) or are seldom attacked and seldom mended.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_FOREIGN_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".svg", ".tga"})
_RAW_SUFFIXES = frozenset({".dng", ".cr2", ".nef", ".arw"})  # TIFF inside, of which only a thumbnail could be read
_FOREIGN = "a kind of picture that cannot be read here; save it as JPEG or PNG"
_ANNOTATION_SUFFIXES = frozenset({".json", ".csv"})
_STAGE = "reading pictures"
_ORIENTATION_TAG = 0x0112
_BITS_TAG, _SAMPLE_FORMAT_TAG = 258, 339  # TIFF
_TURN_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


class UnusablePicture(UserError):  # noqa: N818 - named for what it tells, like Skipped
    """A file that is no picture, or one that is damaged or out of bounds. `reason` is a phrase in plain words."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be used: {reason}.")
        self.reason = reason


def load_rgb(path: Path) -> np.ndarray:
    """The picture as (H, W, 3) uint8, upright (EXIF orientation applied).

    Transparent pixels are laid over white, as most viewers and web pages show them. Deep greyscale is scaled by its
    bit depth; 32-bit integers by the smallest of 8, 16 or 32 bits that holds the brightest pixel; floats are taken
    as 0...1 or 0...255 if they fit, and are stretched from darkest to brightest otherwise. Colour profiles are not
    applied. Only the first frame of an animation is read. The format is told by the content, not by the suffix.

    Raises UnusablePicture, a UserError, for anything that cannot be decoded to the end or exceeds MAX_PIXELS.
    """
    try:
        with Path(path).open("rb") as file:
            return _decode(file, Path(path).name)
    except OSError as error:
        raise UnusablePicture(Path(path).name, f"cannot be opened ({error.strerror or error})") from error


def inspect(path: Path) -> tuple[int, int, str]:
    """Width and height in pixels once upright, and the hash of the file's bytes (64 hex digits).

    The picture is decoded to the end, so that `load_rgb` is sure to succeed later. Raises UnusablePicture.
    """
    content = _content_hash(path)
    width, height = _checked_size(path)
    return width, height, content


def looks_like_picture(head: bytes) -> bool:
    """Whether the first 32 bytes of a file are those of a picture in a format that can be read here."""
    if head[:2] == b"BM":  # too short a signature to trust alone; the size of the second header follows
        return head[14:18] in {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    signatures = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return head.startswith(signatures)


def iter_open_images(
    sources: Sequence[Path],
    cache_dir: Path,
    *,
    limit: int | None = None,
    needed: int = 1,
    label: str = "pictures",
    limits: ArchiveLimits = DEFAULT_LIMITS,
    called: Mapping[Path, str] = MappingProxyType({}),
) -> Stage[ImageSet]:
    """Open every usable picture of the sources: folders (with subfolders), picture files, ZIP and TAR archives.

    Yields progress events and returns an ImageSet sorted by name, cut to the first `limit` usable pictures. Names are
    paths inside the folder or archive. Of pictures with the same bytes the first is kept; the others, and all files
    that could not be used, are in `skipped`. Files that are not meant to be pictures are passed over in silence.

    cache_dir  where archives are unpacked
    limits     what an archive may contain
    called     what files among the sources are called; without that, by the last part of their path

    Raises UserError if a source does not exist, an archive is unsafe, or fewer than `needed` pictures are usable.
    """
    candidates: list[_Candidate] = []
    skipped: list[Skipped] = []
    for source in sources:
        candidates += yield from _candidates(Path(source), cache_dir, limits, skipped, called)
    candidates = _distinct_names(sorted(candidates, key=lambda candidate: candidate.name))
    kept = _Kept()
    for step, candidate in enumerate(candidates):
        yield progress(_STAGE, step, len(candidates))
        if limit is not None and len(kept.names) >= limit:
            break
        reason = _refusal(candidate)
        if reason is None:
            reason = kept.add(candidate)
        if reason:
            skipped.append(Skipped(candidate.name, reason))
    yield progress(_STAGE, len(candidates), len(candidates))
    _require(needed, len(kept.names), skipped)
    sizes = np.array(kept.sizes, dtype=np.int64).reshape(-1, 2)
    return ImageSet(
        tuple(kept.names), tuple(kept.names.values()), tuple(kept.paths), sizes, tuple(skipped), label=label
    )


# --- finding the files ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    """A file that may be a picture. `given`: named by the user, so that it must not be passed over in silence."""

    path: Path
    name: str
    source: str
    given: bool = False


def _candidates(
    source: Path, cache_dir: Path, limits: ArchiveLimits, skipped: list[Skipped], called: Mapping[Path, str]
) -> Stage[list[_Candidate]]:
    found: list[_Candidate] = []
    title = called.get(source, source.name)
    if source.is_dir():
        for path in _walk(source):
            if len(found) % 500 == 0:
                yield progress("finding pictures", len(found))
            found.append(_Candidate(path, path.relative_to(source).as_posix(), source.name))
    elif not source.is_file():
        raise UserError(f"There is no file or folder called {source}.")
    elif is_archive(source):
        files, left_out = yield from iter_extract(source, cache_dir, limits)
        skipped += left_out
        found = [_Candidate(path, name, title) for path, name in files]
    else:
        found = [_Candidate(source, title, source.parent.name, given=True)]
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below the folder that is not hidden. Links are followed, but no folder is entered twice."""
    entered: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (Path(root, name) for name in files if not is_hidden(name))


def _distinct_names(candidates: list[_Candidate]) -> list[_Candidate]:
    """Names told apart by the name of their source, then by a number, where two sources use the same one."""
    taken: set[str] = set()
    distinct = []
    for candidate in candidates:
        name, number = candidate.name, 2
        if name in taken:
            name = f"{candidate.source}/{candidate.name}"
        while name in taken:
            name, number = f"{candidate.source}/{candidate.name} ({number})", number + 1
        taken.add(name)
        distinct.append(_Candidate(candidate.path, name, candidate.source, candidate.given))
    return distinct


def _refusal(candidate: _Candidate) -> str | None:
    """None: read it. Otherwise why not, which is empty if the file is to be passed over in silence."""
    suffix = PurePosixPath(candidate.name).suffix.lower()
    if not candidate.path.is_file():  # a broken link, or a pipe that would block
        return "not an ordinary file" if suffix in SUPPORTED_SUFFIXES else ""
    if suffix in _RAW_SUFFIXES:
        return _FOREIGN
    if suffix in SUPPORTED_SUFFIXES or looks_like_picture(_head(candidate.path)):
        return None
    if suffix in _FOREIGN_SUFFIXES:
        return _FOREIGN
    if suffix in ARCHIVE_SUFFIXES:
        return (
            "an archive that cannot be opened; use ZIP or TAR" if candidate.given else "an archive; open it by itself"
        )
    return "not a picture" if candidate.given and suffix not in _ANNOTATION_SUFFIXES else ""


class _Kept:
    """The usable pictures so far: their names by their ids, and in the same order their paths and sizes."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.paths: list[Path] = []
        self.sizes: list[tuple[int, int]] = []

    def add(self, candidate: _Candidate) -> str:
        """Keep the picture, or return why it cannot be used."""
        try:
            identity = _content_hash(candidate.path)[:16]
            if identity in self.names:  # asked before decoding, which costs more
                return f"same picture as {self.names[identity]}"
            self.sizes.append(_checked_size(candidate.path))
        except UnusablePicture as problem:
            return problem.reason
        self.names[identity] = candidate.name
        self.paths.append(candidate.path)
        return ""


def _require(needed: int, found: int, skipped: list[Skipped]) -> None:
    if found >= needed:
        return
    first = f" The first: {skipped[0].name}, {skipped[0].reason}." if skipped else ""
    raise UserError(
        f"At least {needed} usable {'picture is' if needed == 1 else 'pictures are'} needed, {found} found, "
        f"{len(skipped)} {'file' if len(skipped) == 1 else 'files'} skipped.{first}"
    )


# --- reading one file -------------------------------------------------------------------------------------------


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(32)
    except OSError:
        return b""


def _content_hash(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise UnusablePicture(path.name, f"cannot be opened ({error.strerror or error})") from error
    return digest.hexdigest()


def _checked_size(path: Path) -> tuple[int, int]:
    height, width, _ = load_rgb(path).shape
    if min(width, height) < MIN_SIDE:
        raise UnusablePicture(path.name, f"too small ({width} × {height} px, at least {MIN_SIDE} needed)")
    return width, height


def _decode(file: IO[bytes], name: str) -> np.ndarray:
    head = file.read(32)
    file.seek(0)
    try:
        with Image.open(file, formats=_FORMATS) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:  # known from the header, before any memory is spent
                reason = f"too large ({pixels / 1e6:.0f} megapixels, at most {MAX_PIXELS / 1e6:.0f})"
                raise UnusablePicture(name, reason)
            image.load()
            turn = _TURN_UPRIGHT.get(_orientation(image), lambda a: a)
            return np.ascontiguousarray(turn(_to_rgb(image)))
    except UnusablePicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusablePicture(name, f"too large (more than {MAX_PIXELS / 1e6:.0f} megapixels)") from error
    except Exception as error:  # decoders answer damaged files with exceptions of every kind
        raise UnusablePicture(name, _why_unreadable(head)) from error


def _why_unreadable(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head[4:8] == b"ftyp":  # HEIC and AVIF, which telephones also save under the suffix .jpg
        return _FOREIGN
    return "cut short or damaged" if looks_like_picture(head) else "not a picture"


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1...8. Call after load(): Pillow turns TIFF upright there and drops the tag."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a damaged EXIF block does not make the pixels unusable
        return 1


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        return _grey_to_rgb(_integers_to_bytes(image))
    if image.mode == "F":
        return _grey_to_rgb(_floats_to_bytes(np.asarray(image)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return np.array(image.convert("RGB"))


def _grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _integers_to_bytes(image: Image.Image) -> np.ndarray:
    """(H, W) uint8 from a picture with more than 8 bits of grey: full depth maps to 255, negative values to 0."""
    tags = getattr(image, "tag_v2", {})
    bits = int(tags.get(_BITS_TAG, (16 if image.mode.startswith("I;16") else 32,))[0])
    signed = tags.get(_SAMPLE_FORMAT_TAG, (1,))[0] == 2
    values = np.asarray(image)
    if bits == 32 and not signed and values.dtype.itemsize == 4:
        values = values.view(np.uint32)  # Pillow hands out the upper half as negative numbers
    values = np.maximum(values, 0)
    if bits == 32:
        bits = next(b for b in (8, 16, 32) if int(values.max()) < 1 << b)
        signed = False
    top = (1 << (bits - 1 if signed else bits)) - 1
    return np.minimum(values.astype(np.float32) * np.float32(255 / top) + np.float32(0.5), 255).astype(np.uint8)


def _floats_to_bytes(values: np.ndarray) -> np.ndarray:
    """(H, W) uint8 from floats of unknown range; what is not finite becomes black."""
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    if low >= 0 and high <= 255:
        low, high = 0.0, (1.0 if high <= 1 else 255.0)
    spread = (np.where(finite, values, low).astype(np.float64) - low) * (255 / max(high - low, 1e-300))
    return np.clip(spread + 0.5, 0, 255).astype(np.uint8)
