"""What a visitor does ends well or in a sentence; nobody's run is lost, and one that has gone is the demo."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.conftest import is_harmless, make_images, text_of
from uld_explorer.data.sources import parse_demo
from uld_explorer.jobs import Jobs
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.paths import ASSETS
from uld_explorer.runs import Run, create_run
from uld_explorer.types import UserError
from uld_explorer.ui import handlers, sessions, trial
from uld_explorer.ui.handlers import Opened

ME = "0123456789abcdef" * 2
FIELDS = dataclasses.fields(ZeroShotSettings)
NAMES, VALUES = [f.name for f in FIELDS], [f.default for f in FIELDS]


class NoJobs(Jobs):
    """Takes every run and computes nothing; or, full, takes none."""

    def __init__(self, full: bool = False) -> None:
        super().__init__()
        self.full, self.begun = full, list[Run]()

    def start(self, run: Run, make_stage: Any) -> None:
        if self.full:
            raise UserError("8 runs are waiting already: try again when one has finished.")
        self.begun.append(run)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> NoJobs:
    taken = NoJobs()
    monkeypatch.setattr(handlers, "JOBS", taken)
    return taken


# ---------------------------------------------------------------- what was uploaded


@pytest.mark.parametrize("files", [None, [], ["points.json"], ["a.csv", "b.CSV"]])
def test_without_pictures_there_is_nothing_to_open(files: list[str] | None) -> None:
    with pytest.raises(UserError, match="Upload pictures first"):
        handlers.source_of("mine", files)


def test_two_annotation_files_are_one_too_many() -> None:
    with pytest.raises(UserError, match="one annotation file at most"):
        handlers.source_of("mine", ["a.png", "points.csv", "points.JSON"])


def test_the_annotation_file_is_told_from_the_pictures() -> None:
    assert handlers.source_of("mine", ["a.png", "points.JSON", "b.zip"]) == (["a.png", "b.zip"], "points.JSON")
    assert handlers.source_of("mine", ["a.png"]) == (["a.png"], None)


@pytest.mark.parametrize("kind", handlers.DEMO_SOURCES)
def test_a_demo_needs_no_upload_and_leaves_one_out(kind: str) -> None:
    source, notes = handlers.source_of(kind, ["a.png", "points.csv"])
    assert isinstance(source, str) and parse_demo(source)[0] == kind and notes is None


def test_the_notes_tell_the_truth_about_the_demos() -> None:
    assert handlers.DEMO_NOTES["faces"].startswith(f"{len(list((ASSETS / 'faces').glob('*.jpg')))} ")
    assert handlers.DEMO_NOTES["heads"].startswith(f"{parse_demo(handlers.DEMO_SOURCES['heads'])[1]} ")


def test_checking_says_what_is_ready_and_what_was_skipped(data_dir: Path, tmp_path: Path) -> None:
    files = [str(path) for path in make_images(tmp_path / "pictures").paths]
    broken = tmp_path / "<b onclick=x>.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is not a picture")
    *before, last = handlers.check_pictures("mine", [*files, str(broken)])
    assert all("uld-progress" in html for html in before)
    assert "4 pictures ready" in text_of(last) and "<b onclick=x>.jpg" in text_of(last)
    assert is_harmless(last)


def test_checking_ends_in_a_sentence_where_nothing_is_usable(data_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is not a picture")
    last = list(handlers.check_pictures("mine", [str(broken)]))[-1]
    assert "uld-failed" in last and "broken.jpg" in text_of(last)


@pytest.mark.parametrize("kind", ["mine", *handlers.DEMO_SOURCES])
def test_before_an_upload_there_are_words(kind: str) -> None:
    (html,) = handlers.check_pictures(kind, None)
    assert text_of(html) == handlers.DEMO_NOTES.get(kind, handlers.UPLOAD_NOTE)


def test_a_space_takes_a_limited_number_of_pictures(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/uld-explorer")
    monkeypatch.setattr(handlers, "SPACE_LIMIT", 2)
    files = [str(path) for path in make_images(tmp_path / "pictures").paths]
    assert "2 pictures ready" in text_of(list(handlers.check_pictures("mine", files))[-1])


# ---------------------------------------------------------------- visitors


def test_a_new_visitor_gets_a_token_and_the_demo(data_dir: Path) -> None:
    kept, opened = handlers.welcome(None)
    assert len(kept["token"]) == 32 and kept["run"] == "demo" and opened == Opened(run="demo")


def test_a_visitor_comes_back_to_the_run_they_looked_at(data_dir: Path) -> None:
    run = create_run(sessions.visitor_dir(ME))
    kept = {"token": ME, "run": run.id}
    assert handlers.welcome(kept) == (kept, Opened(run=run.id))


@pytest.mark.parametrize("memory", [[], "x", 7, {"token": ME, "run": "../x"}, {"token": ME, "run": ["demo"]}], ids=repr)
def test_a_memory_that_names_no_run_opens_the_demo(data_dir: Path, memory: Any) -> None:
    kept, opened = handlers.welcome(memory)
    assert kept["run"] == "demo" == opened.run
    assert kept["token"] == ME or not isinstance(memory, dict)


def test_a_run_is_opened_from_the_list(data_dir: Path) -> None:
    run = create_run(sessions.visitor_dir(ME))
    assert handlers.open_run({"token": ME, "run": "demo"}, run.id) == (
        {"token": ME, "run": run.id},
        Opened(run=run.id),
    )
    assert handlers.open_run({"token": ME}, None)[1] == Opened(run="demo")


def test_a_run_that_has_gone_is_the_demo(data_dir: Path) -> None:
    """Deleted, another visitor's, or never there: the page shows the demo instead of an error."""
    run = create_run(sessions.visitor_dir(ME))
    assert handlers.current({"token": ME}, Opened(run=run.id)) == run
    assert handlers.current({"token": "f" * 32}, Opened(run=run.id)) == sessions.DEMO
    assert handlers.current(None, Opened(run=run.id)) == sessions.DEMO
    assert handlers.current({"token": ME}, Opened(run="../x")) == sessions.DEMO
    assert handlers.current({"token": ME}, Opened()) == sessions.DEMO


# ---------------------------------------------------------------- runs


def test_a_discovery_begins_in_the_visitors_folder(data_dir: Path, jobs: NoJobs) -> None:
    kept, opened = handlers.start("heads", None, {"token": ME, "run": "demo"}, "zeroshot", NAMES, VALUES)
    (run,) = jobs.begun
    assert kept == {"token": ME, "run": run.id} and opened == Opened(run=run.id)
    assert handlers.current(kept, opened) == run and run.info()["title"] == "Demo heads"


def test_a_discovery_before_the_browser_knows_its_token_is_not_lost(data_dir: Path, jobs: NoJobs) -> None:
    """The token that is made on the way goes back to the browser with the run."""
    kept, opened = handlers.start("faces", None, None, "duldpp", NAMES, VALUES)
    assert handlers.current(kept, opened) == jobs.begun[0]


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("mine", {}, "Upload pictures first"),
        ("faces", {"landmarks": None}, "A number is missing"),
        ("faces", {"landmarks": 1}, "between 2 and 100"),
        ("faces", {"backbone": "/etc"}, "from the lists"),
    ],
)
def test_a_mistake_is_told_and_leaves_no_run(
    data_dir: Path, jobs: NoJobs, kind: str, change: dict[str, Any], words: str
) -> None:
    values = list((dict(zip(NAMES, VALUES, strict=True)) | change).values())
    with pytest.raises(gr.Error, match=words):
        handlers.start(kind, None, {"token": ME}, "zeroshot", NAMES, values)
    assert not jobs.begun and [i for _, i in sessions.run_choices(ME, handlers.is_running)] == ["demo"]


def test_a_run_that_is_refused_does_not_stay_in_the_list(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "JOBS", NoJobs(full=True))
    with pytest.raises(gr.Error, match="waiting already"):
        handlers.start("faces", None, {"token": ME}, "zeroshot", NAMES, VALUES)
    assert [i for _, i in sessions.run_choices(ME, handlers.is_running)] == ["demo"]


def test_several_files_are_not_called_by_the_first(data_dir: Path, tmp_path: Path) -> None:
    from uld_explorer.events import drain

    files = [str(path) for path in make_images(tmp_path / "pictures").paths]
    assert drain(handlers._iter_pictures("mine", files)).label == "my pictures"
    assert drain(handlers._iter_pictures("mine", files[:1])).label == "0.jpg"


def test_cancelling_what_is_not_running_is_no_error(data_dir: Path, jobs: NoJobs) -> None:
    handlers.cancel({"token": ME}, Opened())
    assert not handlers.is_running(sessions.DEMO)


# ---------------------------------------------------------------- try one picture


def test_trying_without_a_picture_asks_for_one() -> None:
    (html,) = handlers.try_picture(None, "whole", None, Opened())
    assert "Choose or drop a picture first" in text_of(html)


def test_trying_a_run_that_has_learned_nothing_says_so(data_dir: Path, tmp_path: Path) -> None:
    run, picture = create_run(sessions.visitor_dir(ME)), make_images(tmp_path).paths[0]
    *_, last = handlers.try_picture(str(picture), "whole", {"token": ME}, Opened(run=run.id))
    assert "uld-failed" in last and "no finished model" in text_of(last)


def test_a_region_that_is_not_offered_is_refused(tmp_path: Path) -> None:
    """Such as a file of the server."""
    with pytest.raises(UserError, match="whole picture or the foreground"):
        trial.find_on_picture(sessions.DEMO, str(tmp_path / "a.png"), "/etc/passwd")
