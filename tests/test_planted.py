"""Planted problems: the answer that comes with each is the right one."""

import numpy as np
import pytest
import torch

from modlib.clustering import find_modules, modularity
from modlib.networks import MLPStack
from modlib.planted import crossed_network, planted_graph, random_graph, ring_of_cliques


def q_from_counts(groups: int, size: int, within: float, between: float) -> float:
    """Q of the planted partition, from the weights that leave a unit."""
    inside, outside = (size - 1) * within, (groups - 1) * size * between
    return inside / (inside + outside) - 1 / groups


@pytest.mark.parametrize(("groups", "size", "between"), [(2, 4, 0.1), (3, 5, 0.0), (4, 3, 0.4)])
def test_planted_partition_has_the_q_of_its_formula(groups, size, between):
    A, labels = planted_graph([size] * groups, within=1.0, between=between)
    assert modularity(A, labels) == pytest.approx(q_from_counts(groups, size, 1, between), abs=1e-12)
    assert A.sum(axis=1) == pytest.approx((size - 1) + (groups - 1) * size * between)


def test_planted_groups_are_found_under_noise_and_others_are_not():
    A, labels = planted_graph((9, 7, 5), within=1.0, between=0.2, noise=0.5, seed=3)
    found = find_modules(A).labels
    assert (found[:, None] == found).tolist() == (labels[:, None] == labels).tolist()
    # equal weights everywhere: nothing is planted, and the planted labels are worth nothing
    flat, labels = planted_graph((9, 7, 5), within=1.0, between=1.0, noise=0.5, seed=3)
    assert modularity(flat, labels) < 0.02


def test_noise_stays_within_its_range_and_follows_the_seed():
    A, _ = planted_graph((6, 6), within=1.0, between=0.5, noise=0.2, seed=1)
    assert np.array_equal(A, A.T)
    assert not A.diagonal().any()
    inside, across = A[:6, :6][np.triu_indices(6, 1)], A[:6, 6:]
    assert 0.8 <= inside.min() < inside.max() <= 1.2
    assert 0.4 <= across.min() < across.max() <= 0.6
    assert np.array_equal(A, planted_graph((6, 6), within=1.0, between=0.5, noise=0.2, seed=1)[0])
    assert not np.array_equal(A, planted_graph((6, 6), within=1.0, between=0.5, noise=0.2, seed=2)[0])


def test_ring_merges_exactly_where_fortunato_and_barthelemy_say():
    # size 3: pairs of neighbours win once cliques > 3 * 2 + 2 = 8, and tie at 8
    for cliques, better in ((6, "single"), (8, "tie"), (10, "pairs")):
        A, labels = ring_of_cliques(cliques, 3)
        edges = cliques * 3 + cliques
        assert A.sum() == 2 * edges
        assert modularity(A, labels) == pytest.approx(3 / 4 - 1 / cliques, abs=1e-12)
        gain = modularity(A, labels // 2) - modularity(A, labels)
        assert {"single": gain < -1e-9, "tie": abs(gain) < 1e-12, "pairs": gain > 1e-9}[better]


def test_random_graph_has_the_density_asked_for_and_no_groups():
    A = random_graph(200, density=0.3, seed=4)
    assert np.array_equal(A, A.T)
    assert set(np.unique(A)) == {0.0, 1.0}
    assert not A.diagonal().any()
    pairs = A[np.triu_indices(200, 1)]
    assert abs(pairs.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / len(pairs))
    # any partition chosen beforehand has Q near 0; a planted one of the same density has not
    half = np.repeat([0, 1], 100)
    assert abs(modularity(A, half)) < 0.02
    assert modularity(planted_graph((100, 100), within=0.5, between=0.1)[0], half) > 0.3


def similarities(net):
    """Write out the four measures of the crossed network's only hidden layer."""
    w_in, w_out = net.weights[0][0], net.weights[1][0]
    before = net.x @ w_in + net.biases[0][0]
    mask = (before > 0).astype(float)
    hidden = before * mask
    logits = hidden @ w_out + net.biases[1][0]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    spread = np.diag(p.mean(axis=0)) - p.T @ p / len(p)
    return {
        "input_cov": np.cov(hidden.T),
        "input_grad": (w_in.T @ w_in) * (mask.T @ mask) / len(mask),
        "output_grad": w_out @ w_out.T,
        "output_hess": w_out @ spread @ w_out.T,
    }


def graph(S, normalized):
    A = np.abs(S / np.sqrt(np.outer(S.diagonal(), S.diagonal())) if normalized else S)
    np.fill_diagonal(A, 0)
    return A


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(("read_groups", "drive_groups", "copies"), [(2, 2, 2), (3, 2, 3), (2, 3, 4)])
def test_each_family_finds_its_own_partition_and_not_the_other(read_groups, drive_groups, copies, normalized):
    net = crossed_network(read_groups=read_groups, drive_groups=drive_groups, copies=copies)
    for measure, S in similarities(net).items():
        own, other = net.upstream, net.downstream
        if measure.startswith("output"):
            own, other = other, own
        A = graph(S, normalized)
        found = find_modules(A).labels
        assert (found[:, None] == found).tolist() == (own[:, None] == own).tolist(), measure
        assert modularity(A, other) < 0, measure


def test_partitions_are_crossed_so_that_one_says_nothing_of_the_other():
    net = crossed_network(read_groups=3, drive_groups=2, copies=4)
    table = np.histogram2d(net.upstream, net.downstream, bins=(3, 2))[0]
    assert np.array_equal(table, np.full((3, 2), 4))


def test_labels_are_the_networks_own_and_no_class_is_empty():
    net = crossed_network(seed=5)
    stack = MLPStack.from_arrays(net.weights, net.biases)
    _, logits = stack(torch.as_tensor(net.x))
    assert np.array_equal(logits[0].argmax(dim=1).numpy(), net.y)
    assert np.bincount(net.y, minlength=4).min() > 0.1 * len(net.y)
    assert logits[0].mean(dim=0).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: planted_graph(()), "sizes"),
        (lambda: planted_graph((3, 0)), "sizes"),
        (lambda: planted_graph(within=-1.0), "within"),
        (lambda: planted_graph(within=0.0, between=0.0), "within"),
        (lambda: planted_graph(noise=1.5), "noise"),
        (lambda: ring_of_cliques(2, 4), "cliques"),
        (lambda: ring_of_cliques(4, 1), "size"),
        (lambda: random_graph(1, density=0.5), "units"),
        (lambda: random_graph(5, density=0.0), "density"),
        (lambda: crossed_network(read_groups=1), "groups"),
        (lambda: crossed_network(copies=0), "copies"),
        (lambda: crossed_network(noise=-0.1), "noise"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
