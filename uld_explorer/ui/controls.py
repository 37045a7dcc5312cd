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
from uld_explorer.settings import RunSettings
from uld_explorer.types import UserError

LABELS = {
    "landmarks": "Landmarks",
    "backbone": "Diffusion model",
    "roi": "Where to look",
    "seed": "Seed",
}
ROI_LABELS = {
    "whole": "the whole picture",
    "foreground": "the foreground (estimated)",
    "annotations": "the annotated boxes",
}
MOST_LANDMARKS = 30


def on_space() -> bool:
    """Whether the page runs as a public Space, where visitors share one machine."""
    return bool(os.environ.get("SPACE_ID"))


def build_controls(method: str = "zeroshot") -> dict[str, Any]:
    """A control for every setting of a method, the basic ones first, the rest folded away. Call it inside a layout."""
    fields = dataclasses.fields(METHODS[method].settings)
    controls = {field.name: _control(field) for field in fields if field.metadata.get("basic")}
    with gr.Accordion("More settings", open=False):
        controls |= {field.name: _control(field) for field in fields if not field.metadata.get("basic")}
    return controls


def _control(field: dataclasses.Field[Any]) -> Any:
    default: Any = field.default
    help_text = field.metadata["help"]
    label = LABELS.get(field.name, field.name.replace("_", " ").capitalize())
    if field.name == "backbone":
        choices = [(name if name == "bundled" else f"{name} (download)", name) for name in RECIPES]
        return gr.Dropdown(
            choices, value=default, label=label, info="bundled works offline; the others are fetched once"
        )
    if field.name == "roi":
        choices = [(ROI_LABELS[name], name) for name in ROI_CHOICES]
        return gr.Radio(choices, value=default, label=label)
    if field.name == "landmarks":
        return gr.Slider(2, MOST_LANDMARKS, default, step=1, label=label, info=help_text)
    if field.metadata.get("choices"):
        return gr.Dropdown(list(field.metadata["choices"]), value=default, label=label, info=help_text)
    if isinstance(default, bool):
        return gr.Checkbox(default, label=label, info=help_text)
    if isinstance(default, int | float):
        step = 1 if isinstance(default, int) else 0.01
        low, high = field.metadata["low"], field.metadata["high"]
        return gr.Number(default, minimum=low, maximum=high, step=step, label=label, info=help_text)
    return gr.Textbox(default, label=label, info=help_text)


def settings_from(method: str, names: list[str], values: list[Any]) -> RunSettings:
    """Settings from the values of the controls. Anything can arrive from a browser: types and bounds are checked.

    Raises:
        UserError: a value outside its bounds, or a choice that visitors do not have.
    """
    chosen = METHODS[method].settings
    defaults = {field.name: field.default for field in dataclasses.fields(chosen)}
    plain = {name: _plain(value, defaults[name]) for name, value in zip(names, values, strict=True)}
    # A path would reach files of the server, so only names from the lists are taken; a list would be no key.
    if plain["roi"] not in ROI_CHOICES or plain["backbone"] not in list(RECIPES):
        raise UserError("Choose the region and the diffusion model from the lists.")
    return chosen.from_json(plain)


def _plain(value: Any, default: Any) -> Any:
    """Browsers know one kind of number: 10.0 is a whole one where the setting is whole; 10.5 stays, and is refused."""
    if isinstance(default, bool) or not isinstance(default, int | float):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError("A number is missing in the settings: fill it in, or reload the page for the defaults.")
    return int(value) if isinstance(default, int) and value == int(value) else value
