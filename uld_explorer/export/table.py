"""A long table: one line a picture and landmark, for spreadsheets and statistics."""

from __future__ import annotations

import csv
from pathlib import Path

from uld_explorer.data.annotation_csv import FORMULA_STARTS
from uld_explorer.types import ImageSet, Landmarks, Regions

COLUMNS = ("image", "point", "x", "y", "visibility", "score")


def _safe(name: str) -> str:
    """A name that a spreadsheet does not take for a formula; `data.annotation_csv` takes the apostrophe off again."""
    return "'" + name if name.lstrip("'").startswith(FORMULA_STARTS) else name


def write_csv(path: Path, images: ImageSet, landmarks: Landmarks, regions: Regions | None = None) -> None:
    """Write the long table, readable again as annotations; visibility 1 for those placed unseen, 0 and no coordinates
    for the missing ones."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, name in enumerate(images.names):
            for k, title in enumerate(landmarks.titles):
                if landmarks.present[row, k]:
                    x, y = landmarks.xy[row, k]
                    visibility = 2 if landmarks.seen[row, k] else 1
                    place, score = [f"{x:.2f}", f"{y:.2f}"], f"{landmarks.score[row, k]:.4f}"
                    writer.writerow([_safe(name), _safe(title), *place, visibility, score])
                else:
                    writer.writerow([_safe(name), _safe(title), "", "", 0, ""])
