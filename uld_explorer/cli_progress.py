"""How a running stage looks on a terminal: one rewritten line, or a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

from uld_explorer.events import Event, Stage, fold

if TYPE_CHECKING:
    from uld_explorer.runs import Run

T = TypeVar("T")


class Progress:
    """Shows events on stderr: one rewritten line on a terminal, a line every few seconds elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet, self.terminal = quiet, sys.stderr.isatty()
        self.view, self.shown, self.last = fold([]), "", 0.0

    def __call__(self, event: Event) -> None:
        """Take one event."""
        before = self.view
        self.view = fold([event], before)
        if self.quiet:
            return
        if event.kind == "note":
            self._line(f"  {event.data.get('text', '')}")
        elif event.kind == "progress":
            fresh = event.stage != before.stage or event.step == event.total
            if fresh or time.time() - self.last > (0.2 if self.terminal else 5):
                self._status()

    def _status(self) -> None:
        view, self.last = self.view, time.time()
        share = f" {view.step}/{view.total}" if view.total > 1 else ""
        left = f", {human_time(view.seconds_left)} left" if view.seconds_left else ""
        left += f" of {human_time(view.whole_left)}" if left and view.whole_left else ""
        text = f"{view.stage}{share}{left}"
        if text != self.shown:
            self.shown = text
            print(
                f"\r\x1b[2K{text}" if self.terminal else text,
                end="" if self.terminal else "\n",
                file=sys.stderr,
                flush=True,
            )

    def _line(self, text: str) -> None:
        print(("\r\x1b[2K" if self.terminal else "") + text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the rewritten line."""
        if self.terminal and self.shown:
            print(file=sys.stderr)


def human_time(seconds: float) -> str:
    """ "40 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def follow(stage: Stage[T], show: Progress, run: Run | None = None) -> T:
    """Drive a stage to its end, showing its events and keeping them with the run."""
    while True:
        try:
            event = next(stage)
        except StopIteration as stop:
            return stop.value
        show(event)
        if run is not None:
            run.append(event)
