"""The verbs: what a run's folder holds, which figures are measured when, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer import measuring, workflow
from uld_explorer.analysis.projection import pca_map
from uld_explorer.analysis.protocols import get_protocol
from uld_explorer.analysis.report_file import load_report
from uld_explorer.data.regions import crop_affines, whole_regions
from uld_explorer.events import Stage, drain, note, progress
from uld_explorer.features.aggregation import to_pixels
from uld_explorer.landmarks.detector import Finding, LandmarkDetector
from uld_explorer.landmarks.methods import METHODS, Method, get_method
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.runs import Run, create_run
from uld_explorer.settings import RunSettings
from uld_explorer.types import Found, ImageSet, Keypoints, Landmarks, Regions, Report, Skipped, UserError

Discovered = tuple[LandmarkDetector, Finding, Report]
SUMMARY = [
    "run",
    "method",
    "backbone",
    "images",
    "skipped",
    "landmarks",
    "forward_nme",
    "backward_nme",
    "mean_shape_nme",
    "random_forward_nme",
    "random_backward_nme",
    "detection_rate",
    "consistency",
    "silhouette",
    "calinski_harabasz",
    "hungarian_accuracy",
    "seconds",
    "pose_accuracy",
    "yaw_r2",
    "seen_rate",
    "by_yaw",
    "protocol",
]
NEED_ANNOTATIONS = [*SUMMARY[6:11], "hungarian_accuracy"]
COUNT = 30


def settings(**changes: object) -> RunSettings:
    return get_method("zeroshot").settings.from_json({"landmarks": 4, "map_size": 24, "restarts": 3, **changes})


def load_colours(chosen: RunSettings, random_weights: int | None = None) -> Stage[ColourBackbone]:
    yield note("loading the diffusion model", "colours")
    return ColourBackbone(fingerprint="colours" if random_weights is None else "random")


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Colours instead of a diffusion model, PCA instead of UMAP, and a data folder of its own."""
    folder = tmp_path_factory.mktemp("workflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ULD_DATA_DIR", str(folder / "data"))
        patch.setattr(workflow, "iter_load_backbone", load_colours)
        patch.setattr("uld_explorer.measuring.iter_load_backbone", load_colours)
        patch.setattr("uld_explorer.landmarks.detector.iter_load_backbone", load_colours)
        patch.setattr("uld_explorer.mapping.umap_map", lambda x, seed, *choices: pca_map(x))
        yield folder


@pytest.fixture(scope="module")
def images(colours: Path) -> ImageSet:
    return replace(dotted_set(colours / "pictures", COUNT), skipped=(Skipped("notes.txt", "not a picture"),))


@pytest.fixture(scope="module")
def finished(colours: Path, images: ImageSet) -> tuple[Run, Discovered]:
    """A run with annotations and a baseline."""
    run = create_run(colours / "runs")
    stage = workflow.iter_discover(images, "zeroshot", settings(), run, baselines=["random-weights"])
    return run, drain(stage)


def discover(images: ImageSet, folder: Path, **choices: Any) -> tuple[Run, Report]:
    run = create_run(folder)
    _, _, report = drain(workflow.iter_discover(images, "zeroshot", settings(), run, **choices))
    return run, report


def stop_at(words: str, images: ImageSet, run: Run) -> None:
    """Discover until this stage has begun, then stop as whoever cancels does."""
    stage = workflow.iter_discover(images, "zeroshot", settings(), run)
    assert any(event.stage == words for event in stage)
    stage.close()


# --- the run's folder ---------------------------------------------------------------------------------------------


def test_every_file_of_the_run_is_written(finished: tuple[Run, Discovered]) -> None:
    folder = finished[0].folder
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "run.json",
        "settings.json",
        "pictures.json",
        "model/model.json",
        "model/model.safetensors",
        "results/landmarks.safetensors",
        "results/regions.safetensors",
        "results/annotations.safetensors",
        "results/keypoints.safetensors",
        "results/map.safetensors",
        "results/report.json",
        *(f"thumbs/{i:06d}.jpg" for i in range(COUNT)),
    }


def test_what_is_written_is_what_was_returned(finished: tuple[Run, Discovered], images: ImageSet) -> None:
    run, (detector, finding, report) = finished
    info, pictures, landmarks = run.info(), run.pictures(), run.landmarks()
    assert (info["method"], info["images"], info["skipped"]) == ("zeroshot", COUNT, 1)
    assert info["finished"] >= info["created"]
    assert run.settings() == detector.settings.to_json()
    assert pictures is not None and pictures.ids == images.ids
    assert landmarks is not None
    np.testing.assert_array_equal(landmarks.xy, finding.landmarks.xy)
    kept = load_report(run.folder / "results" / "report.json")
    assert kept.figures == report.figures and kept.protocol == json.loads(json.dumps(report.protocol))
    arrays = run.load_arrays("map")
    assert arrays is not None and arrays["xy"].shape == (len(finding.keypoints.label), 2)
    again = drain(LandmarkDetector.load(run.folder).iter_predict(images))
    np.testing.assert_array_equal(again.landmarks.xy, finding.landmarks.xy)


def test_a_run_that_was_stopped_while_it_was_measured_is_not_found_again(colours: Path, images: ImageSet) -> None:
    run = create_run(colours / "stopped")
    stop_at("measuring errors", images, run)
    stamp = (run.folder / "model" / "model.json").stat().st_mtime_ns
    again = workflow.iter_discover(images, "zeroshot", settings(), create_run(colours, folder=run.folder, resume=True))
    events = list(again)
    assert not any(event.stage == "clustering" for event in events)
    assert (run.folder / "model" / "model.json").stat().st_mtime_ns == stamp and "finished" in run.info()
    other = create_run(colours / "undisturbed")
    report = drain(workflow.iter_discover(images, "zeroshot", settings(), other))[2]
    kept = load_report(run.folder / "results" / "report.json").figures
    assert {key: value for key, value in kept.items() if key != "seconds"} == {
        key: value for key, value in report.figures.items() if key != "seconds"
    }


def test_a_run_that_goes_on_keeps_what_it_has_shown(colours: Path, images: ImageSet) -> None:
    """Stopped again before its next round, it still has landmarks to look at; other pictures begin anew."""
    run = create_run(colours / "shown")
    stop_at("clustering", images, run)
    run.save_arrays("round_1", {"rows": np.arange(2)})
    for some, kept in ((images, True), (images.take(np.arange(6)), False)):
        stop_at("clustering", some, run)
        assert (run.load_arrays("round_1") is not None) == kept


def test_other_settings_in_the_folder_of_a_stopped_run_are_found_anew(colours: Path, images: ImageSet) -> None:
    run = create_run(colours / "changed")
    stop_at("measuring errors", images, run)
    drain(workflow.iter_discover(images, "zeroshot", settings(landmarks=3), run))
    landmarks = run.landmarks()
    assert landmarks is not None and landmarks.xy.shape[1] == 3


def test_a_run_can_be_made_again_in_the_same_folder(colours: Path, images: ImageSet) -> None:
    run = create_run(colours / "twice")
    first, second = (
        drain(workflow.iter_discover(some, "zeroshot", settings(), run))[2]
        for some in (images, images.take(np.arange(6)))
    )
    landmarks, pictures = run.landmarks(), run.pictures()
    assert landmarks is not None and pictures is not None and len(landmarks) == len(pictures) == 6
    assert first.figures != second.figures
    assert workflow.run_summary(run)["images"] == 6


# --- figures ------------------------------------------------------------------------------------------------------


def test_annotated_pictures_are_measured_beside_the_mean_shape_and_random_weights(
    finished: tuple[Run, Discovered],
) -> None:
    figures = finished[1][2].figures
    for key in SUMMARY[6:17]:
        assert isinstance(figures[key], float) and math.isfinite(figures[key] or 0.0), key
    forward, mean_shape = figures["forward_nme"], figures["mean_shape_nme"]
    assert forward is not None and mean_shape is not None and forward < mean_shape / 3
    assert figures["random_forward_nme"] == pytest.approx(forward), "the same maps, so the same errors"
    protocol = finished[1][2].protocol
    assert (protocol["name"], protocol["roi"], protocol["regressor_images"]) == ("box", "whole", COUNT // 2)


def test_without_annotations_only_what_needs_none_is_measured(colours: Path, images: ImageSet) -> None:
    _, report = discover(replace(images, annotations=None), colours / "bare", baselines=["random-weights"])
    for key in NEED_ANNOTATIONS:
        assert report.figures[key] is None, key
    for key in ("detection_rate", "consistency", "silhouette", "calinski_harabasz", "seconds"):
        assert isinstance(report.figures[key], float), key
    assert 0 < (report.figures["detection_rate"] or 0) <= 100


def test_without_the_baseline_its_figures_are_none(colours: Path, images: ImageSet) -> None:
    _, report = discover(images, colours / "plain")
    assert report.figures["random_forward_nme"] is None and report.figures["forward_nme"] is not None


def test_errors_can_be_measured_on_other_pictures(colours: Path, images: ImageSet) -> None:
    others = dotted_set(colours / "others", 5, seed=4)
    _, report = discover(
        images, colours / "on", evaluate_on=others, baselines=["random-weights"], protocol=get_protocol("ls3d")
    )
    protocol = report.protocol
    assert protocol["separate_test_set"] and protocol["name"] == "ls3d"
    assert (protocol["regressor_images"], protocol["test_images"]) == (COUNT, 5)
    assert report.figures["forward_nme"] == pytest.approx(report.figures["random_forward_nme"])


def test_a_finished_detector_can_be_evaluated_later(colours: Path, finished: tuple[Run, Discovered]) -> None:
    others = dotted_set(colours / "later", 6, seed=7)
    report = workflow.evaluate(finished[1][0], others)
    assert report.protocol["test_images"] == 3 and report.figures["forward_nme"] is not None
    with pytest.raises(UserError, match="no annotations to measure"):
        workflow.evaluate(finished[1][0], replace(others, annotations=None))


def test_the_two_halves_are_seeded_and_share_no_picture(images: ImageSet) -> None:
    assert images.annotations is not None
    first, second = measuring._split(images.annotations, 0)
    assert sorted([*first, *second]) == list(range(COUNT)) and len(first) == COUNT // 2
    np.testing.assert_array_equal(first, measuring._split(images.annotations, 0)[0])
    assert any(not np.array_equal(first, measuring._split(images.annotations, seed)[0]) for seed in (1, 2, 3))


# --- consistency --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A made-up model: places (N, K, 2) in each picture, by name, or (K, 2) in every crop."""

    places: dict[str, np.ndarray]
    in_crop: np.ndarray | None = None


def answer(images: ImageSet, regions: Regions, chosen: RunSettings, backbone: object, model: Answer) -> Stage[Found]:
    yield progress("answering", 1, 1)
    if model.in_crop is None:
        xy = np.stack([model.places[name] for name in images.names])
    else:
        xy = np.stack([to_pixels(model.in_crop, affine) for affine in crop_affines(regions)])
    found = Landmarks(xy, np.ones(xy.shape[:2], bool), np.ones(xy.shape[:2], np.float32))
    points = xy.reshape(-1, 2)
    label = np.tile(np.arange(xy.shape[1]), len(xy))
    descriptors = np.eye(xy.shape[1], dtype=np.float32)[label]
    return Found(found, Keypoints(points, descriptors, label, np.repeat(np.arange(len(xy)), xy.shape[1])))


def consistency_of(model: Answer, images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> float:
    method = Method("made-up", "Made up", "for this test", ZeroShotSettings, answer, answer, Answer)
    monkeypatch.setitem(METHODS, "made-up", method)
    detector = LandmarkDetector("made-up", settings(), model)
    backbone = ColourBackbone()
    regions = whole_regions(images)
    finding = Finding.of(drain(detector.iter_predict_in(images, regions, backbone)), regions)
    report = drain(measuring.iter_evaluate(detector, finding, images, backbone=backbone))
    value = report.figures["consistency"]
    assert value is not None
    return value


def test_a_detector_that_follows_the_picture_is_consistent(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    assert images.annotations is not None
    follows = Answer(dict(zip(images.names, images.annotations.xy, strict=True)))
    assert consistency_of(follows, images, monkeypatch) == pytest.approx(0, abs=1e-6)


def test_a_detector_that_ignores_the_picture_is_not(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    ignores = Answer({}, np.array([[0.2, 0.2], [0.8, 0.3], [0.5, 0.9]]))
    assert consistency_of(ignores, images, monkeypatch) > 5


# --- refusals, export, summary ------------------------------------------------------------------------------------


def test_too_few_pictures_are_refused_with_the_number_skipped(colours: Path, images: ImageSet) -> None:
    few = images.take(np.arange(4))
    with pytest.raises(UserError, match=r"At least 5 .* there are 4 \(1 were skipped\)"):
        discover(few, colours / "few")


def test_an_unknown_baseline_is_refused_before_anything_is_computed(colours: Path, images: ImageSet) -> None:
    run = create_run(colours / "baseline")
    with pytest.raises(UserError, match="no baseline 'luck': use random-weights"):
        drain(workflow.iter_discover(images, "zeroshot", settings(), run, baselines=["luck"]))
    assert run.pictures() is None


def test_a_protocol_that_the_annotations_cannot_serve_is_refused_before_anything_is_computed(
    colours: Path, images: ImageSet
) -> None:
    run = create_run(colours / "protocol")
    eyeless = replace(images, annotations=replace(images.annotations, iod=None)) if images.annotations else images
    with pytest.raises(UserError, match="which two points are the eyes"):
        drain(workflow.iter_discover(eyeless, "zeroshot", settings(), run, protocol=get_protocol("mafl5")))
    assert run.pictures() is None


def test_one_annotated_picture_does_not_spoil_the_run(colours: Path, images: ImageSet) -> None:
    assert images.annotations is not None
    visibility = np.zeros((COUNT, 3), np.uint8)
    visibility[0] = 2
    lonely = replace(images, annotations=replace(images.annotations, visibility=visibility))
    _, report = discover(lonely, colours / "lonely")
    assert report.figures["forward_nme"] is None and report.figures["detection_rate"] is not None


def test_a_run_is_exported(finished: tuple[Run, Discovered], tmp_path: Path) -> None:
    run, _ = finished
    out = workflow.export_run(run, "coco", tmp_path / "deep" / "marks.json")
    document = json.loads(out.read_text())
    assert len(document["images"]) == len(document["annotations"]) == COUNT
    assert document["images"][0]["file_name"] == "000.png"
    assert workflow.export_run(run, "csv", tmp_path / "marks.csv").read_text().startswith("image,point,x,y")


def test_an_unfinished_run_has_nothing_to_export_or_to_sum_up(colours: Path, tmp_path: Path) -> None:
    run = create_run(tmp_path)
    with pytest.raises(UserError, match="no landmarks yet"):
        workflow.export_run(run, "coco", tmp_path / "marks.json")
    with pytest.raises(UserError, match="did not finish"):
        workflow.run_summary(run)


def test_an_unknown_format_is_refused(finished: tuple[Run, Discovered], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no export format 'pdf'"):
        workflow.export_run(finished[0], "pdf", tmp_path / "marks.pdf")


def test_the_summary_has_these_keys_and_strict_numbers(finished: tuple[Run, Discovered]) -> None:
    summary = workflow.run_summary(finished[0])
    assert list(summary) == SUMMARY
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert (summary["run"], summary["method"], summary["skipped"]) == (finished[0].id, "zeroshot", 1)
    assert (summary["images"], summary["landmarks"]) == (COUNT, 4)
    for key in SUMMARY[6:17]:
        assert isinstance(summary[key], float), key


def test_discover_opens_pictures_and_makes_its_own_run(colours: Path, images: ImageSet) -> None:
    detector, finding, report = workflow.discover(colours / "pictures", landmarks=3, map_size=16, restarts=1)
    assert detector.settings.landmarks == 3 and finding.landmarks.xy.shape == (COUNT, 3, 2)
    assert report.figures["forward_nme"] is None
    assert len(list((colours / "data" / "runs").iterdir())) == 1
    with pytest.raises(UserError, match="Unknown setting landmark"):
        workflow.discover(images, landmark=3)
