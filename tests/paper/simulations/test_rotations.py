"""Rotations keep the spectrum of a layer and lose its modules."""

import numpy as np
import pytest
import torch

from modlib.clustering import find_modules
from modlib.networks import MLPStack
from modlib.paper.simulations import rotations
from modlib.paper.simulations.rotations import beside_rotations, rotated

UNITS = 32


def with_spectrum(decay, *, common=0.4, seed=0):
    rng = np.random.default_rng(seed)
    scale = np.arange(1, UNITS + 1) ** (-decay / 2)
    vectors = (common + rng.standard_normal((UNITS, UNITS))) * scale
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def blocks():
    group = np.repeat(np.arange(4), UNITS // 4)
    R = np.where(group[:, None] == group, 0.7, 0.1)
    np.fill_diagonal(R, 1)
    return R


def best_q(R):
    A = np.abs(R)
    np.fill_diagonal(A, 0)
    return find_modules(A, restarts=3).q


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
def test_spectrum_and_mean_stay_but_for_the_normalisation(decay):
    R = with_spectrum(decay)
    rng = np.random.default_rng(1)
    drawn = [rotated(R, rng) for _ in range(30)]
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


def test_a_layer_whose_units_are_all_alike_stays_as_it_is():
    """Only what all units share is left alone, and here that is all there is."""
    R = np.full((8, 8), 0.3) + 0.7 * np.eye(8)
    np.testing.assert_allclose(rotated(R, np.random.default_rng(0)), R, atol=1e-12)


def test_modules_are_lost():
    R = blocks()
    rng = np.random.default_rng(0)
    assert best_q(R) > 0.25
    assert max(best_q(rotated(R, rng)) for _ in range(10)) < best_q(R) - 0.08


def test_every_draw_is_another_and_the_generators():
    R = with_spectrum(1.0)
    rng = np.random.default_rng(0)
    first, second = rotated(R, rng), rotated(R, rng)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, rotated(R, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("R", "message"),
    [
        (np.ones((2, 3)), r"square \(unit, unit\) matrix, got shape \(2, 3\)"),
        (np.eye(2), "3 units or more"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), "must have no dead unit, got 1"),
    ],
)
def test_errors_name_the_argument(R, message):
    with pytest.raises(ValueError, match=message):
        rotated(R, np.random.default_rng(0))


def test_rows_of_a_network_tell_planted_modules_from_its_spectrum():
    """Units that read one of four groups of inputs: upstream modules that rotations do not have."""
    group = np.kron(np.eye(4), np.ones((3, 8)))
    rng = np.random.default_rng(0)
    w = group * (1 + 0.2 * rng.standard_normal(group.shape)) + 0.1 * rng.standard_normal(group.shape)
    w = np.column_stack([w, np.zeros(12)])  # a unit that nothing activates
    bias = np.append(np.zeros(32), -1.0)
    out = rng.standard_normal((33, 5))
    stack = MLPStack.from_arrays([w[None], out[None]], [bias[None], np.zeros((1, 5))])
    x = torch.randn(300, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    table = beside_rotations(stack, x, "planted", draws=19)
    assert list(table.columns) == list(rotations.read().columns)
    assert table.measure.tolist() == ["input_cov", "input_grad", "output_grad", "output_hess"]
    assert table.units.tolist() == [32, 32, 33, 33]
    upstream = table[table.units == 32]
    assert (upstream.rotated_p == 0.05).all()
    assert (upstream.q > upstream.rotated_mean + 5 * upstream.rotated_sd).all()
    assert table["size"].between(0, 1).all()
    again = beside_rotations(stack, x, "planted", draws=19)
    assert again.equals(table)


def test_more_than_one_network_is_refused():
    stack = MLPStack.initialise([4, 5, 3], seeds=[0, 1])
    with pytest.raises(ValueError, match="stack must hold one network, got 2"):
        beside_rotations(stack, torch.zeros(3, 4), "two")


def test_the_stored_table_is_about_every_layer_and_measure():
    table = rotations.read()
    assert (table.groupby("network").size() == 8).all()
    assert table["size"].between(0, 1).all()
    assert (table.rotated_p >= 1 / (table.draws + 1) - 1e-9).all()
