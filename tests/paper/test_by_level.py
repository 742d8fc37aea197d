"""Statistics by level, on made-up results whose answers are known."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from modlib.paper import by_level


def test_levels_that_lose_networks_are_listed():
    found = synthetic.results(accuracy={("l2", 1e-2, 0): 0.5, ("l2", 1e-2, 1): 0.5, ("l1", 1e-3, 2): 0.7})
    dropped = by_level.dropped_levels(found)
    columns = ["regularizer", "strength", "networks", "dropped"]
    assert dropped[columns].to_numpy().tolist() == [["l1", 0.001, 3, 1], ["l2", 0.01, 3, 3]]


def test_q_by_strength_means_and_intervals():
    table = by_level.q_by_strength(synthetic.results())
    assert len(table) == 2 * 8 * len(synthetic.LEVELS)
    half = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)  # the sd of the three offsets is .01
    for row in table.to_dict("records"):
        expected = 0.1 + row["layer"] / 100 + synthetic.GAIN[row["regularizer"], row["strength"]]
        assert row["q"] == pytest.approx(expected)
        assert row["high"] - row["q"] == pytest.approx(half)
        assert row["seeds"] == 3


def test_a_network_counted_twice_does_not_narrow_the_interval():
    found = synthetic.results()
    twice = pd.concat([found.modules, found.modules], ignore_index=True)
    doubled = type(found)(found.networks, twice, found.agreement, manifest={}, kept={})
    a, b = by_level.q_by_strength(found), by_level.q_by_strength(doubled)
    np.testing.assert_allclose(a[["q", "low", "high"]], b[["q", "low", "high"]])


def test_the_order_of_rows_does_not_matter():
    a, b = (by_level.q_by_strength(r) for r in (synthetic.results(), synthetic.shuffled(synthetic.results())))
    keys = [c for c in a.columns if a[c].dtype.kind != "f" or c == "strength"]
    a, b = (t.sort_values(keys).reset_index(drop=True) for t in (a, b))
    for column in a.select_dtypes("float"):
        np.testing.assert_allclose(a[column], b[column])
