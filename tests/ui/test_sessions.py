"""A visitor is a token and nothing else: no other string becomes a path, and nobody sees another one's runs."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uld_explorer.events import Event
from uld_explorer.runs import Run, create_run
from uld_explorer.types import UserError
from uld_explorer.ui import sessions

ME, OTHER = "0123456789abcdef" * 2, "f" * 32
NOT_TOKENS: list[Any] = [
    None,
    "",
    "..",
    "../../etc",
    ME[:-1],
    ME + "0",
    ME.upper(),
    ME + "\n",
    "/" + ME[1:],
    ME[:-2] + "..",
    17,
    [ME],
    {"token": ME},
    ME.encode(),
    "０" * 32,
]


def nobody_works(_run: Run) -> bool:
    return False


# ---------------------------------------------------------------- tokens


def test_a_token_is_kept() -> None:
    assert sessions.valid_token(ME) == ME
    assert sessions.token_of({"token": ME, "run": "demo"}) == ME


@pytest.mark.parametrize("value", NOT_TOKENS, ids=repr)
def test_anything_else_gets_a_new_token(value: Any) -> None:
    """32 hexadecimal digits, another one every time, with nothing in it of what was sent."""
    first, second = sessions.valid_token(value), sessions.token_of({"token": value})
    assert first != second and first != ME
    assert all(len(token) == 32 and set(token) <= set("0123456789abcdef") for token in (first, second))


@pytest.mark.parametrize("memory", [None, {}, [], "token", 3, {"token": None}], ids=repr)
def test_a_browser_that_keeps_nothing_proper_is_a_new_visitor(memory: Any) -> None:
    assert len(sessions.token_of(memory)) == 32


@pytest.mark.parametrize("value", NOT_TOKENS, ids=repr)
def test_a_visitors_folder_is_always_directly_among_the_visitors(data_dir: Path, value: Any) -> None:
    folder = sessions.visitor_dir(value)
    assert folder.parent == data_dir / "visitors" and folder.resolve() == folder


def test_looking_leaves_no_folder_behind(data_dir: Path) -> None:
    """Robots that call come by the thousand; a folder is made with the first run."""
    assert sessions.run_choices(ME, nobody_works)
    with pytest.raises(UserError):
        sessions.find_run(ME, "20240101-000000-abcdef")
    assert not (data_dir / "visitors").exists()


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize("run_id", [None, "", "demo"])
def test_no_run_is_the_demo(data_dir: Path, run_id: str | None) -> None:
    assert sessions.find_run(ME, run_id) == sessions.DEMO


def test_a_run_opens_for_its_visitor_only(data_dir: Path) -> None:
    run = create_run(sessions.visitor_dir(ME), title="mine")
    assert sessions.find_run(ME, run.id) == run
    with pytest.raises(UserError, match="no such run"):
        sessions.find_run(OTHER, run.id)
    assert [run_id for _, run_id in sessions.run_choices(OTHER, nobody_works)] == ["demo"]


@pytest.mark.parametrize("form", ["../{token}/{run}", "../../visitors/{token}/{run}", "{run}/../{run}", "./{run}"])
def test_no_path_leads_to_a_run(data_dir: Path, form: str) -> None:
    """Neither to another visitor's, nor by a detour to one's own."""
    theirs, mine = create_run(sessions.visitor_dir(OTHER)), create_run(sessions.visitor_dir(ME))
    for run in (theirs, mine):
        with pytest.raises(UserError, match="no such run"):
            sessions.find_run(ME, form.format(token=run.folder.parent.name, run=run.id))


@pytest.mark.parametrize("run_id", ["..", "../demo", "/", 7, ["demo"], {"id": "demo"}, True], ids=repr)
def test_no_other_value_opens_a_run(data_dir: Path, run_id: Any) -> None:
    create_run(sessions.visitor_dir(ME))
    with pytest.raises(UserError, match="no such run"):
        sessions.find_run(ME, run_id)


@pytest.mark.parametrize(
    ("events", "running", "ending"),
    [
        ([Event("done", "")], False, ""),
        ([Event("failed", "")], False, " (failed)"),
        ([Event("cancelled", "")], False, " (cancelled)"),
        ([Event("progress", "reading", 1, 2)], True, " (running)"),
        ([Event("progress", "reading", 1, 2)], False, " (interrupted)"),
        ([], False, " (interrupted)"),
    ],
)
def test_the_list_of_runs_says_how_each_ended(data_dir: Path, events: list[Event], running: bool, ending: str) -> None:
    """A run that was running when the server stopped is not said to be running."""
    run = create_run(sessions.visitor_dir(ME), title="My pictures")
    for event in events:
        run.append(event)
    is_running: Callable[[Run], bool] = lambda asked: running and asked == run  # noqa: E731
    (label, run_id), (_, last) = sessions.run_choices(ME, is_running)
    assert (run_id, last) == (run.id, "demo")
    assert label.startswith("My pictures · ") and label.endswith(run.id[11:13] + ending)


# ---------------------------------------------------------------- the browsers' key


def test_the_browsers_key_stays_the_same_and_is_the_servers_own(data_dir: Path) -> None:
    key = sessions.browser_secret()
    assert len(key) >= 32 and sessions.browser_secret() == key
    assert stat.S_IMODE((data_dir / "browser.key").stat().st_mode) == 0o600
    assert [file.name for file in data_dir.iterdir()] == ["browser.key"]


def test_another_server_has_another_key(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = sessions.browser_secret()
    monkeypatch.setenv("ULD_DATA_DIR", str(tmp_path / "elsewhere"))
    assert sessions.browser_secret() != key


def test_what_visitors_left_long_ago_is_removed_and_nothing_else(data_dir: Path) -> None:
    day = 86_400
    old, fresh = create_run(sessions.visitor_dir(ME)), create_run(sessions.visitor_dir(OTHER))
    stranger = data_dir / "visitors" / "notes"
    stranger.mkdir()
    for folder in (old.folder, stranger):
        os.utime(folder, (time.time() - 5 * day,) * 2)
    assert sessions.forget_visitors(3 * day) == 1
    assert not old.folder.exists() and fresh.folder.exists() and stranger.exists()
    assert sessions.forget_visitors(3 * day) == 0


def test_there_is_nothing_to_forget_before_the_first_visitor(data_dir: Path) -> None:
    assert sessions.forget_visitors(0.0) == 0
