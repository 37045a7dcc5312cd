"""Training on the page: it goes on when the tab closes, survives the death of its server, pauses and resumes."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

from tests.browser.conftest import CHROMIUM, FLAGS, _free_port, start_server
from tests.browser.test_page import open_tab, save_heads, upload, wait_for_end

RUN_TIMEOUT = 600_000


def set_number(page: Any, label: str, value: int) -> None:
    page.get_by_label(label, exact=True).fill(str(value))
    page.get_by_label(label, exact=True).blur()


def begin(page: Any, method: str) -> None:
    page.locator(".sidebar").get_by_label(method, exact=True).check()
    page.get_by_role("button", name="Discover landmarks").click()


def wait_for_stage(page: Any, words: str) -> None:
    pattern = words.replace("'", "")
    page.wait_for_function(
        f"document.querySelector('#state').innerText.toLowerCase().includes('{pattern}')", timeout=RUN_TIMEOUT
    )


def test_quick_training_on_the_demo_goes_on_without_its_tab(page: Any, visitor: Any) -> None:
    """Begin, close the tab, open the link again, watch it finish."""
    page.get_by_label("Demo: rendered heads").check()
    begin(page, "D-ULD")
    wait_for_stage(page, "training, round 1")
    page.wait_for_selector("#losses .js-plotly-plot")
    link = page.url
    assert "tab=train" in link and "run=demo" not in link
    other = visitor.new_page()  # the browser stays, the tab goes
    page.close()
    other.goto(link)
    other.wait_for_selector("#losses .js-plotly-plot", timeout=60_000)
    other.wait_for_selector(".uld-progress.uld-done", timeout=RUN_TIMEOUT)
    other.wait_for_function("document.querySelectorAll('.uld-round').length === 3")
    assert "Labels 3" in other.locator("#log").inner_text()
    open_tab(other, "Landmarks")
    other.wait_for_selector(".uld-card")
    page.outside = []


def test_pause_estimate_and_resume(page: Any, tmp_path: Path) -> None:
    upload(page, save_heads(tmp_path, 12))
    page.wait_for_selector("text=12 pictures ready")
    page.locator(".sidebar").get_by_label("D-ULD++", exact=True).check()
    page.get_by_role("button", name="What will it cost?").click()
    page.wait_for_selector(".uld-estimate", timeout=60_000)
    text = page.locator(".uld-estimate").inner_text()
    assert re.search(r"About \d+ (s|min) for 12 pictures", text) and "on disk" in text and "training" in text
    begin(page, "D-ULD++")
    wait_for_stage(page, "training, round 1")
    page.get_by_role("button", name="Pause", exact=True).click()
    wait_for_end(page, "paused")
    page.get_by_role("button", name="Resume", exact=True).click()
    wait_for_stage(page, "training, round 2")
    assert "Going on from the last checkpoint" in page.locator("#log").inner_text()
    page.get_by_role("button", name="Cancel", exact=True).click()
    wait_for_end(page, "cancelled")
    open_tab(page, "Landmarks")
    page.wait_for_function("document.querySelectorAll('#gallery .uld-card').length === 12")


def test_a_run_is_trained_on_from_its_own_tab(page: Any, tmp_path: Path) -> None:
    """ZeroShot first; then, without choosing the pictures again, what a training would cost, and the training."""
    upload(page, save_heads(tmp_path, 12))
    page.wait_for_selector("text=12 pictures ready")
    page.get_by_role("button", name="Discover landmarks").click()
    page.wait_for_function("document.querySelectorAll('#gallery .uld-card').length === 12", timeout=RUN_TIMEOUT)
    wait_for_end(page, "done")
    open_tab(page, "Train")
    page.wait_for_selector("#train-about >> text=pictures 12")
    page.get_by_role("button", name="What will training cost?").click()
    page.wait_for_selector("#train-estimated >> text=/About \\d+ (s|min) for 12 pictures/", timeout=60_000)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_selector("#state >> text=/until training ends/i", timeout=RUN_TIMEOUT)
    page.get_by_role("button", name="Cancel", exact=True).click()
    wait_for_end(page, "cancelled")
    page.wait_for_function("document.querySelectorAll('#runs tbody tr').length === 2")
    assert page.locator("#runs tr[aria-current]").inner_text().count("duldpp") == 1


def test_a_killed_server_loses_nothing(playwright: Any, tmp_path: Path) -> None:
    """SIGKILL in the middle of training; a new server on the same data, and the page resumes."""
    data = tmp_path / "data"
    data.mkdir()
    port = _free_port()
    server = start_server(data, port)
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path / "profile"), executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1440, "height": 900}
    )
    try:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector(".uld-card")
        upload(page, save_heads(tmp_path, 12))
        page.wait_for_selector("text=12 pictures ready")
        begin(page, "D-ULD")
        wait_for_stage(page, "training, round 2")
        server.send_signal(signal.SIGKILL)
        server.wait(20)
        server = start_server(data, port)
        again = context.new_page()
        again.goto(page.url)
        page.close()
        again.wait_for_selector("text=The server was stopped", timeout=60_000)
        again.get_by_role("button", name="Resume", exact=True).click()
        again.wait_for_selector(".uld-progress.uld-done", timeout=RUN_TIMEOUT)
        assert "Going on from the last checkpoint" in again.locator("#log").inner_text()
        open_tab(again, "Landmarks")
        again.wait_for_function("document.querySelectorAll('#gallery .uld-card').length === 12")
    finally:
        context.close()
        server.kill()
