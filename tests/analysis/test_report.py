"""A report always shows forward, backward and mean shape, says its protocol, and survives a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.test_nme import FACES, annotate, detect, sizes
from uld_explorer.analysis.protocols import PROTOCOLS
from uld_explorer.analysis.report import build_report, combine_reports
from uld_explorer.analysis.report_file import format_report, load_report, save_report
from uld_explorer.types import Keypoints, Report, UserError

RNG = np.random.default_rng(0)
NOISY = detect(np.where(RNG.random((800, 10, 1)) < 0.1, np.nan, FACES + RNG.normal(0, 2, FACES.shape)))
RANDOM = detect(RNG.uniform(0, 128, (800, 10, 2)))
TRUTH = replace(annotate(FACES), yaw=RNG.uniform(-90, 50, 800))
TRAIN, TEST = np.arange(400), np.arange(400, 800)
FIGURES = {
    "forward_nme",
    "backward_nme",
    "mean_shape_nme",
    "random_forward_nme",
    "random_backward_nme",
    "detection_rate",
    "silhouette",
    "calinski_harabasz",
    "consistency",
    "hungarian_accuracy",
}
TABLES = {
    "forward_ced",
    "backward_ced",
    "detection_rates",
    "forward_by_yaw",
    "hungarian_by_point",
    "forward_by_point",
    "backward_by_point",
}


def report(**options: object) -> Report:
    return build_report(NOISY, TRUTH, sizes(800), **options)


@pytest.fixture(scope="module")
def full() -> Report:
    label = np.arange(60) % 3
    descriptor = (np.eye(3)[label] + RNG.normal(0, 0.05, (60, 3))).astype(np.float32)
    keypoints = Keypoints(np.zeros((60, 2)), descriptor, label, np.zeros(60, dtype=np.int64))
    return build_report(
        NOISY.take(TRAIN),
        TRUTH.take(TRAIN),
        sizes(400),
        NOISY.take(TEST),
        TRUTH.take(TEST),
        sizes(400),
        baselines={"random": (RANDOM.take(TRAIN), RANDOM.take(TEST))},
        keypoints=keypoints,
        consistency=1.25,
        repeats=3,
    )


def test_every_figure_and_table_is_there(full: Report) -> None:
    assert full.figures.keys() >= FIGURES
    assert full.tables.keys() >= TABLES
    assert all(full.figures[key] is not None for key in FIGURES)
    assert full.figures["forward_nme"] < full.figures["mean_shape_nme"] < full.figures["random_backward_nme"]
    assert full.figures["forward_nme_std"] > 0
    assert full.figures["detection_rate"] == pytest.approx(90, abs=2)
    assert full.figures["random_detection_rate"] == pytest.approx(100)
    assert np.mean(full.tables["detection_rates"]) == pytest.approx(full.figures["detection_rate"])
    assert len(full.tables["forward_by_yaw"]) == 5
    assert np.isnan(full.tables["forward_by_yaw"][4])


def test_the_curves_end_at_the_errors(full: Report) -> None:
    for name in ("forward", "backward"):
        assert full.tables[f"{name}_ced"][-1] == pytest.approx(full.figures[f"{name}_nme"])
        assert np.mean(full.tables[f"{name}_by_point"]) == pytest.approx(full.figures[f"{name}_nme"])


def test_what_is_not_measured_is_none_not_missing() -> None:
    plain = report()
    assert plain.figures.keys() >= FIGURES
    for key in ("random_forward_nme", "random_backward_nme", "silhouette", "consistency", "forward_nme_std"):
        assert plain.figures[key] is None
    unknown = build_report(NOISY, replace(TRUTH, yaw=None, iod=None), sizes(800))
    assert unknown.tables["forward_by_yaw"] == []
    assert unknown.protocol["hungarian_normaliser"] == "box"


def test_the_protocol_says_how_many_pictures_were_used(full: Report) -> None:
    assert (full.protocol["regressor_images"], full.protocol["test_images"]) == (300, 400)
    assert (report().protocol["regressor_images"], report().protocol["test_images"]) == (300, 500)
    assert full.protocol["separate_test_set"] is True
    json.dumps(full.protocol, allow_nan=False)


def test_the_same_seed_repeats_and_another_does_not() -> None:
    assert report(seed=1).figures == report(seed=1).figures
    assert report(seed=1).figures["forward_nme"] != report(seed=2).figures["forward_nme"]


def test_pictures_without_annotations_do_not_count() -> None:
    truth = annotate(FACES.copy())
    truth.visibility[::4] = 0
    made = build_report(NOISY, truth, sizes(800))
    assert made.protocol["regressor_images"] + made.protocol["test_images"] == 600
    truth.visibility[:] = 0
    with pytest.raises(UserError):
        build_report(NOISY, truth, sizes(800))


def test_a_protocol_that_needs_eyes_says_so() -> None:
    with pytest.raises(UserError, match="eyes"):
        build_report(NOISY, replace(TRUTH, iod=None), sizes(800), protocol=PROTOCOLS["faces68"])


def test_half_given_sets_are_refused() -> None:
    with pytest.raises(UserError):
        build_report(NOISY, TRUTH, sizes(800), NOISY)
    with pytest.raises(UserError):
        build_report(NOISY, TRUTH, sizes(800), NOISY, TRUTH, sizes(800), baselines={"random": (RANDOM, None)})


def test_a_report_survives_its_file_in_strict_json(full: Report, tmp_path: Path) -> None:
    path = tmp_path / "results" / "report.json"
    save_report(full, path)
    assert "NaN" not in path.read_text()
    again = load_report(path)
    assert again.figures == full.figures
    assert again.protocol == full.protocol
    for key, row in full.tables.items():
        np.testing.assert_array_equal(again.tables[key], row)
    path.write_text("{}")
    with pytest.raises(UserError):
        load_report(path)


def test_the_text_shows_both_directions_side_by_side(full: Report) -> None:
    text = format_report(full)
    lines = text.splitlines()
    assert "forward %" in lines[0] and "backward %" in lines[0]
    rows = {line[:14].strip(): line for line in lines[1:4]}
    assert rows.keys() == {"landmarks", "random", "mean shape"}
    for key in ("forward_nme", "backward_nme"):
        assert f"{full.figures[key]:.2f}" in rows["landmarks"]
    assert f"{full.figures['mean_shape_nme']:.2f}" in rows["mean shape"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert rows["landmarks"].endswith(f" {full.figures['detection_rate']:.1f}") and rows["random"].endswith(" 100.0")
    assert "300 regressor pictures" in text
    assert "mean shape" in format_report(report())


def test_combined_reports_have_the_mean_and_the_spread() -> None:
    parts = [report(seed=seed) for seed in range(3)]
    combined = combine_reports(parts)
    values = [part.figures["forward_nme"] for part in parts]
    assert combined.figures["forward_nme"] == pytest.approx(np.mean(values))
    assert combined.figures["forward_nme_std"] == pytest.approx(np.std(values, ddof=1))
    assert combined.figures["random_forward_nme"] is None
    assert not any(key.endswith("_std_std") for key in combined.figures)
    assert combined.tables["forward_ced"][-1] == pytest.approx(combined.figures["forward_nme"])
    assert "backward_by_point" not in combined.tables
    assert combined.protocol["seed"] == [0, 1, 2]
    assert "±" in format_report(combined)
    assert combine_reports(parts[:1]).figures["forward_nme_std"] is None


def test_reports_of_different_protocols_are_not_averaged() -> None:
    with pytest.raises(UserError):
        combine_reports([report(), report(protocol=PROTOCOLS["ls3d"])])
    with pytest.raises(ValueError, match="no reports"):
        combine_reports([])


def test_without_annotations_the_table_says_so_instead_of_a_protocol() -> None:
    report = Report({"detection_rate": 98.0, "silhouette": 0.5}, {"name": "no annotations"}, {})
    text = format_report(report)
    assert "98.0" in text and "there are no annotations" in text and "None" not in text
