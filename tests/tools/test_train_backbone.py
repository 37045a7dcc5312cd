"""The training of the bundled backbone: every weight learns, losses and crops are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tools.denoiser import build_scheduler, noise_levels
from tools.train_backbone import Trainer, draw_views, export
from tools.training_pictures import PATCH, SIZE, draw_batch, random_crops
from tools.turned_heads import Pool, Surface

CELLS = SIZE // PATCH


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path, torch.device("cpu"), 1e-3)


def patches(count: int) -> torch.Tensor:
    return torch.randn(count, 3 * PATCH**2, CELLS, CELLS, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)


@pytest.mark.parametrize("with_views", [False, True])
def test_every_weight_gets_a_gradient(trainer: Trainer, with_views: bool) -> None:
    """A compiler once cut all but the sharpest block out of the backward pass, and the loss still fell."""
    rng = torch.Generator().manual_seed(0)
    pictures = [torch.randint(0, 255, (6, 3, 80, 80), dtype=torch.uint8, generator=rng) for _ in range(2)]
    pairs = draw_views([Pool(p, Surface.flat(6), 3) for p in pictures], rng, 1.0) if with_views else None
    losses = trainer.update(patches(2), rng, pairs)
    assert len(losses) == (3 if with_views else 1) and np.isfinite(losses).all()
    # The bias of an attention's keys shifts all its scores alike: its gradient is truly zero.
    silent = [
        name
        for name, value in trainer.unet.named_parameters()
        if not name.endswith("to_k.bias") and (value.grad is None or float(value.grad.abs().max()) == 0)
    ]
    assert silent == []


def test_the_loss_falls_on_one_batch(trainer: Trainer) -> None:
    x = patches(4) * 0.2
    losses = [trainer.update(x, torch.Generator().manual_seed(0))[0] for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]


def test_a_checkpoint_brings_everything_back(trainer: Trainer, tmp_path: Path) -> None:
    x = patches(2)
    trainer.update(x, torch.Generator().manual_seed(0))
    trainer.save()
    again = Trainer(tmp_path, torch.device("cpu"), 1e-3)
    assert again.step == 1
    rng = torch.Generator().manual_seed
    assert again.update(x, rng(1)) == trainer.update(x, rng(1))
    for name, value in trainer.average.items():
        assert torch.equal(value, again.average[name]), name


def test_hidden_blocks_are_at_the_highest_noise_and_the_rest_at_its_own() -> None:
    scheduler = build_scheduler()
    t = torch.full((64,), 20)
    levels = noise_levels(t, scheduler, torch.Generator().manual_seed(0))
    seen, hidden = float(scheduler.alphas_cumprod[20]), float(scheduler.alphas_cumprod[-1])
    assert set(levels.unique().tolist()) == {seen, hidden}
    share = (levels == hidden).float().mean((1, 2, 3))
    assert 0.25 < float((share > 0).float().mean()) < 0.75, "about half of the pictures have hidden blocks"


def test_an_unturned_crop_of_the_whole_is_the_picture() -> None:
    rng = torch.Generator().manual_seed(1)
    flat = torch.full((3, 3, 80, 80), 200, dtype=torch.uint8)
    crops = random_crops(flat, rng, 0.5, 1.0)
    assert crops.shape == (3, 3, SIZE, SIZE)
    assert torch.allclose(crops, torch.full_like(crops, 200 / 127.5 - 1), atol=1e-5)


def test_a_batch_is_drawn_from_both_pools_alike() -> None:
    pools = [torch.zeros(2, 3, 80, 80, dtype=torch.uint8), torch.full((2, 3, 80, 80), 255, dtype=torch.uint8)]
    first = draw_batch(pools, 8, torch.Generator().manual_seed(3))
    assert first.shape == (8, 3 * PATCH**2, CELLS, CELLS)
    assert torch.equal(first, draw_batch(pools, 8, torch.Generator().manual_seed(3)))
    assert float(first[:4].max()) < 0 < float(first[4:].min())


@pytest.mark.slow
def test_the_export_is_a_diffusers_folder_of_safetensors(trainer: Trainer, tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    out = tmp_path / "exported"
    export(trainer, out, patches(2))
    assert all((out / name).stat().st_size > 1000 for name in ("samples.jpg", "denoised.jpg"))
    assert not list(out.rglob("*.bin")) and list(out.rglob("*.safetensors"))
    read = UNet2DModel.from_pretrained(out / "unet")
    name, value = next(iter(trainer.average.items()))
    assert np.allclose(read.state_dict()[name].numpy(), value.numpy(), atol=1e-3)
