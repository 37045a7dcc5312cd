"""Tiny networks, built once a session on the spot: no weights are committed and no hub is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from uld_explorer.features.recipes import Recipe


@pytest.fixture(scope="package", autouse=True)
def offline() -> Iterator[None]:
    """Offline for these tests only, whether or not the hub library is already imported."""
    import huggingface_hub.constants

    patch = pytest.MonkeyPatch()
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    patch.delenv("SPACES_ZERO_GPU", raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion of some 300 thousand weights, in diffusers format; 4 up-blocks, VAE factor 2."""
    folder = tmp_path_factory.mktemp("networks") / "tiny-sd"
    _stable_diffusion(_tokenizer(folder.parent / "words")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_sd_fp16(tiny_sd: Path) -> Path:
    """The same weights in the fp16 variant only."""
    from diffusers import StableDiffusionPipeline

    folder = tiny_sd.with_name("tiny-sd-fp16")
    pipe = StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)
    pipe.to(torch.float16).save_pretrained(folder, variant="fp16")
    return folder


@pytest.fixture(scope="session")
def tiny_ddpm_root(tiny_ddpm: Path) -> Path:
    """The same with every file at the root, as google/ddpm-* have them."""
    folder = tiny_ddpm.with_name("tiny-ddpm-root")
    folder.mkdir()
    for path in tiny_ddpm.rglob("*.*"):
        shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture()
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub library."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def into_cache(cache: Path, repo: str, commit: str, folder: Path) -> Path:
    """Lay out a folder as if it had been downloaded from the hub."""
    home = cache / f"models--{repo.replace('/', '--')}"
    target = home / "snapshots" / commit
    shutil.copytree(folder, target)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    return target


def latent_recipe(folder: Path, **changes: object) -> Recipe:
    """A recipe for the tiny Stable Diffusion."""
    numbers: dict[str, object] = {"kind": "latent", "image_size": 32, "blocks": (0, 1), "timesteps": (261,)}
    return Recipe(name="tiny", repo=str(folder), **{**numbers, **changes})  # type: ignore[arg-type]


def pixel_recipe(folder: Path, **changes: object) -> Recipe:
    """A recipe for the tiny DDPM."""
    numbers: dict[str, object] = {"kind": "pixel", "image_size": 32, "blocks": (0, 1), "timesteps": (20,)}
    return Recipe(name="tiny", repo=str(folder), **{**numbers, **changes})  # type: ignore[arg-type]


def pictures(count: int, side: int = 32) -> torch.Tensor:
    """(count, 3, side, side) in -1...1, always the same."""
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(7)) * 2 - 1


def _tokenizer(folder: Path):
    """A CLIP tokenizer of single bytes: 256 symbols, the same ending a word, and the two marks."""
    from transformers import CLIPTokenizer

    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(code) for code in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def _stable_diffusion(tokenizer):
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StableDiffusionPipeline(
            vae=AutoencoderKL(
                block_out_channels=(16, 32),
                down_block_types=("DownEncoderBlock2D",) * 2,
                up_block_types=("UpDecoderBlock2D",) * 2,
                latent_channels=4,
                norm_num_groups=8,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=514,
                    hidden_size=32,
                    intermediate_size=37,
                    num_hidden_layers=2,
                    num_attention_heads=4,
                    max_position_embeddings=77,
                    bos_token_id=512,
                    eos_token_id=513,
                    pad_token_id=513,
                )
            ),
            tokenizer=tokenizer,
            unet=UNet2DConditionModel(
                sample_size=16,
                block_out_channels=(32, 32, 64, 64),
                layers_per_block=1,
                cross_attention_dim=32,
                attention_head_dim=8,
                norm_num_groups=8,
                down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
                up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
            ),
            scheduler=DDIMScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
