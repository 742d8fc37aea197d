"""Q beside its nulls, on tables made up so that every answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from modlib.book.chapters.chance import tables as chance
from modlib.clustering import find_modules, modularity
from modlib.measures import MEASURES, VARIANTS
from modlib.nulls import NULLS, random_graphs
from modlib.study import store
from modlib.study.store import Results

SEEDS = range(5)
PLAIN, DROPOUT, STRONGER = ("l2", 1e-5), ("dropout", 0.2), ("dropout", 0.6)
EXCESS = {PLAIN: 0.0, DROPOUT: 0.05, STRONGER: 0.3}
DRAWS = 19


def world(*, accuracy=None, nulls=True, seed_noise=0.01):
    """Networks whose Q is 0.1 + the excess of their level + noise of the seed with mean zero.

    Untrained networks have Q of 0.05 to 0.15 in equal steps; the null has mean 0.1, and its p is the least
    where the excess is positive and .5 elsewhere. Downstream graphs of the second layer are 0.2 below.
    """
    accuracy = accuracy or {}
    offset = dict(zip(SEEDS, seed_noise * np.linspace(-1, 1, len(SEEDS)), strict=True))
    networks, modules, tests = [], [], []
    for (regularizer, strength), excess in EXCESS.items():
        for seed in SEEDS:
            name = f"{regularizer}={strength},seed={seed}"
            reached = accuracy.get((regularizer, strength, seed), 0.95)
            networks.append((name, regularizer, strength, seed, True, reached, 0.99))
            for layer in (1, 2):
                for measure, normalized in VARIANTS:
                    gain = excess - 0.2 * (layer == 2 and measure.startswith("output"))
                    q = 0.1 + gain + offset[seed]
                    modules.append((name, layer, measure, normalized, q))
                    if not nulls:
                        continue
                    for null in NULLS:
                        p = 1 / (DRAWS + 1) if gain > 0 else 0.5
                        z = (gain + offset[seed]) / 0.01
                        tests.append((name, layer, measure, normalized, null, DRAWS, q, 0.1, 0.01, z, p))
    for seed in range(11):
        name = f"untrained,seed={seed}"
        networks.append((name, "none", 0.0, seed, False, 0.1, 0.1))
        modules += [(name, layer, *variant, 0.05 + 0.01 * seed) for layer in (1, 2) for variant in VARIANTS]
    graph = ["layer", "measure", "normalized"]
    columns = ["network", "regularizer", "strength", "seed", "trained", "test_accuracy", "train_accuracy"]
    return Results(
        pd.DataFrame(networks, columns=columns),
        pd.DataFrame(modules, columns=["network", *graph, "q"]),
        pd.DataFrame(),
        manifest={},
        kept={},
        nulls=pd.DataFrame(tests, columns=["network", *graph, "null", "draws", "q", "mean", "sd", "z", "p"]),
    )


def memorised(*, level_shift, noise=0.002):
    """Return the two experiments about labels; with permuted ones Q is lower by what the level says."""
    found = []
    for shuffled in (True, False):
        results = world(nulls=False)
        level = results.networks.set_index("network")[["regularizer", "strength", "seed"]]
        rows = level.loc[results.modules.network]
        seeds = rows.seed.to_numpy()
        keys = zip(rows.regularizer, rows.strength, strict=True)
        shift = np.array([level_shift.get(key, 0.0) for key in keys])
        wobble = noise * ((seeds * 7) % 5 - 2)  # differs from seed to seed, with mean zero
        results.modules["q"] += shuffled * (wobble - shift)
        results.networks["train_accuracy"] = 0.9 if shuffled else 0.99
        results.networks["test_accuracy"] = 0.1 if shuffled else 0.9
        found.append(results)
    return found


def row(table, **where):
    found = table
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1, where
    return found.iloc[0]


def at_level(table, level):
    return table[(table.regularizer == level[0]) & (table.strength == level[1])]


# ---------------------------------------------------------------- tests of networks


def test_untrained_networks_as_a_null_are_counted():
    table = chance.against_untrained(world(), world())
    assert len(table) == len(EXCESS) * len(SEEDS) * 16
    assert (table.draws == 11).all()
    one = row(table, network="dropout=0.6,seed=0", layer=1, measure="input_cov", normalized=False)
    assert one.q == pytest.approx(0.39)
    assert one["mean"] == pytest.approx(0.1)
    assert one.p == 1 / 12
    # Plain, seed 4 has Q of 0.11: six of eleven untrained ones reach it, itself not among them.
    other = row(table, network="l2=1e-05,seed=4", layer=1, measure="input_cov", normalized=False)
    assert other.p == pytest.approx((1 + 5) / 12, abs=1 / 12 + 1e-9)


def test_one_untrained_network_against_the_others_holds_its_size_exactly():
    """Of 20 exchangeable networks one is the highest: tests at .05 reject 1 of 20, whatever their Q."""
    q = np.random.default_rng(0).gumbel(size=20)
    base = world()
    rejected = 0
    for left_out in range(20):
        networks = base.networks[base.networks.trained][:1]
        draws = pd.DataFrame({"network": [f"u{i}" for i in range(20) if i != left_out]})
        untrained = draws.assign(regularizer="none", strength=0.0, seed=0, trained=False)
        modules = pd.DataFrame(
            {
                "network": ["it", *draws.network],
                "layer": 1,
                "measure": "input_cov",
                "normalized": False,
                "q": [q[left_out], *np.delete(q, left_out)],
            }
        )
        it = networks.assign(network="it")
        tables = [Results(n, modules, pd.DataFrame(), manifest={}, kept={}) for n in (it, untrained)]
        rejected += int(chance.against_untrained(*tables).p.item() <= 0.05)
    assert rejected == 1


def test_untrained_networks_must_be_there():
    base = world()
    base.networks["trained"] = True
    with pytest.raises(ValueError, match="two untrained networks or more, got 0"):
        chance.against_untrained(world(), base)


def test_networks_that_failed_the_task_and_those_without_tests_are_left_out():
    failed = {(*DROPOUT, 0): 0.3}
    found = chance.against_all_nulls(world(accuracy=failed), world())
    assert found.network.nunique() == len(EXCESS) * len(SEEDS) - 1
    assert "dropout=0.2,seed=0" not in set(found.network)
    tested = world()
    tested = replace(tested, nulls=tested.nulls[~tested.nulls.network.str.startswith("l2")])
    found = chance.against_all_nulls(tested, world())
    assert not found.network.str.startswith("l2").any()
    assert set(found.null) == {"untrained", *NULLS}
    assert set(chance.against_all_nulls(tested).null) == set(NULLS)


def test_excess_is_q_less_the_mean():
    found = chance.against_all_nulls(world(), world())
    np.testing.assert_allclose(found.excess, found.q - found["mean"])


# ---------------------------------------------------------------- by level


@pytest.fixture(scope="module")
def levels():
    return chance.by_level(chance.against_all_nulls(world(), world()))


def test_levels_have_the_excess_that_was_put_in_with_the_seed_as_unit(levels):
    assert len(levels) == len(EXCESS) * 4 * 16
    half = 2.7764451 * np.std(np.linspace(-0.01, 0.01, 5), ddof=1) / np.sqrt(5)
    for (regularizer, strength), excess in EXCESS.items():
        one = row(
            levels, null="similarity", regularizer=regularizer, strength=strength, layer=1,
            measure="input_grad", normalized=True,
        )  # fmt: skip
        assert one.excess == pytest.approx(excess, abs=1e-12)
        assert (one.low, one.high) == pytest.approx((excess - half, excess + half), abs=1e-9)
        assert one.q == pytest.approx(0.1 + excess)
        assert one.z == pytest.approx(100 * excess, abs=1e-9)
        assert one.seeds == 5
        assert one.share == (excess > 0)


def test_holm_corrects_over_the_graphs_of_a_level(levels):
    for _, group in levels.groupby(["null", "regularizer", "strength"]):
        assert len(group) == 16
        assert group.holm.min() == pytest.approx(min(1, 16 * group.p.min()))
        assert (group.holm >= group.p).all()


def test_the_order_of_rows_does_not_matter(levels):
    table = chance.against_all_nulls(world(), world())
    mixed = chance.by_level(table.sample(frac=1, random_state=0))
    by = ["null", "regularizer", "strength", "layer", "measure", "normalized"]
    a, b = (t.sort_values(by).reset_index(drop=True) for t in (levels, mixed))
    pd.testing.assert_frame_equal(a, b)


def test_twice_the_layers_of_a_seed_are_not_twice_the_evidence():
    """A null tested twice on each network leaves the interval as it is: seeds count, rows do not."""
    table = chance.against_all_nulls(world())
    twice = chance.by_level(pd.concat([table, table]))
    once = chance.by_level(table)
    np.testing.assert_allclose(twice[["low", "high"]], once[["low", "high"]])


def test_settings_are_the_weakest_l2_and_the_strongest_dropout(levels):
    assert chance.settings(levels) == {"weakest L2": PLAIN, "strongest dropout": STRONGER}
    assert chance.settings(levels[levels.regularizer == "l2"]) == {"weakest L2": PLAIN}
    at = chance.at_settings(levels)
    assert set(at[at.setting == "strongest dropout"].strength) == {0.6}
    assert set(at.setting) == {"weakest L2", "strongest dropout"}


def test_what_is_not_above_a_null_is_named_and_counted(levels):
    found = chance.not_above(levels)
    assert found.excess.is_monotonic_increasing
    drawn = found[found.null == "similarity"]
    # Plain: 12 graphs at the null, 4 far below; weak dropout: those 4 below; strong dropout: none.
    plain, weak = (at_level(drawn, level) for level in (PLAIN, DROPOUT))
    assert plain.verdict.value_counts().to_dict() == {"not told apart": 12, "below": 4}
    assert weak.verdict.to_list() == ["below"] * 4
    assert at_level(drawn, STRONGER).empty
    counts = chance.where_not_above(levels)
    assert counts.loc[PLAIN, ("similarity null", "not told apart")] == 12
    assert counts.loc[DROPOUT, ("similarity null", "below")] == 4
    assert counts.loc[STRONGER].sum() == 0
    assert counts.to_numpy().sum() == len(found)


def test_graphs_surely_below_are_those_of_the_level_with_most_of_them(levels):
    below = chance.surely_below(levels, "similarity")
    assert set(below.strength) == {0.2}  # the first of two levels with four graphs
    assert below.excess.to_list() == pytest.approx([-0.15] * 4)
    drawn = levels.null == "similarity"
    fewer = levels.drop(index=levels[drawn & (levels.strength == 0.2) & (levels.excess < 0)].index[0])
    assert set(chance.surely_below(fewer, "similarity").strength) == {1e-5}
    assert set(below.layer) == {2}
    assert set(below.measure) == {"output_grad", "output_hess"}
    assert chance.surely_below(at_level(levels, STRONGER), "similarity").empty


def test_shares_by_measure_are_means_over_layers_and_both_forms(levels):
    found = chance.shares_by_measure(levels)
    assert list(found.columns) == list(chance.NULL_NAMES)
    assert list(found.index) == [(s, m) for s in ("weakest L2", "strongest dropout") for m in MEASURES]
    assert found.loc[("strongest dropout", "output_grad"), "similarity"] == 1
    weak = chance.shares_by_measure(levels[levels.strength != 0.6])  # now dropout of .2 is the strongest
    assert weak.loc[("strongest dropout", "output_grad"), "rotations"] == 0.5  # one layer of two
    assert weak.loc[("strongest dropout", "input_grad"), "rotations"] == 1
    assert (found.loc["weakest L2"][list(NULLS)] == 0).all(axis=None)


# ---------------------------------------------------------------- only scored


def test_draws_that_are_only_scored_are_far_below_those_searched():
    group = np.repeat(np.arange(4), 10)
    S = np.where(group[:, None] == group, 0.6, 0.1)
    np.fill_diagonal(S, 1.0)
    found = chance.rescored(S, draws=9, restarts=2).groupby("how").q
    own, scored, searched = (
        found.get_group(how) for how in ("the layer, searched", "draws, only scored", "draws, searched")
    )
    A = S - np.eye(40)
    assert own.item() == pytest.approx(modularity(A, group))
    assert len(scored) == len(searched) == 9
    assert scored.max() < searched.min()
    assert searched.max() < own.item()
    draw = random_graphs(S, np.random.default_rng(0))[1]
    assert scored.iloc[0] == pytest.approx(modularity(draw, group))
    assert searched.iloc[0] == pytest.approx(find_modules(draw, restarts=2).q)


# ---------------------------------------------------------------- labels


def test_labels_are_compared_seed_by_seed():
    table = chance.beside_true_labels(*memorised(level_shift={STRONGER: 0.1}))
    assert len(table) == 3 * 16
    strong = at_level(table, STRONGER)
    assert strong.difference.to_numpy() == pytest.approx(np.full(16, -0.1), abs=1e-12)
    # The seeds differ by 0.01, but not within a pair: the interval is that of the pairs' noise, ±0.004.
    width = (strong.high - strong.low).to_numpy()
    assert width == pytest.approx(
        np.full(16, 2 * 2.7764451 * 0.002 * np.std([-2, 0, 2, -1, 1], ddof=1) / 5**0.5), rel=1e-6
    )
    assert (strong.holm < 0.05).all()
    plain = at_level(table, PLAIN)
    assert plain.difference.to_numpy() == pytest.approx(np.zeros(16), abs=1e-12)
    assert (plain.holm > 0.5).all()
    assert table.train_shuffled.to_numpy() == pytest.approx(0.9)
    assert table.train_true.to_numpy() == pytest.approx(0.99)


def test_networks_of_permuted_labels_are_kept_though_they_do_not_generalise():
    shuffled, true = memorised(level_shift={})
    assert (shuffled.networks[shuffled.networks.trained].test_accuracy < 0.2).all()
    assert (chance.beside_true_labels(shuffled, true).seeds == len(SEEDS)).all()


# ---------------------------------------------------------------- tables that prose cites


@pytest.fixture
def stored(monkeypatch):
    """Store the made-up experiments; a test may take some away."""
    shuffled, true = memorised(level_shift={STRONGER: 0.1, PLAIN: -0.05})
    found = {"base": world(), "close-up": world(), "labels-shuffled": shuffled, "labels-kept": true}
    monkeypatch.setattr(store, "read_if_stored", lambda experiment: found.get(experiment.name))
    return found


def test_tables_have_no_rows_where_nothing_is_stored(stored):
    stored.clear()
    for table in (chance.tested, chance.excess, chance.most_below, chance.labels):
        assert table("paper").empty
    # The simulations belong to the project and are there in any case.
    rates = chance.rejection_rates("paper").set_index("layers")
    assert 0 < rates.lowest["claimed"] < rates.highest["claimed"] < 0.1
    assert rates.rows["claimed"] == rates.rows["similarity"] + rates.rows["weights-permuted"]
    assert rates.highest["unequal dimensions"] > 0.5


def test_networks_graphs_and_levels_are_counted(stored):
    trained = chance.tested("paper").set_index("state").loc["trained"]
    assert (trained.networks, trained.levels, trained.graphs, trained.draws) == (15, 3, 16, DRAWS)
    assert trained.strongest_dropout == 0.6


def test_excess_is_summed_up_by_null_setting_and_measure_or_family(stored):
    found = chance.excess("paper").set_index(["null", "setting", "of"])
    strong, plain = (found.loc["similarity", setting] for setting in ("strongest dropout", "weakest L2"))
    assert (strong.above["both"], plain.above["both"], plain.below["both"]) == (16, 0, 4)
    assert found.share["weights-permuted", "strongest dropout", "upstream"] == 1
    assert found.share["weights-permuted", "weakest L2", "downstream"] == 0
    assert strong.excess.upstream == pytest.approx(0.3)
    assert strong.excess.downstream == pytest.approx(0.2)
    assert strong.z.upstream == pytest.approx(30)
    assert "output" in plain.lowest["both"]
    assert plain.lowest_excess["both"] == pytest.approx(-0.2)
    assert set(plain.index) == {*MEASURES, "upstream", "downstream", "both"}
    assert (plain.below.output_grad, plain.below.output_hess, plain.below.input_cov) == (2, 2, 0)
    assert strong.excess.output_hess == pytest.approx(0.2)


def test_untrained_networks_are_a_setting_once_they_are_stored(stored):
    rows = world()
    untrained = rows.networks.regularizer == "l2"  # as if these had not been trained
    stored["untrained"] = replace(
        rows,
        networks=rows.networks[untrained].assign(regularizer="none", strength=0.0, trained=False),
        nulls=rows.nulls[rows.nulls.network.str.startswith("l2")],
    )
    assert chance.tested("paper").networks.to_list() == [15, 5]
    found = chance.excess("paper")
    assert set(found[found.setting == "untrained"].null) == set(NULLS)


def test_the_level_with_most_graphs_below_a_null_is_named(stored):
    found = chance.most_below("paper").set_index("null").loc["similarity"]
    assert found.graphs == 4
    assert found.level == "dropout of 0.2"  # the first of two
    base = stored["close-up"]
    stored["close-up"] = replace(base, nulls=base.nulls.assign(mean=-1.0))
    found = chance.most_below("paper").set_index("null").loc["similarity"]
    assert (found.graphs, found.level) == (0, "no level")


def test_labels_count_graphs_with_a_sure_difference(stored):
    found = chance.labels("paper").set_index(["setting", "of"])
    strong, plain = (found.loc[setting, "both"] for setting in ("strongest dropout", "weakest L2"))
    assert (strong.lower, strong.higher, strong.graphs, strong.strength) == (16, 0, 16, 0.6)
    assert (plain.lower, plain.higher) == (0, 16)
    assert plain.train_shuffled == pytest.approx(0.9)
    upstream = found.loc["strongest dropout", "upstream"]
    assert upstream.true - upstream.shuffled == pytest.approx(0.1)
