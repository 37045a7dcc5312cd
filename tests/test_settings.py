"""A setting is one field, one flag and one JSON key: the three agree, for every method, and nonsense is refused."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

import pytest

from uld_explorer.landmarks.methods import METHODS
from uld_explorer.settings import RunSettings, add_flags, from_args, numbers, setting
from uld_explorer.types import UserError

KINDS = [pytest.param(method.settings, id=name) for name, method in METHODS.items()]


def parse(settings: type[RunSettings], *argv: str) -> RunSettings:
    parser = argparse.ArgumentParser()
    add_flags(parser, settings)
    return from_args(settings, parser.parse_args(argv))


def other_value(field: dataclasses.Field[Any]) -> Any:
    """A valid value that is not the default."""
    default: Any = field.default
    if isinstance(default, bool):
        return not default
    if field.metadata["choices"]:
        return next(choice for choice in field.metadata["choices"] if choice != default)
    if isinstance(default, str):
        return default + "x"
    step = 1 if isinstance(default, int) else 0.125
    return default + step if default + step <= field.metadata["high"] else default - step


def flag(field: dataclasses.Field[Any], value: Any) -> list[str]:
    name = field.name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]


@pytest.mark.parametrize("settings", KINDS)
def test_every_field_has_help_and_a_default_within_its_bounds(settings: type[RunSettings]) -> None:
    settings()
    for field in dataclasses.fields(settings):
        assert len(field.metadata["help"]) > 10, field.name
        if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
            assert field.metadata["low"] <= field.default <= field.metadata["high"], field.name


@pytest.mark.parametrize("settings", KINDS)
def test_no_flags_are_the_defaults(settings: type[RunSettings]) -> None:
    assert parse(settings) == settings()


@pytest.mark.parametrize("settings", KINDS)
def test_flags_and_json_set_the_same_field(settings: type[RunSettings]) -> None:
    for field in dataclasses.fields(settings):
        value = other_value(field)
        expected = dataclasses.replace(settings(), **{field.name: value})
        assert expected != settings()
        assert parse(settings, *flag(field, value)) == expected, field.name
        assert settings.from_json({field.name: value}) == expected, field.name


@pytest.mark.parametrize("settings", KINDS)
def test_settings_survive_json(settings: type[RunSettings]) -> None:
    changed = settings(**{field.name: other_value(field) for field in dataclasses.fields(settings)})
    assert settings.from_json(json.loads(json.dumps(changed.to_json()))) == changed


@pytest.mark.parametrize("settings", KINDS)
def test_bounds_are_inclusive_and_beyond_them_is_refused(settings: type[RunSettings]) -> None:
    for field in dataclasses.fields(settings):
        low, high = field.metadata["low"], field.metadata["high"]
        if low is None:
            continue
        for bound in (low, high):
            settings(**{field.name: bound})
        for beyond in (low - 1, high + 1):
            with pytest.raises(UserError, match=f"{field.name} must be between"):
                settings(**{field.name: beyond})


@pytest.mark.parametrize("settings", KINDS)
def test_the_fingerprint_tells_results_apart_and_ignores_the_rest(settings: type[RunSettings]) -> None:
    for field in dataclasses.fields(settings):
        changed = dataclasses.replace(settings(), **{field.name: other_value(field)})
        assert (changed.fingerprint() != settings().fingerprint()) == field.metadata["result"], field.name
    assert settings(device="cuda", batch=3).fingerprint() == settings().fingerprint()


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("landmarks", "10", "a whole number"),
        ("landmarks", 10.0, "a whole number"),
        ("landmarks", True, "a whole number"),
        ("landmarks", None, "a whole number"),
        ("roi_margin", "0.2", "a number"),
        ("roi_margin", True, "a number"),
        ("roi", 3, "text"),
    ],
)
def test_the_wrong_type_is_refused(name: str, value: object, kind: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be {kind}"):
        RunSettings.from_json({name: value})


def test_not_a_number_and_unlisted_choices_are_refused() -> None:
    with pytest.raises(UserError, match="roi_margin"):
        RunSettings(roi_margin=float("nan"))
    with pytest.raises(UserError, match="one of auto, float32"):
        RunSettings(precision="float8")


def test_an_unknown_key_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(UserError, match=r"Unknown setting landmark\..*landmarks"):
        RunSettings.from_json({"landmark": 3})


def test_a_whole_number_for_a_number_is_the_same_setting() -> None:
    whole, broken = RunSettings.from_json({"roi_margin": 1}), RunSettings(roi_margin=1.0)
    assert whole == broken and whole.fingerprint() == broken.fingerprint()


def test_one_sided_bounds_have_words() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd(RunSettings):
        least: int = setting(3, "at least two of them", low=2)
        most: float = setting(0.5, "at most one of them", high=1.0)

    with pytest.raises(UserError, match="least must be at least 2, not 1"):
        Odd(least=1)
    with pytest.raises(UserError, match=r"most must be at most 1\.0, not 2"):
        Odd(most=2.0)


def test_skipped_fields_have_no_flag() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, RunSettings, skip=("seed",))
    args = parser.parse_args([])
    assert not hasattr(args, "seed")
    assert from_args(RunSettings, args) == RunSettings()


@pytest.mark.parametrize("settings", KINDS)
def test_the_help_can_be_printed(settings: type[RunSettings]) -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, settings)
    text = " ".join(parser.format_help().split())
    for field in dataclasses.fields(settings):
        assert f"--{field.name.replace('_', '-')}" in text


def test_lists_of_numbers() -> None:
    assert numbers("") == ()
    assert numbers("0,1") == (0, 1)
    assert numbers(" 20 , 100,") == (20, 100)
    with pytest.raises(UserError, match="list of whole numbers"):
        numbers("1,two")
