"""How good is ZeroShot with the bundled backbone? Mean and spread over seeds, beside mean shape and random weights.

    python -m benchmarks.zero_shot_quality heads
    python -m benchmarks.zero_shot_quality heads-foreground
    python -m benchmarks.zero_shot_quality folder --source FOLDER --roi annotations [--jitter 0.1]

heads: the regressor learns on demo:heads:300:0, the error is measured on demo:heads:300:1. folder: a seeded half of an
annotated folder trains the regressor, the other half is measured. d = sqrt(w h) of the annotated box.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from uld_explorer import workflow
from uld_explorer.analysis.report import combine_reports
from uld_explorer.analysis.report_file import format_report
from uld_explorer.events import drain
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.runs import create_run
from uld_explorer.types import ImageSet, Report


def measure(images: ImageSet, tested: ImageSet | None, settings: ZeroShotSettings) -> Report:
    """One run with its random-weights baseline."""
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(Path(folder), title="benchmark")
        stage = workflow.iter_discover(
            images, "zeroshot", settings, run, evaluate_on=tested, baselines=["random-weights"]
        )
        return drain(stage)[2]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("heads", "heads-foreground", "folder"))
    parser.add_argument("--source", help="an annotated folder")
    parser.add_argument("--roi", default="annotations")
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--landmarks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    heads = args.what != "folder"
    images = workflow.open_images("demo:heads:300:0" if heads else args.source)
    tested = workflow.open_images("demo:heads:300:1") if heads else None
    roi = {"heads": "annotations", "heads-foreground": "foreground"}.get(args.what, args.roi)
    reports = []
    for seed in range(args.seeds):
        settings = ZeroShotSettings(landmarks=args.landmarks, roi=roi, roi_jitter=args.jitter, seed=seed)
        reports.append(measure(images, tested, settings))
    report = combine_reports(reports)
    print(format_report(report))
    print_ratios(report)


def print_ratios(report: Report) -> None:
    """The figures against mean shape and random weights."""
    figures = {key: value for key, value in report.figures.items() if value is not None}
    print(f"forward / mean shape   {figures['forward_nme'] / figures['mean_shape_nme']:.3f}")
    print(f"random / ours forward  {figures['random_forward_nme'] / figures['forward_nme']:.2f}")
    print(f"random / ours backward {figures['random_backward_nme'] / figures['backward_nme']:.2f}")


if __name__ == "__main__":
    main()
