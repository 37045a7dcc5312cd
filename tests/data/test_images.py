"""Reading pictures: every kind of file a person may bring ends as pixels or as a reason in plain words."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import noise, png_with_header, ramp16, save
from uld_explorer.data.images import (
    MAX_PIXELS,
    UnusablePicture,
    inspect,
    load_rgb,
    looks_like_picture,
)
from uld_explorer.types import UserError

ORIENTATION = 0x0112


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
