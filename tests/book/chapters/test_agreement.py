"""Tables that prose on agreement and on the front page cites, on made-up results."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import synthetic
import worlds
from scipy import stats

from modlib.book import stored
from modlib.book.chapters.agreement import charts
from modlib.book.chapters.agreement import tables as agreement
from modlib.book.chapters.index import tables as front
from modlib.paper import by_level, contrasts, distance_from_paper, family_pairs, reported
from modlib.study.accuracy_filter import LEVEL

PAIRS = ("upstream", "downstream", "across")
#: What regularisation adds to agreement, on top of `synthetic.ECS`: at most levels nothing.
RISE = {("dropout", 0.6, "upstream"): 0.2, ("l2", 1e-2, "across"): 0.35, ("l1", 1e-3, "across"): -0.3}


def results(rise=None):
    """Made-up results whose agreement depends on the level; a measure agrees with itself at .95."""
    found = synthetic.results()
    table = found.agreement.merge(found.networks[["network", *LEVEL]], on="network")
    keys = zip(table.regularizer, table.strength, table.family_pair, strict=True)
    added = np.array([(RISE if rise is None else rise).get(key, 0.0) for key in keys])
    table["ami"] += added
    table["ecs"] += added + 0.1
    table.loc[table.measure_a == table.measure_b, ["ami", "ecs"]] = 0.95  # which no mean may hold
    return replace(found, agreement=table.drop(columns=LEVEL))


@pytest.fixture
def base(monkeypatch):
    found = results()
    monkeypatch.setattr(agreement, "run", lambda *_, **__: found)
    monkeypatch.setattr(agreement, "load_experiments", lambda _: {"base": found})
    return found


# --- by level


def test_levels_are_named_by_strength_and_by_what_they_stand_for(base):
    table = agreement.levels("paper").set_index(["metric", "level", "family_pair"])
    assert table.index.is_unique
    assert len(table) == 2 * 3 * (len(synthetic.LEVELS) + len(by_level.landmarks(base)))
    for pair in PAIRS:
        plain = synthetic.ECS[pair]
        row = table.loc["ami", "weakest L2", pair]
        assert row.value == pytest.approx(plain)
        assert row.high - row.value == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3))
        assert row.seeds == 3
        assert table.value["ecs", "weakest L2", pair] == pytest.approx(plain + 0.1)
        assert table.value["ami", "untrained", pair] == pytest.approx(plain - 0.1)
        for level, name in (("dropout", "dropout 0.6"), ("l1", "L1 0.001"), ("l2", "L2 0.01")):
            strongest = f"strongest {name.split()[0]}"
            expected = plain + RISE.get((level, float(name.split()[1]), pair), 0.0)
            assert table.value["ami", name, pair] == pytest.approx(expected)
            assert table.value["ami", strongest, pair] == pytest.approx(expected)


def test_the_strongest_level_is_the_strongest_whose_networks_learn():
    lost = {("dropout", 0.6, seed): 0.3 for seed in range(3)}
    found = by_level.landmarks(synthetic.results(accuracy=lost))
    assert found["strongest dropout"] == ("dropout", 0.2)
    assert found["weakest L2"] == ("l2", 1e-5)
    assert found["untrained"] == ("none", 0.0)
    assert "dropout 0.5" not in found  # there is none


def test_a_dropout_of_one_half_has_one_row(monkeypatch):
    found = results()
    networks = found.networks.replace({"strength": {0.2: 0.5}})
    monkeypatch.setattr(agreement, "run", lambda *_, **__: replace(found, networks=networks))
    table = agreement.levels("paper").query("metric == 'ami' and level == 'dropout 0.5'")
    assert sorted(table.family_pair) == sorted(PAIRS)


def test_differences_are_taken_seed_by_seed(base):
    # The offsets of the seeds are common to all pairs, so that differences of them do not vary.
    table = agreement.differences("paper").set_index(["experiment", "level", "compared"]).sort_index()
    assert "untrained" not in table.index.get_level_values("level")
    rows = {  # upstream, downstream, and across less half of within, which is 0 without a rise
        "weakest L2": (0.4, 0.2, 0.0),
        "strongest dropout": (0.4 + 0.2, 0.2, -0.2 / 4),
        "strongest L2": (0.4 - 0.35, 0.2 - 0.35, 0.35),
        "strongest L1": (0.4 + 0.3, 0.2 + 0.3, -0.3),
    }
    for level, (upstream, downstream, half) in rows.items():
        found = table.loc["base", level]
        assert found.value["upstream"] == pytest.approx(upstream)
        assert found.value["downstream"] == pytest.approx(downstream)
        assert found.value["half"] == pytest.approx(half, abs=1e-9)
        assert found.n["upstream"] == 3
        assert found.high["upstream"] - found.low["upstream"] == pytest.approx(0.0, abs=1e-9)


def test_experiments_stand_side_by_side(base, monkeypatch):
    other = results(rise={("l2", 1e-5, "upstream"): -0.4})
    monkeypatch.setattr(agreement, "load_experiments", lambda _: {"base": base, "fashion": other})
    table = agreement.experiments("paper").set_index(["experiment", "level", "family_pair"]).sort_index()
    assert table.index.is_unique
    assert table.value["base", "weakest L2", "upstream"] == pytest.approx(0.7)
    assert table.value["fashion", "weakest L2", "upstream"] == pytest.approx(0.3)
    shown = agreement.of_experiments("paper")
    assert list(shown.columns) == list(PAIRS)
    assert list(shown.loc["base"].index) == list(by_level.landmarks(base))
    assert shown.loc[("fashion", "weakest L2"), "upstream"] == pytest.approx(0.3)


def test_training_is_held_against_untrained_networks_of_other_seeds(base, monkeypatch):
    networks = base.networks.copy()
    networks.loc[~networks.trained, "seed"] += 1  # of which 1 and 2 are seeds that were trained
    table = base.agreement.copy()
    shared = networks[~networks.trained & networks.seed.isin([1, 2])].network
    table.loc[table.network.isin(shared), "ami"] = 9.0  # which must not be looked at
    found = replace(base, networks=networks, agreement=table)
    monkeypatch.setattr(agreement, "run", lambda *_, **__: found)
    rows = agreement.by_training("paper").set_index("family_pair")
    assert rows.value.to_dict() == pytest.approx(dict.fromkeys(PAIRS, 0.1))
    assert (rows.n == 2).all()


# --- over all levels


def test_families_of_trained_and_untrained_networks(base):
    table = agreement.families("paper").set_index(["metric", "family_pair", "networks"])
    assert len(table) == 2 * 3 * 2
    for pair, value in synthetic.ECS.items():
        risen = sum(by for (*_, risen), by in RISE.items() if risen == pair) / len(synthetic.LEVELS)
        row = table.loc["ami", pair, "trained"]
        assert row.value == pytest.approx(value + risen)
        assert row.low < row.value < row.high
        assert table.value["ecs", pair, "trained"] == pytest.approx(value + risen + 0.1)
        assert table.value["ami", pair, "untrained"] == pytest.approx(value - 0.1)


def test_a_mean_depends_on_how_levels_are_weighed(base):
    """Two of five levels are dropout, two L2 and one L1."""
    table = agreement.weighed("paper").set_index(["weighing", "family_pair"]).value
    assert table["levels", "upstream"] == pytest.approx(0.7 + 0.2 / 5)
    assert table["regularisers", "upstream"] == pytest.approx(0.7 + 0.2 / 2 / 3)
    assert table["levels", "across"] == pytest.approx(0.3 + (0.35 - 0.3) / 5)
    assert table["regularisers", "across"] == pytest.approx(0.3 + (0.35 / 2 - 0.3) / 3)
    grid = agreement.grid("paper").iloc[0]
    assert (grid.levels, grid.dropout) == (5, 2)


def test_the_spread_is_that_of_levels_and_leaves_untrained_networks_out(base):
    table = agreement.spread("paper").set_index("family_pair")
    assert table.loc["across"].to_list() == pytest.approx([0.0, 0.65])
    assert table.loc["downstream"].to_list() == pytest.approx([0.5, 0.5])


# --- the paper's


@pytest.fixture
def both(base, monkeypatch):
    v1 = worlds.results("true", seeds=5)
    monkeypatch.setattr(distance_from_paper, "both_protocols", lambda _: [("base", base), ("base-v1", v1)])
    return base, v1


def test_the_papers_values_stand_beside_ours_of_the_same_pairs(both):
    table = agreement.beside_paper("paper").set_index(["experiment", "family_pair"]).sort_index()
    published = agreement.published("paper").set_index("family_pair")
    for pair in PAIRS:
        row = table.loc["base", pair]
        risen = sum(by for (*_, risen), by in RISE.items() if risen == pair) / len(synthetic.LEVELS)
        assert row.trained == pytest.approx(synthetic.ECS[pair] + risen + 0.1)
        assert row.untrained == pytest.approx(synthetic.ECS[pair])
        for state, trained in (("trained", True), ("untrained", False)):
            assert row[f"paper_{state}"] == reported.family_ecs(pair, trained=trained)
            assert published.loc[pair, state] == row[f"paper_{state}"]


def test_distance_is_given_for_each_protocol_that_is_stored_and_for_different_measures(both):
    _, v1 = both
    found = agreement.distance("paper").set_index("experiment")
    table = distance_from_paper.ecs_beside_paper(v1)
    apart = (table.untrained - table.ecs_untrained).abs()
    different = table.measure_a != table.measure_b
    assert found.untrained["base-v1"] == pytest.approx(apart[different].mean())
    assert found.untrained["base-v1"] != pytest.approx(apart.mean())
    assert found.untrained["base-v1"] != found.untrained["base"]


def test_one_level_is_kept_beside_untrained_networks(base):
    found = agreement.at_one_level(base, ("dropout", 0.6))
    trained = found.networks[found.networks.trained]
    assert trained[LEVEL].drop_duplicates().to_numpy().tolist() == [["dropout", 0.6]]
    assert len(found.networks) == 3 + 4
    table = family_pairs.family_agreement(found).query("layer == 0 and trained").set_index("family_pair")
    assert table.ami["upstream"] == pytest.approx(0.9)


# --- the front page


def test_gains_by_family(monkeypatch):
    """Q gains .3 by dropout and .04 by penalties, and upstream .1 more by dropout."""
    found = synthetic.results()
    modules = found.modules.merge(found.networks[["network", "regularizer"]], on="network")
    upstream = modules.measure.str.startswith("input") & (modules.regularizer == "dropout")
    modules.loc[upstream, "q"] += 0.1
    found = replace(found, modules=modules.drop(columns="regularizer"))
    monkeypatch.setattr(front, "run", lambda *_, **__: found)
    monkeypatch.setattr(front.stored, "experiments", lambda *_: {})
    table = front.gains("paper").set_index(["experiment", "levels", "family"]).sort_index()
    assert len(table) == 2 * 2
    for compared in contrasts.LEVELS_COMPARED:
        for family, more in (("upstream", 0.1), ("downstream", 0.0)):
            row = table.loc["base", compared, family]
            assert row.dropout == pytest.approx(0.3 + more)
            assert row.penalty == pytest.approx(0.04)
            assert row.value == pytest.approx(0.26 + more)
            assert row.low <= row.value <= row.high
            assert row.n == 3


def test_a_penalty_that_costs_accuracy_only_counts_among_all_levels(monkeypatch):
    found = synthetic.results(accuracy={("l1", 1e-3, seed): 0.85 for seed in range(3)})
    monkeypatch.setattr(front, "run", lambda *_, **__: found)
    monkeypatch.setattr(front.stored, "experiments", lambda *_: {})
    table = front.gains("paper").set_index(["levels", "family"])
    matched, anywhere = contrasts.LEVELS_COMPARED
    assert table.penalty[matched, "upstream"] == pytest.approx(0.01)
    assert table.penalty[anywhere, "upstream"] == pytest.approx(0.04)


def test_tables_hold_what_is_stored(monkeypatch):
    """Each experiment gives its own numbers, under its own name."""
    wide = synthetic.results()
    wide.modules["q"] *= 2
    monkeypatch.setattr(front, "run", lambda *_, **__: synthetic.results())
    monkeypatch.setattr(front.stored, "experiments", lambda *_: {"wide": wide})
    table = front.gains("paper")
    assert list(table.experiment.unique()) == ["base", "wide"]
    by = table.groupby("experiment").value.mean()
    assert by["wide"] == pytest.approx(2 * by["base"])
    pd.testing.assert_index_equal(table.index, pd.RangeIndex(8))


# --- beside what the noise of images leaves


def test_ceilings_stand_beside_agreement_at_named_levels(base, monkeypatch):
    modules = base.modules.assign(reliability=base.modules.measure.map({"input_cov": 0.64}).fillna(0.36))
    monkeypatch.setattr(stored, "experiments", lambda *_: {"close-up": replace(base, modules=modules)})
    table = agreement.ceilings("paper").set_index(["level", "family_pair"])
    assert set(table.index.get_level_values("level")) == {*by_level.landmarks(base)} - {"untrained"}
    plain = table.loc["weakest L2", "upstream"]
    assert plain.agreement == pytest.approx(synthetic.ECS["upstream"])
    assert plain.ceiling == pytest.approx(0.48)
    assert plain.share == pytest.approx(synthetic.ECS["upstream"] / 0.48)
    assert plain.high - plain.share == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 / 0.48 / np.sqrt(3))
    rise = RISE["dropout", 0.6, "upstream"]
    assert table.agreement["strongest dropout", "upstream"] == pytest.approx(plain.agreement + rise)
    found = agreement.reliabilities("paper").set_index(["level", "of"])
    assert found.value["strongest L2", "input_cov"] == pytest.approx(0.64)


def test_without_reliabilities_there_are_no_ceilings(base, monkeypatch):
    older = replace(base, modules=base.modules.assign(reliability=np.nan))
    for there in ({}, {"close-up": older}):
        monkeypatch.setattr(stored, "experiments", lambda *_, found=there: found)
        assert agreement.ceilings("paper").empty
        assert agreement.reliabilities("paper").empty


def test_agreement_is_drawn_beside_its_ceiling_in_the_order_of_the_levels(base, monkeypatch):
    modules = base.modules.assign(reliability=0.5)
    monkeypatch.setattr(stored, "experiments", lambda *_: {"close-up": replace(base, modules=modules)})
    table = agreement.ceilings("paper")
    chart = charts.agreement_and_ceiling(table, name="n", caption="c").to_dict()
    assert len(chart["description"]) > 40
    assert chart["facet"]["sort"] == [name for name in by_level.landmarks(base) if name != "untrained"]
    (rows,) = chart["datasets"].values()
    assert [row["agreement"] for row in rows] == pytest.approx(table.agreement.round(4).to_list())
    assert {row["ceiling"] for row in rows} == {0.5}
    missing = charts.agreement_and_ceiling(table[:0])
    assert "python -m modlib run close-up" in missing.data


def test_the_front_page_has_the_mean_q_of_untrained_networks(monkeypatch):
    found = synthetic.results()
    monkeypatch.setattr(front, "run", lambda *_, **__: found)
    assert front.untrained("paper").q.item() == pytest.approx(0.1 + 0.015 - 0.05)
