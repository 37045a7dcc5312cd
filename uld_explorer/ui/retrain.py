"""Training on the pictures of the run that is opened: its own choices, with another method. From values to values."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from uld_explorer.events import Stage
from uld_explorer.landmarks.methods import METHODS
from uld_explorer.landmarks.presets import PRESETS, preset_values
from uld_explorer.runs import Run, create_run
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet, UserError
from uld_explorer.ui import handlers, sessions
from uld_explorer.ui.controls import METHOD_CHOICES, ROI_LABELS, field_names, presets, settings_from
from uld_explorer.ui.opened import Kept, Opened
from uld_explorer.ui.sources import can_reopen, iter_kept, keep_again

TRAINED = [(title, name) for title, name in METHOD_CHOICES if name != "zeroshot"]


def settings_of(run: Run, method: str, preset: str) -> RunSettings:
    """The run's own choices of where, with which eyes and for how many landmarks, the preset's of how to train.

    Raises:
        UserError: an unknown method or preset, or more than a visitor may ask for.
    """
    if method not in [name for _, name in TRAINED] or preset not in presets():
        raise UserError("Choose the method and the training from the lists.")
    preset_names = {name for values in PRESETS.values() for name in values}
    common = field_names("zeroshot") - preset_names | {"pose_clusters"} - set(PRESETS[preset])
    chosen = METHODS[method].settings
    own = run.settings() or run.info().get("asked", {})
    values = preset_values(preset, chosen) | {
        name: value for name, value in own.items() if name in common & field_names(method)
    }
    values = chosen.from_json(values).to_json()
    return settings_from(method, list(values), list(values.values()))


def start(memory: Kept | None, opened: Opened, method: str, preset: str) -> tuple[Kept, Opened]:
    """Begin to train on the opened run's pictures, as a run of its own, and open that."""
    token = sessions.token_of(memory)
    try:
        run = handlers.still_there(memory, opened)
        settings = settings_of(run, method, preset)
        title = str(run.info().get("title", "My pictures"))
        other = create_run(sessions.visitor_dir(token), title=title)
        handlers.begin(other, method, settings, lambda: keep_again(run, other))
    except UserError as error:
        raise handlers.in_words(error) from error
    return {"token": token, "run": other.id}, Opened(run=other.id, tab="train")


def estimate(memory: Kept | None, opened: Opened, method: str, preset: str) -> Iterator[str]:
    """Say what training on the opened run's pictures would cost, from a probe."""

    def asked() -> tuple[Stage[ImageSet], RunSettings]:
        run = handlers.still_there(memory, opened)
        return iter_kept(run), settings_of(run, method, preset)

    yield from handlers.estimated(asked)


def about(run: Run) -> str:
    """What would be trained on."""
    if not can_reopen(run):
        return (
            '<div class="uld-note">The pictures of this run are not here any more: to train, choose pictures on the '
            "left and a method that learns.</div>"
        )
    info = run.info()
    settings = run.settings() or info.get("asked", {})
    region = ROI_LABELS.get(str(settings.get("roi")), "the given region")
    facts: list[tuple[str, Any]] = [
        ("pictures", info.get("images", "")),
        ("landmarks", settings.get("landmarks", "")),
        ("region", region),
    ]
    said = " · ".join(f"{name} <b>{html.escape(str(value))}</b>" for name, value in facts if value != "")
    return (
        f'<div><b class="uld-heading">Train a detector on these pictures</b> <span class="uld-note">{said}. Landmarks, '
        "region and diffusion model stay as in this run, how it is trained is the preset’s. For others use "
        "<i>New discovery</i>.</span></div>"
    )
