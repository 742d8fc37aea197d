"""Other optimisers against planted modules, exact optima, hand values and the authors' own search."""

import doctest
import random

import authors
import igraph
import numpy as np
import pytest
from scipy.optimize import brentq

from modlib import algorithms
from modlib.algorithms import OPTIMISERS, find_modules_by
from modlib.bounds import modularity_bound
from modlib.clustering import find_modules, modularity
from modlib.comparison import agreement

every = pytest.mark.parametrize("optimiser", OPTIMISERS)
drawing = pytest.mark.parametrize("optimiser", [o for o in OPTIMISERS if o != "spectral"])


def symmetric(upper):
    upper = np.triu(upper, 1)
    return upper + upper.T


def blocks(sizes, links):
    """Weight `links[a, b]` between units of modules a and b, and the labels; nothing is random."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return symmetric(np.asarray(links, dtype=float)[labels][:, labels]), labels


def planted(seed, n_unit, n_module, contrast):
    """Dense random weights, larger by `contrast` within modules: like a similarity matrix."""
    generator = np.random.default_rng(seed)
    labels = np.sort(generator.integers(0, n_module, n_unit))
    return symmetric(generator.random((n_unit, n_unit)) + contrast * (labels[:, None] == labels)), labels


def noise(seed, n_unit, density=1.0):
    generator = np.random.default_rng(seed)
    return symmetric(generator.random((n_unit, n_unit)) * (generator.random((n_unit, n_unit)) < density))


def line(n_unit):
    return np.diag(np.ones(n_unit - 1), 1) + np.diag(np.ones(n_unit - 1), -1)


def entropy(chances):
    chances = np.asarray(chances, dtype=float)
    p = chances[chances > 0] / chances.sum()
    return -np.sum(p * np.log(p))


# ---------------------------------------------------------------- all of them


@every
def test_two_joined_cliques_by_hand(optimiser):
    # 13 edges, 6 of them in each clique of four: Q = 12/13 − 2 (1/2)².
    A, labels = blocks([4, 4], [[1, 0], [0, 1]])
    A[3, 4] = A[4, 3] = 1
    part = find_modules_by(A, optimiser)
    assert part.labels.tolist() == labels.tolist()
    assert part.q == pytest.approx(12 / 13 - 1 / 2, abs=1e-14)
    assert (part.n_modules, part.effective_modules) == (2, pytest.approx(2, abs=1e-12))


@every
@pytest.mark.parametrize("case", [(0, 40, 2, 0.5), (1, 40, 3, 1.0), (0, 48, 4, 2.0), (1, 64, 4, 2.0)])
def test_planted_modules_are_found(optimiser, case):
    A, labels = planted(*case)
    order = np.random.default_rng(6).permutation(len(A))
    part = find_modules_by(A[np.ix_(order, order)], optimiser)
    assert agreement(part.labels, labels[order])["ecs"] == 1
    assert agreement(part.labels, labels)["ecs"] < 0.7
    assert part.n_modules == labels.max() + 1


@every
def test_labels_go_by_size_and_q_is_their_modularity(optimiser):
    for A in (noise(1, 30), noise(2, 40, 0.2), planted(3, 50, 3, 0.3)[0]):
        part = find_modules_by(A, optimiser)
        assert part.q == modularity(A, part.labels) == part.restarts_q[0]
        assert part.restarts_q.shape == (1,)
        assert np.isnan(part.stability)
        sizes = np.bincount(part.labels)
        assert (np.diff(sizes) <= 0).all()
        assert len(sizes) == part.n_modules > 1
        assert part.effective_modules == pytest.approx(np.exp(entropy(sizes)), abs=1e-12)


@every
def test_never_above_the_optimum_or_the_bound(optimiser):
    graphs = [noise(seed, n, density) for seed, n in enumerate((6, 9, 12)) for density in (0.5, 1.0)]
    for A in [*graphs, planted(7, 14, 3, 0.5)[0]]:
        q = find_modules_by(A, optimiser).q
        assert q <= find_modules(A).q + 1e-12  # the optimum on graphs as small: tests of `find_modules`
        assert q <= modularity_bound(A) + 1e-12
        assert q > 0


@every
def test_dead_units_change_nothing(optimiser):
    A, _ = planted(15, 30, 3, 0.3)
    part = find_modules_by(A, optimiser)
    where = np.array([0, 7, 20, 30])
    padded = np.insert(np.insert(A, where, 0, axis=0), where, 0, axis=1)
    with_dead = find_modules_by(padded, optimiser)
    assert with_dead.labels.tolist() == np.insert(part.labels, where, -1).tolist()
    assert (with_dead.q, with_dead.effective_modules) == (part.q, part.effective_modules)


@every
@pytest.mark.parametrize("n_unit", [0, 1, 5])
def test_all_dead(optimiser, n_unit):
    part = find_modules_by(np.zeros((n_unit, n_unit)), optimiser)
    assert part.labels.tolist() == [-1] * n_unit
    assert part.n_modules == 0
    assert np.isnan([part.q, part.effective_modules, part.stability, *part.restarts_q]).all()


@every
def test_complete_graph_is_one_module(optimiser):
    part = find_modules_by(1 - np.eye(8), optimiser)
    assert part.labels.tolist() == [0] * 8
    assert part.q == pytest.approx(0, abs=1e-15)


@every
def test_scale_does_not_matter_but_a_shift_does(optimiser):
    A = noise(14, 40)
    part = find_modules_by(A, optimiser)
    for scale in (2.0**-40, 2.0**60):  # exact in binary, so even the draws are the same
        assert find_modules_by(A * scale, optimiser).labels.tolist() == part.labels.tolist()
    assert find_modules_by(A + 1 - np.eye(40), optimiser).q < part.q - 0.01


@drawing
def test_the_seed_decides(optimiser):
    A = noise(3, 64)
    labels = [find_modules_by(A, optimiser, seed=seed).labels.tolist() for seed in (0, 0, 1, 2)]
    assert labels[0] == labels[1]
    assert labels[0] != labels[2] != labels[3]


@every
@pytest.mark.usefixtures("as_a_user")  # the checks of annotations draw from `random` themselves
def test_global_generators_are_left_as_they_were(optimiser):
    random.seed(1)
    state, numpy_state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    drawn = igraph.Graph.Erdos_Renyi(30, 0.5).get_edgelist()
    random.seed(1)
    find_modules_by(noise(13, 30), optimiser)
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    assert igraph.Graph.Erdos_Renyi(30, 0.5).get_edgelist() == drawn  # igraph draws from `random` again


def test_wrong_input_is_refused_by_name():
    A = noise(0, 6)
    with pytest.raises(ValueError, match=r"leiden-once, louvain, spectral, monte-carlo; got 'annealing'"):
        find_modules_by(A, "annealing")
    A[0, 1] += 1
    with pytest.raises(ValueError, match="A must be symmetric"):
        find_modules_by(A, "spectral")


# ---------------------------------------------------------------- one by one


def test_leiden_once_is_the_first_restart_of_find_modules():
    A = noise(4, 64)
    for seed in (1, 2):
        part = find_modules_by(A, "leiden-once", seed=seed)
        assert part.labels.tolist() == find_modules(A, restarts=1, seed=seed).labels.tolist()
        assert part.q == find_modules(A, seed=seed).restarts_q[0] < find_modules(A, seed=seed).q


def test_louvain_is_igraph_s_with_weights():
    A = planted(5, 50, 3, 0.2)[0]
    graph = igraph.Graph.Weighted_Adjacency(A, mode="undirected", loops=False)
    reached = {round(find_modules_by(A, "louvain", seed=seed).q, 9) for seed in range(20)}
    theirs = {round(graph.community_multilevel(weights="weight").q, 9) for _ in range(20)}
    unweighted = {round(modularity(A, graph.community_multilevel().membership), 9) for _ in range(5)}
    assert reached & theirs
    assert not reached & unweighted


def test_spectral_splits_a_line_in_halves_and_stays_there():
    # Newman 2006 (10.1103/PhysRevE.74.036104) on repeated splitting: the best is 3 + 2 + 3, out of its reach.
    part = find_modules_by(line(8), "spectral")
    assert part.q == pytest.approx(6 / 7 - 1 / 2, abs=1e-14)
    assert find_modules(line(8)).q == pytest.approx(5 / 7 - 66 / 196, abs=1e-14)


def test_spectral_follows_the_units():
    for seed in range(5):
        A = noise(seed, 40, 0.3)
        order = np.random.default_rng(seed).permutation(40)
        labels = find_modules_by(A, "spectral").labels
        permuted = find_modules_by(A[np.ix_(order, order)], "spectral").labels
        assert agreement(permuted, labels[order])["ecs"] == 1
        assert agreement(permuted, labels)["ecs"] < 0.6


def split_without_correction(A):
    """As `spectral`, but every module is split by the plain submatrix of B."""
    degree = A.sum(axis=1) / A.sum()
    B = A / A.sum() - np.outer(degree, degree)
    labels, waiting = np.zeros(len(A), dtype=np.int64), [np.arange(len(A))]
    while waiting:
        module = waiting.pop()
        left = np.linalg.eigh(B[np.ix_(module, module)]).eigenvectors[:, -1] > 0
        trial = labels.copy()
        trial[module[left]] = labels.max() + 1
        if 0 < left.sum() < len(left) and modularity(A, trial) > modularity(A, labels) + 1e-12:
            labels = trial
            waiting += [module[left], module[~left]]
    return labels


@pytest.mark.parametrize(
    ("A", "labels"),
    [
        planted(7, 48, 4, 1.0),
        planted(69, 48, 4, 1.0),
    ],
)
def test_spectral_needs_the_correction_for_subgroups(A, labels):
    assert agreement(find_modules_by(A, "spectral").labels, labels)["ecs"] == 1
    assert modularity(A, split_without_correction(A)) < modularity(A, labels) - 0.005


def test_the_correction_changes_nothing_in_the_first_split():
    A, labels = blocks([5, 4], [[1, 0.2], [0.2, 1]])
    assert find_modules_by(A, "spectral").labels.tolist() == labels.tolist()
    assert agreement(split_without_correction(A), labels)["ecs"] == 1


def test_monte_carlo_improves_on_its_start():
    gains = []
    for A in [noise(seed, 48) for seed in range(4)] + [line(8)]:
        part, start = find_modules_by(A, "monte-carlo"), find_modules_by(A, "spectral")
        gains.append(part.q - start.q)
    assert min(gains) > 0.003
    assert find_modules_by(line(8), "monte-carlo").q == pytest.approx(5 / 7 - 66 / 196, abs=1e-14)


def test_monte_carlo_makes_and_empties_modules():
    # The spectral start cuts through cliques of the ring; in noise it has too few modules or too many.
    size, count = 5, 6
    ring, labels = blocks([size] * count, np.eye(count))
    for c in range(count):
        i, j = c * size, (c + 1) % count * size + 1
        ring[i, j] = ring[j, i] = 1
    assert agreement(find_modules_by(ring, "spectral").labels, labels)["ecs"] < 0.9
    assert agreement(find_modules_by(ring, "monte-carlo").labels, labels)["ecs"] == 1
    sizes = [
        (find_modules_by(A, "spectral").n_modules, find_modules_by(A, "monte-carlo").n_modules)
        for A in (noise(seed, 30, 0.2) for seed in range(8))
    ]
    assert any(after < before for before, after in sizes)
    assert any(after > before for before, after in sizes)


def frequencies(gaps, n=50_000):
    """How often each choice comes out over evenly spread draws."""
    drawn = [algorithms.drawn_choice(gaps, (i + 0.5) / n) for i in range(n)]
    return np.bincount(drawn, minlength=len(gaps)) / n


@pytest.mark.usefixtures("as_a_user")
def test_two_choices_are_drawn_with_the_chances_of_the_target_entropy():
    worse = brentq(lambda p: entropy([p, 1 - p]) - 0.15, 1e-9, 0.5)
    for gap in (1e-9, 0.02, 3.0):
        assert frequencies([gap, 0.0]) == pytest.approx([worse, 1 - worse], abs=1e-5)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("gaps", [[0.3, 0.0, 0.4, 0.35], [0.0] + [0.1] * 20, [1e-6, 0.0, 0.5, 0.01]])
def test_any_number_of_choices_has_the_target_entropy(gaps):
    found = frequencies(gaps)
    assert entropy(found) == pytest.approx(0.15, abs=2e-4)
    # A softmax: log odds against the best are in proportion to the gaps.
    seen = (found > 5e-4) & (np.array(gaps) > 0)
    slope = np.log(found.max() / found[seen]) / np.array(gaps)[seen]
    assert slope == pytest.approx(slope[0], rel=0.03)


@pytest.mark.usefixtures("as_a_user")
def test_the_temperature_is_solved_over_many_scales():
    generator = np.random.default_rng(0)
    for _ in range(2000):
        gaps = 10.0 ** -(11 * generator.random(generator.integers(1, 40)))
        gaps = [0.0, *gaps.tolist()]
        beta = algorithms.inverse_temperature(gaps, min(gaps[1:]))
        assert entropy(np.exp(-beta * np.array(gaps))) == pytest.approx(0.15, abs=2e-6)


@pytest.mark.usefixtures("as_a_user")
def test_equally_good_choices_are_drawn_alike():
    assert frequencies([0.1, 0.0, 1e-17]) == pytest.approx([0, 0.5, 0.5], abs=1e-5)
    assert frequencies([0.0]) == 1


@pytest.mark.usefixtures("as_a_user")
def test_monte_carlo_does_as_well_as_the_authors_own():
    """Their chain had 1,500 moves; a chain of either may be the luckier one on a graph."""
    values = authors.partitions()
    chain, start = (
        np.array([find_modules_by(authors.graph(name), optimiser).q for name in values["names"]])
        - values["mc_q"]
        for optimiser in ("monte-carlo", "spectral")
    )
    assert chain.mean() > 0
    assert (chain > -0.001).mean() > 0.85
    assert chain.min() > -0.005
    assert (start > -0.001).mean() < 0.1  # the start alone would not do


def test_examples_in_docstrings():
    assert doctest.testmod(algorithms).failed == 0
    assert doctest.testmod(algorithms).attempted >= 4
