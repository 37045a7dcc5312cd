"""Opening folders, files and archives: what is usable is used, the rest is listed by name with a reason."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.data.pictures import png_with_header, save
from uld_explorer.data.images import inspect, iter_open_images
from uld_explorer.events import drain
from uld_explorer.types import ImageSet, UserError


def open_images(tmp_path: Path, *sources: Path, **options: object) -> ImageSet:
    return drain(iter_open_images(sources, tmp_path / "cache", **options))  # type: ignore[arg-type]


def reasons(images: ImageSet) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in images.skipped}


def test_folder_is_read_recursively_and_sorted(tmp_path: Path) -> None:
    """Names are relative paths in order; ids, sizes and paths belong to them."""
    for seed, name in enumerate(["b.png", "a/z.png", "a/deep/y.png"]):
        save(tmp_path / "in" / name, seed, (24 + seed, 20))
    images = open_images(tmp_path, tmp_path / "in", label="set")
    assert images.names == ("a/deep/y.png", "a/z.png", "b.png") and images.label == "set"
    assert images.sizes.tolist() == [[26, 20], [25, 20], [24, 20]] and images.sizes.dtype == np.int64
    assert all(len(i) == 16 and inspect(p)[2].startswith(i) for i, p in zip(images.ids, images.paths, strict=True))
    assert images.skipped == ()


def test_every_unusable_picture_is_listed_and_the_rest_is_silent(tmp_path: Path) -> None:
    """Hidden files, macOS leftovers and files that are no pictures are not mentioned; spoilt pictures are."""
    folder = tmp_path / "in"
    good = save(folder / "good.png")
    save(folder / ".hidden.png", 1)
    save(folder / ".cache" / "a.png", 2)
    save(folder / "__MACOSX" / "a.png", 3)
    save(folder / "tiny.png", 4, (12, 9))
    (folder / "copy.png").write_bytes(good.read_bytes())
    (folder / "text.jpg").write_text("not a picture at all")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "huge.png").write_bytes(png_with_header(100_000, 100_000))
    for silent in ("notes.txt", "annotations.json", "table.csv", "Thumbs.db"):
        (folder / silent).write_text("{}")
    images = open_images(tmp_path, folder)
    assert images.names == ("copy.png",)
    assert reasons(images) == {
        "empty.jpg": "the file is empty",
        "good.png": "same picture as copy.png",
        "huge.png": "too large (more than 50 megapixels)",
        "phone.heic": "a kind of picture that cannot be read here; save it as JPEG or PNG",
        "text.jpg": "not a picture",
        "tiny.png": "too small (12 × 9 px, at least 16 needed)",
    }


def test_pictures_are_opened_by_content_whatever_their_suffix(tmp_path: Path) -> None:
    """A PNG called .jpg, without suffix or .txt is a picture."""
    for seed, name in enumerate(["a.jpg", "b", "c.txt"]):
        save(tmp_path / "in" / "x.png", seed).rename(tmp_path / "in" / name)
    assert open_images(tmp_path, tmp_path / "in").names == ("a.jpg", "b", "c.txt")


def test_limit_keeps_the_first_usable_pictures(tmp_path: Path) -> None:
    """Unusable files do not count against the limit."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_text("spoilt")
    for seed in range(1, 5):
        save(tmp_path / "in" / f"{seed}.png", seed)
    images = open_images(tmp_path, tmp_path / "in", limit=2)
    assert images.names == ("1.png", "2.png") and list(reasons(images)) == ["0.png"]


def test_too_few_pictures_is_explained(tmp_path: Path) -> None:
    """The message says how many are needed, found and skipped, and why the first was skipped."""
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.jpg").write_text("not a picture")
    with pytest.raises(UserError, match=r"At least 3 .* 1 found, 1 file skipped.*b\.jpg, not a picture"):
        open_images(tmp_path, tmp_path / "in", needed=3)


def test_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        open_images(tmp_path, tmp_path / "nowhere")


def test_single_files_are_never_passed_over_in_silence(tmp_path: Path) -> None:
    """What the user picked by hand is either used or listed; an annotation file picked along is no mistake."""
    good, text, table = save(tmp_path / "a.png"), tmp_path / "notes.txt", tmp_path / "points.csv"
    rar = tmp_path / "a.rar"
    text.write_text("words")
    table.write_text("image,point,x,y")
    rar.write_bytes(b"Rar!\x1a\x07\x01\x00")
    images = open_images(tmp_path, good, text, table, rar)
    assert images.names == ("a.png",)
    assert reasons(images) == {
        "notes.txt": "not a picture",
        "a.rar": "an archive that cannot be opened; use ZIP or TAR",
    }


def test_equal_names_of_two_sources_are_told_apart(tmp_path: Path) -> None:
    """Names stay unique, so that annotations and exports can refer to them."""
    for seed, folder in enumerate(["left", "right"]):
        save(tmp_path / folder / "a.png", seed)
    assert open_images(tmp_path, tmp_path / "left", tmp_path / "right").names == ("a.png", "right/a.png")


def test_archive_is_opened_like_a_folder(tmp_path: Path) -> None:
    """Same names, same duplicates, same reasons; the second opening gives the same set."""
    save(tmp_path / "x.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("faces/1.png", "faces/copy.png", "__MACOSX/faces/._1.png", "../out.png"):
            archive.write(tmp_path / "x.png", name)
        archive.writestr("annotations.json", "{}")
        archive.writestr("inner.zip", "PK")
    images = open_images(tmp_path, tmp_path / "a.zip")
    assert images.names == ("faces/1.png",)
    assert reasons(images) == {
        "faces/copy.png": "same picture as faces/1.png",
        "out.png": "same picture as faces/1.png",
        "inner.zip": "an archive inside an archive is not opened",
    }
    assert open_images(tmp_path, tmp_path / "a.zip").ids == images.ids


def test_archive_in_a_folder_is_mentioned(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "more.zip").write_bytes(b"PK\x05\x06" + b"\0" * 18)
    assert reasons(open_images(tmp_path, tmp_path / "in")) == {"more.zip": "an archive; open it by itself"}


def test_local_links_are_followed_once(tmp_path: Path) -> None:
    """A linked picture is read, a broken link is listed, and a loop of folders ends."""
    save(tmp_path / "elsewhere.png")
    folder = tmp_path / "in"
    folder.mkdir()
    try:
        (folder / "a.png").symlink_to(tmp_path / "elsewhere.png")
    except OSError:
        pytest.skip("this system does not let tests make links")
    (folder / "broken.png").symlink_to(tmp_path / "gone.png")
    (folder / "loop").symlink_to(folder)
    images = open_images(tmp_path, folder)
    assert images.names == ("a.png",) and reasons(images) == {"broken.png": "not an ordinary file"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes exist on Unix only")
def test_a_pipe_in_a_folder_does_not_block(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert reasons(open_images(tmp_path, tmp_path / "in")) == {"pipe.png": "not an ordinary file"}


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    """One event a picture, so that the stage can be followed and cancelled between any two."""
    for seed in range(3):
        save(tmp_path / "in" / f"{seed}.png", seed)
    events = [e for e in iter_open_images([tmp_path / "in"], tmp_path) if e.stage == "reading pictures"]
    assert [(e.step, e.total) for e in events] == [(0, 3), (1, 3), (2, 3), (3, 3)]
