"""Training that is killed ends as if it had not been: real kills, bit by bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uld_explorer.events import Event, drain
from uld_explorer.landmarks import training
from uld_explorer.landmarks.training import Steps, TrainingState, iter_steps

STEPS = Steps("learn", "learning", 40, 0.05)


def new_state(folder: Path) -> TrainingState:
    torch.manual_seed(3)
    return TrainingState(folder, {"line": nn.Linear(2, 1)})


def losses(state: TrainingState, rng: torch.Generator) -> dict[str, Tensor]:
    """The line y = 3a - b, from points drawn anew."""
    x = torch.randn(8, 2, generator=rng)
    error = state.modules["line"](x)[:, 0] - (3 * x[:, 0] - x[:, 1])
    return {"square": error.square().mean(), "size": 0.0 * error.abs().mean()}


def run(state: TrainingState, steps: Steps = STEPS) -> list[Event]:
    stage = iter_steps(state, steps, state.modules["line"].parameters(), partial(losses, state), seed=5)
    return list(stage)


def weights(state: TrainingState) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.modules["line"].state_dict().items()}


def test_it_learns_and_says_how_far_it_is(tmp_path: Path) -> None:
    state = new_state(tmp_path)
    events = run(state)
    assert state.done == ["learn"] and state.step == 0
    assert [event.step for event in events] == [0, 10, 20, 30, 40] and events[-1].total == 40
    first, last = events[1].data["losses"], events[-1].data["losses"]
    assert last["square"] < 0.7 * first["square"] and set(last) == {"square", "size"}


def test_a_phase_that_is_over_is_not_run_again(tmp_path: Path) -> None:
    before = new_state(tmp_path)
    run(before)
    again = new_state(tmp_path)
    assert run(again) == []
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(before).items())


def test_cancelled_in_between_it_ends_bit_by_bit_the_same(tmp_path: Path) -> None:
    whole = new_state(tmp_path / "whole")
    run(whole)
    part = new_state(tmp_path / "part")
    stage = iter_steps(part, STEPS, part.modules["line"].parameters(), partial(losses, part), seed=5)
    for _ in range(3):
        next(stage)
    stage.close()
    rest = new_state(tmp_path / "part")
    assert rest.step == 20
    run(rest)
    assert all(torch.equal(value, weights(rest)[name]) for name, value in weights(whole).items())


def test_arrays_and_history_come_back(tmp_path: Path) -> None:
    state = new_state(tmp_path)
    state.arrays["labels"] = np.arange(6).reshape(2, 3)[:, ::-1]
    state.finish("labels", found=0.5)
    again = new_state(tmp_path)
    np.testing.assert_array_equal(again.arrays["labels"], state.arrays["labels"])
    assert again.done == ["labels"] and again.history == [{"phase": "labels", "found": 0.5}]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1, "older checkpoints are removed"


@pytest.mark.parametrize("damage", [b"", b"{", b'{"file": "gone.safetensors", "done": [], "step": 3, "history": []}'])
def test_a_damaged_checkpoint_means_to_begin_again(tmp_path: Path, damage: bytes) -> None:
    new_state(tmp_path).finish("labels")
    (tmp_path / "state.json").write_bytes(damage)
    assert new_state(tmp_path).done == []


CHILD = """
import sys
from pathlib import Path
from tests.landmarks import test_training as t
t.training.SAVE_SECONDS = 0.0
state = t.new_state(Path(sys.argv[1]))
for event in t.iter_steps(state, t.Steps("learn", "learning", 4000, 0.01), state.modules["line"].parameters(),
                          t.partial(t.losses, state), seed=5):
    print(event.step, flush=True)
"""


def test_killed_by_the_system_it_ends_bit_by_bit_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CHILD, str(tmp_path / "killed")]
    child = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 200:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    rest = new_state(tmp_path / "killed")
    assert 0 < rest.step < 4000
    short = Steps("learn", "learning", rest.step + 300, 0.01)
    run(rest, short)
    whole = new_state(tmp_path / "whole")
    run(whole, short)
    assert all(torch.equal(value, weights(rest)[name]) for name, value in weights(whole).items())


def test_a_checkpoint_is_written_when_the_last_one_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = new_state(tmp_path)
    state.save_if_due()
    assert not (tmp_path / "state.json").exists()
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.01)
    time.sleep(0.02)
    state.save_if_due()
    assert (tmp_path / "state.json").exists()


def test_the_stage_can_be_drained(tmp_path: Path) -> None:
    state = new_state(tmp_path)
    drain(iter_steps(state, STEPS, state.modules["line"].parameters(), partial(losses, state), seed=5))
    assert state.done == ["learn"]
