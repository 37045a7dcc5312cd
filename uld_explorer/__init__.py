"""ULD Explorer: landmarks that mean the same on every picture, discovered without annotation.

from uld_explorer import LandmarkDetector, discover, open_images
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uld_explorer.landmarks.detector import LandmarkDetector as LandmarkDetector
    from uld_explorer.workflow import discover as discover
    from uld_explorer.workflow import evaluate as evaluate
    from uld_explorer.workflow import export_run as export_run
    from uld_explorer.workflow import open_images as open_images

__version__ = "0.1.0"
__all__ = ["LandmarkDetector", "discover", "evaluate", "export_run", "open_images"]

_HOMES = {
    "LandmarkDetector": "uld_explorer.landmarks.detector",
    "discover": "uld_explorer.workflow",
    "evaluate": "uld_explorer.workflow",
    "export_run": "uld_explorer.workflow",
    "open_images": "uld_explorer.workflow",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first used: the command line must start fast."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'uld_explorer' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
