"""The palette tells landmarks apart and their numbers can be read on it; the page asks nothing of the outside."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from uld_explorer.ui.theme import PALETTE, STATIC, STYLES, colour, ink, theme

ENOUGH_CONTRAST = 4.5
"""WCAG 2.1, level AA, for text of any size."""
LAB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(hexadecimal: str) -> np.ndarray:
    """(3,) linear light of a colour such as #fff or #0072b2."""
    digits = hexadecimal[1:] if len(hexadecimal) == 7 else "".join(2 * c for c in hexadecimal[1:])
    channels = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) + 0.05 for c in (one, other))
    return high / low


def lab(hexadecimal: str) -> np.ndarray:
    """(3,) CIE L*a*b*, in which distances are about what eyes see."""
    ratio = LAB @ linear(hexadecimal) / WHITE
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_measure_of_contrast_knows_black_and_white() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("k", range(len(PALETTE)))
def test_a_landmarks_number_can_be_read_on_its_colour(k: int) -> None:
    """Black or white, at least 4.5 : 1, and never the worse of the two."""
    chosen = contrast(ink(k), colour(k))
    assert chosen >= ENOUGH_CONTRAST
    assert chosen == max(contrast("#000", colour(k)), contrast("#fff", colour(k)))


def test_any_two_colours_can_be_told_apart() -> None:
    """A distance of 20 in L*a*b* is many times what is just noticeable."""
    distances = [np.linalg.norm(lab(one) - lab(other)) for one, other in combinations(PALETTE, 2)]
    assert min(distances) > 20


def test_every_landmark_has_a_colour_and_keeps_it() -> None:
    assert [colour(k) for k in range(len(PALETTE))] == list(PALETTE)
    assert colour(len(PALETTE) + 3) == colour(3) and ink(len(PALETTE) + 3) == ink(3)


def test_the_look_asks_nothing_of_the_outside() -> None:
    """No web fonts, no styles, no scripts from elsewhere: the page works without a network."""
    assert theme()._get_theme_css() and not theme()._stylesheets
    for file in sorted(STATIC.iterdir()):
        assert "//" not in file.read_text().replace("// ", ""), file.name
    assert STYLES.exists()
