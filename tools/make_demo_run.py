"""Make the finished run that the page opens on: D-ULD++ on rendered heads, from profile to profile.

python -m tools.make_demo_run
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from uld_explorer import paths, workflow
from uld_explorer.events import Event
from uld_explorer.landmarks.d_uldpp import PoseSettings
from uld_explorer.runs import create_run, write_json
from uld_explorer.ui.sources import KEPT_SOURCES

SOURCE = KEPT_SOURCES["example"]


def main() -> None:
    """Run the discovery in a temporary folder and put it in place when it has ended well."""
    settings = PoseSettings(landmarks=10, roi="annotations")
    images = workflow.open_images(SOURCE)
    with tempfile.TemporaryDirectory() as parent:
        run = create_run(Path(parent), folder=Path(parent) / "demo", title="rendered heads, D-ULD++")
        for event in workflow.iter_discover(images, "duldpp", settings, run):
            run.append(event)
            print(event.stage, event.step, event.total)
        run.append(Event("done", ""))
        run.update_info(id="demo")
        write_json(run.folder / "source.json", {"kind": "example", "files": {}})
        target = paths.ASSETS / "demo"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(run.folder, target)


if __name__ == "__main__":
    main()
