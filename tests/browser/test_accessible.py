"""Every tab against the rules of WCAG 2.1 A and AA that a program can check: contrast, labels, roles, focus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.test_page import open_tab

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
TABS = {
    "Landmarks": "#gallery .uld-card",
    "Explore": "#map-poses canvas",
    "Passports": ".uld-passport",
    "Poses": ".uld-pose-card",
    "Train": ".uld-log",
    "Try it": "#tried",
    "Numbers": ".uld-numbers:visible",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_rule_is_broken_on_any_tab(playwright: Any, tmp_path: Path, address: str, theme: str, width: int) -> None:
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path),
        executable_path=CHROMIUM,
        args=FLAGS,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{address}?__theme={theme}")
        broken = []
        for tab, drawn in TABS.items():
            if page.get_by_role("tab", name=tab).count():
                open_tab(page, tab)
            else:  # on a narrow screen the last tabs are in a menu
                page.goto(f"{address}?__theme={theme}&tab={tab.split()[0].lower()}")
            page.wait_for_selector(drawn)
            page.wait_for_timeout(700)  # what fades in has no contrast yet
            found = Axe().run(page, options=RULES).response["violations"]
            broken += [
                (tab, rule["id"], node["target"], node["any"][0]["message"] if node["any"] else "")
                for rule in found
                for node in rule["nodes"]
            ]
        assert broken == []
    finally:
        context.close()
