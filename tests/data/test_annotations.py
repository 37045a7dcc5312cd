"""Reading annotations and joining them to pictures: right numbers on right pictures, or a sentence that helps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uld_explorer.data.annotation_table import AnnotatedPicture, AnnotationTable
from uld_explorer.data.annotations import (
    attach,
    eye_corners,
    find_annotations,
    pick_annotations,
    read_annotations,
)
from uld_explorer.data.images import iter_open_images
from uld_explorer.events import drain
from uld_explorer.types import Annotations, ImageSet, UserError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def image_set(*names: str, size: tuple[int, int] = (100, 50)) -> ImageSet:
    ids = tuple(f"{i:016x}" for i in range(len(names)))
    return ImageSet(ids, names, tuple(Path(name) for name in names), np.array([size] * len(names)).reshape(-1, 2))


def coco(**changes: Any) -> dict[str, Any]:
    """Two points in one of two pictures."""
    document = {
        "categories": [{"id": 1, "name": "face", "keypoints": ["left", "right"]}],
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 100, "height": 50},
            {"id": 8, "file_name": "b.jpg", "width": 100, "height": 50},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "keypoints": [10, 20, 2, 30, 40, 1], "bbox": [5, 6, 50, 40]}
        ],
    }
    return {**document, **changes}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def annotated(images: ImageSet) -> Annotations:
    assert images.annotations is not None
    return images.annotations


# --- COCO -------------------------------------------------------------------------------------------------------


def test_coco_points_box_and_visibility(tmp_path: Path) -> None:
    """Numbers arrive unchanged; the picture without annotation has NaN and 0."""
    found = annotated(attach(image_set("a.jpg", "b.jpg"), read_annotations(write(tmp_path / "a.json", coco()))))
    assert found.names == ("left", "right") and found.yaw is None and found.iod is None
    assert found.xy[0].tolist() == [[10, 20], [30, 40]] and np.isnan(found.xy[1]).all()
    assert found.visibility.tolist() == [[2, 1], [0, 0]] and found.visibility.dtype == np.uint8
    assert found.boxes[0].tolist() == [5, 6, 50, 40] and np.isnan(found.boxes[1]).all()
    assert found.annotated.tolist() == [True, False]


def test_coco_point_with_visibility_0_is_absent_whatever_its_position(tmp_path: Path) -> None:
    document = coco()
    document["annotations"][0]["keypoints"] = [10, 20, 0, 30, 40, 2]
    picture = read_annotations(write(tmp_path / "a.json", document)).pictures["a.jpg"]
    assert np.isnan(picture.xy[0]).all() and picture.visibility.tolist() == [0, 2]


def test_coco_without_bbox_takes_the_tight_box(tmp_path: Path) -> None:
    """Also where the bbox is a placeholder of zeros."""
    for bbox in (None, [0, 0, 0, 0]):
        document = coco()
        document["annotations"][0]["bbox"] = bbox
        picture = read_annotations(write(tmp_path / "a.json", document)).pictures["a.jpg"]
        assert picture.box.tolist() == [10, 20, 20, 20]


def test_coco_of_several_annotations_the_largest_with_points_is_kept(tmp_path: Path) -> None:
    """Not the first, not a crowd, not another category, and not a larger box without points."""
    face = {"image_id": 7, "category_id": 1}
    document = coco()
    document["annotations"] += [
        {**face, "id": 2, "keypoints": [1, 1, 2, 2, 2, 2], "bbox": [0, 0, 90, 45]},
        {**face, "id": 3, "keypoints": [3, 3, 2, 4, 4, 2], "bbox": [0, 0, 10, 10]},
        {**face, "id": 4, "keypoints": [5, 5, 2, 6, 6, 2], "bbox": [0, 0, 99, 49], "iscrowd": 1},
        {**face, "id": 5, "bbox": [0, 0, 100, 50]},
        {"image_id": 7, "category_id": 2, "id": 6, "bbox": [0, 0, 100, 50], "keypoints": [9, 9, 2]},
    ]
    assert read_annotations(write(tmp_path / "a.json", document)).pictures["a.jpg"].xy[0].tolist() == [1, 1]


def test_coco_yaw_of_annotation_or_image(tmp_path: Path) -> None:
    """The annotation's yaw goes first; a picture without one has NaN."""
    document = coco()
    document["annotations"][0]["yaw"] = -30
    document["images"][0]["yaw"] = 5
    document["images"].append({"id": 9, "file_name": "c.jpg", "yaw": 45.5})
    found = annotated(
        attach(image_set("a.jpg", "b.jpg", "c.jpg"), read_annotations(write(tmp_path / "a.json", document)))
    )
    assert found.yaw is not None
    np.testing.assert_array_equal(found.yaw, [-30, np.nan, 45.5])


def _with(**fields: Any) -> dict[str, Any]:
    document = coco()
    document["annotations"][0].update(fields)
    return document


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{ this is not JSON", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([1, 2], "no list of categories"),
        ({"images": [], "annotations": []}, "no list of categories"),
        (coco(categories=[]), "no categories"),
        (coco(categories=[{"id": 1, "name": "face"}]), "no keypoints in its categories"),
        (coco(categories=[{"id": 1, "keypoints": []}]), "empty list of keypoints"),
        (coco(categories=[{"id": 1, "keypoints": ["a", "a"]}]), "same name"),
        (coco(categories=[{"id": 1, "keypoints": [str(i) for i in range(5000)]}]), "at most"),
        (coco(categories=[{"id": [1], "keypoints": ["a"]}]), "neither a number nor a text"),
        (coco(images=["a.jpg"]), "no list of images"),
        (coco(images=[{"id": 7}]), "without a file_name"),
        (_with(keypoints=[1, 2, 2, 3]), "not a multiple of 3"),
        (_with(keypoints=[1, 2, 2]), "1 points .* names 2"),
        (_with(keypoints=[1, 2, 2, "x", 4, 2]), "'x' .* not a number"),
        (_with(keypoints="all"), "not a multiple of 3"),
        (_with(bbox=[1, 2, [], 4]), "not a number"),
    ],
)
def test_malformed_coco_is_named_in_one_sentence(tmp_path: Path, content: object, complaint: str) -> None:
    """Each defect has words of its own, with the file's name as its owner knows it."""
    with pytest.raises(UserError, match=complaint) as caught:
        read_annotations(write(tmp_path / "000001.json", content), name="mine.json")
    assert "mine.json" in str(caught.value) and "000001" not in str(caught.value)


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


def test_coco_with_rubbish_in_any_place_is_read_or_refused_but_never_crashes(tmp_path: Path) -> None:
    """Every part of a good document is replaced by every kind of value in turn."""
    outcomes = set()
    rubbish: Any
    for place in _places(coco()):
        for rubbish in (None, True, -1, 1e400, 10**400, "", "x", [], {}, [[]], [None], [{}]):
            document = parent = coco()
            for key in place[:-1]:
                parent = parent[key]
            parent[place[-1]] = rubbish
            try:
                attach(image_set("a.jpg", "b.jpg"), read_annotations(write(tmp_path / "a.json", document)))
                outcomes.add("read")
            except UserError:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_unknown_kind_and_binary_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown kind; known are: COCO"):
        read_annotations(write(tmp_path / "a.xml", "<a/>"))
    (tmp_path / "a.csv").write_bytes(b"image,\xff\xfe\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_annotations(tmp_path / "a.csv")
    with pytest.raises(UserError, match="cannot be opened"):
        read_annotations(tmp_path / "missing.json")


# --- CSV --------------------------------------------------------------------------------------------------------

LONG = "image,point,x,y,visibility,yaw\na.jpg,eye,10,20,2,15\na.jpg,nose,30,40.5,1,15\nb.jpg,nose,,,,\n"
WIDE = "image,eye_x,eye_y,nose_x,nose_y,nose_v,yaw\na.jpg,10,20,30,40.5,1,15\nb.jpg,,,,,,\n"


@pytest.mark.parametrize("text", [LONG, WIDE, LONG.replace(",", ";"), WIDE.replace(",", "\t"), "\ufeff" + WIDE])
def test_both_csv_layouts_say_the_same(tmp_path: Path, text: str) -> None:
    """Long and wide, with comma, semicolon or tab, with or without a byte order mark."""
    table = read_annotations(write(tmp_path / "a.csv", text))
    assert table.names == ("eye", "nose")
    first, second = table.pictures["a.jpg"], table.pictures["b.jpg"]
    assert first.xy.tolist() == [[10, 20], [30, 40.5]] and first.visibility.tolist() == [2, 1] and first.yaw == 15
    assert first.box.tolist() == [10, 20, 20, 20.5]
    assert np.isnan(second.xy).all() and second.visibility.tolist() == [0, 0] and second.yaw is None


def test_csv_size_columns_scale_the_points(tmp_path: Path) -> None:
    table = read_annotations(write(tmp_path / "a.csv", "image,width,height,p_x,p_y\na.jpg,50,200,10,20\n"))
    assert annotated(attach(image_set("a.jpg"), table)).xy[0, 0].tolist() == [20, 5]


def test_wide_csv_keeps_the_largest_row_of_a_picture(tmp_path: Path) -> None:
    text = "image,a_x,a_y,b_x,b_y\nx.jpg,0,0,5,5\nx.jpg,1,1,50,50\nx.jpg,2,2,4,4\n"
    assert read_annotations(write(tmp_path / "a.csv", text)).pictures["x.jpg"].xy[0].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column called image"),
        ("name,x,y\n", "no column called image"),
        ("image,size\na.jpg,3\n", "neither the columns"),
        ("image,point,x,y\na.jpg,eye,ten,2\n", "'ten' .* not a number"),
        ("image,point,x,y\na.jpg,eye,1,2\na.jpg,eye,1,2\n", "twice"),
        ("image,point,x,y\n,eye,1,2\n", "without the name of an image"),
        ("image,point,x,y\na.jpg\n", "without the name of a point"),
        ('image,point,x,y\n"a.jpg,eye,1,2\n', "not a table"),
    ],
)
def test_malformed_csv_is_named_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        read_annotations(write(tmp_path / "a.csv", text))


# --- joining ----------------------------------------------------------------------------------------------------


def table(*names: str, size: tuple[float, float] | None = None) -> AnnotationTable:
    """One point, whose x is the number of the picture."""
    return AnnotationTable(
        ("p",),
        {
            name: AnnotatedPicture(
                np.array([[i, 10.0]]), np.array([2], np.uint8), np.array([i, 10.0, 4, 6]), None, size
            )
            for i, name in enumerate(names)
        },
    )


def matched(images: ImageSet) -> list[float]:
    return annotated(images).xy[:, 0, 0].tolist()


def test_full_names_go_before_base_names() -> None:
    """Two pictures of one base name each get their own points."""
    assert matched(attach(image_set("u/a.jpg", "v/a.jpg"), table("v/a.jpg", "u/a.jpg"))) == [1, 0]


def test_base_names_match_where_they_are_unique_on_both_sides() -> None:
    """Folders and backslashes may differ; an ambiguous name is left without annotations rather than guessed."""
    assert matched(attach(image_set("images/a.jpg"), table("set\\a.jpg"))) == [0]
    found = matched(attach(image_set("u/a.jpg", "v/a.jpg", "b.jpg"), table("a.jpg", "x/b.jpg")))
    assert np.isnan(found[:2]).all() and found[2] == 1
    assert np.isnan(matched(attach(image_set("a.jpg", "b.jpg"), table("x/a.jpg", "y/a.jpg", "b.jpg")))[0])


def test_no_match_shows_names_of_both_sides() -> None:
    with pytest.raises(UserError, match=r"mine\.jpg.*theirs\.jpg"):
        attach(image_set("mine.jpg"), table("theirs.jpg"))


def test_points_and_boxes_are_scaled_to_the_actual_picture() -> None:
    """Annotated at half width and a fifth of the height."""
    found = annotated(attach(image_set("a.jpg", "b.jpg"), table("a.jpg", "b.jpg", size=(50, 10))))
    assert found.xy[1].tolist() == [[2, 50]] and found.boxes[1].tolist() == [2, 50, 8, 30]


def test_points_of_a_picture_on_its_side_are_refused() -> None:
    """Squeezing them into the upright picture would make wrong ground truth without a word."""
    with pytest.raises(UserError, match="lay on its side"):
        attach(image_set("a.jpg", size=(100, 50)), table("a.jpg", size=(50, 100)))


def test_attach_leaves_the_pictures_alone() -> None:
    """The set is copied, and its subset keeps the right rows."""
    images = image_set("a.jpg", "b.jpg")
    joined = attach(images, table("a.jpg", "b.jpg"))
    assert images.annotations is None and joined.names == images.names
    assert matched(joined.take(np.array([1]))) == [1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([f"p{i}" for i in range(68)], (36, 45)),
        ([f"p{i}" for i in range(5)], (0, 1)),
        (["nose", "left_eye", "right_eye", "left_mouth", "right_mouth"], (1, 2)),
        (["chin", "right_eye_outer", "left_eyebrow_outer", "left_eye_outer"], (3, 1)),
        (["Outer corner of left eye", "Outer corner of right eye"], (0, 1)),
        ([f"p{i}" for i in range(189)], None),
        (["left_eye_outer_a", "left_eye_outer_b", "right_eye_outer"], None),
    ],
)
def test_eye_corners(names: list[str], expected: tuple[int, int] | None) -> None:
    """By name, else by a customary number of points, else unknown; never a guess between two."""
    assert eye_corners(names) == expected


# --- finding ----------------------------------------------------------------------------------------------------


def test_annotations_are_found_in_the_folder_or_beside_images(tmp_path: Path) -> None:
    """The parent counts only for a folder called images, and files of other names never count."""
    (tmp_path / "images").mkdir()
    (tmp_path / "heads").mkdir()
    write(tmp_path / "settings.json", "{}")
    assert find_annotations(tmp_path) is None
    path = write(tmp_path / "annotations.coco.json", "{}")
    assert find_annotations(tmp_path) == path == find_annotations(tmp_path / "images")
    assert find_annotations(tmp_path / "heads") is None and find_annotations(tmp_path / "nowhere") is None
    inside = write(tmp_path / "images" / "_annotations.coco.json", "{}")
    assert find_annotations(tmp_path / "images") == inside


def test_annotations_are_picked_from_an_archive_by_their_display_names() -> None:
    """The name nearest to the top goes first."""
    files = [
        (Path("0.jpg"), "a.jpg"),
        (Path("1.json"), "deep/er/annotations.json"),
        (Path("2.json"), "x/annotations.json"),
    ]
    assert pick_annotations(files) == Path("2.json") and pick_annotations(files[:1]) is None


# --- real files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "images", "annotated_images", "points", "iod"),
    [("london", 204, 102, 189, None), ("youtube_faces", 1200, 1200, 68, (36, 45))],
)
def test_real_coco_files(
    tmp_path: Path, name: str, images: int, annotated_images: int, points: int, iod: tuple[int, int] | None
) -> None:
    """Two published sets: every picture is known, and the points of the first thirty lie on their pictures."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the example set {name} is not beside this checkout")
    path = find_annotations(folder / "images")
    assert path is not None
    read = read_annotations(path)
    assert len(read.pictures) == images and len(read.names) == points
    assert sum(bool(p.visibility.any()) for p in read.pictures.values()) == annotated_images
    found = annotated(attach(drain(iter_open_images([folder / "images"], tmp_path, limit=30)), read))
    assert found.xy.shape == (30, points, 2) and found.iod == iod and found.annotated.any()
    xy = found.xy[found.annotated]
    assert np.isfinite(xy).all() and xy.min() > -60 and xy.max() < 600
    np.testing.assert_allclose(found.boxes[found.annotated][:, :2], xy.min(axis=1), atol=1)
