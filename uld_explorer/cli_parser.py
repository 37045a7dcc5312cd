"""The words of the command line: verbs, arguments and flags. Knows what can be asked for, not how it is answered."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from uld_explorer.data.published.sets import PUBLISHED
from uld_explorer.landmarks.methods import METHODS
from uld_explorer.landmarks.presets import PRESETS
from uld_explorer.settings import add_flags

SOURCE_HELP = "a folder, archive or picture, or demo:heads[:COUNT[:SEED]], demo:faces[:COUNT]"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m uld_explorer", description="Discover landmarks on pictures that nobody annotated."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _discover_parser(verbs.add_parser("discover", help="discover landmarks on a set of pictures"))
    _evaluate_parser(verbs.add_parser("evaluate", help="measure a finished run on annotated pictures"))
    _predict_parser(verbs.add_parser("predict", help="find a finished run's landmarks on other pictures"))
    export = verbs.add_parser("export", help="write a run's landmarks for another tool")
    export.add_argument("run", help="a run's folder, or its id as shown by list")
    export.add_argument("--format", default="coco", help="coco or csv (default: coco)")
    export.add_argument("--out", type=Path, help="the file to write (default: landmarks.coco.json or landmarks.csv)")
    listing = verbs.add_parser("list", help="list runs, backbones, methods, demos or export formats")
    listing.add_argument(
        "what", nargs="?", default="runs", choices=("runs", "backbones", "methods", "demos", "formats")
    )
    _reproduce_parser(verbs.add_parser("reproduce", help="the paper's tables and figures on annotated pictures"))
    for verb in verbs.choices.values():
        verb.add_argument("--json", action="store_true", help="print one JSON object as the last line on stdout")
        verb.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def _discover_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("--method", default="zeroshot", choices=tuple(METHODS), help="(default: zeroshot)")
    parser.add_argument(
        "--preset", default="quick", choices=tuple(PRESETS), help="how long and finely to train (default: quick)"
    )
    parser.add_argument(
        "--annotations", type=Path, help="COCO keypoints JSON or CSV; used for evaluation and the region only"
    )
    parser.add_argument(
        "--evaluate-on", metavar="SOURCE", help="measure the error on these pictures instead of a half of SOURCE"
    )
    parser.add_argument(
        "--baselines", nargs="*", default=[], help="random-weights: measure the same network untrained, too"
    )
    parser.add_argument("--protocol", default="box", help="evaluation protocol (default: box)")
    parser.add_argument("--limit", type=int, help="use only the first N pictures")
    parser.add_argument("--out", type=Path, help="folder for the run (default: a new one in the data folder)")
    known: list[str] = []
    for method in METHODS.values():
        add_flags(parser, method.settings, skip=known)
        known += [field.name for field in dataclasses.fields(method.settings)]


def _reproduce_parser(parser: argparse.ArgumentParser) -> None:
    studies = ("ablation", "clusters", "sweep", "consistency", "yaw", *PUBLISHED)
    parser.add_argument("study", choices=studies, help="a table or figure on any pictures, or a published data set")
    parser.add_argument(
        "source", metavar="SOURCE", help="annotated pictures; or the folder of the data set; " + SOURCE_HELP
    )
    parser.add_argument("--evaluate-on", metavar="SOURCE", help="measure on these instead of a half of SOURCE")
    parser.add_argument("--annotations", type=Path, help="COCO keypoints JSON or CSV of SOURCE")
    parser.add_argument("--limit", type=int, help="use only N pictures (of a data set: of each part, evenly spread)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of every row, seeds 0, 1 ... (default: 3)")
    parser.add_argument("--preset", default="quick", choices=tuple(PRESETS), help="(default: quick)")
    parser.add_argument("--roi", help="region of interest (default: annotations; what suits the data set)")
    parser.add_argument("--backbone", default="bundled", help="diffusion model (default: bundled)")
    parser.add_argument("--landmarks", type=int, default=10, help="K (default: 10)")
    parser.add_argument("--pose-clusters", type=int, default=5, help="Q (default: 5)")
    parser.add_argument("--poses", type=int, nargs="*", default=[], help="sweep: numbers of pose clusters")
    parser.add_argument("--counts", type=int, nargs="*", default=[], help="sweep: numbers of landmarks")
    parser.add_argument("--out", type=Path, help="folder of the runs, where a stopped study goes on")


def _evaluate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run's folder, or its id as shown by list")
    parser.add_argument("source", metavar="SOURCE", help="annotated pictures; " + SOURCE_HELP)
    parser.add_argument("--annotations", type=Path, help="COCO keypoints JSON or CSV")
    parser.add_argument("--roi", help="another region of interest than the run's")
    parser.add_argument("--protocol", default="box", help="evaluation protocol (default: box)")
    parser.add_argument("--limit", type=int, help="use only the first N pictures")
    parser.add_argument("--baselines", nargs="*", default=[], help="random-weights")
    parser.add_argument("--by", choices=("yaw",), help="show the errors for ranges of the annotated yaw as well")


def _predict_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run's folder, or its id as shown by list")
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("--roi", help="another region of interest than the run's")
    parser.add_argument("--annotations", type=Path, help="where the region comes from annotations")
    parser.add_argument("--format", default="coco", help="coco or csv (default: coco)")
    parser.add_argument("--limit", type=int, help="use only the first N pictures")
    parser.add_argument("--out", type=Path, help="the file to write (default: landmarks.coco.json or landmarks.csv)")
