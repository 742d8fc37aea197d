"""One choice changed at a time: what it should move moves, and nothing else does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.paper import contrasts, family_pairs, multiverse
from modlib.paper.multiverse import AGREEMENT_EFFECT, CHOSEN_METRICS, Q_EFFECT
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
    expected = {"default": 2, "metric": 6, "levels": 1, "accuracy filter": 6, "graphs": 6 + 3, "layer": 4}
    expected["graphs of all levels"] = 6
    assert counts == expected | {"images": 2, "optimiser": 2}
    assert not table.duplicated(["choice_kind", "choice", "effect"]).any()
    assert set(table[table.choice_kind == "images"].choice) == {"100"}
    assert set(table[table.choice_kind == "metric"].choice) == set(CHOSEN_METRICS) - {"ecs"}
    assert (table[table.choice_kind == "metric"].effect == AGREEMENT_EFFECT).all()
    columns = ["choice_kind", "choice", "effect", "value", "low", "high", "n", "p"]
    assert list(table.columns) == columns


def test_effects_are_those_of_the_world(table):
    expected = {"ami": 0.4, "ari": 0.4, "rmi": 0.4}  # ECS, and all that is made like it, .65 less .3
    for row in table.to_dict("records"):
        q = row["effect"] == Q_EFFECT
        value = 0.25 if q else expected.get(row["choice"], 0.35)
        assert row["value"] == pytest.approx(value, abs=0.005), row
        assert row["low"] < row["value"] < row["high"]
        assert row["p"] < 0.001
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
    assert metrics == ["ecs"] * 3


def test_an_effect_that_is_reversed_has_the_other_sign():
    table = multiverse.effects(worlds.results("false"))
    assert (table.high < 0).all()


def test_default_is_the_row_of_that_name(found, table):
    default = multiverse.default_effects(found)
    for effect, estimate in default.items():
        assert values(table)["default", "default", effect] == estimate.value


def test_a_choice_of_graphs_or_layers_sees_those_only(found, table):
    changed = found.modules.copy()
    here = changed.normalized & (changed.layer == 2) & changed.network.str.startswith("dropout")
    changed.loc[here, "q"] -= 0.4
    agreement = found.agreement.copy()
    agreement.loc[(agreement.layer == 2) & (agreement.family_pair == "across"), "ecs"] += 0.2
    after, before = (
        values(multiverse.effects(replace(found, modules=changed, agreement=agreement))),
        values(table),
    )
    for choice, drop in (("raw only", 0.0), ("normalised only", 0.2)):
        key = ("graphs", choice, Q_EFFECT)
        assert after[key] == pytest.approx(before[key] - drop, abs=1e-9)
    for choice, drop in (("1 only", 0.0), ("2 only", 0.2)):
        for effect in (Q_EFFECT, AGREEMENT_EFFECT):
            assert after["layer", choice, effect] == pytest.approx(before["layer", choice, effect] - drop)
    assert after["metric", "ami", AGREEMENT_EFFECT] == before["metric", "ami", AGREEMENT_EFFECT]
    assert after["images", "100", Q_EFFECT] == before["images", "100", Q_EFFECT]


def test_the_accuracy_filter_decides_who_takes_part(found):
    """Networks of one level are at .87, and their partitions agree across families."""
    networks, agreement = found.networks.copy(), found.agreement.copy()
    level = networks.regularizer == "l2"
    networks.loc[level & (networks.strength == 1e-2), "test_accuracy"] = 0.87
    here = agreement.network.str.startswith("l2=0.01,") & (agreement.family_pair == "across")
    agreement.loc[here, "ecs"] = 1.0
    table = values(multiverse.effects(replace(found, networks=networks, agreement=agreement)))
    filters = table["accuracy filter"].xs(AGREEMENT_EFFECT, level="effect")
    assert filters["none"] == pytest.approx(table["default", "default", AGREEMENT_EFFECT])
    assert filters["at least 0.9"] == pytest.approx(0.35, abs=0.005)
    assert filters["none"] == pytest.approx(0.35 - 0.7 / 5, abs=0.005)  # one of five levels


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
    default = multiverse.default_effects(results)
    assert default[AGREEMENT_EFFECT].value == pytest.approx(effect.mean())
    graphs = contrasts.levels(
        results.modules, trained, min_accuracy=contrasts.least_accurate_dropout(trained)
    )
    best = selection.difference_of_best([(graph.dropout, graph.weights) for graph in graphs])
    assert default[Q_EFFECT] == best


def test_a_filter_that_leaves_nothing(found):
    networks = found.networks.assign(test_accuracy=np.where(found.networks.trained, 0.93, 0.1))
    table = multiverse.effects(replace(found, networks=networks))
    strict = table[table.choice == "at least 0.95"]
    assert strict.value.isna().all()
    assert (strict.n == 0).all()


def test_pairs_of_a_measure_with_itself_count_as_by_default(table):
    """The world's rows without them have the opposite sign: none may be mixed in."""
    kinds = table[table.choice_kind.isin(["images", "optimiser"]) & (table.effect == AGREEMENT_EFFECT)]
    assert len(kinds) == 2
    assert (kinds.value > 0.3).all()
