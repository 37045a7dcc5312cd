"""The errors, against hand-computed numbers, closed-form cases and the known pitfalls of this literature's code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uld_explorer.analysis import nme
from uld_explorer.analysis.protocols import (
    PROTOCOLS,
    SWEEP_SIZES,
    get_protocol,
    normaliser,
    regressor_split,
    regressor_subset,
    sweep_protocols,
)
from uld_explorer.types import Annotations, Landmarks, UserError

BOX = PROTOCOLS["box"]


def annotate(xy: np.ndarray, iod: tuple[int, int] | None = (0, 1)) -> Annotations:
    """Fully annotated points with their bounding boxes."""
    low, high = xy.min(axis=1), xy.max(axis=1)
    names = tuple(f"p{i}" for i in range(xy.shape[1]))
    visibility = np.full(xy.shape[:2], 2, dtype=np.uint8)
    return Annotations(xy, visibility, np.concatenate([low, high - low], axis=1), names, None, iod)


def detect(xy: np.ndarray) -> Landmarks:
    """Landmarks that are missing where xy is NaN."""
    present = ~np.isnan(xy).any(axis=-1)
    return Landmarks(xy, present, present.astype(np.float32))


def similarity_faces(count: int, seed: int = 0, size: float = 128.0, points: int = 10) -> np.ndarray:
    """(count, points, 2) pixels: one shape, turned, scaled and shifted at random."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(99).uniform(-0.5, 0.5, (points, 2))
    angle = np.deg2rad(rng.normal(0, 15, count))
    scale = size * rng.uniform(0.35, 0.55, count)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    return np.einsum("nij,pj->npi", turn, shape) + size / 2 + size * rng.uniform(-0.08, 0.08, (count, 1, 2))


def sizes(count: int, size: float = 128.0) -> np.ndarray:
    return np.full((count, 2), size)


def measure(found: np.ndarray, truth: np.ndarray, split: int = 300, **options: object) -> nme.NmeResult:
    """Train on the first `split` pictures, measure on the others."""
    marks, notes, size = detect(found), annotate(truth), sizes(len(truth))
    first, rest = np.arange(split), np.arange(split, len(truth))
    return nme.evaluate_nme(
        marks.take(first), notes.take(first), marks.take(rest), notes.take(rest), size[first], size[rest], **options
    )


FACES = similarity_faces(800)


@pytest.mark.parametrize(("lam", "expected"), [(1e-5, 0.0), (1e-3, 0.007), (0.01, 0.066), (0.1, 0.63)])
def test_exact_linear_landmarks_are_found_up_to_the_ridge(lam: float, expected: float) -> None:
    mix = np.random.default_rng(1).normal(size=(20, 20)) / 20
    exact = FACES[:, ::-1].copy()
    result = measure(exact, FACES, protocol=replace(BOX, ridge_forward=lam))
    assert result.forward_nme == pytest.approx(expected, rel=0.5, abs=5e-4)
    mixed = ((FACES - 64).reshape(800, 20) @ mix).reshape(800, 10, 2) + 64
    assert measure(mixed, FACES, protocol=replace(BOX, ridge_forward=1e-9)).forward_nme < 0.01


def test_a_stronger_ridge_never_helps_exact_landmarks() -> None:
    errors = [measure(FACES, FACES, protocol=replace(BOX, ridge_forward=lam)).forward_nme for lam in (0, 1e-3, 0.1, 10)]
    assert errors == sorted(errors)


def test_a_constant_detector_has_no_backward_error_and_the_mean_shape_forward() -> None:
    result = measure(np.broadcast_to([[40.0, 50.0], [90.0, 60.0]], (800, 2, 2)).copy(), FACES)
    assert result.backward_nme == pytest.approx(0.0, abs=1e-9)
    assert result.forward_nme == pytest.approx(result.mean_shape_nme)
    assert result.mean_shape_nme > 5


def test_rounding_is_not_taken_for_movement() -> None:
    rng = np.random.default_rng(12)
    size = rng.uniform(50, 900, (800, 2))
    truth = FACES / 128 * size[:, None]
    still = np.array([[0.3, 0.4], [0.7, 0.1]]) * size[:, None]
    fitted = nme.fit_linear_map(still[:300], truth[:300], size[:300], 1e-3)
    assert (fitted.weight == 0).all()


def test_random_points_hide_in_the_forward_error_and_show_in_the_backward() -> None:
    rng = np.random.default_rng(2)
    found = np.concatenate([FACES[:, :5], rng.uniform(0, 128, (800, 5, 2))], axis=1)
    result = measure(found, FACES, protocol=replace(BOX, ridge_backward=1e-3))
    assert result.forward_nme < 1
    assert result.backward_nme > 30


def test_hand_computed_map_and_error() -> None:
    source = np.array([[[25.0, 50.0]], [[75.0, 50.0]]])
    target = np.array([[[0.0, 50.0]], [[100.0, 50.0]]])
    fitted = nme.fit_linear_map(source, target, sizes(2, 100), 0.0)
    np.testing.assert_allclose(fitted.weight, [[2, 0], [0, 0]], atol=1e-12)
    damped = nme.fit_linear_map(source, target, sizes(2, 100), 1.0)
    np.testing.assert_allclose(damped.weight[0, 0], 1.0)  # 0.25 / (0.125 + 1 * 0.125)
    guess = fitted.predict(np.array([[[60.0, 50.0]]]), sizes(1, 100))
    np.testing.assert_allclose(guess, [[[70, 50]]])
    error = nme.point_errors(guess, np.array([[[73.0, 54.0]]]), np.array([20.0]))
    np.testing.assert_allclose(error, [[25.0]])


def test_forward_does_not_depend_on_the_order_of_the_landmarks() -> None:
    found = FACES + np.random.default_rng(3).normal(0, 3, FACES.shape)
    order = np.random.default_rng(4).permutation(10)
    plain, shuffled = measure(found, FACES), measure(found[:, order], FACES)
    assert shuffled.forward_nme == pytest.approx(plain.forward_nme)
    assert shuffled.backward_nme == pytest.approx(plain.backward_nme)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.booleans(), st.sampled_from(["box", "iod"]))
def test_errors_do_not_depend_on_the_size_of_the_pictures(seed: int, framed: bool, kind: str) -> None:
    rng = np.random.default_rng(seed)
    truth = similarity_faces(60, 5)
    found = np.where(rng.random((60, 10, 1)) < 0.2, np.nan, truth + rng.normal(0, 3, truth.shape))
    factor = rng.uniform(0.1, 10, (60, 1, 1))
    frames = np.concatenate([rng.uniform(0, 20, (60, 2)), rng.uniform(80, 120, (60, 2))], axis=1) if framed else None
    results = []
    for scale in (np.ones_like(factor), factor):
        marks, notes, size = detect(found * scale), annotate(truth * scale), sizes(60) * scale[:, 0]
        frame = None if frames is None else frames * scale[:, 0]
        a, b = np.arange(40), np.arange(40, 60)
        results.append(
            nme.evaluate_nme(
                marks.take(a),
                notes.take(a),
                marks.take(b),
                notes.take(b),
                size[a],
                size[b],
                replace(BOX, normaliser=kind),
                train_frames=None if frame is None else frame[a],
                test_frames=None if frame is None else frame[b],
            )
        )
    for name in ("forward_nme", "backward_nme", "mean_shape_nme"):
        assert getattr(results[1], name) == pytest.approx(getattr(results[0], name), rel=1e-6)


def test_a_frame_takes_out_where_the_object_is() -> None:
    rng = np.random.default_rng(6)
    place = rng.uniform(0, 900, (400, 1, 2))
    near = similarity_faces(400, 7)
    frames = np.concatenate([place[:, 0], sizes(400)], axis=1)
    notes, size = annotate(near + place), sizes(400, 1200)
    a, b = np.arange(200), np.arange(200, 400)
    framed = nme.mean_over_points(
        nme.mean_shape_errors(notes.take(a), notes.take(b), size[a], size[b], "box", frames[a], frames[b])
    )
    alone = nme.mean_over_points(
        nme.mean_shape_errors(annotate(near).take(a), annotate(near).take(b), sizes(200), sizes(200))
    )
    assert framed == pytest.approx(alone)
    errors = nme.mean_shape_errors(notes.take(a), notes.take(b), size[a], size[b])
    assert nme.mean_over_points(errors) > 5 * framed


@pytest.mark.parametrize("completion", ["mean", "lowrank", "mixed"])
def test_missing_landmarks_are_never_the_corner(completion: str) -> None:
    gone = np.random.default_rng(8).random((800, 10)) < 0.2
    absent = np.where(gone[..., None], np.nan, FACES)
    result = measure(absent, FACES, completion=completion)
    corner = measure(np.where(gone[..., None], 0.0, FACES), FACES)
    assert result.forward_nme < corner.forward_nme / 2
    junk = detect(absent)
    junk.xy[gone] = 1e6  # what is stored at a missing landmark must not matter
    notes, size, a, b = annotate(FACES), sizes(800), np.arange(300), np.arange(300, 800)
    again = nme.evaluate_nme(
        junk.take(a), notes.take(a), junk.take(b), notes.take(b), size[a], size[b], completion=completion
    )
    assert again.forward_nme == result.forward_nme
    assert np.isnan(result.backward[gone[300:]]).all()


def test_a_missing_point_is_filled_by_the_training_mean_at_test() -> None:
    fitted = nme.fit_linear_map(FACES[:, :3], FACES, sizes(800), 1e-3)
    mean = FACES[:, :3].mean(axis=0, keepdims=True)
    np.testing.assert_allclose(
        fitted.predict(np.full((1, 3, 2), np.nan), sizes(1)), fitted.predict(mean, sizes(1)), atol=1e-9
    )


def test_completion_keeps_what_is_known_and_low_rank_beats_the_mean() -> None:
    full = FACES.reshape(800, -1) / 128
    gone = np.random.default_rng(9).random(full.shape) < 0.3
    broken = np.where(gone, np.nan, full)
    error = {}
    for method in ("mean", "lowrank"):
        filled = nme.complete(broken, method)
        np.testing.assert_allclose(filled[~gone], full[~gone])
        error[method] = np.sqrt(((filled - full)[gone] ** 2).mean())
    assert error["lowrank"] < error["mean"] / 3
    assert (nme.complete(np.full((3, 2), np.nan)) == 0).all()
    with pytest.raises(ValueError, match="completion"):
        nme.complete(broken, "zero")


def test_low_rank_targets_lower_the_backward_error() -> None:
    gone = np.random.default_rng(10).random((800, 10, 1)) < 0.3
    found = np.where(gone, np.nan, FACES)
    assert measure(found, FACES).backward_nme < measure(found, FACES, completion="mean").backward_nme / 2


def test_unannotated_points_are_not_errors_of_zero() -> None:
    truth = annotate(FACES.copy())
    hidden = np.random.default_rng(11).random((800, 10)) < 0.4
    truth.visibility[hidden] = 0
    truth.xy[hidden] = 0.0
    a, b = np.arange(300), np.arange(300, 800)
    still = detect(np.full((800, 1, 2), 64.0))
    size = sizes(800)
    result = nme.evaluate_nme(still.take(a), truth.take(a), still.take(b), truth.take(b), size[a], size[b])
    assert np.array_equal(np.isnan(result.forward), hidden[300:])
    full = measure(still.xy, FACES)
    assert result.forward_nme == pytest.approx(full.forward_nme, rel=0.1)


def test_visible_only_leaves_hidden_points_out() -> None:
    truth = annotate(FACES.copy())
    truth.visibility[:, 3] = 1
    a, b, size = np.arange(300), np.arange(300, 800), sizes(800)
    marks = detect(FACES)
    arguments = (marks.take(a), truth.take(a), marks.take(b), truth.take(b), size[a], size[b])
    assert np.isnan(nme.evaluate_nme(*arguments, visible_only=True).forward[:, 3]).all()
    assert np.isfinite(nme.evaluate_nme(*arguments).forward).all()


def test_a_landmark_never_seen_in_training_cannot_be_scored() -> None:
    found = FACES.copy()
    found[:300, 2] = np.nan
    result = measure(found, FACES)
    assert np.isnan(result.backward[:, 2]).all()
    assert np.isfinite(result.backward_nme)
    nothing = measure(np.full((800, 4, 2), np.nan), FACES)
    assert nothing.forward_nme == pytest.approx(nothing.mean_shape_nme)
    assert np.isnan(nothing.backward_nme)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_the_last_value_of_the_ced_is_the_nme(values: list[float]) -> None:
    curve = nme.ced(np.array([*values, np.nan]))
    assert curve[-1] == pytest.approx(np.mean(values))
    assert len(curve) == len(values)
    assert (np.diff(curve) >= -1e-9).all()


def test_the_ced_of_errors_with_gaps_ends_at_the_nme() -> None:
    errors = np.array([[1.0, 8.0], [3.0, np.nan], [5.0, np.nan]])
    assert nme.mean_over_points(errors) == 5.5
    np.testing.assert_allclose(nme.ced(nme.column_means(errors)), [3.0, 5.5])


@pytest.mark.parametrize("count", [1, 5, 10, 100, 300])
def test_exactly_the_wanted_number_trains_the_regressor(count: int) -> None:
    protocol = replace(BOX, regressor_images=count)
    train, test = regressor_split(400, protocol, 3)
    assert len(train) == count
    assert sorted([*train, *test]) == list(range(400))
    assert np.array_equal(train, regressor_split(400, protocol, 3)[0])
    assert not np.array_equal(test, regressor_split(400, protocol, 4)[1])
    assert len(np.unique(regressor_subset(1000, protocol, 0))) == count
    assert len(regressor_subset(count, replace(protocol, regressor_images=count + 1), 0)) == count


def test_small_sets_are_halved_and_tiny_ones_refused() -> None:
    assert [len(part) for part in regressor_split(102, BOX, 0)] == [51, 51]
    assert [len(part) for part in regressor_split(310, BOX, 0)] == [300, 10]
    assert [len(part) for part in regressor_split(301, BOX, 0)] == [150, 151]
    assert len(regressor_subset(70, sweep_protocols()[-1], 0)) == 70
    with pytest.raises(UserError):
        regressor_split(1, BOX, 0)
    with pytest.raises(UserError):
        regressor_subset(0, BOX, 0)


def test_one_regressor_picture_is_enough_for_a_number() -> None:
    result = measure(FACES, FACES, split=1)
    assert np.isfinite([result.forward_nme, result.backward_nme]).all()


def test_the_distances_by_hand() -> None:
    truth = annotate(np.array([[[0.0, 0.0], [3.0, 4.0], [9.0, 16.0]], [[0.0, 0.0], [6.0, 8.0], [4.0, 9.0]]]))
    np.testing.assert_allclose(normaliser(truth, "iod"), [5, 10])
    np.testing.assert_allclose(normaliser(truth, "box"), [12, np.sqrt(54)])
    truth.boxes[0] = np.nan
    np.testing.assert_allclose(normaliser(truth, "box"), [12, np.sqrt(54)])
    truth.boxes[0] = [0, 0, 4, 25]
    np.testing.assert_allclose(normaliser(truth, "box"), [10, np.sqrt(54)])
    truth.visibility[1, 0] = 0
    np.testing.assert_allclose(normaliser(truth, "iod"), [5, np.nan])
    body = replace(truth, names=("left_shoulder", "right_shoulder", "RightHip"))
    body.visibility[:] = 2
    np.testing.assert_allclose(normaliser(body, "shoulder"), [5, 10])
    np.testing.assert_allclose(normaliser(body, "torso"), [np.hypot(9, 16), np.hypot(4, 9)])


@pytest.mark.parametrize("kind", ["iod", "shoulder", "torso", "nose"])
def test_a_distance_that_cannot_be_had_says_so(kind: str) -> None:
    with pytest.raises(UserError):
        normaliser(annotate(FACES, iod=None), kind)


def test_pictures_without_annotations_are_refused() -> None:
    truth = annotate(FACES.copy())
    truth.visibility[:] = 0
    truth.boxes[:] = np.nan
    with pytest.raises(UserError):
        nme.evaluate_nme(detect(FACES), truth, detect(FACES), truth, sizes(800), sizes(800))


def test_the_table_of_protocols() -> None:
    assert get_protocol("ls3d").ridge_forward == 0.1
    assert (BOX.regressor_images, BOX.ridge_forward, BOX.ridge_backward, BOX.repeats) == (300, 1e-3, 0.1, 1)
    assert get_protocol("faces68").repeats == 10
    assert [step.regressor_images for step in sweep_protocols()] == list(SWEEP_SIZES)
    assert all(protocol.help for protocol in PROTOCOLS.values())
    with pytest.raises(UserError, match="mafl5"):
        get_protocol("none")
