"""The trained network: shapes, equal weights at the start, every part learns."""

from __future__ import annotations

import pytest
import torch

from uld_explorer.landmarks.network import LandmarkNetwork, NetworkShape, block_of, norm

SHAPE = NetworkShape({"up0@t20": 20, "up0@t100": 20, "up1@t20": 12}, cells=16, bottleneck=8, width=12, descriptor=6)


def maps(batch: int = 2) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    sizes = {"up0@t20": (20, 8), "up0@t100": (20, 8), "up1@t20": (12, 16)}
    return {name: torch.randn(batch, c, s, s, generator=rng) for name, (c, s) in sizes.items()}


def test_shapes_and_unit_descriptors() -> None:
    heat, volume = LandmarkNetwork(SHAPE)(maps())
    assert heat.shape == (2, 16, 16) and volume.shape == (2, 6, 16, 16)
    assert torch.allclose(volume.norm(dim=1), torch.ones(2, 16, 16), atol=1e-5)


def test_mixing_weights_start_equal_and_sum_to_one() -> None:
    weights = LandmarkNetwork(SHAPE).aggregation.mixing_weights()
    assert set(weights) == set(SHAPE.layers)
    assert list(weights.values()) == pytest.approx([1 / 3] * 3)


def test_a_layers_bottleneck_is_shared_over_timesteps() -> None:
    network = LandmarkNetwork(SHAPE)
    assert sorted(network.aggregation.bottlenecks) == ["up0", "up1"]
    assert block_of("up0@t100") == "up0"


def test_every_weight_gets_a_gradient() -> None:
    network = LandmarkNetwork(SHAPE)
    heat, volume = network(maps())
    (heat.square().mean() + volume[:, 0].mean()).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or float(p.grad.abs().sum()) == 0]
    assert silent == []


def test_the_answer_does_not_depend_on_the_batch() -> None:
    network, both = LandmarkNetwork(SHAPE), maps()
    together, alone = network(both)[1], network({k: v[1:] for k, v in both.items()})[1]
    assert torch.allclose(together[1:], alone, atol=1e-5)


def test_features_may_have_any_scale() -> None:
    network, one = LandmarkNetwork(SHAPE), maps()
    larger = {k: 50 * v for k, v in one.items()}
    assert torch.allclose(network(one)[0], network(larger)[0], atol=1e-2)


@pytest.mark.parametrize(("channels", "groups"), [(96, 32), (112, 16), (20, 4), (7, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert norm(channels).num_groups == groups
