"""Drives a run's stage in a background thread: start, cancel, follow. Knows nothing of what the stage does.

A run belongs to its job, not to a browser tab: any tab can follow it by its folder, and closing one changes nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uld_explorer.events import Event, Stage
from uld_explorer.runs import Run
from uld_explorer.types import UserError

log = logging.getLogger(__name__)
WORDS = {
    "cancelled": "Stopped. What was found so far is kept.",
    "paused": "Paused. It goes on from here when you resume it.",
}
LIMIT = 8
"""Runs that may be waiting or running at once."""
OWN_LIMIT = 3
"""Of these, how many may lie in one folder, which is one person's: nobody can take all places."""


class _Stop:
    """Whether a run was asked to stop, and as what it then ends."""

    def __init__(self) -> None:
        self.asked, self.kind = threading.Event(), "cancelled"

    def event(self) -> Event:
        """The run's last event."""
        return Event(self.kind, "", data={"text": WORDS[self.kind]})


class Jobs:
    """All jobs of this process. One computes at a time, the others wait their turn."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._stops: dict[str, _Stop] = {}

    def start(self, run: Run, make_stage: Callable[[], Stage[Any]]) -> None:
        """Begin a run in the background; `make_stage` is called when its turn has come.

        Raises:
            UserError: too many runs are waiting, in all or of this person.
        """
        with self._guard:
            if str(run.folder) in self._stops:
                raise UserError("This run is waiting or running already.")
            if len(self._stops) >= LIMIT:
                raise UserError(f"{LIMIT} runs are waiting already: try again when one has finished.")
            if sum(Path(folder).parent == run.folder.parent for folder in self._stops) >= OWN_LIMIT:
                raise UserError(f"{OWN_LIMIT} runs of yours are waiting already: stop one, or let one finish.")
            self._stops[str(run.folder)] = _Stop()
        try:
            run.append(Event("progress", "waiting for its turn"))
            threading.Thread(target=self._drive, args=(run, make_stage), daemon=True).start()
        except BaseException:
            del self._stops[str(run.folder)]  # a run that nobody drives would hold its place for ever
            raise

    def cancel(self, run: Run) -> bool:
        """Ask a run to stop at its next step; what it has written so far stays. False where it is not running here."""
        return self._stop(run, "cancelled")

    def pause(self, run: Run) -> bool:
        """The same, for a while: the machine is free for others until somebody resumes it."""
        return self._stop(run, "paused")

    def _stop(self, run: Run, kind: str) -> bool:
        stop = self._stops.get(str(run.folder))
        if stop is None:
            return False
        stop.kind = kind
        stop.asked.set()
        return True

    def running(self, run: Run) -> bool:
        """Whether the run is waiting or running in this process."""
        return str(run.folder) in self._stops

    def _drive(self, run: Run, make_stage: Callable[[], Stage[Any]]) -> None:
        stop = self._stops[str(run.folder)]
        try:
            end = self._take_turn(run, make_stage, stop)
            # A run that its owner has deleted meanwhile has nobody left to tell.
            if run.folder.exists():
                run.append(end)
        finally:
            with self._guard:
                del self._stops[str(run.folder)]

    def _take_turn(self, run: Run, make_stage: Callable[[], Stage[Any]], stop: _Stop) -> Event:
        while not self._turn.acquire(timeout=0.2):
            if stop.asked.is_set():
                return stop.event()
        try:
            return _work(run, make_stage, stop)
        finally:
            self._turn.release()


def _work(run: Run, make_stage: Callable[[], Stage[Any]], stop: _Stop) -> Event:
    """Run the stage to its end; returns the event that says how it ended."""
    try:
        stage = make_stage()
        for event in stage:
            if stop.asked.is_set():
                stage.close()
                return stop.event()
            run.append(event)
    except UserError as error:
        return Event("failed", "", data={"text": str(error)})
    except Exception as error:
        log.exception("run %s failed", run.id)
        text = f"Something went wrong ({type(error).__name__}). The server's log has the details."
        return Event("failed", "", data={"text": text})
    return Event("done", "")
