"""Signed modularity and the constant Potts model: by hand, by leidenalg, exactly, and best known Q."""

import doctest
from pathlib import Path

import exhaustive
import igraph
import leidenalg
import numpy as np
import pandas as pd
import pytest

from modlib import criteria
from modlib.clustering import alive_units, canonical_labels, find_modules, modularity, sum_within
from modlib.comparison import agreement
from modlib.criteria import (
    CRITERIA,
    constant_potts_matrix,
    find_by_criterion,
    signed_modularity_matrix,
)

REFERENCE = Path(__file__).parent / "reference"
every = pytest.mark.parametrize("criterion", CRITERIA)


def similarities(seed, n_unit=64, dimensions=8, common=0.3):
    """Draw correlations of random vectors with something in common: signed, as those of a layer are."""
    vectors = common + np.random.default_rng(seed).standard_normal((n_unit, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    S = vectors @ vectors.T
    np.fill_diagonal(S, 0)
    return (S + S.T) / 2


def planted(seed, sizes=(9, 8, 7), common=0.0):
    """Draw blocks of units with one vector each, and noise."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.standard_normal((30, len(sizes))))[0].T[labels] + common
    vectors = vectors + 0.05 * rng.standard_normal(vectors.shape)
    S = vectors @ vectors.T
    np.fill_diagonal(S, 0)
    return (S + S.T) / 2, labels


def matrix(S, criterion, resolution):
    """Give what is summed within modules, for similarities without dead units."""
    chosen = CRITERIA[criterion]
    return chosen.matrix(chosen.graph(S), resolution)


# ---------------------------------------------------------------- what is summed within modules


@pytest.mark.parametrize("resolution", [0.8, 1.0, 2.5])
def test_signed_modularity_is_the_published_sum(resolution):
    S, labels = similarities(0, 12), np.arange(12) % 3
    plus, minus = S.clip(min=0), (-S).clip(min=0)
    expected = 0.0
    for i in range(12):
        for j in range(12):
            if labels[i] == labels[j]:
                chance = [w[i].sum() * w[j].sum() / w.sum() for w in (plus, minus)]
                expected += plus[i, j] - resolution * chance[0] - (minus[i, j] - resolution * chance[1])
    expected /= plus.sum() + minus.sum()
    assert sum_within(signed_modularity_matrix(S, resolution), labels) == pytest.approx(expected, abs=1e-14)


def test_signed_modularity_weighs_the_two_parts_by_their_weight():
    S, labels = similarities(1, 20), np.arange(20) % 4
    plus, minus = S.clip(min=0), (-S).clip(min=0)
    share = plus.sum() / np.abs(S).sum()
    expected = share * modularity(plus, labels) - (1 - share) * modularity(minus, labels)
    assert sum_within(signed_modularity_matrix(S), labels) == pytest.approx(expected, abs=1e-14)


def test_without_negative_weights_signs_do_not_matter_and_with_no_other_all_is_reversed():
    A, labels = np.abs(similarities(2, 20)), np.arange(20) % 4
    for gamma in (0.8, 1.0, 2.0):
        q = modularity(A, labels, resolution=gamma)
        for criterion in ("absolute", "positive", "signed"):
            assert sum_within(matrix(A, criterion, gamma), labels) == pytest.approx(q, abs=1e-14)
        assert sum_within(signed_modularity_matrix(-A, gamma), labels) == pytest.approx(-q, abs=1e-14)
    found = [find_by_criterion(A, criterion) for criterion in ("absolute", "positive", "signed")]
    assert len({part.labels.tobytes() for part in found}) == 1


def test_potts_quality_by_hand():
    # Mean weight (3 + 3 · 1) / 6 = 1. The pair {0, 1} holds 3 of it, {2, 3} holds 1 and so gains nothing.
    A = np.array([[0, 3, 1, 0], [3, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0.0]])
    for labels, expected in (([0, 0, 1, 2], 2), ([0, 0, 1, 1], 2), ([0, 0, 0, 1], 2), ([0, 0, 0, 0], 0)):
        found = sum_within(constant_potts_matrix(A), np.array(labels))
        assert found == pytest.approx(expected * 2 / A.sum(), abs=1e-14)
    assert sum_within(constant_potts_matrix(A, 0.4), np.zeros(4, dtype=int)) == pytest.approx(0.6)


# ---------------------------------------------------------------- the search


@every
@pytest.mark.parametrize("n_unit", [6, 10])
@pytest.mark.parametrize("resolution", [0.8, 1.0, 1.5, 3.0])
def test_small_graphs_are_solved(criterion, n_unit, resolution):
    for seed in range(3):
        S = similarities(seed, n_unit, 4)
        found = find_by_criterion(S, criterion, resolution=resolution)
        alive = found.labels >= 0
        B = matrix(S[np.ix_(alive, alive)], criterion, resolution)
        assert found.q == pytest.approx(exhaustive.best_q(B), abs=1e-12)


@pytest.mark.parametrize("kind", exhaustive.KINDS)
def test_small_graphs_of_odd_kinds_are_solved(kind):
    A = exhaustive.graph(kind, 9, 0)
    for criterion in CRITERIA:
        expected = exhaustive.best_q(matrix(A, criterion, 1.0))
        assert find_by_criterion(A, criterion).q == pytest.approx(expected, abs=1e-12)


def stored_graph(index):
    A = np.zeros((64, 64))
    A[np.triu_indices(64, 1)] = np.load(REFERENCE / "best_q_graphs.npz")[f"w{index}"]
    return A + A.T


def test_the_best_known_q_is_reached_on_nearly_all_graphs_of_64_units():
    best = pd.read_csv(REFERENCE / "best_q.csv").best_known_q.to_numpy()[::2]
    gaps = best - [find_by_criterion(stored_graph(i), "absolute").q for i in range(0, 64, 2)]
    assert gaps.min() > -1e-6
    assert gaps.max() < 2e-3
    assert np.mean(gaps < 1e-5) > 0.9


@pytest.mark.parametrize("resolution", [0.8, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("index", [0, 7, 33])
def test_on_graphs_of_networks_it_is_hardly_ever_below_the_main_search(resolution, index):
    A = stored_graph(index)
    ours = find_by_criterion(A, "absolute", resolution=resolution)
    assert ours.q == modularity(A, ours.labels, resolution=resolution)
    assert ours.q > find_modules(A, resolution=resolution).q - (1e-4 if resolution < 3 else 1e-3)


@pytest.mark.parametrize("resolution", [1.0, 1.5])
def test_without_any_modules_it_is_a_little_below_the_main_search(resolution):
    graphs = [np.abs(similarities(seed, dimensions=10)) for seed in range(5)]
    gaps = [
        find_modules(A, resolution=resolution).q - find_by_criterion(A, "absolute", resolution=resolution).q
        for A in graphs
    ]
    assert np.mean(gaps) < 1e-4
    assert max(gaps) < 1e-3


def weighted(W):
    rows, columns = np.nonzero(np.triu(W))
    found = igraph.Graph(n=len(W), edges=np.stack([rows, columns], axis=1))
    found.es["weight"] = W[rows, columns]
    return found


@pytest.mark.parametrize("resolution", [1.0, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_leidenalg_finds_nothing_better_on_signed_graphs(seed, resolution):
    S = similarities(seed)
    layers = [weighted(S.clip(min=0)), weighted((-S).clip(min=0))]
    B = signed_modularity_matrix(S, resolution)
    theirs = []
    for start in range(3):
        member, quality = leidenalg.find_partition_multiplex(
            layers,
            leidenalg.RBConfigurationVertexPartition,
            layer_weights=[1, -1],
            n_iterations=-1,
            seed=start,
            weights="weight",
            resolution_parameter=resolution,
        )
        theirs.append(sum_within(B, np.array(member)))
        start_q = np.trace(B)  # they report how much better it is than single units
        assert quality / np.abs(S).sum() == pytest.approx(theirs[-1] - start_q, abs=1e-9)
    assert find_by_criterion(S, "signed", resolution=resolution).q > max(theirs) - 1e-12


@pytest.mark.parametrize("resolution", [0.75, 1.0, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_leidenalg_finds_nothing_better_by_the_constant_potts_model(seed, resolution):
    A = np.abs(similarities(seed))
    theirs = [
        leidenalg.find_partition(
            weighted(A),
            leidenalg.CPMVertexPartition,
            weights="weight",
            resolution_parameter=resolution * A.sum() / (64 * 63),
            n_iterations=-1,
            seed=start,
        )
        for start in range(3)
    ]
    B = constant_potts_matrix(A, resolution)
    for part in theirs:
        assert part.quality() / A.sum() == pytest.approx(sum_within(B, np.array(part.membership)), abs=1e-9)
    best = max(part.quality() for part in theirs) / A.sum()
    assert find_by_criterion(A, "potts", resolution=resolution).q > best - 1e-12


@every
def test_planted_modules_are_found_whatever_the_order_of_units(criterion):
    S, labels = planted(0)
    order = np.random.default_rng(1).permutation(len(S))
    part = find_by_criterion(S[np.ix_(order, order)], criterion)
    assert agreement(part.labels, labels[order])["ecs"] == 1
    assert part.q == pytest.approx(find_by_criterion(S, criterion).q, abs=1e-12)
    assert part.n_modules == 3
    assert np.isnan(part.stability)


def test_signs_tell_units_apart_that_absolute_values_join():
    """Half of the units of each block have their sign turned: a different unit, if signs matter."""
    S, labels = planted(0)
    turned = np.where(np.arange(len(S)) % 2, -1, 1)
    S, apart = S * np.outer(turned, turned), 2 * labels + np.arange(len(S)) % 2
    assert agreement(find_by_criterion(S, "absolute").labels, labels)["ecs"] == 1
    for criterion in ("positive", "signed"):
        found = find_by_criterion(S, criterion, resolution=1.0 if criterion == "positive" else 0.8)
        inside = found.labels[:, None] == found.labels
        assert (S[inside & ~np.eye(len(S), dtype=bool)] > -0.2).all(), criterion
    assert agreement(find_by_criterion(S, "positive").labels, apart)["ecs"] == 1


@every
def test_scale_does_not_matter(criterion):
    S = similarities(4)
    part = find_by_criterion(S, criterion)
    for scale in (2.0**-40, 2.0**60):
        assert find_by_criterion(S * scale, criterion).labels.tolist() == part.labels.tolist()


@every
def test_dead_units_change_nothing(criterion):
    S = similarities(5, 30)
    where = np.array([0, 7, 20, 30])
    padded = np.insert(np.insert(S, where, 0, axis=0), where, 0, axis=1)
    part, with_dead = find_by_criterion(S, criterion), find_by_criterion(padded, criterion)
    assert with_dead.labels.tolist() == np.insert(part.labels, where, -1).tolist()
    assert (with_dead.q, with_dead.n_modules) == (part.q, part.n_modules)


def test_a_unit_without_positive_similarities_is_dead_where_they_alone_count():
    S, _ = planted(0)
    S[0, :] = S[:, 0] = -0.5
    S[0, 0] = 0
    assert find_by_criterion(S, "positive").labels[0] == -1
    assert find_by_criterion(S, "signed").labels[0] >= 0
    assert alive_units(S).all()


@every
@pytest.mark.parametrize("n_unit", [0, 1, 5])
def test_all_dead(criterion, n_unit):
    part = find_by_criterion(np.zeros((n_unit, n_unit)), criterion)
    assert part.labels.tolist() == [-1] * n_unit
    assert part.n_modules == 0
    assert np.isnan(part.q)


@every
def test_the_seed_decides_and_labels_are_canonical(criterion):
    S = similarities(6)
    parts = [find_by_criterion(S, criterion, seed=seed, resolution=1.5) for seed in (0, 0, 1)]
    assert parts[0].labels.tolist() == parts[1].labels.tolist()
    for part in parts:
        assert part.labels.tolist() == canonical_labels(part.labels).tolist()


@pytest.mark.parametrize("criterion", ["absolute", "positive", "potts"])
def test_a_larger_resolution_gives_more_modules(criterion):
    S = similarities(7)
    numbers = [find_by_criterion(S, criterion, resolution=g).n_modules for g in (0.5, 1.0, 2.0, 4.0)]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[-1]


def test_wrong_input_is_refused_by_name():
    S = similarities(0, 6)
    with pytest.raises(ValueError, match="criterion must be one of absolute, positive, signed, potts"):
        find_by_criterion(S, "negative")
    with pytest.raises(ValueError, match="S must have a zero diagonal, got 1 on it"):
        find_by_criterion(S + np.eye(6), "signed")


def test_examples_in_docstrings():
    assert doctest.testmod(criteria).failed == 0
    assert doctest.testmod(criteria).attempted >= 3
