"""Marks stand where the landmarks are, patches show what is there, and no name of a file becomes markup."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.ui.conftest import EVIL, SIZE, drawings, elements, is_harmless, make_images, make_landmarks, text_of
from uld_explorer.data.regions import crop_affines
from uld_explorer.types import ImageSet, Landmarks, PoseCodes, Regions
from uld_explorer.ui import gallery
from uld_explorer.ui.theme import colour, ink

LANDMARKS = make_landmarks()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Four pictures, the first with a name that is markup."""
    return make_images(tmp_path_factory.mktemp("pictures"), names=(EVIL, "b.png", "c.png", "d.png"))


def marks(drawing: ET.Element) -> dict[int, ET.Element]:
    return {int(g.attrib["data-mark"]): g for g in drawing.iter("g") if "data-mark" in g.attrib}


def place(mark: ET.Element) -> list[float]:
    found = re.fullmatch(r"translate\((.+),(.+)\)", mark.attrib["transform"])
    assert found is not None
    return [float(value) for value in found.groups()]


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


# ---------------------------------------------------------------- marks


def test_every_present_landmark_is_marked_at_its_place_and_no_other(images: ImageSet) -> None:
    """The drawing's units are pixels of the original, so that a mark's place is the landmark's."""
    for row, drawing in enumerate(drawings(gallery.gallery(images, LANDMARKS, 0, None))):
        assert drawing.attrib["viewBox"] == f"0 0 {SIZE[0]} {SIZE[1]}"
        found = marks(drawing)
        assert set(found) == set(np.flatnonzero(LANDMARKS.present[row]))
        for k, mark in found.items():
            np.testing.assert_allclose(place(mark), LANDMARKS.xy[row, k], atol=0.051)
            assert mark.find("text").text == str(k + 1)  # type: ignore[union-attr]


def test_a_guessed_landmark_is_a_ring_without_a_number(images: ImageSet) -> None:
    guessed = np.zeros_like(LANDMARKS.present)
    row, k = (int(v) for v in np.argwhere(LANDMARKS.present)[0])
    guessed[row, k] = True
    some = Landmarks(LANDMARKS.xy, LANDMARKS.present, LANDMARKS.score, guessed)
    page = gallery.large(images, some, None, row, None)
    mark = marks(drawings(page)[0])[k]
    circle = mark.find("circle")
    assert mark.find("text") is None and circle is not None and circle.attrib["stroke"] == colour(k)
    assert page.count("<td>placed</td>") == 1


def test_pose_clusters_are_buttons_that_show_their_pictures(images: ImageSet) -> None:
    poses = PoseCodes(np.zeros((4, 2), np.float32), np.array([0, 2, 2, 0]))
    everything = gallery.gallery(images, LANDMARKS, 0, None, poses)
    assert len(drawings(everything)) == 4 and everything.count("data-pose=") == 2, "an empty cluster has no button"
    assert "pose 3 · 2" in everything and 'data-pose="2" aria-pressed="false"' in everything
    one = gallery.gallery(images, LANDMARKS, 0, None, poses, 2)
    assert 'data-pose="2" aria-pressed="true"' in one and "2 pictures" in one
    assert re.findall(r'data-picture="(\d+)"', one) == ["1", "2"]
    assert "data-pose" not in gallery.gallery(images, LANDMARKS, 0, None)


def test_a_mark_has_its_landmarks_colour_in_the_gallery_and_in_the_chips(images: ImageSet) -> None:
    circle = marks(drawings(gallery.large(images, LANDMARKS, None, 1, None))[0])[1].find("circle")
    assert circle is not None and circle.attrib["fill"] == colour(1)
    dots = [attrs["style"] for tag, attrs in elements(gallery.chips(LANDMARKS, None)) if tag == "span"]
    assert dots == [f"background:{colour(k)};color:{ink(k)}" for k in range(3)]


def test_the_picture_fills_the_drawing(images: ImageSet) -> None:
    """Width and height are the original's, whatever the size of the copy that is shown."""
    picture = drawings(gallery.gallery(images, LANDMARKS, 0, None))[2].find("image")
    assert picture is not None
    assert (picture.attrib["width"], picture.attrib["height"]) == (str(SIZE[0]), str(SIZE[1]))
    assert picture.attrib["preserveAspectRatio"] == "none"
    assert decode(picture.attrib["href"]).getpixel((5, 5)) == pytest.approx((120, 100, 120), abs=4)


def test_one_landmark_is_singled_out(images: ImageSet) -> None:
    html = gallery.gallery(images, LANDMARKS, 0, 0)
    assert "uld-gallery uld-focus" in html
    for drawing in drawings(html):
        on = {k for k, mark in marks(drawing).items() if "uld-on" in mark.attrib["class"].split()}
        assert on == {0}
    pressed = [attrs["aria-pressed"] for _, attrs in elements(gallery.chips(LANDMARKS, 0), "button")]
    assert pressed == ["true", "false", "false"]


def test_without_a_choice_nothing_is_singled_out(images: ImageSet) -> None:
    html = gallery.gallery(images, LANDMARKS, 0, None) + gallery.large(images, LANDMARKS, None, 0, None)
    assert "uld-focus" not in html and "uld-on" not in html
    assert 'aria-pressed="true"' not in gallery.chips(LANDMARKS, None)


def test_chips_tell_in_how_many_pictures_a_landmark_was_found() -> None:
    html = gallery.chips(LANDMARKS, None)
    assert [attrs["data-landmark"] for _, attrs in elements(html, "button")] == ["0", "1", "2"]
    spoken = [attrs["aria-label"] for _, attrs in elements(html, "button")]
    assert spoken == [f"landmark {k}, found in {rate} % of the pictures" for k, rate in ((1, 100), (2, 75), (3, 25))]


# ---------------------------------------------------------------- names


def test_names_are_never_markup(images: ImageSet) -> None:
    """In text, in attributes, in alternative texts and in drawings; what is read is the name itself."""
    page = gallery.gallery(images, LANDMARKS, 0, None)
    large = gallery.large(images, LANDMARKS, None, 0, None)
    strips = gallery.strips(images, LANDMARKS, None)
    for html in (page, large, strips):
        assert is_harmless(html)
    card = elements(page, "button")[0][1]
    assert card["title"] == EVIL and card["aria-label"] == f"open {EVIL}"
    assert drawings(page)[0].attrib["aria-label"] == EVIL == drawings(large)[0].attrib["aria-label"]
    assert EVIL in text_of(large)
    assert any(attrs["title"] == EVIL and attrs["alt"].endswith(EVIL) for _, attrs in elements(strips, "img"))


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize(
    ("asked", "rows", "words"),
    [
        (0, [0, 1], "1–2 of 5"),
        (1, [2, 3], "3–4 of 5"),
        (2, [4], "5–5 of 5"),
        (99, [4], "5–5 of 5"),
        (-3, [0, 1], "1–2 of 5"),
    ],
)
def test_pages_are_cut_at_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int, rows: list[int], words: str
) -> None:
    """A page beyond the last is the last, one before the first is the first; at an end its button is off."""
    monkeypatch.setattr(gallery, "PAGE", 2)
    html = gallery.gallery(make_images(tmp_path, 5), make_landmarks(5), asked, None)
    assert [int(attrs["data-picture"]) for _, attrs in elements(html, "button") if "data-picture" in attrs] == rows
    assert words in text_of(html)
    before, after = (attrs for _, attrs in elements(html, "button") if "data-page" in attrs)
    assert ("disabled" in before) == (rows[0] == 0) and ("disabled" in after) == (rows[-1] == 4)
    assert int(after["data-page"]) - int(before["data-page"]) == 2


def test_a_single_page_has_no_buttons_to_turn_it(images: ImageSet) -> None:
    html = gallery.gallery(images, LANDMARKS, 0, None)
    assert "data-page" not in html and text_of(html).startswith("4 pictures")


# ---------------------------------------------------------------- one picture, large


def test_the_large_picture_lists_every_landmark(images: ImageSet) -> None:
    rows = gallery.large(images, LANDMARKS, None, 0, None).split("<tr>")[2:]
    assert len(rows) == 3 and "not found" in rows[1]
    x, y = LANDMARKS.xy[0, 0]
    assert [f"{x:.1f}", f"{y:.1f}", f"{LANDMARKS.score[0, 0]:.2f}"] == re.findall(r"<td>([\d.]+)</td>", rows[0])


def test_another_picture_can_stand_in_for_the_file(images: ImageSet) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), (0, 0, 0)).save(buffer, "JPEG")
    picture = drawings(gallery.large(images, LANDMARKS, None, 0, None, buffer.getvalue()))[0].find("image")
    assert picture is not None and decode(picture.attrib["href"]).size == (30, 20)


# ---------------------------------------------------------------- the region


def veiled_centres(path: str) -> np.ndarray:
    """(M, 2): the centres of the squares of a path, before it is turned."""
    squares = re.findall(r"M(\S+) (\S+?)h(\S+?)v(\S+?)h-(\S+?)z", path)
    numbers = np.array(squares, float)
    assert (numbers[:, 2:] == numbers[:, 2:3]).all()
    return numbers[:, :2] + numbers[:, 2:3] / 2


def turned(points: np.ndarray, transform: str) -> np.ndarray:
    """The points after an SVG rotate(degrees x y): clockwise on the screen, as x towards y."""
    angle, x, y = (float(value) for value in re.findall(r"-?[\d.]+", transform))
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return (points - (x, y)) @ np.array([[c, s], [-s, c]]) + (x, y)


def test_the_overlay_turns_with_the_region_and_veils_what_the_mask_leaves_out(images: ImageSet) -> None:
    """The reference is the geometry that the features are cut with."""
    mask = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 1]], bool)
    regions = Regions(np.tile([12.0, 8.0, 24.0, 16.0], (4, 1)), np.full(4, 30.0), np.tile(mask, (4, 1, 1)))
    drawing = drawings(gallery.large(images, LANDMARKS, regions, 0, None))[0]
    path, outline = drawing.find("path"), drawing.find("rect")
    assert path is not None and outline is not None
    assert outline.attrib["transform"] == path.attrib["transform"] == "rotate(30.00 24.0 16.0)"
    assert [float(outline.attrib[key]) for key in ("x", "y", "width", "height")] == [12, 8, 24, 16]
    rows, columns = np.nonzero(~mask)
    affine = crop_affines(regions)[0]
    expected = np.stack([columns + 0.5, rows + 0.5, np.full(len(rows), 4.0)], 1) / 4 @ affine.T
    found = turned(veiled_centres(path.attrib["d"]), path.attrib["transform"])
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_a_region_without_a_mask_is_an_outline_only(images: ImageSet) -> None:
    regions = Regions(np.tile([12.0, 8.0, 24.0, 16.0], (4, 1)), np.zeros(4))
    drawing = drawings(gallery.large(images, LANDMARKS, regions, 0, None))[0]
    assert drawing.find("rect") is not None and drawing.find("path") is None


# ---------------------------------------------------------------- patches


def ramp(width: int = 100, height: int = 60) -> Image.Image:
    """Red grows by 2 a pixel to the right, green by 4 a pixel downwards; nothing in it is black."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([2 * x + 10, 4 * y + 10, np.full_like(x, 99)], -1).astype(np.uint8))


def test_a_patch_shows_the_square_around_its_point() -> None:
    """Half of 0.2 times the shorter side in every direction: 12 by 12 pixels around (40, 30)."""
    patch = np.asarray(gallery.cut(ramp(), np.array([100, 60]), np.array([40.0, 30.0]), 0.2), float)
    assert patch.shape == (gallery.PATCH, gallery.PATCH, 3)
    # Columns 34...45 and rows 24...35 of the ramp.
    np.testing.assert_allclose(patch.mean((0, 1)), [2 * 39.5 + 10, 4 * 29.5 + 10, 99], atol=1)
    np.testing.assert_allclose([patch[28, 0, 0], patch[28, -1, 0]], [2 * 34 + 10, 2 * 45 + 10], atol=2)
    np.testing.assert_allclose([patch[0, 28, 1], patch[-1, 28, 1]], [4 * 24 + 10, 4 * 35 + 10], atol=3)


def test_a_patch_at_the_border_keeps_its_scale_and_is_black_outside() -> None:
    """The point stays in the middle: six of twelve columns and rows lie outside of the picture."""
    patch = np.asarray(gallery.cut(ramp(), np.array([100, 60]), np.array([0.0, 0.0]), 0.2), float)
    assert patch.shape == (gallery.PATCH, gallery.PATCH, 3)
    assert (patch[:25] == 0).all() and (patch[:, :25] == 0).all()
    assert patch[-1, -1] == pytest.approx([2 * 5 + 10, 4 * 5 + 10, 99], abs=3)


def test_a_smaller_copy_gives_the_same_patch() -> None:
    """Points are in pixels of the original; the copy is what lies in the run's folder."""
    copy, size, xy = ramp(), np.array([200, 120]), np.array([80.0, 60.0])
    original = copy.resize((200, 120), Image.Resampling.BILINEAR)
    large, small = (np.asarray(gallery.cut(picture, size, xy, 0.2), float) for picture in (original, copy))
    assert np.abs(large - small).mean() < 2


def test_the_atlas_has_the_tiles_in_the_order_of_the_points(images: ImageSet) -> None:
    """Whatever the order in which the pictures are opened; the last row may be half empty. Point 1 lies far outside."""
    rows, xy = [2, 0, 3, 1, 0], np.full((5, 2), [30.0, 20.0])
    xy[1] = -500
    sheet = decode(gallery.atlas(images, xy, rows, columns=2))
    assert sheet.size == (2 * gallery.PATCH, 3 * gallery.PATCH)
    for tile, row in enumerate(rows):
        x, y = tile % 2 * gallery.PATCH, tile // 2 * gallery.PATCH
        colours = np.asarray(sheet.crop((x + 8, y + 8, x + gallery.PATCH - 8, y + gallery.PATCH - 8)), float)
        expected = [0, 0, 0] if tile == 1 else [40 * row + 40, 100, 200 - 40 * row]
        np.testing.assert_allclose(colours.mean((0, 1)), expected, atol=8)


def test_a_strip_goes_from_the_most_typical_patch_to_the_least(images: ImageSet) -> None:
    """Only pictures that have the landmark are in it."""
    html = gallery.strips(images, LANDMARKS, 1)
    order = sorted(np.flatnonzero(LANDMARKS.present[:, 1]), key=lambda row: -LANDMARKS.score[row, 1])
    assert [attrs["title"] for _, attrs in elements(html, "img")] == [images.names[row] for row in order]
    assert "Landmark 2 found in 75 %" in text_of(html)


def test_a_strip_of_many_spans_the_whole_range(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Best examples alone would flatter: the least typical one is always there."""
    monkeypatch.setattr(gallery, "PATCHES", 2)
    order = np.argsort(-LANDMARKS.score[:, 0])
    html = gallery.strips(images, LANDMARKS, None).split('<div class="uld-strip">')[1]
    assert [attrs["title"] for _, attrs in elements(html, "img")] == [images.names[order[0]], images.names[order[-1]]]


def test_a_landmark_found_nowhere_has_an_empty_strip(images: ImageSet) -> None:
    nowhere = Landmarks(np.full((4, 1, 2), np.nan), np.zeros((4, 1), bool), np.zeros((4, 1), np.float32))
    html = gallery.strips(images, nowhere, None)
    assert "Landmark 1 found in 0 %" in text_of(html) and not elements(html, "img")


def test_a_strip_can_be_scrolled_with_the_keyboard(images: ImageSet) -> None:
    """What scrolls sideways takes the focus and says what it is."""
    rows = [a for _, a in elements(gallery.strips(images, LANDMARKS, None)) if a.get("class") == "uld-strip-row"]
    assert [(a["tabindex"], a["aria-label"]) for a in rows] == [("0", f"patches of landmark {k + 1}") for k in range(3)]
