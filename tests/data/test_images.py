"""Reading pictures: every kind of file a person may bring ends as pixels or as a reason in plain words."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uld_explorer.data.images import (
    MAX_PIXELS,
    UnusablePicture,
    inspect,
    iter_open_images,
    load_rgb,
    looks_like_picture,
)
from uld_explorer.events import drain
from uld_explorer.types import ImageSet, UserError

ORIENTATION = 0x0112


def noise(width: int = 24, height: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, seed: int = 0, size: tuple[int, int] = (24, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(*size, seed)).save(path)
    return path


def ramp16(width: int = 32, height: int = 16) -> np.ndarray:
    return np.linspace(0, 65535, width * height).astype(np.uint16).reshape(height, width)


def png_with_header(width: int, height: int) -> bytes:
    """A PNG that claims a size it does not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def open_images(tmp_path: Path, *sources: Path, **options: object) -> ImageSet:
    return drain(iter_open_images(sources, tmp_path / "cache", **options))  # type: ignore[arg-type]


def reasons(images: ImageSet) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in images.skipped}


# --- load_rgb ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    """Pixels are neither resized nor changed."""
    np.testing.assert_array_equal(load_rgb(save(tmp_path / f"a.{suffix}")), noise())


def test_pixels_are_writable_and_contiguous(tmp_path: Path) -> None:
    """Callers may draw on the array and hand it to torch without a copy."""
    pixels = load_rgb(save(tmp_path / "a.png"))
    assert pixels.flags.writeable and pixels.flags.c_contiguous and pixels.dtype == np.uint8


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    """RGBA is laid over white, also where half transparent."""
    rgba = np.zeros((20, 24, 4), np.uint8)
    rgba[:10, :, 3], rgba[10:, :, 3] = 0, 128
    Image.fromarray(rgba).save(tmp_path / "a.png")
    pixels = load_rgb(tmp_path / "a.png")
    assert (pixels[:10] == 255).all() and abs(int(pixels[15, 0, 0]) - 127) <= 1


def test_palette_with_transparency(tmp_path: Path) -> None:
    """The transparent palette entry becomes white, the others keep their colour."""
    image = Image.new("P", (24, 20), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 12, 20))
    image.save(tmp_path / "a.png", transparency=0)
    pixels = load_rgb(tmp_path / "a.png")
    assert pixels[0, 0].tolist() == [0, 0, 255] and pixels[0, 20].tolist() == [255, 255, 255]


def test_grey_with_alpha(tmp_path: Path) -> None:
    """LA: grey where opaque, white where transparent."""
    la = np.full((20, 24, 2), 90, np.uint8)
    la[:, :12, 1], la[:, 12:, 1] = 255, 0
    Image.fromarray(la, "LA").save(tmp_path / "a.png")
    pixels = load_rgb(tmp_path / "a.png")
    assert (pixels[:, :12] == 90).all() and (pixels[:, 12:] == 255).all()


def test_cmyk_jpeg(tmp_path: Path) -> None:
    """A printer's JPEG becomes RGB of about the right colour."""
    Image.new("CMYK", (24, 20), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    red, green, blue = load_rgb(tmp_path / "a.jpg")[10, 10]
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_bilevel_have_three_equal_channels(tmp_path: Path, mode: str) -> None:
    Image.fromarray(noise()).convert(mode).save(tmp_path / "a.png")
    pixels = load_rgb(tmp_path / "a.png")
    assert pixels.shape == (20, 24, 3) and (pixels == pixels[:, :, :1]).all() and pixels.std() > 30


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    """65535 is white, and half of it half."""
    Image.fromarray(ramp16()).save(tmp_path / f"a.{suffix}")
    expected = np.round(ramp16() / 257.0)
    assert np.abs(load_rgb(tmp_path / f"a.{suffix}")[:, :, 0] - expected).max() <= 1


def test_16_bit_grey_dark_picture_stays_dark(tmp_path: Path) -> None:
    """The scale comes from the bit depth, not from the brightest pixel."""
    Image.fromarray((ramp16() // 16).astype(np.uint16)).save(tmp_path / "a.png")
    assert load_rgb(tmp_path / "a.png").max() == 16


@pytest.mark.parametrize(("top", "brightest"), [(200, 200), (65535, 255), (2**31 - 1, 127), (2**32 - 1, 255)])
def test_32_bit_integers(tmp_path: Path, top: int, brightest: int) -> None:
    """The smallest of 8, 16 and 32 bits that holds the brightest pixel gives the scale; the sign bit is a bit."""
    values = np.linspace(0, top, 512).astype(np.uint32).reshape(16, 32)
    Image.frombytes("I", (32, 16), values.tobytes()).save(tmp_path / "a.tiff")
    signed, unsigned = (struct.pack("<HHII", 339, 3, 1, kind) for kind in (2, 1))  # Pillow writes signed ones only
    content = (tmp_path / "a.tiff").read_bytes()
    assert content.count(signed) == 1
    (tmp_path / "a.tiff").write_bytes(content.replace(signed, unsigned))
    pixels = load_rgb(tmp_path / "a.tiff")
    assert abs(int(pixels.max()) - brightest) <= 1 and (np.diff(pixels[..., 0].ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 1, (0, 255)), (0, 200, (0, 200)), (-5, 5, (0, 255)), (0, 4000, (0, 255))]
)
def test_float_tiff(tmp_path: Path, low: float, high: float, expected: tuple[int, int]) -> None:
    """0...1 and 0...255 are kept, other ranges are stretched, and NaN is black."""
    values = np.linspace(low, high, 512).astype(np.float32).reshape(16, 32)
    values[3, 3] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tiff")
    pixels = load_rgb(tmp_path / "a.tiff")
    assert (pixels.min(), pixels.max()) == expected and (pixels[3, 3] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_exif_orientation_turns_the_pixels(tmp_path: Path, orientation: int, suffix: str) -> None:
    """All eight orientations, checked against what the tag means: where the stored first row and column belong."""
    stored = noise()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    upright = load_rgb(tmp_path / f"a.{suffix}")
    rows_first = stored if orientation <= 4 else stored.transpose(1, 0, 2)
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    expected = rows_first[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    np.testing.assert_array_equal(upright, expected)


def test_orientation_6_swaps_the_size_and_turns_clockwise(tmp_path: Path) -> None:
    """The usual portrait photograph of a telephone: the stored left bottom corner is the upright left top."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[16:, :16, 0] = 255
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert inspect(tmp_path / "a.jpg")[:2] == (32, 48)
    red = load_rgb(tmp_path / "a.jpg")[:, :, 0] > 128
    assert red[:15, :15].all() and red.sum() < 20 * 20


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_spoil_the_picture(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert load_rgb(tmp_path / "a.png").shape == (20, 24, 3)


def test_animated_gif_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (24, 20), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert load_rgb(tmp_path / "a.gif")[5, 5].tolist() == [255, 0, 0]


# --- damaged and hostile files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_cut_short_pictures_are_refused(tmp_path: Path, suffix: str, part: float) -> None:
    """A picture that opens but does not decode to the end is never taken for whole."""
    whole = save(tmp_path / f"whole.{suffix}", size=(120, 90)).read_bytes()
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(UnusablePicture, match="cut short or damaged"):
        inspect(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"just some words, long enough to hold a signature", "not a picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "save it as JPEG or PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"rubbish" * 9, "cut short or damaged"),
    ],
)
def test_reasons_in_plain_words(tmp_path: Path, content: bytes, reason: str) -> None:
    """The reason tells an empty file, a text, a telephone's HEIC and a damaged picture apart."""
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UnusablePicture, match=reason) as caught:
        load_rgb(path)
    assert "a.jpg" in str(caught.value) and isinstance(caught.value, UserError)


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize("side", [8_000, 12_000, 100_000])
def test_huge_header_is_refused_without_memory(tmp_path: Path, side: int) -> None:
    """A few bytes that claim gigapixels cost no memory."""
    path = tmp_path / "a.png"
    path.write_bytes(png_with_header(side, side))
    tracemalloc.start()
    with pytest.raises(UnusablePicture, match=f"too large .*{MAX_PIXELS // 10**6}"):
        load_rgb(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        load_rgb(tmp_path / "nowhere.png")


def test_content_hash_is_of_the_bytes(tmp_path: Path) -> None:
    """Same bytes under two names have one hash; other pixels have another."""
    first, other = save(tmp_path / "a.png"), save(tmp_path / "c.png", seed=1)
    copy = tmp_path / "b.png"
    copy.write_bytes(first.read_bytes())
    assert inspect(first) == inspect(copy) != inspect(other)
    assert len(inspect(first)[2]) == 64


def test_text_beginning_with_bm_is_no_bitmap() -> None:
    assert not looks_like_picture(b"BMW is a maker of cars in Bavaria.")


# --- iter_open_images -------------------------------------------------------------------------------------------


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
