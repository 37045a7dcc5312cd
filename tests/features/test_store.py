"""The store answers what the backbone would have answered, asks it once a picture, and survives a killed process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.conftest import ColourBackbone, dotted_set
from tests.features.conftest import pixel_recipe
from uld_explorer.data.regions import crop_affines, whole_regions
from uld_explorer.events import drain
from uld_explorer.features import store
from uld_explorer.features.backbone import LayerSpec, load_backbone
from uld_explorer.features.store import FeatureMaps, iter_extract, read_crops, store_key
from uld_explorer.types import ImageSet, Regions

ROOT = Path(__file__).parents[2]
COUNT, BATCH = 7, 2


class TwoLayers(ColourBackbone):
    """Two layers; the second one of call number `stuck` never arrives, so that its process can be killed there."""

    def __init__(self, stuck: int | None = None) -> None:
        super().__init__()
        self.layers = (*self.layers, LayerSpec("up1@t20", 1, 20, 5, 12))
        self.calls, self.stuck = 0, stuck

    def maps(self, images: torch.Tensor, ids: Sequence[str], seed: int = 0) -> dict[str, torch.Tensor]:
        self.calls += 1
        maps = super().maps(images, ids, seed)
        second = F.avg_pool2d(maps["up0@t20"], 2)
        late: Any = _Never() if self.calls == self.stuck else second
        return maps | {"up1@t20": late}


class _Never:
    def cpu(self) -> None:
        print("stuck", flush=True)
        time.sleep(600)


def extract(images: ImageSet, backbone: ColourBackbone, batch: int = BATCH, seed: int = 0) -> FeatureMaps:
    return drain(iter_extract(images, whole_regions(images), backbone, seed=seed, batch=batch))


def extract_and_get_stuck(folder: str) -> None:
    """What the process that is killed does."""
    extract(dotted_set(Path(folder), COUNT), TwoLayers(stuck=3))


@pytest.fixture()
def images(tmp_path: Path, data_dir: Path) -> ImageSet:
    return dotted_set(tmp_path / "pictures", COUNT)


@pytest.fixture()
def undisturbed(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    with monkeypatch.context() as patch:
        patch.setenv("ULD_DATA_DIR", str(tmp_path / "elsewhere"))
        return {name: np.array(values) for name, values in extract(images, TwoLayers()).layers.items()}


def assert_same(maps: FeatureMaps, expected: dict[str, np.ndarray]) -> None:
    assert maps.layers.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(maps.layers[name], values)


def test_maps_are_those_of_the_backbone(images: ImageSet, tiny_ddpm: Path) -> None:
    backbone = load_backbone(pixel_recipe(tiny_ddpm), device="cpu")
    regions = Regions(np.tile([4.0, 6.0, 30.0, 20.0], (COUNT, 1)), np.linspace(-20, 20, COUNT))
    maps = drain(iter_extract(images, regions, backbone, seed=5, batch=3))
    affines = crop_affines(regions)
    np.testing.assert_array_equal(maps.affines, affines)
    direct = backbone.maps(read_crops(images, affines, range(COUNT), 32), images.ids, 5)
    assert list(maps.layers) == [layer.name for layer in backbone.layers]
    for name, values in direct.items():
        assert maps.layers[name].dtype == np.float16
        np.testing.assert_allclose(maps.layers[name], values.numpy(), rtol=2e-3, atol=2e-3)


def test_crops_are_read_in_minus_one_to_one(images: ImageSet) -> None:
    crops = read_crops(images, crop_affines(whole_regions(images)), [2], 48)
    assert crops.shape == (1, 3, 48, 48)
    assert -1 <= float(crops.min()) < float(crops.max()) <= 1
    assert float(crops[0, :, 0, 0].max()) == pytest.approx(128 / 127.5 - 1, abs=1e-6)


def test_the_second_time_no_backbone_is_asked(images: ImageSet) -> None:
    first, second = ColourBackbone(), ColourBackbone()
    maps = extract(images, first)
    assert first.seen == list(images.ids)
    assert_same(extract(images, second, batch=5), maps.layers)
    assert second.seen == []


def test_a_closed_extraction_goes_on_where_it_stopped(images: ImageSet, undisturbed: dict[str, np.ndarray]) -> None:
    stage = iter_extract(images, whole_regions(images), TwoLayers(), batch=BATCH)
    while next(stage).step < 4:
        pass
    stage.close()
    after = TwoLayers()
    assert_same(extract(images, after), undisturbed)
    assert after.seen == list(images.ids[4:])


def test_a_killed_extraction_goes_on_where_it_stopped(
    images: ImageSet, undisturbed: dict[str, np.ndarray], tmp_path: Path
) -> None:
    code = "import sys; from tests.features.test_store import *; extract_and_get_stuck(sys.argv[1])"
    argv = [sys.executable, "-c", code, str(tmp_path / "pictures")]
    with subprocess.Popen(argv, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    after = TwoLayers()
    assert_same(extract(images, after), undisturbed)
    assert after.seen == list(images.ids[4:])


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_damaged_layer_is_computed_again(
    images: ImageSet, undisturbed: dict[str, np.ndarray], data_dir: Path, damage: str
) -> None:
    extract(images, TwoLayers())
    (file,) = data_dir.rglob("up1@t20.npy")
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(b"" if damage == "empty" else content[:300])
    after = TwoLayers()
    assert_same(extract(images, after), undisturbed)
    assert after.seen == list(images.ids)


def test_an_unreadable_count_of_rows_means_none(images: ImageSet, data_dir: Path) -> None:
    extract(images, ColourBackbone())
    (record,) = data_dir.rglob("rows.json")
    assert json.loads(record.read_text()) == COUNT
    record.write_text("")
    after = ColourBackbone()
    extract(images, after)
    assert after.seen == list(images.ids)


def test_the_key_names_all_that_the_maps_depend_on(images: ImageSet, tiny_ddpm: Path) -> None:
    affines, backbone = crop_affines(whole_regions(images)), ColourBackbone()
    bigger = ColourBackbone()
    bigger.recipe = bigger.recipe.with_(image_size=96)
    moved = affines.copy()
    moved[3, 0, 2] += 0.01
    few = np.arange(3)
    keys = [
        store_key(images, affines, backbone, 0),
        store_key(images, affines, backbone, 1),
        store_key(images, moved, backbone, 0),
        store_key(images.take(few), affines[few], backbone, 0),
        store_key(replace(images, ids=images.ids[::-1]), affines, backbone, 0),
        store_key(images, affines, ColourBackbone(fingerprint="other"), 0),
        store_key(images, affines, bigger, 0),
    ]
    recipe = pixel_recipe(tiny_ddpm)
    for changed in (recipe, recipe.with_(blocks=[1]), recipe.with_(timesteps=[60]), recipe.with_(noise_draws=2)):
        keys.append(store_key(images, affines, load_backbone(changed, device="cpu"), 0))
    assert len(set(keys)) == len(keys)
    again = load_backbone(recipe, device="cpu")
    assert store_key(images, affines, again, 0) == keys[7]
    assert store_key(replace(images, names=images.names[::-1]), affines, backbone, 0) == keys[0]


def test_the_oldest_maps_go_first_and_the_current_ones_stay(
    images: ImageSet, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = data_dir / "cache" / "features"
    made = []
    for seed in range(3):
        extract(images, ColourBackbone(), seed=seed)
        made.append(next(folder for folder in shelf.iterdir() if folder not in made))
        os.utime(made[-1], (1000 + seed, 1000 + seed))
    size = sum(file.stat().st_size for file in made[0].iterdir())
    monkeypatch.setattr(store, "LIMIT_GB", 2.5 * size / 1e9)
    extract(images, ColourBackbone(), seed=0)
    assert set(shelf.iterdir()) == {made[0], made[2]}, "the one used just now is the newest, whenever it was made"
    monkeypatch.setattr(store, "LIMIT_GB", 0.0)
    extract(images, ColourBackbone(), seed=2)
    assert set(shelf.iterdir()) == {made[2]}
