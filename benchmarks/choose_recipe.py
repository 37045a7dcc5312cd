"""Which up-blocks, timesteps, picture size, context and clusters should be used with the bundled backbone?

    python -m benchmarks.choose_recipe

Measured on the rendered heads of series 2 (regressor) and 3 (error): other heads than those of the reported figures.
"""

from __future__ import annotations

import argparse
import itertools

from uld_explorer import workflow
from uld_explorer.analysis.report import build_report
from uld_explorer.events import drain
from uld_explorer.landmarks.detector import iter_fit_detector
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.landmarks.zero_shot import ZeroShotSettings


def main() -> None:
    """Print one row a combination."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", nargs="+", default=["0", "1", "0,1", "0,1,2"])
    parser.add_argument("--timesteps", nargs="+", default=["20", "100", "250"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64])
    parser.add_argument("--contexts", nargs="+", type=float, default=[0.0])
    parser.add_argument("--whitenings", nargs="+", type=float, default=[ZeroShotSettings().whitening])
    parser.add_argument("--oversegments", nargs="+", type=int, default=[ZeroShotSettings().oversegment])
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    train = workflow.open_images(f"demo:heads:{args.count}:2")
    test = workflow.open_images(f"demo:heads:{args.count}:3")
    names = ("blocks", "timesteps", "image_size", "context", "whitening", "oversegment")
    lists = (args.blocks, args.timesteps, args.sizes, args.contexts, args.whitenings, args.oversegments)
    print(*names, "forward", "backward", "found %", "forward / mean shape", sep=" | ")
    for values in itertools.product(*lists):
        settings = ZeroShotSettings(roi="annotations", restarts=3, **dict(zip(names, values, strict=True)))
        backbone = drain(iter_load_backbone(settings))
        detector, found = drain(iter_fit_detector(train, "zeroshot", settings, backbone))
        other = drain(detector.iter_predict(test, backbone=backbone))
        assert train.annotations is not None and test.annotations is not None
        figures = build_report(
            found.landmarks, train.annotations, train.sizes, other.landmarks, test.annotations, test.sizes
        ).figures
        forward, shape = figures["forward_nme"] or 0.0, figures["mean_shape_nme"] or 1.0
        errors = f"{forward:.2f} | {figures['backward_nme']:.2f} | {figures['detection_rate']:.1f}"
        print(*values, errors, f"{forward / shape:.3f}", sep=" | ", flush=True)


if __name__ == "__main__":
    main()
