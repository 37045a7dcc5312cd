"""The Poses tab: what each pose cluster is, and a dial that shows what the pose proxy sees at any picture's pose."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from uld_explorer import mapping
from uld_explorer.analysis.poses import nearest_codes
from uld_explorer.landmarks.d_uldpp import PoseTrained
from uld_explorer.landmarks.detector import LandmarkDetector
from uld_explorer.landmarks.dial import decode_poses
from uld_explorer.runs import Run
from uld_explorer.types import UserError
from uld_explorer.ui import linked_maps, pose_cards, sessions
from uld_explorer.ui.opened_run import OpenedRun, open_run_data
from uld_explorer.ui.scatter import NOTHING, SOON, EmbedScatter, mask_of
from uld_explorer.ui.tabs.parts import EMPTY, Parts, Shown, Tab, clickable

OUTPUTS = ("pose_cards", "dial_map", "dial")
TITLE = "Pose dial"
ABOUT_DIAL = (
    "<b>Pose dial</b> <span>Click a point: its pose code is decoded into the heat map that the pose proxy expects, "
    "beside the pictures that are turned most alike.</span>"
)
NEAREST = 12


def build(parts: Parts) -> None:
    """Cards, then the dial."""
    parts["pose_cards"] = clickable(elem_id="pose-cards")
    gr.HTML(f'<div class="uld-map-title">{ABOUT_DIAL}</div>')
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            parts["dial_map"] = EmbedScatter(TITLE, elem_id="dial-map")
        with gr.Column(min_width=320):
            parts["dial"] = clickable(elem_id="dial")


def draw(shown: Shown) -> list[Any]:
    """Cards of all pose clusters; the map to dial on."""
    data = shown.data
    if data is None or data.poses is None:
        words = shown.nothing if data is None else EMPTY.format(pose_cards.NO_POSES)
        empty = SOON if data is None else pose_cards.NO_POSES
        return [words, gr.update(points=NOTHING, paint=NOTHING, marked=NOTHING, tiles=NOTHING, empty=empty), ""]
    view = linked_maps.View()
    ticket = f"{sessions.token_of(shown.kept)}/{shown.run.id}"
    update = gr.update(
        points=linked_maps.points(data, "poses", view),
        paint=linked_maps.paint(data, "poses", view),
        tiles=linked_maps.tiles(data, "poses", view, ticket),
        marked=NOTHING,
        empty=SOON,
    )
    return [_cards(str(shown.run.folder), data.stamp), update, _dial(shown)]


def redraw(shown: Shown) -> list[Any]:
    """The dial alone."""
    if shown.data is None or shown.data.poses is None:
        return [gr.skip()] * len(OUTPUTS)
    return [gr.skip(), gr.update(marked=_dialled(shown)), _dial(shown)]


def _dialled(shown: Shown) -> dict[str, Any]:
    placed = mapping.placed(shown.run, "poses")
    if placed is None or shown.opened.dial is None:
        return NOTHING
    return mask_of(placed.rows == shown.opened.dial)


@lru_cache(maxsize=8)
def _cards(folder: str, stamp: str) -> str:
    data = open_run_data(Run(Path(folder)))
    if data is None or data.regions is None:
        return ""
    return pose_cards.cards(data.images, data.regions, data.landmarks, data.profiles, len(data.images))


def _dial(shown: Shown) -> str:
    data, row = shown.data, shown.opened.dial
    if data is None or data.poses is None or row is None or row >= len(data.images):
        return EMPTY.format("Click a point of the map.")
    try:
        return dial_at(data, row)
    except UserError as error:
        return EMPTY.format(str(error))


def dial_at(data: OpenedRun, row: int) -> str:
    """The dial at the pose of one picture.

    Raises:
        UserError: the run's model knows of no poses, or is gone.
    """
    model = _model(str(data.run.folder), data.stamp)
    assert data.poses is not None
    codes = data.poses.codes
    heat = decode_poses(model, codes[[row]])[0]
    keys = [key for key in data.edited.keys if key < len(model.chosen)]
    layout = model.layout[model.chosen[keys]] if keys else np.zeros((0, 2))
    return pose_cards.dial(data.images, heat, nearest_codes(codes, row, NEAREST), layout, keys)


@lru_cache(maxsize=4)
def _model(folder: str, stamp: str) -> PoseTrained:
    model = LandmarkDetector.load(folder).model
    if not isinstance(model, PoseTrained):
        raise UserError("The model of this run knows of no poses.")
    return model


TAB = Tab("poses", "Poses", build, OUTPUTS, draw, redraw)
