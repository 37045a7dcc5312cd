"""Imports point one way, and heavy libraries come late: read from the source, so that no import hides in a function."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "uld_explorer"
FILES = sorted(PACKAGE.rglob("*.py"))

CORE = {"types", "settings", "events", "paths"}
LATER = {"analysis", "export", "editing", "mapping"}
BELOW: dict[str, set[str]] = {
    "types": set(),
    "paths": set(),
    "events": {"types"},
    "settings": {"types"},
    "runs": {*CORE, "data"},
    "data": CORE,
    "analysis": {"types", "events", "data"},
    "export": {"types", "data"},
    "features": {*CORE, "runs", "data"},
    "landmarks": {*CORE, "runs", "data", "features"},
    "jobs": {*CORE, "runs", "data", "features", "landmarks"},
    "editing": {"types", "runs", "landmarks"},
    "mapping": {"types", "events", "runs", "analysis"},
    "estimate": {"types", "settings", "events", "data", "features", "landmarks"},
    "measuring": {*CORE, "data", "features", "landmarks", "analysis"},
    "workflow": {*CORE, "runs", "data", "features", "landmarks", "jobs", *LATER, "measuring"},
    "reproduce": {*CORE, "runs", "data", "landmarks", "analysis", "workflow"},
    "cli_parser": {"settings", "data", "landmarks"},
    "cli_progress": {"events", "runs"},
    "cli_lists": {"paths", "runs", "data", "features", "landmarks", "export"},
    "cli": {
        *CORE,
        "runs",
        "data",
        "features",
        "landmarks",
        "analysis",
        "export",
        "workflow",
        "measuring",
        "reproduce",
        "cli_parser",
        "cli_progress",
        "cli_lists",
    },
    "ui": {*CORE, "runs", "data", "features", "landmarks", "jobs", *LATER, "measuring", "workflow", "estimate"},
    "__init__": {"landmarks", "workflow"},
    "__main__": {"cli"},
}
"""Which rooms a room may import, besides itself. A new room is added here first."""

HEADS = ("raycast", "hair", "anatomy", "scene")
PAGE_ONLY = {"gradio", "spaces"}
LATE = ("torch", "diffusers", "transformers", "gradio", "spaces", "umap", "faiss", "sklearn")


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything that the file imports, also inside functions; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    """The folder below the package, or the name of a file directly in it."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("uld_explorer.")} - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    here = room(path)
    assert here in BELOW, f"{here} has no place in the order of rooms"
    assert imported_rooms(path) <= BELOW[here] | {here}


def test_the_order_of_rooms_has_no_circle() -> None:
    done: set[str] = set()
    order = {name: below - {"data"} if name == "runs" else below for name, below in BELOW.items()}
    while ready := {name for name, below in order.items() if name not in done and below <= done}:
        done |= ready
    assert done == set(BELOW)


def test_runs_read_pictures_but_no_other_data() -> None:
    names = {name.rsplit(".", 1)[0] for name in imports(PACKAGE / "runs.py") if ".data." in name}
    assert names <= {"uld_explorer.data.images"}


def test_the_heads_are_built_in_layers() -> None:
    folder = PACKAGE / "data" / "heads"
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", *HEADS}
    for place, name in enumerate(HEADS):
        own = {n.split(".")[3] for n in imports(folder / f"{name}.py") if n.startswith("uld_explorer.data.heads.")}
        assert own <= set(HEADS[:place])
        assert imported_rooms(folder / f"{name}.py") <= {"data"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_page_knows_gradio(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path)} & PAGE_ONLY
    assert not used or room(path) == "ui"


def test_the_command_line_comes_up_without_heavy_libraries() -> None:
    code = f"import sys, uld_explorer.cli; print([name for name in {LATE!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
