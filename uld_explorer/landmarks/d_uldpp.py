"""D-ULD++ (paper 3.3): self-training that knows how the thing is turned, and where its hidden landmarks are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from uld_explorer.events import Stage, note
from uld_explorer.features.backbone import Backbone
from uld_explorer.landmarks import zero_shot
from uld_explorer.landmarks.d_uld import TrainingSettings
from uld_explorer.landmarks.kept_network import KeptNetwork
from uld_explorer.landmarks.tensors import under
from uld_explorer.settings import setting
from uld_explorer.types import Found, ImageSet, Regions, UserError

MOST = 100
"""Landmarks that are ever trained at once."""
PROXY_COST = 1 / 8
"""How long a step of the pose proxy alone takes, against one of the network; measured on two cores."""

DECODER = "train with the pose proxy's decoder (ELBO) throughout, instead of pose codes' contrast"
TWO_STAGE = "cluster keypoints pose by pose, instead of all together"


@dataclass(frozen=True)
class PoseSettings(TrainingSettings):
    """The settings of training, and those of poses. The paper's ablations are other defaults of the same settings."""

    pose_clusters: int = setting(5, "pose clusters (Q)", low=1, high=100, basic=True)
    two_stage: bool = setting(True, TWO_STAGE)
    decoder: bool = setting(False, DECODER)
    complete: bool = setting(True, "answer landmarks that are not seen too, where they must be, marked as guessed")
    candidates: int = setting(3, "landmarks trained for each one that is kept; the steadiest are kept", low=1, high=10)
    rounds: int = setting(3, "rounds of labelling and training", low=1, high=1000)
    apart: float = setting(
        1.5, "how much it counts that the landmarks kept lie apart, beside steadiness", low=0.0, high=10.0
    )
    proxy_steps: int = setting(200, "steps of the pose proxy alone before a round", low=1, high=1_000_000)
    proxy_rate: float = setting(1e-3, "learning rate of the pose proxy alone", low=1e-7, high=1.0)
    latent: int = setting(64, "length of a pose code", low=2, high=1024)
    beta: float = setting(0.5, "weight of the divergence in the pose proxy's ELBO", low=0.0, high=100.0)
    elbo: float = setting(0.02, "weight of the ELBO while the network is trained", low=0.0, high=100.0)
    pose_contrast: float = setting(0.3, "weight of the contrast of pose codes (Eq. 3)", low=0.0, high=100.0)
    placement: float = setting(30.0, "weight of the error of landmarks' places", low=0.0, high=1000.0)
    agreement: float = setting(30.0, "weight of the difference of places between views", low=0.0, high=1000.0)
    temperature: float = setting(0.05, "of the soft-max that places are read from", low=0.01, high=1.0)


@dataclass(frozen=True)
class ProxySettings(PoseSettings):
    """D-ULD with the pose proxy (paper, Table 2: PP)."""

    two_stage: bool = setting(False, TWO_STAGE)
    decoder: bool = setting(True, DECODER)


@dataclass(frozen=True)
class FullProxySettings(PoseSettings):
    """D-ULD with two-stage clustering and the full autoencoder (paper, Table 2: TSC)."""

    decoder: bool = setting(True, DECODER)


@dataclass(frozen=True)
class PoseTrained:
    """What D-ULD++ learned, M landmarks, of which K are answered.

    network   with its weights
    proxy     name -> array, the pose proxy's weights
    codebook  (M, D) unit float32, what stands for each landmark in any pose
    by_pose   (Q, M, D) unit; row m of each is landmark m as it looks in that pose: the map of Q x M clusters to M
    poses     (Q, L) centres of the pose clusters
    layout    (M, 2) the mean layout, upright
    chosen    (K,) int64, the landmarks that are answered, steadiest first
    unsteady  (M,) what they were chosen by: `stability.unsteadiness` over the share of pictures they are seen in
    mirror    (M,) int64, the landmark that each one becomes in a mirrored picture; -1 unknown
    """

    network: KeptNetwork
    proxy: dict[str, np.ndarray]
    codebook: np.ndarray
    by_pose: np.ndarray
    poses: np.ndarray
    layout: np.ndarray
    chosen: np.ndarray
    unsteady: np.ndarray
    mirror: np.ndarray

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a safetensors file."""
        arrays = self.network.to_tensors() | {f"proxy.{name}": value for name, value in self.proxy.items()}
        return arrays | {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> PoseTrained:
        """The inverse of `to_tensors`."""
        arrays = (tensors[name] for name in _ARRAYS)
        return cls(KeptNetwork.from_tensors(tensors), under(tensors, "proxy."), *arrays)


_ARRAYS = ("codebook", "by_pose", "poses", "layout", "chosen", "unsteady", "mirror")


def iter_fit(
    images: ImageSet, regions: Regions, settings: PoseSettings, backbone: Backbone
) -> Stage[tuple[PoseTrained, Found]]:
    """Discover landmarks by rounds of labelling by pose and training. A killed fit goes on where it stopped.

    Raises:
        UserError: too few pixels or keypoints for the clusters.
    """
    from uld_explorer.landmarks import pose_rounds
    from uld_explorer.landmarks.checkpoints import checkpoint
    from uld_explorer.landmarks.view_maps import iter_view_maps

    if len(images) < settings.pose_clusters:
        raise UserError(f"{len(images)} pictures cannot form {settings.pose_clusters} pose clusters: use fewer.")
    many, first = _candidates(regions, settings), None
    if settings.start == "zeroshot":
        _, found = yield from zero_shot.iter_fit(images, regions, replace(settings, landmarks=many), backbone)
        first = found.landmarks
    data = yield from iter_view_maps(images, regions, settings, backbone)
    with checkpoint(data, settings) as folder:
        state = pose_rounds.new_state(folder, data, settings)
        if state.done or state.step:
            yield note("training", "Going on from the last checkpoint")
        yield from pose_rounds.iter_rounds(state, data, settings, many, first)
        model = pose_rounds.to_model(state, data, settings)
        return model, pose_rounds.locate(model, data, settings)


def _candidates(regions: Regions, settings: PoseSettings) -> int:
    """M: as many as asked for, while ZeroShot has descriptors enough to find them."""
    cells = zero_shot.search_cells(regions, settings).sum((1, 2))
    enough = int(np.minimum(cells, settings.pixels).sum()) // zero_shot.FEWEST
    return max(settings.landmarks, min(settings.landmarks * settings.candidates, MOST, enough))


def iter_predict(
    images: ImageSet, regions: Regions, settings: PoseSettings, backbone: Backbone, model: PoseTrained
) -> Stage[Found]:
    """Find the model's landmarks on other pictures: places, pose, keypoints by that pose's clusters."""
    from uld_explorer.landmarks import pose_rounds
    from uld_explorer.landmarks.view_maps import iter_plain_maps

    data = yield from iter_plain_maps(images, regions, settings, backbone, model.network.reduction)
    return pose_rounds.locate(model, data, settings)
