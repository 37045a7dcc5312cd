"""SOURCE as people write it: demos, folders, archives and files, with the annotations that lie with them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uld_explorer.data.sources import DEMOS, iter_open, parse_demo
from uld_explorer.events import drain
from uld_explorer.types import ImageSet, UserError

POINTS = {"a.png": (3.0, 4.0), "b.png": (10.5, 20.25)}


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULD_DATA_DIR", str(tmp_path / "data"))


def pictures(folder: Path) -> Path:
    """Two pictures of 32 by 24 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for value, name in enumerate(POINTS):
        Image.fromarray(np.full((24, 32, 3), 50 + 100 * value, np.uint8)).save(folder / name)
    return folder


def annotate(path: Path, shift: float = 0.0) -> Path:
    """One point a picture, in COCO's format."""
    document = {
        "categories": [{"id": 1, "name": "thing", "keypoints": ["tip"]}],
        "images": [{"id": i, "file_name": name, "width": 32, "height": 24} for i, name in enumerate(POINTS)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "keypoints": [x + shift, y, 2]}
            for i, (x, y) in enumerate(POINTS.values())
        ],
    }
    path.write_text(json.dumps(document))
    return path


def pack(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"set/{path.name}")
    return archive


def found(images: ImageSet) -> list[tuple[float, float]]:
    assert images.annotations is not None
    return [tuple(xy) for xy in images.annotations.xy[:, 0].tolist()]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("demo:heads", ("heads", None, 0)),
        ("demo:heads:12", ("heads", 12, 0)),
        ("demo:heads:300:7", ("heads", 300, 7)),
        ("demo:faces:5", ("faces", 5, 0)),
    ],
)
def test_demo_names_are_taken_apart(text: str, meaning: tuple[str, int | None, int]) -> None:
    assert parse_demo(text) == meaning


@pytest.mark.parametrize("text", ["demo:", "demo:cats", "demo:heads:1:2:3"])
def test_an_unknown_demo_names_those_there_are(text: str) -> None:
    with pytest.raises(UserError) as error:
        parse_demo(text)
    assert all(f"demo:{name}" in str(error.value) for name in DEMOS)


@pytest.mark.parametrize("text", ["demo:heads:0", "demo:heads:-3", "demo:heads:many", "demo:heads:5:x", "demo:heads:²"])
def test_counts_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="whole numbers"):
        parse_demo(text)


def test_demos_open_and_the_limit_holds() -> None:
    assert len(drain(iter_open("demo:heads:3:1"))) == 3
    assert len(drain(iter_open("demo:heads:3:1", limit=2))) == 2
    assert len(drain(iter_open("demo:faces:4", limit=2))) == 2


def test_annotations_in_the_folder_are_used(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set")
    assert drain(iter_open(folder)).annotations is None
    annotate(folder / "annotations.json")
    assert found(drain(iter_open(str(folder)))) == list(POINTS.values())


def test_annotations_in_an_archive_are_used(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set")
    assert drain(iter_open(pack(folder, tmp_path / "bare.zip"))).annotations is None
    annotate(folder / "annotations.coco.json")
    images = drain(iter_open(pack(folder, tmp_path / "set.zip")))
    assert images.names == ("set/a.png", "set/b.png")
    assert found(images) == list(POINTS.values())


def test_broken_annotations_in_an_archive_are_named_as_their_owner_knows_them(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set")
    (folder / "annotations.json").write_text('{"images": [')
    with pytest.raises(UserError, match=r"set/annotations\.json is not JSON"):
        drain(iter_open(pack(folder, tmp_path / "set.zip")))


def test_given_annotations_go_before_those_that_lie_there(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set")
    annotate(folder / "annotations.json")
    given = annotate(tmp_path / "mine.json", shift=1.0)
    archive = pack(folder, tmp_path / "set.zip")
    for source in (folder, archive):
        assert found(drain(iter_open(source, annotations=given))) == [(x + 1, y) for x, y in POINTS.values()]


def test_several_archives_are_not_searched_for_annotations(tmp_path: Path) -> None:
    one = pack(pictures(tmp_path / "one"), tmp_path / "one.zip")
    annotate(tmp_path / "one" / "annotations.json")
    two = pack(tmp_path / "one", tmp_path / "two.zip")
    assert drain(iter_open([one, two])).annotations is None


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        drain(iter_open(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"missing\.json"):
        drain(iter_open(pictures(tmp_path / "set"), annotations=tmp_path / "missing.json"))


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="At least 3"):
        drain(iter_open(pictures(tmp_path / "set"), needed=3))
    with pytest.raises(UserError, match="At least 3 pictures are needed, demo heads 2:0 has 2"):
        drain(iter_open("demo:heads:2", needed=3))
