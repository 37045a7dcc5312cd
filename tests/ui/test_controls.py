"""Every setting has a control, and nothing but proper values gets from a browser into a run's settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
import pytest

from uld_explorer.features.recipes import RECIPES
from uld_explorer.landmarks.looking import ROI_CHOICES
from uld_explorer.landmarks.methods import METHODS
from uld_explorer.types import UserError
from uld_explorer.ui.controls import build_controls, fit_controls, on_space, settings_from

DEFAULTS = {field.name: field.default for field in dataclasses.fields(METHODS["zeroshot"].settings)}
WHOLE = [name for name, value in DEFAULTS.items() if type(value) is int]
BROKEN = [name for name, value in DEFAULTS.items() if type(value) is float]
TEXT = [name for name, value in DEFAULTS.items() if isinstance(value, str)]
SWITCH = [name for name, value in DEFAULTS.items() if isinstance(value, bool)]


def chosen(**values: Any) -> Any:
    """The settings when the visitor has changed these controls."""
    merged = DEFAULTS | values
    return settings_from("zeroshot", list(merged), list(merged.values()))


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_has_a_control_that_holds_its_default(method: str) -> None:
    """Left alone, the page asks for what the command line asks for."""
    with gr.Blocks():
        controls = build_controls(method)
    names = {field.name for field in dataclasses.fields(METHODS[method].settings)}
    assert {name for name, control in controls.items() if control.visible} == names
    values = [control.value for control in controls.values()]
    assert settings_from(method, list(controls), values) == METHODS[method].settings()
    assert all(control.label for control in controls.values())


def test_whole_numbers_may_come_as_broken_ones() -> None:
    """A browser knows one kind of number."""
    settings = chosen(landmarks=12.0, roi_margin=1)
    assert settings.landmarks == 12 and type(settings.landmarks) is int
    assert settings.roi_margin == 1.0 and type(settings.roi_margin) is float


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [None, "7", [], {}, True, 7.5, float("nan"), float("inf"), -1, 2**40])
def test_a_whole_number_takes_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(UserError):
        chosen(**{name: value})


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("value", [None, "0.1", [0.1], False, float("nan"), float("-inf"), -0.1, 100.0])
def test_a_number_takes_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(UserError):
        chosen(**{name: value})


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("value", [None, 3, True, ["whole"], {"a": 1}])
def test_a_text_takes_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(UserError):
        chosen(**{name: value})


@pytest.mark.parametrize("name", SWITCH)
@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_a_switch_takes_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(UserError):
        chosen(**{name: value})


@pytest.mark.parametrize("value", ["/etc", "../backbone", ".", "", "bundled/../..", "someone/model"])
def test_a_browser_cannot_name_a_folder_as_diffusion_model(value: str) -> None:
    """The command line may; a visitor would reach into the server, or have it download anything."""
    with pytest.raises(UserError, match="from the lists"):
        chosen(backbone=value)


@pytest.mark.parametrize("value", ["/etc/passwd", "../boxes.csv", "boxes.json", ""])
def test_a_browser_cannot_name_a_file_as_region(value: str) -> None:
    with pytest.raises(UserError, match="from the lists"):
        chosen(roi=value)


def test_everything_in_the_lists_is_accepted() -> None:
    assert [chosen(backbone=name).backbone for name in RECIPES] == list(RECIPES)
    assert [chosen(roi=name).roi for name in ROI_CHOICES] == list(ROI_CHOICES)


def test_settings_of_other_methods_are_passed_over() -> None:
    values = [*DEFAULTS.values(), "x", -5]
    assert settings_from("zeroshot", [*DEFAULTS, "__class__", "rounds"], values) == METHODS["zeroshot"].settings()


@pytest.mark.parametrize("name", ["magic", "", None])
def test_an_unknown_method_is_refused(name: Any) -> None:
    with pytest.raises(UserError, match="method from the list"):
        settings_from(name, list(DEFAULTS), list(DEFAULTS.values()))


def test_a_method_shows_its_own_settings_and_a_preset_fills_them_in() -> None:
    with gr.Blocks():
        names = list(build_controls())
    for method, preset, rounds in (("duld", "quick", 2), ("duldpp", "quick", 3), ("duldpp", "standard", 5)):
        first, *rest = fit_controls(method, preset)
        updates = dict(zip(names, rest, strict=True))
        assert first["visible"] and updates["rounds"]["visible"] and updates["rounds"]["value"] == rounds
        assert updates["pose_clusters"]["visible"] == (method == "duldpp")
        assert "value" not in updates["landmarks"] and "value" not in updates["roi"], "chosen by the visitor"
    first, *rest = fit_controls("zeroshot", "quick")
    assert not first["visible"] and not dict(zip(names, rest, strict=True))["rounds"]["visible"]


def test_a_shared_machine_trains_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    values = METHODS["duld"].settings().to_json() | {"rounds": 5, "round_steps": 1000}
    assert settings_from("duld", list(values), list(values.values()))
    monkeypatch.setenv("SPACE_ID", "someone/uld-explorer")
    with pytest.raises(UserError, match="At most 2000 training steps"):
        settings_from("duld", list(values), list(values.values()))
    with pytest.raises(UserError, match="from the lists"):
        fit_controls("duld", "paper")


def test_a_space_is_known_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert not on_space()
    monkeypatch.setenv("SPACE_ID", "someone/uld-explorer")
    assert on_space()
