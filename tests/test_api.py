"""The public names: a name that disappears breaks somebody's script, so it fails here first."""

from __future__ import annotations

import inspect

import pytest

import uld_explorer

PUBLIC = {
    "LandmarkDetector": ["method", "settings", "model", "foreground", "edits"],
    "discover": ["source", "method", "run", "settings"],
    "evaluate": ["detector", "source", "annotations"],
    "export_run": ["run", "name", "path"],
    "open_images": ["source", "annotations", "limit"],
}


def test_the_public_names_are_these() -> None:
    assert sorted(uld_explorer.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_takes_these_arguments(name: str) -> None:
    assert list(inspect.signature(getattr(uld_explorer, name)).parameters) == PUBLIC[name]


def test_a_detector_is_loaded_saved_and_predicts() -> None:
    for name in ("load", "save", "predict", "iter_predict"):
        assert callable(getattr(uld_explorer.LandmarkDetector, name))


def test_names_can_be_imported_from_the_root() -> None:
    from uld_explorer import LandmarkDetector, discover, evaluate, export_run, open_images

    assert all(callable(each) for each in (LandmarkDetector, discover, evaluate, export_run, open_images))


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        uld_explorer.magic  # noqa: B018
