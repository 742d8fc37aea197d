"""Ensembles of near-best partitions, and agreement between them, on graphs whose partitions are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from modlib.clustering import find_modules
from modlib.comparison import agreement
from modlib.measures import MEASURES, VARIANTS, adjacency, similarity
from modlib.networks import MLPStack
from modlib.paper.simulations import degeneracy
from modlib.paper.simulations.degeneracy import near_best


def cliques(*sizes):
    """Make separate cliques."""
    label = np.repeat(np.arange(len(sizes)), sizes)
    A = (label[:, None] == label).astype(float)
    np.fill_diagonal(A, 0)
    return A, label


def with_a_unit_between(weight=1.0):
    """Make two cliques of five and a unit tied equally to both, which may stand on either side."""
    A, _ = cliques(5, 5, 1)
    A[10, :10] = A[:10, 10] = weight
    return A


def test_a_graph_with_one_good_partition_has_an_ensemble_of_one():
    A, label = cliques(4, 5, 6)
    near, consensus = near_best(torch.as_tensor(A), searches=10)
    assert len(near) == 1
    assert agreement(near[0], label)["ami"] == agreement(consensus, label)["ami"] == 1


def test_a_unit_that_may_stand_on_either_side_makes_two_partitions():
    near, consensus = near_best(torch.as_tensor(with_a_unit_between()), searches=30)
    assert {int(np.sum(part[:10] == part[10])) for part in near} == {5}
    assert len(near) == 2
    sides = {part[10] == part[0] for part in near}
    assert sides == {True, False}
    assert len(set(consensus[:5])) == len(set(consensus[5:10])) == 1
    expected = agreement(near[0], near[1])["ami"]
    assert degeneracy._within(near) == pytest.approx(expected)  # noqa: SLF001
    assert 0 < expected < 1


def test_dead_units_stay_out_and_the_best_comes_first():
    rng = np.random.default_rng(0)
    A = rng.random((30, 30))
    A = A + A.T
    np.fill_diagonal(A, 0)
    A[3] = A[:, 3] = 0
    near, consensus = near_best(torch.as_tensor(A), searches=20)
    assert (near[:, 3] == -1).all()
    assert consensus[3] == -1
    assert (np.delete(near, 3, axis=1) >= 0).all()
    q = [find_modules(A, restarts=1, seed=seed) for seed in range(20)]
    best = max(q, key=lambda part: part.q)
    assert near[0].tolist() == best.labels.tolist()


@pytest.fixture(scope="module")
def network():
    stack = MLPStack.initialise([12, 16, 16, 5], seeds=[0])
    x = torch.rand(60, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return stack, x, degeneracy.of_network(stack, x, "it", searches=12)


def test_agreement_is_found_between_measures_of_the_same_layer(network):
    stack, x, (alone, between) = network
    assert len(alone) == 2 * len(VARIANTS)
    assert len(between) == 2 * 3
    S = similarity(stack.to(dtype=torch.float64), x)
    ensembles = {
        (measure, normalized): near_best(adjacency(S[measure][1][0], normalized=normalized), searches=12)[0]
        for measure, normalized in VARIANTS
    }
    rows = between[(between.layer == 2) & (between.family_pair == "upstream")].iloc[0]
    pairs = [(("input_cov", a), ("input_grad", b)) for a in (False, True) for b in (False, True)]
    every = [[agreement(p, q)["ami"] for p in ensembles[a] for q in ensembles[b]] for a, b in pairs]
    assert rows.best == pytest.approx(np.mean([values[0] for values in every]))
    assert rows.ensembles == pytest.approx(np.mean([np.mean(values) for values in every]))
    assert rows.closest == pytest.approx(np.mean([np.max(values) for values in every]))
    assert (between.closest >= between.ensembles).all()
    count = alone[(alone.layer == 2) & (alone.measure == "input_grad") & ~alone.normalized].partitions
    assert count.item() == len(ensembles["input_grad", False])


def test_more_than_one_network_is_refused():
    with pytest.raises(ValueError, match="must hold one network, got 2"):
        degeneracy.of_network(MLPStack.initialise([4, 3, 2], seeds=[0, 1]), torch.zeros(4, 4), "two")


def test_what_is_written_can_be_read(tmp_path, monkeypatch):
    stack = MLPStack.initialise([784, 6, 6, 10], seeds=[0])
    images = torch.rand(40, 784, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(degeneracy.data, "load", lambda _: type("Images", (), {"x_test": images}))
    monkeypatch.setattr(degeneracy, "SEARCHES", 4)
    degeneracy.write(tmp_path, {"one": stack})
    monkeypatch.setattr(degeneracy, "FOLDER", tmp_path)
    assert set(degeneracy.read("near_best").measure) == set(MEASURES)
    assert list(degeneracy.read("degeneracy").columns[-4:]) == list(degeneracy.WAYS)
    assert isinstance(degeneracy.read("degeneracy"), pd.DataFrame)
