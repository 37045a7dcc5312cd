"""A landmark detector that can be kept: what a method learned, with the settings it needs to run on new pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from uld_explorer.events import Event, Stage, drain
from uld_explorer.features.backbone import Backbone
from uld_explorer.landmarks.edits import Edit, apply_edits
from uld_explorer.landmarks.foreground import Foreground
from uld_explorer.landmarks.looking import iter_load_backbone, iter_regions
from uld_explorer.landmarks.methods import Method, get_method
from uld_explorer.landmarks.tensors import under
from uld_explorer.settings import RunSettings
from uld_explorer.types import Found, ImageSet, Keypoints, Landmarks, PoseCodes, Regions, UserError

FORMAT = 1


@dataclass(frozen=True)
class Finding:
    """What a detector finds on N pictures: landmarks (N, K), where it looked, points with descriptors, poses if any."""

    landmarks: Landmarks
    regions: Regions
    keypoints: Keypoints
    poses: PoseCodes | None = None

    @classmethod
    def of(cls, found: Found, regions: Regions) -> Finding:
        """What a method found, with where it looked."""
        return cls(found.landmarks, regions, found.keypoints, found.poses)


@dataclass(frozen=True)
class LandmarkDetector:
    """A method's name, its settings, its model, the foreground model where the region was estimated, and edits."""

    method: str
    settings: RunSettings
    model: Any
    foreground: Foreground | None = None
    edits: tuple[Edit, ...] = ()

    def iter_predict(
        self, images: ImageSet, *, roi: str | None = None, backbone: Backbone | None = None
    ) -> Stage[Finding]:
        """Find the landmarks on other pictures; `roi` replaces the region of the settings.

        Raises:
            UserError: the backbone or the region cannot be had.
        """
        settings = self.settings if roi is None else replace(self.settings, roi=roi)
        backbone = backbone or (yield from iter_load_backbone(settings))
        regions, _ = yield from iter_regions(images, settings, backbone, self.foreground)
        return Finding.of((yield from self.iter_predict_in(images, regions, backbone)), regions)

    def iter_predict_in(self, images: ImageSet, regions: Regions, backbone: Backbone) -> Stage[Found]:
        """Find the landmarks inside given regions, as they were edited."""
        found = yield from self._method.iter_predict(images, regions, self.settings, backbone, self.model)
        return apply_edits(found, self.edits).found if self.edits else found

    def predict(self, images: ImageSet, *, roi: str | None = None) -> Landmarks:
        """Landmarks (N, K) of the pictures, in pixels of each original."""
        return drain(self.iter_predict(images, roi=roi)).landmarks

    def save(self, folder: Path | str) -> None:
        """Write model.json and model.safetensors."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"model.{name}": value for name, value in self.model.to_tensors().items()}
        if self.foreground is not None:
            tensors |= {f"foreground.{name}": value for name, value in self.foreground.to_tensors().items()}
        # safetensors writes the memory as it lies: an array in another order would come back scrambled.
        ordered = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
        save_file(ordered, folder / "model.safetensors")
        record = {"format": FORMAT, "method": self.method, "settings": self.settings.to_json()}
        if self.edits:
            record["edits"] = [edit.to_json() for edit in self.edits]
        (folder / "model.json").write_text(json.dumps(record, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path | str) -> LandmarkDetector:
        """Read what `save` wrote; a run's folder is accepted as well as its model folder, and brings the run's edits.

        Of a run that was stopped while it trained, the model after its last whole round.

        Raises:
            UserError: no model there, or a damaged one.
        """
        run_edits = edits_in(Path(folder))
        folder = Path(folder)
        folder = folder / "model" if (folder / "model" / "model.json").exists() else folder
        try:
            record, tensors = _read(folder)
            method = get_method(record["method"])
            settings = method.settings.from_json(record["settings"])
            model = method.model.from_tensors(under(tensors, "model."))
            ground = under(tensors, "foreground.")
            foreground = Foreground.from_tensors(ground) if ground else None
            edits = tuple(Edit.from_json(edit) for edit in record.get("edits", ()))
        except UserError:
            raise
        except FileNotFoundError:
            raise UserError(
                f"There is no finished model in {folder.name}: choose the folder of a run that ended well."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise UserError(f"The model in {folder.name} is damaged: {error}. Run the discovery again.") from error
        return cls(method.name, settings, model, foreground, run_edits or edits)

    @property
    def _method(self) -> Method:
        return get_method(self.method)


def edits_in(folder: Path) -> tuple[Edit, ...]:
    """The edits of the run in this folder; none where there are none.

    Raises:
        UserError: they are damaged.
    """
    try:
        record = json.loads((folder / "edits.json").read_text(encoding="utf-8"))
        return tuple(Edit.from_json(edit) for edit in record["edits"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The edits in {folder.name} are damaged ({error}): remove edits.json.") from None


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and the tensors of a model folder, or of the folder of a run that was stopped."""
    stopped = folder / "results" / "model.safetensors"
    if (folder / "model.json").exists() or not stopped.exists():
        return json.loads((folder / "model.json").read_text()), load_file(folder / "model.safetensors")
    method = json.loads((folder / "run.json").read_text())["method"]
    record = {"method": method, "settings": json.loads((folder / "settings.json").read_text())}
    tensors = {f"model.{name}": value for name, value in load_file(stopped).items()}
    ground = folder / "results" / "foreground.safetensors"
    known = load_file(ground) if ground.exists() else {}
    return record, tensors | {f"foreground.{name}": value for name, value in known.items()}


def iter_fit_detector(
    images: ImageSet, method: str, settings: RunSettings, backbone: Backbone, regions: Regions | None = None
) -> Stage[tuple[LandmarkDetector, Finding]]:
    """Look, fit and keep: a detector and what it found on `images`. Given regions are used as they are.

    Where it looks is told at once, so that a run that is stopped while it trains can be used.

    Raises:
        UserError: regions that cannot be made, or too few pictures.
    """
    foreground = None
    if regions is None:
        regions, foreground = yield from iter_regions(images, settings, backbone)
        yield Event("artifact", "looking", data={"name": "regions"}, arrays=regions.to_arrays())
    if foreground is not None:
        yield Event("artifact", "looking", data={"name": "foreground"}, arrays=foreground.to_tensors())
    model, found = yield from get_method(method).iter_fit(images, regions, settings, backbone)
    return LandmarkDetector(method, settings, model, foreground), Finding.of(found, regions)
