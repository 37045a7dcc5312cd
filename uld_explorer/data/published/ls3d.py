"""LS3D: training on 300W-LP (Zhu et al. 2016), test on LS3D-W Balanced (Bulat and Tzimiropoulos 2017), 68 points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uld_explorer.data.annotation_table import AnnotatedPicture, AnnotationTable
from uld_explorer.data.published.parts import Part, find, points
from uld_explorer.data.published.torch7 import read_tensor
from uld_explorer.types import UserError

POINTS = tuple(f"point_{i:02d}" for i in range(68))
NOSE_TIP, JAW_ENDS = 30, (0, 16)
LAYOUT = """300W_LP/AFW, HELEN, IBUG, LFPW … with NAME.jpg and NAME.mat (pt3d_68 or pt2d)
LS3D-W-balanced-20-03-2017/new_dataset/ (or new_dataset/) with NUMBER.jpg and NUMBER.t7"""


def read_ls3d(root: Path) -> tuple[Part, Part]:
    """Training and test part; the mirrored copies of 300W-LP are left out.

    Raises:
        UserError: a folder of the layout is missing, or annotations are damaged.
    """
    training = find(root, ("300W_LP", "300W-LP"), "training pictures")
    test = find(root, ("LS3D-W-balanced-20-03-2017/new_dataset", "new_dataset"), "test pictures")
    files = [path for path in sorted(training.rglob("*.mat")) if _used(path.relative_to(training))]
    return (
        _part(root, {path.with_suffix(".jpg"): path for path in files}, "training"),
        _part(root, {_picture_of(path): path for path in sorted(test.glob("*.t7"))}, "test"),
    )


def _used(path: Path) -> bool:
    """Not the mirrored copies, and not the folders with code and with other landmarks."""
    first = path.parts[0].lower()
    return not first.endswith("_flip") and first not in _OTHERS


_OTHERS = {"code", "landmarks"}


def _picture_of(path: Path) -> Path:
    return next((p for p in (path.with_suffix(s) for s in (".jpg", ".png")) if p.is_file()), path.with_suffix(".jpg"))


def _part(root: Path, files: dict[Path, Path], word: str) -> Part:
    pictures = {
        picture.relative_to(root).as_posix(): _read_mat(notes) if notes.suffix == ".mat" else _read_t7(notes)
        for picture, notes in files.items()
        if picture.is_file()
    }
    if not pictures:
        raise UserError(f"{root} has no annotated {word} pictures of LS3D. Expected:\n{LAYOUT}")
    return Part(root, tuple(pictures), AnnotationTable(POINTS, pictures))


def _read_mat(path: Path) -> AnnotatedPicture:
    """Points of 300W-LP, and the yaw of its pose parameters (pitch, yaw, roll in radians)."""
    from scipy.io import loadmat

    try:
        record = loadmat(path)
        name = "pt3d_68" if "pt3d_68" in record else "pt2d"
        xy = np.asarray(record[name], float)[:2].T
        yaw = np.degrees(float(record["Pose_Para"][0, 1])) if "Pose_Para" in record else None
    except Exception as error:  # damaged MATLAB files fail in many ways
        raise UserError(f"{path} is not an annotation of 300W-LP ({error}).") from None
    return points(_checked(xy, path), yaw)


def _read_t7(path: Path) -> AnnotatedPicture:
    xy = _checked(np.asarray(read_tensor(path), float), path)
    return points(xy, balanced_yaw(path.stem, xy))


def balanced_yaw(number: str, xy: np.ndarray) -> float | None:
    """The middle of a test picture's yaw range in degrees, positive towards the picture's right; None where unknown.

    Pictures 1, 4, 7 … are turned by 0 to 30 degrees, 2, 5, 8 … by 30 to 60, 3, 6, 9 … by 60 to 90, to either side.
    Paper is silent: how the five ranges of Fig. 7 come about. Here the side is told by the nose between the ends of
    the jaw.
    """
    if not number.isdecimal():
        return None
    size = (75.0, 15.0, 45.0)[int(number) % 3]
    return float(np.copysign(size, xy[NOSE_TIP, 0] - xy[list(JAW_ENDS), 0].mean()))


def _checked(xy: np.ndarray, path: Path) -> np.ndarray:
    if xy.shape != (len(POINTS), 2):
        raise UserError(f"{path} holds points of shape {xy.shape}, not (68, 2).")
    return xy
