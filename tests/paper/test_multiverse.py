"""One choice changed at a time: what it should move moves, and nothing else does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.measures import DOWNSTREAM, UPSTREAM
from modlib.paper import contrasts, family_pairs, multiverse
from modlib.paper.multiverse import (
    AGREEMENT_EFFECT,
    CHOSEN_METRICS,
    DOWNSTREAM_LEAD,
    EFFECTS,
    FAMILY_OF,
    UPSTREAM_LEAD,
)
from modlib.stats import selection
from modlib.study import accuracy_filter


@pytest.fixture(scope="module")
def found():
    return worlds.results("true")


@pytest.fixture(scope="module")
def table(found):
    return multiverse.effects(found)


def values(table):
    return table.set_index(["choice_kind", "choice", "effect"]).value


def test_every_choice_has_its_rows(table):
    counts = table.groupby("choice_kind").size().to_dict()
    expected = {"default": 3, "metric": 6, "levels": 2, "accuracy filter": 3 * 3, "layer": 2 * 3}
    # raw and normalised of all effects; without a measure of the lead of its family alone
    expected |= {"graphs": 2 * 3 + 2, "graphs of all levels": 2 * 2 + 2}
    assert counts == expected | {"images": 3, "optimiser": 3}
    assert not table.duplicated(["choice_kind", "choice", "effect"]).any()
    assert set(table[table.choice_kind == "images"].choice) == {"100"}
    assert set(table[table.choice_kind == "metric"].choice) == set(CHOSEN_METRICS)
    assert "ami" not in CHOSEN_METRICS  # it is the default
    assert (table[table.choice_kind == "metric"].effect == AGREEMENT_EFFECT).all()
    columns = ["choice_kind", "choice", "effect", "value", "low", "high", "n", "p"]
    assert list(table.columns) == columns


def test_effects_are_those_of_the_world(table):
    """AMI and its like differ by .4 at every level; ECS, and all that is made like it, by .65 less .3."""
    corrected = ("ami", "ari", "rmi")
    for row in table.to_dict("records"):
        if row["effect"] in FAMILY_OF:
            value = {UPSTREAM_LEAD: 0.25, DOWNSTREAM_LEAD: 0.015}[row["effect"]]
        else:
            value = 0.4 if row["choice_kind"] != "metric" or row["choice"] in corrected else 0.35
        assert row["value"] == pytest.approx(value, abs=0.005), row
        assert row["low"] < row["value"] < row["high"]
        assert row["p"] < 0.001
        assert row["n"] == 4


def test_a_measure_left_out_is_left_out_of_the_lead_of_its_family(found, table):
    gone = {"without the input gradient": UPSTREAM_LEAD, "without the Hessian": DOWNSTREAM_LEAD}
    for choice, effect in gone.items():
        assert set(table[table.choice == choice].effect) == {effect}
    changed = found.modules.copy()
    dropout = changed.network.str.startswith("dropout")
    for measure, step in (("input_grad", -0.2), ("output_hess", -0.4)):
        changed.loc[dropout & (changed.measure == measure), "q"] += step
    before, after = values(table), values(multiverse.effects(replace(found, modules=changed)))
    for effect, step in ((UPSTREAM_LEAD, -0.1), (DOWNSTREAM_LEAD, -0.2)):  # the mean of two measures
        key = ("default", "default", effect)
        assert after[key] == pytest.approx(before[key] + step, abs=1e-9)
    for kind in ("graphs", "graphs of all levels"):
        for choice, effect in gone.items():
            assert after[kind, choice, effect] == before[kind, choice, effect]


def test_some_kinds_are_rows_of_all_and_the_others_are_not_computed(found, table, monkeypatch):
    metrics = []
    real = family_pairs.families_by_seed

    def counted(agreement, kept, metric, **options):
        metrics.append(metric)
        return real(agreement, kept, metric, **options)

    monkeypatch.setattr(family_pairs, "families_by_seed", counted)
    some = multiverse.effects(found, ("layer", "default"))
    expected = table[table.choice_kind.isin(["layer", "default"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)
    assert metrics == ["ami"] * 3


def test_an_effect_that_is_reversed_has_the_other_sign():
    table = multiverse.effects(worlds.results("false"))
    assert (table.high < 0).all()


def test_a_choice_of_graphs_or_layers_sees_those_only(found, table):
    changed = found.modules.copy()
    here = changed.normalized & (changed.layer == 2) & changed.network.str.startswith("dropout")
    changed.loc[here, "q"] -= 0.4
    agreement = found.agreement.copy()
    agreement.loc[(agreement.layer == 2) & (agreement.family_pair == "across"), "ami"] += 0.2
    after, before = (
        values(multiverse.effects(replace(found, modules=changed, agreement=agreement))),
        values(table),
    )
    for effect in FAMILY_OF:
        for choice, drop in (("raw only", 0.0), ("normalised only", 0.2)):
            key = ("graphs", choice, effect)
            assert after[key] == pytest.approx(before[key] - drop, abs=1e-9)
    for choice, drop in (("1 only", 0.0), ("2 only", 0.2)):
        for effect in EFFECTS:
            assert after["layer", choice, effect] == pytest.approx(before["layer", choice, effect] - drop)
    assert after["metric", "ecs", AGREEMENT_EFFECT] == before["metric", "ecs", AGREEMENT_EFFECT]
    assert after["images", "100", UPSTREAM_LEAD] == before["images", "100", UPSTREAM_LEAD]


def test_the_accuracy_filter_decides_who_takes_part(found):
    """Networks of one level are at .87, and their partitions agree across families."""
    networks, agreement = found.networks.copy(), found.agreement.copy()
    level = networks.regularizer == "l2"
    networks.loc[level & (networks.strength == 1e-2), "test_accuracy"] = 0.87
    here = agreement.network.str.startswith("l2=0.01,") & (agreement.family_pair == "across")
    agreement.loc[here, "ami"] = 0.6
    table = values(multiverse.effects(replace(found, networks=networks, agreement=agreement)))
    filters = table["accuracy filter"].xs(AGREEMENT_EFFECT, level="effect")
    assert filters["none"] == pytest.approx(table["default", "default", AGREEMENT_EFFECT])
    assert filters["at least 0.9"] == pytest.approx(0.4, abs=0.005)
    assert filters["none"] == pytest.approx(0.4 - 0.4 / 5, abs=0.005)  # .4 to 0 at one of five levels


def test_the_default_filter_is_that_of_the_findings():
    accuracy = {("l2", 1e-2, seed): 0.1 for seed in range(3)} | {("dropout", 0.2, 0): 0.1}
    results = worlds.results("true")
    for (regularizer, strength, seed), value in accuracy.items():
        network = f"{regularizer}={strength},seed={seed}"
        results.networks.loc[results.networks.network == network, "test_accuracy"] = value
    kept = accuracy_filter.kept_networks(results)
    assert kept.trained.sum() == 20 - 4 - 1
    trained = kept[kept.trained]
    agreement = family_pairs.families_by_seed(results.agreement, trained, by_layer=False)
    effect = (agreement.upstream + agreement.downstream) / 2 - agreement.across
    default = multiverse.effects(results, ("default",)).set_index("effect")
    assert default.value[AGREEMENT_EFFECT] == pytest.approx(effect.mean())
    graphs = contrasts.levels(
        results.modules, trained, min_accuracy=contrasts.least_accurate_dropout(trained)
    )
    for name, measures in (("upstream", UPSTREAM), ("downstream", DOWNSTREAM)):
        (row,) = (default.loc[effect] for effect, of in FAMILY_OF.items() if of == name)
        of_family = [(graph.dropout, graph.weights) for graph in graphs if graph.key[1] in measures]
        assert len(of_family) == 8
        best = selection.difference_of_best(of_family)
        assert row[["value", "low", "high", "n", "p"]].to_list() == [
            best.value,
            best.low,
            best.high,
            best.n,
            best.p,
        ]


def test_a_filter_that_leaves_nothing(found):
    networks = found.networks.assign(test_accuracy=np.where(found.networks.trained, 0.93, 0.1))
    table = multiverse.effects(replace(found, networks=networks))
    strict = table[table.choice == "at least 0.95"]
    assert strict.value.isna().all()
    assert (strict.n == 0).all()


def test_pairs_of_a_measure_with_itself_are_left_out(found, table):
    """In the table `choices_agreement` rows that hold them have the opposite sign: none may be mixed in."""
    kinds = table[table.choice_kind.isin(["images", "optimiser"]) & (table.effect == AGREEMENT_EFFECT)]
    assert len(kinds) == 2
    assert (kinds.value > 0.3).all()
    own = found.agreement.measure_a == found.agreement.measure_b
    agreement = found.agreement.assign(ami=found.agreement.ami.where(~own, -5.0))
    other = multiverse.effects(replace(found, agreement=agreement))
    pd.testing.assert_frame_equal(other, table)
