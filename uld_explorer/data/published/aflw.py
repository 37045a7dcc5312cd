"""AFLW (Köstinger et al. 2011), cropped for landmark discovery: some 10 100 training, 3 000 test faces, five points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uld_explorer.data.annotation_table import AnnotationTable
from uld_explorer.data.published.mafl import POINTS
from uld_explorer.data.published.parts import Part, find, lines, points
from uld_explorer.types import UserError

LAYOUT = """output/ (the cropped faces)
aflw_train_images.txt and aflw_test_images.txt (one name a line)
aflw_train_keypoints.mat and aflw_test_keypoints.mat ("gt", five points of each picture, row then column)"""


def read_aflw(root: Path) -> tuple[Part, Part]:
    """Training and test part of the release that crops every face.

    Raises:
        UserError: a file of the layout is missing or not of its format.
    """
    folder = find(root, ("output",), "folder of pictures")
    return _read_part(root, folder, "train"), _read_part(root, folder, "test")


def _read_part(root: Path, folder: Path, word: str) -> Part:
    names = lines(find(root, (f"aflw_{word}_images.txt",), f"list of {word} pictures"))
    row_column = _read_matrix(find(root, (f"aflw_{word}_keypoints.mat",), f"{word} points"))
    if row_column.shape != (len(names), len(POINTS), 2):
        raise UserError(
            f"aflw_{word}_keypoints.mat holds points of shape {row_column.shape}, "
            f"for {len(names)} pictures it must be ({len(names)}, 5, 2)."
        )
    pictures = {
        (folder / name).relative_to(root).as_posix(): points(xy)
        for name, xy in zip(names, row_column[:, :, ::-1], strict=True)
        if (folder / name).is_file()
    }
    if not pictures:
        raise UserError(f"None of the {len(names)} {word} pictures is in {folder}.")
    return Part(root, tuple(pictures), AnnotationTable(POINTS, pictures))


def _read_matrix(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(path)["gt"], float)
    except Exception as error:  # damaged MATLAB files fail in many ways
        raise UserError(f"{path.name} is not a MATLAB file with the matrix gt ({error}).") from None
