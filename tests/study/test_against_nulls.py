"""Networks beside draws of the nulls: every draw searched anew, by one process or by several."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
import torch

from modlib.analysis import null_tests
from modlib.clustering import find_modules, modularity
from modlib.measures import MEASURES, VARIANTS, graphs, similarity
from modlib.networks import MLPStack
from modlib.nulls import NULLS, null_test, permute_weights, random_graphs, rotated_graphs
from modlib.study.rows import against_nulls
from modlib.study.schema import TABLES

NAMES = ["one", "two"]
DRAWS = 4
KEY = ["network", "layer", "measure", "normalized", "null"]


@pytest.fixture(scope="module")
def problem():
    """Two networks 12-10-8-4; unit 4 of layer 1 of the second is dead."""
    stack = MLPStack.initialise([12, 10, 8, 4], seeds=[0, 1])
    stack.biases[0][:] = 0.2
    stack.biases[0][1, 4] = -1000
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 12, generator=generator)
    return stack, x, torch.randint(4, (300,), generator=generator)


@pytest.fixture(scope="module")
def table(problem):
    return against_nulls(*problem, NAMES, draws=DRAWS, restarts=2, seed=7)


def graphs_of(stack, x, y):
    """Eight graphs of every layer, (network, variant, unit, unit)."""
    S = similarity(stack.to(dtype=torch.float64), x, y)
    return [graphs(S, layer) for layer in range(stack.n_hidden)]


def best(A):
    return find_modules(A, restarts=2).q


def test_every_network_layer_variant_and_null_has_its_row(table):
    assert list(table.columns) == TABLES["nulls"].names
    wanted = {
        (name, layer, *v, null) for name in NAMES for layer in (1, 2) for v in VARIANTS for null in NULLS
    }
    found = list(table[KEY].itertuples(index=False, name=None))
    assert len(found) == len(wanted)
    assert set(found) == wanted
    assert (table.draws == DRAWS).all()


def test_own_q_is_found_with_the_effort_that_the_draws_get(problem, table):
    for layer, layer_graphs in enumerate(graphs_of(*problem), start=1):
        for name, network in zip(NAMES, layer_graphs, strict=True):
            for variant, A in zip(VARIANTS, network, strict=True):
                rows = table[(table.network == name) & (table.layer == layer)]
                rows = rows[(rows.measure == variant[0]) & (rows.normalized == variant[1])]
                assert rows.q.to_numpy() == pytest.approx([best(A)] * 3, abs=1e-12)


def test_draws_of_permuted_weights_are_permuted_networks_searched_anew(problem, table):
    stack, x, y = problem
    generator = torch.Generator().manual_seed(7)
    drawn = [graphs_of(permute_weights(stack, generator), x, y) for _ in range(DRAWS)]
    check(table, "weights-permuted", lambda layer, number, v: [best(d[layer][number, v]) for d in drawn])


@pytest.mark.parametrize(
    ("null", "graphs_of_draw"), [("similarity", random_graphs), ("rotations", rotated_graphs)]
)
def test_draws_of_graphs_are_those_of_nulls_searched_anew(problem, table, null, graphs_of_draw):
    stack, x, y = problem
    S = similarity(stack.to(dtype=torch.float64), x, y)
    drawn = {}
    for layer in range(2):
        for number in range(2):
            generator = np.random.default_rng((7, number, layer))
            for draw in range(DRAWS):
                for m, measure in enumerate(MEASURES):
                    pair = graphs_of_draw(S[measure][layer][number].numpy(), generator)
                    for form in range(2):
                        drawn[layer, number, 2 * m + form, draw] = best(pair[form])
    check(table, null, lambda layer, number, v: [drawn[layer, number, v, d] for d in range(DRAWS)])


def check(table, null, draws_of):
    """Compare mean, sd, z and p of a null with those of draws found here."""
    rows = table[table.null == null].set_index(["network", "layer", "measure", "normalized"])
    for number, name in enumerate(NAMES):
        for layer in range(2):
            for v, variant in enumerate(VARIANTS):
                row = rows.loc[(name, layer + 1, *variant)]
                expected = null_test(float(row.q), draws_of(layer, number, v))
                assert row["mean"] == pytest.approx(expected.mean, abs=1e-9)
                assert row.sd == pytest.approx(expected.sd, abs=1e-9)
                assert row.p == expected.p
                assert row.p in [k / (DRAWS + 1) for k in range(1, DRAWS + 2)]


def test_draws_that_are_only_scored_would_be_far_lower(problem, table):
    """The control: a partition found in the network and carried to a draw does not fit the draw."""
    stack, x, y = problem
    S = similarity(stack.to(dtype=torch.float64), x, y)
    own = graphs_of(stack, x, y)[0][0]
    generator = np.random.default_rng(0)
    variants = [i for i, (_, normalized) in enumerate(VARIANTS) if normalized]
    scored = [
        np.mean(
            [
                modularity(random_graphs(S[measure][0][0].numpy(), generator)[1], find_modules(own[v]).labels)
                for _ in range(10)
            ]
        )
        for v, measure in zip(variants, MEASURES, strict=True)
    ]
    rows = table[(table.null == "similarity") & (table.network == "one") & (table.layer == 1)]
    searched = rows[rows.normalized].set_index("measure")["mean"]
    for measure, value in zip(MEASURES, scored, strict=True):
        assert value < searched[measure] - 0.05


def test_every_search_is_of_its_own_graph(problem, monkeypatch):
    """Of the network and of each draw, all graphs are searched, none twice."""
    seen = []

    def remember(A, *, restarts):
        seen.append(np.asarray(A).tobytes())
        return find_modules(A, restarts=restarts)

    monkeypatch.setattr(null_tests, "find_modules", remember)
    against_nulls(*problem, NAMES, draws=2, restarts=1)
    assert len(seen) == 2 * 2 * 8 * (1 + 3 * 2)
    assert len(set(seen)) == len(seen)


def test_the_same_seed_gives_the_same_table_and_another_does_not(problem, table):
    again = against_nulls(*problem, NAMES, draws=DRAWS, restarts=2, seed=7)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    other = against_nulls(*problem, NAMES, draws=DRAWS, restarts=2, seed=8)
    assert other.q.equals(table.q)
    assert (other["mean"] != table["mean"]).mean() > 0.95


@pytest.mark.slow
def test_processes_find_what_a_loop_finds(problem, table):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = against_nulls(*problem, NAMES, draws=DRAWS, restarts=2, seed=7, map_=pool.map)
    pd.testing.assert_frame_equal(found, table, check_exact=True)


def test_a_layer_without_edges_has_no_test_and_the_others_have(problem):
    """All units of layer 2 dead: no graph of their activity and no draw of one."""
    stack, x, y = problem
    dead = MLPStack([w.clone() for w in stack.weights], [b.clone() for b in stack.biases])
    dead.biases[1][:] = -1000
    found = against_nulls(dead, x, y, NAMES, draws=2, restarts=1)
    gone = (found.layer == 2) & found.measure.isin(["input_cov", "input_grad"])
    assert gone.any()
    assert found[gone][["q", "mean", "sd", "z", "p"]].isna().all(axis=None)
    assert (found[gone].draws == 0).all()
    there = (found.layer == 1) & found.measure.isin(["input_cov", "input_grad"])
    assert found[there][["q", "mean", "p"]].notna().all(axis=None)
    assert (found[there].draws == 2).all()


@pytest.mark.long
def test_planted_modules_are_told_from_both_nulls_and_random_weights_are_not():
    """Four groups of units that read inputs of their own, with weights of one sign."""
    groups = np.kron(np.eye(4), np.ones((4, 6)))
    rng = np.random.default_rng(0)
    reads = groups * (1 + 0.2 * rng.standard_normal(groups.shape)) + 0.05 * rng.standard_normal(groups.shape)
    shuffled = rng.permutation(reads.ravel()).reshape(reads.shape)
    out = rng.standard_normal((24, 5))
    stack = MLPStack.from_arrays(
        [np.stack([reads, shuffled]), np.stack([out, out])], [np.zeros((2, 24)), np.zeros((2, 5))]
    )
    x = torch.randn(400, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.zeros(400, dtype=torch.int64)
    found = against_nulls(stack, x, y, ["planted", "shuffled"], draws=19, restarts=1)
    rows = found[found.measure.isin(["input_cov", "input_grad"])].groupby(["network", "null"])
    z, p = rows.z.min(), rows.p.max()
    assert (p["planted"] == 0.05).all()
    assert (z["planted"] > 8).all()
    assert rows.z.max()["shuffled", "weights-permuted"] < 3
