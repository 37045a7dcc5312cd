"""A tiny finished run built by hand, and what reads the page's HTML: its elements, its text, its drawings."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uld_explorer.analysis.report_file import save_report
from uld_explorer.events import drain
from uld_explorer.jobs import Jobs
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.runs import Run, create_run, write_json
from uld_explorer.types import Found, ImageSet, Keypoints, Landmarks, Regions, Report, UserError
from uld_explorer.ui import handlers

EVIL = """<script>alert('1')</script>"><b onclick=evil & 'co'.png"""
"""A name that is markup, ends attributes of either quote, and holds an ampersand."""
SIZE = (60, 40)
ME = "0123456789abcdef" * 2
"""A visitor's token."""


class _Reader(HTMLParser):
    """Elements in order, with their attributes as a browser would see them; the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.text += "" if tag in ("b", "i", "span") else " "

    def handle_data(self, data: str) -> None:
        self.text += data


def elements(html: str, tag: str | None = None) -> list[tuple[str, dict[str, str]]]:
    """(tag, attributes) of all elements, or of those called `tag`."""
    reader = _Reader()
    reader.feed(html)
    return [item for item in reader.elements if tag is None or item[0] == tag]


def text_of(html: str) -> str:
    """What a person would read."""
    reader = _Reader()
    reader.feed(html)
    return " ".join(reader.text.split())


def is_harmless(html: str) -> bool:
    """Whether a name such as EVIL brought neither elements nor handlers with it."""
    found = elements(html)
    return not any(tag == "script" or any(name.startswith("on") for name in attrs) for tag, attrs in found)


def drawings(html: str) -> list[ET.Element]:
    """Every SVG of the page, parsed strictly."""
    return [ET.fromstring(part) for part in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def make_images(folder: Path, count: int = 4, names: tuple[str, ...] | None = None) -> ImageSet:
    """Pictures of one colour each, picture i in (40 * i + 40, 100, 200 - 40 * i)."""
    folder.mkdir(parents=True, exist_ok=True)
    files = tuple(folder / f"{i}.jpg" for i in range(count))
    for i, file in enumerate(files):
        Image.new("RGB", SIZE, (40 * i + 40, 100, 200 - 40 * i)).save(file, quality=95)
    names = names or tuple(f"picture {i}.jpg" for i in range(count))
    return ImageSet(tuple(f"id{i}" for i in range(count)), names, files, np.tile(SIZE, (count, 1)), (), None, "things")


def make_landmarks(count: int = 4, k: int = 3) -> Landmarks:
    """Points inside the picture; landmark 1 is missing in picture 0, landmark 2 in every picture but 0."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0.3, 0.7, (count, k, 2)) * SIZE
    present = np.ones((count, k), bool)
    present[0, 1] = False
    present[1:, 2] = False
    xy[~present] = np.nan
    score = np.where(present, rng.uniform(0.2, 1, (count, k)), 0).astype(np.float32)
    return Landmarks(xy, present, score)


def finish_run(run: Run, folder: Path, names: tuple[str, ...] | None = None) -> Run:
    """Write into the run what a discovery would leave."""
    images, landmarks = make_images(folder, names=names), make_landmarks()
    run.update_info(method="zeroshot", source=images.label, images=len(images), skipped=0)
    write_json(run.folder / "settings.json", ZeroShotSettings(landmarks=3).to_json())
    run.save_pictures(images)
    drain(run.iter_save_thumbs(images))
    run.save_landmarks(landmarks)
    boxes = np.tile([5.0, 5.0, 40.0, 30.0], (len(images), 1))
    run.save_regions(Regions(boxes, np.zeros(len(images)), np.ones((len(images), 4, 4), bool)))
    row, k = np.nonzero(landmarks.present)
    points = Keypoints(landmarks.xy[row, k], np.zeros((len(row), 2), np.float32), k, row)
    run.save_keypoints(points)
    run.save_arrays("map", {"rows": np.arange(len(row)), "xy": np.stack([row, k], 1).astype(np.float32)})
    (run.folder / "model").mkdir()
    (run.folder / "model" / "model.json").write_text("{}")
    (run.folder / "model" / "model.safetensors").write_bytes(b"weights")
    save_report(Report({"silhouette": 0.25}, {"name": "no annotations"}), run.folder / "results" / "report.json")
    return run


def keep_found(run: Run, images: ImageSet, found: Found) -> Run:
    """Write into the run its pictures and what was found on them."""
    run.save_pictures(images)
    drain(run.iter_save_thumbs(images))
    run.save_landmarks(found.landmarks)
    run.save_keypoints(found.keypoints)
    if found.poses is not None:
        run.save_poses(found.poses)
    return run


@pytest.fixture
def empty_run(tmp_path: Path) -> Run:
    """A run that has been created, and nothing more."""
    return create_run(tmp_path / "runs", title="My pictures")


@pytest.fixture
def finished_run(tmp_path: Path) -> Run:
    """Four pictures with three landmarks, the first with a name that is markup."""
    names = (EVIL, "b.png", "c.png", "d.png")
    return finish_run(create_run(tmp_path / "runs", title="My pictures"), tmp_path / "pictures", names)


class NoJobs(Jobs):
    """Takes every run and computes nothing; or, full, takes none."""

    def __init__(self, full: bool = False) -> None:
        super().__init__()
        self.full, self.begun = full, list[Run]()

    def start(self, run: Run, make_stage: Any) -> None:
        if self.full:
            raise UserError("8 runs are waiting already: try again when one has finished.")
        self.begun.append(run)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> NoJobs:
    taken = NoJobs()
    monkeypatch.setattr(handlers, "JOBS", taken)
    return taken
