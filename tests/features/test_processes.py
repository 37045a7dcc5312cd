"""Two processes do what one does: the same landmarks and losses, by the real launcher; and alone nothing is shared."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import dotted_set
from uld_explorer.features import processes
from uld_explorer.runs import Run

ROOT = Path(__file__).parents[2]
SIZES = {"landmarks": 4, "map-size": 16, "rounds": 2, "round-steps": 12, "train-batch": 5, "width": 16, "views": 3}
"""An odd batch, so that the processes' shares are not equal."""


def flags(extra: dict[str, int]) -> list[str]:
    return [word for name, value in (SIZES | extra).items() for word in (f"--{name}", str(value))]


def test_alone_nothing_is_shared() -> None:
    assert (processes.count(), processes.rank(), processes.is_main()) == (1, 0, True)
    np.testing.assert_array_equal(processes.own_rows(5), np.arange(5))
    part = torch.ones(3, requires_grad=True)
    assert processes.gather(part, 3) is part
    with processes.joined(), processes.main_first():
        processes.wait()
    assert processes.agreed({"a": 1}) == {"a": 1}


def test_rows_are_shared_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "count", lambda: 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        shares.append(processes.own_rows(7).tolist())
    assert shares == [[0, 1, 2], [3, 4, 5], [6, 6, 6]], "rows in order; the last is repeated to fill up"


def free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def discover(home: Path, backbone: Path, method: str, launched: bool, extra: dict[str, int]) -> Run:
    """A run of the real command, alone or by the launcher with two processes."""
    launcher = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port(), "--module"]
    command = [sys.executable, *(launcher if launched else ["-m"]), "uld_explorer", "discover", str(home / "pictures")]
    command += ["--method", method, "--backbone", str(backbone), "--blocks", "0,1", "--device", "cpu", "--json"]
    command += [*flags(extra), "--out", str(home / f"{method}-{launched}")]
    env = os.environ | {"ULD_DATA_DIR": str(home / f"data-{launched}"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert sum(line.startswith("{") for line in done.stdout.splitlines()) == 1, "only the main process speaks"
    record = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert record["method"] == method
    return Run(home / f"{method}-{launched}")


def losses(run: Run) -> dict[str, dict[str, float]]:
    """Training phase -> its last losses."""
    told = (event.data for event in run.events() if event.data.get("losses"))
    return {data["phase"]: data["losses"] for data in told}


def notes(run: Run) -> list[str]:
    texts = (str(event.data.get("text", "")) for event in run.events() if event.kind == "note")
    return [text for text in texts if re.match(r"Labels \d", text)]


@pytest.mark.parametrize(
    ("method", "extra"), [("duldpp", {"proxy-steps": 5, "pose-clusters": 2}), ("duld", {"channels": 8})]
)
def test_two_processes_find_what_one_finds(tmp_path: Path, tiny_ddpm: Path, method: str, extra: dict[str, int]) -> None:
    dotted_set(tmp_path / "pictures", 9, annotated=False)
    one, two = (discover(tmp_path, tiny_ddpm, method, launched, extra) for launched in (False, True))
    assert notes(one) == notes(two), "the same pseudo-labels, in words"
    first, second = losses(one), losses(two)
    assert first.keys() == second.keys() and len(first) >= 2
    for phase, values in first.items():
        assert second[phase] == pytest.approx(values, rel=2e-2, abs=2e-3), phase
    alone, together = one.landmarks(), two.landmarks()
    assert alone is not None and together is not None
    np.testing.assert_array_equal(alone.present, together.present)
    np.testing.assert_allclose(together.xy, alone.xy, atol=0.5)
    stored = [
        sum(len(np.load(file, mmap_mode="r")) for file in (tmp_path / f"data-{launched}").rglob("*.npy"))
        for launched in (False, True)
    ]
    assert stored[0] == stored[1], "no picture was left out of the store"
