"""The estimate is made of the probe's times: more of anything costs more, and it is right within a factor of three."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer.data.regions import whole_regions
from uld_explorer.estimate import TRAINED_DISK as FIXED
from uld_explorer.estimate import Estimate, iter_estimate
from uld_explorer.events import drain
from uld_explorer.landmarks.d_uld import SelfTrainingSettings, iter_fit
from uld_explorer.landmarks.d_uldpp import PoseSettings
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet


@pytest.fixture
def images(tmp_path: Path, data_dir: Path) -> ImageSet:
    return dotted_set(tmp_path / "pictures", 10)


def estimate(images: ImageSet, settings: RunSettings) -> Estimate:
    return drain(iter_estimate(images, settings, ColourBackbone()))


def test_zeroshot_trains_nothing(images: ImageSet) -> None:
    found = estimate(images, ZeroShotSettings(landmarks=3))
    assert set(found.parts) == {"diffusion features", "clustering", "maps and figures"}
    assert all(value > 0 for value in found.parts.values()) and found.seconds == sum(found.parts.values())


def test_more_costs_more(images: ImageSet) -> None:
    small = estimate(images, SelfTrainingSettings(landmarks=3, width=16, rounds=1, round_steps=50))
    long = estimate(images, SelfTrainingSettings(landmarks=3, width=16, rounds=4, round_steps=500))
    assert long.parts["training"] > 10 * small.parts["training"]
    wide = estimate(images, SelfTrainingSettings(landmarks=3, width=16, rounds=1, round_steps=50, views=16))
    assert wide.disk - FIXED == pytest.approx((small.disk - FIXED) * 17 / 5)
    poses = estimate(images, PoseSettings(landmarks=3, width=16, rounds=4, round_steps=500))
    assert poses.parts["training"] > 1.2 * long.parts["training"]


def test_nothing_is_left_in_the_store(images: ImageSet, data_dir: Path) -> None:
    estimate(images, ZeroShotSettings(landmarks=3))
    assert not list(data_dir.rglob("*.npy"))


def test_it_is_about_right(images: ImageSet) -> None:
    """Of the training, which takes the most; steps enough that the clock's noise does not count."""
    settings = SelfTrainingSettings(landmarks=3, map_size=24, width=32, rounds=1, round_steps=150)
    expected = estimate(images, settings).parts["training"]
    spent, before, stage = 0.0, time.perf_counter(), ""
    for event in iter_fit(images, whole_regions(images), settings, ColourBackbone()):
        now = time.perf_counter()
        spent += now - before if stage == "training, round 1" else 0.0
        before, stage = now, event.stage
    assert np.log(expected / spent) == pytest.approx(0, abs=np.log(3))
