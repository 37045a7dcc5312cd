"""Training that may be killed at any moment: what it changes, how that is kept, and the loop of optimiser steps.

A method trains in *phases*, one after the other; each is either made at once (pseudo-labels) or in steps. What phases
made is kept on disk, so that the same command goes on where it stopped and ends as if it had never been disturbed:
every step draws from a generator seeded by its own number, and nothing else is random. Knows nothing of landmarks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from uld_explorer.events import Event, Stage, progress
from uld_explorer.features import processes
from uld_explorer.landmarks.tensors import under

SAVE_SECONDS = 20.0
"""A checkpoint is written when the last one is older than this."""
REPORT_STEPS = 10


class TrainingState:
    """Networks, arrays and the optimiser's moments, with a folder that they are kept in.

    modules  name -> network; initialised by the caller, overwritten from the folder where there is a checkpoint; moved
             to `device` where one is given
    arrays   name -> what phases made besides weights
    done     the phases that are over, in order; `step`: how far the next one has come
    """

    def __init__(self, folder: Path, modules: Mapping[str, nn.Module], device: torch.device | None = None) -> None:
        self.folder, self.modules = folder, {name: module.to(device) for name, module in modules.items()}
        self.arrays: dict[str, np.ndarray] = {}
        self.done: list[str] = []
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.optimiser: torch.optim.Optimizer | None = None
        self._moments: dict[str, Tensor] = {}
        self._saved = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self._restore()

    def save(self) -> None:
        """Write a checkpoint. The small JSON goes last and by rename: a kill leaves the older one whole."""
        if not processes.is_main():
            return
        tensors = {f"array.{name}": torch.from_numpy(np.ascontiguousarray(a)) for name, a in self.arrays.items()}
        for name, module in self.modules.items():
            tensors |= {f"module.{name}.{key}": value.cpu() for key, value in module.state_dict().items()}
        if self.optimiser is not None:
            tensors |= {f"moment.{name}": value for name, value in moments_of(self.optimiser).items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{len(self.done)}_{self.step}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, self.folder / name)
        record = {"file": name, "done": self.done, "step": self.step, "history": self.history}
        temporary = self.folder / "state.tmp"
        temporary.write_text(json.dumps(record))
        temporary.replace(self.folder / "state.json")
        for old in self.folder.glob("*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)
        self._saved = time.monotonic()

    def save_if_due(self) -> None:
        """Write a checkpoint if the last one is old."""
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def finish(self, phase: str, **figures: Any) -> None:
        """The phase is over, with these figures for whoever looks back."""
        self.arrays = processes.agreed(self.arrays)
        self.done.append(phase)
        self.history.append({"phase": phase, **figures})
        self.step, self.optimiser, self._moments = 0, None, {}
        self.save()

    def optimise(self, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        """Adam (0.9, 0.999) for the phase at hand, with the moments of its last checkpoint."""
        optimiser = torch.optim.Adam(parameters, rate)
        if self._moments:
            restore_moments(optimiser, self._moments)
        self.optimiser, self._moments = optimiser, {}
        return optimiser

    def _restore(self) -> None:
        try:
            record = json.loads((self.folder / "state.json").read_text())
            tensors = load_file(self.folder / record["file"])
        except (OSError, ValueError, KeyError, SafetensorError):
            return  # nothing there, or damaged: begin again
        for name, module in self.modules.items():
            module.load_state_dict(under(tensors, f"module.{name}."))
        self.arrays = {name: value.numpy() for name, value in under(tensors, "array.").items()}
        self._moments = under(tensors, "moment.")
        self.done, self.step, self.history = record["done"], record["step"], record["history"]


def moments_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors, "3.exp_avg" of its third parameter."""
    state = optimiser.state_dict()["state"]
    return {f"{index}.{name}": value.cpu() for index, each in state.items() for name, value in each.items()}


def restore_moments(optimiser: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """The inverse of `moments_of`; its learning rate stays."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


@dataclass(frozen=True)
class Steps:
    """A phase made in steps: its name, the words for it, how many steps, and the learning rate.

    later: how much longer training goes on after it, in steps as long as its own.
    """

    phase: str
    title: str
    count: int
    rate: float
    later: float = 0.0


def iter_steps(
    state: TrainingState,
    steps: Steps,
    parameters: Iterable[nn.Parameter],
    loss_of: Callable[[torch.Generator], dict[str, Tensor]],
    seed: int,
) -> Stage[None]:
    """Descend on the sum of the losses of every step, or on what is left of the phase after a kill.

    The rate falls to nothing over the second half. loss_of(rng) -> losses by name; rng is seeded by the phase's place
    and the step. A progress event carries their means since the last one.
    """
    if steps.phase in state.done:
        return
    trained = list(parameters)
    optimiser = state.optimise(trained, steps.rate)
    recent: list[dict[str, float]] = []
    for step in range(state.step, steps.count):
        if step % REPORT_STEPS == 0:
            try:
                yield _told(steps, step, recent)
            except GeneratorExit:
                state.save()  # whoever cancels may want to go on later
                raise
            recent = []
        for group in optimiser.param_groups:
            group["lr"] = _rate(steps, step)
        losses = loss_of(torch.Generator().manual_seed(seed * 1_000_003 + len(state.done) * 100_003 + step))
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        processes.average_gradients(trained)
        optimiser.step()
        state.step = step + 1
        recent.append({name: float(value.detach()) for name, value in losses.items()})
        state.save_if_due()
    yield _told(steps, steps.count, recent)
    state.finish(steps.phase, losses=_mean(recent))


def _told(steps: Steps, step: int, recent: list[dict[str, float]]) -> Event:
    rate, losses = _rate(steps, step), _mean(recent)
    return progress(
        steps.title, step, steps.count, phase=steps.phase, rate=rate, losses=losses, later=round(steps.later, 1)
    )


def _rate(steps: Steps, step: int) -> float:
    return steps.rate * min(1.0, 2 * (1 - step / steps.count))


def _mean(recent: list[dict[str, float]]) -> dict[str, float]:
    """Means by name, over the steps that had a loss of that name."""
    values: dict[str, list[float]] = {}
    for losses in recent:
        for name, value in losses.items():
            values.setdefault(name, []).append(value)
    return {name: round(sum(each) / len(each), 5) for name, each in values.items()}
