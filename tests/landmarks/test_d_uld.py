"""D-ULD: killed in the middle, the same call goes on and finds bit by bit the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer.data.regions import whole_regions
from uld_explorer.events import Event, drain
from uld_explorer.landmarks.d_uld import SelfTrained, SelfTrainingSettings, iter_fit
from uld_explorer.types import ImageSet

ROOT = Path(__file__).parents[2]


def settings(**changes: object) -> SelfTrainingSettings:
    base = {"landmarks": 4, "map_size": 24, "batch": 2, "rounds": 2, "round_steps": 60, "width": 16, "train_batch": 2}
    return SelfTrainingSettings.from_json(base | changes)


def steps(folder: Path, **changes: object) -> Iterator[Event]:
    """The events of a fit on six small pictures in `folder`."""
    images = dotted_set(folder, 6)
    yield from iter_fit(images, whole_regions(images), settings(**changes), ColourBackbone())


def fit(images: ImageSet, **changes: object) -> SelfTrained:
    return drain(iter_fit(images, whole_regions(images), settings(**changes), ColourBackbone()))[0]


CHILD = """
import sys
from pathlib import Path
from tests.landmarks import test_d_uld
from uld_explorer.landmarks import training
training.SAVE_SECONDS = 0.0
for event in test_d_uld.steps(Path(sys.argv[1])):
    print(event.stage, event.step, flush=True)
"""


def test_killed_in_the_second_round_it_ends_bit_by_bit_the_same(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path / "pictures")]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert child.stdout is not None
    reached = any(line.startswith("training, round 2 20") for line in child.stdout)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert reached and len(list((data_dir / "cache" / "training").iterdir())) == 1
    images = dotted_set(tmp_path / "again", 6)
    stage = iter_fit(images, whole_regions(images), settings(), ColourBackbone())
    texts = []
    while True:
        try:
            event = next(stage)
        except StopIteration as stop:
            resumed = stop.value[0]
            break
        texts.append(event.data.get("text", "") or event.stage)
    assert "Going on from the last checkpoint" in texts and "training, round 1" not in texts
    assert list((data_dir / "cache" / "training").iterdir()) == [], "nothing is left when it has ended"
    monkeypatch.setenv("ULD_DATA_DIR", str(tmp_path / "elsewhere"))
    whole = fit(images)
    np.testing.assert_array_equal(resumed.centroids, whole.centroids)
    for name, value in whole.network.weights.items():
        np.testing.assert_array_equal(resumed.network.weights[name], value, err_msg=name)


def test_it_can_start_from_bootstrapped_keypoints(tmp_path: Path, data_dir: Path) -> None:
    images = dotted_set(tmp_path / "pictures", 6)
    model = fit(images, start="bootstrap", bootstrap_steps=5, round_steps=5, rounds=1)
    assert model.centroids.shape == (4, 64)
    np.testing.assert_allclose(np.linalg.norm(model.centroids, axis=1), 1, atol=1e-4)


def test_it_stops_when_labels_have_settled(tmp_path: Path, data_dir: Path) -> None:
    events = list(steps(tmp_path / "pictures", settled=1.0, rounds=5, round_steps=3))
    stages = {event.stage for event in events}
    assert "training, round 1" in stages and "training, round 2" not in stages
    labelled = [e.data["text"] for e in events if e.kind == "note" and e.data["text"].startswith("Labels")]
    assert [text.split(":")[0] for text in labelled] == ["Labels 1", "Labels 2"], "settled labels are not made again"
