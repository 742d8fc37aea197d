"""Contrasts between levels: the right ones are found, and choosing among many is not rewarded."""

import numpy as np
import pandas as pd
import pytest
import synthetic
import worlds

from modlib import contrasts, findings, inference

KEY = ["layer", "measure", "normalized"]


def tables(q, levels, accuracy=None):
    """One graph: networks and modules of Q (seed, level)."""
    rows = [
        {
            "network": f"{regularizer}={strength},seed={seed}",
            "regularizer": regularizer,
            "strength": strength,
            "seed": seed,
            "trained": True,
            "test_accuracy": 0.95 if accuracy is None else accuracy[column],
            "layer": 1,
            "measure": "input_cov",
            "normalized": False,
            "q": q[seed, column],
        }
        for seed in range(len(q))
        for column, (regularizer, strength) in enumerate(levels)
        if np.isfinite(q[seed, column])
    ]
    table = pd.DataFrame(rows)
    return table[["network", *KEY, "q"]], table.drop(columns=[*KEY, "q"])


LEVELS = [("l2", 1e-5), ("l2", 1e-3), ("l1", 1e-4), *(("dropout", 0.1 * i) for i in range(1, 6))]


def test_levels_are_sorted_into_plain_dropout_and_weights():
    q = np.arange(24.0).reshape(3, 8)
    (graph,) = contrasts.levels(*tables(q, LEVELS))
    assert graph.key == (1, "input_cov", False)
    order = [LEVELS.index(level) for level in graph.weights_levels]
    np.testing.assert_array_equal(graph.weights, q[:, order])
    assert set(graph.weights_levels) == set(LEVELS[:3])
    np.testing.assert_array_equal(graph.plain, q[:, :1])
    np.testing.assert_array_equal(
        graph.dropout, q[:, [LEVELS.index(level) for level in graph.dropout_levels]]
    )


def test_levels_below_an_accuracy_cannot_be_chosen_and_plain_stays():
    accuracy = [0.8, 0.9, 0.7, 0.95, 0.95, 0.95, 0.95, 0.9]
    modules, networks = tables(np.ones((3, 8)), LEVELS, accuracy)
    assert contrasts.least_accurate_dropout(networks) == pytest.approx(0.9)
    (graph,) = contrasts.levels(modules, networks, min_accuracy=0.9)
    assert graph.weights_levels == (("l2", 1e-3),)
    assert len(graph.dropout_levels) == 5
    assert graph.plain.shape == (3, 1)


def test_one_graph_is_as_in_inference():
    rng = np.random.default_rng(0)
    q = rng.normal(0.3, 0.05, (6, 8))
    q[2, 4] = np.nan
    (graph,) = contrasts.levels(*tables(q, LEVELS))
    found = contrasts.difference_of_best([(graph.dropout, graph.weights)])
    assert found == inference.difference_of_best(graph.dropout, graph.weights)


def test_several_graphs_are_averaged_within_a_resample():
    """Copies of one graph say no more than one of them; a graph and its mirror image cancel."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.4, 0.05, (6, 3)), rng.normal(0.3, 0.05, (6, 2))
    one = contrasts.difference_of_best([(a, b)])
    many = contrasts.difference_of_best([(a, b)] * 5)
    assert (many.value, many.low, many.high) == pytest.approx((one.value, one.low, one.high))
    none = contrasts.difference_of_best([(a, b), (b, a)])
    assert none.value == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_choosing_the_best_of_many_equal_levels_gains_nothing():
    """All levels have the same mean: the best of 20, seen on the seeds that chose it, would gain .02."""
    rng = np.random.default_rng(0)
    held_out, seen, clear = [], [], 0
    for _ in range(200):
        q = rng.normal(0.3, 0.03, (5, 21))
        levels = [("l2", 1e-5), *(("dropout", (i + 1) / 30) for i in range(20))]
        (graph,) = contrasts.levels(*tables(q, levels))
        found = contrasts.difference_of_best([(graph.dropout, graph.plain)])
        held_out.append(found.value)
        clear += found.low > 0
        seen.append(graph.dropout.mean(0).max() - graph.plain.mean())
    error = np.std(held_out) / np.sqrt(200)
    assert abs(np.mean(held_out)) < 3 * error
    assert np.mean(seen) > 0.02 > 6 * error
    assert clear <= 10  # of 200, one-sided 2.5 %


def test_nothing_to_choose_from():
    found = contrasts.difference_of_best([(np.zeros((3, 0)), np.ones((3, 2)))])
    assert found.n == 0
    assert np.isnan([found.value, found.low, found.high, found.p]).all()
    two = contrasts.difference_of_best([(np.full((2, 1), 0.5), np.full((2, 1), 0.2))])
    assert two.value == pytest.approx(0.3)
    assert np.isnan(two.low)


def test_table_of_contrasts():
    table = contrasts.contrasts(synthetic.results())
    assert len(table) == 16
    assert not table.duplicated(KEY).any()
    np.testing.assert_allclose(table.plain, 0.1 + table.layer / 100)
    np.testing.assert_allclose(table.dropout - table.plain, 0.3)
    np.testing.assert_allclose(table.dropout_gain, 0.3)
    np.testing.assert_allclose(table.weights_gain, 0.04)
    np.testing.assert_allclose(table.difference, 0.26)
    assert (table.dropout_at == 0.6).all()
    assert (table.weights_by == "l1").all()
    assert (table.weights_at == 1e-3).all()
    assert (table.n == 3).all()


def test_table_at_matched_accuracy():
    accuracy = {("l1", 1e-3, s): 0.85 for s in range(3)} | {("dropout", 0.6, s): 0.9 for s in range(3)}
    found = synthetic.results(accuracy=accuracy)
    matched = findings.matched_accuracy(found)
    assert contrasts.least_accurate_dropout(findings.kept_networks(found)) == matched
    table = contrasts.contrasts(found, min_accuracy=matched)
    assert (table.weights_by == "l2").all()
    np.testing.assert_allclose(table.difference, 0.29)
    nothing = contrasts.contrasts(found, min_accuracy=0.99)
    assert nothing.weights_by.isna().all()
    assert nothing[["dropout", "weights", "difference", "dropout_gain"]].isna().all(axis=None)
    assert nothing.plain.notna().all()


def test_intervals_of_the_table_hold_the_value_and_widen_with_noise():
    quiet, loud = (contrasts.contrasts(worlds.results("true", noise=noise)) for noise in (0.002, 0.02))
    for table in (quiet, loud):
        assert ((table.low < table.difference) & (table.difference < table.high)).all()
        assert ((table.dropout_gain_low < 0.3) & (table.dropout_gain_high > 0.3)).mean() > 0.8
    width = [(table.high - table.low).mean() for table in (quiet, loud)]
    assert width[1] > 5 * width[0]


def test_the_order_of_rows_does_not_matter():
    a, b = (contrasts.contrasts(r) for r in (synthetic.results(), synthetic.shuffled(synthetic.results())))
    pd.testing.assert_frame_equal(a, b, check_exact=False, rtol=1e-9)


def test_agreement_of_families_by_seed():
    found = synthetic.results()
    kept = findings.kept_networks(found)
    table = contrasts.families_by_seed(found.agreement, kept[kept.trained])
    assert len(table) == 2 * 3
    for row in table.to_dict("records"):
        for pair, value in synthetic.ECS.items():
            assert row[pair] == pytest.approx(value + synthetic.OFFSET[row["seed"]])
    whole = contrasts.families_by_seed(found.agreement, kept[kept.trained], by_layer=False)
    assert whole.seed.tolist() == [0, 1, 2]
    assert contrasts.families_by_seed(found.agreement, kept[~kept.trained]).seed.nunique() == 4


def test_names_of_graphs():
    assert contrasts.graph_name(2, "output_hess", True) == "output Hessian, normalised, layer 2"
    assert contrasts.graph_name(1, "input_grad", False) == "input gradient, raw, layer 1"
