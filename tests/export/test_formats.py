"""Every export format writes its file; what can be read as annotations gives back the same points."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from uld_explorer.data.annotations import attach, read_annotations
from uld_explorer.export.formats import FORMATS, get_format
from uld_explorer.types import Annotations, ImageSet, Landmarks, Regions, UserError

NAMES = ("a.png", "set/b.png", "=1+1.png", "'quoted.png", "'=both.png", 'comma, "quote".png')
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def image_set(names: tuple[str, ...] = NAMES) -> ImageSet:
    ids = tuple(f"{i:016x}" for i in range(len(names)))
    return ImageSet(ids, names, tuple(map(Path, names)), np.array([[200, 100]] * len(names)), label="things")


def landmarks(count: int = len(NAMES)) -> Landmarks:
    """Three a picture; the second is missing in picture 0, all in picture 1."""
    rng = np.random.default_rng(0)
    present = np.ones((count, 3), bool)
    present[0, 1] = present[1:2] = False
    xy = rng.uniform(0, 100, (count, 3, 2)) * [2, 1]
    score = np.where(present, rng.uniform(0.2, 1, (count, 3)), 0).astype(np.float32)
    return Landmarks(np.where(present[..., None], xy, np.nan), present, score)


REGIONS = Regions(np.array([[-10, -10, 60, 60]] * len(NAMES), float), np.zeros(len(NAMES)))


def write(name: str, folder: Path) -> Path:
    path = folder / f"landmarks{FORMATS[name].suffix}"
    FORMATS[name].write(path, image_set(), landmarks(), REGIONS)
    return path


def read_back(path: Path) -> Annotations:
    annotations = attach(image_set(), read_annotations(path)).annotations
    assert annotations is not None
    return annotations


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_a_file_with_every_picture_in_it(name: str, tmp_path: Path) -> None:
    text = write(name, tmp_path).read_text(encoding="utf-8")
    assert all(Path(picture).stem.replace('"', "").split(",")[0] in text for picture in NAMES)
    assert FORMATS[name].name == name and FORMATS[name].title
    assert get_format(name) is FORMATS[name]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_works_without_regions(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    FORMATS[name].write(path, image_set(), landmarks(), None)
    assert path.stat().st_size > 100


@pytest.mark.parametrize("name", ["coco", "csv"])
def test_our_own_reader_gives_back_the_same_points(name: str, tmp_path: Path) -> None:
    """Names that look like formulas included: the apostrophe that neutralises them is taken off again."""
    truth, found = read_back(write(name, tmp_path)), landmarks()
    assert truth.names == ("landmark_1", "landmark_2", "landmark_3")
    np.testing.assert_array_equal(truth.visibility, np.where(found.present, 2, 0))
    np.testing.assert_allclose(truth.xy, found.xy, atol=0.01)


def test_an_unknown_format_names_those_there_are() -> None:
    with pytest.raises(UserError, match=", ".join(FORMATS)):
        get_format("papyrus")


def test_coco_boxes_are_the_regions_within_the_picture(tmp_path: Path) -> None:
    document = json.loads(write("coco", tmp_path).read_text())
    assert [a["bbox"] for a in document["annotations"]] == [[0, 0, 50, 50]] * len(NAMES)
    assert [a["num_keypoints"] for a in document["annotations"]] == [2, 0, 3, 3, 3, 3]
    assert document["annotations"][0]["keypoints"][3:6] == [0, 0, 0]
    assert document["annotations"][0]["scores"][1] == 0
    assert document["categories"][0]["keypoints"] == ["landmark_1", "landmark_2", "landmark_3"]
    assert "NaN" not in json.dumps(document)


def test_coco_boxes_without_regions_are_those_of_the_points(tmp_path: Path) -> None:
    FORMATS["coco"].write(tmp_path / "x", image_set(), landmarks(), None)
    boxes = [a["bbox"] for a in json.loads((tmp_path / "x").read_text())["annotations"]]
    low, high = landmarks().xy[2].min(0), landmarks().xy[2].max(0)
    np.testing.assert_allclose(boxes[2], [*low, *(high - low)], atol=0.011)
    assert boxes[1] == [0, 0, 200, 100], "no point: the whole picture"


@pytest.mark.parametrize("start", FORMULAS)
def test_no_cell_of_the_table_starts_like_a_formula(start: str, tmp_path: Path) -> None:
    images = image_set((f"{start}cmd.png", "'plain.png"))
    FORMATS["csv"].write(tmp_path / "x.csv", images, landmarks(2), None)
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert not any(row[0].startswith(FORMULAS) for row in rows)
    assert rows[1][0] == f"'{start}cmd.png" and rows[-1][0] == "'plain.png"


def test_missing_landmarks_have_empty_cells(tmp_path: Path) -> None:
    with write("csv", tmp_path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(NAMES)
    assert rows[1] == {"image": "a.png", "point": "landmark_2", "x": "", "y": "", "visibility": "0", "score": ""}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_only_placed_is_hidden_to_other_tools(name: str, tmp_path: Path) -> None:
    """Visibility 1 of the COCO convention: the point is there, and was not seen."""
    found = landmarks()
    guessed = np.zeros_like(found.present)
    guessed[2, 0] = True
    path = tmp_path / f"x{FORMATS[name].suffix}"
    FORMATS[name].write(path, image_set(), Landmarks(found.xy, found.present, found.score, guessed), REGIONS)
    visibility = read_back(path).visibility
    assert visibility[2].tolist() == [1, 2, 2] and visibility[0].tolist() == [2, 0, 2]
