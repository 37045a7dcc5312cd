"""What happens when somebody starts, stops, goes on with, edits or removes a run. From values to values; no layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from uld_explorer import editing, workflow
from uld_explorer.estimate import iter_estimate
from uld_explorer.events import RunView, Stage, fold
from uld_explorer.jobs import Jobs
from uld_explorer.landmarks.edits import Edit
from uld_explorer.landmarks.methods import get_method
from uld_explorer.runs import Run, create_run, delete_run
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet, UserError
from uld_explorer.ui import sessions, status, training_view
from uld_explorer.ui.controls import on_space, settings_from
from uld_explorer.ui.opened import Kept, Opened, whole
from uld_explorer.ui.sources import TITLES, iter_kept, iter_uploaded, keep_source

JOBS = Jobs()
SPACE_DAYS = 3
"""Days after their last run that a visitor's runs are kept on a machine that strangers share."""
LONGEST_TITLE = 60


def in_words(error: UserError) -> gr.Error:
    """A user's mistake as a message on the page."""
    return gr.Error(str(error), title="That did not work", duration=12, print_exception=False)


# ---------------------------------------------------------------- which run is on the page


def welcome(memory: Kept | None, query: dict[str, str]) -> tuple[Kept, Opened]:
    """A visitor arrives or comes back: their token, and what the address asks for, or the run they looked at last."""
    asked = Opened.from_query(query)
    last = memory.get("run") if isinstance(memory, dict) else None
    kept, opened = open_run(memory, asked.run if "run" in query else last)
    return kept, replace(asked, run=opened.run) if opened.run == asked.run else opened


def open_run(memory: Kept | None, run_id: str | None) -> tuple[Kept, Opened]:
    """A visitor's run, or the demo where there is no such run: what the browser keeps, and what the page shows."""
    token = sessions.token_of(memory)
    try:
        run = sessions.find_run(token, run_id)
    except UserError:
        run = sessions.DEMO
    return {"token": token, "run": run.id}, Opened(run=run.id)


def switch_run(memory: Kept | None, opened: Opened, run_id: str | None) -> tuple[Kept, Opened]:
    """Another run on the tab that is looked at."""
    kept, other = open_run(memory, run_id)
    return kept, replace(other, tab=opened.tab)


def current(memory: Kept | None, opened: Opened) -> Run:
    """The run on the page, to be drawn; the demo where it has gone. What changes a run takes `still_there`."""
    try:
        return sessions.find_run(sessions.token_of(memory), opened.run)
    except UserError:
        return sessions.DEMO


def still_there(memory: Kept | None, opened: Opened) -> Run:
    """The run on the page, to be changed or gone on from.

    Raises:
        UserError: it has gone, for another tab deleted it, say.
    """
    return sessions.find_run(sessions.token_of(memory), opened.run)


def is_running(run: Run) -> bool:
    """Whether the run is still working here. A run whose server was stopped is not, whatever its last event says."""
    return JOBS.running(run)


# ---------------------------------------------------------------- starting, stopping, going on


def start(
    kind: str, files: list[str] | None, memory: Kept | None, method: str, names: list[str], values: list[Any]
) -> tuple[Kept, Opened]:
    """Begin a discovery in the background and open its run."""
    token = sessions.token_of(memory)
    if on_space():
        sessions.forget_visitors(SPACE_DAYS * 86_400)
    try:
        settings = settings_from(method, names, values)
        run = create_run(sessions.visitor_dir(token), title=TITLES.get(kind, "My pictures"))
        begin(run, method, settings, lambda: keep_source(run, kind, files))
    except UserError as error:
        raise in_words(error) from error
    trained = method != "zeroshot"
    return {"token": token, "run": run.id}, Opened(run=run.id, tab="train" if trained else "landmarks")


def begin(run: Run, method: str, settings: RunSettings, keep: Callable[[], None]) -> None:
    """Keep what a new run looks at and what it was asked for, and let it begin in the background.

    Raises:
        UserError: there is nothing to look at, it cannot be kept, or too many runs are waiting; the run is gone then.
    """
    try:
        keep()
        run.update_info(method=method, asked=settings.to_json())
        JOBS.start(run, lambda: _iter_run(run))
    except Exception as error:
        delete_run(run)  # refused: it would stand in the list of runs for ever, waiting
        if isinstance(error, OSError):
            raise UserError(f"The pictures could not be kept ({error.strerror}): upload them again.") from error
        raise


def _iter_run(run: Run) -> Stage[None]:
    """What a run does, from what its folder says it was asked for; a training goes on at its last checkpoint."""
    info = run.info()
    settings = get_method(info["method"]).settings.from_json(info["asked"])
    images = yield from iter_kept(run)
    yield from workflow.iter_discover(images, info["method"], settings, run)


def cancel(memory: Kept | None, opened: Opened) -> None:
    """Stop the opened run at its next step."""
    if not JOBS.cancel(current(memory, opened)):
        gr.Info("This run is not running any more.")


def pause(memory: Kept | None, opened: Opened) -> None:
    """Stop the opened run at its next step, to go on with it later."""
    if not JOBS.pause(current(memory, opened)):
        gr.Info("This run is not running any more.")


def resume(memory: Kept | None, opened: Opened) -> Opened:
    """Go on with a run that was paused, cancelled or interrupted."""
    run = current(memory, opened)
    try:
        if run.id == sessions.DEMO.id or "asked" not in run.info():
            raise UserError("This run cannot be gone on with: start a new one.")
        if run.edits()["edits"] and not (run.folder / "model" / "model.json").exists():
            run.save_edits([], [])  # training will choose other landmarks
            gr.Info("Training goes on, so the changes of its landmarks so far were taken back.")
        JOBS.start(run, lambda: _iter_run(run))
    except UserError as error:
        raise in_words(error) from error
    return opened


def can_resume(run: Run) -> bool:
    """Whether the run stopped before its end, here or when its server did."""
    return not is_running(run) and "asked" in run.info() and "finished" not in run.info()


def estimate(kind: str, files: list[str] | None, method: str, names: list[str], values: list[Any]) -> Iterator[str]:
    """Say what the chosen run would cost, from a probe."""
    yield from estimated(lambda: (iter_uploaded(kind, files), settings_from(method, names, values)))


def estimated(asked: Callable[[], tuple[Stage[ImageSet], RunSettings]]) -> Iterator[str]:
    """The answer to what a run on these pictures would cost, with progress; a mistake in words."""
    view = RunView()
    try:
        stage = _iter_estimate(*asked())
        while True:
            view = fold([next(stage)], view)
            yield status.progress(view)
    except StopIteration as stop:
        yield stop.value
    except UserError as error:
        yield status.progress(RunView(state="failed", message=str(error)))


def _iter_estimate(pictures: Stage[ImageSet], settings: RunSettings) -> Stage[str]:
    images = yield from pictures
    found = yield from iter_estimate(images, settings)
    return training_view.estimated(found, len(images))


# ---------------------------------------------------------------- the list of runs


def act_on_run(memory: Kept | None, opened: Opened, event: gr.EventData) -> tuple[Kept, Opened]:
    """A click in the list of runs: open, resume, rename, remove. Anything can arrive from a browser."""
    token, what = sessions.token_of(memory), getattr(event, "what", None)
    kept: Kept = {"token": token, "run": opened.run}
    try:
        run = sessions.find_run(token, str(getattr(event, "run", "")))
        if what == "open":
            kept, opened = open_run(memory, run.id)
            return kept, replace(opened, tab="train" if is_running(run) else "landmarks")
        if what == "resume":
            return open_run(memory, run.id)[0], resume(memory, Opened(run=run.id, tab="train"))
        if what == "rename" and run.id != sessions.DEMO.id:
            run.update_info(title=_title(getattr(event, "name", "")))
        if what == "remove" and run.id != sessions.DEMO.id:
            if is_running(run):
                raise UserError("Stop the run before you delete it.")
            delete_run(run)
            kept, opened = open_run(memory, opened.run if opened.run != run.id else "demo")
            return kept, replace(opened, tab="train")
    except UserError as error:
        raise in_words(error) from error
    return kept, opened


def _title(text: object) -> str:
    title = " ".join("".join(letter for letter in str(text) if letter.isprintable()).split())
    if not title or len(title) > LONGEST_TITLE:
        raise UserError(f"Give a name of 1 to {LONGEST_TITLE} letters.")
    return title


# ---------------------------------------------------------------- edits


def edit(memory: Kept | None, opened: Opened, event: gr.EventData) -> tuple[Kept, Opened]:
    """A change of a landmark. The example belongs to everybody: the visitor gets a copy of their own to change."""
    kind, key = getattr(event, "edit", None), whole(getattr(event, "key", None))
    if kind is None:
        picture = whole(getattr(event, "picture", None))
        return _kept(memory, opened), opened if picture is None else replace(opened, picture=picture)
    other, pose = whole(getattr(event, "other", None)), whole(getattr(event, "pose", None))
    name = getattr(event, "name", "")
    try:
        change = Edit.from_json(
            {"kind": kind, "landmark": -1 if key is None else key, "other": -1 if other is None else other}
            | {"pose": -1 if pose is None else pose, "name": name if isinstance(name, str) else ""}
        )
        run = _edited(memory, still_there(memory, opened), change)
    except UserError as error:
        raise in_words(error) from error
    focus = None if kind in ("merge", "split", "hide", "show") else opened.focus
    return _kept(memory, replace(opened, run=run.id)), replace(opened, run=run.id, focus=focus)


def _edited(memory: Kept | None, run: Run, change: Edit) -> Run:
    """The run, or of the example a copy, with one more edit; no copy is left where the edit cannot be."""
    if is_running(run):
        raise UserError("This run still learns its landmarks: stop it, or let it finish, before you change them.")
    mine = own_copy(memory, run)
    try:
        editing.change(mine, change)
    except UserError:
        if mine.id != run.id:
            delete_run(mine)
        raise
    return mine


def undo(memory: Kept | None, opened: Opened) -> Opened:
    """Take the last edit back."""
    if opened.run == sessions.DEMO.id or not editing.undo(current(memory, opened)):
        gr.Info("There is nothing to undo.")
    return replace(opened, focus=None)


def redo(memory: Kept | None, opened: Opened) -> Opened:
    """Make it again."""
    if opened.run == sessions.DEMO.id or not editing.redo(current(memory, opened)):
        gr.Info("There is nothing to make again.")
    return replace(opened, focus=None)


def own_copy(memory: Kept | None, run: Run) -> Run:
    """The run itself, or of the example a copy in the visitor's folder."""
    if run.id != sessions.DEMO.id:
        return run
    copy = create_run(sessions.visitor_dir(sessions.token_of(memory)))
    shutil.copytree(run.folder, copy.folder, dirs_exist_ok=True)
    copy.update_info(id=copy.id, title=f"My copy of: {run.info().get('title', 'the example')}")
    return copy


def _kept(memory: Kept | None, opened: Opened) -> Kept:
    return {"token": sessions.token_of(memory), "run": opened.run}
