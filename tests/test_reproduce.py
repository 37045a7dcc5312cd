"""Studies: the rows that the paper's tables have, runs that are not made twice, and means with their spread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer import reproduce, workflow
from uld_explorer.events import Stage, drain, note
from uld_explorer.settings import RunSettings
from uld_explorer.types import Annotations, ImageSet, Report, UserError

SMALL = {"landmarks": 3, "map_size": 24, "batch": 4, "rounds": 2, "round_steps": 4, "width": 16, "train_batch": 2}
SMALL |= {"proxy_steps": 4, "pose_clusters": 2, "roi": "whole"}


@pytest.fixture()
def images(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """Twelve dotted pictures with a yaw, looked at by colours."""

    def load(settings: RunSettings, random_weights: int | None = None) -> Stage[ColourBackbone]:
        yield note("loading the diffusion model", "colours")
        return ColourBackbone()

    monkeypatch.setattr(workflow, "iter_load_backbone", load)
    monkeypatch.setattr("uld_explorer.measuring.iter_load_backbone", load)
    found = dotted_set(tmp_path / "pictures", 12)
    truth = found.annotations
    assert truth is not None
    turned = Annotations(truth.xy, truth.visibility, truth.boxes, truth.names, np.linspace(-80, 80, 12))
    return ImageSet(found.ids, found.names, found.paths, found.sizes, (), turned, "dots")


def test_the_rows_of_the_studies() -> None:
    assert [row.method for row in reproduce.rows_of("ablation")] == list(reproduce.TRAINED)
    sweep = reproduce.rows_of("sweep", poses=(2, 3), counts=(5,))
    assert [(row.name, row.changes) for row in sweep] == [
        ("Q = 2, K = 5", {"pose_clusters": 2, "landmarks": 5}),
        ("Q = 3, K = 5", {"pose_clusters": 3, "landmarks": 5}),
    ]
    with pytest.raises(UserError, match="no study 'magic': use ablation, clusters"):
        reproduce.rows_of("magic")


def test_a_finished_run_is_not_made_again(images: ImageSet, tmp_path: Path) -> None:
    row = reproduce.rows_of("yaw")[-1]
    run = drain(reproduce.iter_run(row, 1, SMALL, images, None, tmp_path / "study"))
    stamp = (run.folder / "run.json").stat().st_mtime_ns
    again = list(reproduce.iter_run(row, 1, SMALL, images, None, tmp_path / "study"))
    assert again == [] and (run.folder / "run.json").stat().st_mtime_ns == stamp
    assert run.view().state == "done" and run.settings()["seed"] == 1
    accuracy = reproduce.accuracy_over_rounds(run, images)
    assert len(accuracy) == 2 and all(0 <= value <= 100 for value in accuracy)
    cells = reproduce.summary([reproduce.report_of(run)], reproduce.STUDIES["yaw"].columns)
    assert cells["pose_accuracy"] is not None and cells["pose_accuracy"][1] is None
    other = drain(reproduce.iter_run(row, 1, SMALL, images.take(np.arange(11)), None, tmp_path / "study"))
    assert other.folder != run.folder, "other pictures are another run"


def test_means_and_spreads_by_hand() -> None:
    reports = [Report({"a": value, "b": None}, {}) for value in (1.0, 2.0, 3.0)]
    cells = reproduce.summary(reports, ("a", "b"))
    assert cells == {"a": (2.0, 1.0), "b": None}
    table = reproduce.markdown(("a", "b"), {"row": cells})
    assert table.splitlines() == ["| | a | b |", "| --- | --- | --- |", "| row | 2.00 ± 1.00 | – |"]
