"""A training's folder: the same for the same work, one owner at a time, gone when the work is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import dotted_set
from tests.landmarks.test_view_maps import settings, views
from uld_explorer.landmarks.checkpoints import checkpoint
from uld_explorer.landmarks.view_maps import ViewMaps


@pytest.fixture()
def data(tmp_path: Path, data_dir: Path) -> ViewMaps:
    return views(dotted_set(tmp_path / "pictures", 6))


def test_the_same_work_has_the_same_folder(data: ViewMaps) -> None:
    names = []
    for changes in ({}, {}, {"rate": 0.01}, {"device": "cpu"}):
        with checkpoint(data, settings(**changes)) as folder:
            names.append(folder.name)
    assert names[0] == names[1] == names[3] != names[2], "where it runs does not count"


def test_two_at_the_same_work_have_folders_apart(data: ViewMaps) -> None:
    with checkpoint(data, settings()) as first:
        with checkpoint(data, settings()) as second:
            assert first != second
        with pytest.raises(ValueError, match="stop"), checkpoint(data, settings()) as third:
            assert third != first
            raise ValueError("stop")
    with checkpoint(data, settings()) as after:
        assert after == first, "free again"


def test_what_was_stopped_stays_and_what_ended_goes(data: ViewMaps) -> None:
    with pytest.raises(KeyboardInterrupt), checkpoint(data, settings()) as folder:
        folder.mkdir()
        (folder / "state.json").write_text("{}")
        raise KeyboardInterrupt
    assert (folder / "state.json").exists()
    with checkpoint(data, settings()) as again:
        assert (again / "state.json").exists()
    assert not folder.exists()
    folder.mkdir()
    with checkpoint(data, settings(resume=False)) as fresh:
        assert not fresh.exists(), "not wanted"
