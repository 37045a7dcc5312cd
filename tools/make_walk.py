"""Record the walk through the page that the README shows: screenshots of real clicks, as one animated picture.

python -m tools.make_walk
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.explorer import FLAGS, served

TARGET = Path(__file__).parents[1] / "docs" / "images" / "walk.gif"
SIZE, SHOWN, COLOURS = (1280, 860), (896, 602), 96


def main() -> None:
    """Open the page, walk, write the picture."""
    from playwright.sync_api import sync_playwright

    frames: list[tuple[Image.Image, int]] = []
    with sync_playwright() as driver, served() as address, tempfile.TemporaryDirectory() as profile:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        width, height = SIZE
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=FLAGS, viewport={"width": width, "height": height}
        )
        _walk(context.new_page(), address, frames)
        context.close()
    pictures = [frame.convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS) for frame, _ in frames]
    durations = [duration for _, duration in frames]
    pictures[0].save(TARGET, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True)
    print(f"{len(frames)} frames, {TARGET.stat().st_size / 1e6:.1f} MB")


def _walk(page: Any, address: str, frames: list[tuple[Image.Image, int]]) -> None:
    def keep(duration: int = 1200) -> None:
        page.wait_for_timeout(500)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        frames.append((shot.resize(SHOWN, Image.Resampling.LANCZOS), duration))

    page.goto(address)
    page.wait_for_selector(".uld-card")
    page.locator(".sidebar .toggle-button").first.click()
    keep(1800)
    page.locator(".uld-chip[data-landmark='4']").click()
    keep()
    page.locator(".uld-chip[data-landmark='4']").click()
    page.get_by_role("tab", name="Explore").click()
    page.wait_for_function("document.querySelector('#map-poses .uld-map-said').innerText !== ''")
    stage = page.locator("#map-poses .uld-map-stage")
    stage.evaluate("e => e.scrollIntoView({ block: 'center' })")
    keep(1600)
    _draw_lasso(page, stage.bounding_box(), keep)
    page.locator("#explore-gallery").evaluate("e => e.scrollIntoView({ block: 'center' })")
    keep(1600)
    page.evaluate("window.scrollTo(0, 0)")
    page.get_by_role("tab", name="Passports").click()
    page.wait_for_selector(".uld-passport")
    keep(1600)
    name = page.locator(".uld-name").first
    name.fill("brow")
    name.press("Enter")
    page.wait_for_function("document.querySelector('#chips').innerText.includes('brow')")
    keep(1500)
    page.get_by_role("tab", name="Poses").click()
    page.wait_for_selector(".uld-pose-card")
    keep(1500)
    page.locator("#dial-map").evaluate("e => e.scrollIntoView({ block: 'center' })")
    page.locator("#dial-map .uld-map-stage").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#dial .uld-dial")
    keep(1700)
    page.evaluate("window.scrollTo(0, 0)")
    page.get_by_role("tab", name="Train").click()
    page.wait_for_selector("#losses .js-plotly-plot")
    keep(1700)


def _draw_lasso(page: Any, box: dict[str, float], keep: Any) -> None:
    page.locator("#map-poses").get_by_role("button", name="Lasso").click()
    corners = [(0.02, 0.2), (0.45, 0.2), (0.45, 0.95), (0.02, 0.95)]
    places = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    keep(700)
    page.mouse.up()
    keep(1600)


if __name__ == "__main__":
    main()
