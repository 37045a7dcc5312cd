"""Whose runs are whose: a visitor is a random token kept in their browser; their runs lie in a folder of that name."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from uld_explorer import paths
from uld_explorer.runs import Run, list_runs, open_run

DEMO = Run(paths.ASSETS / "demo")
_TOKEN = re.compile(r"[0-9a-f]{32}")


def new_token() -> str:
    """An unguessable name for a visitor."""
    return secrets.token_hex(16)


def valid_token(token: object) -> str:
    """The token itself if it has the form of one, else a new one. No other string ever becomes a path."""
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else new_token()


def visitor_dir(token: str) -> Path:
    """The folder of a visitor's runs."""
    folder = paths.data_root() / "visitors" / valid_token(token)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def find_run(token: str, run_id: str | None) -> Run:
    """A visitor's run, or the demo run.

    Raises:
        UserError: the run does not exist for this visitor.
    """
    return DEMO if run_id in (None, "", "demo") else open_run(visitor_dir(token), str(run_id))


def run_choices(token: str) -> list[tuple[str, str]]:
    """(label, id) of the visitor's runs, newest first, and the demo."""
    mine = [(_label(run), run.id) for run in list_runs(visitor_dir(token))]
    return [*mine, (f"Example: {DEMO.info().get('title', 'demo')}", "demo")]


def _label(run: Run) -> str:
    info, state = run.info(), run.view().state
    when = f"{run.id[4:6]}-{run.id[6:8]} {run.id[9:11]}:{run.id[11:13]}"
    ending = "" if state == "done" else f" ({state})"
    return f"{info.get('title', 'run')} · {when}{ending}"


def browser_secret() -> str:
    """The key that Gradio encrypts browser storage with, kept so that visitors find their runs after a restart."""
    file = paths.data_root() / "browser.key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32))
    return file.read_text()
