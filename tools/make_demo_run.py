"""Make the finished run that the page opens on: ZeroShot on the bundled photographs.

python -m tools.make_demo_run
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from uld_explorer import paths, workflow
from uld_explorer.events import Event
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.runs import create_run

PICTURES = 120


def main() -> None:
    """Run the discovery in a temporary folder and put it in place when it has ended well."""
    settings = ZeroShotSettings(landmarks=10, roi="foreground")
    images = workflow.open_images("demo:faces", limit=PICTURES)
    with tempfile.TemporaryDirectory() as parent:
        run = create_run(Path(parent), folder=Path(parent) / "demo", title="faces, ZeroShot")
        for event in workflow.iter_discover(images, "zeroshot", settings, run):
            print(event.stage, event.step, event.total)
        run.append(Event("done", ""))
        run.update_info(id="demo")
        target = paths.ASSETS / "demo"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(run.folder, target)


if __name__ == "__main__":
    main()
