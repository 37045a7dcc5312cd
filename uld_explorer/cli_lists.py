"""What `list` prints: names with a sentence each."""

from __future__ import annotations

from uld_explorer.landmarks.methods import METHODS


def _list_runs() -> dict[str, str]:
    from uld_explorer.paths import runs_dir
    from uld_explorer.runs import list_runs

    return {run.id: f"{run.info().get('source', '?')}, {run.view().state}" for run in list_runs(runs_dir())}


def _list_backbones() -> dict[str, str]:
    from uld_explorer.features.recipes import RECIPES

    return {name: recipe.note for name, recipe in RECIPES.items()}


def _list_methods() -> dict[str, str]:
    return {name: method.help for name, method in METHODS.items()}


def _list_demos() -> dict[str, str]:
    from uld_explorer.data.sources import DEMOS

    return {f"demo:{name}": text for name, text in DEMOS.items()}


def _list_formats() -> dict[str, str]:
    from uld_explorer.export.formats import FORMATS

    return {name: item.title for name, item in FORMATS.items()}


LISTS = {
    "runs": _list_runs,
    "backbones": _list_backbones,
    "methods": _list_methods,
    "demos": _list_demos,
    "formats": _list_formats,
}
