"""The bundled sets: heads are made once, are the same whatever their number, and survive a killed run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from uld_explorer.data import demo
from uld_explorer.data.heads.anatomy import POINTS
from uld_explorer.data.heads.scene import render_head
from uld_explorer.data.images import load_rgb
from uld_explorer.events import drain
from uld_explorer.types import ImageSet, UserError


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ULD_DATA_DIR", str(tmp_path))
    return tmp_path


def heads(count: int = 4, seed: int = 0, size: int = 32) -> ImageSet:
    return drain(demo.iter_open_heads(count, seed, size))


def test_pictures_and_annotations_are_those_of_the_renderer() -> None:
    images = heads(3, seed=2)
    truth = images.annotations
    assert truth is not None
    assert truth.xy.shape == (3, len(POINTS), 2) and truth.boxes.shape == (3, 4)
    assert truth.names == POINTS
    assert truth.iod is not None
    assert [POINTS[i] for i in truth.iod] == ["eye_outer_left", "eye_outer_right"]
    assert truth.yaw is not None
    for i in range(3):
        rendered = render_head(2, i, 32)
        np.testing.assert_array_equal(load_rgb(images.paths[i]), rendered.image)
        np.testing.assert_array_equal(truth.xy[i], rendered.xy)
        np.testing.assert_array_equal(truth.visibility[i], np.where(rendered.visible, 2, 1))
        np.testing.assert_array_equal(truth.boxes[i], rendered.box)
        assert truth.yaw[i] == rendered.yaw
    assert images.sizes.tolist() == [[32, 32]] * 3


def test_a_head_does_not_depend_on_how_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = heads(2)
    first = [path.read_bytes() for path in few.paths]
    monkeypatch.setenv("ULD_DATA_DIR", str(tmp_path / "other"))
    many = heads(5)
    assert many.ids[:2] == few.ids and len(set(many.ids)) == 5
    assert [path.read_bytes() for path in many.paths[:2]] == first


def test_series_and_sizes_do_not_mix() -> None:
    sets = [heads(2), heads(2, seed=1), heads(2, size=48)]
    assert len({i for images in sets for i in images.ids}) == 6
    assert len({path.read_bytes() for images in sets for path in images.paths}) == 6


def test_a_second_opening_renders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = heads()
    monkeypatch.setattr(demo, "render_head", lambda *_: pytest.fail("rendered again"))
    again = heads()
    assert again.ids == first.ids
    assert again.annotations is not None and first.annotations is not None
    np.testing.assert_array_equal(again.annotations.xy, first.annotations.xy)


def test_what_a_killed_run_left_is_made_again() -> None:
    images = heads(3)
    good = [path.read_bytes() for path in images.paths]
    folder = images.paths[0].parent
    images.paths[1].with_suffix(".json").unlink()
    images.paths[1].write_bytes(good[1][:40])
    images.paths[2].unlink()
    (folder / "head_000002.0123abcd.part").write_bytes(b"half")
    assert [path.read_bytes() for path in heads(3).paths] == good
    assert json.loads(images.paths[1].with_suffix(".json").read_text())["yaw"] == render_head(0, 1, 32).yaw


def test_no_temporary_file_stays() -> None:
    folder = heads(2).paths[0].parent
    assert sorted({path.suffix for path in folder.iterdir()}) == [".json", ".png"]


@pytest.mark.parametrize(
    ("count", "seed", "size"), [(0, 0, 32), (-1, 0, 32), (100_001, 0, 32), (1, -1, 32), (1, 0, 31)]
)
def test_impossible_numbers_are_refused(count: int, seed: int, size: int) -> None:
    with pytest.raises(UserError, match="1 to 100000 heads"):
        heads(count, seed, size)


def test_rendering_tells_how_far_it_is() -> None:
    stage = demo.iter_open_heads(5, 0, 32)
    events = list(stage)
    assert [(event.step, event.total) for event in events] == [(0, 5), (4, 5), (5, 5)]


def test_the_bundled_photographs_open() -> None:
    images = drain(demo.iter_open_faces(3))
    assert len(images) == 3 and not images.skipped
    assert images.annotations is None
    assert (images.sizes >= 128).all()
