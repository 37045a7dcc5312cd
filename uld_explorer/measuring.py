"""Measuring a detector: errors against annotations, consistency under motions, poses against the yaw, baselines.

Runs the detector where a figure needs it; the figures themselves are computed in `analysis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from uld_explorer.analysis import clusters
from uld_explorer.analysis import consistency as consistency_figures
from uld_explorer.analysis.clusters import YAW_EDGES, yaw_cluster_accuracy, yaw_r2
from uld_explorer.analysis.nme import column_means
from uld_explorer.analysis.protocols import PROTOCOLS, Protocol, normaliser
from uld_explorer.analysis.report import build_report, finite
from uld_explorer.data.regions import view_regions
from uld_explorer.events import Stage, note, progress
from uld_explorer.features.backbone import Backbone
from uld_explorer.landmarks.detector import Finding, LandmarkDetector, iter_fit_detector
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.types import Annotations, ImageSet, Landmarks, Report, UserError

CONSISTENCY_PICTURES = 100
BASELINES = ("random-weights",)
ERRORS = ("forward_nme", "backward_nme", "mean_shape_nme", "random_forward_nme", "random_backward_nme")
POSES = ("pose_accuracy", "yaw_r2", "seen_rate")


def check_baselines(baselines: Sequence[str]) -> None:
    """Raises UserError for a baseline that there is not."""
    unknown = [name for name in baselines if name not in BASELINES]
    if unknown:
        raise UserError(f"There is no baseline '{unknown[0]}': use {', '.join(BASELINES)}.")


def check_protocol(protocol: Protocol | None, *sets: ImageSet | None) -> None:
    """Raises UserError where annotations lack what the protocol divides by: better now than at the end."""
    for images in sets:
        annotations = None if images is None else images.annotations
        if protocol is not None and annotations is not None and annotations.annotated.any():
            normaliser(annotations, protocol.normaliser)


def iter_evaluate(
    detector: LandmarkDetector,
    finding: Finding,
    images: ImageSet,
    *,
    evaluate_on: ImageSet | None = None,
    baselines: Sequence[str] = (),
    protocol: Protocol | None = None,
    backbone: Backbone | None = None,
) -> Stage[Report]:
    """Figures of a detector. `finding` is what it found on `images`, whose annotations train the regressor.

    With `evaluate_on` the error is measured there; otherwise on a seeded half of the annotated pictures, the other
    half (at most the protocol's number) trains the regressor. Without annotations only figures that need none.
    """
    check_baselines(baselines)
    backbone = backbone or (yield from iter_load_backbone(detector.settings))
    test = finding if evaluate_on is None else (yield from detector.iter_predict(evaluate_on, backbone=backbone))
    tested = images if evaluate_on is None else evaluate_on
    each = yield from _iter_consistency(detector, test, tested, backbone)
    consistent = finite(float(column_means(each)))
    if images.annotations is None or not _measurable(images, evaluate_on):
        return _unannotated_report(finding, consistent, each, detector)
    others: dict[str, tuple[Landmarks, Landmarks | None]] = {}
    if "random-weights" in baselines:
        others["random"] = yield from _iter_random_weights(detector, finding, images, test, evaluate_on)
    yield progress("measuring errors", 0, 1)
    split = _split(images.annotations, detector.settings.seed) if evaluate_on is None else None
    report = build_report(
        *_part(finding.landmarks, images, split and split[0]),
        *_part(test.landmarks, tested, split and split[1]),
        protocol=protocol or PROTOCOLS["box"],
        seed=detector.settings.seed,
        baselines={name: _both(pair, split) for name, pair in others.items()},
        keypoints=test.keypoints,
        consistency=consistent,
    )
    settings = detector.settings
    facts = {"roi": finding.regions.source, "roi_margin": settings.roi_margin, "roi_jitter": settings.roi_jitter}
    yield progress("measuring errors", 1, 1)
    report.figures.update(_pose_figures(test, tested))
    report.tables["consistency_by_landmark"] = each.tolist()
    return replace(
        report, protocol=report.protocol | facts | {"backbone": settings.backbone, "landmarks": settings.landmarks}
    )


def _pose_figures(finding: Finding, images: ImageSet) -> dict[str, float | None]:
    """Pose clusters against the annotated yaw (paper, Fig. 7), and the share of landmarks not only guessed."""
    figures: dict[str, float | None] = dict.fromkeys(POSES)
    figures["seen_rate"] = 100.0 * float(finding.landmarks.seen.mean())
    yaw = None if images.annotations is None else images.annotations.yaw
    if finding.poses is not None and yaw is not None:
        figures["pose_accuracy"] = finite(yaw_cluster_accuracy(finding.poses.cluster, yaw)[0])
        figures["yaw_r2"] = yaw_r2(finding.poses.codes, yaw)
    return figures


def by_yaw(report: Report) -> list[dict[str, float | None]]:
    """The errors in each of five yaw ranges, in degrees; empty where the yaw is not known."""
    names = {"forward_nme": "forward", "backward_nme": "backward", "mean_shape_nme": "mean_shape"}
    tables = {key: report.tables.get(f"{name}_by_yaw", []) for key, name in (names | {"seen_rate": "seen"}).items()}
    ranges = []
    for index in range(len(tables["forward_nme"])):
        entry: dict[str, float | None] = {"from": float(YAW_EDGES[index]), "to": float(YAW_EDGES[index + 1])}
        ranges.append(entry | {key: finite(values[index]) for key, values in tables.items()})
    return ranges


def _measurable(images: ImageSet, evaluate_on: ImageSet | None) -> bool:
    """Whether there are annotated pictures for the regressor and others for the error."""
    sets = [images] if evaluate_on is None else [images, evaluate_on]
    counts = [0 if part.annotations is None else int(part.annotations.annotated.sum()) for part in sets]
    return min(counts) >= (2 if evaluate_on is None else 1)


def _split(annotations: Annotations, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A seeded half of the annotated rows, and the other half."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(annotations.annotated))
    half = len(rows) // 2
    return np.sort(rows[:half]), np.sort(rows[half:])


def _part(landmarks: Landmarks, images: ImageSet, rows: np.ndarray | None) -> tuple[Landmarks, Annotations, np.ndarray]:
    assert images.annotations is not None
    if rows is None:
        return landmarks, images.annotations, images.sizes
    return landmarks.take(rows), images.annotations.take(rows), images.sizes[rows]


def _both(
    pair: tuple[Landmarks, Landmarks | None], split: tuple[np.ndarray, np.ndarray] | None
) -> tuple[Landmarks, Landmarks | None]:
    return pair if split is None else (pair[0].take(split[0]), pair[0].take(split[1]))


def _iter_random_weights(
    detector: LandmarkDetector, finding: Finding, images: ImageSet, test: Finding, evaluate_on: ImageSet | None
) -> Stage[tuple[Landmarks, Landmarks | None]]:
    """The same method, regions and architecture, with random weights in the U-Net."""
    yield note("baseline", "The same with random weights")
    settings = detector.settings
    backbone = yield from iter_load_backbone(settings, random_weights=settings.seed)
    rival, found = yield from iter_fit_detector(images, detector.method, settings, backbone, finding.regions)
    if evaluate_on is None:
        return found.landmarks, None
    there = yield from rival.iter_predict_in(evaluate_on, test.regions, backbone)
    return found.landmarks, there.landmarks


def _iter_consistency(
    detector: LandmarkDetector, test: Finding, images: ImageSet, backbone: Backbone
) -> Stage[np.ndarray]:
    """(K,) mean distance, in pixels of a 128-pixel region, of each landmark before and after a similarity transform.

    NaN for a landmark that was never found in both.
    """
    rows = np.unique(np.linspace(0, len(images) - 1, min(len(images), CONSISTENCY_PICTURES)).astype(int))
    some, regions, found = images.take(rows), test.regions.take(rows), test.landmarks.take(rows)
    size, corner = regions.boxes[:, 2:], regions.boxes[:, :2]
    transform = consistency_figures.similarity(np.random.default_rng(detector.settings.seed), size)
    # The similarity acts about the region's centre: move its origin from the region's corner to the picture's.
    transform[:, :, 2] += corner - np.einsum("nij,nj->ni", transform[:, :, :2], corner)
    # Another name gives the transformed picture other noise, as another picture would have.
    renamed = replace(some, ids=tuple(f"{name}~turned" for name in some.ids))
    seen = (yield from detector.iter_predict_in(renamed, view_regions(regions, transform), backbone)).landmarks
    moved = Landmarks(consistency_figures.apply(transform, seen.xy), seen.present, seen.score)
    errors = consistency_figures.consistency_errors(moved, found, transform, size)
    return consistency_figures.consistency_by_landmark(errors)


def _unannotated_report(
    finding: Finding, consistent: float | None, each: np.ndarray, detector: LandmarkDetector
) -> Report:
    rates = clusters.detection_rate(finding.landmarks)
    points = finding.keypoints
    figures: dict[str, float | None] = dict.fromkeys((*ERRORS, "hungarian_accuracy"))
    figures |= {"detection_rate": float(rates.mean()), "consistency": consistent}
    figures |= dict.fromkeys(POSES) | {"seen_rate": 100.0 * float(finding.landmarks.seen.mean())}
    figures["silhouette"] = clusters.silhouette(points.descriptor, points.label)
    figures["calinski_harabasz"] = clusters.calinski_harabasz(points.descriptor, points.label)
    facts: dict[str, object] = {
        "name": "no annotations",
        "roi": finding.regions.source,
        "backbone": detector.settings.backbone,
    }
    return Report(figures, facts, {"detection_rates": rates.tolist(), "consistency_by_landmark": each.tolist()})
