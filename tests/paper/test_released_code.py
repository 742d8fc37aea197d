"""Quirks of the released code: they show where they must, and nowhere else."""

import authors
import numpy as np
import pandas as pd
import pytest
import torch

from modlib.comparison import agreement_pairs
from modlib.networks import MLPStack
from modlib.paper import released_code
from modlib.study.rows import analyse
from modlib.study.store import Results

INPUTS = 12
N_SAMPLES = 300


@pytest.fixture(scope="module")
def x():
    return torch.rand(N_SAMPLES, INPUTS, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def y():
    return torch.randint(0, 10, (N_SAMPLES,), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def networks():
    stack = MLPStack.initialise([INPUTS, 16, 16, 10], seeds=[0, 1])
    return {"one": stack[0], "other": stack[1]}


def changed(stack, layer, *, weights=None, bias=None, out=None, unit=0):
    """Copy a stack of one with a unit's incoming weights scaled, its bias set or its outgoing weights set."""
    parts = [[t.clone() for t in kind] for kind in (stack.weights, stack.biases)]
    if weights is not None:
        parts[0][layer][..., unit] *= weights
    if bias is not None:
        parts[1][layer][..., unit] = bias
    if out is not None:
        parts[0][layer + 1][:, unit] = out
    return MLPStack.from_arrays(*([t.numpy() for t in kind] for kind in parts))


# --- covariances


def test_single_precision_is_enough_for_ordinary_units(networks, x):
    table = released_code.covariances(networks, x)
    assert len(table) == 4
    assert (table[["lost", "poor", "always_on"]] == 0).all(axis=None)
    assert table.largest_error.between(1e-9, 1e-4).all()
    assert (table.q_change.abs() < 1e-4).all()


@pytest.mark.parametrize(("spread", "poor"), [(1.0, False), (1e-5, True)])
def test_a_unit_that_hardly_varies_loses_its_variance(networks, x, spread, poor):
    """Its mean of 10 is there either way: what matters is its spread beside it."""
    nearly_constant = changed(networks["one"], 0, weights=spread, bias=10.0)
    table = released_code.covariances({"one": nearly_constant}, x).set_index("layer")
    assert table.poor[1] == poor
    assert table.always_on[1] == poor
    assert (table.largest_error[1] > 0.1) == poor
    assert table.units[1] == released_code.covariances(networks, x).units[0]


def test_a_unit_that_is_rarely_active_keeps_its_variance(networks, x):
    """It is not small activity that loses digits."""
    with torch.no_grad():
        before = (x @ networks["one"].weights[0][0])[:, 0]
    rare = changed(networks["one"], 0, bias=float(-before.sort().values[-3]))
    active = (rare(x)[0][0][0][:, 0] > 0).sum()
    assert 1 <= active <= 3
    table = released_code.covariances({"one": rare}, x).set_index("layer")
    assert table.poor[1] == 0


# --- Hessians


def test_no_diagonal_of_the_closed_form_is_zero_while_units_matter(networks, x, y):
    table = released_code.hessians(networks, x, y)
    assert (table[["closed_form", "autograd"]] == 0).all(axis=None)
    assert (table.units == 16).all()
    assert table.least.between(0, 1, inclusive="neither").all()


def test_a_unit_without_a_say_has_a_diagonal_of_zero(networks, x, y):
    mute = changed(networks["one"], 1, out=0.0)
    table = released_code.hessians({"one": mute}, x, y).set_index("layer")
    assert table.closed_form.to_dict() == {1: 0, 2: 1}
    assert table.autograd.to_dict() == {1: 0, 2: 1}
    assert table.least[2] == 0


def test_a_diagonal_too_small_for_single_precision_is_there_in_double(networks, x, y):
    table = released_code.hessians({"one": changed(networks["one"], 1, out=1e-30)}, x, y).set_index("layer")
    assert table.closed_form[2] == 0
    assert table.autograd[2] == 1


def test_the_decoder_is_the_rest_of_the_network(networks, x):
    stack = networks["one"]
    hidden, logits = stack(x)
    for layer, h in enumerate(hidden, start=1):
        torch.testing.assert_close(released_code.decoder(stack, layer)(h[0]), logits[0])


def test_q_of_the_hessian_does_not_depend_on_its_scale(networks, x):
    assert released_code.rescaled_hessians(networks, x) < 1e-12


# --- splits


def test_two_cliques_are_split_alike():
    A = np.kron(np.eye(2), np.ones((5, 5))) - np.eye(10)
    negative, q_absolute, q_newman = released_code.first_split(A)
    assert not negative
    assert q_absolute == pytest.approx(0.5)
    assert q_newman == pytest.approx(0.5)


def test_a_two_sided_graph_is_split_along_the_wrong_line():
    A = np.kron(1 - np.eye(2), np.ones((5, 5))) + 0.01
    np.fill_diagonal(A, 0)
    negative, q_absolute, q_newman = released_code.first_split(A)
    assert negative
    assert q_absolute < -0.45
    assert q_newman > q_absolute + 0.3


def test_dead_units_take_no_part_in_a_split():
    A = np.zeros((12, 12))
    A[:10, :10] = np.kron(np.eye(2), np.ones((5, 5))) - np.eye(10)
    assert released_code.first_split(A)[2] == pytest.approx(0.5)


def test_all_graphs_are_split(networks, x):
    table = released_code.first_splits(networks, x)
    assert len(table) == 2 * 2 * 8
    positive = table[~table.negative]
    assert positive.q_absolute.to_numpy() == pytest.approx(positive.q_newman.to_numpy())


# --- matching


def test_greedy_matching_is_the_authors():
    values = authors.partitions()
    labels, pairs = values["labels"].astype(np.int64), values["pairs"]
    found = released_code.greedy_matching(labels[pairs[:, 0]], labels[pairs[:, 1]])
    assert found == pytest.approx(values["greedy"])


def test_greedy_matching_can_miss_the_best():
    """Modules share 4, 3 and 3 units: greedy takes the 4 and is left with none, where 3 + 3 is better."""
    a = np.array([[0] * 7 + [1] * 3])
    b = np.array([[0] * 4 + [1] * 3 + [0] * 3])
    assert released_code.greedy_matching(a, b).tolist() == [0.4]
    assert agreement_pairs(np.concatenate([a, b]), [[0, 1]])["matching"].tolist() == [0.6]


def test_greedy_matching_leaves_dead_units_out():
    a, b = np.array([[0, 0, 1, 1, -1], [-1] * 5]), np.array([[1, 1, 0, -1, 0], [0] * 5])
    found = released_code.greedy_matching(a, b)
    assert found[0] == 1.0
    assert np.isnan(found[1])


# --- untrained networks


@pytest.fixture(scope="module")
def results(x, y):
    """Three untrained networks with a hidden layer, and a trained one that must not be taken."""
    names = [f"untrained,seed={seed}" for seed in range(3)]
    stack = MLPStack.initialise([INPUTS, 16, 10], seeds=range(3))
    modules, agreement = analyse(stack, x, y, names, restarts=3)
    networks = pd.DataFrame({"network": names, "seed": range(3), "trained": False})
    trained = pd.DataFrame({"network": ["trained"], "seed": [0], "trained": [True]})
    agreement = pd.concat(
        [agreement, agreement[agreement.network == names[0]].assign(network="trained", ecs=0)]
    )
    return Results(
        networks=pd.concat([trained, networks]),
        modules=modules,
        agreement=agreement,
        manifest={"config": {"hidden": [16]}},
        kept={"one": stack[0]},
    )


def test_stored_and_other_partitions_are_of_the_same_untrained_networks(results, x):
    found = released_code.untrained_agreement(results, x, untrained=2, optimiser="leiden-once")
    assert len(found) == 28
    own = results.agreement[results.agreement.network.isin(["untrained,seed=0", "untrained,seed=1"])]
    assert found.stored.mean() == pytest.approx(own.ecs.mean())
    # Another run of nearly the same search: alike where partitions are stable, never the trained one's 0.
    assert np.abs(found.stored - found.other).mean() < 0.15
    assert found.other.between(0, 1).all()
    assert (found.paper > 0.2).all()


@pytest.mark.parametrize("networks", [0, 4])
def test_no_more_untrained_networks_than_there_are(results, x, networks):
    with pytest.raises(ValueError, match=f"untrained must be at (least 1|most 3), got {networks}"):
        released_code.untrained_agreement(results, x, untrained=networks)


def test_stacks_of_more_than_one_are_refused(x):
    with pytest.raises(ValueError, match="networks must be stacks of one, got 2 in 'both'"):
        released_code.covariances({"both": MLPStack.initialise([INPUTS, 4, 10], seeds=[0, 1])}, x)
