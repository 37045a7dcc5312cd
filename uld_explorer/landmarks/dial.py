"""The pose dial: from a point in the space of poses to the heat map that the pose proxy sees there (paper 3.3.1)."""

from __future__ import annotations

import numpy as np

from uld_explorer.landmarks.d_uldpp import PoseTrained
from uld_explorer.landmarks.kept_network import load_arrays


def decode_poses(model: PoseTrained, codes: np.ndarray) -> np.ndarray:
    """(B, cells, cells) float32 in 0...1: clean heat maps of pose codes (B, L), upright on the mean layout."""
    import torch

    from uld_explorer.landmarks.pose_proxy import PoseVAE

    proxy = PoseVAE(int(model.network.shape[0]), model.poses.shape[1])
    load_arrays(proxy, model.proxy)
    with torch.no_grad():
        return proxy.decode(torch.from_numpy(np.asarray(codes, np.float32))).sigmoid().numpy()
