"""Which landmarks are kept: steady ones that move with the thing, and not two of the same."""

from __future__ import annotations

import numpy as np

from uld_explorer.landmarks.stability import choose_steady, unsteadiness


def test_unsteadiness_by_hand() -> None:
    """Two views, two pictures: views differ by 0.02, places by 0.4, so 0.01 off against 0.2 of movement."""
    places = np.zeros((2, 2, 1, 2))
    places[:, 1, 0, 0] = 0.4
    places[1, :, 0, 1] = 0.02
    np.testing.assert_allclose(unsteadiness(places), [0.01 / 0.2])


def test_it_does_not_depend_on_size() -> None:
    places = np.random.default_rng(0).uniform(size=(3, 10, 4, 2))
    np.testing.assert_allclose(unsteadiness(places), unsteadiness(7 * places))


def test_a_point_that_never_moves_is_not_called_steady() -> None:
    places = np.random.default_rng(1).normal(0, 0.01, (3, 50, 2, 2))
    places[:, :, 1] += np.random.default_rng(2).uniform(0, 1, (50, 2))
    still, moving = unsteadiness(places)
    assert moving < still / 5


def test_the_steadiest_comes_first_and_its_double_last() -> None:
    layout = np.array([[0, 0], [0.001, 0], [0.5, 0], [0, 0.5]])
    points = np.random.default_rng(3).uniform(size=(40, 1, 2)) * 0.1 + layout
    chosen = choose_steady(np.array([0.10, 0.11, 0.12, 0.13]), points, 3)
    assert chosen.tolist() == [0, 2, 3]
    assert sorted(choose_steady(np.array([0.10, 0.11, 0.12, 0.13]), points, 4)) == [0, 1, 2, 3]
