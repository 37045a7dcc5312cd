"""The command line: one JSON object, exit codes, one sentence for every mistake, and the same numbers twice."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import dotted_set
from tests.data.published.test_sets import make_catheads
from tests.test_workflow import SUMMARY
from uld_explorer import cli, cli_progress, workflow
from uld_explorer.events import Event, Stage, progress
from uld_explorer.export.table import write_csv
from uld_explorer.runs import Run
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet, Landmarks

ROOT = Path(__file__).parents[1]
COUNT = 5
"""Pictures; with three landmarks too few keypoints for UMAP, which takes long to come up."""


@dataclass(frozen=True)
class Answer:
    """What one command answered."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.out.splitlines()[-1])


def call(*argv: object) -> Answer:
    """The command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([str(word) for word in argv])
        except SystemExit as stop:  # argparse's own way
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def annotate(images: ImageSet, path: Path) -> None:
    assert images.annotations is not None
    truth = images.annotations.xy
    found = Landmarks(truth, truth[..., 0] > 0, truth[..., 0].astype("float32"))
    write_csv(path, images, found)


@dataclass(frozen=True)
class Desk:
    """Folders to work on, and the flags of a small and fast discovery."""

    home: Path
    flags: tuple[str, ...]

    @property
    def annotated(self) -> Path:
        return self.home / "annotated"

    @property
    def bare(self) -> Path:
        return self.home / "bare"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, tiny_ddpm: Path) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("desk")
    annotate(dotted_set(home / "annotated", COUNT), home / "annotated" / "annotations.csv")
    dotted_set(home / "bare", COUNT, seed=1)
    dotted_set(home / "few", 2, seed=2)
    (home / "annotated" / "broken.png").write_bytes(b"no picture")
    numbers = ("--landmarks", "3", "--map-size", "16", "--restarts", "2", "--blocks", "0")
    flags = ("--backbone", str(tiny_ddpm), "--device", "cpu", *numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ULD_DATA_DIR", str(home / "data"))
        yield Desk(home, flags)


@pytest.fixture(scope="module")
def finished(desk: Desk) -> tuple[Path, Answer]:
    """A finished run in a folder of its own, and what the command answered."""
    out = desk.home / "run"
    argv = ("--baselines", "random-weights", "--json", "--out", out)
    return out, call("discover", desk.annotated, *desk.flags, *argv)


# --- discover -----------------------------------------------------------------------------------------------------


def test_the_last_line_is_one_json_object_with_the_promised_keys(finished: tuple[Path, Answer], desk: Desk) -> None:
    folder, answer = finished
    assert answer.code == 0, answer.err
    assert answer.out.count("\n") == 1
    record = answer.record
    assert list(record) == SUMMARY
    assert (record["run"], record["images"], record["skipped"], record["landmarks"]) == ("run", COUNT, 1, 3)
    for key in SUMMARY[6:17]:
        assert isinstance(record[key], float), key
    assert record["protocol"]["name"] == "box"
    assert Run(folder).view().state == "done"


def test_progress_and_skipped_files_are_told_on_stderr(finished: tuple[Path, Answer]) -> None:
    err = finished[1].err
    assert "computing diffusion features" in err and "skipped broken.png: not a picture" in err
    assert "\x1b" not in err and "Traceback" not in err


def test_without_json_there_is_a_table_and_the_folder(desk: Desk) -> None:
    answer = call("discover", desk.bare, *desk.flags, "--limit", "5")
    assert answer.code == 0, answer.err
    assert "forward %" in answer.out
    folder = Path(answer.out.strip().splitlines()[-1].removeprefix("The run is in "))
    assert folder.parent == desk.home / "data" / "runs" and Run(folder).view().state == "done"
    assert folder.name in call("list").out


def test_the_same_seed_gives_the_same_numbers(finished: tuple[Path, Answer], desk: Desk) -> None:
    """Also when nothing of the first time is left in the cache."""
    shutil.rmtree(desk.home / "data" / "cache")
    argv = ("--baselines", "random-weights", "--json", "--quiet", "--out", desk.home / "again")
    again = call("discover", desk.annotated, *desk.flags, *argv)
    assert again.err.splitlines() == ["skipped broken.png: not a picture"]
    changing = ("run", "seconds")
    first, second = ({k: v for k, v in a.record.items() if k not in changing} for a in (finished[1], again))
    assert first == second


def test_another_set_can_be_measured(desk: Desk) -> None:
    annotate(dotted_set(desk.home / "other", 6, seed=3), desk.home / "other" / "annotations.csv")
    answer = call("discover", desk.annotated, *desk.flags, "--evaluate-on", desk.home / "other", "--json", "--quiet")
    assert answer.code == 0, answer.err
    assert answer.record["protocol"]["test_images"] == 6


# --- mistakes -----------------------------------------------------------------------------------------------------

MISTAKES = [
    (["demo:cats"], "demo:heads"),
    (["demo:heads:many"], "whole numbers"),
    (["{home}/nowhere"], "no file or folder"),
    (["{home}/few"], "At least 5"),
    (["{home}/bare", "--landmarks", "1"], "landmarks must be between 2 and 100"),
    (["{home}/bare", "--blocks", "one"], "list of whole numbers"),
    (["{home}/bare", "--roi", "annotations"], "needs annotated boxes"),
    (["{home}/bare", "--roi", "everywhere"], "no region 'everywhere'"),
    (["{home}/bare", "--annotations", "{home}/none.csv"], "none.csv"),
    (["{home}/bare", "--backbone", "magic"], "no backbone 'magic'"),
    (["{home}/bare", "--backbone", "{home}/bare"], "no diffusion backbone"),
    (["{home}/bare", "--protocol", "magic"], "no evaluation protocol named 'magic'"),
    (["{home}/bare", "--baselines", "luck"], "no baseline 'luck'"),
    (["{home}/bare", "--limit", "0"], "--limit must be 1 or more"),
    (["{home}/bare", "--out", "{home}/few"], "already and not empty"),
]


@pytest.mark.parametrize(
    ("argv", "words"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_mistake_is_told_in_one_sentence_with_exit_code_2(desk: Desk, argv: list[str], words: str) -> None:
    given = [word.format(home=desk.home) for word in argv]
    answer = call("discover", given[0], *desk.flags, *given[1:], "--quiet", "--json")
    assert answer.code == 2 and answer.out == ""
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ") and line.endswith(".") and words in line


@pytest.mark.parametrize(
    "argv", [[], ["dream"], ["discover"], ["discover", "x", "--landmarks", "many"], ["list", "cats"]]
)
def test_wrong_usage_is_told_with_exit_code_2(argv: list[str]) -> None:
    answer = call(*argv)
    assert answer.code == 2 and "usage:" in answer.err and "Traceback" not in answer.err


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_mistakes_of_the_verbs_on_a_run(finished: tuple[Path, Answer], desk: Desk, verb: str) -> None:
    folder = finished[0]
    mistakes = [
        ([desk.home / "few", desk.annotated], "no finished model|no such run"),
        ([folder, desk.home / "nowhere"], "no file or folder"),
        ([folder, desk.annotated, "--limit", "0"], "--limit must be 1 or more"),
        ([folder, desk.annotated, "--roi", "everywhere"], "no region 'everywhere'"),
    ]
    if verb == "evaluate":
        mistakes += [
            ([folder, desk.bare], "no annotations"),
            ([folder, desk.annotated, "--protocol", "magic"], "no evaluation protocol"),
            ([folder, desk.annotated, "--baselines", "luck"], "no baseline 'luck'"),
        ]
    else:
        mistakes += [([folder, desk.bare, "--format", "pdf"], "no export format 'pdf'")]
    for argv, words in mistakes:
        answer = call(verb, *argv, "--quiet")
        assert answer.code == 2, (argv, answer)
        (line,) = answer.err.splitlines()
        assert line.startswith("error: ") and any(word in line for word in words.split("|")), line


# --- ends that are no end -----------------------------------------------------------------------------------------


def interrupted(error: BaseException) -> Any:
    def stage(*_: object, **__: object) -> Stage[None]:
        yield progress("computing diffusion features", 1, 5)
        raise error

    return stage


def test_an_interrupt_is_kept_as_the_runs_last_event(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "iter_discover", interrupted(KeyboardInterrupt()))
    out = desk.home / "interrupted"
    answer = call("discover", desk.bare, *desk.flags, "--out", out, "--json")
    assert answer.code == 130 and answer.out == "" and answer.err.splitlines()[-1] == "stopped"
    assert [event.kind for event in Run(out).events()] == ["progress", "cancelled"]


def test_a_failure_is_kept_as_the_runs_last_event(desk: Desk) -> None:
    out = desk.home / "failed"
    assert call("discover", desk.bare, *desk.flags, "--roi", "annotations", "--out", out).code == 2
    view = Run(out).view()
    assert view.state == "failed" and "annotated boxes" in view.message


def test_an_unexpected_error_is_kept_too_and_is_no_success(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "iter_discover", interrupted(RuntimeError("odd")))
    out = desk.home / "odd"
    with pytest.raises(RuntimeError):
        call("discover", desk.bare, *desk.flags, "--out", out)
    assert Run(out).view().state == "failed"


# --- the other verbs ----------------------------------------------------------------------------------------------


def test_predict_writes_what_it_finds(finished: tuple[Path, Answer], desk: Desk, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "found.json"
    answer = call("predict", finished[0], desk.bare, "--out", out, "--json", "--quiet")
    assert answer.code == 0, answer.err
    record = answer.record
    assert (record["images"], record["skipped"], record["file"]) == (COUNT, 0, str(out))
    assert 0 < record["detection_rate"] <= 100
    assert len(json.loads(out.read_text())["annotations"]) == COUNT


@pytest.mark.parametrize(("name", "file"), [("coco", "landmarks.coco.json"), ("csv", "landmarks.csv")])
def test_export_names_its_file_after_the_format(
    finished: tuple[Path, Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call("export", finished[0], "--format", name, "--json")
    assert answer.code == 0 and answer.record == {"file": file}
    assert (tmp_path / file).stat().st_size > 100


def test_a_file_that_cannot_be_written_is_told(finished: tuple[Path, Answer], desk: Desk) -> None:
    for verb in (["export", finished[0]], ["predict", finished[0], desk.bare]):
        answer = call(*verb, "--out", desk.home, "--quiet")
        assert answer.code == 2 and answer.err.startswith("error: ") and answer.err.count("\n") == 1


def test_evaluate_measures_the_run(finished: tuple[Path, Answer], desk: Desk) -> None:
    answer = call("evaluate", finished[0], desk.annotated, "--json", "--quiet")
    assert answer.code == 0, answer.err
    record = answer.record
    for key in ("forward_nme", "backward_nme", "mean_shape_nme"):
        assert record[key] == finished[1].record[key], "the same pictures, so the same errors as in the run"
    table = call("evaluate", finished[0], desk.annotated, "--quiet", "--roi", "annotations")
    assert table.code == 0 and "mean shape" in table.out


@pytest.mark.parametrize(
    ("what", "name"), [("backbones", "bundled"), ("methods", "zeroshot"), ("demos", "demo:heads"), ("formats", "coco")]
)
def test_the_tables_are_listed(what: str, name: str) -> None:
    answer = call("list", what)
    assert answer.code == 0 and any(line.startswith(name) for line in answer.out.splitlines())
    assert name in call("list", what, "--json").record[what]


def test_no_runs_is_said(data_dir: Path) -> None:
    assert call("list").out == "no runs yet\n"
    assert call("list", "--json").record == {"runs": {}}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (40, "40 s"), (89, "89 s"), (180, "3 min"), (7800, "2 h 10 min")]
)
def test_times_are_told_as_people_do(seconds: float, text: str) -> None:
    assert cli_progress.human_time(seconds) == text


def test_a_terminal_has_one_line_that_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    show = cli_progress.Progress()
    for step in (1, 2):
        show(Event("progress", "working", step, 2))
    show.close()
    assert screen.getvalue() == "\r\x1b[2Kworking 1/2\r\x1b[2Kworking 2/2\n"


# --- reproduce ----------------------------------------------------------------------------------------------------


def test_a_published_data_set_gives_its_table(
    tmp_path: Path, data_dir: Path, tiny_ddpm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_catheads(tmp_path / "cats")
    small = {"map_size": 16, "rounds": 1, "round_steps": 3, "width": 16, "train_batch": 2, "views": 3, "restarts": 2}
    monkeypatch.setattr(cli, "preset_values", lambda preset, settings: _known(small | {"proxy_steps": 2}, settings))
    argv = ("--backbone", tiny_ddpm, "--landmarks", 3, "--pose-clusters", 2, "--seeds", 1, "--out", tmp_path / "study")
    answer = call("reproduce", "catheads", tmp_path / "cats", *argv, "--json")
    assert answer.code == 0, answer.err
    rows = answer.record["rows"]
    assert answer.record["counterpart"] == "Table 1 (CatHeads)" and list(rows) == ["ZeroShot", "D-ULD", "D-ULD++"]
    assert all(cells["forward_nme"][0] > 0 and cells["backward_nme"][0] > 0 for cells in rows.values())
    reports = [json.loads(path.read_text()) for path in (tmp_path / "study").rglob("report.json")]
    assert {(r["protocol"]["name"], r["protocol"]["normaliser"], r["protocol"]["roi"]) for r in reports} == {
        ("eyes", "iod", "annotations")
    }
    refused = call("reproduce", "catheads", tmp_path / "cats", "--evaluate-on", "demo:heads", *argv)
    assert refused.code == 2 and "test pictures of its own" in refused.err


def _known(values: dict[str, Any], settings: type[RunSettings]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(settings)}
    return {name: value for name, value in values.items() if name in names}


# --- as a program -------------------------------------------------------------------------------------------------


def program(*argv: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "uld_explorer", *map(str, argv)]
    return subprocess.run(words, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=120)


def test_help_comes_within_two_seconds() -> None:
    """Measured in computing time, so that a busy machine does not fail it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = program("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and "discover" in done.stdout and done.stderr == ""
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_the_program_prints_json_last_and_nothing_but_its_own_words(desk: Desk) -> None:
    done = program("discover", desk.annotated, *desk.flags, "--json", "--quiet", "--out", desk.home / "program")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout.splitlines()[-1])) == SUMMARY
    assert done.stderr.splitlines() == ["skipped broken.png: not a picture"]


def test_a_flag_of_another_method_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["discover", "demo:faces", "--rounds", "7"]) == 2
    assert "--rounds is a setting of --method duld; zeroshot does not have it" in capsys.readouterr().err
