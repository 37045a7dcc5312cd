"""The page: where everything stands and which handler answers which event."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from uld_explorer.data.archives import ARCHIVE_SUFFIXES
from uld_explorer.data.images import SUPPORTED_SUFFIXES
from uld_explorer.export.formats import FORMATS
from uld_explorer.ui import handlers, render, sessions
from uld_explorer.ui.controls import METHOD_CHOICES, METHOD_INFO, build_controls, fit_controls, presets
from uld_explorer.ui.downloads import downloads
from uld_explorer.ui.handlers import Kept, Opened, current
from uld_explorer.ui.scatter import EmbedScatter
from uld_explorer.ui.theme import STATIC, STYLES, theme

TITLE = "ULD Explorer"
LEAD = "Landmarks that mean the same on every picture, with nobody having annotated anything."
KINDS = [("Demo: faces", "faces"), ("Demo: rendered heads", "heads"), ("My pictures", "mine")]
UPLOADS = sorted({*SUPPORTED_SUFFIXES, *ARCHIVE_SUFFIXES, *handlers.ANNOTATION_SUFFIXES})
MAX_UPLOAD = "2gb"
ABOUT_STRIPS = (
    "### Each landmark across pictures\n"
    "From its most typical look to its least. A row that shows one thing is a good landmark."
)
ABOUT_MAP = (
    "Every point is a landmark in one picture, placed by what the diffusion model sees there (UMAP of the "
    "descriptors). Point at one to see its patch, click it to open its picture. Tight islands of one colour are "
    "landmarks that mean one thing."
)
FOLD_SIDEBAR = """() => {
  const toggle = document.querySelector('.sidebar.open .toggle-button');
  if (window.innerWidth < 768 && toggle) toggle.click();
}"""
"""On a phone the open sidebar would cover the landmarks, which should be the first thing seen."""
Parts = dict[str, Any]


def build_page() -> gr.Blocks:
    """The whole page, ready to launch."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        parts: Parts = {
            # Values that name nothing but this visitor's own run; checked again at every use.
            "memory": gr.BrowserState({}, storage_key="uld-explorer", secret=sessions.browser_secret()),
            "opened": gr.State(Opened()),
            "seen": gr.State(""),
            "timer": gr.Timer(1.0, active=False),
        }
        _sidebar(parts)
        gr.HTML(f'<div class="uld-header"><h1>{TITLE}</h1><p>{LEAD}</p></div>')
        _run_bar(parts)
        with gr.Tabs():
            _landmarks_tab(parts)
            _map_tab(parts)
            _numbers_tab(parts)
            _try_tab(parts)
        _wire(page, parts)
        page.load(None, None, None, js=FOLD_SIDEBAR)
    return page


# ---------------------------------------------------------------- layout


def _sidebar(parts: Parts) -> None:
    with gr.Sidebar(label="New discovery", width=340):
        parts["kind"] = gr.Radio(KINDS, value="faces", label="Pictures")
        parts["files"] = gr.File(
            file_count="multiple",
            file_types=UPLOADS,
            label="Pictures, or a ZIP of them; annotations are optional",
            visible=False,
            height=150,
        )
        parts["checked"] = gr.HTML(f'<div class="uld-note">{handlers.DEMO_NOTES["faces"]}</div>')
        parts["method"] = gr.Radio(METHOD_CHOICES, value="zeroshot", label="Method", info=METHOD_INFO)
        parts["preset"] = gr.Radio(presets(), value="quick", label="Training", visible=False)
        parts["controls"] = build_controls()
        parts["discover"] = gr.Button("Discover landmarks", variant="primary")
        parts["cancel"] = gr.Button("Cancel", variant="stop", visible=False)
        parts["state"] = gr.HTML(min_height=10)


def _run_bar(parts: Parts) -> None:
    with gr.Row(elem_classes="uld-run-bar"):
        parts["run"] = gr.Dropdown([], label="Run", scale=3, min_width=220, interactive=True)
        titles = [*(f"{item.title.split(' ')[0]}" for item in FORMATS.values()), "ZIP"]
        parts["downloads"] = [gr.DownloadButton(f"⤓ {title}", size="md", min_width=96, scale=0) for title in titles]
    parts["header"] = gr.HTML()
    parts["chips"] = gr.HTML(js_on_load=(STATIC / "choose.js").read_text())


def _landmarks_tab(parts: Parts) -> None:
    with gr.Tab("Landmarks"):
        parts["large"] = gr.HTML(elem_id="large")
        parts["close"] = gr.Button("Close the picture", size="sm", visible=False)
        parts["gallery"] = gr.HTML(render.NOT_YET, js_on_load=(STATIC / "choose.js").read_text(), elem_id="gallery")
        gr.Markdown(ABOUT_STRIPS)
        parts["strips"] = gr.HTML(elem_id="strips")


def _map_tab(parts: Parts) -> None:
    with gr.Tab("Map"):
        gr.Markdown(ABOUT_MAP)
        parts["map"] = EmbedScatter(elem_id="map")
        parts["map_picture"] = gr.HTML(elem_id="map-picture")


def _numbers_tab(parts: Parts) -> None:
    with gr.Tab("Numbers"):
        parts["numbers"] = gr.HTML(elem_id="numbers")


def _try_tab(parts: Parts) -> None:
    with gr.Tab("Try it"), gr.Row():
        with gr.Column(scale=1, min_width=260):
            parts["try_file"] = gr.File(file_types=sorted(SUPPORTED_SUFFIXES), label="One new picture", height=150)
            parts["try_roi"] = gr.Radio(
                [("the whole picture", "whole"), ("the foreground", "foreground")], value="whole", label="Where to look"
            )
            parts["try"] = gr.Button("Find its landmarks", variant="primary")
        with gr.Column(scale=3, min_width=300):
            parts["try_result"] = gr.HTML(
                render.EMPTY.format("The landmarks of the opened run, found on a picture of yours."), elem_id="tried"
            )


# ---------------------------------------------------------------- wiring

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
BROWSED = ("large", "close", "gallery")
"""Parts that depend on the page of the gallery and the opened picture, and on the landmark."""
POINTED = (*BROWSED, "chips", "strips", "map")
"""Parts that depend on the chosen landmark. Strips and map are big: they are not sent again for a turned page."""


def _wire(page: gr.Blocks, parts: Parts) -> None:
    memory, opened = parts["memory"], parts["opened"]
    show = _showing(parts)
    page.load(handlers.welcome, [memory], [memory, opened], **QUIET).then(**show)
    _wire_pictures(parts)
    _wire_run(parts, show)
    parts["chips"].select(_choose, [opened], [opened], **QUIET).then(**_drawing(parts, _point, POINTED))
    browse = _drawing(parts, _browse, BROWSED)
    parts["gallery"].select(_choose, [opened], [opened], **QUIET).then(**browse)
    parts["close"].click(_close, [opened], [opened], **QUIET).then(**browse)
    parts["map"].select(_map_choose, [memory, opened], [parts["map_picture"]], **QUIET)
    tried = [parts["try_file"], parts["try_roi"], memory, opened]
    parts["try"].click(handlers.try_picture, tried, parts["try_result"], api_visibility="private", concurrency_limit=2)


def _wire_pictures(parts: Parts) -> None:
    kind, files, checked = parts["kind"], parts["files"], parts["checked"]
    kind.change(lambda value: gr.update(visible=value == "mine"), kind, files, **QUIET)
    gr.on(
        [kind.change, files.change],
        handlers.check_pictures,
        [kind, files],
        checked,
        trigger_mode="always_last",
        **QUIET,
    )


def _wire_run(parts: Parts, show: dict[str, Any]) -> None:
    memory, opened, controls, seen = parts["memory"], parts["opened"], parts["controls"], parts["seen"]
    names = list(controls)

    def discover(
        kind: str, files: list[str] | None, kept: Kept | None, method: str, *values: Any
    ) -> tuple[Kept, Opened]:
        return handlers.start(kind, files, kept, method, names, list(values))

    method, preset = parts["method"], parts["preset"]
    fitted = [preset, *controls.values()]
    gr.on([method.change, preset.change], fit_controls, [method, preset], fitted, **QUIET)
    chosen = [parts["kind"], parts["files"], memory, method, *controls.values()]
    parts["discover"].click(discover, chosen, [memory, opened], **QUIET).then(**show)
    parts["cancel"].click(handlers.cancel, [memory, opened], None, **QUIET)
    parts["run"].input(handlers.open_run, [memory, parts["run"]], [memory, opened], **QUIET).then(**show)
    followed = [parts["state"], parts["timer"], parts["cancel"], seen]
    parts["timer"].tick(_follow, [memory, opened], followed, **QUIET)
    # The mark changes when results appear and when the run ends: then everything is drawn again.
    seen.change(**show)


def _showing(parts: Parts) -> dict[str, Any]:
    """Arguments of an event that draws the opened run."""
    names = ("run", "state", "timer", "cancel", "header", *POINTED, "numbers")
    outputs = [*(parts[name] for name in names), *parts["downloads"]]
    return {"fn": _show, "inputs": [parts["memory"], parts["opened"]], "outputs": outputs, **QUIET}


def _drawing(parts: Parts, draw: Callable[..., list[Any]], names: Sequence[str]) -> dict[str, Any]:
    """Arguments of an event that draws some parts of the opened run."""
    outputs = [parts[name] for name in names]
    return {"fn": draw, "inputs": [parts["memory"], parts["opened"]], "outputs": outputs, **QUIET}


def _show(kept: Kept | None, opened: Opened) -> list[Any]:
    run = current(kept, opened)
    running = handlers.is_running(run)
    choices = gr.Dropdown(choices=sessions.run_choices(sessions.token_of(kept), handlers.is_running), value=run.id)
    progress = [render.state(run, running), gr.Timer(active=running), gr.update(visible=running)]
    files = [gr.DownloadButton(value=path, interactive=path is not None) for path in downloads(run)]
    return [choices, *progress, render.header(run), *_point(kept, opened), render.numbers(run), *files]


def _browse(kept: Kept | None, opened: Opened) -> list[Any]:
    run = current(kept, opened)
    focus = render.known_landmark(run, opened.focus)
    large = render.one_picture(run, opened.picture, focus)
    gallery = render.pictures(run, opened.page, focus, handlers.is_running(run), opened.pose)
    return [large, gr.update(visible=bool(large)), gallery]


def _point(kept: Kept | None, opened: Opened) -> list[Any]:
    run = current(kept, opened)
    focus = render.known_landmark(run, opened.focus)
    data = EmbedScatter(data=render.map_data(run, focus))
    return [*_browse(kept, opened), render.chips(run, focus), render.strips(run, focus), data]


def _follow(kept: Kept | None, opened: Opened) -> list[Any]:
    run = current(kept, opened)
    running = handlers.is_running(run)
    mark = f"{render.stamp(run)} {running}"
    return [render.state(run, running), gr.Timer(active=running), gr.update(visible=running), mark]


def _choose(opened: Opened, event: gr.EventData) -> Opened:
    """A click in the chips or the gallery. Anything can arrive from a browser: only whole numbers are taken."""
    keys = ("picture", "landmark", "page", "pose")
    picture, landmark, page, pose = (_whole(getattr(event, key, None)) for key in keys)
    if landmark is not None:
        return replace(opened, focus=None if landmark == opened.focus else landmark)
    if pose is not None:
        return replace(opened, pose=None if pose == opened.pose else pose, page=0)
    if page is not None:
        return replace(opened, page=page)
    return replace(opened, picture=picture)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**6 else None


def _close(opened: Opened) -> Opened:
    return replace(opened, picture=None)


def _map_choose(kept: Kept | None, opened: Opened, event: gr.EventData) -> str:
    """A click on the map opens the point's picture below it."""
    run, point = current(kept, opened), _whole(getattr(event, "index", None))
    points, placed = run.keypoints(), run.load_arrays("map")
    if points is None or placed is None or point is None or point >= len(placed["rows"]):
        return ""
    row = int(placed["rows"][point])
    return render.one_picture(run, int(points.image[row]), _whole(int(points.label[row])))


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
