"""What the browser is sent for a map is what was computed, and the library that draws it is on the machine."""

from __future__ import annotations

import base64

import gradio as gr
import numpy as np
import pytest

from uld_explorer.ui.figure import FigureView, figure_json
from uld_explorer.ui.scatter import NOTHING, EmbedScatter, mask_of, paint_of, plotly_file, points_of, tiles_of

XY = np.array([[0.5, -1.25], [3.0, 4.0], [1e6, -1e-3]])


def raw(text: str) -> bytes:
    return base64.b64decode(text)


def test_points_arrive_as_they_were() -> None:
    """In the byte order and width that the script reads: 32-bit floats, little end first; of any kind of array."""
    wide = np.arange(12, dtype=np.float64).reshape(3, 4)
    for xy in (XY, wide[:, 1:3]):
        data = points_of(xy, "a", "keypoints", "b")
        x, y = (np.frombuffer(raw(data[key]), "<f4") for key in "xy")
        np.testing.assert_array_equal(np.stack([x, y], 1), xy.astype(np.float32))
    assert (data["count"], data["revision"], data["set"], data["words"]) == (3, "a", "b", "keypoints")
    assert points_of(XY, "a", "x")["set"] == "a", "without a word for it, other positions are other points"


def test_groups_arrive_with_names_and_colours() -> None:
    data = paint_of(np.array([1, -1, 0]), ["a", "b"], ["#111111", "#222222"], "r")
    np.testing.assert_array_equal(np.frombuffer(raw(data["group"]), "<i2"), [1, -1, 0])
    assert data["groups"][1] == {"name": "b", "colour": "#222222"}


@pytest.mark.parametrize("count", [1, 8, 9, 1000])
def test_a_mask_is_a_bit_a_point(count: int) -> None:
    chosen = np.random.default_rng(count).random(count) < 0.5
    data = mask_of(chosen)
    assert data["count"] == count and len(raw(data["bits"])) == -(-count // 8)
    bits = np.frombuffer(raw(data["bits"]), np.uint8)
    found = [(bits[i >> 3] >> (i & 7)) & 1 for i in range(count)]  # as the script reads it
    np.testing.assert_array_equal(found, chosen)
    assert mask_of(None) == NOTHING


def test_a_hundred_thousand_points_send_little() -> None:
    xy = np.zeros((100_000, 2))
    assert len(points_of(xy, "a", "x")["x"]) < 600_000
    assert len(mask_of(np.ones(100_000, bool))["bits"]) < 20_000
    assert tiles_of("", 64, "t")["atlas"] == ""


def test_the_drawing_library_ships_with_an_installed_package() -> None:
    assert plotly_file().stat().st_size > 1e6


def test_the_components_are_whole() -> None:
    """The scripts know where the library is, and a click has somewhere to go."""
    from plotly.graph_objects import Figure

    with gr.Blocks():
        scatter, figure = EmbedScatter("a map"), FigureView(figure_json(Figure()), "nothing")
        scatter.select(lambda: None)
    for component in (scatter, figure):
        script = component.js_on_load or ""
        assert "%PLOTLY%" not in script and plotly_file().name in script and "showSendToCloud: false" in script
        assert component.api_info() == {"type": "object"}
    assert scatter.props["points"] is None and scatter.props["title"] == "a map"
    assert figure_json(None) == ""
