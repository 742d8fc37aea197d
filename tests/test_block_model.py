"""The weighted block model: planted blocks of every kind, its likelihood, and what must not change it."""

import doctest

import numpy as np
import pytest
from scipy import stats

from modlib import block_model
from modlib.block_model import find_blocks
from modlib.clustering import find_modules, modularity
from modlib.comparison import agreement

MEANS = {
    "modules": 1 + np.eye(4),
    "groups that avoid each other's like": 2 - np.eye(4),
    "a core and what is ever further from it": 1 + np.add.outer(np.arange(4), np.arange(4)) / 2,
}


def blocks(means, *, sd=0.4, size=14, seed=0):
    labels = np.repeat(np.arange(len(means)), size)
    rng = np.random.default_rng(seed)
    W = np.triu(np.abs(means[labels][:, labels] + sd * rng.standard_normal((len(labels),) * 2)), 1)
    return W + W.T, labels


@pytest.mark.parametrize("kind", MEANS)
@pytest.mark.parametrize("seed", range(3))
def test_planted_blocks_are_found_in_any_order(kind, seed):
    A, labels = blocks(MEANS[kind], seed=seed)
    order = np.random.default_rng(seed).permutation(len(A))
    part = find_blocks(A[np.ix_(order, order)], 4)
    assert agreement(part.labels, labels[order])["ecs"] == 1
    assert part.n_modules == 4
    assert part.q == pytest.approx(modularity(A, labels), abs=1e-12)


def test_blocks_that_are_no_modules_are_out_of_reach_of_modularity():
    A, labels = blocks(MEANS["groups that avoid each other's like"])
    assert find_blocks(A, 4).q < -0.05
    assert agreement(find_modules(A).labels, labels)["ami"] < 0.3


def test_blocks_may_differ_in_variance_alone():
    labels = np.repeat([0, 1], 20)
    rng = np.random.default_rng(0)
    sd = np.where(labels[:, None] == labels, 0.5, 0.05)
    W = np.triu(np.abs(2 + sd * rng.standard_normal(sd.shape)), 1)
    assert agreement(find_blocks(W + W.T, 2).labels, labels)["ecs"] == 1


def test_no_single_move_of_a_unit_is_likelier_by_much():
    """Against the likelihood by SciPy, of the blocks found and of all that differ from them in one unit."""
    A, _ = blocks(MEANS["modules"], sd=0.9, size=8)
    upper = np.triu_indices(len(A), 1)

    def likelihood(labels):
        total = 0.0
        for r in range(4):
            for s in range(r, 4):
                pair = np.sort(np.stack([labels[upper[0]], labels[upper[1]]]), axis=0)
                w = A[upper][(pair[0] == r) & (pair[1] == s)]
                if len(w) > 1:
                    total += stats.norm.logpdf(w, w.mean(), w.std()).sum()
        return total

    found = find_blocks(A, 4, restarts=40).labels
    own = likelihood(found)
    for unit in range(len(A)):
        for block in range(4):
            moved = found.copy()
            moved[unit] = block
            assert likelihood(moved) < own + 3  # theirs has neither sizes of blocks nor a prior
    assert own > max(likelihood(np.random.default_rng(i).permutation(found)) for i in range(20)) + 20


def test_more_restarts_are_never_less_likely():
    A, _ = blocks(MEANS["modules"], sd=1.2)
    model = block_model._BlockModel(A, 4)  # noqa: SLF001
    reached = []
    for copies in (1, 10, 40):
        runs = model.fitted(copies, np.random.default_rng(0)).argmax(axis=2)
        reached.append(model.likelihood((runs[:, :, None] == np.arange(4)).astype(float)).max())
    assert reached[0] < reached[2]
    assert reached[1] <= reached[2] + 1


def test_scale_and_dead_units_change_nothing_and_the_seed_decides():
    A, _ = blocks(MEANS["modules"], sd=1.0)
    part = find_blocks(A, 4)
    assert find_blocks(A * 2.0**-40, 4).labels.tolist() == part.labels.tolist()
    where = np.array([0, 9, 56])
    padded = np.insert(np.insert(A, where, 0, axis=0), where, 0, axis=1)
    assert find_blocks(padded, 4).labels.tolist() == np.insert(part.labels, where, -1).tolist()
    assert find_blocks(A, 4).labels.tolist() == part.labels.tolist()
    noise = np.triu(np.random.default_rng(0).random((30, 30)), 1)
    drawn = {find_blocks(noise + noise.T, 4, restarts=1, seed=seed).labels.tobytes() for seed in range(5)}
    assert len(drawn) > 1


def test_equal_weights_few_units_and_none():
    assert find_blocks(1 - np.eye(6), 3).n_modules == 1
    pair = find_blocks(np.array([[0, 1], [1, 0.0]]), 4)
    assert pair.n_modules <= 2
    assert np.isfinite(pair.q)
    none = find_blocks(np.zeros((3, 3)), 4)
    assert none.labels.tolist() == [-1] * 3
    assert np.isnan(none.q)


def test_examples_in_docstrings():
    assert doctest.testmod(block_model).failed == 0
    assert doctest.testmod(block_model).attempted >= 3
