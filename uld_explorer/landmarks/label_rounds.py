"""D-ULD's alternation (paper 3.2): label the pictures by clustering, train on the labels, label again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from uld_explorer.events import Stage, note
from uld_explorer.features.aggregation import to_pixels
from uld_explorer.landmarks.clustering import kmeans
from uld_explorer.landmarks.d_uld import SelfTrained, SelfTrainingSettings, TrainingSettings
from uld_explorer.landmarks.kept_network import KeptNetwork
from uld_explorer.landmarks.network import LandmarkNetwork, NetworkShape
from uld_explorer.landmarks.pseudo_labels import (
    PseudoLabels,
    choose_exemplars,
    churn,
    describe_labels,
    find_candidates,
    mirror_map,
)
from uld_explorer.landmarks.self_training import Weights, bootstrap_losses, label_losses
from uld_explorer.landmarks.training import Steps, TrainingState, iter_steps
from uld_explorer.landmarks.view_maps import ViewMaps
from uld_explorer.landmarks.watching import landmarks_event, model_event, round_event, snapshot_event
from uld_explorer.types import Found, Keypoints, Landmarks


def new_state(folder: Path, data: ViewMaps, settings: SelfTrainingSettings) -> TrainingState:
    """A fresh network, or the one of the checkpoint in `folder`."""
    return TrainingState(folder, {"network": new_network(data, settings)}, data.device)


def new_network(data: ViewMaps, settings: TrainingSettings) -> LandmarkNetwork:
    """A network for these maps, initialised by the settings' seed."""
    shape = NetworkShape(data.layers, settings.map_size, settings.width, settings.width, settings.descriptor)
    generator = torch.random.get_rng_state()
    torch.manual_seed(settings.seed)
    network = LandmarkNetwork(shape)
    torch.random.set_rng_state(generator)
    return network


def network_of(state: TrainingState) -> LandmarkNetwork:
    """The state's network."""
    network = state.modules["network"]
    assert isinstance(network, LandmarkNetwork)
    return network


def iter_rounds(
    state: TrainingState, data: ViewMaps, settings: SelfTrainingSettings, first: Landmarks | None
) -> Stage[PseudoLabels]:
    """All rounds; the labels after the last one. `first`: where the first round's labels come from, if not from
    bootstrapped keypoints."""
    network = network_of(state)
    weights = weights_of(settings)
    if first is None:
        yield from iter_bootstrap(state, data, settings)
    for index in range(settings.rounds + 1):
        yield from _iter_label(state, data, settings, index, first)
        if index == settings.rounds or settled(state, settings, index):
            break
        labels, mirror = _read(state)
        losses = partial(label_losses, network, data, labels, mirror, weights)
        later = (settings.rounds - 1 - index) * settings.round_steps
        title = f"training, round {index + 1}"
        steps = Steps(f"round {index + 1}", title, settings.round_steps, settings.rate, later)
        yield from iter_steps(state, steps, network.parameters(), losses, settings.seed)
    return _read(state)[0]


def iter_bootstrap(state: TrainingState, data: ViewMaps, settings: TrainingSettings) -> Stage[None]:
    """Learn to find the same spots in two views of a picture (paper 3.2, SiLK)."""
    network = network_of(state)
    losses = partial(bootstrap_losses, network, data, settings.train_batch)
    later = settings.rounds * settings.round_steps
    steps = Steps("bootstrap", "bootstrapping", settings.bootstrap_steps, settings.rate, later)
    yield from iter_steps(state, steps, network.parameters(), losses, settings.seed)


def weights_of(settings: TrainingSettings) -> Weights:
    """The settings of the losses."""
    return Weights(settings.train_batch, settings.sigma, settings.margin, settings.contrast, settings.same_image)


def _iter_label(
    state: TrainingState, data: ViewMaps, settings: SelfTrainingSettings, index: int, first: Landmarks | None
) -> Stage[None]:
    """Labels of round `index` into the state, unless they are there already."""
    phase = f"labels {index + 1}"
    if phase in state.done:
        return
    before = _read(state)[0] if "points" in state.arrays else None
    if index == 0 and first is not None:
        labels, mirror = from_landmarks(first, data), np.full(settings.landmarks, -1)
    else:
        labels = cluster_labels(state, data, settings, settings.landmarks, before)
        mirror = mirror_map(network_of(state), data, labels, state.arrays["centroids"])
    changed = churn(before, labels)
    _write(state, labels, mirror)
    found = float(labels.present.mean())
    described = labels.descriptor if labels.descriptor.shape[-1] > 1 else None  # ZeroShot's are of other features
    network = network_of(state)
    yield round_event(index, network, data, labels.points, labels.present, described, churn=round(changed, 4))
    if "centroids" in state.arrays:
        yield model_event(to_model(state, data).to_tensors())
    found_now = found_in(labels, data).landmarks
    yield landmarks_event(found_now)
    if described is not None:
        yield snapshot_event(index, found_now.xy, found_now.present, described)
    state.finish(phase, churn=round(changed, 4), found=round(found, 4))
    yield note("training", f"Labels {index + 1}: {found:.0%} of landmarks found, {changed:.0%} of them new or moved")


def from_landmarks(first: Landmarks, data: ViewMaps) -> PseudoLabels:
    """ZeroShot's landmarks as labels.

    Differs from paper: which bootstraps keypoints first. Over features that already correspond, bootstrapped
    descriptors know less than the features they are made of.
    """
    linear = np.linalg.inv(data.affines[:, :, :2])
    points = np.einsum("nij,nkj->nki", linear, first.xy - data.affines[:, None, :, 2])
    return PseudoLabels(points, first.present, first.score, np.zeros((*first.present.shape, 1), np.float32))


def cluster_labels(
    state: TrainingState, data: ViewMaps, settings: TrainingSettings, count: int, before: PseudoLabels | None
) -> PseudoLabels:
    """K-means of the keypoints' descriptors into `count` clusters, and one exemplar each.

    Begun from the labels before, so that a landmark keeps its number. The centroids go into the state's arrays.
    """
    network = network_of(state)
    candidates = find_candidates(network, data, settings.keypoints, settings.window)
    threshold = settings.threshold if before is not None else 0.0
    start = None if before is None else describe_labels(network, data, before)
    usable = candidates.descriptor[candidates.usable(threshold)]
    centroids = kmeans(usable, count, seed=settings.seed, iterations=settings.iterations, start=start)
    state.arrays["centroids"] = centroids
    return choose_exemplars(candidates, centroids, threshold)


def settled(state: TrainingState, settings: TrainingSettings, index: int) -> bool:
    """Whether so few labels changed before round `index` that training may end."""
    last = next(entry for entry in reversed(state.history) if entry["phase"].startswith("labels"))
    return index > 0 and last["churn"] < settings.settled


def _write(state: TrainingState, labels: PseudoLabels, mirror: np.ndarray) -> None:
    state.arrays |= {
        "points": labels.points,
        "present": labels.present,
        "score": labels.score,
        "descriptor": labels.descriptor,
        "mirror": mirror,
    }


def _read(state: TrainingState) -> tuple[PseudoLabels, np.ndarray]:
    arrays = state.arrays
    labels = PseudoLabels(*(arrays[name] for name in ("points", "present", "score", "descriptor")))
    return labels, arrays["mirror"]


def to_model(state: TrainingState, data: ViewMaps) -> SelfTrained:
    """What is kept of a finished training."""
    network = KeptNetwork.of(network_of(state), data.reduction)
    return SelfTrained(network, state.arrays["centroids"], state.arrays["mirror"])


def locate(model: SelfTrained, data: ViewMaps, settings: SelfTrainingSettings) -> PseudoLabels:
    """The model's landmarks in view 0 of every picture."""
    candidates = find_candidates(model.network.build(data.device), data, settings.keypoints, settings.window)
    return choose_exemplars(candidates, model.centroids, settings.threshold)


def found_in(labels: PseudoLabels, data: ViewMaps) -> Found:
    """The labels as landmarks, in pixels of the original pictures."""
    xy = np.stack([to_pixels(points, affine) for points, affine in zip(labels.points, data.affines, strict=True)])
    image, label = np.nonzero(labels.present)
    descriptors = labels.descriptor[labels.present].astype(np.float32)
    keypoints = Keypoints(xy[labels.present], descriptors, label, image)
    return Found(Landmarks(xy, labels.present, labels.score), keypoints)
