"""A trained network as plain arrays, enough to build it again: what the models of self-training have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uld_explorer.features.aggregation import Aggregation
from uld_explorer.landmarks.tensors import under

if TYPE_CHECKING:
    import torch
    from torch import nn

    from uld_explorer.landmarks.network import LandmarkNetwork


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """A copy of a module's weights by name."""
    return {name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}


def load_arrays(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """The inverse of `arrays_of`, into a module of the same form."""
    import torch

    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})


@dataclass(frozen=True)
class KeptNetwork:
    """A `LandmarkNetwork` without torch.

    weights  name -> array
    layers   layer name -> channels it was built for
    shape    (4,) int64: cells, bottleneck, width, descriptor of its `NetworkShape`
    reduction  what the maps that it reads are reduced by; None: nothing
    """

    weights: dict[str, np.ndarray]
    layers: dict[str, int]
    shape: np.ndarray
    reduction: Aggregation | None = None

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a safetensors file."""
        arrays = {f"network.{name}": value for name, value in self.weights.items()}
        arrays |= {f"layer.{name}": np.array([channels]) for name, channels in self.layers.items()}
        if self.reduction is not None:
            arrays |= {f"reduction.{name}": value for name, value in self.reduction.to_tensors().items()}
        return arrays | {"shape": self.shape}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> KeptNetwork:
        """The inverse of `to_tensors`; other names are passed over."""
        layers = {name: int(value[0]) for name, value in under(tensors, "layer.").items()}
        reduction = under(tensors, "reduction.")
        known = Aggregation.from_tensors(reduction) if reduction else None
        return cls(under(tensors, "network."), layers, tensors["shape"], known)

    @classmethod
    def of(cls, network: LandmarkNetwork, reduction: Aggregation | None) -> KeptNetwork:
        """A copy of the network as it is now."""
        shape = network.shape
        sizes = np.array([shape.cells, shape.bottleneck, shape.width, shape.descriptor])
        return cls(arrays_of(network), shape.layers, sizes, reduction)

    def build(self, device: torch.device) -> LandmarkNetwork:
        """The network again, on a device."""
        from uld_explorer.landmarks.network import LandmarkNetwork, NetworkShape

        network = LandmarkNetwork(NetworkShape(self.layers, *(int(size) for size in self.shape)))
        load_arrays(network, self.weights)
        return network.to(device)
