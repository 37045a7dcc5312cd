"""The rounds of D-ULD++ (paper 3.3, Algorithms 1 and 2): train, learn poses, cluster pose by pose, label, train again.

Round 1 is D-ULD's, on ZeroShot's labels. Before each later one the pose proxy is trained on the heat maps, pictures
are clustered by their pose codes, and keypoints inside each pose. Round 2 is the paper's step 1 (ELBO), the rounds
after it are its step 2 (no decoder, Eq. 3), unless the decoder is asked for throughout.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import torch

from uld_explorer.events import Stage, note
from uld_explorer.features.aggregation import to_pixels
from uld_explorer.landmarks.d_uldpp import PROXY_COST, PoseSettings, PoseTrained
from uld_explorer.landmarks.kept_network import KeptNetwork, arrays_of, load_arrays
from uld_explorer.landmarks.label_rounds import (
    cluster_labels,
    from_landmarks,
    iter_bootstrap,
    network_of,
    new_network,
    settled,
    weights_of,
)
from uld_explorer.landmarks.losses import apply_affine, heat_maps
from uld_explorer.landmarks.places import Places, find_places, pose_codes, seen_places
from uld_explorer.landmarks.pose_proxy import PoseVAE
from uld_explorer.landmarks.pose_training import PoseLabels, PoseWeights, pose_losses, proxy_losses
from uld_explorer.landmarks.pseudo_labels import (
    PseudoLabels,
    churn,
    mirror_map,
)
from uld_explorer.landmarks.stability import choose_steady, unsteadiness
from uld_explorer.landmarks.training import Steps, TrainingState, iter_steps
from uld_explorer.landmarks.two_stage import PoseCodebooks, cluster_keypoints, cluster_poses
from uld_explorer.landmarks.upright import mean_layout, upright_maps, upright_transforms
from uld_explorer.landmarks.view_maps import ViewMaps
from uld_explorer.landmarks.watching import landmarks_event, model_event, round_event, snapshot_event
from uld_explorer.types import Found, Keypoints, Landmarks, PoseCodes

PROXY_BATCH = 32
RARE = 0.05
"""A landmark seen in a smaller share of pictures counts as seen in this one, when landmarks are chosen."""


def new_state(folder: Path, data: ViewMaps, settings: PoseSettings) -> TrainingState:
    """A fresh network and pose proxy, or those of the checkpoint in `folder`."""
    generator = torch.random.get_rng_state()
    torch.manual_seed(settings.seed)
    proxy = PoseVAE(settings.map_size, settings.latent)
    torch.random.set_rng_state(generator)
    return TrainingState(folder, {"network": new_network(data, settings), "proxy": proxy}, data.device)


def proxy_of(state: TrainingState) -> PoseVAE:
    """The state's pose proxy."""
    proxy = state.modules["proxy"]
    assert isinstance(proxy, PoseVAE)
    return proxy


def iter_rounds(
    state: TrainingState, data: ViewMaps, settings: PoseSettings, count: int, first: Landmarks | None
) -> Stage[None]:
    """All rounds, from the `count` landmarks that ZeroShot found, or as many clusters of bootstrapped keypoints."""
    network, proxy = network_of(state), proxy_of(state)
    if first is None:
        yield from iter_bootstrap(state, data, settings)
    for index in range(settings.rounds + 1):
        if index == 0:
            yield from _iter_first_labels(state, data, settings, count, first)
        else:
            yield from _iter_proxy(state, data, settings, index)
            yield from _iter_label(state, data, settings, index)
        if index == settings.rounds or settled(state, settings, index):
            break
        labels = _read(state)
        losses = partial(pose_losses, network, proxy, data, labels, _weights(settings, index))
        title, later = f"training, round {index + 1}", _later(settings, index + 1) - settings.round_steps
        steps = Steps(f"round {index + 1}", title, settings.round_steps, settings.rate, later)
        trained = [*network.parameters(), *proxy.parameters()]
        yield from iter_steps(state, steps, trained, losses, settings.seed)


def _later(settings: PoseSettings, number: int) -> float:
    """How long round `number`, from 1, and all that follows it take, in steps of the network."""
    rounds = settings.rounds - number + 1
    return rounds * (settings.round_steps + PROXY_COST * settings.proxy_steps)


def _weights(settings: PoseSettings, index: int) -> PoseWeights:
    """Which losses count in round `index`, from 0."""
    rebuilds = index >= 1 and (settings.decoder or index == 1)
    contrasts = index >= 2 and not settings.decoder
    return PoseWeights(
        weights_of(settings),
        settings.placement,
        settings.agreement,
        settings.temperature,
        settings.elbo if rebuilds else 0.0,
        settings.beta,
        settings.pose_contrast if contrasts else 0.0,
    )


# ---------------------------------------------------------------- labels


def _iter_first_labels(
    state: TrainingState, data: ViewMaps, settings: PoseSettings, count: int, first: Landmarks | None
) -> Stage[None]:
    """The first labels, which teach where things are in every round; what is seen is found anew."""
    if "labels 1" in state.done:
        return
    found = from_landmarks(first, data) if first else cluster_labels(state, data, settings, count, None)
    codebook = prototypes(count, network_of(state).shape.descriptor)
    points = np.nan_to_num(found.points, nan=0.5)
    none = np.full(len(data), 0)
    layout = np.full((count, 2), 0.5)  # nobody needs one before poses are learned
    labels = PoseLabels(found, points, found.present.astype(np.float32), none, codebook, layout)
    _write(state, labels)
    state.arrays["first"] = np.where(found.present[..., None], found.points, np.nan)
    state.finish("labels 1", churn=1.0, found=round(float(found.present.mean()), 4))
    source = "among bootstrapped keypoints" if first is None else "by ZeroShot"
    yield note("training", f"Labels 1: {found.present.mean():.0%} of {count} candidate landmarks found {source}")


def prototypes(count: int, length: int) -> np.ndarray:
    """(M, D) unit float32: directions that stand for the landmarks, orthogonal while there is room for that.

    Differs from paper: which moves the centroids of all keypoints every round. With many candidates the centroids of
    noisy labels draw together round by round; descriptors that are trained towards fixed directions cannot.
    """
    rows = np.random.default_rng(0).standard_normal((count, length))
    if count <= length:
        rows = np.linalg.qr(rows.T)[0].T
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _iter_proxy(state: TrainingState, data: ViewMaps, settings: PoseSettings, index: int) -> Stage[None]:
    """Train the pose proxy on heat maps set upright (paper 3.3.1), the network frozen."""
    phase = f"proxy {index}"
    if phase in state.done:
        return
    labels = _read(state)
    places = find_places(network_of(state), data, labels.codebook, settings.temperature)
    layout = mean_layout(torch.from_numpy(places.points).float())
    transform = upright_transforms(torch.from_numpy(places.points).float(), layout)
    heat = upright_maps(torch.from_numpy(places.heat), transform)
    points = apply_affine(transform, torch.from_numpy(places.points).float())
    present = torch.from_numpy(labels.found.present).float()
    target = heat_maps(points, present, heat.shape[-1], settings.sigma)
    proxy = proxy_of(state)
    losses = partial(proxy_losses, proxy, heat.to(data.device), target.to(data.device), PROXY_BATCH, settings.beta)
    title, later = f"learning poses, round {index}", _later(settings, index + 1) / PROXY_COST
    steps = Steps(phase, title, settings.proxy_steps, settings.proxy_rate, later)
    yield from iter_steps(state, steps, proxy.parameters(), losses, settings.seed)


def _iter_label(state: TrainingState, data: ViewMaps, settings: PoseSettings, index: int) -> Stage[None]:
    """Labels of the round after `index`: keypoints, clustered in the pictures of one pose, near their places."""
    phase = f"labels {index + 1}"
    if phase in state.done:
        return
    before = _read(state)
    labels, descriptor, codes = _label(state, data, settings, before)
    changed = churn(before.found, labels.found)
    _write(state, labels)
    sizes = np.bincount(labels.pose, minlength=settings.pose_clusters).tolist()
    found, figures = labels.found, {"churn": round(changed, 4), "pose_sizes": sizes}
    network = network_of(state)
    yield round_event(index, network, data, found.points, found.present, descriptor, labels.pose, **figures)
    model = to_model(state, data, settings)
    yield model_event(model.to_tensors())
    yield landmarks_event(locate(model, data, settings).landmarks)
    yield snapshot_event(index, _pixels(found.points, data), found.present, descriptor, codes)
    share = float(found.present.mean())
    state.finish(phase, churn=round(changed, 4), found=round(share, 4), pose_sizes=sizes)
    text = f"Labels {index + 1}: {share:.0%} of landmarks seen, {changed:.0%} of them new or moved"
    yield note("training", f"{text}; pose clusters of {', '.join(map(str, sizes))} pictures")


def _label(
    state: TrainingState, data: ViewMaps, settings: PoseSettings, before: PoseLabels
) -> tuple[PoseLabels, np.ndarray, np.ndarray]:
    """New labels, their descriptors (N, M, D) and the pose codes (N, L)."""
    network = network_of(state)
    places = find_places(network, data, before.codebook, settings.temperature)
    layout = mean_layout(torch.from_numpy(places.points).float()).numpy()
    codes = pose_codes(proxy_of(state), places, layout)
    poses = cluster_poses(codes, settings.pose_clusters, settings.seed, state.arrays.get("poses"))
    pose = PoseCodebooks(poses, before.codebook, before.codebook[None]).pose_of(codes)
    by_pose = _cluster(places, pose, before.codebook, settings)
    state.arrays |= {"poses": poses, "by_pose": by_pose}
    seen = seen_places(places, by_pose[pose], settings.threshold)
    found = PseudoLabels(np.where(seen[..., None], places.points, np.nan), seen, places.height, places.descriptor)
    known = np.isfinite(state.arrays["first"]).all(-1)
    points = np.where(known[..., None], state.arrays["first"], 0.5)
    trust = known.astype(np.float32)
    return PoseLabels(found, points, trust, pose, before.codebook, layout), places.descriptor, codes


def _cluster(places: Places, pose: np.ndarray, codebook: np.ndarray, settings: PoseSettings) -> np.ndarray:
    """(Q, M, D): clusters of the keypoints of each pose; with one stage only, of all poses, Q times the same."""
    usable, count = places.height > settings.threshold, settings.pose_clusters
    if settings.two_stage:
        start = np.repeat(codebook[None], count, 0)
        return cluster_keypoints(places.descriptor, usable, pose, codebook, count, settings.seed, start)
    nowhere = np.zeros(len(pose), np.int64)
    book = cluster_keypoints(places.descriptor, usable, nowhere, codebook, 1, settings.seed, codebook[None])
    return np.repeat(book, count, 0)


# ---------------------------------------------------------------- the checkpoint's arrays

_FOUND = tuple(field.name for field in fields(PseudoLabels))
_LABELS = tuple(field.name for field in fields(PoseLabels) if field.name != "found")


def _write(state: TrainingState, labels: PoseLabels) -> None:
    state.arrays |= {f"found.{name}": getattr(labels.found, name) for name in _FOUND}
    state.arrays |= {f"label.{name}": getattr(labels, name) for name in _LABELS}


def _read(state: TrainingState) -> PoseLabels:
    found = PseudoLabels(*(state.arrays[f"found.{name}"] for name in _FOUND))
    return PoseLabels(found, *(state.arrays[f"label.{name}"] for name in _LABELS))


# ---------------------------------------------------------------- the model


def to_model(state: TrainingState, data: ViewMaps, settings: PoseSettings) -> PoseTrained:
    """What is kept of a finished training: of the candidates, the K steadiest over the views are chosen."""
    network, labels = network_of(state), _read(state)
    plain = [view for view in range(data.count) if not data.views.mirrored[:, view].any()]
    places = [find_places(network, data, labels.codebook, settings.temperature, view).points for view in plain]
    cost = unsteadiness(np.stack(places)) / np.maximum(labels.found.present.mean(0), RARE)
    return PoseTrained(
        KeptNetwork.of(network, data.reduction),
        arrays_of(proxy_of(state)),
        labels.codebook,
        state.arrays["by_pose"],
        state.arrays["poses"],
        labels.layout,
        choose_steady(cost, places[0], settings.landmarks, settings.apart),
        cost,
        mirror_map(network, data, labels.found, labels.codebook),
    )


def locate(model: PoseTrained, data: ViewMaps, settings: PoseSettings) -> Found:
    """The model's landmarks in view 0 of every picture; those that are only placed where the settings ask for them.

    Places come first; they set the heat map upright, from which the pose code comes, hence the pose and its clusters.
    A landmark is seen where the heat map is high and the place is of the landmark's cluster in that pose.
    """
    network = model.network.build(data.device)
    proxy = PoseVAE(network.shape.cells, model.poses.shape[1])
    load_arrays(proxy, model.proxy)
    proxy.to(data.device)
    places = find_places(network, data, model.codebook, settings.temperature)
    codes = pose_codes(proxy, places, model.layout)
    pose = PoseCodebooks(model.poses, model.codebook, model.by_pose).pose_of(codes)
    seen = seen_places(places, model.by_pose[pose], settings.threshold)
    score = (places.descriptor * model.codebook).sum(2)
    kept = model.chosen
    xy = _pixels(places.points, data)[:, kept]
    landmarks = _landmarks(xy, seen[:, kept], score[:, kept], settings.complete)
    return Found(landmarks, _keypoints(xy, seen[:, kept], places.descriptor[:, kept]), PoseCodes(codes, pose))


def _pixels(points: np.ndarray, data: ViewMaps) -> np.ndarray:
    """Crop units (N, M, 2) -> pixels of the original pictures."""
    return np.stack([to_pixels(p, affine) for p, affine in zip(points, data.affines, strict=True)])


def _landmarks(xy: np.ndarray, seen: np.ndarray, score: np.ndarray, complete: bool) -> Landmarks:
    present = np.ones_like(seen) if complete else seen
    known = np.where(present, score, 0).astype(np.float32)
    return Landmarks(np.where(present[..., None], xy, np.nan), present, known, present & ~seen)


def _keypoints(xy: np.ndarray, seen: np.ndarray, descriptor: np.ndarray) -> Keypoints:
    """The landmarks that are seen; all where none is."""
    described = seen if seen.any() else np.ones_like(seen)
    image, label = np.nonzero(described)
    return Keypoints(xy[described], descriptor[described].astype(np.float32), label, image)
