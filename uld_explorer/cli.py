"""The verbs on the command line: python -m uld_explorer discover | evaluate | predict | export | reproduce | list.

Progress goes to stderr; results go to stdout. Exit code 0 only on success, 2 for bad arguments or input.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from uld_explorer.cli_lists import LISTS
from uld_explorer.cli_parser import build_parser
from uld_explorer.cli_progress import Progress, follow
from uld_explorer.events import Event, Stage
from uld_explorer.landmarks.methods import METHODS
from uld_explorer.landmarks.presets import preset_values
from uld_explorer.settings import from_args
from uld_explorer.types import UserError

if TYPE_CHECKING:
    from uld_explorer.analysis.protocols import Protocol
    from uld_explorer.runs import Run
    from uld_explorer.types import ImageSet, Report

T = TypeVar("T")


# ---------------------------------------------------------------- verbs


def discover(args: argparse.Namespace, show: Progress) -> dict[str, Any]:
    """Open, discover, measure; print the report."""
    from uld_explorer import workflow
    from uld_explorer.analysis.protocols import get_protocol
    from uld_explorer.data.sources import iter_open
    from uld_explorer.features import processes

    _check_flags(args)
    chosen = METHODS[args.method].settings
    settings = from_args(chosen, args, preset_values(args.preset, chosen))
    protocol = get_protocol(args.protocol)
    with processes.joined(settings.device):
        if not processes.is_main():
            show.quiet, args.json = True, False
        with processes.main_first():
            images = _open(args, show)
            tested = follow(iter_open(args.evaluate_on), show) if args.evaluate_on else None
        with _own_run(args, images.label) as run:
            stage = workflow.iter_discover(
                images, args.method, settings, run, evaluate_on=tested, baselines=args.baselines, protocol=protocol
            )
            _, _, report = _follow_run(stage, show, run)
            if processes.is_main():
                _tell(args, images, report, run)
            return workflow.run_summary(run)


@contextlib.contextmanager
def _own_run(args: argparse.Namespace, title: str) -> Iterator[Run]:
    """The run in the folder that was asked for; in other processes than the main one a run that nobody sees."""
    from uld_explorer.features import processes
    from uld_explorer.paths import runs_dir
    from uld_explorer.runs import create_run

    if processes.is_main():
        yield create_run(runs_dir(), folder=args.out, resume=getattr(args, "resume", True), title=title)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield create_run(Path(folder))


def _tell(args: argparse.Namespace, images: ImageSet, report: Report, run: Run) -> None:
    from uld_explorer.analysis.report_file import format_report

    for skipped in images.skipped:
        print(f"skipped {skipped.name}: {skipped.reason}", file=sys.stderr)
    if not args.json:
        print(format_report(report))
        print(f"\nThe run is in {run.folder}")


def _check_flags(args: argparse.Namespace) -> None:
    """Raises UserError for a flag that another method has, but not the chosen one."""
    own = {field.name for field in dataclasses.fields(METHODS[args.method].settings)}
    for method in METHODS.values():
        for field in dataclasses.fields(method.settings):
            if field.name not in own and hasattr(args, field.name):
                flag = field.name.replace("_", "-")
                raise UserError(f"--{flag} is a setting of --method {method.name}; {args.method} does not have it.")


def _open(args: argparse.Namespace, show: Progress) -> ImageSet:
    """The pictures of SOURCE, with --annotations and --limit."""
    from uld_explorer.data.sources import iter_open

    if args.limit is not None and args.limit < 1:
        raise UserError("--limit must be 1 or more.")
    return follow(iter_open(args.source, annotations=args.annotations, limit=args.limit), show)


def _follow_run(stage: Stage[T], show: Progress, run: Run) -> T:
    """Drive a run; its end, however it comes, is its last event."""
    try:
        result = follow(stage, show, run)
    except KeyboardInterrupt:
        run.append(Event("cancelled", "", data={"text": "Stopped by the user."}))
        raise
    except Exception as error:
        run.append(Event("failed", "", data={"text": str(error)}))
        raise
    run.append(Event("done", ""))
    return result


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Raises UserError where `out` cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error}): give another file with --out.") from None


def find_run(text: str) -> Run:
    """A run by its folder, or by its id in the data folder.

    Raises:
        UserError: neither.
    """
    from uld_explorer.paths import runs_dir
    from uld_explorer.runs import Run, open_run

    folder = Path(text)
    if (folder / "run.json").exists() or (folder / "model.json").exists():
        return Run(folder)
    return open_run(runs_dir(), text)


def evaluate(args: argparse.Namespace, show: Progress) -> dict[str, Any]:
    """Measure a finished run on annotated pictures."""
    from uld_explorer import measuring
    from uld_explorer.analysis.protocols import get_protocol
    from uld_explorer.analysis.report_file import format_by_yaw, format_report
    from uld_explorer.landmarks.detector import LandmarkDetector

    protocol = get_protocol(args.protocol)
    measuring.check_baselines(args.baselines)
    detector = LandmarkDetector.load(find_run(args.run).folder)
    images = _open(args, show)
    if images.annotations is None:
        raise UserError(f"{images.label} has no annotations to measure against: give --annotations FILE.")
    finding = follow(detector.iter_predict(images, roi=args.roi), show)
    stage = measuring.iter_evaluate(detector, finding, images, baselines=args.baselines, protocol=protocol)
    report = follow(stage, show)
    by_yaw = measuring.by_yaw(report)
    if not args.json:
        print(format_report(report))
        if args.by == "yaw":
            print("\n" + format_by_yaw(by_yaw))
    head = {"method": detector.method, "images": len(images)}
    return {**head, **report.figures, "by_yaw": by_yaw, "protocol": report.protocol}


def predict(args: argparse.Namespace, show: Progress) -> dict[str, Any]:
    """Find a run's landmarks on other pictures and write them."""
    from uld_explorer.export.formats import get_format
    from uld_explorer.landmarks.detector import LandmarkDetector

    chosen = get_format(args.format)
    detector = LandmarkDetector.load(find_run(args.run).folder)
    images = _open(args, show)
    finding = follow(detector.iter_predict(images, roi=args.roi), show)
    out = args.out or Path(f"landmarks{chosen.suffix}")
    with _writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        chosen.write(out, images, finding.landmarks, finding.regions)
    if not args.json:
        print(f"{len(images)} pictures, {int(finding.landmarks.present.sum())} landmarks written to {out}")
    rate = float(finding.landmarks.present.mean() * 100)
    return {"images": len(images), "skipped": len(images.skipped), "detection_rate": rate, "file": str(out)}


def export(args: argparse.Namespace, show: Progress) -> dict[str, Any]:
    """Write a run's landmarks in another tool's format."""
    from uld_explorer import workflow
    from uld_explorer.export.formats import get_format

    out = args.out or Path(f"landmarks{get_format(args.format).suffix}")
    run = find_run(args.run)
    with _writing(out):
        workflow.export_run(run, args.format, out)
    if not args.json:
        print(f"written to {out}")
    return {"file": str(out)}


def reproduce(args: argparse.Namespace, show: Progress) -> dict[str, Any]:
    """Make the runs of one of the paper's tables and print its counterpart."""
    from uld_explorer import reproduce as studies
    from uld_explorer.paths import runs_dir

    study, rows = studies.STUDIES[args.study], studies.rows_of(args.study, args.poses, args.counts)
    images, tested, protocol, roi = _open_study(args, show)
    given = {name: getattr(args, name) for name in ("backbone", "landmarks", "pose_clusters")} | {"roi": roi}
    parent = args.out or runs_dir() / f"study-{args.study}"
    table: dict[str, Any] = {}
    rounds: dict[str, list[float]] = {}
    for row in rows:
        settings = preset_values(args.preset, METHODS[row.method].settings) | given
        make = partial(studies.iter_run, row, settings=settings, images=images, tested=tested, parent=parent)
        runs = [follow(make(seed=seed, protocol=protocol), show) for seed in range(max(1, args.seeds))]
        table[row.name] = studies.summary([studies.report_of(run) for run in runs], study.columns)
        rounds[row.name] = studies.accuracy_over_rounds(runs[0], images) if args.study == "yaw" else []
    if not args.json:
        print(f"Counterpart of the paper's {study.counterpart} on {images.label}, {max(1, args.seeds)} seed(s)\n")
        print(studies.markdown(study.columns, table))
        for name, values in rounds.items():
            if values:
                print(f"\n{name}, pose accuracy after each round, seed 0: {', '.join(f'{v:.1f} %' for v in values)}")
    return {"study": args.study, "counterpart": study.counterpart, "rows": table, "rounds": rounds}


def _open_study(args: argparse.Namespace, show: Progress) -> tuple[ImageSet, ImageSet | None, Protocol | None, str]:
    """Pictures, other pictures to measure on, protocol and region of a study."""
    from uld_explorer.analysis.protocols import get_protocol
    from uld_explorer.data.published.sets import PUBLISHED, iter_open_published
    from uld_explorer.data.sources import iter_open

    if args.study not in PUBLISHED:
        images = _open(args, show)
        tested = follow(iter_open(args.evaluate_on), show) if args.evaluate_on else None
        return images, tested, None, args.roi or "annotations"
    if args.evaluate_on or args.annotations:
        raise UserError(f"{args.study} has annotations and test pictures of its own: leave the two flags out.")
    chosen = PUBLISHED[args.study]
    folder = Path(args.source).expanduser()
    images, test = follow(iter_open_published(args.study, folder, args.limit), show)
    return images, test, get_protocol(chosen.protocol), args.roi or chosen.roi


def listing(args: argparse.Namespace, show: Progress) -> dict[str, Any]:
    """Print one of the tables."""
    rows = LISTS[args.what]()
    if not args.json:
        for name, text in rows.items():
            print(f"{name:24} {text}")
        if not rows:
            print(f"no {args.what} yet")
    return {args.what: rows}


_VERBS = {
    "discover": discover,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "list": listing,
    "reproduce": reproduce,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    args = build_parser().parse_args(argv)
    show = Progress(args.quiet)
    try:
        summary = _VERBS[args.verb](args, show)
    except UserError as error:
        show.close()
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        show.close()
        print("stopped", file=sys.stderr)
        return 130
    show.close()
    if args.json:
        print(json.dumps(summary))
    return 0
