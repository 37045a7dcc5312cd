"""The choices of a run as page controls: one per dataclass field, from the field's own help, bounds and choices."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

import gradio as gr

from uld_explorer.features.recipes import RECIPES
from uld_explorer.landmarks.looking import ROI_CHOICES
from uld_explorer.landmarks.methods import METHODS
from uld_explorer.landmarks.presets import PRESETS, preset_values
from uld_explorer.settings import RunSettings
from uld_explorer.types import UserError

LABELS = {
    "landmarks": "Landmarks",
    "pose_clusters": "Pose clusters",
    "backbone": "Diffusion model",
    "roi": "Where to look",
    "seed": "Seed",
}
ROI_LABELS = {
    "whole": "the whole picture",
    "foreground": "the foreground (estimated)",
    "annotations": "the annotated boxes",
}
PRESET_INFO = (
    "quick: minutes on two cores. standard: finer and many times longer, for a GPU. paper: the paper's schedule."
)
MOST_LANDMARKS = 30
SPACE_STEPS = 2000
SPACE_MOST = {"views": 8, "train_batch": 32, "width": 128, "descriptor": 128, "map_size": 64}
"""What a visitor may ask for where many share one machine."""


def on_space() -> bool:
    """Whether the page runs as a public Space, where visitors share one machine."""
    return bool(os.environ.get("SPACE_ID"))


METHOD_CHOICES = [(METHODS[name].title, name) for name in ("zeroshot", "duld", "duldpp")]
"""The ablations of the paper are for the command line."""
METHOD_INFO = (
    "ZeroShot: seconds. D-ULD: trains a detector, minutes. "
    "D-ULD++: minutes; also learns poses, and places landmarks that are hidden."
)


def presets() -> list[str]:
    """The presets that a visitor may choose: on a shared machine only the one that takes minutes."""
    return ["quick"] if on_space() else list(PRESETS)


def build_controls(method: str = "zeroshot") -> dict[str, Any]:
    """A control for every setting of any method on the page, the basic ones first, the rest folded away.

    Only those of `method` can be seen. Call it inside a layout.
    """
    own = _fields(method)
    fields = [own.get(name, field) for name, field in _every_field().items()]
    controls = {field.name: _control(field, field.name in own) for field in fields if field.metadata.get("basic")}
    with gr.Accordion("More settings", open=False):
        rest = [field for field in fields if not field.metadata.get("basic")]
        controls |= {field.name: _control(field, field.name in own) for field in rest}
    return controls


def field_names(method: str) -> set[str]:
    """Names of the method's settings."""
    return set(_fields(method))


def _fields(method: str) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(METHODS[method].settings)}


def _every_field() -> dict[str, dataclasses.Field[Any]]:
    """Field name -> field of all methods on the page, in the order of their controls: the basic ones first."""
    every = {name: field for _, method in METHOD_CHOICES for name, field in _fields(method).items()}
    return dict(sorted(every.items(), key=lambda item: not item[1].metadata.get("basic")))


def fit_controls(method: str, preset: str) -> list[Any]:
    """Updates of the preset control and of all others: which can be seen, and what training's settings are.

    What has nothing to do with training keeps what the visitor chose. Anything can arrive from a browser.
    """
    if method not in METHODS or preset not in presets():
        raise UserError("Choose the method and the training from the lists.")
    own, plain = _fields(method), _fields("zeroshot")
    values = preset_values(preset, METHODS[method].settings)
    touched = {name for each in PRESETS.values() for name in each}
    updates = [gr.update(visible=len(own) > len(plain))]
    for name in _every_field():
        update: dict[str, Any] = {"visible": name in own}
        if name in own and (name not in plain or name in touched):
            update["value"] = values.get(name, own[name].default)
        updates.append(gr.update(**update))
    return updates


def _control(field: dataclasses.Field[Any], visible: bool) -> Any:
    default: Any = field.default
    help_text = field.metadata["help"]
    label = LABELS.get(field.name, field.name.replace("_", " ").capitalize())
    if field.name == "backbone":
        choices = [(name if name == "bundled" else f"{name} (download)", name) for name in RECIPES]
        info = "bundled works offline; the others are fetched once"
        return gr.Dropdown(choices, value=default, label=label, info=info, visible=visible)
    if field.name == "roi":
        choices = [(ROI_LABELS[name], name) for name in ROI_CHOICES]
        return gr.Radio(choices, value=default, label=label, visible=visible)
    if field.name == "landmarks":
        return gr.Slider(2, MOST_LANDMARKS, default, step=1, label=label, info=help_text, visible=visible)
    if field.metadata.get("choices"):
        return gr.Dropdown(list(field.metadata["choices"]), value=default, label=label, info=help_text, visible=visible)
    if isinstance(default, bool):
        return gr.Checkbox(default, label=label, info=help_text, visible=visible)
    if isinstance(default, int | float):
        step = 1 if isinstance(default, int) else 0.01
        low, high = field.metadata["low"], field.metadata["high"]
        return gr.Number(default, minimum=low, maximum=high, step=step, label=label, info=help_text, visible=visible)
    return gr.Textbox(default, label=label, info=help_text, visible=visible)


def settings_from(method: str, names: list[str], values: list[Any]) -> RunSettings:
    """Settings from the values of the controls. Anything can arrive from a browser: types and bounds are checked.

    Raises:
        UserError: a value outside its bounds, or a choice that visitors do not have.
    """
    if method not in METHODS:
        raise UserError("Choose the method from the list.")
    chosen = METHODS[method].settings
    defaults = {field.name: field.default for field in dataclasses.fields(chosen)}
    given = {name: value for name, value in zip(names, values, strict=True) if name in defaults}
    plain = {name: _plain(value, defaults[name]) for name, value in given.items()}
    # A path would reach files of the server, so only names from the lists are taken; a list would be no key.
    if plain["roi"] not in ROI_CHOICES or plain["backbone"] not in list(RECIPES):
        raise UserError("Choose the region and the diffusion model from the lists.")
    settings = chosen.from_json(plain)
    steps = plain.get("rounds", 0) * (plain.get("round_steps", 0) + plain.get("proxy_steps", 0))
    steps += plain.get("bootstrap_steps", 0) if plain.get("start") == "bootstrap" else 0
    heavy = any(plain.get(name, 0) > most for name, most in SPACE_MOST.items())
    if on_space() and (steps > SPACE_STEPS or heavy):
        raise UserError(f"At most {SPACE_STEPS} training steps of the usual size are given here.")
    return settings


def _plain(value: Any, default: Any) -> Any:
    """Browsers know one kind of number: 10.0 is a whole one where the setting is whole; 10.5 stays, and is refused."""
    if isinstance(default, bool) or not isinstance(default, int | float):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError("A number is missing in the settings: fill it in, or reload the page for the defaults.")
    return int(value) if isinstance(default, int) and value == int(value) else value
