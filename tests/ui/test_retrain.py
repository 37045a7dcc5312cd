"""Training starts from a run that is there: its pictures and choices, another method, and a run of its own."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr
import pytest

from tests.ui.conftest import EVIL, ME, NoJobs, make_images, text_of
from uld_explorer.data.sources import parse_demo
from uld_explorer.events import drain
from uld_explorer.landmarks.d_uldpp import PoseSettings
from uld_explorer.runs import Run, create_run
from uld_explorer.types import UserError
from uld_explorer.ui import handlers, retrain, sessions, sources
from uld_explorer.ui.opened import Opened

MINE = {"token": ME, "run": "demo"}


@pytest.fixture
def run(data_dir: Path, tmp_path: Path) -> Run:
    """A ZeroShot run on four pictures of the visitor's, with choices of its own."""
    own = create_run(sessions.visitor_dir(ME), title=EVIL)
    sources.keep_source(own, "mine", [str(path) for path in make_images(tmp_path / "pictures").paths])
    own.update_info(method="zeroshot", images=4, asked={"landmarks": 7, "roi": "foreground", "map_size": 64})
    return own


def test_a_run_of_its_own_begins_with_the_same_pictures_and_choices(run: Run, jobs: NoJobs) -> None:
    kept, opened = retrain.start(MINE, Opened(run=run.id), "duldpp", "quick")
    (other,) = jobs.begun
    assert other.id != run.id and kept == {"token": ME, "run": other.id} and opened == Opened(other.id, "train")
    assert drain(sources.iter_kept(other)).names == drain(sources.iter_kept(run)).names
    asked = other.info()["asked"]
    assert (asked["landmarks"], asked["roi"], other.info()["method"]) == (7, "foreground", "duldpp")
    assert asked["map_size"] == PoseSettings().map_size  # a choice of the preset's, not of the run's
    assert other.info()["title"] == EVIL


def test_the_first_run_may_go_without_the_second(run: Run, jobs: NoJobs) -> None:
    _, opened = retrain.start(MINE, Opened(run=run.id), "duld", "quick")
    handlers.delete_run(run)
    assert len(drain(sources.iter_kept(handlers.current(MINE, opened)))) == 4


def test_a_preset_is_taken_over(run: Run) -> None:
    settings = retrain.settings_of(run, "duld", "standard").to_json()
    assert (settings["round_steps"], settings["map_size"], settings["landmarks"]) == (1000, 64, 7)


def test_the_example_knows_its_pictures() -> None:
    """It is trained again on as many heads as it says it has."""
    source = sources.KEPT_SOURCES[json.loads((sessions.DEMO.folder / "source.json").read_text())["kind"]]
    kind, count, *_ = parse_demo(source)
    assert (kind, count) == ("heads", sessions.DEMO.info()["images"])
    assert retrain.settings_of(sessions.DEMO, "duld", "quick").roi == "annotations"


@pytest.mark.parametrize(("method", "preset"), [("zeroshot", "quick"), ("duld", "long"), ("../x", "quick")])
def test_only_what_is_in_the_lists_is_trained(run: Run, jobs: NoJobs, method: str, preset: str) -> None:
    with pytest.raises(gr.Error, match="from the lists"):
        retrain.start(MINE, Opened(run=run.id), method, preset)
    assert not jobs.begun and len(sessions.run_choices(ME, handlers.is_running)) == 2


def test_without_its_pictures_it_says_so_and_leaves_no_run(data_dir: Path, jobs: NoJobs) -> None:
    bare = create_run(sessions.visitor_dir(ME))
    assert "choose pictures on the left" in text_of(retrain.about(bare))
    with pytest.raises(gr.Error, match="not here any more"):
        retrain.start(MINE, Opened(run=bare.id), "duld", "quick")
    assert len(sessions.run_choices(ME, handlers.is_running)) == 2
    (html,) = retrain.estimate(MINE, Opened(run=bare.id), "duld", "quick")
    assert "uld-failed" in html and "not here any more" in text_of(html)


def test_what_would_be_trained_on_is_said(run: Run) -> None:
    said = text_of(retrain.about(run))
    assert "pictures 4" in said and "landmarks 7" in said and "the foreground (estimated)" in said


def test_a_shared_machine_gives_quick_trainings_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/uld-explorer")
    retrain.settings_of(run, "duldpp", "quick")
    with pytest.raises(UserError, match="from the lists"):
        retrain.settings_of(run, "duldpp", "standard")
