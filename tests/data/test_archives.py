"""Unpacking archives: nothing leaves its folder, nothing outgrows its bounds, nothing half done is reused."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uld_explorer.data.archives import DEFAULT_LIMITS, ArchiveLimits, Unpacked, is_archive, iter_extract
from uld_explorer.events import drain
from uld_explorer.types import UserError

CONTENT = os.urandom(3000)
Maker = Callable[[Path, dict[str, bytes]], Path]


def unpack(path: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> Unpacked:
    return drain(iter_extract(path, path.parent / "cache", limits))


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_every_compression(tmp_path: Path, mode: str) -> None:
    """Told by content: the suffix says nothing here."""
    path = make_tar(tmp_path / "archive", {"a/x.jpg": CONTENT, "notes.json": b"{}"}, mode)
    assert is_archive(path)
    files, skipped = unpack(path)
    assert [(file.name, name, file.read_bytes()) for file, name in files] == [
        ("000000.jpg", "a/x.jpg", CONTENT),
        ("000001.json", "notes.json", b"{}"),
    ]
    assert skipped == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_of_every_compression(tmp_path: Path, method: int) -> None:
    path = make_zip(tmp_path / "a.zip", {"a/": b"", "a/x.PNG": CONTENT, "points.csv": b"1,2"}, method)
    files, skipped = unpack(path)
    assert [(file.name, name) for file, name in files] == [("000000.png", "a/x.PNG"), ("000001.csv", "points.csv")]
    assert files[0][0].read_bytes() == CONTENT and skipped == []


def test_is_archive_is_told_by_content(tmp_path: Path) -> None:
    """A text, an empty file, a missing file, a gzipped text and a picture with a ZIP at its end are no archives."""
    for name, content in {"a.zip": b"text", "b.tar": b"", "c.tar.gz": b"\x1f\x8b\x08rubbish"}.items():
        (tmp_path / name).write_bytes(content)
        assert not is_archive(tmp_path / name)
    inner = make_zip(tmp_path / "inner.zip", {"a": CONTENT})
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xff\xe0" + CONTENT + inner.read_bytes())
    assert is_archive(inner) and not is_archive(tmp_path / "d.jpg") and not is_archive(tmp_path / "missing")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_paths_of_the_archive_never_reach_the_disk(tmp_path: Path, make: Maker) -> None:
    """Ways up, absolute paths, drives and control characters end as harmless display names."""
    names = ["../../evil.png", "/etc/evil.png", "C:\\Windows\\evil.png", "..\\..\\back.png", "a/\x1b[31mred\u202e.png"]
    files, _ = unpack(make(tmp_path / "archive", dict.fromkeys(names, CONTENT)))
    assert [name for _, name in files] == [
        "evil.png",
        "etc/evil.png",
        "Windows/evil.png",
        "back.png",
        "a/[31mred.png",
    ]
    folder = files[0][0].parent
    assert everything_below(tmp_path) == {"archive"} | {
        f"cache/archives/{folder.name}/{n}" for n in [*(f"00000{i}.png" for i in range(5)), "contents.json"]
    }


def test_unpacked_files_carry_harmless_suffixes_only(tmp_path: Path) -> None:
    """A page in an archive can never be served as a page."""
    files, _ = unpack(make_zip(tmp_path / "a.zip", {"a.html": b"<script>", "b.svg": b"<svg>", "c": b"x"}))
    assert [(file.suffix, name) for file, name in files] == [(".bin", "a.html"), (".bin", "b.svg"), (".bin", "c")]


def test_zip_entry_without_a_name(tmp_path: Path) -> None:
    """Python's own test for folders fails on it."""
    path = make_zip(tmp_path / "a.zip", {"?a.png": CONTENT})
    path.write_bytes(path.read_bytes().replace(b"?a.png", b"\0a.png"))  # a name ends at its first zero
    files, _ = unpack(path)
    assert [name for _, name in files] == ["unnamed"]


def test_hidden_files_are_passed_over_and_nested_archives_listed(tmp_path: Path) -> None:
    files, skipped = unpack(
        make_zip(tmp_path / "a.zip", {"__MACOSX/._x.jpg": b"1", ".git/x.jpg": b"2", "more.tar.gz": b"3", "x.jpg": b"4"})
    )
    assert [name for _, name in files] == ["x.jpg"]
    assert [(s.name, s.reason) for s in skipped] == [("more.tar.gz", "an archive inside an archive is not opened")]


def test_links_in_a_zip_are_not_followed(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    files, skipped = unpack(tmp_path / "a.zip")
    assert files == [] and [s.reason for s in skipped] == ["a link, not a file"]


def test_links_devices_and_sparse_files_in_a_tar_are_skipped(tmp_path: Path) -> None:
    """Only ordinary files are written; what follows the special ones is still read."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(special("soft.png", tarfile.SYMTYPE, "/etc/passwd"))
        archive.addfile(special("hard.png", tarfile.LNKTYPE, "../../x"))
        archive.addfile(special("device.png", tarfile.CHRTYPE))
        archive.addfile(special("pipe.png", tarfile.FIFOTYPE))
        sparse = special("sparse.png", tarfile.GNUTYPE_SPARSE)
        archive.addfile(sparse)
        good = special("good.png", tarfile.REGTYPE)
        good.size = len(CONTENT)
        archive.addfile(good, io.BytesIO(CONTENT))
    files, skipped = unpack(tmp_path / "a.tar")
    assert [name for _, name in files] == ["good.png"]
    assert [(s.name, s.reason) for s in skipped] == [
        ("soft.png", "a link, not a file"),
        ("hard.png", "a link, not a file"),
        ("device.png", "not an ordinary file"),
        ("pipe.png", "not an ordinary file"),
        ("sparse.png", "not an ordinary file"),
    ]


def test_zip_bomb_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """Thirty megabytes of zeros in thirty kilobytes."""
    path = make_zip(tmp_path / "a.zip", {"bomb.png": bytes(30 << 20)})
    with pytest.raises(UserError, match="more than 200 times its size"):
        unpack(path)
    assert everything_below(tmp_path) == {"a.zip"}


def test_tar_bomb_is_refused_even_where_it_is_passed_over(tmp_path: Path) -> None:
    """A hidden entry is not written, but what it unpacks to counts."""
    path = make_tar(tmp_path / "a.tgz", {".hidden": bytes(30 << 20), "a.png": CONTENT}, "w:gz")
    with pytest.raises(UserError, match="more than 200 times its size"):
        unpack(path)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_limits_on_entries_total_and_file(tmp_path: Path, make: Maker) -> None:
    """Too many entries and too many bytes refuse the archive; one large file is only left out."""
    path = make(tmp_path / "archive", {f"{i}.jpg": CONTENT for i in range(4)} | {"big.jpg": os.urandom(2 << 20)})
    with pytest.raises(UserError, match="more than 3 files"):
        unpack(path, replace(DEFAULT_LIMITS, entries=3))
    with pytest.raises(UserError, match="unpacks to more than"):
        unpack(path, replace(DEFAULT_LIMITS, total_bytes=5000))
    files, skipped = unpack(path, replace(DEFAULT_LIMITS, file_bytes=1 << 20))
    assert len(files) == 4 and [(s.name, s.reason) for s in skipped] == [("big.jpg", "too large (more than 1 MiB)")]
    assert not (files[0][0].parent / "000004.jpg").exists()


def test_crowded_table_of_contents_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The entries are counted in the raw bytes: Python's reader would first build an object for each of them."""
    path = make_zip(tmp_path / "a.zip", {f"{i}": b"" for i in range(9)})
    stage = iter_extract(path, tmp_path / "cache", replace(DEFAULT_LIMITS, entries=4))
    with pytest.raises(UserError, match="more than 4 files"):
        next(stage)


def test_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    """The flag bit is set in both headers of an ordinary ZIP."""
    data = bytearray(make_zip(tmp_path / "a.zip", {"a.png": CONTENT}).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match="password"):
        unpack(tmp_path / "a.zip")


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_archives_cut_short_are_refused(tmp_path: Path, mode: str) -> None:
    """A broken upload never passes as a smaller archive, and leaves nothing behind."""
    files = {f"{i}.jpg": os.urandom(20_000) for i in range(3)}
    path = tmp_path / "archive"
    make_zip(path, files) if mode == "zip" else make_tar(path, files, mode)
    path.write_bytes(path.read_bytes()[:45_000])
    with pytest.raises(UserError, match="damaged"):
        unpack(path)
    assert everything_below(tmp_path) == {"archive"}


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz"])
def test_flipped_bytes_end_as_a_user_error_or_not_at_all(tmp_path: Path, kind: str) -> None:
    """Damage in any place is answered in words: no other exception reaches the caller."""
    files = {f"{i}.jpg": CONTENT[:200] for i in range(2)}
    path = tmp_path / "archive"
    whole = (make_zip(path, files) if kind == "zip" else make_tar(path, files, kind)).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            unpack(path)
        except UserError as error:
            assert "archive" in str(error)


def test_damaged_header_in_the_middle_of_a_tar_is_noticed(tmp_path: Path) -> None:
    """The files after it must not be missing without a word."""
    path = make_tar(tmp_path / "a.tar", {"a.jpg": CONTENT[:512], "b.jpg": CONTENT[:512], "c.jpg": CONTENT[:512]})
    damaged = bytearray(path.read_bytes())
    damaged[1024:1030] = b"rotten"
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="damaged"):
        unpack(path)


def test_one_damaged_file_in_a_zip_spoils_only_itself(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.jpg": CONTENT, "b.jpg": CONTENT[::-1]}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(CONTENT[:100], b"\0" * 100))
    files, skipped = unpack(path)
    assert [name for _, name in files] == ["b.jpg"]
    assert [(s.name, s.reason) for s in skipped] == [("a.jpg", "damaged inside the archive")]


def test_finished_extraction_is_reused(tmp_path: Path) -> None:
    """The same bytes under another name are not unpacked again, and give the same answer."""
    path = make_zip(tmp_path / "a.zip", {"a.jpg": CONTENT, "more.zip": b""})
    first = unpack(path)
    written = first[0][0][0].stat().st_mtime_ns
    second = unpack(path.rename(tmp_path / "b.zip"))
    assert second == first and second[0][0][0].stat().st_mtime_ns == written


@pytest.mark.parametrize("lost", ["contents.json", "000001.jpg"])
def test_unfinished_extraction_is_done_again(tmp_path: Path, lost: str) -> None:
    """Without its marker, or with a file missing, a folder is not trusted."""
    path = make_zip(tmp_path / "a.zip", {"a.jpg": CONTENT, "b.jpg": CONTENT})
    (file, _), _ = unpack(path)[0]
    file.write_bytes(b"half")
    (file.parent / lost).unlink()
    assert [f.read_bytes() for f, _ in unpack(path)[0]] == [CONTENT, CONTENT]


def test_cancelled_extraction_leaves_nothing(tmp_path: Path) -> None:
    """Closing the generator midway removes what was written."""
    path = make_zip(tmp_path / "a.zip", {f"{i}.jpg": CONTENT for i in range(5)})
    stage = iter_extract(path, tmp_path / "cache")
    for event in stage:
        if event.step == 3:
            break
    assert len(everything_below(tmp_path)) == 3
    stage.close()
    assert everything_below(tmp_path) == {"a.zip"}


def test_leftovers_of_a_killed_extraction_are_cleared(tmp_path: Path) -> None:
    """An old unfinished folder goes, a fresh one may belong to a living process and stays."""
    path = make_zip(tmp_path / "a.zip", {"a.jpg": CONTENT})
    folder = unpack(path)[0][0][0].parent
    (folder / "contents.json").unlink()
    old, fresh = (folder.with_name(f"{folder.name}.{word}.part") for word in ("old", "fresh"))
    old.mkdir()
    fresh.mkdir()
    os.utime(old, (0, 0))
    unpack(path)
    assert not old.exists() and fresh.exists()


def test_two_extractions_at_once_agree(tmp_path: Path) -> None:
    """Two visitors bring the same archive; both end with the same complete folder."""
    path = make_zip(tmp_path / "a.zip", {f"{i}.jpg": CONTENT for i in range(3)})
    first = iter_extract(path, tmp_path / "cache")
    for event in first:
        if event.step == 2:
            break
    assert unpack(path) == drain(first)
