"""Train the bundled backbone: a small pixel-space diffusion U-Net for faces and heads, on any machine.

    python -m tools.train_backbone --faces FOLDER_OF_ZIPS --minutes 120 --out runs/backbone

Half of each batch are rendered heads (made here, from a seed that no demo set uses), half are photographs of
people who do not exist, read from ZIP files in --faces (see `tools/sample_faces.py`). The net is a diffusers
`UNet2DModel` over 2 x 2 patches of 64 px pictures (pixel-unshuffle), trained by v-prediction, weighted towards
structure and with hidden blocks (see `noise_levels`), with an exponential moving average. After --alone steps of
denoising only, the features of its two coarser up-blocks must also agree between views (see `agreement.py`). Killed
or finished, the same command goes on from the last checkpoint. `--export assets/backbone` writes the average in
float16 with its scheduler, the curve and samples.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from safetensors.torch import load_file, save_file

from tools.agreement import ViewPair, draw_pair, draw_partners, draw_queries, exchange_loss
from tools.denoiser import build_scheduler, build_unet, guesses, noise_levels, sample, spread, velocity_error
from tools.training_pictures import PATCH, SIZE, draw_batch, face_pool
from tools.turned_heads import Pool, Surface, head_pool
from uld_explorer.landmarks.tensors import under
from uld_explorer.landmarks.training import moments_of, restore_moments

HELD_OUT = 64
VIEW_STEPS = 150
"""Views that must agree are almost clean, as are the pictures that features are taken from: timesteps below this."""
SINGLES, PAIRS = 4, (10, 4)
"""Pictures that are only denoised, and pairs of views of heads and of faces, in a step with agreement."""
HEAD_VIEWS = 3
VIEW_RANGES = ((0.55, 1.1), (0.36, 1.0))
"""Side of the views as a share of the picture's, of heads and of faces."""


class Trainer:
    """Holds the net, its average and its optimiser; saves and restores them."""

    def __init__(self, out: Path, device: torch.device, rate: float) -> None:
        torch.manual_seed(0)
        self.out, self.device, self.rate = out, device, rate
        self.scheduler = build_scheduler()
        # Not compiled: on the CPU torch.compile gave this net no gradient at all below its sharpest block.
        self.unet = build_unet().to(device)
        self.features: dict[int, torch.Tensor] = {}
        for block in (0, 1):
            self.unet.up_blocks[block].register_forward_hook(partial(self._keep, block))
        self.optimiser = torch.optim.AdamW(
            self.unet.parameters(), rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.average = {k: v.detach().clone() for k, v in self.unet.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.curve: list[list[float]] = []
        if (out / "state.json").exists():
            self._restore()

    def update(self, x: torch.Tensor, rng: torch.Generator, pairs: list[ViewPair] | None = None) -> list[float]:
        """One optimiser step on patches x, and on pairs of views: its losses, denoising first."""
        t = torch.randint(0, 1000, (len(x),), generator=rng)
        alpha = noise_levels(t, self.scheduler, rng)
        if pairs:
            views = F.pixel_unshuffle(torch.cat([p.first for p in pairs] + [p.second for p in pairs]), PATCH)
            low = torch.randint(0, VIEW_STEPS, (len(views),), generator=rng)
            x, t = torch.cat([views, x]), torch.cat([low, t])
            alpha = torch.cat([spread(self.scheduler.alphas_cumprod[low], alpha), alpha])
        noise = torch.randn(x.shape, generator=rng).to(self.device)
        x, t, alpha = x.to(self.device), t.to(self.device), alpha.to(self.device)
        # Weighted by 1 - alpha, the error is that of the denoised picture: structure counts, fine grain hardly.
        error = velocity_error(self.unet, x, t, noise, alpha) * (1 - alpha).clamp(min=0.03)
        losses = [error.mean()]
        if pairs:
            losses += self._disagreement(pairs, rng)
        self._descend(6 * losses[0] + sum(losses[1:]) if pairs else losses[0])
        return [float(loss.detach()) for loss in losses]

    def _disagreement(self, pairs: list[ViewPair], rng: torch.Generator) -> list[torch.Tensor]:
        """The exchange loss of up-blocks 0 and 1, from the features of the last forward pass."""
        partner = draw_partners(pairs, self.step % 3 == 2, rng)
        first = torch.cat([pair.first for pair in pairs])
        losses = []
        for block in (0, 1):
            maps = self.features[block][: 2 * len(first)].cpu()
            queries = draw_queries(first, maps.shape[-1], rng)
            direct, exchanged = exchange_loss(maps, pairs, partner, queries)
            losses.append(0.5 * direct + 0.3 * exchanged)
        return losses

    def _descend(self, loss: torch.Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimiser.param_groups[0]["lr"] = self.rate * min(1.0, (self.step + 1) / 300)
        self.optimiser.step()
        self._average()
        self.step += 1

    def _keep(self, block: int, module: Any, inputs: Any, output: torch.Tensor) -> None:
        self.features[block] = output

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(0.9995, (1 + self.step) / (10 + self.step))
        for name, value in self.unet.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    @torch.no_grad()
    def held_out(self, x: torch.Tensor) -> list[float]:
        """The average's loss on fixed pictures, noise and timesteps, in five bands of t, low noise first."""
        probe = build_unet().to(self.device)
        probe.load_state_dict(self.average)
        rng = torch.Generator().manual_seed(1)
        noise = torch.randn(x.shape, generator=rng)
        losses = []
        for t in (50, 200, 400, 600, 850):
            steps = torch.full((len(x),), t, device=self.device)
            alpha = self.scheduler.alphas_cumprod[steps.cpu()].view(-1, 1, 1, 1).to(self.device)
            losses.append(float(velocity_error(probe.eval(), x.to(self.device), steps, noise, alpha).mean()))
        return losses

    def save(self) -> None:
        """Write a checkpoint; the small JSON goes last and by rename, so that a kill leaves the older one whole."""
        tensors = {f"unet.{k}": v.contiguous().cpu() for k, v in self.unet.state_dict().items()}
        tensors |= {f"average.{k}": v.contiguous().cpu() for k, v in self.average.items()}
        tensors |= {f"adam.{k}": v.contiguous() for k, v in moments_of(self.optimiser).items()}
        name = f"state_{self.step}.safetensors"
        save_file(tensors, self.out / name)
        record = {"file": name, "step": self.step, "seconds": self.seconds, "curve": self.curve}
        (self.out / "state.tmp").write_text(json.dumps(record))
        (self.out / "state.tmp").replace(self.out / "state.json")
        for old in self.out.glob("state_*.safetensors"):
            if old.name != name:
                old.unlink()

    def _restore(self) -> None:
        record = json.loads((self.out / "state.json").read_text())
        self.step, self.seconds, self.curve = record["step"], record["seconds"], record["curve"]
        tensors = load_file(self.out / record["file"])
        self.unet.load_state_dict(under(tensors, "unet."))
        self.average = {k: v.to(self.device) for k, v in under(tensors, "average.").items()}
        restore_moments(self.optimiser, under(tensors, "adam."))


def draw_views(pools: Sequence[Pool], rng: torch.Generator, widest: float) -> list[ViewPair]:
    """Pairs of views from each pool, heads turned by at most `widest` radians of yaw."""
    drawn = zip(pools, PAIRS, VIEW_RANGES, strict=True)
    return [draw_pair(pool, n, rng, sides, widest) for pool, n, sides in drawn]


def widest_turn(steps: int) -> float:
    """Radians between two views of a head, after so many steps with agreement.

    Wider and wider: across a wide turn, features that only know where in the outline they are find nothing, and
    learn nothing from it; across a small one they are nearly right, and mend.
    """
    return 0.8 + 0.8 * min(1.0, steps / 4000)


def _agreement(recent: list[list[float]]) -> list[float]:
    """Mean disagreement of up-blocks 0 and 1; nothing before the agreement began."""
    pairs = [losses[1:] for losses in recent if len(losses) > 1]
    return [float(v) for v in np.mean(pairs, 0)] if pairs else []


def open_pools(args: argparse.Namespace) -> list[Pool]:
    """Rendered heads in several views, and photographs."""
    faces = face_pool(args.faces)
    return [head_pool(args.heads, HEAD_VIEWS, args.out, args.workers), Pool(faces, Surface.flat(len(faces)), 1)]


def train(args: argparse.Namespace) -> tuple[Trainer, torch.Tensor]:
    """Train until --minutes of this call or --steps in all are over; checkpoint every two minutes.

    Returns the trainer and the patches that were held out, half heads and half photographs.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args.out, torch.device(args.device), args.rate)
    pools, kept = zip(*(pool.split(HELD_OUT) for pool in open_pools(args)), strict=True)
    images = [pool.images for pool in pools]
    held = draw_batch([pool.images for pool in kept], 2 * HELD_OUT, torch.Generator().manual_seed(2))
    start = last = time.time()
    before, recent = trainer.seconds, []
    while time.time() - start < args.minutes * 60 and trainer.step < args.steps:
        rng = torch.Generator().manual_seed(trainer.step)
        if args.finish:
            left = 1 - (time.time() - start) / (args.minutes * 60)
            trainer.rate = args.rate * min(1.0, max(0.03, 2 * left))
        if trainer.step < args.alone:
            recent.append(trainer.update(draw_batch(images, args.batch, rng), rng))
        else:
            views = draw_views(pools, rng, widest_turn(trainer.step - args.alone))
            recent.append(trainer.update(draw_batch(images, SINGLES, rng), rng, views))
        if trainer.step % 250 == 0:
            trainer.curve.append(
                [trainer.step, float(np.mean([r[0] for r in recent])), *trainer.held_out(held), *_agreement(recent)]
            )
            print(trainer.step, [round(v, 4) for v in trainer.curve[-1][1:]], round(time.time() - start), flush=True)
            recent = []
        if time.time() - last > 120:
            trainer.seconds, last = before + time.time() - start, time.time()
            trainer.save()
    trainer.seconds = before + time.time() - start
    trainer.save()
    return trainer, held


def export(trainer: Trainer, folder: Path, held: torch.Tensor) -> None:
    """Write the average as float16 safetensors in diffusers format, with the curve, samples, and guesses on `held`."""
    unet = build_unet()
    unet.load_state_dict({k: v.cpu() for k, v in trainer.average.items()})
    unet.eval()
    folder.mkdir(parents=True, exist_ok=True)
    save_sheet(sample(unet, 16, 50, seed=0), 8, folder / "samples.jpg")
    pairs = [np.stack(guesses(unet, held, t, seed=4), 1) for t in (200, 500)]
    save_sheet(np.concatenate(pairs).reshape(-1, SIZE, SIZE, 3), 2 * len(held), folder / "denoised.jpg")
    unet.to(torch.float16).save_pretrained(folder / "unet", safe_serialization=True, max_shard_size="8MB")
    trainer.scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DDPMPipeline",
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    header = ["step", "train", "t=50", "t=200", "t=400", "t=600", "t=850", "block 0", "block 1"]
    record = {"steps": trainer.step, "seconds": round(trainer.seconds), "columns": header, "curve": trainer.curve}
    (folder / "training.json").write_text(json.dumps(record) + "\n")


def save_sheet(pictures: np.ndarray, columns: int, path: Path) -> None:
    """Pictures (N, SIZE, SIZE, 3) uint8 in rows of so many, as a JPEG."""
    rows = pictures.reshape(-1, columns, SIZE, SIZE, 3).transpose(0, 2, 1, 3, 4)
    Image.fromarray(rows.reshape(-1, columns * SIZE, 3)).save(path, quality=88)


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder with ZIP files of photographs")
    parser.add_argument("--out", type=Path, default=Path("runs/backbone"), help="checkpoints and rendered heads")
    parser.add_argument("--heads", type=int, default=2600, help="rendered heads to train on, each in three views")
    parser.add_argument("--minutes", type=float, default=120, help="how long this call trains")
    parser.add_argument("--steps", type=int, default=10**9, help="stop at this step")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=4e-4, help="learning rate")
    parser.add_argument("--alone", type=int, default=1650, help="steps of denoising only, before views must agree")
    parser.add_argument("--finish", action="store_true", help="let the learning rate fall over the second half")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="processes that render heads")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--export", type=Path, help="folder to write the finished backbone to")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    trainer, held = train(args)
    if args.export:
        export(trainer, args.export, torch.cat([held[:4], held[-4:]]))


if __name__ == "__main__":
    main()
