"""The pitfalls of Q show what the page says, and the charts carry the numbers they were given."""

import numpy as np
import pandas as pd
import pytest

from modlib.book.chapters.what_is_a_module.charts import (
    network_diagram,
    node_link,
    q_against_size,
    restarts_chart,
)
from modlib.book.chapters.what_is_a_module.tables import q_of_random_graphs, q_of_restarts, q_of_rings
from modlib.clustering import modularity
from modlib.planted import crossed_network, planted_graph, random_graph, ring_of_cliques


def rows(spec, *columns):
    """Give the one data set of a chart that has these columns."""
    (found,) = [d for d in spec["datasets"].values() if set(columns) <= set(d[0])]
    return pd.DataFrame(found)


def test_random_graphs_score_high_and_move_with_size_and_density():
    sparse = q_of_random_graphs([32, 128], degree=6.0, repeats=2, restarts=3)
    dense = q_of_random_graphs([32, 128], density=0.4, repeats=2, restarts=3)
    assert list(sparse["units"]) == [32, 32, 128, 128]
    assert sparse["density"].tolist() == pytest.approx([6 / 31, 6 / 31, 6 / 127, 6 / 127])
    rising, falling = (table.groupby("units")["q"].mean() for table in (sparse, dense))
    assert rising[128] > rising[32] > 0.2
    assert 0.03 < falling[128] < falling[32]
    # repeats are different graphs
    assert sparse["q"].nunique() == 4


def test_random_graphs_need_exactly_one_of_density_and_degree():
    with pytest.raises(ValueError, match="density"):
        q_of_random_graphs([8])
    with pytest.raises(ValueError, match="density"):
        q_of_random_graphs([8], density=0.5, degree=3.0)


def test_rings_keep_their_cliques_below_the_limit_and_lose_them_above():
    table = q_of_rings([5, 12], size=3, restarts=5).set_index("cliques")  # the limit is 8
    assert table.loc[5, "n_modules"] == 5
    assert table.loc[5, "q"] == pytest.approx(table.loc[5, "q_cliques"])
    assert table.loc[12, "n_modules"] < 12
    assert table.loc[12, "q"] > table.loc[12, "q_cliques"] + 1e-6
    assert table.loc[12, "q_cliques"] == pytest.approx(modularity(*ring_of_cliques(12, 3)))


def test_restarts_agree_on_planted_modules_and_differ_without_them():
    clear = q_of_restarts(planted_graph((8, 8, 8), within=1.0, between=0.2, noise=0.3)[0], restarts=8)
    assert clear["ami"].min() == pytest.approx(1)
    none = q_of_restarts(random_graph(48, density=0.4, seed=1), restarts=8)
    assert none["ami"].iloc[0] == pytest.approx(1)  # the best, with itself
    assert none["ami"].median() < 0.8
    assert none["q"].is_monotonic_decreasing
    assert np.all(none["q"] > 0.8 * none["q"].max())


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
    assert {"caption": "A caption.", "name": "fig-x"}.items() <= spec["usermeta"].items()
    assert spec["description"] == "two triangles"


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
    table = pd.DataFrame({"units": [8], "q": [0.2], "ami": [1.0], "graphs": "a", "graph": "a"})
    with pytest.raises(ValueError, match="description"):
        chart(table, description="")
