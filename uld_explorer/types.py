"""The shared words of the project. Every array's shape, unit and frame is stated here, once.

Frame: xy in pixels of the *original* picture (after its EXIF orientation is applied). The top-left corner
of the picture is (0, 0), the centre of its first pixel is (0.5, 0.5), x grows to the right, y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


class UserError(ValueError):
    """Something the person at the keyboard can mend. The message is one sentence that says what to do."""


@dataclass(frozen=True)
class Skipped:
    """A file that could not be used, by the name its owner knows it by, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Annotations:
    """Ground truth, used for evaluation only (and for regions of interest, where asked for).

    xy          (N, P, 2) float64, pixels; NaN where a point is not annotated
    visibility  (N, P) uint8, the COCO convention: 0 not annotated, 1 annotated but hidden, 2 visible
    boxes       (N, 4) float64, x, y, width, height in pixels; NaN where there is none
    names       P point names
    yaw         (N,) degrees, positive when the object turns to the picture's right; None where unknown
    iod         indices of the two points whose distance is the inter-ocular distance; None where unknown
    """

    xy: np.ndarray
    visibility: np.ndarray
    boxes: np.ndarray
    names: tuple[str, ...]
    yaw: np.ndarray | None = None
    iod: tuple[int, int] | None = None

    @property
    def annotated(self) -> np.ndarray:
        """(N,) bool: pictures with at least one annotated point."""
        return np.asarray((self.visibility > 0).any(axis=1))

    def take(self, index: np.ndarray) -> Annotations:
        """The same annotations for the pictures in `index` (integer or boolean)."""
        yaw = None if self.yaw is None else self.yaw[index]
        return Annotations(self.xy[index], self.visibility[index], self.boxes[index], self.names, yaw, self.iod)


@dataclass(frozen=True)
class ImageSet:
    """N usable pictures of one kind of thing, and the files that were not usable.

    ids     unique and stable: derived from the content, so that a picture keeps its noise and its cached features
    names   what the owner calls them (a file name, or a path inside a folder or an archive)
    paths   readable files; decode them with `data.images.load_rgb`, which applies the orientation
    sizes   (N, 2) int64, width and height in pixels after orientation
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    paths: tuple[Path, ...]
    sizes: np.ndarray
    skipped: tuple[Skipped, ...] = ()
    annotations: Annotations | None = None
    label: str = "pictures"

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: np.ndarray) -> ImageSet:
        """The pictures in `index` (integer or boolean), with their annotations."""
        rows = np.arange(len(self))[index]
        annotations = None if self.annotations is None else self.annotations.take(rows)
        return ImageSet(
            tuple(self.ids[i] for i in rows),
            tuple(self.names[i] for i in rows),
            tuple(self.paths[i] for i in rows),
            self.sizes[rows],
            self.skipped,
            annotations,
            self.label,
        )


@dataclass(frozen=True)
class Regions:
    """Where to look: one rotated box a picture, and optionally a foreground mask inside it.

    boxes   (N, 4) float64, x, y, width, height in pixels (may reach beyond the picture)
    angles  (N,) degrees, the box is turned about its centre; positive turns x towards y
    masks   (N, m, m) bool over the square crop around the box, or None
    source  how it was made: whole, annotations, file or foreground, with its settings
    """

    boxes: np.ndarray
    angles: np.ndarray
    masks: np.ndarray | None = None
    source: str = "whole"

    def __len__(self) -> int:
        return len(self.boxes)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays by field name, for a file; the source is none."""
        arrays = {"boxes": self.boxes, "angles": self.angles}
        return arrays if self.masks is None else arrays | {"masks": self.masks}

    def take(self, index: np.ndarray) -> Regions:
        """The regions of the pictures in `index` (integer or boolean)."""
        masks = None if self.masks is None else self.masks[index]
        return Regions(self.boxes[index], self.angles[index], masks, self.source)


@dataclass(frozen=True)
class Landmarks:
    """The discovered points, K a picture, of which some may be missing.

    xy       (N, K, 2) float64, pixels of the original picture; NaN where missing
    present  (N, K) bool
    score    (N, K) float32, cosine similarity to the landmark's centroid, in -1...1; 0 where missing
    guessed  (N, K) bool, which of the present ones were not seen but placed where they must be; None: no method
             that does so found them
    names    K names that a person gave; empty: nobody gave any
    keys     K numbers, from 0, that they were found under and are called by; empty: 0...K-1
    """

    xy: np.ndarray
    present: np.ndarray
    score: np.ndarray
    guessed: np.ndarray | None = None
    names: tuple[str, ...] = ()
    keys: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def seen(self) -> np.ndarray:
        """(N, K) bool: present and not guessed."""
        return self.present if self.guessed is None else self.present & ~self.guessed

    @property
    def numbers(self) -> tuple[int, ...]:
        """K numbers, from 0, that they are called by."""
        return self.keys or tuple(range(self.present.shape[1]))

    @property
    def titles(self) -> tuple[str, ...]:
        """K names, landmark_1 ... where nobody gave any."""
        return self.names or tuple(f"landmark_{k + 1}" for k in range(self.present.shape[1]))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays by field name, for a file; names and keys are none."""
        arrays = {"xy": self.xy, "present": self.present, "score": self.score}
        return arrays if self.guessed is None else arrays | {"guessed": self.guessed}

    def take(self, index: np.ndarray) -> Landmarks:
        """The landmarks of the pictures in `index` (integer or boolean)."""
        guessed = None if self.guessed is None else self.guessed[index]
        arrays = (self.xy[index], self.present[index], self.score[index], guessed)
        return Landmarks(*arrays, self.names, self.keys)


@dataclass(frozen=True)
class Keypoints:
    """A sample of described points, kept for maps and cluster figures.

    xy          (M, 2) float64, pixels of the original picture
    descriptor  (M, D) float32, unit length
    label       (M,) int64, the cluster; -1 where none
    image       (M,) int64, row of the picture in its set
    """

    xy: np.ndarray
    descriptor: np.ndarray
    label: np.ndarray
    image: np.ndarray


@dataclass(frozen=True)
class PoseCodes:
    """How the thing is turned in each of N pictures, without a name for it.

    codes    (N, L) float32, latent codes of the pose proxy (paper 3.3.1)
    cluster  (N,) int64, the pose cluster that each picture belongs to, 0...Q-1
    """

    codes: np.ndarray
    cluster: np.ndarray


@dataclass(frozen=True)
class Found:
    """What a method answers for N pictures; poses where it knows of any."""

    landmarks: Landmarks
    keypoints: Keypoints
    poses: PoseCodes | None = None


@dataclass(frozen=True)
class Report:
    """Every figure of one evaluation with the protocol it was measured under. Percentages are numbers (3.1 = 3.1 %).

    figures   name -> number, or None where it cannot be measured
    protocol  name -> value: all that is needed to repeat the measurement
    tables    name -> one-dimensional list of numbers (per-landmark rates, CED curves)
    """

    figures: dict[str, float | None]
    protocol: dict[str, object]
    tables: dict[str, list[float]] = field(default_factory=dict)
