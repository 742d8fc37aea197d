"""Networks beside rotations of their own layers."""

import numpy as np
import pytest
import torch

from modlib.networks import MLPStack
from modlib.paper.simulations import rotations
from modlib.paper.simulations.rotations import beside_rotations


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
