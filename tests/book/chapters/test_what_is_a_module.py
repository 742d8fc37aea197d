"""The demonstrations of what Q is not show what they say they show."""

import numpy as np
import pytest

from modlib.book.chapters.what_is_a_module.tables import q_of_random_graphs, q_of_restarts, q_of_rings
from modlib.clustering import modularity
from modlib.planted import planted_graph, random_graph, ring_of_cliques


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
