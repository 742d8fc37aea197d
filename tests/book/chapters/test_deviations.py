"""What a deviation changes: planted differences are found, and what does not differ gives none."""

import string
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.book.chapters.choices import tables as choices
from modlib.book.chapters.deviations import deviation_list
from modlib.book.chapters.deviations import tables as deviations
from modlib.comparison import agreement_pairs
from modlib.measures import UPSTREAM, VARIANTS
from modlib.paper.released_code import Tried
from modlib.study.accuracy_filter import PAIR
from modlib.study.rows import PAIRS

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
    assert abs(found["weights"]) < 0.15
    assert abs(found["between"]) < 0.15
    assert (found["dropout"] > 0.8) == shared


def test_tests_that_no_draw_reaches_are_counted(world):
    nulls = world.nulls.assign(draws=19, p=np.where(world.nulls.layer == 1, 1 / 20, 0.3))
    found = deviations._null_numbers(replace(world, nulls=nulls))
    assert found == {"p_tests": len(nulls), "p_draws": 19.0, "p_zero_percent": 50.0, "p_least": 1 / 20}
    assert set(deviations._null_numbers(replace(world, nulls=nulls[:0])).values()) == {None}


def test_three_seeds_of_many_give_longer_intervals():
    """Student's t and the root of n: 4.30 √(1/3) against 2.07 √(1/24), 5.9 times, whatever the spread."""
    found = deviations._fewer_seeds(worlds.results("true", seeds=24, layers=(1,), noise=0.02))
    assert found["seeds"] == 24
    assert 2.5 < found["agreement_wider"] < 14
    assert deviations._fewer_seeds(worlds.results("true", seeds=3, layers=(1,)))["q_wider"] == 1


# --- numbers and the list


@pytest.fixture(scope="module")
def numbers(world):
    """Numbers with all experiments stored, and with base alone."""
    config = replace(world, manifest={"seconds": {}, "config": {}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deviations, "run", lambda *_, **__: config)
        patch.setattr(deviations.store, "read_if_stored", lambda *_: config)
        full = deviations.numbers("paper")
        patch.setattr(deviations.store, "read_if_stored", lambda *_: None)
        return full, deviations.numbers("paper")


def test_every_number_has_its_name_whatever_is_stored(numbers):
    full, alone = numbers
    assert full.keys() == alone.keys()
    assert all(key.startswith("deviations_") for key in full)
    assert alone["deviations_ecs_distance_v1"] is alone["deviations_q_wider_wide"] is None
    assert alone["deviations_p_tests_close_up"] is alone["deviations_q_change_l1_protocol"] is None
    assert not any(isinstance(v, float) and np.isnan(v) for v in full.values())


def test_numbers_are_those_of_the_tables(numbers, world):
    full, _ = numbers
    assert full["deviations_q_change_dropout_protocol"] == pytest.approx(0)  # held against itself
    assert full["deviations_dead_l1_final"] == DEAD
    assert full["deviations_seeds_deep"] == 3
    by_rule = [full[f"deviations_ecs_distance{rule}_v1"] for rule in ("", "_shared")]
    words = ("nearer to", "for") if by_rule[1] < by_rule[0] else ("farther from", "against")
    assert (full["deviations_shared_rule_lies_v1"], full["deviations_shared_rule_speaks_v1"]) == words
    assert full["deviations_ecs_upstream_shared_final"] > full["deviations_ecs_upstream_final"] + 0.2
    assert full["deviations_ecs_downstream_shared_final"] == full["deviations_ecs_downstream_final"]
    kept = world.agreement[
        world.agreement.network.str.contains("=0|=1|=2") & ~world.agreement.network.str.startswith("none")
    ]
    mean = kept[kept.family_pair == "across"].ecs.mean()
    assert full["deviations_ecs_across_final"] == pytest.approx(mean)


def tried(negative=True):
    rows = pd.DataFrame({"network": ["a", "b"], "units": [5, 6], "lost": [0, 2], "poor": [1, 2]})
    rows = rows.assign(always_on=[1, 1], q_change=[0.01, -0.25])
    hessian = pd.DataFrame({"units": [5, 6], "closed_form": [0, 0], "autograd": [1, 2]})
    splits = pd.DataFrame(
        {"negative": [negative, False], "q_absolute": [-0.5, 0.3], "q_newman": [0.125, 0.3]}
    )
    agreement = pd.DataFrame({"stored": [0.6, 0.4], "other": [0.55, 0.45], "paper": [0.5, 0.5]})
    return Tried(rows, hessian, splits, 1e-17, agreement, 12)


def test_every_deviation_names_numbers_that_there_are(numbers, monkeypatch, world):
    monkeypatch.setattr(choices, "run", lambda *_, **__: worlds.results("true"))
    monkeypatch.setattr(choices, "close_up", lambda _: None)
    known = {key.removeprefix("deviations_") for key in numbers[0]} | set(choices.numbers("paper"))
    known |= set(deviation_list.live(tried()))
    for deviation in deviation_list.DEVIATIONS:
        for text in (deviation.ours, deviation.change):
            named = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
            assert named <= known, deviation.what
    assert not any("{" in d.what + d.theirs for d in deviation_list.DEVIATIONS)


def test_numbers_are_filled_in_and_missing_ones_said_to_be(monkeypatch):
    row = deviation_list.Deviation("w", "t", "ours: {a}", "{b:.2f} and {c:+.1f} and {d:.0f}")
    monkeypatch.setattr(deviation_list, "DEVIATIONS", (row,))
    found = deviation_list.filled({"a": 3, "b": -0.126, "c": 1.25, "d": None}).loc[0]
    assert found.to_dict() == {
        "what": "w",
        "theirs": "t",
        "ours": "ours: 3",
        "change": "−0.13 and +1.2 and n/a",
    }
    assert deviation_list.filled({"b": -0.001, "c": -0.01}).change[0] == "0.00 and +0.0 and n/a"


def test_what_was_tried_is_summed_up():
    found = deviation_list.live(tried())
    assert (found["live_networks"], found["live_units"], found["live_lost"]) == (2, 11, 2)
    assert (found["live_poor"], found["live_always_on"], found["live_lost_networks"]) == (3, 2, 1)
    assert found["live_covariance_q"] == 0.25
    assert (found["live_hessian_units"], found["live_hessian_closed"], found["live_hessian_autograd"]) == (
        11,
        0,
        3,
    )
    assert (found["live_graphs"], found["live_negative"]) == (2, 1)
    assert (found["live_q_absolute"], found["live_q_newman"]) == (-0.5, 0.125)
    assert found["live_untrained_leiden"] == pytest.approx(0.1)
    assert found["live_untrained_monte_carlo"] == pytest.approx(0.05)
    assert found["live_rescaled"] == "rounding only"
    assert deviation_list.live(replace(tried(), rescaled=0.02))["live_rescaled"] == "0.02 at most"
    none = deviation_list.live(tried(negative=False))
    assert none["live_q_absolute"] is none["live_q_newman"] is None
