"""The verbs: open_images, discover, evaluate, predict, export. Command line, page and notebooks call these.

Each `iter_` verb is a stage (a generator of events that returns its result); the plain verb drains it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from uld_explorer.analysis import consistency as consistency_figures
from uld_explorer.analysis.clusters import YAW_EDGES, yaw_cluster_accuracy, yaw_r2
from uld_explorer.analysis.projection import pca_map, umap_map
from uld_explorer.analysis.protocols import PROTOCOLS, Protocol, normaliser
from uld_explorer.analysis.report import build_report, finite
from uld_explorer.analysis.report_file import load_report, save_report
from uld_explorer.data.regions import view_regions
from uld_explorer.data.sources import iter_open
from uld_explorer.events import Stage, drain, note, progress
from uld_explorer.export.formats import get_format
from uld_explorer.features.backbone import Backbone
from uld_explorer.landmarks.detector import Finding, LandmarkDetector, iter_fit_detector
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.landmarks.methods import get_method
from uld_explorer.runs import Run, write_json
from uld_explorer.settings import RunSettings
from uld_explorer.types import Annotations, ImageSet, Landmarks, Report, UserError

MINIMUM_PICTURES = 5
"""Fewer pictures cannot show what is common to a kind of thing."""
MAP_POINTS = 4000
CONSISTENCY_PICTURES = 100
BASELINES = ("random-weights",)
ERRORS = ("forward_nme", "backward_nme", "mean_shape_nme", "random_forward_nme", "random_backward_nme")
OTHERS = ("detection_rate", "consistency", "silhouette", "calinski_harabasz", "hungarian_accuracy", "seconds")
POSES = ("pose_accuracy", "yaw_r2", "seen_rate")


def open_images(
    source: str | Path | Sequence[str | Path], *, annotations: str | Path | None = None, limit: int | None = None
) -> ImageSet:
    """Pictures from a folder, an archive, files or demo:NAME[:COUNT[:SEED]].

    Raises:
        UserError: nothing usable there.
    """
    return drain(iter_open(source, annotations=annotations, limit=limit))


def iter_discover(
    images: ImageSet,
    method: str,
    settings: RunSettings,
    run: Run,
    *,
    evaluate_on: ImageSet | None = None,
    baselines: Sequence[str] = (),
    protocol: Protocol | None = None,
) -> Stage[tuple[LandmarkDetector, Finding, Report]]:
    """Discover landmarks, measure them where there are annotations, and write everything into the run's folder.

    Raises:
        UserError: too few pictures, a region or backbone that cannot be had, unknown baselines.
    """
    _check(images, baselines)
    check_protocol(protocol, images, evaluate_on)
    started = time.time()
    run.update_info(method=method, source=images.label, images=len(images), skipped=len(images.skipped))
    write_json(run.folder / "settings.json", settings.to_json())
    run.save_pictures(images)
    yield from run.iter_save_thumbs(images)
    backbone = yield from iter_load_backbone(settings)
    detector, finding = yield from iter_fit_detector(images, method, settings, backbone)
    run.save_landmarks(finding.landmarks)
    run.save_regions(finding.regions)
    if finding.poses is not None:
        run.save_poses(finding.poses)
    detector.save(run.folder / "model")
    (run.folder / "results" / "model.safetensors").unlink(missing_ok=True)  # what a stopped run would have kept
    report = yield from iter_evaluate(
        detector, finding, images, evaluate_on=evaluate_on, baselines=baselines, protocol=protocol, backbone=backbone
    )
    yield from _iter_map(finding, settings, run)
    report.figures["seconds"] = round(time.time() - started, 2)
    save_report(report, run.folder / "results" / "report.json")
    run.update_info(finished=time.time())
    return detector, finding, report


def _check(images: ImageSet, baselines: Sequence[str]) -> None:
    if len(images) < MINIMUM_PICTURES:
        skipped = f" ({len(images.skipped)} were skipped)" if images.skipped else ""
        raise UserError(f"At least {MINIMUM_PICTURES} usable pictures are needed, there are {len(images)}{skipped}.")
    check_baselines(baselines)


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


def discover(
    source: str | Path | Sequence[str | Path] | ImageSet,
    method: str = "zeroshot",
    run: Run | None = None,
    **settings: object,
) -> tuple[LandmarkDetector, Finding, Report]:
    """Open, discover and measure in one call; settings by name, such as landmarks=10, roi="foreground".

    Without a run, one is made in the data folder.
    """
    from uld_explorer.paths import runs_dir
    from uld_explorer.runs import create_run

    images = source if isinstance(source, ImageSet) else open_images(source)
    chosen = get_method(method).settings.from_json(dict(settings))
    return drain(iter_discover(images, method, chosen, run or create_run(runs_dir(), title=images.label)))


# ---------------------------------------------------------------- evaluate


def evaluate(
    detector: LandmarkDetector, source: str | Path | ImageSet, *, annotations: str | Path | None = None
) -> Report:
    """Measure a detector on annotated pictures: a seeded half trains the regressor, the other half is measured.

    Raises:
        UserError: pictures without annotations.
    """
    images = source if isinstance(source, ImageSet) else open_images(source, annotations=annotations)
    if images.annotations is None:
        raise UserError(f"{images.label} has no annotations to measure against.")
    return drain(iter_evaluate(detector, drain(detector.iter_predict(images)), images))


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
    consistent = yield from _iter_consistency(detector, test, tested, backbone)
    if images.annotations is None or not _measurable(images, evaluate_on):
        return _unannotated_report(finding, consistent, detector)
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
) -> Stage[float | None]:
    """Mean distance, in pixels of a 128-pixel region, between landmarks before and after a similarity transform."""
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
    error = consistency_figures.consistency_error(moved, found, transform, size)
    return float(error) if np.isfinite(error) else None


def _unannotated_report(finding: Finding, consistent: float | None, detector: LandmarkDetector) -> Report:
    from uld_explorer.analysis import clusters

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
    return Report(figures, facts, {"detection_rates": rates.tolist()})


def _iter_map(finding: Finding, settings: RunSettings, run: Run) -> Stage[None]:
    """A two-dimensional map of the keypoints' descriptors, kept with the run."""
    points = finding.keypoints
    total = len(points.label)
    rows = np.sort(np.random.default_rng(settings.seed).permutation(total)[:MAP_POINTS])
    points = replace(
        points,
        xy=points.xy[rows],
        descriptor=points.descriptor[rows],
        label=points.label[rows],
        image=points.image[rows],
    )
    yield progress("drawing the map (UMAP)", 0, 1)
    positions = umap_map(points.descriptor, settings.seed) if len(rows) > 15 else pca_map(points.descriptor)
    run.save_keypoints(points, positions)
    yield progress("drawing the map (UMAP)", 1, 1)


# ---------------------------------------------------------------- predict, export


def export_run(run: Run, name: str, path: Path) -> Path:
    """Write a run's landmarks in an export format.

    Raises:
        UserError: an unknown format, or a run without landmarks.
    """
    landmarks, images = run.landmarks(), run.pictures()
    if landmarks is None or images is None:
        raise UserError(f"The run {run.id} has no landmarks yet: let it finish, or run it again.")
    path.parent.mkdir(parents=True, exist_ok=True)
    get_format(name).write(path, images, landmarks, run.regions())
    return path


def run_summary(run: Run) -> dict[str, object]:
    """The facts and figures of a finished run as one flat JSON object; absent figures are None.

    Raises:
        UserError: the run has not finished.
    """
    path = run.folder / "results" / "report.json"
    if not path.exists():
        raise UserError(f"The run {run.id} has no results: {run.view().message or 'it did not finish'}.")
    report, info, settings = load_report(path), run.info(), run.settings()
    head = {"run": run.id, "method": info["method"], "backbone": settings["backbone"]}
    head |= {"images": info["images"], "skipped": info["skipped"], "landmarks": settings["landmarks"]}
    figures = {key: report.figures.get(key) for key in ERRORS + OTHERS + POSES}
    return head | figures | {"by_yaw": by_yaw(report), "protocol": asdict(report)["protocol"]}
