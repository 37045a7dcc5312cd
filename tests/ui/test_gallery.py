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
            np.testing.assert_allclose(place(mark), LANDMARKS.xy[row, k], rtol=1e-4)
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


def test_pose_clusters_are_buttons() -> None:
    poses = PoseCodes(np.zeros((4, 2), np.float32), np.array([0, 2, 2, 0]))
    buttons = gallery.pose_chips(poses, None)
    assert buttons.count("data-pose=") == 2, "an empty cluster has no button"
    assert "pose 3 · 2" in buttons and 'data-pose="2" aria-pressed="false"' in buttons
    assert 'data-pose="2" aria-pressed="true"' in gallery.pose_chips(poses, 2)
    assert gallery.pose_chips(None, None) == ""


def test_only_some_pictures_are_shown_where_they_are_given(images: ImageSet) -> None:
    some = gallery.gallery(images, LANDMARKS, 0, None, np.array([1, 2]))
    assert re.findall(r'data-picture="(\d+)"', some) == ["1", "2"] and "2 of 4 pictures" in some


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
    assert spoken == [f"landmark_{k}, seen in {rate} % of the pictures" for k, rate in ((1, 100), (2, 75), (3, 25))]


# ---------------------------------------------------------------- names


def test_names_are_never_markup(images: ImageSet) -> None:
    """In text, in attributes, in alternative texts and in drawings; what is read is the name itself."""
    page = gallery.gallery(images, LANDMARKS, 0, None)
    large = gallery.large(images, LANDMARKS, None, 0, None)
    for html in (page, large):
        assert is_harmless(html)
    card = elements(page, "button")[0][1]
    assert card["title"] == EVIL and card["aria-label"] == f"open {EVIL}"
    assert drawings(page)[0].attrib["aria-label"] == EVIL == drawings(large)[0].attrib["aria-label"]
    assert EVIL in text_of(large)


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


def test_edited_landmarks_keep_their_numbers_and_show_their_names(images: ImageSet) -> None:
    """After a merger the third is still number 3, in its colour."""
    kept = [0, 2]
    some = Landmarks(
        LANDMARKS.xy[:, kept],
        LANDMARKS.present[:, kept],
        LANDMARKS.score[:, kept],
        None,
        ("<b>nose", "landmark_3"),
        (0, 2),
    )
    chips = gallery.chips(some, None)
    assert is_harmless(chips) and "<b>nose" in text_of(chips) and "landmark_3" not in text_of(chips)
    found = marks(drawings(gallery.large(images, some, None, 0, None))[0])
    assert set(found) == {0, 2} and found[2].find("text").text == "3"  # type: ignore[union-attr]
