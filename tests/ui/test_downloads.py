"""A finished run can be taken home, an unfinished one offers nothing, and looking does not fill the disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ui.conftest import EVIL
from uld_explorer.export.formats import FORMATS
from uld_explorer.runs import Run
from uld_explorer.ui import downloads as module
from uld_explorer.ui.downloads import downloads


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own for what is written by the way."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    module._packed.cache_clear()


def test_there_is_nothing_to_download_before_landmarks_are_found(empty_run: Run, temporary: Path) -> None:
    """One entry for every button, so that each can be switched off."""
    assert downloads(empty_run) == [None] * (len(FORMATS) + 1)
    assert not list(temporary.iterdir())


def test_a_finished_run_has_a_file_for_every_format_and_one_of_all(finished_run: Run) -> None:
    files = [Path(path or "") for path in downloads(finished_run)]
    assert [file.name for file in files] == ["landmarks.coco.json", "landmarks.csv", "landmarks.zip"]
    names = [image["file_name"] for image in json.loads(files[0].read_text())["images"]]
    assert names == [EVIL, "b.png", "c.png", "d.png"]
    with zipfile.ZipFile(files[-1]) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "landmarks.coco.json",
            "landmarks.csv",
            "model.json",
            "model.safetensors",
            "report.json",
            "settings.json",
        ]


def test_a_run_without_model_or_report_still_has_its_landmarks(finished_run: Run) -> None:
    """As one that was cancelled after the landmarks were found."""
    shutil.rmtree(finished_run.folder / "model")
    (finished_run.folder / "results" / "report.json").unlink()
    with zipfile.ZipFile(downloads(finished_run)[-1] or "") as archive:
        assert sorted(archive.namelist()) == ["landmarks.coco.json", "landmarks.csv", "settings.json"]


def test_looking_again_writes_nothing(finished_run: Run, temporary: Path) -> None:
    assert downloads(finished_run) == downloads(finished_run)
    assert len(list(temporary.iterdir())) == 1


def test_new_results_are_packed_anew(finished_run: Run) -> None:
    before = downloads(finished_run)
    os.utime(finished_run.folder / "results" / "landmarks.safetensors", (1, 1))
    assert downloads(finished_run) != before


def test_files_that_were_tidied_up_are_made_again(finished_run: Run, temporary: Path) -> None:
    downloads(finished_run)
    for folder in temporary.iterdir():
        shutil.rmtree(folder)
    assert all(Path(path or "").exists() for path in downloads(finished_run))


def test_what_is_no_longer_kept_is_removed(finished_run: Run, temporary: Path) -> None:
    downloads(finished_run)
    module._packed.cache_clear()
    assert not list(temporary.iterdir())
