"""D-ULD++: killed in the middle it ends the same; stopped, it leaves a usable model; guessed landmarks are marked."""

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
from uld_explorer.landmarks.d_uldpp import PoseSettings, PoseTrained, iter_fit
from uld_explorer.landmarks.detector import LandmarkDetector
from uld_explorer.runs import create_run, write_json
from uld_explorer.types import Found

ROOT = Path(__file__).parents[2]
SMALL = {"landmarks": 4, "map_size": 24, "batch": 2, "rounds": 3, "round_steps": 30, "width": 16, "train_batch": 2}
SMALL |= {"proxy_steps": 10, "pose_clusters": 2}


def settings(**changes: object) -> PoseSettings:
    return PoseSettings.from_json(SMALL | changes)


def steps(folder: Path, **changes: object) -> Iterator[Event]:
    """The events of a fit on eight small pictures in `folder`."""
    images = dotted_set(folder, 8)
    return iter_fit(images, whole_regions(images), settings(**changes), ColourBackbone())


def fit(folder: Path, **changes: object) -> tuple[PoseTrained, Found]:
    images = dotted_set(folder, 8)
    return drain(iter_fit(images, whole_regions(images), settings(**changes), ColourBackbone()))


CHILD = """
import sys
from pathlib import Path
from tests.landmarks import test_d_uldpp
from uld_explorer.landmarks import training
training.SAVE_SECONDS = 0.0
for event in test_d_uldpp.steps(Path(sys.argv[1])):
    print(event.stage, event.step, flush=True)
"""


@pytest.mark.parametrize("moment", ["learning poses, round 1 10", "training, round 3 20"])
def test_killed_it_ends_bit_by_bit_the_same(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path / "pictures")]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert child.stdout is not None
    reached = any(line.startswith(moment) for line in child.stdout)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert reached
    resumed = list(steps(tmp_path / "resumed"))
    assert "Going on from the last checkpoint" in [event.data.get("text") for event in resumed]
    assert not any(event.stage == "training, round 1" for event in resumed)
    after = _model(resumed)
    monkeypatch.setenv("ULD_DATA_DIR", str(tmp_path / "elsewhere"))
    for name, value in fit(tmp_path / "whole")[0].to_tensors().items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)


def test_every_phase_tells_how_long_all_later_ones_take(tmp_path: Path, data_dir: Path) -> None:
    """In steps of its own: three rounds of 30 steps, each followed by 10 steps of the proxy, which cost an eighth."""
    first = [event for event in steps(tmp_path / "pictures") if event.kind == "progress" and "phase" in event.data]
    told = {event.data["phase"]: event.data["later"] for event in first}
    assert told == {
        "round 1": pytest.approx(2 * 30 + 3 * 10 / 8, abs=0.1),
        "proxy 1": pytest.approx(8 * 2 * 30 + 2 * 10, abs=0.1),
        "round 2": pytest.approx(30 + 2 * 10 / 8, abs=0.1),
        "proxy 2": pytest.approx(8 * 30 + 10, abs=0.1),
        "round 3": pytest.approx(10 / 8, abs=0.1),
        "proxy 3": 0,
    }


def _model(events: list[Event]) -> dict[str, np.ndarray]:
    """The tensors of the last model that the events kept."""
    return dict([event for event in events if event.data.get("name") == "model"][-1].arrays)


def test_without_resuming_it_begins_again(tmp_path: Path, data_dir: Path) -> None:
    stage = steps(tmp_path / "pictures")
    for event in stage:
        if event.stage == "training, round 2":
            break
    stage.close()
    assert any(event.stage == "training, round 1" for event in steps(tmp_path / "pictures", resume=False))


def test_a_stopped_run_leaves_a_usable_model(tmp_path: Path, data_dir: Path) -> None:
    run = create_run(tmp_path, folder=tmp_path / "run", method="duldpp")
    write_json(run.folder / "settings.json", settings().to_json())
    stage = steps(tmp_path / "pictures")
    for event in stage:
        run.append(event)
        if event.stage == "training, round 2":
            break
    stage.close()
    images = dotted_set(tmp_path / "others", 3, seed=5)
    found = drain(LandmarkDetector.load(run.folder).iter_predict(images, backbone=ColourBackbone()))
    assert found.landmarks.xy.shape == (3, 4, 2) and np.isfinite(found.landmarks.xy).all()
    shown = run.landmarks()
    assert shown is not None and shown.xy.shape == (8, 4, 2), "and landmarks to look at"


def test_every_round_is_told_with_its_figures_and_pictures(tmp_path: Path, data_dir: Path) -> None:
    rounds = [event for event in steps(tmp_path / "pictures") if "round" in event.data]
    assert [event.data["round"] for event in rounds] == [1, 2, 3]
    for event in rounds:
        assert sum(event.data["pose_sizes"]) == 8 and 0 <= event.data["churn"] <= 1
        assert sum(event.data["mixing_weights"].values()) == pytest.approx(1)
        assert event.arrays["heat"].shape == (8, 24, 24) and event.arrays["pose"].shape == (8,)
        assert "heat" not in Event.from_json(event.to_json()).arrays


def test_guessed_landmarks_are_marked_and_can_be_left_out(tmp_path: Path, data_dir: Path) -> None:
    everything = fit(tmp_path / "pictures")[1].landmarks
    seen = fit(tmp_path / "pictures", complete=False)[1].landmarks
    assert everything.present.all() and everything.guessed is not None
    np.testing.assert_array_equal(everything.seen, seen.present)
    np.testing.assert_array_equal(everything.xy[seen.present], seen.xy[seen.present])


def test_it_can_start_from_bootstrapped_keypoints(tmp_path: Path, data_dir: Path) -> None:
    events = list(steps(tmp_path / "pictures", start="bootstrap", bootstrap_steps=5, round_steps=5, rounds=1))
    stages = [event.stage for event in events]
    assert "bootstrapping" in stages and "sampling pixels" not in stages
    assert any("among bootstrapped keypoints" in str(event.data.get("text")) for event in events)


def test_one_pose_makes_two_stages_one(tmp_path: Path, data_dir: Path) -> None:
    """With Q = 1 the clusters of the only pose are those of all pictures."""
    one = fit(tmp_path / "pictures", pose_clusters=1)[0]
    plain = fit(tmp_path / "pictures", pose_clusters=1, two_stage=False)[0]
    np.testing.assert_array_equal(one.by_pose, plain.by_pose)
    assert one.by_pose.shape[0] == 1 and len(set(one.chosen.tolist())) == 4
