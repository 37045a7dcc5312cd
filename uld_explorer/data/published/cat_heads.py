"""Cat heads (Zhang, Sun and Tang 2008): about 10 000 photographs of cats with nine points on the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uld_explorer.data.annotation_table import AnnotatedPicture, AnnotationTable
from uld_explorer.data.published.parts import Part, lines, points
from uld_explorer.types import UserError

ALL_POINTS = (
    "left_eye",
    "right_eye",
    "mouth",
    "left_ear_outer",
    "left_ear_tip",
    "left_ear_inner",
    "right_ear_inner",
    "right_ear_tip",
    "right_ear_outer",
)
KEPT = tuple(i for i, name in enumerate(ALL_POINTS) if not name.endswith("tip"))
"""Seven of the nine points. Paper is silent: which two are left out; here the tips of the ears."""
TEST_SHARE = 1257 / 9004
LAYOUT = """CAT_00/ … CAT_06/ with NAME.jpg and NAME.jpg.cat beside each
train.txt and test.txt, where you have the split of other work (one path below the folder a line)"""


def read_cat_heads(root: Path) -> tuple[Part, Part]:
    """Training and test part, by train.txt and test.txt where they are there.

    Paper is silent: the list behind 7 747 training and 1 257 test pictures is not published with the pictures.
    Without one, a seeded split of the same proportion.

    Raises:
        UserError: no annotated pictures, or damaged annotations.
    """
    pictures = {
        path.relative_to(root).as_posix().removesuffix(".cat"): _read_points(path)
        for path in sorted(root.rglob("*.jpg.cat"))
        if path.with_suffix("").is_file()
    }
    if not pictures:
        raise UserError(f"{root} has no pictures with points: expected folders with NAME.jpg and NAME.jpg.cat.")
    names = tuple(ALL_POINTS[i] for i in KEPT)
    table = AnnotationTable(names, pictures)
    training, test = _split(root, list(pictures))
    return Part(root, training, table), Part(root, test, table)


def _split(root: Path, names: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    lists = [root / "train.txt", root / "test.txt"]
    if all(path.is_file() for path in lists):
        wanted = [set(lines(path)) for path in lists]
        training, test = (tuple(name for name in names if name in part) for part in wanted)
        if not training or not test:
            raise UserError("train.txt or test.txt names no picture that is there: give paths such as CAT_00/NAME.jpg.")
        return training, test
    order = np.random.default_rng(0).permutation(len(names))
    count = max(1, round(len(names) * TEST_SHARE))
    test_rows = set(order[:count].tolist())
    training = tuple(name for i, name in enumerate(names) if i not in test_rows)
    return training, tuple(name for i, name in enumerate(names) if i in test_rows)


def _read_points(path: Path) -> AnnotatedPicture:
    """The number of points, then x and y of each."""
    numbers = path.read_text(encoding="utf-8", errors="replace").split()
    try:
        values = np.array(numbers[1:], float)
        return points(values.reshape(len(ALL_POINTS), 2)[list(KEPT)])
    except ValueError:
        raise UserError(f"{path} does not hold nine points.") from None
