"""Other experiments side by side: made-up worlds whose differences are known beforehand."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.book.chapters.elsewhere import tables as elsewhere
from modlib.book.chapters.elsewhere.tables import ALL_LEVELS, MATCHED, NEARLY, WITHIN
from modlib.paper import multiverse
from modlib.stats import intervals
from modlib.study import catalogue, schema, store


def world(truth="true", name="base", **options):
    """Tables that say they are of an experiment of that name."""
    manifest = {
        "config": catalogue.get(name, "paper").config,
        "device": "cpu (x)",
        "seconds": {"training": 120.0, "analysis": 26.0},
    }
    return replace(worlds.results(truth, **options), manifest=manifest)


def with_accuracy(results, levels):
    networks = results.networks.copy()
    for (regularizer, strength), accuracy in levels.items():
        here = (networks.regularizer == regularizer) & (networks.strength == strength)
        networks.loc[here, "test_accuracy"] = accuracy
    return replace(results, networks=networks)


def with_q(results, change, prefix="", layer=None):
    """Change Q of the networks whose name starts with `prefix`."""
    modules = results.modules.copy()
    here = modules.network.str.startswith(prefix)
    if layer is not None:
        here &= modules.layer == layer
    modules.loc[here, "q"] += change
    return replace(results, modules=modules)


def by_effect(results, layer=0, **options):
    return {e: found for at, e, found in elsewhere.effects_of(results, **options) if at == layer}


def write(name, results):
    tables = {table: getattr(results, table) for table in schema.TABLES}
    about = {key: results.manifest[key] for key in ("device", "seconds")}
    store.write_results(catalogue.get(name, "paper"), tables, {}, about)


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """Only `base` and `wide`, in a folder of their own."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    worlds_stored = {name: world(name=name, rng=i, seeds=3) for i, name in enumerate(("base", "wide"))}
    for name, results in worlds_stored.items():
        write(name, results)
    return worlds_stored


# --- what there is


def test_only_what_is_stored_is_loaded_and_nothing_else_is_computed(stored):
    found = elsewhere.load("paper")
    assert list(found) == ["base", "wide"]
    pd.testing.assert_frame_equal(found["wide"].networks, stored["wide"].networks)


def test_overview_says_what_an_experiment_is_and_what_it_cost():
    lost = with_accuracy(world(name="base-v1"), {("l2", 1e-2): 0.5, ("dropout", 0.6): 0.9})
    found = {"base-v1": lost, "wide": world(name="wide"), "fashion": world(name="fashion")}
    table = elsewhere.overview(found).set_index("experiment")
    assert table.protocol.to_list() == ["arXiv v1", "final", "final"]
    assert table.hidden.to_list() == ["64-64", "256-256", "64-64"]
    assert table.data.to_list() == ["MNIST", "MNIST", "Fashion-MNIST"]
    assert table.trained.to_list() == [20] * 3
    assert table.kept.to_list() == [16, 20, 20]
    assert table.seeds.to_list() == [4] * 3
    assert table.untrained.to_list() == [10] * 3
    assert table.plain.to_list() == pytest.approx([0.97] * 3, abs=1e-3)
    assert table.strongest["base-v1"] == pytest.approx(0.9)
    assert table.training.to_list() == pytest.approx([2.0] * 3)
    assert table.each.to_list() == pytest.approx([26 / 30] * 3)  # 26 s, 30 networks


# --- Q beside that of untrained networks


def test_a_shift_of_all_q_moves_q_but_not_the_excess():
    """As another number of units does; a shift of trained networks alone is no matter of size."""
    before = world()
    shifted = with_q(before, -0.1)
    trained_only = before
    for prefix in ("l1", "l2", "dropout"):
        trained_only = with_q(trained_only, -0.1, prefix)
    tables = [elsewhere.q_curves({"base": r}) for r in (before, shifted, trained_only)]
    assert tables[1].q.to_numpy() == pytest.approx(tables[0].q - 0.1)
    for column in ("excess", "excess_low", "excess_high"):
        assert tables[1][column].to_numpy() == pytest.approx(tables[0][column])
        assert tables[2][column].to_numpy() == pytest.approx(tables[0][column] - 0.1)


def test_the_excess_is_over_the_experiments_own_untrained_networks():
    found = {"base": world(), "wide": with_q(world(name="wide"), -0.07, "none")}
    table = elsewhere.q_curves(found).query("regularizer == 'dropout' and strength == 0.6")
    means = table.groupby("experiment").excess.mean()
    assert means["base"] == pytest.approx(0.4, abs=0.005)  # .3 and a gain of .3, less .2
    assert means["wide"] == pytest.approx(0.47, abs=0.005)
    assert not table.duplicated(["experiment", "layer", "measure"]).any()


@pytest.mark.parametrize(("seeds", "there"), [(2, False), (3, True)])
def test_two_seeds_have_a_mean_and_no_interval(seeds, there):
    """Of three seeds, so many pass the filter at the strongest dropout."""
    results = world(seeds=3)
    networks = results.networks.copy()
    networks.loc[(networks.strength == 0.6) & (networks.seed >= seeds), "test_accuracy"] = 0.5
    table = elsewhere.q_curves({"base": replace(results, networks=networks)})
    here = table.strength == 0.6
    assert (table[here].seeds == seeds).all()
    for column in ("low", "high", "excess_low", "excess_high"):
        assert (table[here][column].notna() == there).all()
        assert table[~here][column].notna().all()
    assert table[["q", "excess"]].notna().all(axis=None)


# --- the two findings as numbers


@pytest.mark.parametrize("truth", ["true", "false", "noise"])
def test_first_and_last_effect_are_those_of_the_multiverse(truth):
    results = world(truth)
    found, default = by_effect(results), multiverse.default_effects(results)
    assert found[MATCHED] == default[multiverse.Q_EFFECT]
    assert found[WITHIN] == default[multiverse.AGREEMENT_EFFECT]


def test_each_margin_of_accuracy_lets_its_penalties_in():
    """L1 is half a point behind dropout and would win by .7; L2 six points, and by 1.7."""
    levels = {("l1", 1e-3): 0.955, ("l2", 1e-2): 0.9, ("l2", 1e-5): 0.97, ("dropout", 0.6): 0.96}
    results = with_accuracy(world(), levels)
    results = with_q(with_q(results, 0.95, "l1="), 1.98, "l2=0.01,")
    found = by_effect(results)
    assert found[MATCHED].value == pytest.approx(0.3, abs=0.005)
    assert found[NEARLY].value == pytest.approx(-0.7, abs=0.005)
    assert found[ALL_LEVELS].value == pytest.approx(-1.7, abs=0.005)
    assert [elsewhere.rivals(results, margin) for margin in elsewhere.MARGINS.values()] == [1, 2, 3]


def test_a_layer_by_itself_sees_that_layer_only():
    before = world()
    after = with_q(before, -0.2, "dropout", layer=2)
    values = [
        {(at, e): found.value for at, e, found in elsewhere.effects_of(r, by_layer=True)}
        for r in (before, after)
    ]
    for effect in (MATCHED, NEARLY, ALL_LEVELS):
        moved = [values[1][layer, effect] - values[0][layer, effect] for layer in (0, 1, 2)]
        assert moved == pytest.approx([-0.1, 0.0, -0.2], abs=1e-9)


def test_table_of_effects_has_a_row_an_experiment_layer_and_effect():
    found = {"base": world(), "deep": world("false", "deep", layers=(1, 2, 3))}
    table = elsewhere.effects(found)
    assert len(table) == 4 * (3 + 4)
    assert not table.duplicated(["experiment", "layer", "effect"]).any()
    assert (table[table.experiment == "base"].low > 0).all()
    assert (table[table.experiment == "deep"].high < 0).all()
    assert len(elsewhere.effects(found, by_layer=False)) == 8


def test_outcomes_are_counted_by_the_side_of_the_interval():
    found = {"base": world("true"), "wide": world("false", "wide"), "fashion": world("noise", "fashion")}
    best = elsewhere.best_levels(found)
    assert len(best) == 3 * 16
    scores = elsewhere.scores(best).set_index("experiment")
    assert scores.loc["base"].to_dict() == {"dropout": 16, "undecided": 0, "L1 or L2": 0}
    assert scores.loc["wide"].to_dict() == {"dropout": 0, "undecided": 0, "L1 or L2": 16}
    assert scores.loc["fashion", "undecided"] > 10
    assert (best[best.experiment == "base"].untrained.round(1) == 0.2).all()


# --- filters


def test_the_scaled_filter_asks_for_the_same_share_of_the_way_from_chance():
    base = with_accuracy(world(), {("l2", 1e-5): 0.97})
    assert elsewhere.scaled_filter(base, base) == pytest.approx(0.8)
    half = with_accuracy(base, {("l2", 1e-5): 0.1 + 0.87 / 2})
    assert elsewhere.scaled_filter(half, base) == pytest.approx(0.1 + 0.7 / 2)


def test_filters_decide_which_networks_take_part():
    base = with_accuracy(world(), {("l2", 1e-5): 0.97})
    levels = {("l2", 1e-5): 0.88, ("l1", 1e-3): 0.75, ("l2", 1e-2): 0.5}
    levels |= {("dropout", 0.2): 0.87, ("dropout", 0.6): 0.85}
    results = with_q(with_accuracy(world(name="fashion"), levels), 1.0, "l1=")
    table = elsewhere.filters(results, base)
    kept = table.groupby("filter", sort=False).kept.first()
    assert kept.to_dict() == {"0.8": 12, "scaled": 16, "none": 20}
    assert table.groupby("filter", sort=False).least.first()["scaled"] == pytest.approx(0.7276, abs=1e-4)
    values = table.set_index(["filter", "effect"]).value
    assert values["0.8", ALL_LEVELS] == pytest.approx(0.3, abs=0.005)
    assert values["scaled", ALL_LEVELS] == pytest.approx(0.3 - 1.05, abs=0.005)
    assert values["none", MATCHED] == values["0.8", MATCHED]  # those levels are not as accurate anyway


# --- depth


def test_change_with_depth_is_found_with_its_sign():
    results = world(layers=(1, 2, 3, 4, 5))
    agreement = results.agreement.copy()
    slope = agreement.family_pair.map({"across": 0.02, "downstream": -0.03, "upstream": 0.0})
    agreement["ecs"] += slope * agreement.layer
    deep = replace(results, agreement=agreement)
    for pair, sign, change in (("across", 1, 0.08), ("downstream", -1, -0.12)):
        found, trend = elsewhere.change_with_depth(deep, pair)
        assert found.value == pytest.approx(change, abs=0.002)
        assert found.n == 4
        assert trend.value == pytest.approx(sign)
    found, trend = elsewhere.change_with_depth(deep, "upstream")
    assert abs(found.value) < 0.002
    assert abs(trend.value) < 0.9


def test_two_layers_have_a_difference_and_no_trend():
    found, trend = elsewhere.change_with_depth(world(), "across")
    assert math.isfinite(found.value)
    assert math.isnan(trend.value)
    assert trend.n == 0


def test_agreement_by_layer_keeps_experiments_layers_and_training_apart():
    found = {"base": world("true"), "deep": world("false", "deep", layers=(1, 2, 3))}
    table = elsewhere.agreement_by_layer(found)
    assert len(table) == 2 * 3 * (2 + 3)
    values = table.set_index(["experiment", "trained", "layer", "family_pair"]).value
    assert values["base", True, 2, "upstream"] == pytest.approx(0.7, abs=0.005)
    assert values["base", False, 1, "upstream"] == pytest.approx(0.5, abs=0.005)
    assert values["deep", True, 3, "across"] == pytest.approx(0.5, abs=0.005)
    assert values["deep", False, 3, "downstream"] == pytest.approx(0.1, abs=0.005)


# --- numbers in prose


@pytest.mark.parametrize(
    ("low", "high", "seeds", "words"),
    [
        (0.1, 0.2, 9, "above zero"),
        (-0.2, -0.1, 9, "below zero"),
        (-0.1, 0.1, 9, "not told from zero"),
        (math.nan, math.nan, None, "not told from zero"),
        (math.nan, math.nan, 3, "3 seeds: no interval"),
        (math.nan, math.nan, 1, "1 seed: no interval"),
    ],
)
def test_side_in_words(low, high, seeds, words):
    assert elsewhere.side(low, high, seeds) == words


def test_sides_that_are_shared_are_said_once():
    each = dict.fromkeys(["base", "wide", "deep"], "above zero")
    assert elsewhere.sides(each, "every experiment") == "above zero in every experiment"
    each |= {"wide": "not told from zero"}
    assert elsewhere.sides(each, "all") == "above zero in base and deep; not told from zero in wide"


def test_numbers_have_the_same_keys_whatever_is_stored(stored):
    some = elsewhere.numbers("paper")
    for name in ("base-v1", "deep", "fashion"):
        write(name, world(name=name, layers=(1, 2, 3) if name == "deep" else (1, 2), seeds=2))
    whole = elsewhere.numbers("paper")
    assert some.keys() == whole.keys()
    assert all(key.startswith("elsewhere_") for key in some)
    for name in ("base_v1", "deep", "fashion"):
        of = [key for key in some if key.startswith(f"elsewhere_{name}_")]
        assert len(of) > 50
        assert all(some[key] is None for key in of)
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert some["elsewhere_agreement_sides"] == "above zero in every experiment"
    assert some["elsewhere_fashion_filter_paper_sides"] is None
    said = "2 seeds: no interval in the first row and the second; above zero in the third"
    assert whole["elsewhere_fashion_filter_paper_sides"] == said
    assert whole["elsewhere_wide_times_slower"] == pytest.approx(16 / 23)  # as long for 23 networks as for 16


def test_numbers_have_the_same_keys_where_the_strongest_dropout_is_filtered_out(stored):
    whole = elsewhere.numbers("paper")
    write("wide", with_accuracy(stored["wide"], {("dropout", 0.6): 0.5}))
    found = elsewhere.numbers("paper")
    assert found.keys() == whole.keys()
    assert found["elsewhere_wide_strongest"] == pytest.approx(0.5)  # of the grid
    excess = [n["elsewhere_wide_strongest_input_cov_first"] for n in (whole, found)]
    assert excess == pytest.approx([0.4, 0.2], abs=0.005)  # of those kept


def test_a_trend_of_too_few_seeds_has_a_value_and_says_why_no_interval(stored, monkeypatch):
    without = intervals.Estimate(0.4, math.nan, math.nan, 3, math.nan, math.nan)
    monkeypatch.setattr(intervals, "trend", lambda *_: without)
    write("deep", world(name="deep", layers=(1, 2, 3), seeds=3))
    found = elsewhere.numbers("paper")
    assert found["elsewhere_deep_trend_across"] == 0.4
    assert found["elsewhere_deep_trend_across_low"] is None
    assert found["elsewhere_deep_trend_across_is"] == "3 seeds: no interval"


def test_numbers_are_those_of_the_statistics(stored):
    found = elsewhere.numbers("paper")
    effects = by_effect(stored["wide"])
    assert found["elsewhere_wide_matched"] == effects[MATCHED].value
    assert found["elsewhere_wide_all_high"] == effects[ALL_LEVELS].high
    assert found["elsewhere_wide_agreement_is"] == "above zero"
    assert found["elsewhere_wide_hidden"] == "256-256"
    assert found["elsewhere_wide_wins"] == 16
    assert found["elsewhere_wide_analysis_share"] == pytest.approx(26 / 120)
    assert found["elsewhere_wide_excess_dropout_input_grad_first"] == pytest.approx(0.4, abs=0.005)
    assert found["elsewhere_wide_strongest_output_grad_last"] == pytest.approx(0.4, abs=0.005)
    assert found["elsewhere_wide_excess_plain_input_cov_last"] == pytest.approx(0.1, abs=0.005)
    less = found["elsewhere_wide_ecs_trained_less_untrained_upstream"]
    assert less == pytest.approx(0.2, abs=0.005)
    assert found["elsewhere_wide_strongest_seeds"] == 3
    assert found["elsewhere_wide_trend_across"] is None  # two layers
    assert found["elsewhere_wide_trend_across_is"] is None


def test_the_bound_of_a_network_left_out_does_not_shift_the_level():
    """Accuracies of a level average to a rounding below their common value: it still matches."""
    results = with_accuracy(world(), dict.fromkeys(worlds.LEVELS, 0.1 + 0.2 + 0.6))
    assert elsewhere.rivals(results) == 3
    assert np.isclose(by_effect(results)[MATCHED].value, by_effect(results)[ALL_LEVELS].value)
