"""The bound against exact optima: never below, equal where the linear program is tight, valid cut short."""

import doctest
from types import SimpleNamespace

import authors
import igraph
import numpy as np
import pytest
import torch

from modlib import bounds
from modlib.bounds import modularity_bound
from modlib.clustering import find_modules, modularity


def cliques(sizes):
    """Cliques with no edge between them and their largest Q, which is that of the cliques."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    A = (labels[:, None] == labels) - np.eye(len(labels))
    share = np.array(sizes) * (np.array(sizes) - 1.0)
    return A, 1 - np.sum((share / share.sum()) ** 2)


def random_graph(generator, n_unit, density, contrast=0.0):
    labels = generator.integers(0, 3, n_unit)
    A = generator.random((n_unit, n_unit)) + contrast * (labels[:, None] == labels)
    A = np.triu(A * (generator.random((n_unit, n_unit)) < density), 1)
    return A + A.T


def optimum(A):
    graph = igraph.Graph.Weighted_Adjacency(A, mode="undirected", loops=False)
    return graph.modularity(graph.community_optimal_modularity(weights="weight"), weights="weight")


@pytest.mark.parametrize("sizes", [[3, 3], [5, 4, 3], [4, 4, 4, 4]])
def test_bound_is_the_optimum_of_separate_cliques(sizes):
    A, q = cliques(sizes)
    assert modularity_bound(A) == pytest.approx(q, abs=1e-9)


@pytest.mark.parametrize("n_unit", [7, 10, 13])
@pytest.mark.parametrize(("density", "contrast"), [(0.4, 0.0), (1.0, 0.0), (1.0, 0.5), (0.7, 2.0)])
def test_bound_is_at_least_the_optimum_and_close(n_unit, density, contrast):
    A = random_graph(np.random.default_rng(n_unit), n_unit, density, contrast)
    best, bound = optimum(A), modularity_bound(A)
    assert bound >= best
    assert bound <= best + 0.02  # measured: at most .008, and 0 in most cases


def test_bound_is_tight_on_planted_modules():
    for seed in range(4):
        A = random_graph(np.random.default_rng(seed), 12, 1.0, 1.0)
        assert modularity_bound(A) == pytest.approx(optimum(A), abs=1e-8)


def test_karate_club():
    A = np.array(igraph.Graph.Famous("Zachary").get_adjacency().data, dtype=float)
    assert modularity_bound(A) == pytest.approx(find_modules(A).q, abs=1e-8)


def test_reference_matrix_of_64_units_is_solved_to_optimality():
    A = authors.graph("l1_1e-3/forward_cov_norm/1")
    q = find_modules(A).q
    assert q <= modularity_bound(A) <= q + 1e-6


def test_bound_holds_when_cut_short_and_tightens_with_time(monkeypatch):
    A = random_graph(np.random.default_rng(5), 20, 1.0, 0.2)
    full = modularity_bound(A)
    none = modularity_bound(A, time_limit=1e-9)
    monkeypatch.setattr(bounds, "CUTS_PER_ROUND", 60)
    clock = iter(np.arange(0, 50, 1.0))
    monkeypatch.setattr(bounds, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    some = modularity_bound(A, time_limit=5.0)
    best = find_modules(A).q
    assert best <= full < some < none
    off_diagonal = A / A.sum() - np.outer(A.sum(0), A.sum(0)) / A.sum() ** 2
    loosest = np.maximum(off_diagonal, 0).sum() - (A.sum(0) ** 2).sum() / A.sum() ** 2
    assert none == pytest.approx(loosest, abs=1e-9)


def test_any_multipliers_prove_a_bound():
    generator = np.random.default_rng(6)
    A = random_graph(generator, 9, 1.0, 0.5)
    B = A / A.sum() - np.outer(A.sum(0), A.sum(0)) / A.sum() ** 2
    rows, columns = np.triu_indices(9, k=1)
    gain = 2 * B[rows, columns]
    pair = np.zeros((9, 9), dtype=int)
    pair[rows, columns] = pair[columns, rows] = np.arange(len(gain))
    triple = np.array([generator.permutation(9)[:3] for _ in range(40)])
    cuts = np.stack([pair[triple[:, a], triple[:, b]] for a, b in ((0, 1), (1, 2), (0, 2))], axis=1)
    best = optimum(A)
    for spread in (0.0, 0.1, 1.0, 10.0):
        y = spread * generator.standard_normal(40)  # negative ones must be thrown away
        assert np.trace(B) + bounds.dual_value(gain, cuts, y) >= best


def test_bound_ignores_order_scale_and_dead_units_but_not_weights():
    generator = np.random.default_rng(7)
    A = random_graph(generator, 14, 0.6, 0.5)
    bound = modularity_bound(A)
    order = generator.permutation(14)
    padded = np.insert(np.insert(A, [0, 5], 0, axis=0), [0, 5], 0, axis=1)
    for same in (A[np.ix_(order, order)], A * 1e-9, A * 1e9, padded, torch.tensor(A)):
        assert modularity_bound(same) == pytest.approx(bound, abs=1e-7)
    assert abs(modularity_bound(A**2) - bound) > 0.02


def test_no_partition_of_a_random_graph_exceeds_the_bound():
    generator = np.random.default_rng(8)
    A = random_graph(generator, 16, 1.0)
    bound = modularity_bound(A)
    assert all(modularity(A, generator.integers(0, 4, 16)) < bound for _ in range(200))


def test_no_edges_and_wrong_input():
    assert np.isnan(modularity_bound(np.zeros((4, 4))))
    with pytest.raises(ValueError, match="diagonal"):
        modularity_bound(np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"time_limit must be above 0, got 0\.0"):
        modularity_bound(cliques([3, 3])[0], time_limit=0.0)


def test_examples_in_docstrings():
    assert doctest.testmod(bounds).failed == 0
    assert doctest.testmod(bounds).attempted > 1
