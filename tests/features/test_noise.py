"""A picture's noise belongs to the picture."""

from __future__ import annotations

import torch

from uld_explorer.features.noise import picture_noise

SHAPE = (4, 8, 8)


def test_a_picture_keeps_its_noise_in_any_batch() -> None:
    together = picture_noise(["a", "b", "c"], SHAPE, 261)
    assert torch.equal(picture_noise(["c", "a"], SHAPE, 261), together[[2, 0]])


def test_everything_that_names_the_noise_changes_it() -> None:
    base = picture_noise(["a"], SHAPE, 20, 0, 0)
    others = [(["b"], 20, 0, 0), (["a"], 21, 0, 0), (["a"], 20, 1, 0), (["a"], 20, 0, 1)]
    for ids, timestep, draw, seed in others:
        assert not torch.equal(picture_noise(ids, SHAPE, timestep, draw, seed), base)


def test_it_is_standard_normal_float32_on_the_cpu() -> None:
    noise = picture_noise(["a", "b"], (3, 128, 128), 20)
    assert (noise.shape, noise.dtype, noise.device.type) == ((2, 3, 128, 128), torch.float32, "cpu")
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02


def test_no_picture_no_noise() -> None:
    assert picture_noise([], SHAPE, 20).shape == (0, *SHAPE)


def test_the_global_random_state_is_untouched() -> None:
    before = torch.get_rng_state()
    picture_noise(["a"], SHAPE, 20)
    assert torch.equal(torch.get_rng_state(), before)
