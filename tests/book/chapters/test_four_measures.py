"""Relative differences of similarity matrices."""

import pytest
import torch

from modlib.book.chapters.four_measures.tables import relative_differences


def some(scale=1.0):
    g = torch.Generator().manual_seed(0)
    return {"a": [scale * torch.rand(1, 3, 3, generator=g) for _ in range(2)]}


def test_one_entry_off_is_measured_against_the_largest_entry_of_its_layer():
    expected, found = some(), some()
    expected["a"][1][0, 2, 2] = found["a"][1][0, 2, 2] = 4.0  # the largest entry
    found["a"][1][0, 0, 1] -= 1.0
    table = relative_differences(found, expected)
    assert table.loc["a", "layer 1"] == 0
    assert table.loc["a", "layer 2"] == pytest.approx(0.25, rel=1e-6)


def test_scaling_both_changes_nothing_and_scaling_one_does():
    found = {"a": [1.5 * S for S in some()["a"]]}
    assert relative_differences(found, some()).to_numpy() == pytest.approx(0.5, rel=1e-5)
    scaled = {"a": [7 * S for S in found["a"]]}
    assert relative_differences(scaled, some(7.0)).to_numpy() == pytest.approx(0.5, rel=1e-5)


def test_layers_that_are_missing_are_refused():
    with pytest.raises(KeyError, match="a"):
        relative_differences({"b": some()["a"]}, some())
    with pytest.raises(ValueError, match="longer"):
        relative_differences({"a": some()["a"][:1]}, some())
