"""The Train tab: losses, rounds and what they saw, live; pause, resume, and the list of runs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from uld_explorer.analysis import figures
from uld_explorer.analysis.training import TrainingStory, training_story
from uld_explorer.runs import Run, list_runs
from uld_explorer.ui import retrain, sessions, training_view
from uld_explorer.ui.controls import PRESET_INFO, presets
from uld_explorer.ui.figure import FigureView, figure_json
from uld_explorer.ui.handlers import is_running
from uld_explorer.ui.retrain import TRAINED
from uld_explorer.ui.sources import can_reopen
from uld_explorer.ui.tabs.parts import Parts, Shown, Tab
from uld_explorer.ui.theme import STATIC
from uld_explorer.ui.training_view import ListedRun

ABOUT_TRAINING = "D-ULD learns a detector of what is seen. D-ULD++ also learns poses, and places what is hidden."
LIVE = ("losses", "rounds", "mixing", "round_table", "panels", "log")
OUTPUTS = (*LIVE, "runs", "train_about", "train_again", "train_estimate")
UNTRAINED = "ZeroShot trains nothing: press Start training to watch a detector learn on the same pictures."
SOON = "Appears when training has begun."
ABOUT = (
    "Training goes on when this page is closed; the address leads back to it from any tab of this browser. "
    "Paused and interrupted runs go on at their last checkpoint."
)


def build(parts: Parts) -> None:
    """The start, figures, panels, log, runs."""
    parts["train_about"] = gr.HTML(elem_id="train-about")
    with gr.Row(equal_height=True):
        parts["train_method"] = gr.Radio(TRAINED, value="duldpp", label="Method", info=ABOUT_TRAINING)
        parts["train_preset"] = gr.Radio(presets(), value="quick", label="Training", info=PRESET_INFO)
    with gr.Row():
        parts["train_estimate"] = gr.Button("What will training cost?")
        parts["train_again"] = gr.Button("Start training", variant="primary")
    parts["train_estimated"] = gr.HTML(elem_id="train-estimated")
    gr.HTML(f'<div class="uld-note">{ABOUT}</div>')
    with gr.Row(equal_height=False):
        for name in ("losses", "rounds", "mixing"):
            with gr.Column(min_width=280):
                parts[name] = FigureView(elem_id=name)
    parts["round_table"] = gr.HTML(elem_id="round-table")
    parts["panels"] = gr.HTML(elem_id="panels")
    parts["log"] = gr.HTML(elem_id="log")
    gr.HTML("<h3>Runs</h3>")
    parts["runs"] = gr.HTML(js_on_load=(STATIC / "runs.js").read_text(), elem_id="runs")


def draw(shown: Shown) -> list[Any]:
    """Everything of the opened run's training, and all runs."""
    *parts, _ = live(shown.run)
    possible = gr.update(interactive=can_reopen(shown.run) and not shown.running)
    return [*parts, runs_html(shown), retrain.about(shown.run), possible, possible]


def runs_html(shown: Shown) -> str:
    """The list of the visitor's runs."""
    runs = list_runs(sessions.visitor_dir(sessions.token_of(shown.kept)))
    return training_view.run_list([_listed(run, run.id == shown.run.id) for run in runs])


def live(run: Run, before: str = "") -> list[Any]:
    """Values for LIVE, gr.skip() for what is as it was at the mark `before`; the last is the mark of now."""
    events = run.events()
    story = training_story(events)
    counts = (run.id, len(events), len(story.rounds), len(story.notes))
    known = before.split("/") if before.startswith(f"{run.id}/") else ["", "", "", ""]
    told, rounds, said = (str(count) != mark for count, mark in zip(counts[1:], known[1:], strict=True))
    table = [training_view.round_table(story.rounds), _panels(run, story)] if rounds else [gr.skip()] * 2
    log = training_view.log(story) if said else gr.skip()
    views = _figures(run, story) if told else [gr.skip()] * 3
    return [*views, *table, log, "/".join(map(str, counts))]


def _figures(run: Run, story: TrainingStory) -> list[Any]:
    empty = SOON if run.settings().get("round_steps") or not run.settings() else UNTRAINED
    losses = figures.loss_curves(story) if any(phase.steps for phase in story.phases) else None
    rounds = figures.round_curves(story) if story.rounds else None
    weights = next((each.mixing_weights for each in reversed(story.rounds) if each.mixing_weights), None)
    mixing = figures.mixing_weights(weights) if weights else None
    words = (empty, "", "")  # said once, not three times
    return [
        gr.update(figure=figure_json(figure), empty=text)
        for figure, text in zip((losses, rounds, mixing), words, strict=True)
    ]


def _panels(run: Run, story: TrainingStory) -> str:
    images, regions = run.pictures(), run.regions()
    if images is None or regions is None:
        return ""
    numbers = [each.number for each in story.rounds]
    found = [(number, run.load_arrays(f"round_{number}")) for number in numbers]
    return training_view.rounds(images, regions, [(n, arrays) for n, arrays in found if arrays is not None])


def _listed(run: Run, opened: bool) -> ListedRun:
    info, state = run.info(), sessions.state_of(run, is_running(run))
    when = f"{run.id[:4]}-{run.id[4:6]}-{run.id[6:8]} {run.id[9:11]}:{run.id[11:13]}"
    facts = f"{when} · {info.get('method', '')} · {info.get('images', '?')} pictures"
    count = sum(file.stat().st_size for file in run.folder.rglob("*") if file.is_file())
    return ListedRun(run.id, str(info.get("title", "run")), state, facts, count, opened)


TAB = Tab("train", "Train", build, OUTPUTS, draw, lambda shown: [gr.skip()] * len(OUTPUTS))
