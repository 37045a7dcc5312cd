"""What training reads: reduced maps keep what matters, exact ones are the diffusion model's own, both train alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ColourBackbone, dotted_set
from uld_explorer.data.regions import whole_regions
from uld_explorer.events import drain
from uld_explorer.landmarks.d_uld import SelfTrained, SelfTrainingSettings, iter_fit, iter_predict
from uld_explorer.landmarks.view_maps import ViewMaps, iter_plain_maps, iter_view_maps
from uld_explorer.types import ImageSet

SMALL = {"landmarks": 3, "map_size": 24, "batch": 4, "rounds": 1, "round_steps": 20, "width": 16, "train_batch": 4}


def settings(**changes: object) -> SelfTrainingSettings:
    return SelfTrainingSettings.from_json(SMALL | changes)


@pytest.fixture()
def images(tmp_path: Path, data_dir: Path) -> ImageSet:
    return dotted_set(tmp_path / "pictures", 6)


def views(images: ImageSet, backbone: ColourBackbone | None = None, **changes: object) -> ViewMaps:
    return drain(iter_view_maps(images, whole_regions(images), settings(**changes), backbone or ColourBackbone()))


def test_exact_maps_are_the_stored_ones_before_rounding(images: ImageSet) -> None:
    rows, view = np.array([0, 4, 2]), np.array([0, 3, 2])
    stored, exact = views(images).take(rows, view), views(images, exact=True).take(rows, view)
    assert stored.keys() == exact.keys()
    for name, values in exact.items():
        torch.testing.assert_close(stored[name], values, atol=2e-3, rtol=2e-3)
        assert not torch.equal(stored[name], values), "the store rounds to half precision"


def test_exact_maps_ask_the_backbone_every_time(images: ImageSet) -> None:
    backbone = ColourBackbone()
    data = views(images, backbone, exact=True)
    assert backbone.seen == []
    for _ in range(2):
        data.take(np.array([1, 3]))
    assert backbone.seen == [images.ids[1], images.ids[3]] * 2


def test_a_wide_layer_is_reduced_to_its_principal_components(images: ImageSet) -> None:
    """Five channels hold what four do: the blue and green of grey pictures differ by what the dots say only."""
    whole, reduced = views(images), views(images, channels=4)
    assert whole.reduction is None and reduced.reduction is not None
    assert whole.layers == {"up0@t20": 5} and reduced.layers == {"up0@t20": 4}
    rows = np.arange(6)
    full, few = whole.take(rows)["up0@t20"], reduced.take(rows)["up0@t20"]
    mean = torch.from_numpy(reduced.reduction.means["up0@t20"])[None, :, None, None]
    axes = torch.from_numpy(reduced.reduction.projections["up0@t20"])
    back = torch.einsum("bdhw,cd->bchw", few, axes) + mean
    lost = (full - back).square().mean() / (full - mean).square().mean()
    assert 0 <= lost < 0.05, "what is lost is the weakest component"


def test_a_reduced_model_predicts_what_it_found_and_survives_a_file(images: ImageSet) -> None:
    chosen, regions = settings(channels=4), whole_regions(images)
    model, found = drain(iter_fit(images, regions, chosen, ColourBackbone()))
    again = SelfTrained.from_tensors(model.to_tensors())
    assert again.network.reduction is not None
    predicted = drain(iter_predict(images, regions, chosen, ColourBackbone(), again))
    np.testing.assert_array_equal(predicted.landmarks.present, found.landmarks.present)
    np.testing.assert_allclose(predicted.landmarks.xy, found.landmarks.xy, atol=0.2)
    plain = drain(iter_plain_maps(images, regions, chosen, ColourBackbone(), again.network.reduction))
    assert plain.layers == {"up0@t20": 4}


def test_exact_training_finds_about_the_same(images: ImageSet) -> None:
    regions = whole_regions(images)
    stored, exact = (
        drain(iter_fit(images, regions, settings(exact=exact), ColourBackbone()))[1].landmarks
        for exact in (False, True)
    )
    assert (stored.present == exact.present).mean() > 0.8
    both = stored.present & exact.present
    assert np.median(np.linalg.norm(stored.xy - exact.xy, axis=-1)[both]) < 1


def test_another_reduction_is_another_folder_of_the_store(images: ImageSet) -> None:
    keys = {views(images).maps.key, views(images, channels=4).maps.key, views(images, channels=5).maps.key}
    assert len(keys) == 2, "five channels need no reduction to five"
    assert views(replace(images, ids=tuple(f"{i}x" for i in images.ids))).maps.key not in keys
