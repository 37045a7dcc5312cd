"""The page as a visitor meets it: first look, upload, run, cancel, bad files, try one picture, downloads, reload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from uld_explorer.data.heads.scene import render_head

RUN_TIMEOUT = 180_000


def save_heads(folder: Path, count: int, seed: int = 5) -> list[Path]:
    """JPEG files of rendered heads."""
    files = []
    for index in range(count):
        file = folder / f"head {index}.jpg"
        Image.fromarray(render_head(seed, index, 96).image).save(file, quality=90)
        files.append(file)
    return files


def upload(page: Any, files: list[Path]) -> None:
    """Choose "My pictures" and drop the files."""
    page.get_by_label("My pictures").check()
    page.locator(".sidebar input[type=file]").set_input_files([str(file) for file in files])


def discover(page: Any) -> None:
    page.get_by_role("button", name="Discover landmarks").click()


def wait_for_end(page: Any, state: str) -> None:
    page.wait_for_selector(f".uld-progress.uld-{state}", timeout=RUN_TIMEOUT)


def open_tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_the_first_look_is_a_finished_run(page: Any) -> None:
    """Landmarks, passports, poses, training, figures and maps are there before anything was computed."""
    assert page.locator(".uld-card").count() >= 20
    assert page.locator(".uld-mark").count() >= 100
    open_tab(page, "Explore")
    page.wait_for_selector("#map-keypoints[data-points], #map-keypoints [data-points]")
    open_tab(page, "Passports")
    page.wait_for_selector(".uld-passport")
    assert page.locator(".uld-passport").count() == 10
    open_tab(page, "Poses")
    page.wait_for_selector(".uld-pose-card")
    assert page.locator(".uld-pose-card svg image").count() == page.locator(".uld-pose-card").count() >= 4
    open_tab(page, "Train")
    page.wait_for_selector("#losses .js-plotly-plot")
    assert page.locator(".uld-round").count() == 3
    open_tab(page, "Numbers")
    page.wait_for_selector("#numbers table")
    assert "Silhouette" in page.locator("#numbers").inner_text()


def test_a_landmark_is_singled_out_and_a_picture_opens_large(page: Any) -> None:
    page.locator(".uld-chip[data-landmark='2']").click()
    page.wait_for_selector(".uld-chip[data-landmark='2'][aria-pressed=true]")
    page.wait_for_selector(".uld-gallery.uld-focus")
    page.locator(".uld-card").nth(3).click()
    page.wait_for_selector(".uld-large")
    assert page.locator(".uld-large .uld-numbers tbody tr").count() >= 5
    page.get_by_role("button", name="Close the picture").click()
    page.wait_for_selector(".uld-large", state="detached")


def test_uploaded_pictures_run_to_the_end(page: Any, tmp_path: Path) -> None:
    """The corrupt file among real JPEGs is named, the others get landmarks; downloads and reload work."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is not a picture")
    upload(page, [*save_heads(tmp_path, 12), broken])
    page.wait_for_selector("text=12 pictures ready")
    assert "broken.jpg" in page.locator(".sidebar .uld-list").inner_text()
    discover(page)
    wait_for_end(page, "done")
    page.wait_for_function("document.querySelectorAll('.uld-card').length === 12")
    assert "12" in page.locator(".uld-facts").inner_text()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="COCO").click()
    document = json.loads(Path(waiting.value.path()).read_text())
    assert document["images"][0]["file_name"] == "head 0.jpg"
    page.reload()
    page.wait_for_function("document.querySelectorAll('.uld-card').length === 12")


def test_annotations_give_numbers(page: Any) -> None:
    """The rendered heads carry their points: errors appear, forward and backward together."""
    page.get_by_label("Demo: rendered heads").check()
    discover(page)
    wait_for_end(page, "done")
    open_tab(page, "Numbers")
    page.wait_for_selector("#numbers thead")
    text = page.locator("#numbers").inner_text()
    assert "forward" in text and "backward" in text and "Mean shape" in text


def test_cancel_stops_and_says_so(page: Any) -> None:
    page.get_by_label("Demo: rendered heads").check()
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Seed").fill("77")
    discover(page)
    page.wait_for_selector(".uld-progress .uld-bar")
    page.get_by_role("button", name="Cancel", exact=True).click()
    wait_for_end(page, "cancelled")
    page.get_by_role("button", name="Cancel", exact=True).wait_for(state="hidden")
    page.get_by_role("button", name="Resume", exact=True).wait_for()


def test_too_few_pictures_says_how_many_are_needed(page: Any, tmp_path: Path) -> None:
    upload(page, save_heads(tmp_path, 2))
    page.wait_for_selector("text=2 pictures ready")
    discover(page)
    wait_for_end(page, "failed")
    assert "5" in page.locator(".uld-progress.uld-failed").inner_text()


def test_new_pictures_get_the_runs_landmarks(page: Any, tmp_path: Path) -> None:
    file, other = save_heads(tmp_path, 2, seed=9)
    open_tab(page, "Try it")
    page.locator("[role=tabpanel] input[type=file]").first.set_input_files([str(file), str(other)])
    page.get_by_role("button", name="Find the landmarks").click()
    page.wait_for_selector("#tried .uld-mark", timeout=60_000)
    assert page.locator("#tried .uld-large").count() == 2
    assert page.locator("#tried .uld-mark").count() >= 6


def test_another_visitor_does_not_see_my_runs(page: Any, playwright: Any, address: str, tmp_path: Path) -> None:
    upload(page, save_heads(tmp_path, 6))
    page.wait_for_selector("text=6 pictures ready")
    discover(page)
    wait_for_end(page, "done")
    from tests.browser.conftest import CHROMIUM, FLAGS

    other = playwright.chromium.launch_persistent_context(str(tmp_path / "other"), executable_path=CHROMIUM, args=FLAGS)
    stranger = other.new_page()
    stranger.goto(address)
    stranger.wait_for_selector(".uld-card")
    stranger.get_by_label("Run", exact=True).click()
    stranger.get_by_role("option").first.wait_for()
    assert stranger.get_by_role("option").count() == 1
    other.close()


def test_names_of_files_are_never_markup(page: Any, tmp_path: Path) -> None:
    files = save_heads(tmp_path, 6)
    evil = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    files[0].rename(evil)
    upload(page, [evil, *files[1:]])
    page.wait_for_selector("text=6 pictures ready")
    discover(page)
    wait_for_end(page, "done")
    assert page.locator("img[src=x]").count() == 0


def test_a_phone_sees_landmarks_first(page: Any) -> None:
    """At 390 px the sidebar is folded and nothing is wider than the screen."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.wait_for_selector(".uld-card")
    page.wait_for_timeout(800)
    assert page.locator(".sidebar.open").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
