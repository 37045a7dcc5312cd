"""Does the health figure of a landmark's passport, made without annotations, tell what annotations would say?

    python -m benchmarks.health --count 300 --landmarks 20 --seeds 3

Prints Spearman's rank correlation of health with each landmark's backward error (annotated points predict the landmark:
an error it should fall with), over the landmarks of a run, for several seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from uld_explorer import workflow
from uld_explorer.analysis.passports import passports
from uld_explorer.editing import found_in
from uld_explorer.landmarks.methods import get_method
from uld_explorer.runs import create_run


def correlation(count: int, landmarks: int, method: str, seed: int, parent: Path) -> float:
    """Of health with the backward error, over the landmarks of one run on rendered heads."""
    images = workflow.open_images(f"demo:heads:{count}:0")
    settings = get_method(method).settings.from_json({"landmarks": landmarks, "roi": "annotations", "seed": seed})
    run = create_run(parent, folder=parent / f"{method}-{seed}")
    *_, report = workflow.drain(workflow.iter_discover(images, method, settings, run))
    found = found_in(run)
    assert found is not None
    figures = passports(found, np.array(report.tables["consistency_by_landmark"]))
    return float(spearmanr([each.health for each in figures], report.tables["backward_by_point"]).statistic)


def main() -> None:
    """Print the correlations, their mean and their spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="pictures (default: 300)")
    parser.add_argument("--landmarks", type=int, default=20, help="K (default: 20)")
    parser.add_argument("--method", default="zeroshot", help="(default: zeroshot)")
    parser.add_argument("--seeds", type=int, default=3, help="runs (default: 3)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        values = [
            correlation(args.count, args.landmarks, args.method, seed, Path(parent)) for seed in range(args.seeds)
        ]
    print(f"rank correlation of health and backward error: {', '.join(f'{value:.2f}' for value in values)}")
    print(f"mean {np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}")


if __name__ == "__main__":
    main()
