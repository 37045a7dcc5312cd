"""Whose runs are whose: a visitor is a random token kept in their browser; their runs lie in a folder of that name."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from uld_explorer import paths
from uld_explorer.events import RunView
from uld_explorer.runs import Run, list_runs, open_run
from uld_explorer.ui import status

DEMO = Run(paths.ASSETS / "demo")
_TOKEN = re.compile(r"[0-9a-f]{32}")


def new_token() -> str:
    """An unguessable name for a visitor."""
    return secrets.token_hex(16)


def valid_token(token: object) -> str:
    """The token itself if it has the form of one, else a new one. No other string ever becomes a path."""
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else new_token()


def token_of(memory: object) -> str:
    """The visitor's token from what their browser kept, whatever that is; a new one where there is none."""
    return valid_token(memory.get("token") if isinstance(memory, dict) else None)


def visitor_dir(token: str) -> Path:
    """The folder of a visitor's runs. It is there once they have started one, not for everybody who looks."""
    return paths.data_root() / "visitors" / valid_token(token)


def forget_visitors(older_than: float) -> int:
    """Remove what visitors left who have started no run for `older_than` seconds; how many there were.

    For machines that strangers share: their pictures should not lie there for ever.
    """
    parent, gone = paths.data_root() / "visitors", 0
    for folder in parent.iterdir() if parent.is_dir() else ():
        last = max((run.folder.stat().st_mtime for run in list_runs(folder)), default=folder.stat().st_mtime)
        if _TOKEN.fullmatch(folder.name) and time.time() - last > older_than:
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone


def find_run(token: str, run_id: str | None) -> Run:
    """A visitor's run, or the demo run.

    Raises:
        UserError: the run does not exist for this visitor.
    """
    return DEMO if run_id in (None, "", "demo") else open_run(visitor_dir(token), str(run_id))


def run_choices(token: str, is_running: Callable[[Run], bool]) -> list[tuple[str, str]]:
    """(label, id) of the visitor's runs, newest first, and the demo."""
    mine = [(_label(run, is_running(run)), run.id) for run in list_runs(visitor_dir(token))]
    return [*mine, (f"Example: {DEMO.info().get('title', 'demo')}", "demo")]


def state_of(run: Run, running: bool) -> str:
    """What a run is doing, in one word. What nobody works on any more is not said to be running."""
    state = run.view().state
    return "interrupted" if state in ("waiting", "running") and not running else state


INTERRUPTED = RunView(
    state="failed", message="The server was stopped before this run had ended. Resume goes on with it."
)


def progress(run: Run, running: bool) -> str:
    """Progress or ending as HTML; nothing for the demo run."""
    if run.id == DEMO.id:
        return ""
    return status.progress(INTERRUPTED if state_of(run, running) == "interrupted" else run.view())


def _label(run: Run, running: bool) -> str:
    state = state_of(run, running)
    when = f"{run.id[4:6]}-{run.id[6:8]} {run.id[9:11]}:{run.id[11:13]}"
    ending = "" if state == "done" else f" ({state})"
    return f"{run.info().get('title', 'run')} · {when}{ending}"


def browser_secret() -> str:
    """The key that Gradio encrypts browser storage with, kept so that visitors find their runs after a restart."""
    file = paths.data_root() / "browser.key"
    if not file.exists():
        # Written aside and renamed: another process that starts now never reads half a key.
        part = file.with_suffix(f".{secrets.token_hex(4)}.part")
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(32))
        part.replace(file)
    return file.read_text()
