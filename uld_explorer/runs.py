"""A run is a folder: settings, events, results, model. Knows how to write and read it, not how results are made.

run.json                 id, title, method, source, counts
settings.json            the method's settings
events.jsonl             every event, oldest first
pictures.json            ids, names and sizes of the pictures, and what was skipped
thumbs/000000.jpg        small copies, so that a run can be looked at when its pictures are gone
model/                   the detector
results/*.safetensors    landmarks, regions, poses, keypoints, maps, annotations; what each round of training showed
edits.json               what a person changed about the landmarks
results/report.json      the figures, where annotations were given
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from uld_explorer.data.images import load_rgb
from uld_explorer.events import Event, RunView, Stage, fold, progress
from uld_explorer.types import Annotations, ImageSet, Keypoints, Landmarks, PoseCodes, Regions, Skipped, UserError

THUMB = 256
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}|demo")


@dataclass(frozen=True)
class Run:
    """One run's folder. All its files are read when asked for, so that another process may be writing them."""

    folder: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    def info(self) -> dict[str, Any]:
        """run.json; empty where there is none yet."""
        return _read_json(self.folder / "run.json") or {}

    def update_info(self, **values: Any) -> None:
        """Change entries of run.json."""
        write_json(self.folder / "run.json", self.info() | values)

    def settings(self) -> dict[str, Any]:
        """settings.json; empty where there is none yet."""
        return _read_json(self.folder / "settings.json") or {}

    def append(self, event: Event) -> None:
        """Add one event to events.jsonl; its arrays become results/NAME.safetensors."""
        if event.arrays:
            self.save_arrays(str(event.data["name"]), dict(event.arrays))
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(event.to_json() + "\n")

    def events(self) -> list[Event]:
        """All events so far; a half-written last line is left for later, what a killed writer left is passed over."""
        return _log(str(self.folder / "events.jsonl")).read()

    def view(self) -> RunView:
        """What the run looks like now."""
        return _log(str(self.folder / "events.jsonl")).view()

    def save_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """results/NAME.safetensors."""
        from safetensors.numpy import save_file

        folder = self.folder / "results"
        folder.mkdir(exist_ok=True)
        # By rename: a page that reads while a run writes must never see half a file.
        temporary = folder / f"{name}.{secrets.token_hex(3)}.tmp"
        save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, temporary)
        temporary.replace(folder / f"{name}.safetensors")

    def load_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """results/NAME.safetensors, or None where it is not there."""
        from safetensors.numpy import load_file

        file = self.folder / "results" / f"{name}.safetensors"
        return load_file(file) if file.exists() else None

    def snapshots(self) -> list[int]:
        """Numbers of the rounds of which results/snapshot_NUMBER.safetensors is there, rising."""
        names = (file.stem.removeprefix("snapshot_") for file in self.folder.glob("results/snapshot_*.safetensors"))
        return sorted(int(name) for name in names if name.isdecimal())

    def drop_snapshots(self) -> None:
        """Remove the snapshots."""
        for number in self.snapshots():
            (self.folder / "results" / f"snapshot_{number}.safetensors").unlink(missing_ok=True)

    def save_landmarks(self, landmarks: Landmarks) -> None:
        """results/landmarks.safetensors."""
        self.save_arrays("landmarks", landmarks.to_arrays())

    def landmarks(self) -> Landmarks | None:
        """The landmarks, or None before they are found."""
        arrays = self.load_arrays("landmarks")
        return Landmarks(arrays["xy"], arrays["present"], arrays["score"], arrays.get("guessed")) if arrays else None

    def save_poses(self, poses: PoseCodes) -> None:
        """results/poses.safetensors."""
        self.save_arrays("poses", {"codes": poses.codes, "cluster": poses.cluster})

    def poses(self) -> PoseCodes | None:
        """The pose codes, or None where the method knows of none."""
        arrays = self.load_arrays("poses")
        return PoseCodes(**arrays) if arrays else None

    def save_regions(self, regions: Regions) -> None:
        """results/regions.safetensors."""
        self.save_arrays("regions", regions.to_arrays())
        self.update_info(regions=regions.source)

    def regions(self) -> Regions | None:
        """The regions of interest, or None before they are chosen."""
        arrays = self.load_arrays("regions")
        if arrays is None:
            return None
        source = self.info().get("regions") or self.settings().get("roi", "")
        return Regions(arrays["boxes"], arrays["angles"], arrays.get("masks"), str(source))

    def save_keypoints(self, keypoints: Keypoints) -> None:
        """results/keypoints.safetensors."""
        self.save_arrays("keypoints", {f.name: getattr(keypoints, f.name) for f in fields(Keypoints)})

    def keypoints(self) -> Keypoints | None:
        """The described points, or None before they are found."""
        arrays = self.load_arrays("keypoints")
        return Keypoints(**{f.name: arrays[f.name] for f in fields(Keypoints)}) if arrays else None

    def save_annotations(self, annotations: Annotations) -> None:
        """results/annotations.safetensors and the points' names, for whoever looks at the run by them."""
        arrays = {"xy": annotations.xy, "visibility": annotations.visibility, "boxes": annotations.boxes}
        if annotations.yaw is not None:
            arrays["yaw"] = annotations.yaw
        self.save_arrays("annotations", arrays)
        self.update_info(points=list(annotations.names), iod=annotations.iod)

    def annotations(self) -> Annotations | None:
        """What was annotated, or None where nothing was."""
        arrays, info = self.load_arrays("annotations"), self.info()
        if arrays is None:
            return None
        iod = tuple(info["iod"]) if info.get("iod") else None
        names = tuple(info["points"])
        return Annotations(arrays["xy"], arrays["visibility"], arrays["boxes"], names, arrays.get("yaw"), iod)

    def save_pictures(self, images: ImageSet) -> None:
        """pictures.json."""
        record = {
            "label": images.label,
            "ids": images.ids,
            "names": images.names,
            "sizes": images.sizes.tolist(),
            "skipped": [[s.name, s.reason] for s in images.skipped],
        }
        write_json(self.folder / "pictures.json", record)

    def pictures(self) -> ImageSet | None:
        """The pictures, with thumbnails as files; sizes stay those of the originals. None before they are opened."""
        record = _read_json(self.folder / "pictures.json")
        if record is None:
            return None
        files = tuple(self.thumb(i) for i in range(len(record["ids"])))
        skipped = tuple(Skipped(*pair) for pair in record["skipped"])
        sizes = np.array(record["sizes"], np.int64).reshape(-1, 2)
        return ImageSet(tuple(record["ids"]), tuple(record["names"]), files, sizes, skipped, None, record["label"])

    def edits(self) -> dict[str, list[dict[str, Any]]]:
        """edits.json: what a person changed about the landmarks, and what they took back, oldest first."""
        return {"edits": [], "undone": []} | (_read_json(self.folder / "edits.json") or {})

    def save_edits(self, edits: list[dict[str, Any]], undone: list[dict[str, Any]]) -> None:
        """edits.json."""
        write_json(self.folder / "edits.json", {"edits": edits, "undone": undone})

    def clear(self) -> None:
        """Remove results and model, before they are made anew."""
        for name in ("results", "model"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def thumb(self, index: int) -> Path:
        """The small copy of picture number `index`."""
        return self.folder / "thumbs" / f"{index:06d}.jpg"

    def iter_save_thumbs(self, images: ImageSet) -> Stage[None]:
        """Small copies of all pictures, at most THUMB pixels along the longer side."""
        from PIL import Image

        (self.folder / "thumbs").mkdir(exist_ok=True)
        for index, path in enumerate(images.paths):
            if index % 16 == 0:
                yield progress("keeping small copies", index, len(images))
            small = Image.fromarray(load_rgb(path))
            small.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
            small.save(self.thumb(index), quality=85)


class _Log:
    """A growing file of events, of which only what is new is read again."""

    def __init__(self, path: str) -> None:
        self.path, self.lock = Path(path), threading.Lock()
        self.file, self.offset, self.events = 0, 0, list[Event]()
        self.folded, self.known = 0, RunView()

    def view(self) -> RunView:
        """What the run looks like now; only new events are folded into what it looked like before."""
        events = self.read()
        with self.lock:
            if self.folded > len(events):
                self.folded, self.known = 0, RunView()
            self.known = fold(events[self.folded :], self.known)
            self.folded = len(events)
            return self.known

    def read(self) -> list[Event]:
        """All events so far."""
        with self.lock:
            try:
                state = self.path.stat()
            except FileNotFoundError:
                return []
            if state.st_ino != self.file or state.st_size < self.offset:  # another file of the same name
                self.file, self.offset, self.events = state.st_ino, 0, []
            with self.path.open("rb") as file:
                file.seek(self.offset)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self.offset += len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                try:
                    self.events.append(Event.from_json(line))
                except (ValueError, TypeError):
                    continue
            return list(self.events)


_log = lru_cache(maxsize=32)(_Log)


def write_json(path: Path, value: Any) -> None:
    """Write JSON by rename, so that a reader never sees half a file."""
    temporary = path.with_suffix(f".{secrets.token_hex(3)}.tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def _read_json(path: Path) -> Any:
    """None where there is no such file, or a damaged one: one bad run must not hide the others."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def create_run(parent: Path, *, folder: Path | None = None, resume: bool = False, **info: Any) -> Run:
    """A new run under `parent` with an id of its own, or exactly at `folder`. Its name never comes from user text.

    resume: a folder with a run that has not finished is used again.

    Raises:
        UserError: `folder` exists and is not empty.
    """
    if folder is None:
        folder = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    elif resume and "finished" not in (_read_json(folder / "run.json") or {"finished": 0}):
        return Run(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not empty: give another folder with --out.")
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder)
    write_json(folder / "run.json", {"id": folder.name, "created": time.time(), **info})
    return run


def open_run(parent: Path, run_id: str) -> Run:
    """The run called `run_id` under `parent`.

    Raises:
        UserError: the id is not of the form that ids have, or there is no such run.
    """
    if not _ID.fullmatch(run_id) or not (parent / run_id / "run.json").exists():
        raise UserError("There is no such run any more: choose another one.")
    return Run(parent / run_id)


def list_runs(parent: Path) -> list[Run]:
    """All runs under `parent`, newest first."""
    folders = [f for f in parent.iterdir() if (f / "run.json").exists()] if parent.is_dir() else []
    return [Run(f) for f in sorted(folders, key=lambda f: f.name, reverse=True)]


def delete_run(run: Run) -> None:
    """Remove the run's folder."""
    shutil.rmtree(run.folder, ignore_errors=True)
