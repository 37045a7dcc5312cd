"""From settings to what a method looks at: the backbone of the settings, and the regions of interest."""

from __future__ import annotations

from pathlib import Path

from uld_explorer.data.regions import annotation_regions, file_regions, jitter_regions, whole_regions
from uld_explorer.events import Stage, note, progress
from uld_explorer.features.backbone import Backbone, load_backbone
from uld_explorer.features.device import describe as describe_device
from uld_explorer.features.recipes import Recipe, resolve_recipe
from uld_explorer.landmarks.foreground import Foreground, iter_foreground_regions
from uld_explorer.settings import RunSettings, numbers
from uld_explorer.types import ImageSet, Regions

ROI_CHOICES = ("whole", "annotations", "foreground")


def recipe_of(settings: RunSettings) -> Recipe:
    """The recipe named in the settings, with the settings' overrides.

    Raises:
        UserError: an unknown backbone, or overrides that it cannot take.
    """
    return resolve_recipe(settings.backbone).with_(
        blocks=numbers(settings.blocks) or None,
        timesteps=numbers(settings.timesteps) or None,
        image_size=settings.image_size or None,
        noise_draws=settings.noise_draws or None,
    )


def iter_load_backbone(settings: RunSettings, random_weights: int | None = None) -> Stage[Backbone]:
    """Load the backbone; says on which device and in which precision it runs."""
    yield progress("loading the diffusion model", 0, 1)
    backbone = load_backbone(
        recipe_of(settings), device=settings.device, dtype=settings.precision, random_weights=random_weights
    )
    yield note(
        "loading the diffusion model", f"{settings.backbone} on {describe_device(backbone.device, backbone.dtype)}"
    )
    yield progress("loading the diffusion model", 1, 1)
    return backbone


def iter_regions(
    images: ImageSet, settings: RunSettings, backbone: Backbone, fitted: Foreground | None = None
) -> Stage[tuple[Regions, Foreground | None]]:
    """The regions of interest that the settings ask for, with their jitter; the foreground model where one was used.

    Raises:
        UserError: the region needs annotations or a file that are not there.
    """
    if settings.roi == "foreground":
        return (
            yield from iter_foreground_regions(
                images, backbone, seed=settings.seed, batch=settings.batch, margin=settings.roi_margin, fitted=fitted
            )
        )
    if settings.roi == "whole":
        regions = whole_regions(images)
    elif settings.roi == "annotations":
        regions = annotation_regions(images, settings.roi_margin)
    else:
        regions = file_regions(images, Path(settings.roi).expanduser(), settings.roi_margin)
    return jitter_regions(regions, settings.roi_jitter, settings.seed, images.ids), None
