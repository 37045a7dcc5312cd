"""The paper's tables and figures on any annotated pictures: which runs each needs, and what is printed of them.

Every run is kept in a folder of its own, so that a study that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uld_explorer import workflow
from uld_explorer.analysis.clusters import yaw_cluster_accuracy
from uld_explorer.analysis.protocols import Protocol
from uld_explorer.analysis.report_file import load_report
from uld_explorer.data.published.sets import PUBLISHED
from uld_explorer.events import Event, Stage, note
from uld_explorer.landmarks.methods import get_method
from uld_explorer.runs import Run, create_run
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet, Report, UserError

Cell = tuple[float, float | None]
"""A mean and its spread."""

TRAINED = ("zeroshot", "duld", "duld-pp", "duld-tsc", "duldpp")


@dataclass(frozen=True)
class Study:
    """One table: its counterpart in the paper, the methods of its rows, and the figures of its columns."""

    counterpart: str
    methods: tuple[str, ...]
    columns: tuple[str, ...]


STUDIES = {
    "ablation": Study(
        "Table 2", TRAINED, ("forward_nme", "backward_nme", "detection_rate", "seen_rate", "consistency")
    ),
    "clusters": Study("Table 3", TRAINED, ("silhouette", "calinski_harabasz")),
    "sweep": Study("Fig. 8", ("duldpp",), ("forward_nme", "backward_nme", "pose_accuracy")),
    "consistency": Study("Table 4", TRAINED, ("consistency", "detection_rate")),
    "yaw": Study("Fig. 7", ("duld-pp", "duld-tsc", "duldpp"), ("pose_accuracy", "yaw_r2")),
}


STUDIES |= {
    name: Study(
        f"Table 1 ({data.title})",
        ("zeroshot", "duld", "duldpp"),
        ("forward_nme", "backward_nme", "detection_rate", "consistency"),
    )
    for name, data in PUBLISHED.items()
}


@dataclass(frozen=True)
class Row:
    """One row of a study: a name, a method and the settings that differ from its defaults."""

    name: str
    method: str
    changes: dict[str, Any]


def rows_of(study: str, poses: Sequence[int] = (), counts: Sequence[int] = ()) -> list[Row]:
    """The rows of a study; the sweep has one for every number of pose clusters and of landmarks.

    Raises:
        UserError: there is no such study.
    """
    if study not in STUDIES:
        raise UserError(f"There is no study '{study}': use {', '.join(STUDIES)}.")
    methods = STUDIES[study].methods
    if study != "sweep":
        return [Row(get_method(name).title, name, {}) for name in methods]
    return [
        Row(f"Q = {q}, K = {k}", name, {"pose_clusters": q, "landmarks": k})
        for name in methods
        for q in poses or (1, 5, 10)
        for k in counts or (5, 10, 20)
    ]


def iter_run(
    row: Row,
    seed: int,
    settings: dict[str, Any],
    images: ImageSet,
    tested: ImageSet | None,
    parent: Path,
    protocol: Protocol | None = None,
) -> Stage[Run]:
    """The run of a row and seed: the one in its folder where that has finished, else a new one."""
    method = get_method(row.method)
    names = set(method.settings().to_json())
    values = {k: v for k, v in settings.items() if k in names} | row.changes | {"seed": seed}
    chosen = method.settings.from_json(values)
    folder = parent / f"{row.method}-{seed}-{_digest(chosen, protocol, images, tested)}"
    if _finished(folder):
        return Run(folder)
    run = create_run(parent, folder=folder, resume=True)
    yield note("study", f"{row.name}, seed {seed}")
    for event in workflow.iter_discover(images, row.method, chosen, run, evaluate_on=tested, protocol=protocol):
        run.append(event)
        yield event
    run.append(Event("done", ""))
    return run


def _digest(settings: RunSettings, protocol: Protocol | None, *sets: ImageSet | None) -> str:
    """Eight hex digits of all that a run depends on, so that another set or setting has another folder."""
    digest = hashlib.sha256(settings.fingerprint().encode())
    digest.update(b"" if protocol is None else protocol.name.encode())
    for images in sets:
        digest.update(b"|" if images is None else "|".join(images.ids).encode())
        if images is not None and images.annotations is not None:
            digest.update(np.nan_to_num(images.annotations.xy).tobytes())
    return digest.hexdigest()[:8]


def _finished(folder: Path) -> bool:
    return (folder / "run.json").exists() and "finished" in Run(folder).info()


def summary(reports: Sequence[Report], columns: Sequence[str]) -> dict[str, Cell | None]:
    """Mean and sample standard deviation (None for one run) of each column over seeds; None where not measured."""
    cells: dict[str, Cell | None] = {}
    for column in columns:
        values = [value for report in reports if (value := report.figures.get(column)) is not None]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        cells[column] = (float(np.mean(values)), spread) if values else None
    return cells


def accuracy_over_rounds(run: Run, images: ImageSet) -> list[float]:
    """Percent of pictures in their pose cluster's yaw range after every round (paper, Fig. 7); empty without yaw."""
    yaw = None if images.annotations is None else images.annotations.yaw
    clusters = (run.load_arrays(f"round_{number}") for number in range(1, 1001))
    known: list[float] = []
    for arrays in clusters:
        if arrays is None or yaw is None:
            break
        if "pose" in arrays:
            known.append(yaw_cluster_accuracy(arrays["pose"], yaw)[0])
    return known


def report_of(run: Run) -> Report:
    """The report of a finished run."""
    return load_report(run.folder / "results" / "report.json")


def markdown(columns: Sequence[str], table: dict[str, dict[str, Cell | None]]) -> str:
    """The table as Markdown, mean ± spread."""
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for name, cells in table.items():
        lines.append(f"| {name} | {' | '.join(_cell(cells[column]) for column in columns)} |")
    return "\n".join(lines)


def _cell(value: Cell | None) -> str:
    if value is None:
        return "–"
    mean, spread = value
    digits = 3 if abs(mean) <= 1 else 2
    return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")
