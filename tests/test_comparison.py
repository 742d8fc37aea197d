"""Agreement against scikit-learn, clusim, brute force and the authors' values."""

import doctest
import itertools
import warnings

import authors
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, mutual_info_score

from modlib import _contingency, comparison  # noqa: PLC2701
from modlib.clustering import modularity
from modlib.comparison import (
    agreement,
    agreement_pairs,
    rank_correlation,
    rank_correlations,
    transfers,
)

with warnings.catch_warnings():  # clusim imports and calls what newer libraries call deprecated
    warnings.simplefilter("ignore")
    import clusim.sim
    from clusim.clustering import Clustering

NAMES = ["ecs", "ami", "ari", "rmi", "vi", "matching"]


def random_pairs(count=60, seed=0):
    """Pairs of partitions from unrelated to nearly equal, with few or many modules."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        n_unit = int(generator.integers(2, 70))
        a = generator.integers(0, generator.integers(1, n_unit + 1), n_unit)
        b = generator.integers(0, generator.integers(1, 9), n_unit)
        if number % 3 == 0:
            b = np.where(generator.random(n_unit) < 0.2, b, a)
        yield a, b
    yield np.zeros(6, dtype=int), np.zeros(6, dtype=int)  # one module twice
    yield np.zeros(6, dtype=int), np.arange(6)
    yield np.arange(6), np.array([0, 0, 0, 1, 1, 2])
    yield np.arange(6), np.arange(6)[::-1].copy()  # all singletons twice


def by_clusim(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        left, right = (Clustering().from_membership_list(labels.tolist()) for labels in (a, b))
        return {
            "ecs": clusim.sim.element_sim(left, right, alpha=0.9),
            "rmi": clusim.sim.rmi(left, right),
            "vi": clusim.sim.vi(left, right),
        }


# ---------------------------------------------------------------- against others


def test_ami_and_ari_are_those_of_scikit_learn():
    for a, b in random_pairs(150):
        ours = agreement(a, b)
        assert ours["ami"] == pytest.approx(adjusted_mutual_info_score(a, b), abs=1e-11)
        assert ours["ari"] == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


def test_ecs_rmi_and_vi_are_those_of_clusim():
    for a, b in random_pairs(60, seed=1):
        ours, theirs = agreement(a, b), by_clusim(a, b)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, abs=1e-10), name


def test_values_of_the_authors_code():
    values = authors.partitions()
    found = agreement_pairs(values["labels"], values["pairs"])
    assert len(values["pairs"]) == 138
    for name in ("ecs", "rmi", "vi"):
        np.testing.assert_allclose(found[name], values[name], atol=1e-12)
    # Theirs is greedy, ours optimal.
    assert (found["matching"] >= values["greedy"] - 1e-6).all()


def test_transfer_of_the_authors_code():
    values = authors.partitions()
    graphs = [authors.graph(name) for name in values["names"]]
    assert len(values["pairs"]) == 138
    for (a, b), ab, ba in zip(values["pairs"], values["transfer_ab"], values["transfer_ba"], strict=True):
        assert modularity(graphs[a], values["labels"][b]) == pytest.approx(ab, abs=5e-7)  # in float32
        assert modularity(graphs[b], values["labels"][a]) == pytest.approx(ba, abs=5e-7)


# ---------------------------------------------------------------- against brute force


def test_matching_is_the_best_of_all_matchings():
    for a, b in random_pairs(40, seed=2):
        a, b = a % 5, b % 5
        table = np.array([[((a == i) & (b == j)).sum() for j in range(5)] for i in range(5)])
        best = max(sum(table[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(5)))
        assert agreement(a, b)["matching"] == pytest.approx(best / len(a), abs=1e-14)


def test_ecs_is_the_distance_of_personalised_pagerank():
    def pagerank(labels, alpha=0.9):
        mates = (labels[:, None] == labels) / (labels[:, None] == labels).sum(axis=1)
        n_unit = len(labels)
        return (1 - alpha) * np.linalg.inv(np.eye(n_unit) - alpha * mates)

    generator = np.random.default_rng(3)
    for _ in range(10):
        a, b = generator.integers(0, 4, (2, 25))
        distance = np.abs(pagerank(a) - pagerank(b)).sum(axis=1) / (2 * 0.9)
        assert agreement(a, b)["ecs"] == pytest.approx(np.mean(1 - distance), abs=1e-12)


def test_expected_information_is_the_mean_over_all_orders():
    a, b = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 1, 2])
    orders = set(itertools.permutations(b.tolist()))  # each as likely as the others
    mean = np.mean([mutual_info_score(a, np.array(order)) for order in orders])
    table = _contingency.contingency_tables(a[None], b[None], 3)
    assert _contingency.expected_information(table)[0] == pytest.approx(mean, abs=1e-12)


def count_tables(rows, columns):
    """Count the tables of counts with these sums by filling in one row after another."""
    if len(rows) == 1:
        return 1
    fills = itertools.product(*(range(c + 1) for c in columns))
    return sum(
        count_tables(rows[1:], [c - f for c, f in zip(columns, fill, strict=True)])
        for fill in fills
        if sum(fill) == rows[0]
    )


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([10, 10], [10, 10]),
        ([12, 8], [5, 15]),
        ([6, 6, 6], [6, 6, 6]),
        ([8, 5, 3], [7, 7, 2]),
        ([20], [9, 11]),
    ],
)
def test_number_of_tables_is_close_to_the_exact_count(rows, columns):
    padded = [np.array([[*sums, 0]]) for sums in (rows, columns)]  # an empty module must not count
    estimate = _contingency.log_tables(*padded)[0]
    assert estimate == pytest.approx(np.log(count_tables(rows, columns)), abs=0.2)


def test_vi_is_a_metric_in_bits():
    generator = np.random.default_rng(4)
    labels = generator.integers(0, 4, (6, 32))
    pairs = list(itertools.product(range(6), repeat=2))
    vi = agreement_pairs(labels, pairs)["vi"].reshape(6, 6)
    assert (vi[:, None, :] <= vi[:, :, None] + vi[None, :, :] + 1e-12).all()
    # n singletons against one module: all log2 n bits differ.
    assert agreement(np.arange(32), np.zeros(32, dtype=int))["vi"] == pytest.approx(5, abs=1e-12)


# ---------------------------------------------------------------- what must and must not matter


def test_equal_partitions_agree_fully():
    generator = np.random.default_rng(5)
    for n_module in (1, 2, 5, 30):
        labels = generator.integers(0, n_module, 30)
        renamed = generator.permutation(n_module)[labels]
        same = agreement(labels, renamed)
        assert (same["ami"], same["ari"], same["matching"]) == (1, 1, 1)
        assert same["ecs"] == pytest.approx(1, abs=1e-15)
        assert same["vi"] == pytest.approx(0, abs=1e-12)
        changed = agreement(labels, np.append(labels[1:], labels[0]))
        if n_module == 5:
            assert max(changed[name] for name in ("ecs", "ami", "ari", "matching")) < 0.8
            assert changed["vi"] > 1
            assert changed["rmi"] < same["rmi"] - 0.5


def test_all_are_symmetric_and_blind_to_names_and_order_of_units():
    generator = np.random.default_rng(6)
    for a, b in random_pairs(20, seed=7):
        order = generator.permutation(len(a))
        value = agreement(a, b)
        for same in (agreement(b, a), agreement(a[order], b[order]), agreement(a.max() - a, b + 1000)):
            assert same == pytest.approx(value, abs=1e-11)


def test_order_of_one_side_alone_does_matter():
    labels = np.repeat(np.arange(4), 8)
    moved = agreement(labels, np.random.default_rng(8).permutation(labels))
    assert moved["ecs"] < 0.6
    assert moved["matching"] < 0.7
    assert abs(moved["ami"]) < 0.2


def test_chance_corrected_measures_are_zero_on_average_over_shuffles():
    generator = np.random.default_rng(9)
    a, b = np.repeat([0, 1, 2, 3], [20, 20, 14, 10]), np.repeat([0, 1, 2], [30, 20, 14])
    labels = np.stack([a, *(generator.permutation(b) for _ in range(2000))])
    value = agreement_pairs(labels, [(0, i) for i in range(1, 2001)])
    for name in ("ami", "ari"):
        assert abs(value[name].mean()) < 4 * value[name].std() / np.sqrt(2000)
    assert value["rmi"].mean() < 0
    assert value["ecs"].mean() > 0.2  # not corrected: chance alone gives a good part
    assert value["matching"].mean() > 0.3


def test_dead_units_change_nothing():
    generator = np.random.default_rng(10)
    a, b = generator.integers(0, 4, (2, 50))
    where = np.array([0, 10, 11, 30, 50])
    value = agreement(a, b)
    both = agreement(np.insert(a, where, -1), np.insert(b, where, -1))
    assert both == pytest.approx(value, abs=1e-12)
    one_side = agreement(np.insert(a, where, -1), np.insert(b, where, [0, 1, 2, 3, 9]))
    assert one_side == pytest.approx(value, abs=1e-12)
    # Lumped into a module of their own, they would raise agreement instead.
    assert agreement(np.insert(a, where, 4), np.insert(b, where, 4))["ecs"] > value["ecs"] + 0.02


def test_a_module_that_dies_out_is_no_module():
    a, b = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, -1, -1])
    assert agreement(a, b) == pytest.approx(agreement(a[:5], b[:5]), abs=1e-14)


@pytest.mark.parametrize(
    ("a", "b"), [([0, -1], [-1, 0]), ([-1, -1, 0], [0, 1, 1]), ([], []), ([-1, -1], [-1, -1])]
)
def test_fewer_than_two_common_units_is_nan(a, b):
    value = agreement(a, b)
    assert list(value) == NAMES
    assert all(np.isnan(v) for v in value.values())


def test_many_pairs_at_once_are_the_pairs_one_by_one(monkeypatch):
    generator = np.random.default_rng(11)
    labels = generator.integers(-1, 6, (9, 40))
    labels[8] = -1
    labels[7] = np.where(labels[7] >= 0, labels[7] * 10**12, -1)  # names may be huge
    pairs = np.array(list(itertools.product(range(9), repeat=2)))
    together = agreement_pairs(torch.tensor(labels), torch.tensor(pairs))
    monkeypatch.setattr(comparison, "CELLS_AT_ONCE", 100)  # blocks of a few pairs
    monkeypatch.setattr(_contingency, "TERMS_AT_ONCE", 100)
    in_blocks = agreement_pairs(labels, pairs)
    for name in NAMES:
        single = [agreement(labels[i], labels[j])[name] for i, j in pairs]
        np.testing.assert_allclose(together[name], single, atol=1e-13)
        np.testing.assert_allclose(in_blocks[name], single, atol=1e-13)
        assert np.isnan(together[name]).sum() == 17  # row 8 against all
    assert all(len(value) == 0 for value in agreement_pairs(labels, []).values())


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ([0, 1], [0, 1, 1], ValueError, r"\(2,\), \(3,\)"),
        ([[0, 1]], [[0, 1]], ValueError, "one label a unit"),
        ([0.0, 1.0], [0, 1], TypeError, "labels_a must be integers"),
        ([0, 1], [0, -2], ValueError, "labels_b must be at least −1"),
    ],
)
def test_wrong_labels_are_refused(a, b, error, message):
    with pytest.raises(error, match=message):
        agreement(a, b)


@pytest.mark.parametrize("pairs", [[[0, 3]], [[-1, 0]], [0, 1], [[0, 1, 2]], [[0.0, 1.0]]])
def test_wrong_pairs_are_refused(pairs):
    with pytest.raises(ValueError, match="pairs must be"):
        agreement_pairs(np.zeros((3, 5), dtype=int), pairs)


# ---------------------------------------------------------------- transfer


def random_graph(generator, n_unit):
    A = np.triu(generator.random((n_unit, n_unit)), 1)
    return A + A.T


def test_transfer_leaves_out_the_dead_of_either_side():
    generator = np.random.default_rng(12)
    A = random_graph(generator, 20)
    A[3] = A[:, 3] = 0
    labels = generator.integers(0, 3, 20)
    labels[[5, 9]] = -1
    kept = np.setdiff1d(np.arange(20), [3, 5, 9])
    assert modularity(A, labels) == pytest.approx(modularity(A[np.ix_(kept, kept)], labels[kept]), abs=1e-14)
    assert abs(modularity(A, labels) - modularity(A, np.maximum(labels, 0))) > 1e-4


def test_transfer_of_shuffled_labels_is_the_stated_mean():
    A = random_graph(np.random.default_rng(13), 7)
    labels = np.array([0, 0, 0, 1, 1, 2, 2])
    mean = np.mean([modularity(A, np.array(order)) for order in set(itertools.permutations(labels.tolist()))])
    degree, size = A.sum(axis=0) / A.sum(), np.array([3, 2, 2]) / 7
    assert mean == pytest.approx(-(degree**2).sum() * 7 * (1 - (size**2).sum()) / 6, abs=1e-14)


def test_transfers_are_the_single_ones():
    generator = np.random.default_rng(14)
    A = np.stack([random_graph(generator, 12) for _ in range(3)])
    A[1, :4] = A[1, :, :4] = 0
    A[2] = 0
    labels = generator.integers(-1, 4, (5, 12))
    labels[4] = -1
    labels[3] = labels[3].clip(-1) * 10**10
    labels[3][labels[3] < 0] = -1
    many = transfers(A, labels)
    single = [[modularity(a, label) for label in labels] for a in A]
    np.testing.assert_allclose(many, single, atol=1e-14)
    assert np.isnan(many).sum() == 3 + 4
    with pytest.raises(ValueError, match=r"same units, got \(3, 12, 12\) and \(5, 11\)"):
        transfers(A, labels[:, :11])
    A[1, 5, 5] = 1
    with pytest.raises(ValueError, match=r"A\[1\] must have a zero diagonal"):
        transfers(A, labels)


def test_pairs_are_compared_so_many_at_once_that_their_tables_fit(monkeypatch):
    """2²⁰ cells: with four modules a table has sixteen."""
    seen, tables = [], comparison.contingency_tables

    def watched(a, b, n_module):
        seen.append((len(a), n_module))
        return tables(a, b, n_module)

    monkeypatch.setattr(comparison, "contingency_tables", watched)
    agreement_pairs(np.array([[0, 1, 2, 3]]), np.zeros((2**16 + 5, 2), dtype=int))
    assert seen == [(2**16, 4), (5, 4)]
    seen.clear()
    monkeypatch.setattr(comparison, "CELLS_AT_ONCE", 3)  # less than one table: one at a time all the same
    agreement_pairs(np.array([[0, 0, 1]]), np.zeros((2, 2), dtype=int))
    assert seen == [(1, 2), (1, 2)]


def test_three_common_units_are_enough_for_a_rank_correlation():
    A = np.array([[0.0, 1, 2], [1, 0, 3], [2, 3, 0]])
    assert rank_correlation(A, A) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"^S_a must be"):
        rank_correlation(A[:2], A[:2])


def test_errors_of_transfers_and_rank_correlations_name_what_is_wrong_exactly():
    A = random_graph(np.random.default_rng(19), 4)
    crooked = A + np.triu(np.ones((4, 4)), k=1)
    with pytest.raises(ValueError, match=r"^labels must"):
        transfers(A[None], np.full((1, 4), -2))
    with pytest.raises(ValueError, match=r"^labels must"):
        agreement_pairs(np.full((1, 4), -2), [[0, 0]])
    with pytest.raises(ValueError, match=r"^labels_b must"):
        agreement(np.zeros(4, int), np.full(4, -2))
    with pytest.raises(ValueError, match=r"^labels_a must"):
        agreement(np.full(4, -2), np.zeros(4, int))
    for wrong, said in ((crooked, "symmetric"), (A * np.nan, "finite")):
        with pytest.raises(ValueError, match=rf"^S_a must be {said}"):
            rank_correlation(wrong, A)
        with pytest.raises(ValueError, match=rf"^S_b must be {said}"):
            rank_correlation(A, wrong)
    with pytest.raises(ValueError, match=r"^S\[1\] must be symmetric"):
        rank_correlations(np.stack([A, crooked]))


# ---------------------------------------------------------------- rank correlation


def similarity(generator, n_unit, dead=()):
    S = (8 * generator.standard_normal((n_unit, n_unit))).round()  # whole numbers, so that there are ties
    S = S + S.T
    S[list(dead)] = S[:, list(dead)] = 0
    return S


def test_rank_correlation_is_spearman_over_common_pairs():
    generator = np.random.default_rng(15)
    S = np.stack([similarity(generator, 15, dead) for dead in ([], [], [2, 7], [2, 7], [0, 7, 11])])
    S[1] += S[0]
    S[3] += 2 * S[2]
    found = rank_correlations(S)
    for i, j in itertools.product(range(5), repeat=2):
        kept = np.flatnonzero((np.abs(S[i]).sum(0) > 0) & (np.abs(S[j]).sum(0) > 0))
        upper = np.triu_indices(len(kept), k=1)
        expected = spearmanr(S[i][np.ix_(kept, kept)][upper], S[j][np.ix_(kept, kept)][upper]).statistic
        assert found[i, j] == pytest.approx(expected, abs=1e-12)
        assert rank_correlation(torch.tensor(S[i]), S[j]) == pytest.approx(expected, abs=1e-12)
    assert found[0, 1] > 0.4
    assert abs(found[0, 2]) < 0.4


def test_rank_correlation_sees_order_only():
    generator = np.random.default_rng(16)
    a, b = similarity(generator, 12), similarity(generator, 12)
    value = rank_correlation(a, b)
    order = generator.permutation(12)
    off = 1 - np.eye(12)
    assert rank_correlation(np.exp(a / 9), b) == pytest.approx(value, abs=1e-13)
    assert rank_correlation(a + 5 * np.eye(12), b - 3 * np.eye(12)) == pytest.approx(value, abs=1e-13)
    assert rank_correlation(a[np.ix_(order, order)], b[np.ix_(order, order)]) == pytest.approx(
        value, abs=1e-13
    )
    assert rank_correlation(a, np.exp(a / 9)) == pytest.approx(1, abs=1e-13)
    assert rank_correlation(a, 9 * off - a) == pytest.approx(-1, abs=1e-13)
    assert rank_correlation(a, a[np.ix_(order, order)]) < 0.5
    assert abs(rank_correlation(np.abs(a), b) - value) > 0.01


def test_rank_correlation_of_too_little_is_nan():
    a, flat = similarity(np.random.default_rng(17), 6), 1 - np.eye(6)
    assert np.isnan(rank_correlation(a, flat))
    assert np.isnan(rank_correlation(a, np.zeros((6, 6))))
    two = np.zeros((6, 6))
    two[0, 1] = two[1, 0] = 1
    assert np.isnan(rank_correlation(a, two))
    together = rank_correlations(np.stack([a, flat, two]))
    assert together[0, 0] == pytest.approx(1, abs=1e-14)
    assert np.isnan(together).sum() == 8


def test_wrong_similarities_are_refused():
    with pytest.raises(ValueError, match=r"same shape, got \(3, 3\) and \(4, 4\)"):
        rank_correlation(np.eye(3), np.eye(4))
    with pytest.raises(ValueError, match=r"\(matrix, unit, unit\), got \(3, 3\)"):
        rank_correlations(np.eye(3))
    with pytest.raises(ValueError, match="finite, got 1"):
        rank_correlation(np.eye(3), np.diag([np.nan, 0, 0]))


def test_examples_in_docstrings():
    assert doctest.testmod(comparison).failed == 0
    assert doctest.testmod(comparison).attempted > 2
