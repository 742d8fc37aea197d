"""Draws keep what the null says and lose the rest; tests count as they should."""

import doctest

import numpy as np
import pytest
import torch
from scipy.stats import special_ortho_group

from modlib import nulls
from modlib.clustering import find_modules
from modlib.measures import adjacency
from modlib.networks import MLPStack
from modlib.nulls import (
    NullTest,
    null_test,
    permute_weights,
    random_associations,
    random_graphs,
    rotate_units,
    rotated_graphs,
)


def layer(dimensions, *, units=40, common=0.5, seed=0):
    """Correlations of random vectors, whose mean and variance are those of some layer."""
    rng = np.random.default_rng(seed)
    vectors = common + rng.standard_normal((units, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def with_moments(mean, variance, units=40):
    """Symmetric matrix with 1 on the diagonal and exactly this mean and variance off it."""
    values = np.random.default_rng(0).standard_normal(units * (units - 1) // 2)
    values = mean + np.sqrt(variance) * (values - values.mean()) / values.std()
    R = np.zeros((units, units))
    R[np.triu_indices(units, 1)] = values
    return R + R.T + np.eye(units)


def off_diagonal(R):
    return R[np.triu_indices(len(R), 1)]


def best_q(R):
    A = np.abs(R)
    np.fill_diagonal(A, 0)
    return find_modules(A).q


def draws(R, n, seed=1):
    rng = np.random.default_rng(seed)
    return [random_associations(R, rng) for _ in range(n)]


# ---------------------------------------------------------------- permuted weights


@pytest.fixture
def stack():
    return MLPStack.initialise([9, 8, 7, 3], seeds=[0, 1, 2])


def permuted(stack, seed=0):
    return permute_weights(stack, torch.Generator().manual_seed(seed))


def test_permuting_keeps_each_layers_weights_and_all_biases(stack):
    found = permuted(stack)
    for before, after in zip(stack.weights, found.weights, strict=True):
        assert after.shape == before.shape
        assert torch.equal(after.flatten(1).sort(1).values, before.flatten(1).sort(1).values)
        assert (after != before).double().mean() > 0.9
    for before, after in zip(stack.biases, found.biases, strict=True):
        assert torch.equal(after, before)


def test_permuting_leaves_what_it_was_given_alone(stack):
    copies = [w.clone() for w in stack.weights]
    permuted(stack)
    assert all(torch.equal(a, b) for a, b in zip(stack.weights, copies, strict=True))


def test_each_network_has_its_own_permutation():
    """Networks with the same weights, all different numbers: where a number went shows the permutation."""
    one = MLPStack.initialise([9, 8, 7, 3], seeds=[0])
    stack = MLPStack([w.repeat(3, 1, 1) for w in one.weights], [b.repeat(3, 1) for b in one.biases])
    for w in permuted(stack).weights:
        assert not torch.equal(w[0], w[1])
        assert not torch.equal(w[1], w[2])


def test_permutations_are_those_of_the_generator_and_go_on(stack):
    generator = torch.Generator().manual_seed(0)
    first, second = permute_weights(stack, generator), permute_weights(stack, generator)
    assert torch.equal(first.weights[0], permuted(stack).weights[0])
    assert not torch.equal(first.weights[0], second.weights[0])


def test_every_place_is_as_likely_for_a_weight():
    one = torch.zeros(2000, 2, 3)
    one[:, 0, 0] = 1
    stack = MLPStack([one], [torch.zeros(2000, 3)])
    share = permuted(stack).weights[0].mean(0)
    assert (share - 1 / 6).abs().max() < 4 * np.sqrt(1 / 6 * 5 / 6 / 2000)


# ---------------------------------------------------------------- random associations


def test_a_draw_is_a_matrix_of_correlations():
    for R in draws(layer(10), 5):
        np.testing.assert_allclose(np.diagonal(R), 1)
        np.testing.assert_array_equal(R, R.T)
        assert np.linalg.eigvalsh(R).min() > -1e-10
        assert np.abs(R).max() <= 1 + 1e-12


def test_shuffled_entries_are_no_correlations():
    """The negative control: what a null without transitivity would draw."""
    R = layer(10)
    values = np.random.default_rng(0).permutation(off_diagonal(R))
    shuffled = np.eye(len(R))
    shuffled[np.triu_indices(len(R), 1)] = values
    shuffled = shuffled + np.triu(shuffled, 1).T
    assert np.linalg.eigvalsh(shuffled).min() < -0.5
    assert best_q(shuffled) < min(best_q(A) for A in draws(R, 5))


def agreement_of_triples(R):
    """Mean of R_ij R_jk R_ki over triples of units: positive where association is transitive."""
    signed = R - off_diagonal(R).mean()
    np.fill_diagonal(signed, 0)
    return np.trace(signed @ signed @ signed)


def test_draws_are_transitive_and_shuffled_entries_are_not():
    R = layer(8, common=0.0)
    found = [agreement_of_triples(A) for A in draws(R, 20)]
    rng = np.random.default_rng(0)
    control = []
    for _ in range(20):
        upper = np.zeros_like(R)
        upper[np.triu_indices(len(R), 1)] = rng.permutation(off_diagonal(R))
        control.append(agreement_of_triples(upper + upper.T))
    assert min(found) > max(control)
    assert min(found) > 0
    assert abs(np.mean(control)) < 0.2 * np.mean(found)


def shortfall(mean):
    """Variance of the cosines of μ + σ z, relative to that of their inner products, for many dimensions.

    By the delta method: r = c − e (|x|² + |y|² − 2) / 2 to first order, with e the mean. Exact where e = 0.
    """
    return (1 - mean) ** 2 * (1 + 2 * mean - mean**2) / (1 - mean**2)


@pytest.mark.parametrize(
    ("mean", "variance"),
    [(0.0, 1 / 2.5), (0.0, 1 / 4.4), (0.2, 0.1), (0.3, 0.02), (0.1, 0.01), (0.0, 0.02), (0.6, 0.03)],
)
def test_mean_and_variance_are_kept_on_average(mean, variance):
    """The variance is that of inner products: correlations keep it where the mean is near zero."""
    found = [off_diagonal(R) for R in draws(with_moments(mean, variance), 300)]
    means, variances = (np.array([moment(x) for x in found]) for moment in (np.mean, np.var))
    noise = [4 * x.std() / np.sqrt(len(x)) for x in (means, variances)]
    assert abs(means.mean() - mean) < noise[0] + variance * mean / 2
    assert abs(variances.mean() - variance * shortfall(mean)) < noise[1] + 0.03 * variance
    if mean >= 0.3:
        assert abs(variances.mean() - variance) > noise[1]


def test_dimensions_between_two_whole_numbers_are_met_on_average():
    """With m = 2.5 always rounded down, the variance would be 1/2, not 0.4."""
    found = [off_diagonal(R).var() for R in draws(with_moments(0.0, 0.4), 400)]
    ranks = {np.linalg.matrix_rank(R, tol=1e-8) for R in draws(with_moments(0.0, 0.4), 40)}
    assert ranks == {2, 3}
    assert np.mean(found) == pytest.approx(0.4, abs=0.015)


def test_more_variance_than_one_dimension_has_is_one_dimension():
    R = draws(with_moments(0.0, 4.0), 1)[0]
    np.testing.assert_allclose(np.abs(R), 1)


def test_associations_all_alike_stay_nearly_alike(as_a_user):
    R = np.full((30, 30), 0.4)
    np.fill_diagonal(R, 1)
    np.testing.assert_allclose(off_diagonal(draws(R, 1)[0]), 0.4, atol=0.06)


def test_dead_units_stay_dead_and_do_not_count():
    alive = layer(10, units=12)
    R = np.zeros((15, 15))
    place = np.array([0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 14])
    R[np.ix_(place, place)] = alive
    found, control = draws(R, 1)[0], draws(alive, 1)[0]
    dead = [2, 7, 13]
    assert not found[dead].any()
    assert not found[:, dead].any()
    np.testing.assert_array_equal(found[np.ix_(place, place)], control)


def test_fewer_than_three_living_units_have_no_pattern_to_draw():
    R = np.zeros((4, 4))
    R[:2, :2] = [[1, 0.5], [0.5, 1]]
    assert not draws(R, 1)[0].any()


def test_draws_do_not_depend_on_the_order_of_units():
    R = layer(10)
    order = np.random.default_rng(3).permutation(len(R))
    np.testing.assert_allclose(draws(R[np.ix_(order, order)], 1)[0], draws(R, 1)[0], atol=1e-9)


def test_draws_differ_and_are_those_of_the_generator():
    first, second = draws(layer(10), 2)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, draws(layer(10), 1)[0])


@pytest.mark.parametrize("shape", [(3, 4), (3,)])
def test_associations_must_be_square(shape, as_a_user):
    with pytest.raises(ValueError, match=r"R must be a square \(unit, unit\) matrix, got shape \(3,"):
        random_associations(np.ones(shape), np.random.default_rng(0))


# ---------------------------------------------------------------- random graphs


def test_graphs_keep_the_sizes_of_units():
    rng = np.random.default_rng(0)
    size = np.exp(rng.standard_normal(40))
    S = layer(10) * np.outer(size, size)
    raw, normalised = random_graphs(S, np.random.default_rng(5))
    np.testing.assert_allclose(raw, normalised * np.outer(size, size), rtol=1e-12)
    for A in (raw, normalised):
        assert not np.diagonal(A).any()
        assert (A >= 0).all()
    # They are what the adjacency of a draw with S's diagonal would be.
    R = random_associations(layer(10), np.random.default_rng(5))
    drawn = torch.as_tensor(R * np.outer(size, size))
    np.testing.assert_allclose(raw, adjacency(drawn).numpy(), atol=1e-9)
    np.testing.assert_allclose(normalised, adjacency(drawn, normalized=True).numpy(), atol=1e-9)


def test_the_scale_of_a_unit_is_no_matter_of_its_pattern():
    S = layer(10)
    scaled = S * np.outer(*[np.linspace(0.1, 10, len(S))] * 2)
    _, a = random_graphs(S, np.random.default_rng(0))
    raw, b = random_graphs(scaled, np.random.default_rng(0))
    np.testing.assert_allclose(a, b, atol=1e-9)
    assert not np.allclose(raw, a)


@pytest.mark.parametrize("shrunk", [0.0, 1e-17])
def test_dead_units_have_no_edges(shrunk):
    """As in the graphs of `adjacency`, a unit is dead whose similarities are next to nothing."""
    S = layer(10)
    S[4] *= shrunk
    S[:, 4] *= shrunk
    raw, normalised = random_graphs(S, np.random.default_rng(0))
    assert not adjacency(torch.from_numpy(S), normalized=True)[4].any()
    assert not raw[4].any()
    assert not normalised[4].any()
    assert np.count_nonzero(~raw.any(0)) == 1


# ---------------------------------------------------------------- rotations


def with_spectrum(decay, *, common=0.4, units=32):
    rng = np.random.default_rng(0)
    vectors = (common + rng.standard_normal((units, units))) * np.arange(1, units + 1) ** (-decay / 2)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def blocks(units=32):
    group = np.repeat(np.arange(4), units // 4)
    R = np.where(group[:, None] == group, 0.7, 0.1)
    np.fill_diagonal(R, 1)
    return R


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
def test_rotations_keep_spectrum_and_mean_but_for_the_normalisation(decay):
    R = with_spectrum(decay)
    rng = np.random.default_rng(1)
    drawn = [rotate_units(R, rng) for _ in range(30)]
    for found in drawn:
        np.testing.assert_allclose(np.diagonal(found), 1)
        np.testing.assert_allclose(found, found.T)
        assert np.linalg.eigvalsh(found).min() > -1e-10
    own = np.linalg.eigvalsh(R)[::-1]
    mean = np.mean([np.linalg.eigvalsh(found)[::-1] for found in drawn], axis=0)
    # Normalising again evens a steep spectrum out a little.
    np.testing.assert_allclose(mean[:5], own[:5], rtol=0.15 if decay < 2 else 0.25)
    assert mean.std() == pytest.approx(own.std(), rel=0.1 if decay < 2 else 0.25)
    means = [found.mean() for found in drawn]
    assert np.mean(means) == pytest.approx(R.mean(), abs=0.02)


@pytest.mark.parametrize("units", [3, 4, 20, 64])
def test_rotations_are_drawn_as_scipy_draws_them(units, monkeypatch):
    R = np.corrcoef(np.random.default_rng(0).standard_normal((units, 2 * units)))
    drawn = [rotate_units(R, np.random.default_rng(seed)) for seed in range(5)]
    monkeypatch.setattr(nulls, "_rotation", lambda n, rng: special_ortho_group.rvs(n, random_state=rng))
    for seed, found in enumerate(drawn):
        np.testing.assert_array_equal(found, rotate_units(R, np.random.default_rng(seed)))


@pytest.mark.parametrize("dimensions", [3, 10])
def test_rotations_have_as_few_dimensions(dimensions):
    """Gradients of ten classes span ten dimensions, whatever the number of units; so do their rotations."""
    found = rotate_units(layer(dimensions), np.random.default_rng(0))
    assert np.linalg.matrix_rank(found, tol=1e-9) == dimensions


def test_rotations_leave_a_layer_whose_units_are_all_alike():
    """Only what all units share is left alone, and here that is all there is."""
    R = np.full((8, 8), 0.3) + 0.7 * np.eye(8)
    np.testing.assert_allclose(rotate_units(R, np.random.default_rng(0)), R, atol=1e-12)


def test_rotations_lose_modules():
    R = blocks()
    rng = np.random.default_rng(0)
    assert best_q(R) > 0.25
    assert max(best_q(rotate_units(R, rng)) for _ in range(10)) < best_q(R) - 0.08


def test_every_rotation_is_another_and_the_generators():
    R = with_spectrum(1.0)
    rng = np.random.default_rng(0)
    first, second = rotate_units(R, rng), rotate_units(R, rng)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, rotate_units(R, np.random.default_rng(0)))


def test_dead_units_are_not_rotated_into_others():
    R = layer(10)
    R[[4, 7]] = R[:, [4, 7]] = 0
    found = rotate_units(R, np.random.default_rng(0))
    assert np.flatnonzero(~found.any(0)).tolist() == [4, 7]
    alive = np.delete(np.delete(R, [4, 7], 0), [4, 7], 1)
    of_alive = rotate_units(alive, np.random.default_rng(0))
    np.testing.assert_array_equal(np.delete(np.delete(found, [4, 7], 0), [4, 7], 1), of_alive)
    R[2:] = R[:, 2:] = 0
    assert not rotate_units(R, np.random.default_rng(0)).any()  # two units have no pattern to lose


def test_what_is_no_similarity_cannot_be_rotated():
    R = np.eye(3)
    R[0, 1] = R[1, 0] = 1.1
    with pytest.raises(ValueError, match="R must be similarities, positive semidefinite"):
        rotate_units(R, np.random.default_rng(0))


def test_rotated_graphs_keep_the_sizes_of_units():
    size = np.linspace(0.1, 10, 40)
    raw, normalised = rotated_graphs(layer(10) * np.outer(size, size), np.random.default_rng(5))
    R = np.abs(rotate_units(layer(10), np.random.default_rng(5)))
    np.fill_diagonal(R, 0)
    np.testing.assert_allclose(normalised, R, atol=1e-9)
    np.testing.assert_allclose(raw, R * np.outer(size, size), atol=1e-7)


# ---------------------------------------------------------------- the test


def test_counts_are_exact_and_ties_count_against_the_value():
    values = [1.0, 2.0, 3.0, 4.0]
    for value, reached in [(0.5, 4), (1.0, 4), (2.5, 2), (4.0, 1), (5.0, 0)]:
        assert null_test(value, values).p == (1 + reached) / 5
    found = null_test(5.0, values)
    assert (found.mean, found.sd) == pytest.approx((2.5, np.std(values, ddof=1)))
    assert found.z == pytest.approx(2.5 / np.std(values, ddof=1))


def test_one_more_of_the_same_is_uniform():
    """Of 20 exchangeable numbers each is the highest equally often: p ≤ .05 in exactly 1 of 20."""
    values = np.random.default_rng(0).standard_normal(20)
    p = [null_test(float(values[i]), np.delete(values, i)).p for i in range(20)]
    assert sorted(p) == pytest.approx(np.arange(1, 21) / 20)


def test_draws_without_edges_do_not_count():
    assert null_test(2.5, [1.0, np.nan, 2.0, 3.0, np.inf]) == null_test(2.5, [1.0, 2.0, 3.0])


def test_a_network_without_edges_has_no_p():
    found = null_test(np.nan, [1.0, 2.0, 3.0])
    assert (found.mean, found.sd) == (2.0, 1.0)
    assert np.isnan([found.z, found.p]).all()


def test_draws_that_do_not_vary_have_no_z_but_a_p():
    found = null_test(2.0, [1.0, 1.0, 1.0])
    assert np.isnan(found.z)
    assert found.p == 0.25
    assert isinstance(found, NullTest)


@pytest.mark.parametrize("value", [0.5 - 2e-16, 0.5, 0.5 + 2e-16])
def test_the_last_bit_decides_nothing(value):
    """Two living units make one graph, whose Q differs from draw to draw by rounding alone."""
    found = null_test(value, [0.5, 0.5 + 1e-16, 0.5 - 1e-16, 0.5 + 2e-16])
    assert np.isnan(found.z)
    assert found.p == 1
    assert null_test(value + 1e-9, [0.5, 0.5, 0.5, 0.5]).p == 1 / 5


@pytest.mark.parametrize("values", [[], [1.0]])
def test_too_few_draws_are_refused(values):
    with pytest.raises(ValueError, match=f"draws must be two or more, got {len(values)}"):
        null_test(1.0, values)


@pytest.mark.parametrize("values", [[np.nan, np.nan], [1.0, np.nan]])
def test_fewer_than_two_draws_with_edges_test_nothing(values):
    found = null_test(1.0, values)
    assert np.isnan([found.mean, found.sd, found.z, found.p]).all()


def test_examples_in_docstrings():
    assert doctest.testmod(nulls).failed == 0
    assert doctest.testmod(nulls).attempted == 1
