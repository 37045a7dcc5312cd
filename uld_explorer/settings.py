"""Settings as dataclasses: one field is one JSON key, one command-line flag and one control in the page.

Knows how to describe, check, read and write settings; the methods add fields of their own by subclassing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from uld_explorer.types import UserError

S = TypeVar("S", bound="RunSettings")


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    basic: bool = False,
    result: bool = True,
) -> Any:
    """A dataclass field with its help text and bounds (inclusive).

    basic: shown in the page without unfolding. result: False when the choice cannot change the result
    (device, batch), so that it is left out of fingerprints.
    """
    data = {"help": help, "low": low, "high": high, "choices": choices, "basic": basic, "result": result}
    return dataclasses.field(default=default, metadata=data)


@dataclass(frozen=True)
class RunSettings:
    """What every method needs: where to look, with which eyes, and how many landmarks."""

    landmarks: int = setting(10, "number of landmarks to discover (K)", low=2, high=100, basic=True)
    backbone: str = setting(
        "bundled", "diffusion model: a name from the recipe table, or a folder in diffusers format", basic=True
    )
    roi: str = setting("whole", "where to look: whole, annotations, foreground, or a file of boxes", basic=True)
    roi_margin: float = setting(0.2, "share by which a box is enlarged before it is cropped", low=0.0, high=2.0)
    context: float = setting(
        0.0, "share by which the crop given to the model is wider than the region, for context", low=0.0, high=3.0
    )
    roi_jitter: float = setting(
        0.0,
        "random error of the boxes: spread of centre and log-size as a share of the box, and of the angle in radians",
        low=0.0,
        high=0.5,
    )
    blocks: str = setting("", "up-blocks to take features from, coarsest = 0, such as 0,1; empty: the recipe's")
    timesteps: str = setting("", "diffusion timesteps, such as 20 or 20,100; empty: the recipe's")
    image_size: int = setting(0, "side of the crop given to the model in pixels; 0: the recipe's", low=0, high=1024)
    noise_draws: int = setting(0, "noise samples averaged per picture and timestep; 0: the recipe's", low=0, high=64)
    map_size: int = setting(32, "cells along a side of the descriptor map", low=8, high=128)
    seed: int = setting(0, "seed of everything random", low=0, high=2**31 - 1)
    device: str = setting("auto", "auto, cpu, cuda or mps", result=False)
    precision: str = setting(
        "auto", "auto, float32, bfloat16 or float16", choices=("auto", "float32", "bfloat16", "float16")
    )
    batch: int = setting(16, "pictures per forward pass", low=1, high=512, result=False)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(field.default) is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, field.name, value)  # 0 and 0.0 are one setting, with one fingerprint
            _check(field, value)

    def to_json(self) -> dict[str, Any]:
        """Plain values by field name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls: type[S], data: dict[str, Any]) -> S:
        """The inverse of `to_json`; unknown keys are an error.

        Raises:
            UserError: unknown key, wrong type, or a value outside its bounds.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise UserError(f"Unknown setting {', '.join(unknown)}. Known settings: {', '.join(sorted(known))}.")
        return cls(**data)

    def fingerprint(self) -> str:
        """The settings that can change a result, as one line of JSON."""
        fields = [f for f in dataclasses.fields(self) if f.metadata.get("result", True)]
        return json.dumps({f.name: getattr(self, f.name) for f in fields}, sort_keys=True)


def numbers(text: str) -> tuple[int, ...]:
    """ "0,1" -> (0, 1); "" -> ().

    Raises:
        UserError: when a part is not a whole number.
    """
    try:
        return tuple(int(part) for part in text.replace(" ", "").split(",") if part)
    except ValueError:
        raise UserError(f"'{text}' is not a list of whole numbers such as 0,1.") from None


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    name, data = field.name, field.metadata
    kind = type(field.default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{name} must be {_kind_name(kind)}, not {value!r}.")
    low, high = data.get("low"), data.get("high")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise UserError(f"{name} must be {_bounds(low, high)}, not {value!r}.")
    choices = data.get("choices")
    if choices and value not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")


def _bounds(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low}" if high is None else f"at most {high}"
    return f"between {low} and {high}"


def _kind_name(kind: type) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(kind, kind.__name__)


def add_flags(parser: argparse.ArgumentParser, settings: type[RunSettings], skip: Sequence[str] = ()) -> None:
    """One flag for every field (`roi_margin` becomes `--roi-margin`), with the field's help and default.

    A flag that is not given leaves no trace in the parsed arguments.
    """
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        if field.name in skip:
            continue
        flag = "--" + field.name.replace("_", "-")
        text = f"{field.metadata['help']} (default: {field.default if field.default != '' else 'empty'})".replace(
            "%", "%%"
        )
        if hints[field.name] is bool:
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag, action=action, default=argparse.SUPPRESS, help=text)
        else:
            kind, choices = hints[field.name], field.metadata["choices"]
            parser.add_argument(flag, type=kind, default=argparse.SUPPRESS, choices=choices, help=text)


def from_args(settings: type[S], args: argparse.Namespace, preset: Mapping[str, Any] | None = None) -> S:
    """Settings from the flags of `add_flags` that were given; then the preset's values, then the defaults."""
    values = {f.name: getattr(args, f.name) for f in dataclasses.fields(settings) if hasattr(args, f.name)}
    return settings(**{**(preset or {}), **values})
