"""How the page looks: one theme, one stylesheet, one palette. No web fonts, no requests outside."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from uld_explorer.analysis.colouring import PALETTE

STATIC = Path(__file__).parent / "static"
STYLES = STATIC / "styles.css"

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def colour(landmark: int) -> str:
    """The colour of landmark number `landmark` (from 0)."""
    return PALETTE[landmark % len(PALETTE)]


def ink(landmark: int) -> str:
    """Black or white, whichever reads better on the landmark's colour (relative luminance as in WCAG)."""
    channels = [int(colour(landmark)[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return "#000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#fff"


def theme() -> gr.themes.Base:
    """Quiet surfaces, one indigo accent, system fonts."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        font=SANS,
        font_mono=MONO,
        radius_size=gr.themes.sizes.radius_md,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_border_width="0px",
        block_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        checkbox_label_background_fill="*neutral_100",
        button_secondary_background_fill="*neutral_200",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )
