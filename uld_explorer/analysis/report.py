"""One evaluation as one record: forward, backward and mean shape together, with the protocol they were measured under.

Knows points and numbers only. Descriptors (for the cluster figures) and a consistency measured elsewhere may be
handed in; what is not handed in is None in the report, never left out and never zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from uld_explorer.analysis import clusters
from uld_explorer.analysis.nme import NmeResult, ced, column_means, evaluate_nme
from uld_explorer.analysis.protocols import PROTOCOLS, Protocol, normaliser, regressor_split, regressor_subset
from uld_explorer.types import Annotations, Keypoints, Landmarks, Report, UserError

HUNGARIAN_THRESHOLD = 0.2
_BY_LANDMARK = ("backward_by_point", "detection_rates")


@dataclass(frozen=True)
class _Set:
    """One set of pictures, as points: (N, 2) sizes, and (N, 4) frames or None."""

    found: Landmarks
    truth: Annotations
    sizes: np.ndarray
    frames: np.ndarray | None

    def take(self, rows: np.ndarray) -> _Set:
        frames = None if self.frames is None else self.frames[rows]
        return _Set(self.found.take(rows), self.truth.take(rows), self.sizes[rows], frames)


def build_report(
    train_found: Landmarks,
    train_truth: Annotations,
    train_sizes: np.ndarray,
    test_found: Landmarks | None = None,
    test_truth: Annotations | None = None,
    test_sizes: np.ndarray | None = None,
    *,
    protocol: Protocol = PROTOCOLS["box"],
    seed: int = 0,
    repeats: int | None = None,
    train_frames: np.ndarray | None = None,
    test_frames: np.ndarray | None = None,
    baselines: Mapping[str, tuple[Landmarks, Landmarks | None]] | None = None,
    keypoints: Keypoints | None = None,
    consistency: float | None = None,
    visible_only: bool = False,
    completion: str = "mixed",
) -> Report:
    """Measure one detector.

    train_*      (N, …) landmarks, annotations, sizes and frames of the pictures the regressor is drawn from
    test_*       the pictures the error is measured on, all of them. Without them the first set is split: the
                 protocol's number of pictures trains the regressor, the rest is measured
    repeats      regressor subsets to draw, with seeds `seed`, `seed + 1` …; the protocol's number where None
    *_frames     (N, 4) boxes that points are written relative to, see `nme.fit_linear_map`
    baselines    name -> landmarks for the same two sets, measured in the same way under `<name>_forward_nme` …
    keypoints    descriptors and labels for the cluster figures
    consistency  pixels at 128 by 128, from `consistency.consistency_error`

    Errors in percent of d; `detection_rate` and `hungarian_accuracy` in percent of the pictures; `silhouette`
    (-1 ... 1), `calinski_harabasz` and `consistency` (pixels) are no percentages. `_std` is the spread over the
    repeats, None where there is one. Table entries that cannot be measured are NaN. Raises UserError if the
    annotations do not suffice.
    """
    train = _Set(train_found, train_truth, np.asarray(train_sizes), train_frames)
    test = None
    if test_found is not None:
        if test_truth is None or test_sizes is None:
            raise UserError("The test pictures need annotations and sizes as well as landmarks.")
        test = _Set(test_found, test_truth, np.asarray(test_sizes), test_frames)
    protocol = protocol if repeats is None else replace(protocol, repeats=repeats)
    draws = [_draw(train, test, protocol, seed + i) for i in range(max(1, protocol.repeats))]
    options = {"visible_only": visible_only, "completion": completion}
    results = [_evaluate(fit, score, protocol, options) for fit, score in _points(draws, train, test, None)]
    figures, tables = _summary(results)
    tables |= _extra_tables(results, _points(draws, train, test, None), protocol)
    figures |= _cluster_figures(tables, keypoints, consistency, seed)
    for name, landmarks in {"random": None, **(baselines or {})}.items():
        figures |= _baseline_figures(name, landmarks, draws, train, test, protocol, options)
    facts = _protocol_facts(draws, train, test, protocol, seed) | options
    return Report({key: finite(value) for key, value in figures.items()}, facts, tables)


# ---------------------------------------------------------------- the draws of the regressor's pictures


def _usable(part: _Set, protocol: Protocol) -> np.ndarray:
    """Rows of the pictures that are annotated well enough to be measured."""
    if not part.truth.annotated.any():
        raise UserError("None of the pictures is annotated; choose pictures with annotated points to measure errors.")
    return np.flatnonzero(part.truth.annotated & np.isfinite(normaliser(part.truth, protocol.normaliser)))


def _draw(train: _Set, test: _Set | None, protocol: Protocol, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the first set that train the regressor, and rows of the test set (or of the first) that are measured."""
    rows = _usable(train, protocol)
    if test is not None:
        return rows[regressor_subset(len(rows), protocol, seed)], _usable(test, protocol)
    fit, score = regressor_split(len(rows), protocol, seed)
    return rows[fit], rows[score]


def _points(
    draws: Sequence[tuple[np.ndarray, np.ndarray]],
    train: _Set,
    test: _Set | None,
    landmarks: tuple[Landmarks, Landmarks | None] | None,
) -> list[tuple[_Set, _Set]]:
    """The two sets of every draw, with other landmarks put in where `landmarks` is given."""
    if landmarks is not None:
        train = replace(train, found=landmarks[0])
        if test is not None:
            if landmarks[1] is None:
                raise UserError("A baseline needs landmarks for the test pictures too.")
            test = replace(test, found=landmarks[1])
    return [(train.take(fit), (train if test is None else test).take(score)) for fit, score in draws]


def _evaluate(fit: _Set, score: _Set, protocol: Protocol, options: Mapping[str, object]) -> NmeResult:
    return evaluate_nme(
        fit.found,
        fit.truth,
        score.found,
        score.truth,
        fit.sizes,
        score.sizes,
        protocol,
        train_frames=fit.frames,
        test_frames=score.frames,
        visible_only=bool(options["visible_only"]),
        completion=str(options["completion"]),
    )


# ---------------------------------------------------------------- figures and tables


def _mean_rows(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over repeats of one table, NaN where no repeat has a value."""
    return column_means(np.stack(rows))


def _std(values: Sequence[float]) -> float:
    """Sample standard deviation of what is not NaN; NaN below two values."""
    kept = [value for value in values if not math.isnan(value)]
    return float(np.std(kept, ddof=1)) if len(kept) > 1 else float("nan")


def _summary(results: Sequence[NmeResult]) -> tuple[dict[str, float | None], dict[str, list[float]]]:
    """The errors: means and spread over repeats, by point, and as the literature's CED."""
    by_point = {
        "forward": _mean_rows([column_means(result.forward) for result in results]),
        "backward": _mean_rows([column_means(result.backward) for result in results]),
        "mean_shape": _mean_rows([column_means(result.mean_shape) for result in results]),
    }
    figures: dict[str, float | None] = {}
    for name, values in by_point.items():
        figures[f"{name}_nme"] = float(column_means(values))
        figures[f"{name}_nme_std"] = _std([getattr(result, f"{name}_nme") for result in results])
    tables = {f"{name}_by_point": _list(values) for name, values in by_point.items()}
    tables |= {f"{name}_ced": _list(ced(by_point[name])) for name in ("forward", "backward")}
    return figures, tables


def _extra_tables(
    results: Sequence[NmeResult], points: Sequence[tuple[_Set, _Set]], protocol: Protocol
) -> dict[str, list[float]]:
    rates = _mean_rows([clusters.detection_rate(score.found) for _, score in points])
    accuracy = _mean_rows([_hungarian(fit, score, protocol) for fit, score in points])
    tables = {"detection_rates": _list(rates), "hungarian_by_point": _list(accuracy)}
    return tables | _yaw_tables(results, [score for _, score in points])


def _yaw_tables(results: Sequence[NmeResult], scores: Sequence[_Set]) -> dict[str, list[float]]:
    """Errors and the share seen in each of the five yaw ranges; empty where the yaw is not known."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("forward", "backward", "mean_shape", "seen")}
    for result, score in zip(results, scores, strict=True):
        if score.truth.yaw is None:
            return {f"{name}_by_yaw": [] for name in rows}
        yaw = np.asarray(score.truth.yaw, dtype=np.float64)
        for name in ("forward", "backward", "mean_shape"):
            rows[name].append(clusters.yaw_bins(yaw, column_means(getattr(result, name).T)))
        rows["seen"].append(clusters.yaw_bins(yaw, 100.0 * score.found.seen.mean(1)))
    return {f"{name}_by_yaw": _list(_mean_rows(values)) for name, values in rows.items()}


def _hungarian_kind(part: _Set, protocol: Protocol) -> str:
    """The paper's inter-ocular distance where it is known, else the protocol's."""
    return "iod" if part.truth.iod is not None else protocol.normaliser


def _hungarian(fit: _Set, score: _Set, protocol: Protocol) -> np.ndarray:
    """(P,) percent; the matching is made on the regressor's pictures, the accuracy measured on the others."""
    try:
        kind = _hungarian_kind(score, protocol)
        match = clusters.match_points(fit.found, fit.truth, normaliser(fit.truth, kind))
        distance = normaliser(score.truth, kind)
    except UserError:
        return np.full(score.truth.xy.shape[1], np.nan)
    return clusters.hungarian_accuracy(score.found, score.truth, distance, HUNGARIAN_THRESHOLD, match)


def _cluster_figures(
    tables: Mapping[str, list[float]], keypoints: Keypoints | None, consistency: float | None, seed: int
) -> dict[str, float | None]:
    tight = apart = None
    if keypoints is not None:
        tight = clusters.silhouette(keypoints.descriptor, keypoints.label, seed=seed)
        apart = clusters.calinski_harabasz(keypoints.descriptor, keypoints.label, seed=seed)
    return {
        "detection_rate": float(column_means(np.array(tables["detection_rates"]))),
        "hungarian_accuracy": float(column_means(np.array(tables["hungarian_by_point"]))),
        "silhouette": tight,
        "calinski_harabasz": apart,
        "consistency": consistency,
    }


def _baseline_figures(
    name: str,
    landmarks: tuple[Landmarks, Landmarks | None] | None,
    draws: Sequence[tuple[np.ndarray, np.ndarray]],
    train: _Set,
    test: _Set | None,
    protocol: Protocol,
    options: Mapping[str, object],
) -> dict[str, float | None]:
    """The same errors for other landmarks; None throughout where there are none."""
    keys = ("forward_nme", "backward_nme", "detection_rate")
    if landmarks is None:
        return {f"{name}_{key}": None for key in keys}
    points = _points(draws, train, test, landmarks)
    figures, _ = _summary([_evaluate(fit, score, protocol, options) for fit, score in points])
    figures["detection_rate"] = 100.0 * float(np.mean([score.found.present.mean() for _, score in points]))
    return {f"{name}_{key}": figures[key] for key in keys}


def _protocol_facts(
    draws: Sequence[tuple[np.ndarray, np.ndarray]], train: _Set, test: _Set | None, protocol: Protocol, seed: int
) -> dict[str, object]:
    """All that is needed to repeat the measurement, as JSON-able values."""
    return {
        "name": protocol.name,
        "regressor_images": len(draws[0][0]),
        "regressor_images_asked": protocol.regressor_images,
        "test_images": len(draws[0][1]),
        "separate_test_set": test is not None,
        "repeats": max(1, protocol.repeats),
        "seed": seed,
        "ridge_forward": protocol.ridge_forward,
        "ridge_backward": protocol.ridge_backward,
        "normaliser": protocol.normaliser,
        "frame": "picture" if train.frames is None else "region",
        "landmarks": int(train.found.present.shape[1]),
        "points": int(train.truth.xy.shape[1]),
        "hungarian_threshold": HUNGARIAN_THRESHOLD,
        "hungarian_normaliser": _hungarian_kind(train if test is None else test, protocol),
        "spread": "repeats",
        "runs": 1,
    }


def finite(value: float | None) -> float | None:
    """The number, or None for what is no number: NaN and infinities."""
    return None if value is None or not math.isfinite(value) else float(value)


def _list(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]


# ---------------------------------------------------------------- several runs


def combine_reports(reports: Sequence[Report]) -> Report:
    """Mean and spread over several runs, as the paper's figures are means of five.

    Every figure becomes its mean over the reports that have it, and `<figure>_std` its sample standard deviation over
    them (None below two); a report's own `_std` (over repeats) is dropped. Tables become their means entry by entry,
    where all have the same length; the others are dropped, and so are those by landmark, since landmark 3 of one run
    is not landmark 3 of another (the sorted CED curves stay). The protocol is the first one's, with the seeds listed.
    Raises ValueError if there is none, UserError if the protocols differ.
    """
    if not reports:
        raise ValueError("no reports to combine")
    if len({str(report.protocol.get("name")) for report in reports}) > 1:
        raise UserError("Reports measured under different protocols cannot be averaged; evaluate them alike.")
    figures: dict[str, float | None] = {}
    for key in [key for key in reports[0].figures if not key.endswith("_std")]:
        values = [value for report in reports if (value := report.figures.get(key)) is not None]
        figures[key] = float(np.mean(values)) if values else None
        figures[f"{key}_std"] = finite(_std(values))
    tables: dict[str, list[float]] = {}
    for key, first in reports[0].tables.items():
        if key in _BY_LANDMARK:
            continue
        rows = [report.tables.get(key, []) for report in reports]
        if all(len(row) == len(first) for row in rows):
            tables[key] = _list(_mean_rows([np.array(row, dtype=np.float64) for row in rows]))
    seeds = [report.protocol.get("seed") for report in reports]
    protocol = dict(reports[0].protocol) | {"seed": seeds, "runs": len(reports), "spread": "runs"}
    return Report(figures, protocol, tables)
