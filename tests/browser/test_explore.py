"""The linked maps in a real browser: lasso, click, keyboard, groups, rounds, the dial, and links to all that."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.browser.test_page import open_tab
from uld_explorer.analysis.projection import in_polygons
from uld_explorer.mapping import placed
from uld_explorer.ui.opened import Opened
from uld_explorer.ui.sessions import DEMO


@pytest.fixture
def explore(page: Any) -> Any:
    """The page with the Explore tab open and both maps drawn."""
    open_tab(page, "Explore")
    for what in ("keypoints", "poses"):
        page.wait_for_function(f"document.querySelector('#map-{what} .uld-map-said').innerText !== ''")
    page.wait_for_timeout(500)
    return page


def said(page: Any, what: str) -> str:
    return str(page.locator(f"#map-{what} .uld-map-said").inner_text())


def wait_said(page: Any, what: str, pattern: str) -> str:
    page.wait_for_function(
        f"new RegExp({pattern!r}).test(document.querySelector('#map-{what} .uld-map-said').innerText)"
    )
    return said(page, what)


def lasso(page: Any, what: str, corners: list[tuple[float, float]], shift: bool = False) -> None:
    """Draw around shares of the map's width and height."""
    button = page.locator(f"#map-{what}").get_by_role("button", name="Lasso")
    if button.get_attribute("aria-pressed") == "false":
        button.click()
    page.locator(f"#map-{what} .uld-map-stage").evaluate("e => e.scrollIntoView({ block: 'center' })")
    box = page.locator(f"#map-{what} .uld-map-stage").bounding_box()
    places = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in corners]
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in [*places[1:], places[0]]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


def query_of(page: Any) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(page.evaluate("location.search.slice(1)")))


LEFT = [(0.0, 0.15), (0.0, 1.0), (0.5, 1.0), (0.5, 0.15)]


def test_a_lasso_in_the_pose_map_selects_exactly_these_everywhere(explore: Any) -> None:
    """Browser, server and address agree on what lies in the lasso; map and gallery show that and nothing else."""
    lasso(explore, "poses", LEFT)
    count = int(re.findall(r"\d+", wait_said(explore, "poses", "of 240 selected"))[0])
    assert 0 < count < 240
    explore.wait_for_function(
        f"document.querySelector('#explore-gallery .uld-pager')?.innerText.includes('{count} of 240 pictures')"
    )
    selection = Opened.from_query(query_of(explore)).selection
    poses, points = placed(DEMO, "poses"), placed(DEMO, "keypoints")
    keypoints = DEMO.keypoints()
    assert poses is not None and points is not None and keypoints is not None
    pictures = poses.rows[in_polygons(poses.xy, [np.array(p) for p in selection.polygons])]
    assert len(pictures) == count
    expected = int(np.isin(keypoints.image[points.rows], pictures).sum())
    assert said(explore, "keypoints") == f"{expected} of {len(points.rows)} selected"
    shown: list[int] = []
    while True:
        cards = explore.locator("#explore-gallery .uld-card")
        shown += [int(cards.nth(i).get_attribute("data-picture")) for i in range(cards.count())]
        after = explore.locator("#explore-gallery .uld-pager button").last
        if len(shown) >= count or after.is_disabled():
            break
        first = cards.first.get_attribute("data-picture")
        after.click()
        explore.wait_for_function(f"document.querySelector('#explore-gallery .uld-card').dataset.picture !== '{first}'")
    assert sorted(shown) == sorted(pictures.tolist())


def test_a_lasso_among_keypoints_selects_their_pictures_and_shift_adds(explore: Any) -> None:
    top = [(0.0, 0.1), (1.0, 0.1), (1.0, 0.5), (0.0, 0.5)]
    lasso(explore, "keypoints", top)
    first = int(re.findall(r"\d+", wait_said(explore, "keypoints", "selected"))[0])
    wait_said(explore, "poses", "selected")
    explore.wait_for_timeout(800)  # the gallery settles, and with it the page
    lasso(explore, "keypoints", [(0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)], shift=True)
    both = int(re.findall(r"\d+", wait_said(explore, "keypoints", f"^(?!{first} of).*selected"))[0])
    assert both > first
    explore.keyboard.press("Escape")
    wait_said(explore, "keypoints", "keypoints$")
    wait_said(explore, "poses", "pictures$")


def test_the_keyboard_goes_from_point_to_point_and_selects(explore: Any) -> None:
    explore.locator("#map-poses .uld-map-stage").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        explore.keyboard.press(key)
    point = int(re.findall(r"point (\d+) of 240", said(explore, "poses"))[0])
    assert explore.locator("#map-poses .uld-map-tip").is_visible()
    explore.keyboard.press("Enter")
    wait_said(explore, "poses", "^1 of 240 selected")
    explore.wait_for_function(
        "document.querySelector('#explore-gallery .uld-pager')?.innerText.includes('1 of 240 pictures')"
    )
    assert Opened.from_query(query_of(explore)).selection.picks == (point - 1,)
    explore.keyboard.press("Escape")
    wait_said(explore, "poses", "pictures$")


def test_a_group_is_selected_by_its_name_and_hidden_by_its_dot(explore: Any) -> None:
    group = explore.locator("#map-poses .uld-map-legend button[data-group='1']")
    name, size = str(group.inner_text()).rsplit(" ", 1)
    group.click()
    wait_said(explore, "poses", f"^{size} of 240 selected")
    assert f"{name} {size} / {size}" in explore.locator("#map-poses .uld-map-legend").inner_text()
    eye = explore.get_by_label(f"show {name}", exact=True)
    eye.click()
    explore.wait_for_function(
        "document.querySelectorAll('#map-poses .uld-map-legend [aria-pressed=false]').length === 1"
    )


def test_hovering_shows_a_patch(explore: Any) -> None:
    box = explore.locator("#map-keypoints .uld-map-stage").bounding_box()
    for x in np.linspace(0.05, 0.95, 70):
        for y in np.linspace(0.1, 0.95, 12):
            explore.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            tip = explore.locator("#map-keypoints .uld-map-tip")
            if tip.is_visible():
                assert "data:image/webp" in tip.locator(".uld-map-tile").get_attribute("style")
                return
    pytest.fail("no point of the map answered the mouse")


def test_a_link_restores_run_tab_and_selection(explore: Any, visitor: Any) -> None:
    lasso(explore, "poses", LEFT)
    words = wait_said(explore, "poses", "of 240 selected")
    explore.wait_for_function("location.search.includes('lasso')")
    again = visitor.new_page()
    again.goto(explore.url)
    again.wait_for_function(f"document.querySelector('#map-poses .uld-map-said')?.innerText === '{words}'")
    assert again.get_by_role("tab", name="Explore").get_attribute("aria-selected") == "true"


def test_another_round_moves_the_points_but_not_their_order(explore: Any) -> None:
    slider = explore.get_by_label("number input for Training round")
    before = explore.locator("#map-keypoints").evaluate("e => (e.querySelector('[data-points]') ?? e).dataset.points")
    slider.fill("1")
    slider.press("Enter")
    explore.wait_for_function("location.search.includes('round=1')")
    explore.wait_for_timeout(1500)
    after = explore.locator("#map-keypoints").evaluate("e => (e.querySelector('[data-points]') ?? e).dataset.points")
    assert before == after


def test_other_colours_and_another_kind_of_map(explore: Any) -> None:
    explore.get_by_label("poses coloured by").click()
    explore.get_by_role("option", name="annotated yaw").click()
    explore.wait_for_function("document.querySelector('#map-poses .uld-map-legend').innerText.includes('…')")
    explore.get_by_role("button", name="How the maps are made").click()
    explore.get_by_label("PCA").check()
    explore.get_by_role("button", name="Draw again").click()
    explore.wait_for_timeout(2500)
    assert said(explore, "poses") == "240 pictures"


def test_the_dial_decodes_the_pose_of_a_point(page: Any) -> None:
    open_tab(page, "Poses")
    page.wait_for_function("document.querySelector('#dial-map .uld-map-said').innerText !== ''")
    page.locator("#dial-map .uld-map-stage").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#dial .uld-dial svg image")
    assert page.locator("#dial .uld-nearest button").count() == 12


def test_a_phone_can_use_the_maps(explore: Any) -> None:
    explore.set_viewport_size({"width": 390, "height": 844})
    explore.wait_for_timeout(800)
    assert explore.evaluate("document.documentElement.scrollWidth") <= 390
    width = explore.locator("#map-keypoints .uld-map-stage").bounding_box()["width"]
    assert 300 < width <= 390
