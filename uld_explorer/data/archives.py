"""Unpacks ZIP and TAR archives of unknown origin within bounds. Knows nothing about pictures.

Every ordinary file is unpacked under a name of our own (000000.jpg, 000001.json ...), so no path of the archive ever
reaches the disk; what the owner calls the file travels beside it. Links, devices, hidden files and archives inside
the archive are left out. Sizes in headers are not believed: the bytes that come out are counted.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from uld_explorer.events import Stage, progress
from uld_explorer.types import Skipped, UserError

Unpacked = tuple[list[tuple[Path, str]], list[Skipped]]

ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".rar", ".7z"})
# The only suffixes an unpacked file may carry; a page or a script from an archive must not be servable as one.
KEPT_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".json", ".csv"}
)

_STAGE = "unpacking"
_MARKER = "contents.json"
_RULES = "1"  # raised whenever the rules of unpacking change, so that older results are not reused
_CHUNK = 1 << 20
_STALE_SECONDS = 3600
_DECOMPRESSORS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    UnicodeError,
    RuntimeError,  # also NotImplementedError: a way of compressing that Python does not know
)


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may contain. Archives inside archives are never opened, so there is no depth to limit.

    entries      files and folders in the archive
    total_bytes  unpacked bytes of the whole archive
    file_bytes   unpacked bytes of one file; a larger one is skipped
    ratio        unpacked bytes for each byte of the archive, with one MiB to spare for small archives
    """

    entries: int = 50_000
    total_bytes: int = 4 << 30
    file_bytes: int = 200 << 20
    ratio: int = 200


DEFAULT_LIMITS = ArchiveLimits()


def is_archive(path: Path) -> bool:
    """Whether the file is a ZIP or a TAR (also gzip, bzip2 or xz), told by its content, never by its name."""
    try:
        with path.open("rb") as file:
            if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
                return True
        with _open_tar_stream(path) as stream:
            tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        return True
    except (*_DAMAGE, OSError):
        return False


def is_hidden(name: str) -> bool:
    """Whether any part of the slash-separated name is hidden, or a leftover of macOS (__MACOSX)."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def iter_extract(path: Path, cache_dir: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> Stage[Unpacked]:
    """Unpack the archive into a folder of `cache_dir` named by its content, or reuse that folder if it is complete.

    Yields progress events; returns the unpacked files, each with the name its owner knows it by, and what was left
    out. Closing the generator midway leaves nothing behind. Raises UserError for archives that are damaged,
    protected by a password, or larger than the limits.
    """
    key = yield from _fingerprint(path, limits)
    folder = cache_dir / "archives" / key
    found = _completed(folder)
    if found is None:
        found = yield from _extract_aside(path, folder, limits)
    return found


def _fingerprint(path: Path, limits: ArchiveLimits) -> Stage[str]:
    """Hash of the archive, the limits and the rules. Refuses a table of contents that would fill the memory."""
    digest = hashlib.blake2b(f"{_RULES} {limits}".encode(), digest_size=16)
    listed = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(16 * _CHUNK):
                digest.update(chunk)
                # zipfile reads the whole table at once. Archives stored inside add to the count, hence the margin.
                listed += chunk.count(b"PK\x01\x02")
                if listed > 2 * limits.entries:
                    raise _too_many(path, limits)
                yield progress(_STAGE, 0)
    except OSError as error:
        raise UserError(f"{path.name} cannot be opened ({error.strerror}).") from error
    return digest.hexdigest()


def _completed(folder: Path) -> Unpacked | None:
    """What an earlier, finished extraction left in the folder; None if it did not finish or was cleared away."""
    try:
        record = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    files = [(folder / file, name) for file, name in record["files"]]
    if not all(file.is_file() for file, _ in files):
        return None
    return files, [Skipped(name, reason) for name, reason in record["skipped"]]


def _extract_aside(path: Path, folder: Path, limits: ArchiveLimits) -> Stage[Unpacked]:
    """Unpack into a folder of our own and rename it when complete: two visitors may bring the same archive at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        files, skipped = yield from _unpack(path, part, limits)
        record = {
            "files": [(file.name, name) for file, name in files],
            "skipped": [(s.name, s.reason) for s in skipped],
        }
        (part / _MARKER).write_text(json.dumps(record), encoding="utf-8")
        return _publish(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _remove_stale(folder: Path) -> None:
    """Clear what killed extractions of the same archive left: a living one touches its folder all the time."""
    for part in folder.parent.glob(f"{folder.name}.*.part"):
        try:
            stale = time.time() - part.stat().st_mtime > _STALE_SECONDS
        except FileNotFoundError:
            continue
        if stale:
            shutil.rmtree(part, ignore_errors=True)


def _publish(part: Path, folder: Path) -> Unpacked:
    if _completed(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            part.rename(folder)
        except OSError:
            if _completed(folder) is None:  # else somebody else was faster, with the same content
                raise
    found = _completed(folder)
    if found is None:
        raise UserError("The unpacked pictures vanished from the cache; open the archive again.")
    return found


def _unpack(path: Path, target: Path, limits: ArchiveLimits) -> Stage[Unpacked]:
    meter = _Meter(path, limits)
    try:
        return (yield from _unpack_entries(_entries(path, meter), path, target, limits))
    except _DAMAGE as error:
        raise UserError(f"{path.name} is damaged or cut short and cannot be unpacked; pack it again.") from error
    except OSError as error:
        if error.errno is None:  # gzip and bzip2 report damage as an OSError without a number
            raise UserError(f"{path.name} is damaged and cannot be unpacked; pack it again.") from error
        raise UserError(f"{path.name} cannot be unpacked ({error.strerror}).") from error


def _unpack_entries(entries: Iterator[_Entry], path: Path, target: Path, limits: ArchiveLimits) -> Stage[Unpacked]:
    files: list[tuple[Path, str]] = []
    skipped: list[Skipped] = []
    for number, entry in enumerate(entries, start=1):
        if number > limits.entries:
            raise _too_many(path, limits)
        yield progress(_STAGE, number, entry.total)
        name = _display_name(entry.name)
        if entry.folder or is_hidden(name):
            continue
        suffix = PurePosixPath(name).suffix.lower()
        file = target / f"{len(files):06d}{suffix if suffix in KEPT_SUFFIXES else '.bin'}"
        nested = "an archive inside an archive is not opened" if suffix in ARCHIVE_SUFFIXES else ""
        if reason := entry.problem or nested or _copy(entry, file, limits):
            skipped.append(Skipped(name, reason))
        else:
            files.append((file, name))
    return files, skipped


def _copy(entry: _Entry, file: Path, limits: ArchiveLimits) -> str:
    """Write one file; returns why it could not be used, and then leaves no file, or an empty text."""
    reason = ""
    try:
        with closing(entry.open()) as source, file.open("wb") as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                if target.tell() > limits.file_bytes:
                    reason = f"too large (more than {limits.file_bytes >> 20} MiB)"
                    break
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        if not entry.alone:
            raise
        unknown = isinstance(error, NotImplementedError)
        reason = "packed in a way that cannot be read here" if unknown else "damaged inside the archive"
    if reason:
        file.unlink(missing_ok=True)
    return reason


@dataclass(frozen=True)
class _Entry:
    """One thing in an archive. `alone`: damage to it says nothing about the entries after it; `total` 0: unknown."""

    name: str
    folder: bool
    problem: str
    open: Callable[[], IO[bytes]]
    alone: bool = False
    total: int = 0


def _entries(path: Path, meter: _Meter) -> Iterator[_Entry]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    return _zip_entries(path, meter) if zipped else _tar_entries(path, meter)


def _zip_entries(path: Path, meter: _Meter) -> Iterator[_Entry]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            if member.flag_bits & 0x1:
                raise UserError(f"{path.name} is protected by a password; pack the pictures without one.")
            mode = member.external_attr >> 16  # 0 when packed on a system without Unix modes

            def opener(member: zipfile.ZipInfo = member) -> IO[bytes]:
                return _Metered(archive.open(member), meter)  # type: ignore[return-value]

            ordinary = stat.S_IFMT(mode) in (0, stat.S_IFREG)
            problem = "" if ordinary else _why_special(stat.S_ISLNK(mode))
            folder = member.filename.endswith("/")
            yield _Entry(member.filename, folder, problem, opener, True, len(members))


def _tar_entries(path: Path, meter: _Meter) -> Iterator[_Entry]:
    """Read as a stream, through the meter, so that entries which are passed over count as well."""
    with (
        _open_tar_stream(path) as stream,
        tarfile.open(fileobj=_Metered(stream, meter), mode="r|", tarinfo=_StrictHeader) as archive,  # type: ignore[call-overload]
    ):
        for member in archive:

            def opener(member: tarfile.TarInfo = member) -> IO[bytes]:
                source = archive.extractfile(member)
                if source is None:
                    raise tarfile.ReadError(member.name)
                return source

            ordinary = member.isreg() and not member.issparse()  # a sparse file can claim any size for free
            problem = "" if ordinary else _why_special(member.issym() or member.islnk())
            yield _Entry(member.name, member.isdir(), problem, opener)


class _StrictHeader(tarfile.TarInfo):
    """Python takes a damaged header for the end of the archive; the files after it would be missing without a word."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _open_tar_stream(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        head = file.read(6)
    for magic, opener in _DECOMPRESSORS.items():
        if head.startswith(magic):
            return opener(path, "rb")
    return path.open("rb")


def _why_special(link: bool) -> str:
    return "a link, not a file" if link else "not an ordinary file"


def _too_many(path: Path, limits: ArchiveLimits) -> UserError:
    return UserError(f"{path.name} holds more than {limits.entries} files; split it into smaller archives.")


def _display_name(raw: str) -> str:
    """What to call an entry: slashes only, no way up, no drive, nothing unprintable, at most 200 characters."""
    parts = re.sub(r"^[A-Za-z]:", "", raw.replace("\\", "/")).split("/")
    printable = ("".join(c for c in part if c.isprintable()) for part in parts if part not in ("", ".", ".."))
    return "/".join(part for part in printable if part)[-200:].strip("/") or "unnamed"


class _Meter:
    """Counts the bytes that come out of an archive and stops at the smaller of the total and the ratio's allowance."""

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        self.name, self.limits, self.seen = path.name, limits, 0
        self.by_ratio = limits.ratio * path.stat().st_size + (1 << 20)

    def add(self, count: int) -> None:
        self.seen += count
        if self.seen > self.limits.total_bytes:
            size = self.limits.total_bytes / (1 << 30)
            raise UserError(f"{self.name} unpacks to more than {size:.3g} GiB; split it into smaller archives.")
        if self.seen > self.by_ratio:
            raise UserError(f"{self.name} unpacks to more than {self.limits.ratio} times its size; it is not opened.")


class _Metered:
    """A readable stream that reports what is read from it."""

    def __init__(self, stream: IO[bytes], meter: _Meter) -> None:
        self.stream, self.meter = stream, meter

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.meter.add(len(data))
        return data

    def close(self) -> None:
        self.stream.close()
