"""What the browser is sent for the map is what was computed, and the library that draws it is on the machine."""

from __future__ import annotations

import base64

import gradio as gr
import numpy as np

from uld_explorer.ui.scatter import EmbedScatter, pack, plotly_file
from uld_explorer.ui.theme import PALETTE

XY = np.array([[0.5, -1.25], [3.0, 4.0], [1e6, -1e-3]])
LABEL = np.array([2, 0, 300])


def test_points_and_labels_arrive_as_they_were() -> None:
    """In the byte order and the widths that the script reads: 32-bit floats, 16-bit integers, little end first."""
    data = pack(XY, LABEL, "data:,", 56, 64, "a")
    x, y = (np.frombuffer(base64.b64decode(data[key]), "<f4") for key in "xy")
    np.testing.assert_array_equal(np.stack([x, y], 1), XY.astype(np.float32))
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(data["label"]), "<i2"), LABEL)


def test_columns_of_a_wider_array_arrive_whole() -> None:
    """A column is not contiguous in memory; the bytes that are sent are."""
    wide = np.arange(12, dtype=np.float64).reshape(3, 4)
    data = pack(wide[:, 1:3], LABEL, "data:,", 56, 64, "a")
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(data["x"]), "<f4"), [1, 5, 9])


def test_the_map_has_the_colours_of_the_gallery() -> None:
    data = pack(XY, LABEL, "data:,sheet", 56, 64, "a")
    assert data["palette"] == list(PALETTE) and data["focus"] is None
    assert (data["atlas"], data["tile"], data["columns"], data["revision"]) == ("data:,sheet", 56, 64, "a")


def test_the_drawing_library_ships_with_an_installed_package() -> None:
    assert plotly_file().stat().st_size > 1e6


def test_the_component_is_whole() -> None:
    """The script knows where the library is, and a click has somewhere to go."""
    with gr.Blocks():
        component = EmbedScatter()
        component.select(lambda: None)
    script = component.js_on_load or ""
    assert "%PLOTLY%" not in script and plotly_file().name in script
    assert component.props["data"] is None and component.api_info() == {"type": "object"}
