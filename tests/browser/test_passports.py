"""Editing landmarks on the page: merge, undo, rename, and the edit is in the file that is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.browser.test_page import open_tab, save_heads


def test_merge_undo_rename_export(page: Any, tmp_path: Path) -> None:
    open_tab(page, "Passports")
    page.wait_for_selector(".uld-passport")
    card = page.locator("[data-passport='0']")
    card.locator("[data-other]").select_option("3")
    card.get_by_role("button", name="Merge").click()
    page.wait_for_function("document.querySelectorAll('.uld-passport').length === 9")
    assert "My copy of" in page.get_by_label("Run", exact=True).input_value()
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("document.querySelectorAll('.uld-passport').length === 10")
    page.get_by_role("button", name="Redo").click()
    page.wait_for_function("document.querySelectorAll('.uld-passport').length === 9")
    name = page.locator("[data-rename='0']")
    name.fill("tip of the <nose>")
    name.press("Enter")
    page.wait_for_function("document.querySelector('#chips').innerText.includes('tip of the <nose>')")
    page.locator("[data-passport='5']").get_by_role("button", name="Hide").click()
    page.wait_for_function("document.querySelectorAll('.uld-passport').length === 8")
    assert "3 edits" in page.locator("#history").inner_text()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="COCO").click()
    document = json.loads(Path(waiting.value.path()).read_text())
    names = document["categories"][0]["keypoints"]
    assert names[0] == "tip of the <nose>" and len(names) == 8
    assert not {"landmark_4", "landmark_6"} & set(names)
    open_tab(page, "Try it")
    page.locator("[role=tabpanel] input[type=file]").first.set_input_files(str(save_heads(tmp_path, 1, seed=4)[0]))
    page.get_by_role("button", name="Find the landmarks").click()
    page.wait_for_selector("#tried .uld-mark", timeout=60_000)
    assert page.locator("#tried .uld-large tbody tr").count() == 8, "what predicts on new pictures is edited, too"


def test_a_patch_opens_its_picture_and_hidden_landmarks_come_back(page: Any) -> None:
    open_tab(page, "Passports")
    page.wait_for_selector(".uld-passport")
    page.locator(".uld-examples button").first.click()
    page.wait_for_selector(".uld-large")
    page.locator("[data-passport='2']").get_by_role("button", name="Hide").click()
    page.wait_for_selector(".uld-hidden")
    page.locator(".uld-hidden button").click()
    page.wait_for_function("document.querySelectorAll('.uld-passport').length === 10")


def test_a_copy_of_the_example_can_be_renamed_and_deleted(page: Any) -> None:
    open_tab(page, "Passports")
    page.wait_for_selector(".uld-passport")
    page.locator("[data-passport='2']").get_by_role("button", name="Split").click()
    page.wait_for_function("document.querySelectorAll('.uld-passport').length === 11")
    open_tab(page, "Train")
    page.wait_for_selector(".uld-runs tbody tr")
    answers = iter(["my heads", None])

    def answer(dialog: Any) -> None:
        text = next(answers)
        dialog.accept(text) if text else dialog.accept()

    page.on("dialog", answer)
    page.locator(".uld-runs").get_by_role("button", name="Rename").click()
    page.wait_for_function("document.querySelector('.uld-runs').innerText.includes('my heads')")
    page.locator(".uld-runs").get_by_role("button", name="Delete").click()
    page.wait_for_selector("text=No runs of your own yet")
