"""Train the bundled backbone: a small pixel-space diffusion U-Net for faces and heads, on any machine.

    python -m tools.train_backbone --faces FOLDER_OF_ZIPS --minutes 120 --out runs/backbone

Half of each batch are rendered heads (made here, from a seed that no demo set uses), half are photographs of
people who do not exist, read from ZIP files in --faces (see `tools/sample_faces.py`). The net is a diffusers
`UNet2DModel` over 2 x 2 patches of 64 px pictures (pixel-unshuffle), trained by v-prediction, weighted towards
structure and with hidden blocks (see `noise_levels`), with an exponential moving average. Killed or finished, the same
command goes on from the last checkpoint. `--export assets/backbone` writes the average in float16 with its scheduler,
the curve and samples.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from PIL import Image
from safetensors.torch import load_file, save_file

from uld_explorer.data.heads.scene import render_head

SIZE, PATCH, SOURCE = 64, 2, 144
HEAD_SEED = 7_000_001
"""Rendered training heads come from this series; `demo:heads` seeds are small numbers, so the two never meet."""
HELD_OUT = 64


def build_unet() -> Any:
    """About 5 M parameters: 32 x 32, 16 x 16 and 8 x 8 cells, attention at the coarsest."""
    return UNet2DModel(
        sample_size=SIZE // PATCH,
        in_channels=3 * PATCH**2,
        out_channels=3 * PATCH**2,
        layers_per_block=1,
        block_out_channels=(64, 112, 160),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=16,
        attention_head_dim=32,
    )


def build_scheduler() -> Any:
    """Stable Diffusion's noise schedule, v-prediction: more weight on global structure than noise prediction gives."""
    return DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=True,
    )


def _render(index: int) -> np.ndarray:
    return render_head(HEAD_SEED, index, SOURCE).image


def head_pool(count: int, cache: Path, workers: int) -> torch.Tensor:
    """(count, 3, SOURCE, SOURCE) uint8 rendered heads, kept in `cache`."""
    file = cache / f"heads_{count}_{SOURCE}.npy"
    if not file.exists():
        with ProcessPoolExecutor(workers) as pool:
            np.save(file, np.stack(list(pool.map(_render, range(count), chunksize=50))))
    return torch.from_numpy(np.load(file)).permute(0, 3, 1, 2)


def face_pool(folder: Path) -> torch.Tensor:
    """(N, 3, SOURCE, SOURCE) uint8 photographs from every ZIP in `folder`."""
    faces = []
    for archive in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(archive) as z:
            for name in sorted(z.namelist()):
                image = Image.open(io.BytesIO(z.read(name))).convert("RGB")
                faces.append(np.asarray(image.resize((SOURCE, SOURCE), Image.Resampling.LANCZOS)))
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2)


def random_crops(images: torch.Tensor, rng: torch.Generator, low: float, high: float) -> torch.Tensor:
    """Similarity crops (B, 3, SIZE, SIZE) in -1...1: side low...high of the picture, turned, shifted, mirrored."""
    n = len(images)
    side = low + (high - low) * torch.rand(n, generator=rng)
    angle = torch.randn(n, generator=rng) * 0.25
    shift = (torch.rand(n, 2, generator=rng) - 0.5) * (0.15 + (1 - side).clamp(min=0)[:, None])
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    cos, sin = side * angle.cos(), side * angle.sin()
    theta = torch.stack([mirror * cos, -sin, shift[:, 0], mirror * sin, cos, shift[:, 1]], 1).view(n, 2, 3)
    grid = F.affine_grid(theta, [n, 3, SIZE, SIZE], align_corners=False)
    pictures = images.float() / 127.5 - 1
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def photometric(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Brightness, contrast, colour, greyscale and blur, a little of each: pictures in the wild vary more than ours."""
    n = len(x)

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, channels, 1, 1, generator=rng)

    x = x * draw(0.7, 1.2) * draw(0.92, 1.08, 3) + draw(-0.2, 0.2)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * torch.where(draw(0, 1) < 0.1, torch.zeros(1), draw(0.6, 1.3))
    coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    coarser = F.interpolate(F.avg_pool2d(x, 4), scale_factor=4, mode="bilinear")
    pick = draw(0, 1)
    return torch.where(pick < 0.15, coarse, torch.where(pick > 0.9, coarser, x)).clamp(-1, 1)


def draw_batch(pools: list[torch.Tensor], batch: int, rng: torch.Generator) -> torch.Tensor:
    """Patches (batch, 12, 32, 32): one half from each pool."""
    crops = []
    for images, (low, high) in zip(pools, ((0.6, 1.05), (0.42, 1.0)), strict=True):
        rows = torch.randint(len(images), (batch // len(pools),), generator=rng)
        crops.append(random_crops(images[rows], rng, low, high))
    return F.pixel_unshuffle(photometric(torch.cat(crops), rng), PATCH)


def noise_levels(t: torch.Tensor, scheduler: Any, rng: torch.Generator) -> torch.Tensor:
    """How much of the picture is left (alpha-bar) at every cell, (B, 1, cells, cells).

    Half of the pictures have random blocks of 8 x 8 pixels at the highest noise, whatever their timestep: what is
    hidden there has to be inferred from what is seen around it, also when that is almost clean. Features are taken
    from almost clean pictures, where plain denoising asks for no more than local smoothing.
    """
    cells, block = SIZE // PATCH, 8 // PATCH
    share = 0.2 + 0.5 * torch.rand(len(t), 1, 1, 1, generator=rng)
    share = share * (torch.rand(len(t), 1, 1, 1, generator=rng) < 0.5)
    hidden = torch.rand(len(t), 1, cells // block, cells // block, generator=rng) < share
    hidden = hidden.repeat_interleave(block, 2).repeat_interleave(block, 3)
    seen = scheduler.alphas_cumprod[t].view(-1, 1, 1, 1)
    return torch.where(hidden, scheduler.alphas_cumprod[-1], seen)


def velocity_error(
    unet: Any, x: torch.Tensor, t: torch.Tensor, noise: torch.Tensor, alpha: torch.Tensor
) -> torch.Tensor:
    """Squared error of the predicted velocity, (B, C, cells, cells), for alpha-bar given for every cell."""
    noisy = alpha.sqrt() * x + (1 - alpha).sqrt() * noise
    target = alpha.sqrt() * noise - (1 - alpha).sqrt() * x
    with torch.autocast(x.device.type, torch.bfloat16):
        predicted = unet(noisy, t).sample
    return (predicted.float() - target).square()


class Trainer:
    """Holds the net, its average and its optimiser; saves and restores them."""

    def __init__(self, out: Path, device: torch.device, rate: float) -> None:
        torch.manual_seed(0)
        self.out, self.device, self.rate = out, device, rate
        self.scheduler = build_scheduler()
        self.unet = build_unet().to(device, memory_format=torch.channels_last)
        self.forward: Any = torch.compile(self.unet)
        self.optimiser = torch.optim.AdamW(
            self.unet.parameters(), rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.average = {k: v.detach().clone() for k, v in self.unet.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.curve: list[list[float]] = []
        if (out / "state.json").exists():
            self._restore()

    def update(self, x: torch.Tensor, rng: torch.Generator) -> float:
        """One optimiser step on patches x; returns the loss."""
        t = torch.randint(0, 1000, (len(x),), generator=rng)
        noise = torch.randn(x.shape, generator=rng)
        alpha = noise_levels(t, self.scheduler, rng).to(self.device)
        x, t, noise = x.to(self.device, memory_format=torch.channels_last), t.to(self.device), noise.to(self.device)
        # Weighted by 1 - alpha, the error is that of the denoised picture: structure counts, fine grain hardly.
        error = velocity_error(self.forward, x, t, noise, alpha) * (1 - alpha).clamp(min=0.03)
        loss = error.mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimiser.param_groups[0]["lr"] = self.rate * min(1.0, (self.step + 1) / 300)
        self.optimiser.step()
        self._average()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(0.9995, (1 + self.step) / (10 + self.step))
        for name, value in self.unet.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    @torch.no_grad()
    def held_out(self, x: torch.Tensor) -> list[float]:
        """The average's loss on fixed pictures, noise and timesteps, in five bands of t, low noise first."""
        probe = build_unet().to(self.device, memory_format=torch.channels_last)
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
        for i, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{k}": v.contiguous().cpu() for k, v in state.items()}
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
        self.unet.load_state_dict({k[5:]: v for k, v in tensors.items() if k.startswith("unet.")})
        self.average = {k[8:]: v.to(self.device) for k, v in tensors.items() if k.startswith("average.")}
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("adam."):
                _, index, name = key.split(".", 2)
                state.setdefault(int(index), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})


def train(args: argparse.Namespace) -> Trainer:
    """Train until --minutes of this call or --steps in all are over; checkpoint every two minutes."""
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args.out, torch.device(args.device), args.rate)
    pools = [head_pool(args.heads, args.out, args.workers), face_pool(args.faces)]
    held = draw_batch([pool[-HELD_OUT:] for pool in pools], 2 * HELD_OUT, torch.Generator().manual_seed(2))
    pools = [pool[:-HELD_OUT] for pool in pools]
    start = last = time.time()
    before, recent = trainer.seconds, []
    while time.time() - start < args.minutes * 60 and trainer.step < args.steps:
        rng = torch.Generator().manual_seed(trainer.step)
        recent.append(trainer.update(draw_batch(pools, args.batch, rng), rng))
        if trainer.step % 250 == 0:
            trainer.curve.append([trainer.step, float(np.mean(recent)), *trainer.held_out(held)])
            print(trainer.step, [round(v, 4) for v in trainer.curve[-1][1:]], round(time.time() - start), flush=True)
            recent = []
        if time.time() - last > 120:
            trainer.seconds, last = before + time.time() - start, time.time()
            trainer.save()
    trainer.seconds = before + time.time() - start
    trainer.save()
    return trainer


@torch.no_grad()
def sample(unet: Any, count: int, steps: int, seed: int) -> np.ndarray:
    """(count, SIZE, SIZE, 3) uint8 pictures by DDIM."""
    scheduler: Any = DDIMScheduler.from_config(build_scheduler().config)
    scheduler.set_timesteps(steps)
    cells = SIZE // PATCH
    x = torch.randn(count, 3 * PATCH**2, cells, cells, generator=torch.Generator().manual_seed(seed))
    for t in scheduler.timesteps:
        x = scheduler.step(unet(x, t).sample, t, x).prev_sample
    pixels = F.pixel_shuffle(x, PATCH).clamp(-1, 1).permute(0, 2, 3, 1)
    return ((pixels.numpy() + 1) * 127.5).astype(np.uint8)


def export(trainer: Trainer, folder: Path) -> None:
    """Write the average as float16 safetensors in diffusers format, with the curve and a sheet of samples."""
    unet = build_unet()
    unet.load_state_dict({k: v.cpu() for k, v in trainer.average.items()})
    unet.eval()
    sheet = sample(unet, 16, 50, seed=0).reshape(2, 8, SIZE, SIZE, 3).transpose(0, 2, 1, 3, 4)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet.reshape(2 * SIZE, 8 * SIZE, 3)).save(folder / "samples.jpg", quality=88)
    unet.to(torch.float16).save_pretrained(folder / "unet", safe_serialization=True, max_shard_size="8MB")
    trainer.scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DDPMPipeline",
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    header = ["step", "train", "t=50", "t=200", "t=400", "t=600", "t=850"]
    record = {"steps": trainer.step, "seconds": round(trainer.seconds), "columns": header, "curve": trainer.curve}
    (folder / "training.json").write_text(json.dumps(record) + "\n")


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder with ZIP files of photographs")
    parser.add_argument("--out", type=Path, default=Path("runs/backbone"), help="checkpoints and rendered heads")
    parser.add_argument("--heads", type=int, default=6000, help="rendered heads in the training pool")
    parser.add_argument("--minutes", type=float, default=120, help="how long this call trains")
    parser.add_argument("--steps", type=int, default=10**9, help="stop at this step")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="processes that render heads")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--export", type=Path, help="folder to write the finished backbone to")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    trainer = train(args)
    if args.export:
        export(trainer, args.export)


if __name__ == "__main__":
    main()
