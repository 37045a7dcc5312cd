"""The table of recipes, and recipes made for folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uld_explorer.features.recipes import RECIPES, Recipe, resolve_recipe
from uld_explorer.types import UserError


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_complete(name: str) -> None:
    recipe = resolve_recipe(name)
    assert recipe.name == name
    assert recipe.note and recipe.licence
    assert recipe.image_size % 16 == 0
    assert recipe.is_local == (name == "bundled")
    assert recipe.is_local or recipe.revision
    assert (recipe.unet_repo is None) == (recipe.unet_file is None) == (not recipe.clean)


def test_the_unofficial_mirror_is_named_as_such() -> None:
    for recipe in RECIPES.values():
        assert ("unofficial" in recipe.note) == recipe.repo.startswith("sd2-community/")


def test_the_bundled_folder_lies_in_the_assets() -> None:
    assert Path(RECIPES["bundled"].source).parts[-2:] == ("assets", "backbone")


def test_with_changes_numbers_and_keeps_the_rest() -> None:
    changed = RECIPES["sd15"].with_(blocks=[2, 1, 2], timesteps=[50], image_size=256, noise_draws=3)
    assert (changed.blocks, changed.timesteps, changed.image_size, changed.noise_draws) == ((1, 2), (50,), 256, 3)
    assert changed.repo == RECIPES["sd15"].repo
    assert RECIPES["sd15"].with_() == RECIPES["sd15"]
    assert RECIPES["sd15"].with_(blocks=[], timesteps=(), image_size=0, noise_draws=0) == RECIPES["sd15"]


@pytest.mark.parametrize("bad", [{"blocks": [-1]}, {"timesteps": [-5]}, {"image_size": -8}, {"noise_draws": -1}])
def test_impossible_numbers_are_refused(bad: dict) -> None:
    with pytest.raises(UserError):
        RECIPES["sd15"].with_(**bad)


def test_a_recipe_needs_a_block() -> None:
    with pytest.raises(UserError, match="up-block"):
        Recipe("x", "a/b", "auto", 64, (), (20,))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError) as error:
        resolve_recipe("no-such-backbone")
    assert all(name in str(error.value) for name in RECIPES)


def test_a_latent_folder(tiny_sd: Path) -> None:
    recipe = resolve_recipe(str(tiny_sd))
    assert (recipe.name, recipe.kind, recipe.image_size) == ("tiny-sd", "latent", 32)
    assert recipe.is_local and recipe.source == str(tiny_sd)
    assert (recipe.blocks, recipe.timesteps) == ((0, 1, 2), (261,))


@pytest.mark.parametrize("layout", ["tiny_ddpm", "tiny_ddpm_root"])
def test_a_pixel_folder(layout: str, request: pytest.FixtureRequest) -> None:
    recipe = resolve_recipe(str(request.getfixturevalue(layout)))
    assert (recipe.kind, recipe.image_size, recipe.timesteps) == ("pixel", 32, (20,))


def test_a_relative_folder_becomes_absolute(tiny_ddpm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_ddpm.parent)
    assert resolve_recipe("tiny-ddpm").source == str(tiny_ddpm)


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"_class_name": "CLIPModel", "block_out_channels": [1]}'])
def test_other_folders_are_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match="no diffusion backbone"):
        resolve_recipe(str(tmp_path))


def test_importing_the_room_imports_no_heavy_library() -> None:
    code = (
        "import sys; from uld_explorer.features import backbone, device, loading, noise, recipes; "
        "print([m for m in ('torch', 'diffusers', 'transformers', 'huggingface_hub') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
