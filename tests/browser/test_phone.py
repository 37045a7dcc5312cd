"""A phone: fingers draw lassos and tap points, and the camera's picture gets its landmarks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.test_explore import wait_said

CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture
def phone(playwright: Any, tmp_path: Path) -> Iterator[Any]:
    """A page on a narrow screen that is touched, with a camera that shows a test pattern."""
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path / "phone"),
        executable_path=CHROMIUM,
        args=[*FLAGS, *CAMERA],
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        permissions=["camera"],
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def drag(page: Any, points: list[tuple[float, float]]) -> None:
    """One finger along the points."""
    touch = page.context.new_cdp_session(page)
    for index, (x, y) in enumerate(points):
        kind = "touchMove" if index else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        page.wait_for_timeout(10)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_draws_a_lasso(phone: Any, address: str) -> None:
    phone.goto(f"{address}?tab=explore")
    phone.wait_for_selector("#map-poses .uld-map-said")
    wait_said(phone, "poses", "240 pictures")
    stage = phone.locator("#map-poses .uld-map-stage")
    stage.evaluate("e => e.scrollIntoView({ block: 'center' })")
    phone.locator("#map-poses [data-tool=lasso]").tap()
    box = stage.bounding_box()
    middle, half = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), 0.5 * box["width"]
    right_half = [math.pi * (0.5 - i / 12) for i in range(13)]  # from below: above are buttons
    drag(phone, [(middle[0] + 0.96 * half * math.cos(a), middle[1] + 0.9 * half * math.sin(a)) for a in right_half])
    count = int(re.findall(r"\d+", wait_said(phone, "poses", "of 240 selected"))[0])
    assert 0 < count < 240
    pager = "document.querySelector('#explore-gallery .uld-pager')?.innerText ?? ''"
    phone.wait_for_function(f"({pager}).includes('{count} of 240 pictures')")
    phone.wait_for_timeout(1500)  # a tap right after a stroke is taken for its end
    phone.locator("#map-poses [data-tool=clear]").tap()
    wait_said(phone, "poses", "240 pictures")


def test_the_cameras_picture_gets_landmarks(phone: Any, address: str) -> None:
    phone.goto(f"{address}?tab=try")
    phone.get_by_text("Click to Access Webcam").tap()
    phone.wait_for_function("document.querySelector('video')?.readyState >= 2")
    phone.wait_for_timeout(500)
    phone.get_by_label("capture photo").tap()
    phone.wait_for_selector("img[alt='or the camera'], .image-frame img")  # it has arrived
    phone.get_by_role("button", name="Find the landmarks").tap()
    phone.wait_for_selector("#tried svg .uld-mark", timeout=120_000)
    assert phone.locator("#tried .uld-mark").count() > 0
