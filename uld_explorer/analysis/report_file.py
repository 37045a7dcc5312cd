"""A report as a file of strict JSON, and as a plain-text table. Knows nothing of how the figures were measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from uld_explorer.analysis.report import finite
from uld_explorer.types import Report, UserError


def save_report(report: Report, path: Path) -> None:
    """Write strict JSON: a NaN in a table becomes null. Makes the folder where it is not there."""
    record = {
        "figures": {key: finite(value) for key, value in report.figures.items()},
        "protocol": report.protocol,
        "tables": {key: [finite(value) for value in row] for key, row in report.tables.items()},
    }
    text = json.dumps(record, indent=2, allow_nan=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def load_report(path: Path) -> Report:
    """Read what `save_report` wrote; null in a table becomes NaN. Raises UserError if the file is not a report."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        tables = {
            key: [float("nan") if value is None else float(value) for value in row]
            for key, row in record["tables"].items()
        }
        return Report(dict(record["figures"]), dict(record["protocol"]), tables)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{Path(path).name} is not a report that can be read; run the evaluation again.") from error


def format_report(report: Report) -> str:
    """A plain-text table: forward, backward and the share found side by side, then the other figures."""
    width = max(14, *(len(name) for name in _row_names(report)))
    lines = [f"{'':<{width}}  {'forward %':>14}  {'backward %':>14}  {'found %':>8}"]
    for name in _row_names(report):
        prefix = {"landmarks": "", "mean shape": "mean_shape_"}.get(name, f"{name}_")
        cells = [_cell(report, f"{prefix}{key}") for key in ("forward_nme", "backward_nme")]
        if name == "mean shape":
            cells = [_cell(report, "mean_shape_nme"), "-"]
        rate = report.figures.get(f"{prefix}detection_rate")
        found = "-" if rate is None else f"{rate:.1f}"
        lines.append(f"{name:<{width}}  {cells[0]:>14}  {cells[1]:>14}  {found:>8}")
    lines.append("")
    labels = {
        "seen_rate": "seen, not only placed %",
        "hungarian_accuracy": "Hungarian accuracy %",
        "silhouette": "Silhouette",
        "calinski_harabasz": "Calinski-Harabasz",
        "consistency": "consistency, px at 128",
        "pose_accuracy": "pose clusters by yaw %",
        "yaw_r2": "pose codes' yaw, R²",
    }
    lines += [f"{label:<24}{_cell(report, key):>16}" for key, label in labels.items() if key in report.figures]
    return "\n".join([*lines, "", _protocol_line(report)])


def format_by_yaw(ranges: Sequence[Mapping[str, object]]) -> str:
    """A plain-text table of what `measuring.by_yaw` gives."""
    if not ranges:
        return "No errors by yaw: the annotations do not say how the objects are turned."
    lines = [f"{'yaw':<14}  {'forward %':>10}  {'backward %':>10}  {'mean shape %':>12}  {'seen %':>8}"]
    for entry in ranges:
        values = [entry[key] for key in ("forward_nme", "backward_nme", "mean_shape_nme", "seen_rate")]
        cells = ["-" if value is None else f"{value:.2f}" for value in values]
        name = f"{entry['from']:.0f}...{entry['to']:.0f}"
        lines.append(f"{name:<14}  {cells[0]:>10}  {cells[1]:>10}  {cells[2]:>12}  {cells[3]:>8}")
    return "\n".join(lines)


def _row_names(report: Report) -> list[str]:
    """The rows that have something to say: the detector, every measured baseline, the mean shape."""
    ending = "_forward_nme"
    measured = [
        key[: -len(ending)] for key, value in report.figures.items() if key.endswith(ending) and value is not None
    ]
    return ["landmarks", *measured, "mean shape"]


def _cell(report: Report, key: str) -> str:
    value, spread = report.figures.get(key), report.figures.get(f"{key}_std")
    if value is None:
        return "-"
    return f"{value:.2f}" if spread is None else f"{value:.2f} ± {spread:.2f}"


def _protocol_line(report: Report) -> str:
    facts = report.protocol
    if "regressor_images" not in facts:
        return "No errors: there are no annotations to measure against (--annotations FILE)."
    return (
        f"protocol {facts.get('name')}: {facts.get('regressor_images')} regressor pictures, "
        f"{facts.get('test_images')} measured, ridge {facts.get('ridge_forward')} / {facts.get('ridge_backward')}, "
        f"errors in % of d = {facts.get('normaliser')}, points relative to the {facts.get('frame')}, "
        f"{facts.get('repeats')} repeat(s), {facts.get('runs')} run(s); ± is the spread over {facts.get('spread')}"
    )
