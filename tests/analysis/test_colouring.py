"""What points are coloured by: numbers keep their colours, values fall into steps, folders into the commonest."""

from __future__ import annotations

import numpy as np

from uld_explorer.analysis.colouring import BOTH_WAYS, NONE, PALETTE, RISING, by_folder, by_number, by_value


def test_numbers_keep_their_colours() -> None:
    found = by_number(np.array([1, -1, 0]), ["1", "4"], [0, 3])
    assert found.colours == (PALETTE[0], PALETTE[3]) and found.group.tolist() == [1, -1, 0]
    assert found.take(np.array([2, 0])).group.tolist() == [0, 1]


def test_values_fall_into_equal_steps() -> None:
    found = by_value(np.array([0.0, 7.0, 3.5, np.nan]), digits=1)
    assert found.colours == (*RISING, NONE) and found.names[0] == "0.0 … 1.0" and found.names[-1] == "unknown"
    assert found.group.tolist() == [0, 6, 3, 7]


def test_angles_lie_evenly_about_nothing() -> None:
    found = by_value(np.array([-90.0, 0.0, 30.0]), digits=0, symmetric=True)
    assert found.colours == BOTH_WAYS and found.group.tolist() == [0, 3, 4]


def test_one_value_or_none_at_all_is_no_error() -> None:
    assert len(set(by_value(np.full(4, 2.0)).group)) == 1
    assert by_value(np.full(3, np.nan)).names == ("unknown",)


def test_folders_are_the_first_in_a_name_and_rare_ones_go_together() -> None:
    names = [f"f{i}/a{j}.png" for i in range(15) for j in range(15 - i)] + ["alone.png"]
    found = by_folder(names)
    assert len(found.names) == 12 and found.names[0] == "f0" and found.names[-1] == "others"
    assert found.group[0] == 0 and found.group[-1] == 11
    assert by_folder(["a/1", "b/2"]).names == ("a", "b")
