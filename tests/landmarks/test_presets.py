"""Presets fit every method's settings, and `paper` has the paper's numbers."""

from __future__ import annotations

import pytest

from uld_explorer.landmarks.methods import METHODS
from uld_explorer.landmarks.presets import PRESETS, preset_values
from uld_explorer.types import UserError


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("method", METHODS)
def test_every_preset_is_within_the_bounds_of_every_method(method: str, name: str) -> None:
    settings = METHODS[method].settings
    values = preset_values(name, settings)
    assert settings.from_json(values).to_json() == settings().to_json() | values


def test_no_preset_changes_what_does_not_train() -> None:
    assert all(preset_values(name, METHODS["zeroshot"].settings) == {} for name in PRESETS)


def test_the_schedule_of_the_paper() -> None:
    first = preset_values("paper", METHODS["duld"].settings)
    assert (first["bootstrap_steps"], first["rounds"] * first["round_steps"], first["rate"]) == (50_000, 100_000, 1e-4)
    last = preset_values("paper", METHODS["duldpp"].settings)
    assert (last["latent"], last["proxy_steps"], last["proxy_rate"], last["rate"]) == (64, 50_000, 5e-5, 5e-4)
    assert (last["pose_clusters"], last["margin"], last["same_image"]) == (10, 0.8, False)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UserError, match="no preset 'slow': use quick, standard, paper"):
        preset_values("slow", METHODS["duld"].settings)
