"""What a deviation changes: planted differences are found, and what does not differ gives none."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.analysis.modules import PAIRS
from modlib.book import stored as stored_tables
from modlib.book.chapters.deviations import tables as deviations
from modlib.comparison import agreement_pairs
from modlib.measures import UPSTREAM, VARIANTS
from modlib.paper import distance_from_paper, reported
from modlib.study.accuracy_filter import PAIR

UNITS, DEAD = 64, 32
KEYS = ["network", "layer", *PAIR]


def with_labels(world, dead=DEAD, rng=0):
    """Give every graph a partition: upstream ones with dead units, the same for both measures of a layer.

    The agreement table is then what those partitions say, by the rule of the tables.
    """
    draw = np.random.default_rng(rng)
    modules = world.modules.copy()
    labels = [draw.integers(0, 4, UNITS) for _ in range(len(modules))]
    for measure, values in zip(modules.measure, labels, strict=True):
        if measure in UPSTREAM:
            values[:dead] = -1
    modules["labels"] = labels
    keys = modules[["network", "layer", "measure", "normalized"]].itertuples(index=False, name=None)
    place = dict(zip(keys, labels, strict=True))
    tables = []
    for network, layer in modules[["network", "layer"]].drop_duplicates().itertuples(index=False):
        eight = np.stack([place[network, layer, *variant] for variant in VARIANTS])
        names = [dict(zip(PAIR, (*VARIANTS[a], *VARIANTS[b]), strict=True)) for a, b in PAIRS]
        tables.append(
            pd.DataFrame(names).assign(network=network, layer=layer, **agreement_pairs(eight, PAIRS))
        )
    family = world.agreement[[*KEYS, "family_pair", "rank_correlation"]]
    return replace(world, modules=modules, agreement=family.merge(pd.concat(tables), on=KEYS))


@pytest.fixture(scope="module")
def world():
    return with_labels(worlds.results("true", seeds=3))


# --- dead units


def test_a_shared_module_of_dead_units_counts_as_agreement(world):
    """32 of 64 units are dead in both: each scores 1, so ECS is halfway between its old value and 1."""
    found = deviations.with_shared_dead_units(world)
    both = world.agreement.merge(found.agreement, on=KEYS, suffixes=("", "_shared"))
    assert len(both) == len(world.agreement) == len(found.agreement)
    upstream = both[both.family_pair == "upstream"]
    assert upstream.ecs_shared.to_numpy() == pytest.approx((upstream.ecs.to_numpy() + 1) / 2)
    downstream = both[both.family_pair == "downstream"]
    assert downstream.ecs_shared.to_numpy() == pytest.approx(downstream.ecs.to_numpy())


def test_across_families_the_module_of_dead_units_is_spread_over_the_other():
    up = np.array([-1] * 32 + [0] * 32)
    down = np.tile(np.arange(4), 16)  # 8 of the dead in each module of 16
    world = with_labels(worlds.results("true", seeds=1, layers=(1,)))
    labels = [up if measure in UPSTREAM else down for measure in world.modules.measure]
    found = deviations.with_shared_dead_units(replace(world, modules=world.modules.assign(labels=labels)))
    across = found.agreement[found.agreement.family_pair == "across"]
    assert across.ecs.to_numpy() == pytest.approx(8 / 32)
    assert found.agreement[found.agreement.family_pair == "upstream"].ecs.to_numpy() == pytest.approx(1)


def test_without_dead_units_the_rule_changes_nothing():
    world = with_labels(worlds.results("true", seeds=1), dead=0)
    found = deviations.with_shared_dead_units(world).agreement.set_index(KEYS).ecs
    pd.testing.assert_series_equal(found, world.agreement.set_index(KEYS).ecs)


def test_names_of_modules_and_order_of_rows_do_not_count(world):
    renamed = [np.where(v < 0, -1, 3 - v) for v in world.modules.labels]
    other = world.modules.assign(labels=renamed).sample(frac=1, random_state=0)
    found = deviations.with_shared_dead_units(replace(world, modules=other)).agreement.set_index(KEYS).ecs
    same = deviations.with_shared_dead_units(world).agreement.set_index(KEYS).ecs
    assert found.loc[same.index].to_numpy() == pytest.approx(same.to_numpy())


def test_dead_units_are_those_of_upstream_graphs(world):
    assert (deviations.dead_units(world).dead == DEAD).all()
    table = deviations.ecs_by_level(world)
    assert set(table.rule) == {"left out", "one shared module"}
    wide = table.pivot_table(index=["regularizer", "strength", "family_pair"], columns="rule", values="ecs")
    gap = (wide["one shared module"] - wide["left out"]).unstack()
    assert (gap.upstream > 0.3).all()
    assert gap.downstream.abs().max() < 1e-12
    assert len(table) == 2 * 5 * 3


# --- other steps


def test_exact_matching_is_never_below_greedy(world):
    found = deviations.greedy_against_exact(world)
    assert len(found) == len(world.agreement)
    assert (found.matching >= found.greedy - 1e-12).all()
    assert (found.matching > found.greedy + 1e-12).mean() > 0.05
    same = [np.repeat(np.arange(4), 16)] * len(world.modules)
    equal = with_labels(worlds.results("true", seeds=1), dead=0)
    equal = replace(equal, modules=equal.modules.assign(labels=same[: len(equal.modules)]))
    assert (deviations.greedy_against_exact(equal).greedy == 1).all()


def test_without_the_hessian_only_its_rows_are_gone(world):
    found = deviations.without_hessian(world)
    pairs, kept = found.agreement, found.agreement[["measure_a", "measure_b"]]
    assert not (kept == "output_hess").any(axis=None)
    assert (found.modules.measure != "output_hess").all()
    assert len(found.modules) == len(world.modules) * 6 // 8
    assert len(pairs) == len(world.agreement) * 15 // 28
    assert (pairs.family_pair == "downstream").sum() * 15 == len(pairs)  # the output gradient with itself


def test_a_protocol_that_shifts_q_is_found_by_regulariser(world):
    step = {"dropout": 0.05, "l1": -0.02, "l2": 0.0}
    by = world.modules.network.str.partition("=")[0]
    other = replace(world, modules=world.modules.assign(q=world.modules.q + by.map(step)))
    found = deviations.protocols(world, other).set_index("regularizer")
    assert found.change.to_dict() == pytest.approx(step, abs=1e-12)
    assert found.networks.to_dict() == {"dropout": 6, "l1": 3, "l2": 6}
    back = deviations.protocols(other, world).set_index("regularizer")
    assert back.change["dropout"] == pytest.approx(-0.05)


def test_networks_dropped_by_one_protocol_are_left_out(world):
    low = world.networks.assign(
        test_accuracy=np.where(world.networks.network == "l1=0.001,seed=0", 0.1, world.networks.test_accuracy)
    )
    far = world.modules.assign(q=world.modules.q + 9.0 * (world.modules.network == "l1=0.001,seed=0"))
    found = deviations.protocols(world, replace(world, networks=low, modules=far)).set_index("regularizer")
    assert found.networks["l1"] == 2
    assert found.change["l1"] == pytest.approx(0)


@pytest.mark.parametrize("shared", [True, False])
def test_noise_that_levels_share_shows_as_correlation(shared):
    world = worlds.results("true", seeds=40, layers=(1,))
    draw = np.random.default_rng(0)
    seed = world.modules.network.str.extract(r"seed=(\d+)")[0].astype(int)
    common = seed.map(dict(enumerate(draw.normal(size=50))))
    own = draw.normal(size=len(seed)) * 0.3
    dropout = world.modules.network.str.startswith("dropout")
    q = own + np.where(dropout, common if shared else 0.0, 0.0)
    found = deviations.shared_noise(replace(world, modules=world.modules.assign(q=q)))
    assert abs(found["one penalty"]) < 0.15
    assert abs(found["dropout and a penalty"]) < 0.15
    assert (found["dropout"] > 0.8) == shared


def test_tests_that_no_draw_reaches_are_counted(world):
    nulls = world.nulls.assign(draws=19, p=np.where(world.nulls.layer == 1, 1 / 20, 0.3))
    found = deviations.unreached(nulls)
    assert found == {"tests": len(nulls), "draws": 19.0, "zero_percent": 50.0, "least": 1 / 20}


def test_three_seeds_of_many_give_longer_intervals():
    """Student's t and the root of n: 4.30 √(1/3) against 2.07 √(1/24), 5.9 times, whatever the spread."""
    found = deviations.wider_intervals(worlds.results("true", seeds=24, layers=(1,), noise=0.02))
    assert found["seeds"] == 24
    assert 2.5 < found["agreement_wider"] < 14
    assert 1.5 < found["upstream_wider"] < 14
    same = deviations.wider_intervals(worlds.results("true", seeds=3, layers=(1,)))
    assert same.pop("seeds") == 3
    assert set(same.values()) == {1.0}


# --- tables that prose cites


@pytest.fixture
def store(world, monkeypatch):
    """Store these experiments and no others; base is always there."""

    def stored(**found):
        monkeypatch.setattr(deviations, "run", lambda *_, **__: world)
        names = {name.replace("_", "-"): results for name, results in found.items()}
        monkeypatch.setattr(
            stored_tables.store, "read_if_stored", lambda experiment: names.get(experiment.name)
        )

    return stored


def test_what_is_not_stored_has_no_rows(store):
    store()
    for table in (deviations.protocol_change, deviations.few_seeds, deviations.null_tests):
        assert table("paper").empty
    for table in (deviations.by_rule, deviations.by_regularizer):
        assert set(table("paper").protocol) == {"final"}


def test_both_protocols_stand_beside_each_other(store, world):
    store(base_v1=world, wide=world)
    found = deviations.by_rule("paper").set_index(["protocol", "rule"]).sort_index()
    left_out, shared, no_hessian = (found.loc["v1", rule] for rule in (*deviations.RULES, "no Hessian"))
    assert shared.upstream > left_out.upstream + 0.2
    assert shared.downstream == left_out.downstream
    assert shared.gap > left_out.gap
    assert shared.lead_downstream == left_out.lead_downstream != no_hessian.lead_downstream
    assert shared.lead_upstream == left_out.lead_upstream == no_hessian.lead_upstream
    assert left_out.lead_upstream == pytest.approx(0.25, abs=0.005)
    assert left_out.lead_downstream == pytest.approx(0.015, abs=0.005)
    kept = world.agreement[~world.agreement.network.str.startswith("none")]
    ecs = kept[kept.measure_a != kept.measure_b].groupby("family_pair").ecs.mean()
    for pair in worlds.PAIRS:
        assert left_out[pair] == pytest.approx(ecs[pair])
    assert left_out.gap == pytest.approx((ecs.upstream + ecs.downstream) / 2 - ecs.across)
    assert math.isnan(no_hessian.downstream)  # the output gradient has no other measure to agree with
    assert no_hessian.upstream == left_out.upstream
    assert deviations.protocol_change("paper").change.to_numpy() == pytest.approx(0)  # against itself
    assert deviations.few_seeds("paper").set_index("experiment").seeds.to_dict() == {"wide": 3}


def test_the_papers_values_are_those_of_different_measures():
    found = deviations.in_paper("paper").set_index("family_pair").ecs
    assert found.to_dict() == {pair: reported.family_ecs(pair) for pair in worlds.PAIRS}


def test_distances_are_of_different_measures(store, world):
    """Agreement of a measure with itself may be anything."""
    store()
    distance = deviations.by_rule("paper").distance
    own = world.agreement.measure_a == world.agreement.measure_b
    other = replace(world, agreement=world.agreement.assign(ecs=world.agreement.ecs.where(~own, 9.0)))
    pairs = distance_from_paper.ecs_beside_paper(deviations.different_measures(other))
    assert distance[0] == pytest.approx((pairs.trained - pairs.ecs_trained).abs().mean())
    assert distance[0] < 1


def test_regularisers_have_their_dead_units_and_agreement_by_rule(store):
    store()
    keys = ["protocol", "regularizer", "rule"]
    found = deviations.by_regularizer("paper").set_index(keys).sort_index()
    assert (found.dead == DEAD).all()
    left_out, shared = (found.loc["final", "l1", rule] for rule in deviations.RULES)
    assert shared.upstream > left_out.upstream + 0.3


def test_matching_noise_and_untrained_networks_are_summed_up(store, world):
    store()
    matching = deviations.matching("paper").loc[0]
    assert 0 < matching["mean"] < matching.largest < 1
    assert 5 < matching.differs_percent < 100
    assert deviations.noise("paper").set_index("levels").correlation.to_dict() == pytest.approx(
        deviations.shared_noise(world), nan_ok=True
    )
    untrained = deviations.untrained("paper").loc[0]
    assert untrained.networks == (~world.networks.trained).sum()
    assert abs(untrained.difference) <= untrained.largest
    assert untrained.error_paper < untrained.error
