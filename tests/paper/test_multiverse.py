"""One choice changed at a time: what it should move moves, and nothing else does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.measures import family
from modlib.paper import contrasts, family_pairs, multiverse
from modlib.paper.multiverse import AGREEMENT_EFFECT, CHOSEN_METRICS, DOWNSTREAM_LEAD, UPSTREAM_LEAD
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
    # raw and normalised graphs have both leads, and without a measure there is one
    expected = {"default": 3, "metric": 6, "levels": 2, "accuracy filter": 9, "graphs": 6 + 2, "layer": 6}
    expected["graphs of all levels"] = 6
    assert counts == expected | {"images": 3, "optimiser": 3}
    assert not table.duplicated(["choice_kind", "choice", "effect"]).any()
    assert set(table[table.choice_kind == "images"].choice) == {"100"}
    assert set(table[table.choice_kind == "metric"].choice) == set(CHOSEN_METRICS)
    assert (table[table.choice_kind == "metric"].effect == AGREEMENT_EFFECT).all()
    columns = ["choice_kind", "choice", "effect", "value", "low", "high", "n", "p"]
    assert list(table.columns) == columns


def test_leaving_out_a_measure_touches_its_family_only(table):
    for choice, effect in (
        ("without the input gradient", UPSTREAM_LEAD),
        ("without the Hessian", DOWNSTREAM_LEAD),
    ):
        assert set(table[table.choice == choice].effect) == {effect}


def test_effects_are_those_of_the_world(table):
    """Agreement is that of five levels, at two of which it is lower by 0.1 across families by AMI."""
    corrected = 0.4
    expected = dict.fromkeys(("ecs", "matching", "rank_correlation"), 0.35) | {"vi": 0.35}
    for row in table.to_dict("records"):
        value = {UPSTREAM_LEAD: 0.25, DOWNSTREAM_LEAD: 0.015}.get(row["effect"])
        value = expected.get(row["choice"], corrected) if value is None else value
        assert row["value"] == pytest.approx(value, abs=0.006), row
        assert row["low"] < row["value"] < row["high"]
        assert row["n"] == 4


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
    metrics.clear()
    upstream = multiverse.effects(found, ("layer", "default"), (UPSTREAM_LEAD,))
    only = expected[expected.effect == UPSTREAM_LEAD].reset_index(drop=True)
    pd.testing.assert_frame_equal(upstream, only)
    assert metrics == []


def test_an_effect_that_is_reversed_has_the_other_sign():
    table = multiverse.effects(worlds.results("false"))
    assert (table.high < 0).all()


def test_a_choice_of_graphs_or_layers_sees_those_only(found, table):
    changed = found.modules.copy()
    upstream = changed.measure.map(family) == "upstream"
    here = upstream & changed.normalized & (changed.layer == 2) & changed.network.str.startswith("dropout")
    changed.loc[here, "q"] -= 0.4
    agreement = found.agreement.copy()
    agreement.loc[(agreement.layer == 2) & (agreement.family_pair == "across"), "ami"] += 0.2
    after, before = (
        values(multiverse.effects(replace(found, modules=changed, agreement=agreement))),
        values(table),
    )
    for choice, drop in (("raw only", 0.0), ("normalised only", 0.2)):
        key = ("graphs", choice, UPSTREAM_LEAD)
        assert after[key] == pytest.approx(before[key] - drop, abs=1e-9)
    for choice, drop in (("1 only", 0.0), ("2 only", 0.2)):
        for effect in (UPSTREAM_LEAD, AGREEMENT_EFFECT):
            assert after["layer", choice, effect] == pytest.approx(before["layer", choice, effect] - drop)
        key = ("layer", choice, DOWNSTREAM_LEAD)
        assert after[key] == pytest.approx(before[key], abs=1e-9)
    assert after["metric", "ecs", AGREEMENT_EFFECT] == before["metric", "ecs", AGREEMENT_EFFECT]
    assert after["images", "100", UPSTREAM_LEAD] == before["images", "100", UPSTREAM_LEAD]


def test_the_accuracy_filter_decides_who_takes_part(found):
    """Networks of one level are at .87, and their partitions agree across families."""
    networks, agreement = found.networks.copy(), found.agreement.copy()
    level = networks.regularizer == "l2"
    networks.loc[level & (networks.strength == 1e-2), "test_accuracy"] = 0.87
    here = agreement.network.str.startswith("l2=0.01,") & (agreement.family_pair == "across")
    agreement.loc[here, "ami"] = 1.0
    table = values(multiverse.effects(replace(found, networks=networks, agreement=agreement)))
    filters = table["accuracy filter"].xs(AGREEMENT_EFFECT, level="effect")
    assert filters["none"] == pytest.approx(table["default", "default", AGREEMENT_EFFECT])
    assert filters["at least 0.9"] == pytest.approx(0.4, abs=0.005)
    assert filters["none"] == pytest.approx((4 * 0.4 + (0.6 - 1.0)) / 5, abs=0.005)  # one of five levels


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
    default = values(multiverse.effects(results, ("default",)))["default", "default"]
    assert default[AGREEMENT_EFFECT] == pytest.approx(effect.mean())
    graphs = contrasts.levels(
        results.modules, trained, min_accuracy=contrasts.least_accurate_dropout(trained)
    )
    assert default[UPSTREAM_LEAD] == contrasts.lead(graphs, "dropout", "weights", "upstream").value


def test_a_filter_that_leaves_nothing(found):
    networks = found.networks.assign(test_accuracy=np.where(found.networks.trained, 0.93, 0.1))
    table = multiverse.effects(replace(found, networks=networks))
    strict = table[table.choice == "at least 0.95"]
    assert strict.value.isna().all()
    assert (strict.n == 0).all()


def test_pairs_of_a_measure_with_itself_never_count(table):
    """The world's rows with them have the opposite sign: none may be mixed in."""
    kinds = table[table.choice_kind.isin(["images", "optimiser"]) & (table.effect == AGREEMENT_EFFECT)]
    assert len(kinds) == 2
    assert (kinds.value > 0.3).all()
