"""MAFL (Zhang et al. 2014): 19 000 training and 1 000 test faces of CelebA with five points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uld_explorer.data.annotation_table import AnnotationTable
from uld_explorer.data.published.parts import Part, find, lines, points, present
from uld_explorer.types import UserError

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
LAYOUT = """Img/img_align_celeba/000001.jpg … (or img_align_celeba/)
Anno/list_landmarks_align_celeba.txt (or beside the folder of pictures)
MAFL/training.txt and MAFL/testing.txt (or training.txt and testing.txt)"""


def read_mafl(root: Path) -> tuple[Part, Part]:
    """Training and test part.

    Differs from paper: earlier work also discovers on the rest of CelebA; here the training part is MAFL's own.

    Raises:
        UserError: a file of the layout is missing or not of its format.
    """
    folder = find(root, ("Img/img_align_celeba", "img_align_celeba", "Img/img_align_celeba_hq"), "folder of pictures")
    file = "list_landmarks_align_celeba.txt"
    known = _read_points(find(root, (f"Anno/{file}", file), "landmarks"))
    parts = []
    for word in ("training", "testing"):
        listed = lines(find(root, (f"MAFL/{word}.txt", f"{word}.txt"), f"list of {word} pictures"))
        names = present(root, folder, listed, word)
        pictures = {name: points(known[Path(name).name]) for name in names if Path(name).name in known}
        if not pictures:
            raise UserError(f"No {word} picture of MAFL has points in {file}.")
        parts.append(Part(root, tuple(pictures), AnnotationTable(POINTS, pictures)))
    return parts[0], parts[1]


def _read_points(path: Path) -> dict[str, np.ndarray]:
    """Picture -> (5, 2). The first line is the number of pictures, the second names the columns."""
    known = {}
    for line in lines(path)[2:]:
        name, *numbers = line.split()
        try:
            known[name] = np.array(numbers, float).reshape(5, 2)
        except ValueError:
            raise UserError(f"{path.name} has a line that is not a name and ten numbers: {line[:60]}") from None
    return known
