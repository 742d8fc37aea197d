"""From networks to rows: every number recomputed on its own, one network at a time."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from modlib.clustering import modularity
from modlib.comparison import agreement, rank_correlation
from modlib.measures import VARIANTS, adjacency, graphs, similarity
from modlib.networks import MLPStack
from modlib.study.rows import analyse, describe

NAMES = ["one", "two", "three"]
FAMILY = {
    "input_cov": "upstream",
    "input_grad": "upstream",
    "output_grad": "downstream",
    "output_hess": "downstream",
}


@pytest.fixture(scope="module")
def problem():
    """Three networks 12-9-7-4; in the second, unit 4 of layer 1 is dead; in the third, all of layer 2."""
    stack = MLPStack.initialise([12, 9, 7, 4], seeds=[0, 1, 2])
    stack.biases[0][:] = 0.2
    stack.biases[1][:] = 0.2
    stack.biases[0][1, 4] = -1000
    stack.biases[1][2] = -1000
    stack.weights[1][0, 0, :3] = 5e-4  # small, for `sparsity`
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2300, 12, generator=generator)
    return stack, x, torch.randint(4, (2300,), generator=generator)


@pytest.fixture(scope="module")
def tables(problem):
    return analyse(*problem, NAMES, restarts=3)


@pytest.fixture(scope="module")
def graph_of(problem):
    """Give the adjacency matrix that a network, layer, measure and normalisation name."""
    stack, x, y = problem
    S = [similarity(stack[number].to(dtype=torch.float64), x, y) for number in range(len(NAMES))]

    def graph(name, layer, measure, normalized):
        return adjacency(S[NAMES.index(name)][measure][layer - 1][0], normalized=bool(normalized)).numpy()

    return graph


# ---------------------------------------------------------------- describe


def test_describe_is_a_plain_loop(problem):
    stack, x, y = problem
    table = describe(stack, x, y, NAMES)
    assert table.network.tolist() == NAMES
    for number, row in enumerate(table.itertuples()):
        net = stack.module(number)
        with torch.no_grad():
            logits = net(x)
            active = [int((net[:cut](x) > 0).any(0).sum()) for cut in (2, 4)]
        weights = torch.cat([m.weight.flatten() for m in net if isinstance(m, nn.Linear)]).detach().double()
        assert row.test_loss == pytest.approx(float(nn.functional.cross_entropy(logits, y)), rel=1e-5)
        assert row.test_accuracy == pytest.approx(float((logits.argmax(1) == y).double().mean()), abs=1e-12)
        assert row.weight_l1 == pytest.approx(float(weights.abs().sum()), rel=1e-12)
        assert row.weight_l2 == pytest.approx(float((weights**2).sum()), rel=1e-12)
        assert row.sparsity == pytest.approx(float((weights.abs() < 1e-3).double().mean()), abs=1e-12)
        assert row.active_units == active
    assert table.active_units.tolist() == [[9, 7], [8, 7], [9, 0]]
    assert table.sparsity[0] >= 3 / (12 * 9 + 9 * 7 + 7 * 4)
    assert table.test_loss.nunique() == 3


# ---------------------------------------------------------------- modules


def test_every_network_layer_and_variant_has_its_row(tables):
    modules, _ = tables
    expected = {(name, layer, *variant) for name in NAMES for layer in (1, 2) for variant in VARIANTS}
    found = list(zip(modules.network, modules.layer, modules.measure, modules.normalized, strict=True))
    assert len(found) == len(expected) == 3 * 2 * 8
    assert set(found) == expected


def test_modules_can_be_recomputed_from_their_labels(graph_of, tables):
    modules, _ = tables
    for row in modules.itertuples():
        A = graph_of(row.network, row.layer, row.measure, row.normalized)
        assert row.labels.dtype == np.int16
        assert len(row.labels) == len(A)
        np.testing.assert_array_equal(row.labels == -1, ~A.any(0))
        assert modularity(A, row.labels) == pytest.approx(row.q, abs=1e-12, nan_ok=True)
        alive = row.labels[row.labels >= 0]
        share = np.bincount(alive) / max(1, len(alive))
        assert row.n_modules == len(set(alive))
        if len(alive):
            assert row.effective_modules == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-12)
            assert row.q >= -1e-12  # one module would have 0
            assert 0 < row.stability <= 1


def test_dead_units_are_out_of_upstream_modules(tables):
    modules, _ = tables
    labels = modules.set_index(["network", "layer", "measure", "normalized"]).labels
    for (measure, normalized), name in [(v, n) for v in VARIANTS for n in NAMES]:
        first, second = (labels[name, layer, measure, normalized] for layer in (1, 2))
        upstream = FAMILY[measure] == "upstream"
        assert (first[4] == -1) == (name == ("two" if upstream else "three"))
        assert (second == -1).all() == (upstream and name == "three")
        # With all of layer 2 dead, no change of layer 1 reaches the output.
        assert (first == -1).all() == (not upstream and name == "three")


def test_reliability_is_agreement_between_the_partitions_by_two_halves_of_the_images(problem, tables):
    """Each half is analysed by itself, as if its images were all there are."""
    stack, x, y = problem
    halves = [analyse(stack, x[half::2], y[half::2], NAMES, restarts=3)[0].labels for half in (0, 1)]
    pairs = [agreement(a.astype(np.int64), b.astype(np.int64))["ami"] for a, b in zip(*halves, strict=True)]
    modules, _ = tables
    np.testing.assert_allclose(modules.reliability, pairs, atol=1e-12)
    assert modules.reliability.max() > 0.5  # the first layer's modules are the same in both
    assert modules.reliability.min() < 0.5
    nothing = modules.labels.map(lambda labels: (labels == -1).all())
    assert modules.reliability.isna().equals(nothing)


# ---------------------------------------------------------------- agreement


def test_every_pair_of_variants_has_its_row(tables):
    _, pairs = tables
    assert len(pairs) == 3 * 2 * 28
    for _, rows in pairs.groupby(["network", "layer"]):
        found = [((r.measure_a, r.normalized_a), (r.measure_b, r.normalized_b)) for r in rows.itertuples()]
        assert found == list(combinations(VARIANTS, 2))
        for row in rows.itertuples():
            a, b = FAMILY[row.measure_a], FAMILY[row.measure_b]
            assert row.family_pair == (a if a == b else "across")
        assert rows.family_pair.value_counts().to_dict() == {"across": 16, "upstream": 6, "downstream": 6}


def test_agreement_can_be_recomputed_from_the_labels(graph_of, tables):
    modules, pairs = tables
    by = modules.set_index(["network", "layer", "measure", "normalized"])
    differ = 0
    for row in pairs.itertuples():
        a = (row.network, row.layer, row.measure_a, row.normalized_a)
        b = (row.network, row.layer, row.measure_b, row.normalized_b)
        in_a, in_b = by.labels[a].astype(int), by.labels[b].astype(int)
        for name, value in agreement(in_a, in_b).items():
            assert getattr(row, name) == pytest.approx(value, abs=1e-12, nan_ok=True)
        assert row.transfer_ab == pytest.approx(modularity(graph_of(*a), in_b), abs=1e-12, nan_ok=True)
        assert row.transfer_ba == pytest.approx(modularity(graph_of(*b), in_a), abs=1e-12, nan_ok=True)
        expected = rank_correlation(graph_of(*a), graph_of(*b))
        assert row.rank_correlation == pytest.approx(expected, abs=1e-12, nan_ok=True)
        differ += abs(row.transfer_ab - row.transfer_ba) > 1e-3
    assert differ > 50  # so that a swap of the two would be seen


def test_layers_without_living_units_have_no_agreement(tables):
    _, pairs = tables
    empty = (pairs.network == "three") & (
        ((pairs.layer == 2) & (pairs.family_pair != "downstream"))
        | ((pairs.layer == 1) & (pairs.family_pair != "upstream"))
    )
    assert empty.sum() == 2 * 22
    assert pairs[empty].ecs.isna().all()
    assert pairs[~empty].ecs.notna().all()


# ---------------------------------------------------------------- as a whole


def test_the_same_every_time(problem, tables):
    for a, b in zip(tables, analyse(*problem, NAMES, restarts=3), strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_a_network_is_analysed_as_if_it_were_alone(problem, tables):
    stack, x, y = problem
    alone, _ = analyse(stack[1], x, y, ["two"], restarts=3)
    together = tables[0].query("network == 'two'").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, together, rtol=1e-12)


def test_precision_of_the_weights_does_not_matter(problem, tables):
    """Similarities are computed in double precision, whatever the stack is in."""
    stack, x, y = problem
    double, _ = analyse(stack.to(dtype=torch.float64), x, y, NAMES, restarts=3)
    pd.testing.assert_frame_equal(double, tables[0], check_exact=True)


def test_graphs_stand_in_the_order_of_the_variants(problem):
    stack, x, y = problem
    S = similarity(stack, x, y)
    stacked = graphs(S, 1)
    assert stacked.shape == (3, 8, 7, 7)
    for position, (measure, normalized) in enumerate(VARIANTS):
        expected = adjacency(S[measure][1], normalized=normalized)
        np.testing.assert_array_equal(stacked[:, position], expected)
    assert len({a.tobytes() for a in stacked[0]}) == 8
