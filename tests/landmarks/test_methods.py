"""Every method of the table keeps the same promises; a new entry is tested by being there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer.data.regions import whole_regions
from uld_explorer.events import Event, drain
from uld_explorer.landmarks.methods import METHODS, Method, get_method
from uld_explorer.settings import RunSettings
from uld_explorer.types import Found, ImageSet, UserError

COUNT, K = 6, 4


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]


@pytest.fixture()
def images(tmp_path: Path, data_dir: Path) -> ImageSet:
    return dotted_set(tmp_path / "pictures", COUNT)


def small(method: Method) -> RunSettings:
    """Settings for few and small pictures; training just long enough to have happened."""
    wanted = {"landmarks": K, "map_size": 24, "batch": 2, "round_steps": 4, "rounds": 2, "width": 16, "train_batch": 2}
    wanted |= {"proxy_steps": 4, "pose_clusters": 2}
    names = {field.name for field in dataclasses.fields(method.settings)}
    return method.settings.from_json({name: value for name, value in wanted.items() if name in names})


def fit(method: Method, images: ImageSet) -> tuple[list[Event], Any]:
    """The events of a fit, and what it returns."""
    stage = method.iter_fit(images, whole_regions(images), small(method), ColourBackbone())
    events = []
    while True:
        try:
            events.append(next(stage))
        except StopIteration as stop:
            return events, stop.value


def assert_consistent(found: Found, count: int) -> None:
    landmarks, keypoints = found.landmarks, found.keypoints
    assert landmarks.xy.shape == (count, K, 2) and landmarks.xy.dtype == np.float64
    assert landmarks.present.shape == landmarks.score.shape == (count, K)
    assert landmarks.present.dtype == np.bool_ and landmarks.score.dtype == np.float32
    np.testing.assert_array_equal(np.isfinite(landmarks.xy).all(-1), landmarks.present)
    size = len(keypoints.label)
    assert keypoints.xy.shape == (size, 2) and len(keypoints.descriptor) == len(keypoints.image) == size > 0
    assert keypoints.label.min() >= -1 and keypoints.label.max() < K
    assert keypoints.image.min() >= 0 and keypoints.image.max() < count
    assert not (landmarks.seen & ~landmarks.present).any()
    if found.poses is not None:
        assert len(found.poses.codes) == len(found.poses.cluster) == count
        assert found.poses.codes.dtype == np.float32 and found.poses.cluster.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(keypoints.descriptor, axis=1), 1, atol=1e-3)


def test_the_name_in_the_table_is_its_own(method: Method) -> None:
    assert get_method(method.name) is method
    assert method.title and len(method.help) > 10


def test_its_settings_survive_json(method: Method) -> None:
    settings = small(method)
    assert method.settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_it_says_how_far_it_is(method: Method, images: ImageSet) -> None:
    events, _ = fit(method, images)
    steps = [event for event in events if event.kind == "progress"]
    assert len(steps) >= COUNT // 2, "at least one for every batch of pictures"
    assert len({event.stage for event in steps}) >= 2
    assert all(event.stage and event.step >= 0 and event.step <= event.total for event in steps)
    assert all(Event.from_json(event.to_json()) == event for event in events)


def test_it_returns_a_model_landmarks_and_keypoints(method: Method, images: ImageSet) -> None:
    _, (model, found) = fit(method, images)
    assert isinstance(model, method.model)
    assert_consistent(found, COUNT)


def test_its_model_survives_as_tensors_and_predicts_the_same(method: Method, images: ImageSet) -> None:
    _, (model, _) = fit(method, images)
    tensors = model.to_tensors()
    assert tensors and all(isinstance(value, np.ndarray) for value in tensors.values())
    kept = method.model.from_tensors(tensors)
    some = images.take(np.array([4, 1]))
    predictions = [
        drain(method.iter_predict(some, whole_regions(some), small(method), ColourBackbone(), each))
        for each in (model, kept)
    ]
    for found in predictions:
        assert_consistent(found, 2)
    np.testing.assert_array_equal(*(found.landmarks.xy for found in predictions))


def test_it_is_the_same_twice(method: Method, images: ImageSet) -> None:
    first, second = (fit(method, images)[1][1].landmarks for _ in range(2))
    np.testing.assert_array_equal(first.xy, second.xy)
    np.testing.assert_array_equal(first.score, second.score)


def test_an_unknown_method_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(UserError, match="no method 'magic': use zeroshot, duld"):
        get_method("magic")
