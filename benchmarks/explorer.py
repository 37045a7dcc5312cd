"""How the page behaves: with many points on its maps, at its first sight, and while a training runs beside it.

    python -m benchmarks.explorer points --counts 1000 10000 100000 500000
    python -m benchmarks.explorer training

Needs Chromium and playwright. The server runs in this process, the browser without a graphics card.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from uld_explorer.runs import Run, create_run, write_json
from uld_explorer.types import Keypoints, Landmarks, PoseCodes, Regions
from uld_explorer.ui import page as pages
from uld_explorer.ui import sessions

LANDMARKS, PICTURES = 10, 2000
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]


def made_up_run(folder: Path, count: int) -> Run:
    """A run with `count` keypoints in ten islands on its map, and its pictures all alike."""
    pictures = max(10, min(PICTURES, count // LANDMARKS))
    rng = np.random.default_rng(0)
    run = create_run(folder, folder=folder / "demo", title=f"{count} points")
    (run.folder / "thumbs").mkdir()
    first = run.thumb(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).resize((128, 128)).save(first)
    for row in range(1, pictures):
        shutil.copyfile(first, run.thumb(row))
    record: dict[str, Any] = {"label": "made up", "ids": [str(i) for i in range(pictures)], "skipped": []}
    record |= {"names": [f"{i}.jpg" for i in range(pictures)], "sizes": [[128, 128]] * pictures}
    write_json(run.folder / "pictures.json", record)
    write_json(run.folder / "settings.json", {"landmarks": LANDMARKS, "backbone": "none", "roi": "whole"})
    run.update_info(method="zeroshot", source="made up", images=pictures)
    xy = rng.uniform(20, 108, (pictures, LANDMARKS, 2))
    present = np.ones((pictures, LANDMARKS), bool)
    run.save_landmarks(Landmarks(xy, present, present.astype(np.float32)))
    run.save_regions(Regions(np.tile([0.0, 0, 128, 128], (pictures, 1)), np.zeros(pictures)))
    image, label = rng.integers(0, pictures, count), rng.integers(0, LANDMARKS, count)
    run.save_keypoints(Keypoints(xy[image, label], np.zeros((count, 2), np.float32), label, image))
    angle = 2 * np.pi * label / LANDMARKS
    places = 6 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.standard_normal((count, 2))
    run.save_arrays("map", {"rows": np.arange(count), "xy": places.astype(np.float32)})
    run.save_poses(PoseCodes(rng.standard_normal((pictures, 4)).astype(np.float32), rng.integers(0, 5, pictures)))
    run.save_arrays("pose_map", {"rows": np.arange(pictures), "xy": rng.standard_normal((pictures, 2))})
    return run


@contextmanager
def served() -> Iterator[str]:
    """The page, served by this process."""
    page = pages.build_page()
    page.queue(default_concurrency_limit=8)
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, theme=pages.theme(), css_paths=[pages.STYLES])
    yield address
    page.close()


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium with an empty profile."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as profile:
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=executable, args=FLAGS, viewport={"width": 1440, "height": 1100}
        )
        yield context
        context.close()


def measure_points(context: Any, address: str, count: int) -> dict[str, float]:
    """One row of the table: seconds to the first drawing, to a hover and from a lasso to the gallery; MB."""
    page = context.new_page()
    page.set_default_timeout(60_000)
    received = [0]
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.dataReceived", lambda event: received.__setitem__(0, received[0] + event["dataLength"]))
    page.goto(address)
    page.wait_for_selector(".uld-card")
    before, started = received[0], time.perf_counter()
    page.get_by_role("tab", name="Explore").click()
    page.wait_for_function(f"document.querySelector('#map-keypoints .uld-map-said').innerText === '{count} keypoints'")
    row = {"draw s": time.perf_counter() - started, "MB sent": (received[0] - before) / 1e6}
    page.wait_for_timeout(1500)
    stage = page.locator("#map-keypoints .uld-map-stage")
    stage.evaluate("e => e.scrollIntoView({ block: 'center' })")
    row["hover s"] = _hover(page, stage.bounding_box())
    row["lasso s"] = _lasso(page, stage.bounding_box())
    row["heap MB"] = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
    page.close()
    return row


def _hover(page: Any, box: dict[str, float]) -> float:
    """Seconds from a move onto an island until its picture is shown, the median of several."""
    times = []
    for share in np.linspace(0.42, 0.58, 9):
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        page.wait_for_timeout(150)
        started = time.perf_counter()
        page.mouse.move(box["x"] + 0.5 * box["width"] + 0.36 * box["height"], box["y"] + share * box["height"])
        try:
            page.wait_for_selector("#map-keypoints .uld-map-tip", state="visible", timeout=1500)
            times.append(time.perf_counter() - started)
        except Exception:  # between two points
            continue
    return median(times) if times else float("nan")


def _lasso(page: Any, box: dict[str, float]) -> float:
    """Seconds from the end of a lasso around half of the map until the gallery shows its pictures; median of three."""
    page.locator("#map-keypoints").get_by_role("button", name="Lasso").click()
    times = []
    for right in (0.45, 0.5, 0.55):
        corners = [(0.01, 0.12), (right, 0.12), (right, 0.99), (0.01, 0.99)]
        places = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in corners]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=6)
        words = page.locator("#explore-bar").inner_text()
        page.mouse.up()
        started = time.perf_counter()
        page.wait_for_function("words => document.querySelector('#explore-bar').innerText !== words", arg=words)
        times.append(time.perf_counter() - started)
        page.wait_for_timeout(700)
    return median(times)


def points(counts: list[int]) -> None:
    """Print the table of points."""
    print("| points | first drawing, s | hover, s | lasso to gallery, s | sent, MB | heap, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as parent, served() as address, browser() as context:
        for count in counts:
            sessions.DEMO = made_up_run(Path(parent) / str(count), count)
            row = measure_points(context, address, count)
            cells = (row["draw s"], row["hover s"], row["lasso s"], row["MB sent"], row["heap MB"])
            print(f"| {count} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |", flush=True)


def training() -> None:
    """Print the time to the first sight, and that of a page action alone and while D-ULD trains in the background."""
    with served() as address, browser() as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        started = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(".uld-card")
        print(f"page opened to drawn example: {time.perf_counter() - started:.1f} s")
        print(f"an action alone: {median(_actions(page, 12)):.2f} s median")
        page.get_by_label("Demo: rendered heads").check()
        page.get_by_label("D-ULD", exact=True).check()
        page.get_by_role("button", name="Discover landmarks").click()
        page.wait_for_function("document.querySelector('#state').innerText.includes('Training, round 1')")
        other = context.new_page()
        other.set_default_timeout(120_000)
        other.goto(f"{address}?run=demo")
        other.wait_for_selector(".uld-card")
        times = _actions(other, 25)
        print(f"an action while D-ULD trains: {median(times):.2f} s median, {max(times):.2f} s at most")
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.wait_for_selector(".uld-progress.uld-cancelled")


def _actions(page: Any, count: int) -> list[float]:
    """Seconds that it takes to single out one landmark after another."""
    times = []
    for number in range(count):
        chip = f".uld-chip[data-landmark='{number % 10}']"
        started = time.perf_counter()
        page.locator(chip).click()
        page.wait_for_selector(f"{chip}[aria-pressed=true]")
        times.append(time.perf_counter() - started)
    return times


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("points", "training"))
    parser.add_argument("--counts", type=int, nargs="*", default=[1000, 10_000, 100_000, 500_000])
    args = parser.parse_args()
    points(args.counts) if args.what == "points" else training()


if __name__ == "__main__":
    main()
