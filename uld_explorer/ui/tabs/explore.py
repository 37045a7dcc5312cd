"""The Explore tab: keypoints and poses as two linked maps, and the pictures of what is selected on either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from uld_explorer import mapping
from uld_explorer.mapping import MapChoice
from uld_explorer.types import UserError
from uld_explorer.ui import gallery, linked_maps, sessions
from uld_explorer.ui.handlers import current, in_words, still_there
from uld_explorer.ui.opened import Kept, Opened, whole
from uld_explorer.ui.opened_run import open_run_data
from uld_explorer.ui.patches import patch, thumb
from uld_explorer.ui.pose_cards import NO_POSES
from uld_explorer.ui.scatter import NOTHING, SOON, EmbedScatter, mask_of
from uld_explorer.ui.selection import after
from uld_explorer.ui.tabs.parts import EMPTY, Parts, Shown, Tab, clickable

TITLES = {"keypoints": "Keypoints by how they look", "poses": "Pictures by their pose"}
ABOUT = {
    "keypoints": "A point is a landmark in one picture. Tight islands of one colour mean one thing.",
    "poses": "A point is a picture. Neighbours are turned alike; nobody told which way.",
}
HELP = (
    "Draw a lasso on either map, click a point, or click the name of a group: the other map and the pictures below "
    "show the same. Shift adds, Escape clears."
)
OUTPUTS = ("map_keypoints", "map_poses", "by_keypoints", "by_poses", "round", "explore_bar", "explore_gallery")


def build(parts: Parts) -> None:
    """Two maps side by side, their choices above, the gallery below."""
    gr.HTML(f'<div class="uld-note">{HELP}</div>')
    with gr.Row(equal_height=False):
        for what in ("keypoints", "poses"):
            with gr.Column(min_width=320):
                gr.HTML(f'<div class="uld-map-title"><b>{TITLES[what]}</b> <span>{ABOUT[what]}</span></div>')
                label = f"{what} coloured by"
                parts[f"by_{what}"] = gr.Dropdown([], label=label, container=False, interactive=True)
                parts[f"map_{what}"] = EmbedScatter(TITLES[what], tile=tile, elem_id=f"map-{what}")
    parts["round"] = gr.Slider(1, 2, 2, step=1, label="Training round", visible=False, interactive=True)
    with gr.Accordion("How the maps are made", open=False), gr.Row():
        info = "UMAP shows neighbourhoods, PCA the two directions of greatest spread"
        parts["map_method"] = gr.Radio([("UMAP", "umap"), ("PCA", "pca")], value="umap", label="Method", info=info)
        info = "more: the large shape; fewer: small islands"
        parts["map_neighbours"] = gr.Slider(2, 100, mapping.NEIGHBOURS, step=1, label="Neighbours", info=info)
        info = "how close points may come: 0 makes dense islands"
        parts["map_distance"] = gr.Slider(0.0, 1.0, mapping.DISTANCE, step=0.05, label="Least distance", info=info)
        parts["map_again"] = gr.Button("Draw again")
    parts["map_note"] = gr.HTML()
    parts["explore_bar"] = gr.HTML(elem_id="explore-bar")
    parts["explore_gallery"] = clickable(elem_id="explore-gallery")


def draw(shown: Shown) -> list[Any]:
    """Everything."""
    data, opened = shown.data, shown.opened
    if data is None:
        empty = gr.update(points=NOTHING, paint=NOTHING, marked=NOTHING, tiles=NOTHING, empty=SOON)
        return [empty, empty, *_menus(shown), gr.update(visible=False), "", shown.nothing]
    linked = linked_maps.linked(data, opened.view)
    ticket = f"{sessions.token_of(shown.kept)}/{shown.run.id}"
    maps = [
        gr.update(
            points=linked_maps.points(data, what, opened.view),
            paint=linked_maps.paint(data, what, opened.view),
            tiles=linked_maps.tiles(data, what, opened.view, ticket),
            marked=mask_of(mask),
            empty=SOON if what == "keypoints" or data.poses is not None else NO_POSES,
        )
        for what, mask in (("keypoints", linked.keypoints), ("poses", linked.poses))
    ]
    rounds = mapping.rounds_of(shown.run)
    last = rounds[-1] if rounds else 2
    slider = gr.update(
        visible=len(rounds) > 1, minimum=rounds[0] if rounds else 1, maximum=last, value=opened.round or last
    )
    return [*maps, *_menus(shown), slider, *_below(shown, linked)]


def redraw(shown: Shown) -> list[Any]:
    """Only what is marked, and the pictures."""
    if shown.data is None:
        return [gr.skip()] * len(OUTPUTS)
    linked = linked_maps.linked(shown.data, shown.opened.view)
    maps = [gr.update(marked=mask_of(mask)) for mask in (linked.keypoints, linked.poses)]
    return [*maps, gr.skip(), gr.skip(), gr.skip(), *_below(shown, linked)]


def _menus(shown: Shown) -> list[Any]:
    menus = []
    for what, value in zip(("keypoints", "poses"), shown.opened.colours, strict=True):
        known = linked_maps.choices(shown.data, what)
        names = [name for _, name in known]
        menus.append(gr.update(choices=known, value=value if value in names else names[0] if names else None))
    return menus


def _below(shown: Shown, linked: linked_maps.Linked) -> list[str]:
    data, opened = shown.data, shown.opened
    assert data is not None
    rows = np.flatnonzero(linked.pictures)
    points = 0 if linked.keypoints is None else int(linked.keypoints.sum())
    words = f"<b>{len(rows)}</b> of {len(data.images)} pictures"
    if linked.keypoints is not None:
        words += f", <b>{points}</b> of {len(linked.keypoints)} keypoints on the map"
    bar = f'<div class="uld-note" role="status">{words}</div>'
    if not len(rows):
        return [bar, EMPTY.format("No picture is in this selection. Escape selects nothing, so that all are back.")]
    return [bar, gallery.gallery(data.images, data.landmarks, opened.page, opened.focus, rows)]


# ---------------------------------------------------------------- answers


def selected(opened: Opened, what: str, event: gr.EventData) -> Opened:
    """A click or lasso on one of the maps."""
    selection = after(opened.selection, what, event)
    index = whole(getattr(event, "index", None))
    dial = index if what == "poses" and getattr(event, "kind", None) == "click" else opened.dial
    return replace(opened, selection=selection, page=0, dial=dial)


def coloured(opened: Opened, keypoints: str | None, poses: str | None) -> Opened:
    """Other colours. Groups that were selected have gone with their names."""
    colours = (keypoints or "landmark", poses or "pose")
    if not set(colours) <= set(linked_maps.COLOURS) or colours == opened.colours:
        return opened
    selection = opened.selection
    return replace(opened, colours=colours, selection=replace(selection, groups=()) if selection.groups else selection)


def at_round(memory: Kept | None, opened: Opened, number: int | None) -> Opened:
    """The maps after another round. A selection stays with its points only where it is a list of them."""
    rounds = mapping.rounds_of(current(memory, opened))
    value = whole(int(number)) if number is not None else None
    return replace(opened, round=None if not rounds or value in (None, rounds[-1]) else value)


def drawn_again(
    memory: Kept | None, opened: Opened, method: str, neighbours: float, distance: float
) -> tuple[tuple[str, MapChoice], str]:
    """The maps made in another way, for `as_drawn`, of which run; PCA takes no time, UMAP some seconds."""
    try:
        choice = MapChoice(str(method), int(neighbours), round(float(distance), 2))
        run = still_there(memory, opened)
        for what in ("keypoints", "poses"):
            if mapping.placed(run, what) is not None:
                mapping.draw_map(run, what, choice)
    except (UserError, TypeError, ValueError, OSError) as error:
        raise in_words(UserError(str(error))) from error
    seeded = "UMAP is seeded, so it runs on one core and gives the same map again." if choice.method == "umap" else ""
    return (opened.run, choice), f'<div class="uld-note">{seeded}</div>'


def as_drawn(opened: Opened, made: tuple[str, MapChoice] | None) -> Opened:
    """With the maps made in another way, if their run is still looked at; all else may have changed meanwhile."""
    return replace(opened, choice=made[1], round=None) if made and made[0] == opened.run else opened


def tile(ticket: str, index: int) -> str:
    """The picture of one point, for maps of too many points for one sheet. The ticket names the visitor's own run."""
    parts, number = str(ticket).split("/"), whole(index)
    if len(parts) != 3 or parts[2] not in TITLES or number is None:
        return ""
    try:
        data = open_run_data(sessions.find_run(sessions.valid_token(parts[0]), parts[1]))
    except UserError:
        return ""
    placed = None if data is None else mapping.placed(data.run, parts[2])
    if data is None or placed is None or number >= len(placed.rows):
        return ""
    row = int(placed.rows[number])
    if parts[2] == "poses" or data.keypoints is None:
        return thumb(data.images, row)
    return patch(data.images, int(data.keypoints.image[row]), data.keypoints.xy[row], 0.3)


TAB = Tab("explore", "Explore", build, OUTPUTS, draw, redraw)
