"""A detector kept on disk predicts what it predicted before, and a damaged file is told in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer.events import drain
from uld_explorer.landmarks.detector import Finding, LandmarkDetector, iter_fit_detector
from uld_explorer.landmarks.methods import get_method
from uld_explorer.types import ImageSet, UserError


@pytest.fixture()
def images(tmp_path: Path, data_dir: Path) -> ImageSet:
    return dotted_set(tmp_path / "pictures", 6)


def fit(images: ImageSet, roi: str = "whole") -> tuple[LandmarkDetector, Finding]:
    settings = get_method("zeroshot").settings.from_json({"landmarks": 3, "map_size": 24, "roi": roi, "restarts": 2})
    return drain(iter_fit_detector(images, "zeroshot", settings, ColourBackbone()))


@pytest.mark.parametrize("roi", ["whole", "annotations", "foreground"])
def test_a_kept_detector_predicts_the_same(images: ImageSet, tmp_path: Path, roi: str) -> None:
    detector, finding = fit(images, roi)
    detector.save(tmp_path / "run" / "model")
    assert {file.name for file in (tmp_path / "run").rglob("*.*")} == {"model.json", "model.safetensors"}
    for folder in (tmp_path / "run", tmp_path / "run" / "model", str(tmp_path / "run")):
        kept = LandmarkDetector.load(folder)
        assert (kept.method, kept.settings) == ("zeroshot", detector.settings)
        assert (kept.foreground is None) == (roi != "foreground")
        again = drain(kept.iter_predict(images, backbone=ColourBackbone()))
        np.testing.assert_array_equal(again.landmarks.xy, finding.landmarks.xy)
        np.testing.assert_array_equal(again.landmarks.score, finding.landmarks.score)
        np.testing.assert_array_equal(again.regions.boxes, finding.regions.boxes)


def test_a_folder_may_be_given_as_text(images: ImageSet, tmp_path: Path) -> None:
    fit(images)[0].save(str(tmp_path / "kept"))
    assert LandmarkDetector.load(str(tmp_path / "kept")).method == "zeroshot"


def test_nothing_in_the_files_is_a_program(images: ImageSet, tmp_path: Path) -> None:
    fit(images)[0].save(tmp_path)
    json.loads((tmp_path / "model.json").read_text())
    names = {"model.centroids", "model.chosen", "model.mean.up0@t20", "model.projection.up0@t20"}
    assert load_file(tmp_path / "model.safetensors").keys() == names


def test_another_region_can_be_asked_for(images: ImageSet) -> None:
    detector, _ = fit(images)
    finding = drain(detector.iter_predict(images, roi="annotations", backbone=ColourBackbone()))
    assert finding.regions.source == "annotations"
    assert detector.settings.roi == "whole"


def test_predict_gives_the_landmarks_alone(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def colours(*_: object, **__: object):
        return ColourBackbone()
        yield

    monkeypatch.setattr("uld_explorer.landmarks.detector.iter_load_backbone", colours)
    detector, finding = fit(images)
    np.testing.assert_array_equal(detector.predict(images).xy, finding.landmarks.xy)


@pytest.mark.parametrize("missing", ["", "model.json", "model.safetensors"])
def test_no_model_is_told(images: ImageSet, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "kept"
    if missing:
        fit(images)[0].save(folder)
        (folder / missing).unlink()
    with pytest.raises(UserError, match="no finished model in kept"):
        LandmarkDetector.load(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.json", b""),
        ("model.json", b"\xff\xfe\x00garbage"),
        ("model.json", b"[1, 2]"),
        ("model.json", b'{"format": 1}'),
        ("model.json", b'{"format": 1, "method": "zeroshot", "settings": 3}'),
        ("model.safetensors", b""),
        ("model.safetensors", b"\x80\x04garbage that is no tensor file"),
    ],
)
def test_a_damaged_model_is_told(images: ImageSet, tmp_path: Path, file: str, content: bytes) -> None:
    fit(images)[0].save(tmp_path / "kept")
    (tmp_path / "kept" / file).write_bytes(content)
    with pytest.raises(UserError, match="model in kept is damaged"):
        LandmarkDetector.load(tmp_path / "kept")


@pytest.mark.parametrize("lost", ["model.centroids", "foreground.centroids"])
def test_a_model_without_one_of_its_parts_is_told(images: ImageSet, tmp_path: Path, lost: str) -> None:
    fit(images, "foreground")[0].save(tmp_path / "kept")
    tensors = load_file(tmp_path / "kept" / "model.safetensors")
    del tensors[lost]
    save_file(tensors, tmp_path / "kept" / "model.safetensors")
    with pytest.raises(UserError, match="damaged"):
        LandmarkDetector.load(tmp_path / "kept")


def test_a_model_of_an_unknown_method_or_setting_is_told(images: ImageSet, tmp_path: Path) -> None:
    fit(images)[0].save(tmp_path)
    record = json.loads((tmp_path / "model.json").read_text())
    for wrong, words in (({"method": "magic"}, "no method 'magic'"), ({"settings": {"k": 3}}, "Unknown setting k")):
        (tmp_path / "model.json").write_text(json.dumps(record | wrong))
        with pytest.raises(UserError, match=words):
            LandmarkDetector.load(tmp_path)
