"""How far could the network go over these features? The same network, taught with annotated places instead of labels.

    python -m benchmarks.supervised_ceiling --blocks 0 0,1,2

Heads of series 2 for training and the regressor, of series 3 for the error: other heads than those of the reported
figures. What self-training reaches cannot be expected to be better than this.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from uld_explorer import workflow
from uld_explorer.analysis.report import build_report
from uld_explorer.data.regions import crop_affines
from uld_explorer.events import drain
from uld_explorer.features.aggregation import to_pixels
from uld_explorer.landmarks.d_uldpp import PoseSettings
from uld_explorer.landmarks.detector import iter_fit_detector
from uld_explorer.landmarks.label_rounds import new_network
from uld_explorer.landmarks.looking import iter_load_backbone, iter_regions
from uld_explorer.landmarks.losses import apply_affine
from uld_explorer.landmarks.network import LandmarkNetwork
from uld_explorer.landmarks.placement import place, placement_loss
from uld_explorer.landmarks.places import find_places
from uld_explorer.landmarks.pose_rounds import prototypes
from uld_explorer.landmarks.stability import choose_steady
from uld_explorer.landmarks.view_maps import ViewMaps, iter_plain_maps, iter_view_maps, run_network
from uld_explorer.landmarks.zero_shot import ZeroShotSettings, context_of
from uld_explorer.types import ImageSet, Landmarks

VIEWS, BATCH = 4, 16


def main() -> None:
    """Print one row a choice of blocks and picture size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", nargs="+", default=["0", "0,1,2"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[80])
    parser.add_argument("--steps", nargs="+", type=int, default=[800])
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--points", type=int, default=10)
    args = parser.parse_args()
    train = workflow.open_images(f"demo:heads:{args.pictures}:2")
    test = workflow.open_images(f"demo:heads:{args.pictures // 2}:3")
    print("blocks", "picture", "steps", "forward", "backward", sep=" | ")
    for blocks in args.blocks:
        for size in args.sizes:
            settings = PoseSettings(roi="annotations", blocks=blocks, image_size=size, views=VIEWS)
            for steps in args.steps:
                forward, backward = taught(train, test, settings, steps, args.points)
                print(blocks, size, steps, f"{forward:.2f}", f"{backward:.2f}", sep=" | ", flush=True)
    zero_shot = untaught(train, test, args.points)
    print("ZeroShot", *(f"{error:.2f}" for error in zero_shot), sep=" | ")


def taught(train: ImageSet, test: ImageSet, settings: PoseSettings, steps: int, points: int) -> tuple[float, float]:
    """Forward and backward error after so many steps on the annotated places of the points farthest apart."""
    assert train.annotations is not None
    backbone = drain(iter_load_backbone(settings))
    regions = [drain(iter_regions(images, settings, backbone))[0] for images in (train, test)]
    data = drain(iter_view_maps(train, regions[0], settings, backbone))
    there = drain(iter_plain_maps(test, regions[1], settings, backbone, data.reduction))
    chosen = choose_steady(np.ones(train.annotations.xy.shape[1]), train.annotations.xy, points)
    truth = crop_units(train.annotations.xy[:, chosen], crop_affines(regions[0], context_of(regions[0], settings)))
    network, book = new_network(data, settings), prototypes(points, settings.descriptor)
    optimiser = torch.optim.Adam(network.parameters(), settings.rate)
    generator = torch.Generator().manual_seed(settings.seed)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = settings.rate * min(1.0, 2 * (1 - step / steps))
        loss = step_loss(network, data, truth, book, settings.temperature, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return errors(
        *((images, located(network, each, book, settings)) for images, each in ((train, data), (test, there)))
    )


def step_loss(
    network: LandmarkNetwork,
    data: ViewMaps,
    truth: np.ndarray,
    book: np.ndarray,
    temperature: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Error of the places in a random view of random pictures; mirrored views teach nothing about left and right."""
    rows = torch.randint(len(data), (BATCH,), generator=generator).numpy()
    view = torch.randint(data.count, (BATCH,), generator=generator).numpy()
    view = np.where(data.mirrored(rows, view), 0, view)
    _, volume = run_network(network, data, rows, view)
    placed = place(volume, data.tensor(book), temperature)
    target = apply_affine(data.transforms(rows, view), data.tensor(truth[rows]))
    return placement_loss(placed, target, ((target > 0) & (target < 1)).all(-1).float())


def crop_units(xy: np.ndarray, affines: np.ndarray) -> np.ndarray:
    """Pixels of the originals (N, P, 2) -> crop units, the inverse of `to_pixels`."""
    return np.stack([(p - a[:, 2]) @ np.linalg.inv(a[:, :2]).T for p, a in zip(xy, affines, strict=True)])


def located(network: LandmarkNetwork, data: ViewMaps, book: np.ndarray, settings: PoseSettings) -> Landmarks:
    """All landmarks of all pictures."""
    places = find_places(network, data, book, settings.temperature).points
    xy = np.stack([to_pixels(p, affine) for p, affine in zip(places, data.affines, strict=True)])
    everywhere = np.ones(xy.shape[:2], bool)
    return Landmarks(xy, everywhere, everywhere.astype(np.float32))


def untaught(train: ImageSet, test: ImageSet, points: int) -> tuple[float, float]:
    """ZeroShot's errors with its own settings."""
    settings = ZeroShotSettings(roi="annotations", landmarks=points)
    backbone = drain(iter_load_backbone(settings))
    detector, found = drain(iter_fit_detector(train, "zeroshot", settings, backbone))
    return errors((train, found.landmarks), (test, drain(detector.iter_predict(test, backbone=backbone)).landmarks))


def errors(trained: tuple[ImageSet, Landmarks], tested: tuple[ImageSet, Landmarks]) -> tuple[float, float]:
    """Forward and backward."""
    parts = []
    for images, landmarks in (trained, tested):
        assert images.annotations is not None
        parts += [landmarks, images.annotations, images.sizes]
    figures = build_report(*parts).figures
    return figures["forward_nme"] or 0.0, figures["backward_nme"] or 0.0


if __name__ == "__main__":
    main()
