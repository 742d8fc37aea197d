"""The share below which a unit counts as dead: what it does to graphs, and the stored table of it."""

import numpy as np
import pytest
import torch

from modlib.book.chapters.deviations.tables import by_share
from modlib.measures import VARIANTS, adjacency, similarity
from modlib.networks import MLPStack
from modlib.paper.simulations import dead_units
from modlib.paper.simulations.dead_units import SHARES

DOWNSTREAM = ["output_grad", "output_hess"]


@pytest.fixture(scope="module")
def table():
    """Make a network, one of whose twelve units has output weights that have shrunk by 3e-7."""
    stack = MLPStack.initialise([8, 12, 5], seeds=[0]).to(dtype=torch.float64)
    stack.weights[1][:, 4] *= 3e-7 * stack.weights[1].norm() / stack.weights[1][:, 4].norm() / np.sqrt(12)
    x = torch.randn(50, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return stack, x, dead_units.by_share({"l2=1,seed=0": stack}, x)


def test_the_shrunk_unit_is_dead_downstream_from_its_own_share_on(table):
    found = table[2].pivot_table(index=["measure", "normalized"], columns="share", values="dead")
    for measure, normalized in VARIANTS:
        expected = [float(share >= 1e-12 and measure in DOWNSTREAM) for share in SHARES]
        assert found.loc[(measure, normalized)].tolist() == expected


def test_at_the_rule_the_graph_is_that_of_adjacency_and_the_weight_what_it_lacks(table):
    stack, x, found = table
    S = similarity(stack, x)["output_grad"][0][0]
    rows = found[(found.measure == "output_grad") & found.normalized].set_index("share")
    scale = S.diagonal().rsqrt()
    whole = (S * torch.outer(scale, scale)).abs().fill_diagonal_(0)
    assert rows.weight[1e-14] == 0
    assert rows.weight[1e-12] == pytest.approx(float(1 - adjacency(S, normalized=True).sum() / whole.sum()))
    assert rows.weight[1e-12] > 0.05
    assert rows.q[1e-14] == rows.q[0.0] != rows.q[1e-12] == rows.q[1e-8]


def test_the_table_of_the_page_says_how_far_q_is_from_that_at_the_rule(table):
    found = by_share(table[2]).set_index(["regularizer", "share"])
    q = table[2][table[2].normalized].pivot_table(index="measure", columns="share", values="q")
    away = (q[1e-14] - q[1e-12]).abs()
    assert found.largest["l2", 1e-14] == away.max() > 0
    assert found.different["l2", 1e-14] == (away > 1e-9).sum() == 2
    assert found.dead["l2", 1e-14] == 0
    assert found.dead["l2", 1e-12] == 2 / 4
    assert found.loc["all"].equals(found.loc["l2"])
    assert found.largest["l2", 1e-12] == 0


def test_the_stored_table_is_of_thirty_networks_and_every_graph():
    table = dead_units.read()
    assert table.groupby("share").size().tolist() == [30 * 2 * 8] * len(SHARES)
    keys = ["network", "layer", "measure", "normalized"]
    assert table.groupby(keys).dead.apply(lambda dead: dead.is_monotonic_increasing).all()
    assert (table[table.share == 0].weight == 0).all()
    assert table.network.nunique() == 30
