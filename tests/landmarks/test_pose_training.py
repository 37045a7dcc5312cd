"""Eq. 3 by hand, and the losses of a round on real views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer.data.regions import whole_regions
from uld_explorer.events import drain
from uld_explorer.landmarks.d_uldpp import PoseSettings
from uld_explorer.landmarks.label_rounds import new_network, weights_of
from uld_explorer.landmarks.pose_proxy import PoseVAE
from uld_explorer.landmarks.pose_rounds import prototypes
from uld_explorer.landmarks.pose_training import PoseLabels, PoseWeights, pose_contrast, pose_losses
from uld_explorer.landmarks.pseudo_labels import PseudoLabels
from uld_explorer.landmarks.view_maps import ViewMaps, iter_view_maps

K = 3


def test_codes_of_one_pose_attract_and_of_two_repel_to_the_margin() -> None:
    """Three unit codes: 0 and 1 of one pose at a right angle, 2 of another one opposite to 0."""
    code = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    root = 2**0.5
    pose = torch.tensor([0, 0, 1])
    assert pose_contrast(code, pose, 1.5).item() == pytest.approx(root + (1.5 - root) / 2, abs=1e-4)
    assert pose_contrast(code, torch.tensor([0, 1, 2]), 0.8).item() == pytest.approx(0, abs=1e-4)


@pytest.fixture()
def data(tmp_path: Path, data_dir: Path) -> ViewMaps:
    images = dotted_set(tmp_path / "pictures", 6)
    return drain(iter_view_maps(images, whole_regions(images), settings(), ColourBackbone()))


def settings() -> PoseSettings:
    return PoseSettings.from_json({"landmarks": K, "map_size": 24, "width": 16, "train_batch": 4})


def labels(data: ViewMaps) -> PoseLabels:
    points = np.random.default_rng(0).uniform(0.3, 0.7, (len(data), K, 2))
    present = np.ones((len(data), K), bool)
    found = PseudoLabels(points, present, present.astype(np.float32), np.zeros((len(data), K, 64), np.float32))
    pose = np.arange(len(data)) % 2
    return PoseLabels(found, points, present.astype(np.float32), pose, prototypes(K, 64), points.mean(0))


@pytest.mark.parametrize(("proxy", "poses"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.1)])
def test_every_loss_that_counts_is_there_and_has_a_gradient(data: ViewMaps, proxy: float, poses: float) -> None:
    network, vae = new_network(data, settings()), PoseVAE(24)
    weights = PoseWeights(weights_of(settings()), 1.0, 1.0, 0.05, proxy, 0.5, poses)
    losses = pose_losses(network, vae, data, labels(data), weights, torch.Generator().manual_seed(0))
    expected = {"heat map", "descriptors", "places", "agreement"}
    assert set(losses) == expected | ({"proxy"} if proxy else set()) | ({"poses"} if poses else set())
    torch.stack(list(losses.values())).sum().backward()
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in network.parameters())
    reached = any(value.grad is not None and value.grad.abs().sum() > 0 for value in vae.encoder.parameters())
    assert reached == bool(proxy or poses)


def test_prototypes_are_orthogonal_while_there_is_room() -> None:
    np.testing.assert_allclose(prototypes(20, 64) @ prototypes(20, 64).T, np.eye(20), atol=1e-5)
    many = prototypes(100, 64)
    assert many.shape == (100, 64) and np.abs(np.linalg.norm(many, axis=1) - 1).max() < 1e-5
