"""Charts of small graphs and networks carry the numbers they were given."""

import numpy as np
import pandas as pd
import pytest

from modlib.book.graph_charts import (
    heatmap,
    heatmaps,
    network_diagram,
    node_link,
    q_against_size,
    restarts_chart,
)
from modlib.book.theme import COLOURS
from modlib.planted import crossed_network, planted_graph


def rows(spec, *columns):
    """Give the one data set of a chart that has these columns."""
    (found,) = [d for d in spec["datasets"].values() if set(columns) <= set(d[0])]
    return pd.DataFrame(found)


def test_node_link_draws_every_edge_once_and_every_unit_in_its_module():
    A, labels = planted_graph((3, 3), within=2.0, between=0.0)
    A[2, 3] = A[3, 2] = 1
    spec = node_link(A, labels, description="two triangles", caption="A caption.", name="fig-x").to_dict()
    edges = rows(spec, "weight")
    assert sorted(edges["weight"]) == [1, 2, 2, 2, 2, 2, 2]
    assert edges.loc[edges["weight"] == 1, "units"].tolist() == ["3 – 4"]
    nodes = rows(spec, "module")
    assert nodes["module"].tolist() == [1, 1, 1, 2, 2, 2]
    assert nodes["degree"].tolist() == [4, 4, 5, 5, 4, 4]
    assert spec["usermeta"] == {"caption": "A caption.", "name": "fig-x"}
    assert spec["description"] == "two triangles"


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


def test_network_diagram_has_every_weight():
    net = crossed_network()
    spec = network_diagram(
        net.weights[0][0], net.weights[1][0], net.upstream, net.downstream, description="d"
    ).to_dict()
    weights = rows(spec, "weight")["weight"]
    assert len(weights) == 4 * 8 + 8 * 4
    assert weights[:32].tolist() == pytest.approx(net.weights[0][0].ravel())
    assert len(rows(spec, "name")) == 4 + 8 + 4


def test_q_against_size_averages_each_size():
    table = pd.DataFrame({"units": [8, 8, 16], "q": [0.2, 0.4, 0.1], "graphs": "a"})
    spec = q_against_size(table, description="d").to_dict()
    drawn = {len(d): d for d in spec["datasets"].values()}
    assert [row["q"] for row in drawn[2]] == pytest.approx([0.3, 0.1])
    assert len(drawn[3]) == 3


@pytest.mark.parametrize("chart", [q_against_size, restarts_chart])
def test_a_chart_without_a_description_is_refused(chart):
    column = "graphs" if chart is q_against_size else "graph"
    table = pd.DataFrame({"units": [8], "q": [0.2], "ami": [1.0], column: "a"})
    with pytest.raises(ValueError, match="description"):
        chart(table, description="")
