"""Whole backbones through the real code: maps, early stop, noise, randomness, fingerprints, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.features.conftest import into_cache, latent_recipe, pictures, pixel_recipe
from uld_explorer.features.backbone import load_backbone
from uld_explorer.features.hooks import UNetBackbone, capture
from uld_explorer.features.noise import picture_noise
from uld_explorer.features.recipes import Recipe, resolve_recipe
from uld_explorer.types import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
IDS = ["a", "b", "c"]


def load(recipe: Recipe, **choices: Any) -> UNetBackbone:
    backbone = load_backbone(recipe, device="cpu", **choices)
    assert isinstance(backbone, UNetBackbone)
    return backbone


@pytest.fixture(params=["latent", "pixel"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    if request.param == "latent":
        return latent_recipe(request.getfixturevalue("tiny_sd"))
    return pixel_recipe(request.getfixturevalue("tiny_ddpm"))


def _same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_layers_tell_the_shapes(recipe: Recipe) -> None:
    every = replace(recipe, blocks=tuple(range(3 if recipe.kind == "pixel" else 4)), timesteps=(0, 20))
    backbone = load(every)
    maps = backbone.maps(pictures(2), ["a", "b"])
    assert list(maps) == [layer.name for layer in backbone.layers]
    for layer in backbone.layers:
        assert layer.name == f"up{layer.block}@t{layer.timestep}"
        assert maps[layer.name].shape == (2, layer.channels, layer.size, layer.size)
        assert maps[layer.name].dtype == torch.float32
        assert maps[layer.name].isfinite().all()


def test_stopping_early_changes_no_bit(recipe: Recipe) -> None:
    backbone = load(recipe)
    found: dict[int, torch.Tensor] = {}
    keep = [
        block.register_forward_hook(lambda _m, _i, out, i=i: found.__setitem__(i, out.clone()))
        for i, block in enumerate(backbone.unet.up_blocks)
    ]
    with torch.inference_mode():
        clean = backbone._encode(pictures(2))
        noisy = backbone._noisy(clean, IDS[:2], recipe.timesteps[0], 0)
        backbone._forward(noisy, recipe.timesteps[0])
    for handle in keep:
        handle.remove()
    assert len(found) > max(recipe.blocks) + 1
    maps = backbone.maps(pictures(2), IDS[:2])
    for block in recipe.blocks:
        assert torch.equal(maps[f"up{block}@t{recipe.timesteps[0]}"], found[block])


def test_later_blocks_are_not_computed_and_hooks_are_removed(recipe: Recipe) -> None:
    backbone = load(recipe)
    reached: list[int] = []
    backbone.unet.up_blocks[2].register_forward_pre_hook(lambda *_: reached.append(2))
    backbone.maps(pictures(1), ["a"])
    assert reached == []
    assert all(not block._forward_hooks for block in backbone.unet.up_blocks)


def test_hooks_are_removed_after_a_failure(recipe: Recipe) -> None:
    backbone = load(recipe)

    def fail() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        capture(backbone.unet, (0, 1), fail)
    assert all(not block._forward_hooks for block in backbone.unet.up_blocks)


def test_a_picture_does_not_depend_on_its_batch(recipe: Recipe) -> None:
    backbone = load(replace(recipe, noise_draws=2))
    together = backbone.maps(pictures(3), IDS)
    alone = backbone.maps(pictures(3)[[2, 0]], ["c", "a"])
    for name in together:
        torch.testing.assert_close(alone[name], together[name][[2, 0]], rtol=1e-4, atol=1e-5)


def test_the_same_call_gives_the_same_bits_and_the_seed_matters(recipe: Recipe) -> None:
    backbone = load(recipe)
    first = backbone.maps(pictures(2), IDS[:2])
    assert _same(first, backbone.maps(pictures(2), IDS[:2]))
    assert not _same(first, backbone.maps(pictures(2), IDS[:2], seed=1))
    assert not _same(first, backbone.maps(pictures(2), ["x", "y"]))


def test_draws_are_averaged(recipe: Recipe) -> None:
    backbone = load(replace(recipe, noise_draws=3))
    name = backbone.layers[0].name
    with torch.inference_mode():
        clean = backbone._encode(pictures(1))
        noisy = backbone._noisy(clean, ["a"], recipe.timesteps[0], 0)
        passes = [
            capture(backbone.unet, (0,), lambda x=x: backbone._forward(x[None], recipe.timesteps[0])) for x in noisy
        ]
    expected = torch.stack([found[0] for found in passes]).mean(0)
    torch.testing.assert_close(backbone.maps(pictures(1), ["a"])[name], expected.clone(), rtol=1e-4, atol=1e-5)


def test_the_noise_follows_the_schedule(tiny_ddpm: Path) -> None:
    from diffusers import DDPMScheduler

    backbone = load(pixel_recipe(tiny_ddpm, timesteps=(250,)))
    clean = pictures(2)
    noise = picture_noise(IDS[:2], (3, 32, 32), 250)
    expected = DDPMScheduler().add_noise(clean, noise, torch.tensor([250, 250]))
    torch.testing.assert_close(backbone._noisy(clean, IDS[:2], 250, 0), expected)


def test_maps_may_be_trained_on(recipe: Recipe) -> None:
    backbone = load(recipe)
    name, maps = backbone.layers[0].name, backbone.maps(pictures(1), ["a"])
    assert not maps[name].is_inference()
    weight = torch.ones(backbone.layers[0].channels, 1, 1, requires_grad=True)
    (weight * maps[name]).sum().backward()
    assert weight.grad is not None


def test_other_sizes_may_be_given(recipe: Recipe) -> None:
    backbone = load(recipe)
    layer = backbone.layers[0]
    assert backbone.maps(pictures(1, 64), ["a"])[layer.name].shape[-1] == 2 * layer.size


def test_half_precision_answers_float32(recipe: Recipe) -> None:
    whole, half = load(recipe), load(recipe, dtype="bfloat16")
    assert half.dtype == half.unet.dtype == torch.bfloat16
    first, second = whole.maps(pictures(1), ["a"]), half.maps(pictures(1), ["a"])
    for name in first:
        assert second[name].dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(first[name].flatten(), second[name].flatten(), dim=0) > 0.99


def test_random_weights_are_the_seed_s(recipe: Recipe) -> None:
    learned = load(recipe)
    before = torch.get_rng_state()
    first, again, other = (load(recipe, random_weights=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    maps = [backbone.maps(pictures(1), ["a"]) for backbone in (learned, first, again, other)]
    assert _same(maps[1], maps[2])
    assert not _same(maps[0], maps[1]) and not _same(maps[1], maps[3])
    assert first.fingerprint == again.fingerprint
    assert len({learned.fingerprint, first.fingerprint, other.fingerprint}) == 3


def test_loading_leaves_the_global_random_state(recipe: Recipe) -> None:
    before = torch.get_rng_state()
    load(recipe).maps(pictures(1), ["a"])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "change",
    [{"blocks": (0,)}, {"timesteps": (21,)}, {"image_size": 64}, {"noise_draws": 2}, {"clean": True}],
)
def test_every_number_counts_in_the_fingerprint(tiny_ddpm: Path, change: dict) -> None:
    base = pixel_recipe(tiny_ddpm)
    assert load(base).fingerprint == load(replace(base, name="other", note="words")).fingerprint
    assert load(base).fingerprint != load(replace(base, **change)).fingerprint
    assert load(base).fingerprint != load(base, dtype="bfloat16").fingerprint


def test_the_root_layout_answers_the_same(tiny_ddpm: Path, tiny_ddpm_root: Path) -> None:
    first, second = load(pixel_recipe(tiny_ddpm)), load(resolve_recipe(str(tiny_ddpm_root)).with_(blocks=(0, 1)))
    assert _same(first.maps(pictures(2), IDS[:2]), second.maps(pictures(2), IDS[:2]))


def test_the_fp16_variant_answers_nearly_the_same(tiny_sd: Path, tiny_sd_fp16: Path) -> None:
    first, second = (load(latent_recipe(folder)).maps(pictures(1), ["a"]) for folder in (tiny_sd, tiny_sd_fp16))
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0.05, atol=0.02)


def test_the_latent_is_the_scaled_mode_and_the_rest_is_dropped(tiny_sd: Path) -> None:
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    backbone: Any = load(latent_recipe(tiny_sd))
    vae = AutoencoderKL.from_pretrained(tiny_sd, subfolder="vae")
    pipe = StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)
    with torch.inference_mode():
        expected = vae.encode(pictures(1)).latent_dist.mode() * vae.config.scaling_factor
        assert torch.equal(backbone._encode(pictures(1)), expected)
        prompt, _ = pipe.encode_prompt("", "cpu", 1, False)
    torch.testing.assert_close(backbone.prompt, prompt)
    assert not hasattr(backbone.vae, "decoder")
    assert not any("text" in name or "token" in name for name in vars(backbone))


def test_kind_auto_is_read_from_the_index(tiny_sd: Path, tiny_ddpm: Path) -> None:
    kinds = [load(latent_recipe(folder, kind="auto")).factor for folder in (tiny_sd, tiny_ddpm)]
    assert kinds == [2, 1]


@pytest.fixture()
def cleandift(tiny_sd: Path, tmp_path: Path) -> Recipe:
    """A base without U-Net weights, and a bare state dict for it elsewhere."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file

    base = Path(shutil.copytree(tiny_sd, tmp_path / "base"))
    (base / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    unet = UNet2DConditionModel.from_pretrained(tiny_sd, subfolder="unet")
    (tmp_path / "weights").mkdir()
    changed = {key: (value * 1.5).contiguous() for key, value in unet.state_dict().items()}
    save_file(changed, tmp_path / "weights" / "clean_unet.safetensors")
    return latent_recipe(base, clean=True, unet_repo=str(tmp_path / "weights"), unet_file="clean_unet.safetensors")


def test_cleandift_replaces_the_unet_and_adds_no_noise(cleandift: Recipe, tiny_sd: Path) -> None:
    from diffusers import UNet2DConditionModel

    backbone = load(cleandift)
    expected = UNet2DConditionModel.from_pretrained(tiny_sd, subfolder="unet").state_dict()
    found = backbone.unet.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key] * 1.5) for key in expected)
    assert not any(parameter.is_meta for parameter in [*backbone.unet.parameters(), *backbone.unet.buffers()])
    first = backbone.maps(pictures(2), IDS[:2])
    assert _same(first, backbone.maps(pictures(2), ["x", "y"], seed=5))


def test_cleandift_weights_count_in_the_fingerprint(cleandift: Recipe) -> None:
    from safetensors.torch import load_file, save_file

    before = load(cleandift).fingerprint
    path = Path(cleandift.unet_repo or "") / (cleandift.unet_file or "")
    save_file({key: value * 2 for key, value in load_file(path).items()}, path)
    assert load(cleandift).fingerprint != before


def test_cleandift_from_the_hub(cleandift: Recipe, hub_cache: Path) -> None:
    base = into_cache(hub_cache, "some/base", COMMIT, Path(cleandift.repo))
    into_cache(hub_cache, "some/clean", COMMIT, Path(cleandift.unet_repo or ""))
    assert base.is_dir()
    hub = replace(cleandift, repo="some/base", revision=COMMIT, unet_repo="some/clean", unet_revision=COMMIT)
    assert _same(load(hub).maps(pictures(1), ["a"]), load(cleandift).maps(pictures(1), ["a"]))
    with pytest.raises(UserError, match="'some/other' could not be downloaded"):
        load(replace(hub, unet_repo="some/other"))


def _index(folder: Path, target: Path, change: Callable[[dict], dict]) -> Path:
    shutil.copytree(folder, target)
    path = target / "model_index.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    return target


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}, "XL"),
        ({"unet": None, "transformer": ["diffusers", "FluxTransformer2DModel"]}, "has no U-Net"),
    ],
)
def test_other_families_are_refused(tiny_sd: Path, tmp_path: Path, change: dict, words: str) -> None:
    folder = _index(tiny_sd, tmp_path / "other", lambda index: {**index, **change})
    with pytest.raises(UserError, match=words):
        load(latent_recipe(folder))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_size": 36}, "multiple of 16, such as 32"),
        ({"blocks": (0, 4)}, "up-blocks 0 to 3"),
        ({"timesteps": (1000,)}, "timesteps 0 to 999"),
    ],
)
def test_numbers_the_network_cannot_take(tiny_sd: Path, change: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load(latent_recipe(tiny_sd, **change))


@pytest.mark.parametrize("config", [{"in_channels": 6}, {"num_class_embeds": 10}])
def test_networks_that_want_more_than_a_picture(tiny_ddpm: Path, tmp_path: Path, config: dict) -> None:
    folder = Path(shutil.copytree(tiny_ddpm, tmp_path / "more"))
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    with pytest.raises(UserError, match="plain colour pictures"):
        load(pixel_recipe(folder))


def test_wrong_shapes_are_refused(tiny_ddpm: Path) -> None:
    backbone = load(pixel_recipe(tiny_ddpm))
    for images in (torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 64), torch.zeros(3, 32, 32), pictures(1, 30)):
        with pytest.raises(ValueError, match="images must be"):
            backbone.maps(images, ["a"])
    with pytest.raises(ValueError, match="need 2 ids"):
        backbone.maps(pictures(2), ["a"])


def test_the_hub_is_named_when_it_cannot_be_reached(hub_cache: Path) -> None:
    for name in ("sd15", "cleandift-sd21", "ddpm-celebahq"):
        with pytest.raises(UserError, match="Use --backbone bundled"):
            load_backbone(resolve_recipe(name), device="cpu")


def test_maps_lie_channel_after_channel(tiny_ddpm: Path) -> None:
    """Whatever order the U-Net works in: training on another one crashes the process."""
    backbone = load_backbone(pixel_recipe(tiny_ddpm))
    unet: Any = backbone
    unet.unet.to(memory_format=torch.channels_last)
    maps = backbone.maps(torch.zeros(2, 3, 32, 32), ["a", "b"])
    assert maps and all(values.is_contiguous() for values in maps.values())
