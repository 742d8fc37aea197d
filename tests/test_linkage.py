"""Average linkage against merging by hand, and what must not change it."""

import doctest

import numpy as np
import pytest

from modlib import linkage
from modlib.clustering import canonical_labels, modularity
from modlib.comparison import agreement
from modlib.linkage import merge_by_average
from modlib.planted import planted_graph


def noise(seed, n_unit):
    A = np.triu(np.random.default_rng(seed).random((n_unit, n_unit)), 1)
    return A + A.T


def merged_by_hand(A, n_modules):
    modules = [[i] for i in range(len(A))]
    while len(modules) > n_modules:
        mean = {
            (a, b): A[np.ix_(modules[a], modules[b])].mean()
            for a in range(len(modules))
            for b in range(a + 1, len(modules))
        }
        a, b = max(mean, key=mean.get)
        modules[a] += modules.pop(b)
    labels = np.zeros(len(A), dtype=np.int64)
    for number, members in enumerate(modules):
        labels[members] = number
    return labels


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_modules", [1, 2, 4, 9])
def test_the_two_modules_with_the_largest_mean_weight_between_them_are_merged(seed, n_modules):
    A = noise(seed, 20)
    part = merge_by_average(A, n_modules)
    assert part.labels.tolist() == canonical_labels(merged_by_hand(A, n_modules)).tolist()
    assert part.q == modularity(A, part.labels)


def test_planted_modules_are_found_in_any_order():
    A, labels = planted_graph((6, 5, 5, 4), noise=0.5)
    order = np.random.default_rng(0).permutation(20)
    assert agreement(merge_by_average(A[np.ix_(order, order)], 4).labels, labels[order])["ecs"] == 1


def test_scale_shift_and_dead_units_change_nothing():
    A = noise(5, 20)
    part = merge_by_average(A, 4)
    assert merge_by_average(1e-9 * A, 4).labels.tolist() == part.labels.tolist()
    assert merge_by_average(A + 3 * (1 - np.eye(20)), 4).labels.tolist() == part.labels.tolist()
    padded = np.insert(np.insert(A, [0, 7], 0, axis=0), [0, 7], 0, axis=1)
    assert merge_by_average(padded, 4).labels.tolist() == np.insert(part.labels, [0, 7], -1).tolist()


def test_few_units_and_none():
    assert merge_by_average(1 - np.eye(3), 4).labels.tolist() == [0, 1, 2]
    assert np.isnan(merge_by_average(np.zeros((3, 3)), 4).q)


def test_examples_in_docstrings():
    assert doctest.testmod(linkage).failed == 0
    assert doctest.testmod(linkage).attempted >= 2
