"""Other experiments side by side: made-up worlds whose differences are known beforehand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.book.chapters.elsewhere import tables as elsewhere
from modlib.measures import DOWNSTREAM, UPSTREAM
from modlib.paper import multiverse
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


def of(table, found, **options):
    """Make a table of the chapter from these experiments instead of those that are stored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elsewhere, "load_experiments", lambda _: found)
        return table("paper", **options)


def by_effect(results, **options):
    return elsewhere.effects_of(results, **options).set_index(["effect", "of"])


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
    found = elsewhere.load_experiments("paper")
    assert list(found) == ["base", "wide"]
    pd.testing.assert_frame_equal(found["wide"].networks, stored["wide"].networks)


def test_experiments_are_described_with_what_they_cost():
    lost = with_accuracy(world(name="base-v1"), {("l2", 1e-2): 0.5, ("dropout", 0.6): 0.9})
    found = {"base-v1": lost, "wide": world(name="wide"), "fashion": world(name="fashion")}
    table = of(elsewhere.experiments, found).set_index("experiment")
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
    assert table.dropped.to_list() == [4, 0, 0]
    assert table.analysis_share.to_list() == pytest.approx([26 / 120] * 3)


def test_analysis_is_told_in_multiples_of_that_of_base_v1():
    found = {"base-v1": world(name="base-v1", seeds=3), "wide": world(name="wide", seeds=2)}
    networks = [len(results.networks) for results in found.values()]
    times = of(elsewhere.experiments, found).set_index("experiment").times_v1
    assert times.to_list() == pytest.approx([1, networks[0] / networks[1]])  # as long for fewer networks
    assert of(elsewhere.experiments, {"wide": found["wide"]}).times_v1.isna().all()


# --- Q beside that of untrained networks


def test_a_shift_of_all_q_moves_q_but_not_the_excess():
    """As another number of units does; a shift of trained networks alone is no matter of size."""
    before = world()
    shifted = with_q(before, -0.1)
    trained_only = before
    for prefix in ("l1", "l2", "dropout"):
        trained_only = with_q(trained_only, -0.1, prefix)
    tables = [of(elsewhere.q_curves, {"base": r}) for r in (before, shifted, trained_only)]
    q, excess = ([table[table.scale == scale] for table in tables] for scale in ("q", "excess"))
    for column in ("value", "low", "high"):
        assert q[1][column].to_numpy() == pytest.approx(q[0][column] - 0.1)
        assert excess[1][column].to_numpy() == pytest.approx(excess[0][column])
        assert excess[2][column].to_numpy() == pytest.approx(excess[0][column] - 0.1)


def test_the_excess_is_over_the_experiments_own_untrained_networks():
    found = {"base": world(), "wide": with_q(world(name="wide"), -0.07, "none")}
    table = of(elsewhere.strongest_dropout, found)
    assert (table.strength == 0.6).all()
    means = table.groupby("experiment").value.mean()
    gains = (0.3 + 0.065) / 2  # upstream, downstream
    assert means["base"] == pytest.approx(0.3 + gains - 0.2, abs=0.005)
    assert means["wide"] == pytest.approx(0.3 + gains - 0.13, abs=0.005)
    assert not table.duplicated(["experiment", "layer", "measure"]).any()


@pytest.mark.parametrize(("seeds", "there"), [(2, False), (3, True)])
def test_two_seeds_have_a_mean_and_no_interval(seeds, there):
    """Of three seeds, so many pass the filter at the strongest dropout."""
    results = world(seeds=3)
    networks = results.networks.copy()
    networks.loc[(networks.strength == 0.6) & (networks.seed >= seeds), "test_accuracy"] = 0.5
    table = of(elsewhere.q_curves, {"base": replace(results, networks=networks)})
    here = table.strength == 0.6
    assert (table[here].seeds == seeds).all()
    for column in ("low", "high"):
        assert (table[here][column].notna() == there).all()
        assert table[~here][column].notna().all()
    assert table.value.notna().all()


def test_the_strongest_dropout_is_the_strongest_that_passes_the_filter():
    results = with_accuracy(world(name="wide"), {("dropout", 0.6): 0.5})
    table = of(elsewhere.strongest_dropout, {"base": world(), "wide": results})
    strengths = table.groupby("experiment").strength.unique()
    assert [strengths[name].tolist() for name in ("base", "wide")] == [[0.6], [0.2]]
    values = table.set_index(["experiment", "measure", "layer"]).value
    both = [values[name, "input_cov", 1] for name in ("base", "wide")]
    assert both == pytest.approx([0.4, 0.2], abs=0.005)
    experiments = of(elsewhere.experiments, {"wide": results})
    assert experiments.strongest.item() == pytest.approx(0.5)  # of the grid


# --- one effect at a time


@pytest.mark.parametrize("truth", ["true", "false", "noise"])
def test_matched_leads_and_agreement_are_those_of_the_multiverse(truth):
    results = world(truth)
    found = by_effect(results)
    default = multiverse.effects(results, ("default", "metric")).set_index(["choice", "effect"])
    names = {("matched", of): ("default", effect) for effect, of in multiverse.FAMILY_OF.items()}
    names[("agreement", "ami")] = ("default", multiverse.AGREEMENT_EFFECT)
    names[("agreement", "ecs")] = ("ecs", multiverse.AGREEMENT_EFFECT)
    assert len(names) == 4
    for effect, row in names.items():
        for field in ("value", "low", "high", "n", "p"):
            assert found.loc[effect, field] == default.loc[row, field]


def test_each_margin_of_accuracy_lets_its_penalties_in():
    """L1 is half a point behind dropout, with a gain of 1; L2 is six points behind, with a gain of 2."""
    levels = {("l1", 1e-3): 0.955, ("l2", 1e-2): 0.9, ("l2", 1e-5): 0.97, ("dropout", 0.6): 0.96}
    results = with_accuracy(world(), levels)
    results = with_q(with_q(results, 0.95, "l1="), 1.98, "l2=0.01,")
    found = by_effect(results)
    for family, gain in (("upstream", 0.3), ("downstream", 0.065)):  # of dropout, over plain networks
        for effect, best, rivals in (("matched", 0.0, 1), ("nearly", 1.0, 2), ("all", 2.0, 3)):
            row = found.loc[effect, family]
            assert row.value == pytest.approx(gain - best, abs=0.005)
            assert row.rivals == rivals


def test_each_family_has_its_own_lead():
    before, results = by_effect(world()), world()
    modules = results.modules.copy()
    downstream = modules.measure.isin(DOWNSTREAM)
    modules.loc[downstream & modules.network.str.startswith("dropout"), "q"] -= 0.2
    after = by_effect(replace(results, modules=modules))
    for effect in elsewhere.MARGINS:
        assert after.value[effect, "upstream"] == before.value[effect, "upstream"]
        moved = after.value[effect, "downstream"] - before.value[effect, "downstream"]
        assert moved == pytest.approx(-0.2, abs=1e-9)
        assert after.high[effect, "downstream"] < 0 < after.low[effect, "upstream"]


def test_table_of_effects_has_a_row_an_experiment_and_effect():
    found = {"base": world(), "deep": world("false", "deep", layers=(1, 2, 3))}
    table = of(elsewhere.effects, found)
    assert len(table) == (3 * 2 + 2) * 2
    assert not table.duplicated(["experiment", "effect", "of"]).any()
    assert (table[table.experiment == "base"].low > 0).all()
    assert (table[table.experiment == "deep"].high < 0).all()
    for name, results in found.items():
        here = table[table.experiment == name].drop(columns="experiment").reset_index(drop=True)
        pd.testing.assert_frame_equal(elsewhere.effects_of(results), here)


def test_two_seeds_give_no_interval_of_a_lead():
    found = by_effect(world(seeds=2))
    assert math.isfinite(found.value["matched", "upstream"])
    assert math.isnan(found.low["matched", "upstream"])


def test_best_levels_stand_beside_untrained_networks():
    found = {"base": world("true"), "fashion": world("noise", "fashion")}
    best = of(elsewhere.best_levels, found)
    assert len(best) == 2 * 16
    base = best[best.experiment == "base"]
    assert (base.untrained.round(1) == 0.2).all()
    upstream = base[base.measure.isin(UPSTREAM)]
    for level, excess in {"plain": 0.1, "dropout": 0.4, "weights": 0.15}.items():
        np.testing.assert_allclose(base[f"{level}_excess"], base[level] - base.untrained)
        np.testing.assert_allclose(upstream[f"{level}_excess"], excess, atol=0.005)


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
    table = of(elsewhere.filters, {"base": base, "fashion": results})
    kept = table.groupby("filter", sort=False).kept.first()
    assert kept.to_dict() == {"paper": 12, "scaled": 16, "none": 20}
    assert table.groupby("filter", sort=False).least.first()["scaled"] == pytest.approx(0.7276, abs=1e-4)
    values = table.set_index(["filter", "effect", "of"]).value
    assert values["paper", "all", "upstream"] == pytest.approx(0.3, abs=0.005)
    assert values["scaled", "all", "upstream"] == pytest.approx(0.3 - 1.05, abs=0.005)
    for family in ("upstream", "downstream"):  # what is let in is not as accurate anyway
        assert values["none", "matched", family] == values["paper", "matched", family]
    assert of(elsewhere.filters, {"base": base}).empty
    exercise = of(elsewhere.filters, {"base": base}, experiment="base")
    assert exercise["filter"].unique().tolist() == ["paper", "scaled", "none"]


# --- depth


def depth(results):
    table = of(elsewhere.change_with_depth, {"deep": results})
    return table.set_index(["pair", "statistic"])


def test_change_with_depth_is_found_with_its_sign():
    results = world(layers=(1, 2, 3, 4, 5))
    agreement = results.agreement.copy()
    slope = agreement.family_pair.map({"across": 0.02, "downstream": -0.03, "upstream": 0.0})
    agreement["ami"] += slope * agreement.layer
    found = depth(replace(results, agreement=agreement))
    for pair, sign, change in (("across", 1, 0.08), ("downstream", -1, -0.12)):
        assert found.value[pair, "last less first"] == pytest.approx(change, abs=0.002)
        assert found.n[pair, "last less first"] == 4
        assert found.value[pair, "rank correlation"] == pytest.approx(sign)
    assert abs(found.value["upstream", "last less first"]) < 0.002
    assert abs(found.value["upstream", "rank correlation"]) < 0.9


def test_two_layers_have_a_difference_and_no_trend():
    found = depth(world())
    assert math.isfinite(found.value["across", "last less first"])
    assert set(found.index.get_level_values("statistic")) == {"last less first"}


def test_a_trend_of_too_few_seeds_has_a_value_and_no_interval():
    found = depth(world(layers=(1, 2, 3), seeds=3)).loc[("across", "rank correlation")]
    assert math.isfinite(found.value)
    assert found.n == 3
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_only_plain_networks_tell_of_depth():
    results = world(layers=(1, 2, 3))
    agreement = results.agreement.copy()
    regularised = ~agreement.network.str.startswith(("none", "l2=1e-05,"))
    agreement.loc[regularised, "ami"] += 3.0 * agreement.layer
    found = depth(replace(results, agreement=agreement)).value.xs("last less first", level="statistic")
    assert found.abs().max() < 0.005


def test_agreement_by_layer_keeps_experiments_layers_and_training_apart():
    found = {"base": world("true"), "deep": world("false", "deep", layers=(1, 2, 3))}
    table = of(elsewhere.agreement_by_layer, found)
    assert len(table) == 2 * 2 * 3 * (2 + 3)
    values = table.set_index(["metric", "experiment", "trained", "layer", "family_pair"]).value
    ecs, ami = values["ecs"], values["ami"]
    assert ecs["base", True, 2, "upstream"] == pytest.approx(0.7, abs=0.005)
    assert ecs["base", False, 1, "upstream"] == pytest.approx(0.5, abs=0.005)
    assert ecs["deep", True, 3, "across"] == pytest.approx(0.5, abs=0.005)
    assert ecs["deep", False, 3, "downstream"] == pytest.approx(0.1, abs=0.005)
    assert ami["base", True, 2, "upstream"] == pytest.approx(0.5, abs=0.005)  # .6 at the strongest levels
    assert ami["base", False, 2, "downstream"] == pytest.approx(0.5, abs=0.005)


# --- agreement at levels, and by training


def test_agreement_is_told_at_four_levels():
    found = {"base": world(), "fashion": with_accuracy(world(name="fashion"), {("dropout", 0.6): 0.5})}
    table = of(elsewhere.agreement_at_levels, found)
    assert len(table) == 2 * 4 * 3
    rows = table.set_index(["experiment", "level", "pair"])
    for level, upstream, across in (
        ("untrained", 0.3, 0.0),
        ("weakest L2", 0.5, 0.1),
        ("strongest dropout", 0.6, 0.2),
        ("strongest L2", 0.6, 0.2),
    ):
        for pair, value in (("upstream", upstream), ("across", across)):
            row = rows.loc["base", level, pair]
            assert row.value == pytest.approx(value, abs=0.005)
            assert row.low < row.value < row.high
    # whose networks still learn: at the next weaker dropout agreement is as in plain networks
    weaker = rows.loc["fashion", "strongest dropout", "across"]
    assert (weaker.strength, round(weaker.value, 1)) == (0.2, 0.1)


def test_two_seeds_at_a_level_have_no_interval():
    results = world(seeds=3)
    networks = results.networks.copy()
    networks.loc[networks.network == "dropout=0.6,seed=2", "test_accuracy"] = 0.5
    table = of(elsewhere.agreement_at_levels, {"base": replace(results, networks=networks)})
    few = table.level == "strongest dropout"
    assert (table[few].seeds == 2).all()
    assert table[few][["low", "high"]].isna().all(axis=None)
    assert table[~few][["low", "high"]].notna().all(axis=None)


def test_training_changes_agreement_by_plain_less_untrained_of_other_seeds():
    results = world("true", "wide")
    table = of(elsewhere.agreement, {"wide": results}).set_index(["experiment", "metric", "pair"])
    for metric, trained, untrained in (("ami", 0.5, 0.3), ("ecs", 0.7, 0.5)):
        upstream = table.loc["wide", metric, "upstream"]
        assert upstream.trained == pytest.approx(trained, abs=0.005)  # AMI is .6 at the strongest levels
        assert upstream.untrained == pytest.approx(untrained, abs=0.005)
        assert upstream.value == pytest.approx(trained - untrained, abs=0.005)
        assert upstream.low > 0
    agreement, networks = results.agreement.copy(), results.networks
    seeds = networks[networks.trained].seed
    begun = networks[~networks.trained & networks.seed.isin(seeds)].network
    agreement.loc[agreement.network.isin(begun), "ami"] += 0.1
    moved = of(elsewhere.agreement, {"wide": replace(results, agreement=agreement)})
    pd.testing.assert_frame_equal(moved.set_index(["experiment", "metric", "pair"]), table)


# --- what is cited


def test_an_experiment_that_is_not_stored_has_no_rows(stored):
    for make in (
        elsewhere.experiments,
        elsewhere.agreement,
        elsewhere.effects,
        elsewhere.agreement_at_levels,
    ):
        assert set(make("paper").experiment) == set(stored)
    assert elsewhere.filters("paper").empty


def test_the_bound_of_a_network_left_out_does_not_shift_the_level():
    """Accuracies of a level average to a rounding below their common value: it still matches."""
    results = with_accuracy(world(), dict.fromkeys(worlds.LEVELS, 0.1 + 0.2 + 0.6))
    found = by_effect(results)
    assert found.rivals["matched", "upstream"] == 3
    assert np.isclose(found.value["matched", "upstream"], found.value["all", "upstream"])


def test_signs_explain_the_fall_of_the_normalised_output_gradient_and_not_of_the_raw_one():
    """What the prose says, from the stored table; every network of it passes the accuracy filter."""
    found = elsewhere.output_gradient_by_sign("paper").set_index(["normalized", "sign", "of"]).sort_index()
    assert (found.n == 9).all()
    assert (found.loc[(slice(None), "absolute"), "high"] < 0).all()
    assert (found.low[True, "signed"] > 0).all()  # of Q and of its excess
    assert found.low[False, "signed", "q"] < 0 < found.high[False, "signed", "q"]
    assert found.high[False, "signed", "excess"] < 0
    networks = store.read_results(catalogue.get("fashion", "paper")).networks
    dropout = networks[(networks.regularizer == "dropout") & (networks.strength == 0.7)]
    assert dropout.test_accuracy.min() >= 0.8


def test_base_and_wide_change_their_order_between_q_and_its_excess_where_the_exercise_says():
    """Input gradient of the first layer, at the strengths that both grids have."""
    curves = elsewhere.q_curves("paper")
    ours = (curves.measure == "input_grad") & (curves.layer == 1) & curves.experiment.isin(["base", "wide"])
    keys = ["regularizer", "strength", "scale"]
    wide = curves[ours].pivot_table(index=keys, columns="experiment", values="value").dropna()
    ahead = (wide.base > wide.wide).unstack()
    changed = ahead.index[ahead.q != ahead.excess]
    assert set(changed) == {("dropout", 0.2), ("l1", 1e-3)}
    assert ahead.q[changed].all()


def test_a_change_by_sign_is_that_of_the_networks_it_is_said_of(monkeypatch):
    """Q at the strongest dropout is larger by .1 with signs, smaller by .1 without; rotations rise by .04."""
    rows = [
        {
            "network": f"{level},seed={seed}", "experiment": experiment, "measure": measure, "layer": layer,
            "normalized": normalized, "algorithm": algorithm, "sign": sign, "setting": setting,
            "q": 0.3 + 0.01 * seed + (change if level == "dropout=0.7" else 0.0),
            "null_q": 0.05 * seed + (0.04 if level == "dropout=0.7" else 0.0),
        }
        for seed in range(4)
        for level in ("l2=1e-05", "dropout=0.5", "dropout=0.7")
        for normalized in (False, True)
        for sign, change in (("absolute", -0.1), ("signed", 0.1))
        for experiment, measure, layer, algorithm, setting in (
            ("fashion", "output_grad", 1, "modularity", 1.0),
            ("fashion", "output_grad", 2, "modularity", 1.0),
            ("fashion", "output_grad", 1, "modularity", 2.0),
            ("fashion", "output_grad", 1, "constant Potts", 1.0),
            ("fashion", "output_hess", 1, "modularity", 1.0),
            ("close-up", "output_grad", 1, "modularity", 1.0),
        )
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    asked = (table.experiment == "fashion") & (table.measure == "output_grad") & (table.layer == 1)
    asked &= (table.algorithm == "modularity") & (table.setting == 1.0)
    table.loc[~asked, "q"] = 9.0
    monkeypatch.setattr(elsewhere.specifications, "read", lambda name: table if name == "modules" else None)
    found = elsewhere.output_gradient_by_sign("paper").set_index(["normalized", "sign", "of"])
    assert len(found) == 8
    for (_, sign, of), row in found.iterrows():
        change = (-0.1 if sign == "absolute" else 0.1) - (0.04 if of == "excess" else 0.0)
        assert [row.value, row.low, row.high, row.n] == pytest.approx([change] * 3 + [4])
