"""Sample photographs of people who do not exist, with the Apache-2.0 package random-face (a distilled face generator).

    pip install random-face openvino
    python -m tools.sample_faces --count 200 --seed 20 --size 224 --out assets/faces          # the bundled demo set
    python -m tools.sample_faces --count 4000 --seed 1 --size 144 --zip --out runs/faces      # backbone training

A maker's tool: the app does not need it.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image


def sample_faces(count: int, seed: int, size: int) -> Iterator[bytes]:
    """JPEG files of `size` pixels, a new person each; truncation 0.55-0.95 between the mean face and full variety."""
    import openvino

    spec = importlib.util.find_spec("random_face")
    if spec is None or spec.origin is None:
        raise SystemExit("The package random-face is missing: pip install random-face openvino")
    folder = Path(spec.origin).parent / "data"
    core = openvino.Core()
    mapping = core.compile_model(str(folder / "MappingNetwork.xml"), "CPU")
    synthesis = core.compile_model(str(folder / "SynthesisNetwork.xml"), "CPU")
    rng = np.random.default_rng(seed)

    def style() -> np.ndarray:
        return next(iter(mapping(rng.standard_normal((1, 512)).astype(np.float32)).values()))

    mean = np.mean([style() for _ in range(500)], 0)
    for _ in range(count):
        mixed = mean + rng.uniform(0.55, 0.95) * (style() - mean)
        outputs = [v for v in synthesis(mixed).values() if v.ndim == 4 and v.shape[1] == 3 and v.shape[2] >= 512]
        pixels = ((outputs[-1][0].transpose(1, 2, 0) + 1) * 127.5).clip(0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=85)
        yield buffer.getvalue()


def main() -> None:
    """Write the pictures as files, or as one ZIP."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--zip", action="store_true", help="one ZIP file instead of single pictures")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    faces = enumerate(sample_faces(args.count, args.seed, args.size))
    if not args.zip:
        for index, data in faces:
            (args.out / f"face_{index:03d}.jpg").write_bytes(data)
        return
    with zipfile.ZipFile(args.out / "faces.zip", "w", zipfile.ZIP_STORED) as archive:
        for index, data in faces:
            archive.writestr(f"{index:05d}.jpg", data)


if __name__ == "__main__":
    main()
