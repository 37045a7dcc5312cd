"""A training step stays on the network's device: shown with fake tensors that know their device and refuse to mix.

No GPU is needed: a fake tensor has a shape, a type and a device, but no numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from tests.landmarks.test_pose_training import K, labels, settings
from tests.landmarks.test_pose_training import data as data
from uld_explorer.landmarks.label_rounds import new_network, weights_of
from uld_explorer.landmarks.placement import place
from uld_explorer.landmarks.pose_proxy import PoseVAE
from uld_explorer.landmarks.pose_training import PoseWeights, _place_losses, _proxy_losses
from uld_explorer.landmarks.self_training import Labelled, descriptor_loss, heat_map_loss, look
from uld_explorer.landmarks.view_maps import ViewMaps


class Away(ViewMaps):
    """The same maps, answered on another device."""

    def take(self, rows: np.ndarray, view: np.ndarray | int = 0) -> dict[str, torch.Tensor]:
        shapes = {name: values.shape for name, values in ViewMaps.take(self, rows, view).items()}
        return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        kind = torch.from_numpy(np.ascontiguousarray(array))
        dtype = torch.float32 if kind.is_floating_point() else kind.dtype
        return torch.empty(array.shape, dtype=dtype, device="meta")


@pytest.fixture()
def mode() -> FakeTensorMode:
    return FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())


ROWS, VIEW = np.array([0, 3, 0, 3]), np.array([0, 1, 1, 3])


def looked(data: ViewMaps) -> Labelled:
    """What a network on the other device makes of some views."""
    away = Away(data.maps, data.views, data.affines, data.inside)
    with torch.device("meta"):
        network = new_network(data, settings())
    return look(network, away, labels(data).found, np.arange(K), ROWS, VIEW)


def test_the_losses_of_d_uld_stay_on_the_device(data: ViewMaps, mode: FakeTensorMode) -> None:
    with mode:
        batch = looked(data)
        losses = [heat_map_loss(batch, 1.0)]
        losses.append(descriptor_loss(batch, weights_of(settings()), torch.Generator().manual_seed(0)))
        assert {value.device.type for value in losses} == {"meta"}


def test_the_losses_of_d_uldpp_stay_on_the_device(data: ViewMaps, mode: FakeTensorMode) -> None:
    away = Away(data.maps, data.views, data.affines, data.inside)
    weights = PoseWeights(weights_of(settings()), 1.0, 1.0, 0.05, 0.1, 0.5, 0.1)
    known = labels(data)
    with mode:
        with torch.device("meta"):
            network, vae = new_network(data, settings()), PoseVAE(24)
        batch = look(network, away, known.found, known.mirror, ROWS, VIEW)
        placed = place(batch.volume, away.tensor(known.codebook), 0.05)
        losses = _place_losses(placed, batch, away, known, weights, ROWS, VIEW)
        rng = torch.Generator().manual_seed(0)
        losses |= _proxy_losses(vae, placed, batch, away, known, weights, ROWS, rng)
        assert set(losses) == {"places", "agreement", "proxy", "poses"}
        assert {value.device.type for value in losses.values()} == {"meta"}


def test_what_stays_behind_is_noticed(data: ViewMaps, mode: FakeTensorMode) -> None:
    """The proof that the tests above could fail."""
    with mode:
        batch = looked(data)
        with pytest.raises(RuntimeError, match="device"):
            place(batch.volume, torch.ones(K, 64), 0.05)
