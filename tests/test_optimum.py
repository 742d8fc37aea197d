"""The optimum against all partitions and integer programming, published optima, and searches cut short."""

import doctest
import time
from pathlib import Path

import igraph
import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from exhaustive import KINDS, best_q, graph

from benchmarks import best_known
from modlib import optimum
from modlib.bounds import modularity_bound
from modlib.clustering import modularity, modularity_matrix
from modlib.optimum import modularity_optimum
from modlib.relaxation import TOLERANCE

REFERENCE = Path(__file__).parent / "reference"
ROUNDING = 1e-13
SLOW = pytest.mark.slow


def glpk(A):
    """Largest Q by integer programming (Brandes et al. 2008), through igraph."""
    found = igraph.Graph.Weighted_Adjacency(A, mode="undirected", loops=False)
    return modularity(A, found.community_optimal_modularity(weights="weight").membership)


def check(A, best, **options):
    found = modularity_optimum(A, **options)
    assert found.proven
    assert found.q == pytest.approx(best, abs=TOLERANCE)
    assert best - ROUNDING <= found.bound <= found.q + TOLERANCE
    assert found.gap == found.bound - found.q
    gamma = options.get("resolution", 1.0)
    assert modularity(A, found.partition.labels, resolution=gamma) == pytest.approx(found.q, abs=1e-12)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_unit", "seed"), [(2, 0), (4, 0), (6, 0), (9, 0), (9, 1), (11, 0)])
def test_optimum_is_the_best_of_all_partitions(kind, n_unit, seed):
    A = graph(kind, n_unit, seed)
    best = best_q(modularity_matrix(A))
    check(A, best)
    assert modularity_bound(A) >= best - ROUNDING


@SLOW
@pytest.mark.parametrize("kind", ["dense", "sparse", "planted", "hub", "equal", "structureless"])
@pytest.mark.parametrize("n_unit", [13, 16, 19])
def test_optimum_is_that_of_integer_programming(kind, n_unit):
    A = graph(kind, n_unit, 0)
    best = glpk(A)
    check(A, best)
    assert modularity_bound(A) >= best - ROUNDING


@pytest.mark.parametrize("gamma", [0.3, 0.8, 1.5, 3.0])
def test_optimum_at_other_resolutions(gamma):
    for kind in ("dense", "planted", "equal"):
        A = graph(kind, 9, 2)
        best = best_q(modularity_matrix(A, gamma))
        check(A, best, resolution=gamma)
        assert modularity_bound(A, resolution=gamma) >= best - ROUNDING


def test_a_better_partition_than_that_of_the_first_search_is_found(monkeypatch):
    A = graph("planted", 10, 3)
    first = optimum.find_modules(A)
    worse = optimum.Partition.of_alive(
        np.zeros(10, dtype=np.int64), np.ones(10, dtype=bool), q=0.0, stability=1.0, restarts_q=np.zeros(1)
    )
    monkeypatch.setattr(optimum, "find_modules", lambda *_, **__: worse)
    found = check(A, first.q)
    np.testing.assert_array_equal(found.partition.labels, first.labels)


#: Optima that are in the literature: karate in Brandes et al. 2008 (10.1109/TKDE.2007.190689), the others in
#: Aloise et al. 2010 (10.1103/PhysRevE.82.046112).
PUBLISHED = {
    "karate": 0.4198, "les miserables": 0.5600, "dolphins": 0.5285, "polbooks": 0.5272, "football": 0.6046,
}  # fmt: skip


def published_graph(name):
    """Read a graph without weights, from networkx or from the reference files."""
    if name == "karate":
        return networkx.to_numpy_array(networkx.karate_club_graph(), weight=None)
    if name == "les miserables":
        return networkx.to_numpy_array(networkx.les_miserables_graph(), weight=None)
    edges = pd.read_csv(REFERENCE / "published_graphs.csv").query("graph == @name")
    A = np.zeros((edges.j.max() + 1, edges.j.max() + 1))
    A[edges.i, edges.j] = A[edges.j, edges.i] = 1
    return A


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name == "polbooks" else ()) for name in PUBLISHED]
)
def test_published_optima_are_proven(name):
    found = modularity_optimum(published_graph(name), time_limit=600.0)
    assert found.proven
    assert round(found.q, 4) == PUBLISHED[name]


@SLOW
@pytest.mark.parametrize("index", [0, 10, 23, 35])
def test_real_graphs_are_proven(index):
    graph = best_known.graphs()[index]
    check(graph.A, graph.best_known_q)


def test_scale_order_and_dead_units_do_not_matter():
    A = graph("dense", 12, 5)
    best = modularity_optimum(A)
    order = np.random.default_rng(0).permutation(12)
    padded = np.insert(np.insert(A, [0, 5], 0, axis=0), [0, 5], 0, axis=1)
    for same in (A[np.ix_(order, order)], A * 1e-9, A * 1e9, padded, torch.tensor(A)):
        found = modularity_optimum(same)
        assert found.proven
        assert found.q == pytest.approx(best.q, abs=1e-12)
    dead = modularity_optimum(padded).partition.labels == -1
    assert np.flatnonzero(dead).tolist() == [0, 6]


def test_search_cut_short_gives_a_valid_bound():
    A = graph("structureless", 40, 0)
    loose = modularity_optimum(A, time_limit=1e-9)
    tight = modularity_optimum(A, time_limit=3.0)
    assert not loose.proven
    assert loose.regions == 1
    assert tight.q <= tight.bound < loose.bound
    assert loose.q <= tight.bound


@pytest.mark.parametrize("call", [modularity_bound, modularity_optimum])
def test_time_limit_is_kept_on_a_large_graph(call):
    A = graph("dense", 400, 0)
    start = time.perf_counter()
    call(A, time_limit=2.0)
    assert time.perf_counter() - start < 30  # a round takes a tenth of a second, on a busy machine more


def test_graph_without_edges_and_of_one_edge():
    nothing = modularity_optimum(np.zeros((3, 3)))
    assert np.isnan([nothing.q, nothing.bound, nothing.gap]).all()
    assert not nothing.proven
    assert nothing.partition.labels.tolist() == [-1, -1, -1]
    one = check(np.array([[0.0, 2.0], [2.0, 0.0]]), 0.0)
    assert one.partition.labels.tolist() == [0, 0]


def test_examples_in_docstrings():
    assert doctest.testmod(optimum).failed == 0
    assert doctest.testmod(optimum).attempted > 1
