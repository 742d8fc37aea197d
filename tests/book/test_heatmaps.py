"""Heatmaps carry the numbers they were given, sorted by module."""

import numpy as np
import pandas as pd

from modlib.book.heatmaps import heatmap, heatmaps
from modlib.book.theme import COLOURS


def rows(spec, *columns):
    """Give the one data set of a chart that has these columns."""
    (found,) = [d for d in spec["datasets"].values() if set(columns) <= set(d[0])]
    return pd.DataFrame(found)


def test_heatmap_sorts_by_module_dead_units_last_and_draws_absolute_values():
    S = np.array([[9.0, -0.5, 0.1, 0.0], [-0.5, 9.0, 0.2, 0.0], [0.1, 0.2, 9.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    labels = np.array([1, 0, 1, -1])
    spec = heatmap(S, labels, colour="#000000", description="d").to_dict()
    assert rows(spec, "unit")["unit"].tolist() == [2, 1, 3, 4]
    assert rows(spec, "cut")["cut"].tolist() == [0, 1, 3, 4]
    cells = rows(spec, "r", "c", "s").set_index(["r", "c"])["s"]
    assert len(cells) == 12  # the diagonal is blank
    assert cells[0, 1] == 0.5
    assert cells[1, 2] == 0.1
    assert cells.max() == 0.5


def test_heatmap_keeps_a_thousandth_of_the_largest_value_at_any_scale():
    S = np.random.default_rng(0).random((6, 6)) * 3e-7
    S = S + S.T
    spec = heatmap(S, colour="#000000", description="d").to_dict()
    cells = rows(spec, "r", "c", "s")
    assert np.abs(cells["s"] - S[cells["r"], cells["c"]]).max() < 1e-3 * S.max()


def test_heatmaps_take_the_colour_of_their_measure():
    net = np.eye(3)
    spec = heatmaps({"input_cov": net, "output_hess": net}, description="d").to_dict()
    used = [part["layer"][0]["mark"]["color"] for part in spec["concat"]]
    assert used == [COLOURS["input_cov"], COLOURS["output_hess"]]
