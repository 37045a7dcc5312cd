"""The verbs: open_images, discover, evaluate, predict, export. Command line, page and notebooks call these.

Each `iter_` verb is a stage (a generator of events that returns its result); the plain verb drains it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from uld_explorer.analysis.protocols import Protocol
from uld_explorer.analysis.report_file import load_report, save_report
from uld_explorer.data.sources import iter_open
from uld_explorer.editing import edited
from uld_explorer.events import Stage, drain, note
from uld_explorer.export.formats import get_format
from uld_explorer.features import processes
from uld_explorer.landmarks.detector import Finding, LandmarkDetector, iter_fit_detector
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.landmarks.methods import get_method
from uld_explorer.mapping import iter_draw_maps
from uld_explorer.measuring import ERRORS, POSES, by_yaw, check_baselines, check_protocol, iter_evaluate
from uld_explorer.runs import Run, write_json
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet, Report, UserError

MINIMUM_PICTURES = 5
"""Fewer pictures cannot show what is common to a kind of thing."""
OTHERS = ("detection_rate", "consistency", "silhouette", "calinski_harabasz", "hungarian_accuracy", "seconds")


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
    known = _found_before(run, images, method, settings)
    if known is None:
        yield from _iter_begin(run, images, method, settings)
        backbone = yield from iter_load_backbone(settings)
        detector, finding = yield from iter_fit_detector(images, method, settings, backbone)
        _keep(run, detector, finding)
    else:
        yield note("measuring errors", "The landmarks were found before this run was stopped: they are measured now")
        backbone = yield from iter_load_backbone(settings)
        detector, finding = known
    report = yield from iter_evaluate(
        detector, finding, images, evaluate_on=evaluate_on, baselines=baselines, protocol=protocol, backbone=backbone
    )
    yield from iter_draw_maps(run, settings.seed)
    report.figures["seconds"] = round(time.time() - started, 2)
    save_report(report, run.folder / "results" / "report.json")
    run.update_info(finished=time.time())
    return detector, finding, report


def _iter_begin(run: Run, images: ImageSet, method: str, settings: RunSettings) -> Stage[None]:
    """Write what is known of a run before anything is computed; one that goes on keeps what its rounds have shown."""
    before = run.pictures()
    going_on = before is not None and before.ids == images.ids and run.info().get("method") == method
    if not going_on or run.settings() != settings.to_json():
        run.clear()
    run.update_info(method=method, source=images.label, images=len(images), skipped=len(images.skipped))
    write_json(run.folder / "settings.json", settings.to_json())
    run.save_pictures(images)
    if images.annotations is not None:
        run.save_annotations(images.annotations)
    yield from run.iter_save_thumbs(images)


def _keep(run: Run, detector: LandmarkDetector, finding: Finding) -> None:
    """Write what was found. The model comes last: where it is, everything is."""
    run.save_landmarks(finding.landmarks)
    run.save_regions(finding.regions)
    run.save_keypoints(finding.keypoints)
    if finding.poses is not None:
        run.save_poses(finding.poses)
    detector.save(run.folder / "model")
    for name in ("model", "foreground"):  # what a stopped run would have kept
        (run.folder / "results" / f"{name}.safetensors").unlink(missing_ok=True)


def _found_before(
    run: Run, images: ImageSet, method: str, settings: RunSettings
) -> tuple[LandmarkDetector, Finding] | None:
    """What this run found before it was stopped in its measuring; None where that was something else, or nothing.

    With several processes only one has it, so all find again.
    """
    if processes.count() > 1 or not (run.folder / "model" / "model.json").exists():
        return None
    try:
        detector, pictures = LandmarkDetector.load(run.folder), run.pictures()
    except UserError:
        return None
    landmarks, regions, keypoints = run.landmarks(), run.regions(), run.keypoints()
    same = pictures is not None and pictures.ids == images.ids
    same = same and detector.method == method and detector.settings.fingerprint() == settings.fingerprint()
    if not same or landmarks is None or regions is None or keypoints is None:
        return None
    return replace(detector, edits=()), Finding(landmarks, regions, keypoints, run.poses())


def _check(images: ImageSet, baselines: Sequence[str]) -> None:
    if len(images) < MINIMUM_PICTURES:
        skipped = f" ({len(images.skipped)} were skipped)" if images.skipped else ""
        raise UserError(f"At least {MINIMUM_PICTURES} usable pictures are needed, there are {len(images)}{skipped}.")
    check_baselines(baselines)


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


# ---------------------------------------------------------------- predict, export


def export_run(run: Run, name: str, path: Path) -> Path:
    """Write a run's landmarks in an export format, as they were edited.

    Raises:
        UserError: an unknown format, or a run without landmarks.
    """
    now, images = edited(run), run.pictures()
    if now is None or images is None:
        raise UserError(f"The run {run.id} has no landmarks yet: let it finish, or run it again.")
    path.parent.mkdir(parents=True, exist_ok=True)
    get_format(name).write(path, images, now.found.landmarks, run.regions())
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
