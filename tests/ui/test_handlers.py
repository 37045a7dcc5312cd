"""What a visitor does ends well or in a sentence; nobody's run is lost, and one that has gone is the demo."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.conftest import ME, NoJobs, finish_run, is_harmless, make_images, text_of
from uld_explorer import editing
from uld_explorer.data.sources import parse_demo
from uld_explorer.events import drain
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.mapping import MapChoice
from uld_explorer.paths import ASSETS
from uld_explorer.runs import Run, create_run
from uld_explorer.types import UserError
from uld_explorer.ui import handlers, sessions, sources, trial
from uld_explorer.ui.opened import Opened
from uld_explorer.ui.tabs import explore, try_it

FIELDS = dataclasses.fields(ZeroShotSettings)
NAMES, VALUES = [f.name for f in FIELDS], [f.default for f in FIELDS]


# ---------------------------------------------------------------- what was uploaded


@pytest.mark.parametrize("files", [None, [], ["points.json"], ["a.csv", "b.CSV"]])
def test_without_pictures_there_is_nothing_to_open(files: list[str] | None) -> None:
    with pytest.raises(UserError, match="Upload pictures first"):
        sources.source_of("mine", files)


def test_two_annotation_files_are_one_too_many() -> None:
    with pytest.raises(UserError, match="one annotation file at most"):
        sources.source_of("mine", ["a.png", "points.csv", "points.JSON"])


def test_the_annotation_file_is_told_from_the_pictures() -> None:
    assert sources.source_of("mine", ["a.png", "points.JSON", "b.zip"]) == (["a.png", "b.zip"], "points.JSON")
    assert sources.source_of("mine", ["a.png"]) == (["a.png"], None)


@pytest.mark.parametrize("kind", sources.DEMO_SOURCES)
def test_a_demo_needs_no_upload_and_leaves_one_out(kind: str) -> None:
    source, notes = sources.source_of(kind, ["a.png", "points.csv"])
    assert isinstance(source, str) and parse_demo(source)[0] == kind and notes is None


def test_the_notes_tell_the_truth_about_the_demos() -> None:
    assert sources.DEMO_NOTES["faces"].startswith(f"{len(list((ASSETS / 'faces').glob('*.jpg')))} ")
    assert sources.DEMO_NOTES["heads"].startswith(f"{parse_demo(sources.DEMO_SOURCES['heads'])[1]} ")


def test_checking_says_what_is_ready_and_what_was_skipped(data_dir: Path, tmp_path: Path) -> None:
    files = [str(path) for path in make_images(tmp_path / "pictures").paths]
    broken = tmp_path / "<b onclick=x>.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is not a picture")
    *before, last = sources.check_pictures("mine", [*files, str(broken)])
    assert all("uld-progress" in html for html in before)
    assert "4 pictures ready" in text_of(last) and "<b onclick=x>.jpg" in text_of(last)
    assert is_harmless(last)


def test_checking_ends_in_a_sentence_where_nothing_is_usable(data_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is not a picture")
    last = list(sources.check_pictures("mine", [str(broken)]))[-1]
    assert "uld-failed" in last and "broken.jpg" in text_of(last)


@pytest.mark.parametrize("kind", ["mine", *sources.DEMO_SOURCES])
def test_before_an_upload_there_are_words(kind: str) -> None:
    (html,) = sources.check_pictures(kind, None)
    assert text_of(html) == sources.DEMO_NOTES.get(kind, sources.UPLOAD_NOTE)


def test_a_space_takes_a_limited_number_of_pictures(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/uld-explorer")
    monkeypatch.setattr(sources, "SPACE_LIMIT", 2)
    files = [str(path) for path in make_images(tmp_path / "pictures").paths]
    assert "2 pictures ready" in text_of(list(sources.check_pictures("mine", files))[-1])


# ---------------------------------------------------------------- visitors


def test_a_new_visitor_gets_a_token_and_the_demo(data_dir: Path) -> None:
    kept, opened = handlers.welcome(None, {})
    assert len(kept["token"]) == 32 and kept["run"] == "demo" and opened == Opened(run="demo")


def test_a_visitor_comes_back_to_the_run_they_looked_at(data_dir: Path) -> None:
    run = create_run(sessions.visitor_dir(ME))
    kept = {"token": ME, "run": run.id}
    assert handlers.welcome(kept, {}) == (kept, Opened(run=run.id))


@pytest.mark.parametrize("memory", [[], "x", 7, {"token": ME, "run": "../x"}, {"token": ME, "run": ["demo"]}], ids=repr)
def test_a_memory_that_names_no_run_opens_the_demo(data_dir: Path, memory: Any) -> None:
    kept, opened = handlers.welcome(memory, {})
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
    assert handlers.current(kept, opened) == jobs.begun[0] and opened.tab == "train"


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
    assert drain(sources.iter_uploaded("mine", files)).label == "my pictures"
    assert drain(sources.iter_uploaded("mine", files[:1])).label == "0.jpg"


def test_cancelling_what_is_not_running_is_no_error(data_dir: Path, jobs: NoJobs) -> None:
    handlers.cancel({"token": ME}, Opened())
    assert not handlers.is_running(sessions.DEMO)


# ---------------------------------------------------------------- try one picture


def test_trying_without_a_picture_asks_for_one() -> None:
    (html,) = try_it.answer(None, None, "whole", None, Opened())
    assert "Choose or drop pictures first" in text_of(html)


def test_trying_a_run_that_has_learned_nothing_says_so(data_dir: Path, tmp_path: Path) -> None:
    run, picture = create_run(sessions.visitor_dir(ME)), make_images(tmp_path).paths[0]
    *_, last = try_it.answer([str(picture)], None, "whole", {"token": ME}, Opened(run=run.id))
    assert "uld-failed" in last and "no finished model" in text_of(last)


def test_a_region_that_is_not_offered_is_refused(tmp_path: Path) -> None:
    """Such as a file of the server."""
    with pytest.raises(UserError, match="whole picture or the foreground"):
        trial.find_on_pictures(sessions.DEMO, [str(tmp_path / "a.png")], "/etc/passwd")


# ---------------------------------------------------------------- going on, renaming, removing


def event(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def begun(jobs: NoJobs) -> Run:
    handlers.start("heads", None, {"token": ME}, "duldpp", NAMES, VALUES)
    return jobs.begun[-1]


def test_a_run_that_stopped_goes_on_and_a_finished_one_does_not(data_dir: Path, jobs: NoJobs) -> None:
    run = begun(jobs)
    assert handlers.can_resume(run)
    handlers.resume({"token": ME}, Opened(run=run.id))
    assert jobs.begun == [run, run]
    run.update_info(finished=1.0)
    assert not handlers.can_resume(run) and not handlers.can_resume(sessions.DEMO)
    with pytest.raises(gr.Error, match="cannot be gone on with"):
        handlers.resume({"token": ME}, Opened())


def test_what_was_uploaded_stays_with_the_run_under_names_of_our_own(data_dir: Path, tmp_path: Path) -> None:
    files = [str(path) for path in make_images(tmp_path / "pictures").paths]
    notes = tmp_path / "points.csv"
    notes.write_text("image,point,x,y\n0.jpg,a,1,2\n0.jpg,b,9,9\n")
    run = create_run(sessions.visitor_dir(ME))
    sources.keep_source(run, "mine", [*files, str(notes)])
    for file in files:
        Path(file).unlink()  # the server tidies up uploads
    images = drain(sources.iter_kept(run))
    assert images.names == ("0.jpg", "1.jpg", "2.jpg", "3.jpg") and images.annotations is not None
    assert {path.parent for path in images.paths} == {run.folder / "source"}
    (run.folder / "source.json").write_text("{}")
    with pytest.raises(UserError, match="not here any more"):
        drain(sources.iter_kept(run))


def test_runs_are_opened_renamed_and_removed(data_dir: Path, jobs: NoJobs) -> None:
    run, memory = begun(jobs), {"token": ME}
    kept, opened = handlers.act_on_run(memory, Opened(), event(what="open", run=run.id))
    assert kept["run"] == run.id == opened.run
    handlers.act_on_run(memory, opened, event(what="rename", run=run.id, name="  my \n cats "))
    assert run.info()["title"] == "my cats"
    for name in ("", " ", "x" * 61, None):
        if name is None:
            continue
        with pytest.raises(gr.Error, match="name of 1 to 60"):
            handlers.act_on_run(memory, opened, event(what="rename", run=run.id, name=name))
    kept, opened = handlers.act_on_run(memory, opened, event(what="remove", run=run.id))
    assert not run.folder.exists() and opened.run == "demo"


@pytest.mark.parametrize(
    "asked", [{"what": what, "run": "demo", "name": "mine"} for what in ("remove", "explode", "rename")] + [{}]
)
def test_the_example_cannot_be_removed_or_renamed(data_dir: Path, asked: dict[str, Any]) -> None:
    before = sessions.DEMO.info()
    handlers.act_on_run({"token": ME}, Opened(), event(**asked))
    assert sessions.DEMO.info() == before


def test_another_run_opens_on_the_tab_that_is_looked_at(data_dir: Path) -> None:
    run = create_run(sessions.visitor_dir(ME))
    kept, opened = handlers.switch_run({"token": ME}, Opened(tab="passports", focus=3), run.id)
    assert kept == {"token": ME, "run": run.id} and opened == Opened(run=run.id, tab="passports")


def test_nothing_is_done_to_the_example_in_the_place_of_a_run_that_has_gone(data_dir: Path, jobs: NoJobs) -> None:
    gone = Opened(run="20260101-000000-abcdef")
    with pytest.raises(gr.Error, match="no such run"):
        handlers.edit({"token": ME}, gone, event(edit="hide", key=1))
    with pytest.raises(gr.Error, match="no such run"):
        explore.drawn_again({"token": ME}, gone, "pca", 15, 0.1)
    assert [run for _, run in sessions.run_choices(ME, handlers.is_running)] == ["demo"]


def test_a_refused_edit_of_the_example_leaves_no_copy(data_dir: Path) -> None:
    with pytest.raises(gr.Error, match="name"):
        handlers.edit({"token": ME}, Opened(), event(edit="rename", key=1, name=" "))
    assert [run for _, run in sessions.run_choices(ME, handlers.is_running)] == ["demo"]


def test_landmarks_that_are_still_learned_are_not_edited(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finish_run(create_run(sessions.visitor_dir(ME)), tmp_path / "pictures")
    handlers.edit({"token": ME}, Opened(run=run.id), event(edit="hide", key=1))
    monkeypatch.setattr(handlers.JOBS, "running", lambda _: True)
    with pytest.raises(gr.Error, match="still learns"):
        handlers.edit({"token": ME}, Opened(run=run.id), event(edit="hide", key=0))
    assert len(run.edits()["edits"]) == 1


def test_edits_go_when_training_goes_on_and_stay_when_only_figures_were_missing(
    data_dir: Path, tmp_path: Path, jobs: NoJobs
) -> None:
    run = finish_run(create_run(sessions.visitor_dir(ME)), tmp_path / "pictures")
    run.update_info(asked={})
    handlers.edit({"token": ME}, Opened(run=run.id), event(edit="hide", key=1))
    handlers.resume({"token": ME}, Opened(run=run.id))
    assert len(run.edits()["edits"]) == 1
    (run.folder / "model" / "model.json").unlink()
    handlers.resume({"token": ME}, Opened(run=run.id))
    assert run.edits()["edits"] == []


def test_pictures_that_have_gone_leave_no_run(data_dir: Path, tmp_path: Path, jobs: NoJobs) -> None:
    with pytest.raises(gr.Error, match="upload them again"):
        handlers.start("mine", [str(tmp_path / "gone.jpg")], {"token": ME}, "zeroshot", NAMES, VALUES)
    assert [run for _, run in sessions.run_choices(ME, handlers.is_running)] == ["demo"]


def test_maps_drawn_anew_change_nothing_but_themselves(data_dir: Path, tmp_path: Path) -> None:
    """UMAP takes seconds, in which another run may have been opened."""
    run = finish_run(create_run(sessions.visitor_dir(ME)), tmp_path / "pictures")
    made, _ = explore.drawn_again({"token": ME}, Opened(run=run.id), "pca", 15, 0.1)
    now = Opened(run=run.id, tab="explore", focus=2)
    assert explore.as_drawn(now, made) == dataclasses.replace(now, choice=MapChoice("pca"))
    assert explore.as_drawn(Opened(), made) == Opened() == explore.as_drawn(Opened(), None)


def test_a_run_keeps_a_few_ways_of_drawing_only(data_dir: Path, tmp_path: Path) -> None:
    run = finish_run(create_run(sessions.visitor_dir(ME)), tmp_path / "pictures")
    for neighbours in range(2, 14):
        explore.drawn_again({"token": ME}, Opened(run=run.id), "pca", neighbours, 0.1)
    assert len(list(run.folder.glob("results/map_*.safetensors"))) == 8
    assert (run.folder / "results" / "map.safetensors").exists()


def test_another_visitors_run_cannot_be_touched(data_dir: Path, jobs: NoJobs) -> None:
    run = begun(jobs)
    for what in ("open", "remove", "rename", "resume"):
        with pytest.raises(gr.Error, match="no such run"):
            handlers.act_on_run({"token": "f" * 32}, Opened(), event(what=what, run=run.id, name="mine"))
    assert run.folder.exists() and run.info()["title"] == "Demo heads"


# ---------------------------------------------------------------- edits


def test_editing_the_example_makes_a_copy_of_ones_own(data_dir: Path) -> None:
    before = sessions.DEMO.edits()
    kept, opened = handlers.edit({"token": ME}, Opened(tab="passports"), event(edit="rename", key=1, name="left eye"))
    mine = handlers.current(kept, opened)
    assert mine.id != "demo" and opened.tab == "passports" and sessions.DEMO.edits() == before
    now = editing.edited(mine)
    assert now is not None and now.found.landmarks.titles[1] == "left eye"
    assert not handlers.can_resume(mine), "a copy of a finished run is finished"
    handlers.edit(kept, opened, event(edit="merge", key=0, other=2, pose=-1))
    assert len(editing.edited(mine).keys) == 9  # type: ignore[union-attr]
    handlers.undo(kept, opened)
    assert len(editing.edited(mine).keys) == 10  # type: ignore[union-attr]
    handlers.redo(kept, opened)
    assert len(editing.edited(mine).keys) == 9  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "sent",
    [
        {"edit": "explode", "key": 0},
        {"edit": "merge", "key": 0},
        {"edit": "merge", "key": 0, "other": 0},
        {"edit": "rename", "key": 0, "name": 7},
        {"edit": "hide", "key": "../x"},
        {"edit": ["hide"], "key": 0},
    ],
    ids=repr,
)
def test_an_edit_that_cannot_be_is_told(data_dir: Path, sent: dict[str, Any]) -> None:
    with pytest.raises(gr.Error):
        handlers.edit({"token": ME}, Opened(), event(**sent))


def test_a_click_on_a_patch_opens_its_picture(data_dir: Path) -> None:
    assert handlers.edit({"token": ME}, Opened(), event(picture=3))[1].picture == 3
    assert handlers.edit({"token": ME}, Opened(), event(picture="x"))[1].picture is None


def test_an_address_opens_what_it_names(data_dir: Path) -> None:
    run = create_run(sessions.visitor_dir(ME))
    query = {"run": run.id, "tab": "explore", "landmark": "3"}
    assert handlers.welcome({"token": ME, "run": "demo"}, query)[1] == Opened(run.id, "explore", 3)
    assert handlers.welcome({"token": "f" * 32}, query)[1] == Opened(), (
        "another visitor's run is not opened by its name"
    )
    assert handlers.welcome({"token": ME, "run": run.id}, {})[1] == Opened(run.id), "nothing asked: the last one"
