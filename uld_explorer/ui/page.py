"""The page: where everything stands and which handler answers which event."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from uld_explorer.export.formats import FORMATS
from uld_explorer.ui import api, handlers, retrain, sessions, sources
from uld_explorer.ui.controls import METHOD_CHOICES, METHOD_INFO, PRESET_INFO, build_controls, fit_controls, presets
from uld_explorer.ui.drawing import FOLLOWED, TABS, draw_tab, drawing, follow, redraw, show, watch
from uld_explorer.ui.opened import ORDERS, Kept, Opened, chosen
from uld_explorer.ui.tabs import explore, train, try_it
from uld_explorer.ui.tabs.parts import AT_ONCE, QUIET, Parts, clickable
from uld_explorer.ui.theme import STYLES, theme

TITLE = "ULD Explorer"
LEAD = "Landmarks that mean the same on every picture, with nobody having annotated anything."
KINDS = [("Demo: faces", "faces"), ("Demo: rendered heads", "heads"), ("My pictures", "mine")]
MAX_UPLOAD = "2gb"
FOLD_SIDEBAR = """() => {
  const toggle = document.querySelector('.sidebar.open .toggle-button');
  if (window.innerWidth < 768 && toggle) toggle.click();
}"""
"""On a phone the open sidebar would cover the landmarks, which should be the first thing seen."""
KEEP_ADDRESS = "(query) => { if (query) history.replaceState(null, '', '?' + query); }"
SHOW_LARGE = "() => document.querySelector('#large .uld-large')?.scrollIntoView({ block: 'nearest' })"


def build_page() -> gr.Blocks:
    """The whole page, ready to launch."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        parts: Parts = {
            # Values that name nothing but this visitor's own run; checked again at every use.
            "memory": gr.BrowserState({}, storage_key="uld-explorer", secret=sessions.browser_secret()),
            "opened": gr.State(Opened()),
            # No gr.State: events that are not queued do not tell that one has changed.
            "seen": gr.Textbox(visible="hidden", label="seen"),
            "watched": gr.State(""),
            "made": gr.State(),
            "timer": gr.Timer(1.0, active=False),
            "link": gr.Textbox(visible="hidden", label="address"),
        }
        _sidebar(parts)
        gr.HTML(f'<div class="uld-header"><h1>{TITLE}</h1><p>{LEAD}</p></div>')
        _run_bar(parts)
        with gr.Tabs(elem_id="tabs") as parts["tabs"]:
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.name) as parts[f"tab_{tab.name}"]:
                    tab.build(parts)
        _wire(page, parts)
        api.offer()
    return page


# ---------------------------------------------------------------- layout


def _sidebar(parts: Parts) -> None:
    with gr.Sidebar(label="New discovery", width=340):
        parts["kind"] = gr.Radio(KINDS, value="faces", label="1 · Pictures")
        parts["files"] = gr.File(
            file_count="multiple",
            file_types=sorted(sources.KNOWN_SUFFIXES),
            label="Pictures, or a ZIP of them; annotations are optional",
            visible=False,
            height=150,
        )
        parts["checked"] = gr.HTML(sources.NOTE.format(sources.DEMO_NOTES["faces"]))
        parts["method"] = gr.Radio(METHOD_CHOICES, value="zeroshot", label="2 · Method", info=METHOD_INFO)
        parts["preset"] = gr.Radio(presets(), value="quick", label="Training", info=PRESET_INFO, visible=False)
        parts["controls"] = build_controls()
        parts["discover"] = gr.Button("Discover landmarks", variant="primary")
        parts["estimate"] = gr.Button("What will it cost?", size="sm")
        parts["estimated"] = gr.HTML(elem_id="estimated")


def _run_bar(parts: Parts) -> None:
    with gr.Row(elem_classes="uld-run-bar"):
        parts["run"] = gr.Dropdown([], label="Run", scale=3, min_width=220, interactive=True)
        titles = [*(f"{item.title.split(' ')[0]}" for item in FORMATS.values()), "ZIP"]
        parts["downloads"] = [gr.DownloadButton(f"⤓ {title}", size="md", min_width=96, scale=0) for title in titles]
    parts["header"] = gr.HTML()
    with gr.Row(elem_classes="uld-progress-row"):
        parts["state"] = gr.HTML(elem_id="state")
        parts["pause"] = gr.Button("Pause", size="md", min_width=80, scale=0, visible=False)
        parts["cancel"] = gr.Button("Cancel", variant="stop", size="md", min_width=80, scale=0, visible=False)
        parts["resume"] = gr.Button("Resume", variant="primary", size="md", min_width=90, scale=0, visible=False)
    parts["chips"] = clickable(elem_id="chips")
    parts["pose_chips"] = clickable(elem_id="pose-chips")
    parts["large"] = gr.HTML(elem_id="large")
    parts["close"] = gr.Button("Close the picture", size="sm", visible=False)


# ---------------------------------------------------------------- wiring


def _wire(page: gr.Blocks, parts: Parts) -> None:
    memory, opened = parts["memory"], parts["opened"]
    shows, again = drawing(parts, show, everything=True), drawing(parts, redraw)
    arrived = page.load(_welcome, [memory], [memory, opened], **AT_ONCE)
    arrived.then(**_select_tab(parts, first=True)).then(**shows)
    page.load(None, None, None, js=FOLD_SIDEBAR)
    parts["link"].change(None, [parts["link"]], None, js=KEEP_ADDRESS)
    _wire_pictures(parts)
    _wire_run(parts, shows)
    for name in ("chips", "pose_chips", "gallery", "explore_gallery", "pose_cards", "dial"):
        clicked = parts[name].select(_choose, [opened], [opened], **AT_ONCE).then(**again)
        clicked.then(None, None, None, js=SHOW_LARGE)
    parts["close"].click(lambda now: replace(now, picture=None), [opened], [opened], **AT_ONCE).then(**again)
    for tab in TABS:
        turned = parts[f"tab_{tab.name}"].select(_turn_to(tab.name), [opened], [opened], **AT_ONCE)
        turned.then(**drawing(parts, draw_tab))
    _wire_maps(parts, again)
    _wire_passports(parts, shows, again)
    tried = [parts["try_files"], parts["try_camera"], parts["try_roi"], memory, opened]
    parts["try"].click(try_it.answer, tried, parts["try_result"], api_visibility="private", concurrency_limit=2)


def _welcome(memory: Kept | None, request: gr.Request) -> tuple[Kept, Opened]:
    return handlers.welcome(memory, dict(request.query_params))


def _choose(opened: Opened, event: gr.EventData) -> Opened:
    return chosen(opened, event)


def _turn_to(name: str) -> Callable[[Opened], Opened]:
    return lambda opened: replace(opened, tab=name)


def _select_tab(parts: Parts, first: bool = False) -> dict[str, Any]:
    """Arguments of an event that turns to the tab that is opened.

    first: the page has just come up with its first tab; whoever has turned to another one by now is left there.
    """

    def select(opened: Opened) -> Any:
        return gr.skip() if first and opened.tab == Opened().tab else gr.Tabs(selected=opened.tab)

    return {"fn": select, "inputs": [parts["opened"]], "outputs": [parts["tabs"]], **AT_ONCE}


def _wire_pictures(parts: Parts) -> None:
    kind, files, checked = parts["kind"], parts["files"], parts["checked"]
    kind.change(lambda value: gr.update(visible=value == "mine"), kind, files, **AT_ONCE)
    looked = {"fn": sources.check_pictures, "inputs": [kind, files], "outputs": checked}
    gr.on([kind.change, files.change], **looked, trigger_mode="always_last", **QUIET)


def _wire_run(parts: Parts, shows: dict[str, Any]) -> None:
    memory, opened, controls, seen = parts["memory"], parts["opened"], parts["controls"], parts["seen"]
    names = list(controls)

    def discover(
        kind: str, files: list[str] | None, kept: Kept | None, method: str, *values: Any
    ) -> tuple[Kept, Opened]:
        return handlers.start(kind, files, kept, method, names, list(values))

    def estimate(kind: str, files: list[str] | None, method: str, *values: Any) -> Any:
        yield from handlers.estimate(kind, files, method, names, list(values))

    method, preset = parts["method"], parts["preset"]
    fitted = [preset, *controls.values()]
    gr.on([method.change, preset.change], fit_controls, [method, preset], fitted, **AT_ONCE)
    asked = [parts["kind"], parts["files"], method, *controls.values()]
    parts["estimate"].click(estimate, asked, parts["estimated"], concurrency_limit=1, **QUIET)
    begun = [parts["kind"], parts["files"], memory, method, *controls.values()]
    parts["discover"].click(discover, begun, [memory, opened], **QUIET).then(**shows).then(**_select_tab(parts))
    again = [memory, opened, parts["train_method"], parts["train_preset"]]
    parts["train_estimate"].click(retrain.estimate, again, parts["train_estimated"], concurrency_limit=1, **QUIET)
    trained = parts["train_again"].click(retrain.start, again, [memory, opened], **QUIET)
    trained.then(**shows).then(**_select_tab(parts))
    for name, answer in (("cancel", handlers.cancel), ("pause", handlers.pause)):
        parts[name].click(answer, [memory, opened], None, **QUIET)
    parts["resume"].click(handlers.resume, [memory, opened], [opened], **QUIET).then(**shows)
    switched = [memory, opened, parts["run"]]
    parts["run"].input(handlers.switch_run, switched, [memory, opened], **AT_ONCE).then(**shows)
    # What was said about another run.
    said = [parts["train_estimated"], parts["map_note"], parts["try_result"]]
    parts["run"].change(lambda: ("", "", try_it.FIRST), None, said, **AT_ONCE)
    acted = parts["runs"].select(handlers.act_on_run, [memory, opened], [memory, opened], **QUIET)
    acted.then(**shows).then(**_select_tab(parts))
    parts["timer"].tick(follow, [memory, opened], [parts[name] for name in FOLLOWED], **AT_ONCE)
    watched = parts["watched"]
    live = [*(parts[name] for name in train.LIVE), watched]
    parts["timer"].tick(watch, [memory, opened, watched], live, trigger_mode="once", **AT_ONCE)
    # The mark changes when results appear and when the run ends: then everything is drawn again.
    seen.change(**shows)


def _wire_maps(parts: Parts, again: dict[str, Any]) -> None:
    memory, opened = parts["memory"], parts["opened"]
    for name, what in (("map_keypoints", "keypoints"), ("map_poses", "poses"), ("dial_map", "dial")):
        # One after the other, so that none of two quick ones starts from what was before the first.
        quick: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": 1, **QUIET}
        parts[name].select(_selecting(what), [opened], [opened], **quick).then(**again)
    draw = drawing(parts, draw_tab)
    menus = [parts["by_keypoints"], parts["by_poses"]]
    for menu in menus:
        menu.input(explore.coloured, [opened, *menus], [opened], **AT_ONCE).then(**draw)
    turned = [memory, opened, parts["round"]]
    parts["round"].input(explore.at_round, turned, [opened], trigger_mode="always_last", **AT_ONCE).then(**draw)
    made = [parts[name] for name in ("map_method", "map_neighbours", "map_distance")]
    asked = [memory, opened, *made]
    parts["map_again"].click(
        explore.drawn_again, asked, [parts["made"], parts["map_note"]], api_visibility="private", concurrency_limit=1
    ).then(explore.as_drawn, [opened, parts["made"]], [opened], **AT_ONCE).then(**draw)


def _selecting(what: str) -> Callable[[Opened, gr.EventData], Opened]:
    """The answer to a selection on one of the maps."""

    def dialled(opened: Opened, event: gr.EventData) -> Opened:
        return chosen(opened, gr.EventData(None, {"dial": getattr(event, "index", None)}))

    def selected(opened: Opened, event: gr.EventData) -> Opened:
        return explore.selected(opened, what, event)

    return dialled if what == "dial" else selected


def _wire_passports(parts: Parts, shows: dict[str, Any], again: dict[str, Any]) -> None:
    memory, opened = parts["memory"], parts["opened"]
    edited = parts["passports"].select(handlers.edit, [memory, opened], [memory, opened], **QUIET)
    edited.then(**shows)
    for name, answer in (("undo", handlers.undo), ("redo", handlers.redo)):
        parts[name].click(answer, [memory, opened], [opened], **QUIET).then(**shows)

    def sort(now: Opened, order: str) -> Opened:
        return replace(now, order=order) if order in ORDERS else now

    parts["order"].input(sort, [opened, parts["order"]], [opened], **AT_ONCE).then(**drawing(parts, draw_tab))


def launch(page: gr.Blocks) -> None:
    """Serve the page; $GRADIO_SERVER_NAME and $GRADIO_SERVER_PORT choose the address."""
    page.queue(max_size=64, default_concurrency_limit=8)
    page.launch(
        theme=theme(),
        css_paths=[STYLES],
        footer_links=[],
        run_history=False,
        max_file_size=MAX_UPLOAD,
        show_error=True,
        ssr_mode=False,
    )
