"""Which up-blocks, timesteps, picture size and context should the bundled recipe use?

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
    parser.add_argument("--contexts", nargs="+", type=float, default=[0.5])
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    train = workflow.open_images(f"demo:heads:{args.count}:2")
    test = workflow.open_images(f"demo:heads:{args.count}:3")
    print("blocks  t    size  context  forward  backward  found %  forward / mean shape")
    for blocks, t, size, context in itertools.product(args.blocks, args.timesteps, args.sizes, args.contexts):
        settings = ZeroShotSettings(
            roi="annotations", blocks=blocks, timesteps=t, image_size=size, context=context, restarts=3
        )
        backbone = drain(iter_load_backbone(settings))
        detector, found = drain(iter_fit_detector(train, "zeroshot", settings, backbone))
        other = drain(detector.iter_predict(test, backbone=backbone))
        assert train.annotations is not None and test.annotations is not None
        figures = build_report(
            found.landmarks, train.annotations, train.sizes, other.landmarks, test.annotations, test.sizes
        ).figures
        forward, shape = figures["forward_nme"] or 0.0, figures["mean_shape_nme"] or 1.0
        print(
            f"{blocks:7} {t:4} {size:4} {context:8g} {forward:8.2f} {figures['backward_nme'] or 0:9.2f}"
            f" {figures['detection_rate'] or 0:8.1f} {forward / shape:8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
