"""Contrasts between levels: the right ones are found, and choosing among many is not rewarded."""

import numpy as np
import pandas as pd
import pytest
import synthetic
import worlds

from modlib.paper import contrasts
from modlib.stats import intervals, selection
from modlib.study import accuracy_filter

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


def test_a_graph_that_lacks_a_seed_has_nan_there_and_keeps_the_others_in_place():
    q = np.arange(24.0).reshape(3, 8)
    modules, networks = tables(q, LEVELS)
    second = modules[~modules.network.str.endswith("seed=1")].assign(layer=2)
    whole, part = contrasts.levels(pd.concat([modules, second]), networks)
    np.testing.assert_array_equal(whole.plain[:, 0], q[:, 0])
    np.testing.assert_array_equal(part.plain[:, 0], [q[0, 0], np.nan, q[2, 0]])


def test_levels_below_an_accuracy_cannot_be_chosen_and_plain_stays():
    accuracy = [0.8, 0.9, 0.7, 0.95, 0.95, 0.95, 0.95, 0.9]
    modules, networks = tables(np.ones((3, 8)), LEVELS, accuracy)
    assert contrasts.least_accurate_dropout(networks) == pytest.approx(0.9)
    (graph,) = contrasts.levels(modules, networks, min_accuracy=0.9)
    assert graph.weights_levels == (("l2", 1e-3),)
    assert len(graph.dropout_levels) == 5
    assert graph.plain.shape == (3, 1)


@pytest.mark.slow
def test_choosing_the_best_of_many_equal_levels_gains_nothing():
    """All levels have the same mean: the best of 20, seen on the seeds that chose it, would gain .02."""
    rng = np.random.default_rng(0)
    held_out, seen, clear = [], [], 0
    for _ in range(200):
        q = rng.normal(0.3, 0.03, (5, 21))
        levels = [("l2", 1e-5), *(("dropout", (i + 1) / 30) for i in range(20))]
        (graph,) = contrasts.levels(*tables(q, levels))
        found = selection.difference_of_best([(graph.dropout, graph.plain)])
        held_out.append(found.value)
        clear += found.low > 0
        seen.append(graph.dropout.mean(0).max() - graph.plain.mean())
    error = np.std(held_out) / np.sqrt(200)
    assert abs(np.mean(held_out)) < 3 * error
    assert np.mean(seen) > 0.02 > 6 * error
    assert clear <= 10  # of 200, one-sided 2.5 %


def test_table_of_contrasts():
    table = contrasts.by_graph(synthetic.results())
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
    assert (table.p == 0.25).all()  # three seeds of the same sign, and no spread
    assert (table.p_holm == 1).all()


def test_gains_are_paired_by_seed():
    """The same values with seeds dealt anew at one level: the same means, a wider interval."""
    found = synthetic.results()
    paired = contrasts.by_graph(found)
    np.testing.assert_allclose(paired.high - paired.low, 0, atol=1e-12)
    level = found.networks.strength == 0.6
    found.networks.loc[level, "seed"] = found.networks[level].seed.map({0: 2, 1: 1, 2: 0})
    table = contrasts.by_graph(found)
    np.testing.assert_allclose(table.difference, 0.26)
    assert (table.high - table.low > 0.05).all()


def test_levels_that_did_not_learn_the_task_cannot_be_the_best():
    found = synthetic.results(accuracy={("dropout", 0.6, s): 0.3 for s in range(3)})
    assert (contrasts.by_graph(found).dropout_at == 0.2).all()


def test_p_values_are_corrected_for_the_number_of_graphs():
    table = contrasts.by_graph(worlds.results("true"))
    np.testing.assert_allclose(table.p_holm, intervals.holm(table.p.to_numpy()))
    assert (table.p_holm > 5 * table.p).any()
    assert (table.p_holm < 0.05).all()
    g = worlds.results("true", seeds=9, noise=0.02)
    table = contrasts.by_graph(g)
    se = (table.high - table.low) / 2 / 2.306  # t with 8 degrees of freedom
    np.testing.assert_allclose(table.effect, table.difference / (3 * se) * 0.9027, rtol=1e-3)


def test_noise_is_told_from_nothing_in_few_families():
    """Graphs without any difference: after Holm a family of 16 hardly ever has a false alarm."""
    table = pd.concat(contrasts.by_graph(worlds.results("noise", seeds=5, rng=rng)) for rng in range(6))
    assert (table.p_holm > contrasts.SIGNIFICANT).mean() > 0.95


def test_both_ways_are_the_two_contrasts():
    accuracy = {("l1", 1e-3, s): 0.85 for s in range(3)} | {("dropout", 0.6, s): 0.9 for s in range(3)}
    found = synthetic.results(accuracy=accuracy)
    matched, every = (g for _, g in contrasts.both_ways(found).groupby("levels", sort=False))
    assert (matched.weights_by == "l2").all()
    assert (every.weights_by == "l1").all()
    assert [g.levels.iloc[0] for g in (matched, every)] == list(contrasts.LEVELS_COMPARED)


def test_table_at_matched_accuracy():
    accuracy = {("l1", 1e-3, s): 0.85 for s in range(3)} | {("dropout", 0.6, s): 0.9 for s in range(3)}
    found = synthetic.results(accuracy=accuracy)
    matched = contrasts.least_accurate_dropout(accuracy_filter.kept_networks(found))
    assert matched == pytest.approx(0.9)
    table = contrasts.by_graph(found, min_accuracy=matched)
    assert (table.weights_by == "l2").all()
    np.testing.assert_allclose(table.difference, 0.29)
    nothing = contrasts.by_graph(found, min_accuracy=0.99)
    assert nothing.weights_by.isna().all()
    assert nothing[["dropout", "weights", "difference", "dropout_gain"]].isna().all(axis=None)
    assert nothing.plain.notna().all()


def test_intervals_of_the_table_hold_the_value_and_widen_with_noise():
    quiet, loud = (contrasts.by_graph(worlds.results("true", noise=noise)) for noise in (0.002, 0.02))
    for table in (quiet, loud):
        assert ((table.low < table.difference) & (table.difference < table.high)).all()
        gain = table.measure.map(lambda measure: worlds.gain("true", measure, worlds.STRONGEST))
        assert ((table.dropout_gain_low < gain) & (table.dropout_gain_high > gain)).mean() > 0.8
    width = [(table.high - table.low).mean() for table in (quiet, loud)]
    assert width[1] > 5 * width[0]


def test_the_order_of_rows_does_not_matter():
    a, b = (contrasts.by_graph(r) for r in (synthetic.results(), synthetic.shuffled(synthetic.results())))
    pd.testing.assert_frame_equal(a, b, check_exact=False, rtol=1e-9)


def test_a_lead_is_the_mean_over_the_graphs_of_a_family():
    found = worlds.results("true")
    graphs = contrasts.levels(found.modules, accuracy_filter.trained_networks(found))
    for family, gain in (("upstream", 0.3), ("downstream", 0.065), (None, (0.3 + 0.065) / 2)):
        assert contrasts.lead(graphs, "dropout", "plain", family).value == pytest.approx(gain, abs=0.01)
        assert contrasts.lead(graphs, "dropout", "weights", family).value == pytest.approx(
            gain - 0.05, abs=0.01
        )
        assert contrasts.lead(graphs, "weights", "plain", family).value == pytest.approx(0.05, abs=0.01)


def test_what_a_lead_is_larger_by_upstream_is_of_the_same_seeds():
    """What moves both families of a seed together is no uncertainty about their difference."""
    found = worlds.results("true", seeds=6)
    networks = accuracy_filter.trained_networks(found)
    dropout = found.modules.network.str.startswith("dropout=0.6")
    seed = found.modules.network.str.extract(r"seed=(\d+)")[0].astype(int)
    before = contrasts.lead_upstream_less_downstream(contrasts.levels(found.modules, networks))
    found.modules.loc[dropout, "q"] += 0.02 * (-1.0) ** seed[dropout]
    graphs = contrasts.levels(found.modules, networks)
    after = contrasts.lead_upstream_less_downstream(graphs)
    assert before.value == pytest.approx(0.25 - 0.015, abs=0.005)
    assert after.value == pytest.approx(before.value, abs=1e-9)
    assert after.high - after.low == pytest.approx(before.high - before.low, abs=1e-9)
    upstream = contrasts.lead(graphs, "dropout", "weights", "upstream")
    assert upstream.high - upstream.low > 3 * (after.high - after.low)


def test_only_one_level_is_left_of_a_graph():
    q = np.arange(24.0).reshape(3, 8)
    (graph,) = contrasts.levels(*tables(q, LEVELS))
    one = contrasts.only(graph, ("dropout", 0.1 * 2), ("l1", 1e-4))
    np.testing.assert_array_equal(one.dropout, q[:, [LEVELS.index(("dropout", 0.1 * 2))]])
    np.testing.assert_array_equal(one.weights, q[:, [LEVELS.index(("l1", 1e-4))]])
    np.testing.assert_array_equal(one.plain, graph.plain)
    lost = contrasts.only(graph, ("dropout", 0.1 * 2), ("l1", 1.0))
    assert (lost.dropout.shape, lost.weights.shape, lost.weights_levels) == ((3, 1), (3, 0), ())
    assert contrasts.best_levels(graph) == (LEVELS[7], LEVELS[2])  # those of the largest q


def test_the_frontier_names_how_many_levels_there_are_to_choose_from():
    found = synthetic.results(accuracy={("dropout", 0.6, seed): 0.9 for seed in range(3)})
    table = contrasts.frontier(found, (0.85, 0.93, 0.99)).set_index(["accuracy", "family"])
    for name in ("upstream", "downstream"):
        assert table.value[0.85, name] == pytest.approx(0.3 - 0.04)
        assert table.value[0.93, name] == pytest.approx(0.1 - 0.04)
        assert np.isnan(table.value[0.99, name])
    assert table.dropout.to_list() == [2, 2, 1, 1, 0, 0]
    assert table.penalties.to_list() == [3, 3, 3, 3, 0, 0]
