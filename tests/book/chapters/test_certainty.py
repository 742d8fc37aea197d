"""What counts as one observation, what choosing costs, and trends, on data whose answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import synthetic
import worlds

from modlib.book.chapters.certainty import tables as certainty
from modlib.book.chapters.regularisation import tables as regularisation
from modlib.paper import contrasts, new_seeds
from modlib.stats import intervals
from modlib.stats.power import power

GRAPH = ["layer", "measure", "normalized"]


def scattered(of_seed, of_network, of_graph, *, seeds=9, rng=0):
    """Tables of 6 levels of dropout whose Q scatters by seed, by network and by graph with these sd."""
    found = synthetic.results()
    draw = np.random.default_rng(rng)
    modules = found.modules[found.modules.network == "l2=1e-05,seed=0"].drop(columns=["network", "q"])
    networks, tables = [], []
    for seed in range(seeds):
        by_seed = of_seed * draw.normal()
        for level in range(6):
            name = f"{seed}-{level}"
            row = {"network": name, "regularizer": "dropout", "strength": (level + 1) / 10, "seed": seed}
            networks.append(row | {"trained": True, "test_accuracy": 0.95})
            noise = by_seed + of_network * draw.normal() + of_graph * draw.normal(size=len(modules))
            tables.append(modules.assign(network=name, q=0.2 + 0.05 * level + noise + 0.1 * modules.layer))
    return replace(found, networks=pd.DataFrame(networks), modules=pd.concat(tables, ignore_index=True))


def of(table, results):
    """Make a table of the chapter from these results instead of those of `base`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certainty, "run", lambda *_, **__: results)
        return table("paper")


def units_of_dropout(results):
    table = of(certainty.units, results)
    return table[table.regularizer == "dropout"].set_index("unit")


def typical(experiments=12, **scatter):
    """Median over made-up experiments of what the units are worth, and by how much intervals differ."""
    tables = [units_of_dropout(scattered(**scatter, rng=rng)) for rng in range(experiments)]
    return pd.concat(tables)[["worth", "times"]].groupby(level="unit").median()


def test_all_units_give_the_same_mean_and_the_interval_over_seeds_is_students():
    results = scattered(0.02, 0.01, 0.01)
    table = units_of_dropout(results)
    np.testing.assert_allclose(table.q, table.q.iloc[0])
    assert table.n.to_dict() == dict(zip(certainty.UNITS, (9, 54, 108, 864), strict=True))
    seeds = results.modules.merge(results.networks, on="network").groupby("seed").q.mean()
    known = intervals.mean(seeds.to_numpy())
    assert (table.low.iloc[0], table.high.iloc[0]) == pytest.approx((known.low, known.high))
    np.testing.assert_allclose(table.times, (known.high - known.low) / (table.high - table.low))


def test_what_moves_together_counts_once():
    """All scatter between seeds: a thousand graphs are worth nine observations."""
    worth = typical(2, of_seed=0.02, of_network=0.0, of_graph=0.0).worth
    np.testing.assert_allclose(worth, 9, rtol=1e-6)


def test_what_is_independent_counts_in_full():
    """No scatter shared: a unit is worth itself (the median of a ratio of variances, hence roughly)."""
    worth = typical(of_seed=0.0, of_network=0.0, of_graph=0.02).worth
    assert worth["graph"] == pytest.approx(864, rel=0.4)
    assert worth["network"] == pytest.approx(54, rel=0.4)


def test_what_networks_share_makes_their_graphs_worth_networks():
    table = typical(of_seed=0.0, of_network=0.02, of_graph=0.0)
    assert table.worth["graph"] == pytest.approx(54, rel=0.4)
    assert table.times["graph"] > 1.5 * table.times["network"]


def test_differences_between_levels_and_layers_are_no_scatter():
    table = units_of_dropout(scattered(0.02, 0.01, 0.0))
    results = scattered(0.02, 0.01, 0.0)
    higher = results.modules.assign(q=results.modules.q + 0.5 * results.modules.layer)
    moved = units_of_dropout(replace(results, modules=higher))
    np.testing.assert_allclose(moved.high - moved.low, table.high - table.low)
    np.testing.assert_allclose(moved.q, table.q + 0.75)
    by_seed = results.networks.set_index("network").seed.reindex(results.modules.network).to_numpy()
    apart = units_of_dropout(replace(results, modules=results.modules.assign(q=results.modules.q + by_seed)))
    assert (apart.high - apart.low > 3 * (table.high - table.low)).all()


def test_one_seed_has_no_interval():
    table = units_of_dropout(scattered(0.02, 0.01, 0.01, seeds=1))
    assert table.q.notna().all()
    assert table[["low", "high", "times", "worth"]].isna().all(axis=None)


def test_ratio_to_plain():
    found = synthetic.results()
    table = of(certainty.times_plain, found)
    assert len(table) == 16
    base = 0.1 + table.layer / 100
    np.testing.assert_allclose(table.plain, base)
    np.testing.assert_allclose(table.ratio, (base + 0.3) / base)
    assert ((table.low < table.ratio) & (table.ratio < table.high)).all()
    doubled = of(certainty.times_plain, replace(found, modules=found.modules.assign(q=2 * found.modules.q)))
    np.testing.assert_allclose(doubled[["ratio", "low", "high"]], table[["ratio", "low", "high"]])
    shifted = of(certainty.times_plain, replace(found, modules=found.modules.assign(q=found.modules.q + 1)))
    assert (shifted.ratio < 0.5 * table.ratio).all()  # a ratio knows where zero is


def test_ratio_without_enough_seeds_has_no_interval():
    found = worlds.results("true", seeds=2)
    table = of(certainty.times_plain, found)
    assert table.ratio.notna().all()
    assert table[["low", "high"]].isna().all(axis=None)


def test_winners_curse_grows_with_levels_on_the_same_seeds_only():
    table = certainty.winners_curse((1, 2, 16), seeds=9).set_index("levels")
    # The larger of two normal values lies 1/√π standard deviations above their mean; a mean of 9 has sd 1/3.
    assert table.loc[2, "same seeds"] == pytest.approx(1 / np.sqrt(np.pi) / 3, abs=0.03)
    assert table.loc[16, "same seeds"] == pytest.approx(1.766 / 3, abs=0.03)
    np.testing.assert_allclose(table["other seeds"], 0, atol=0.04)
    assert abs(table.loc[1, "same seeds"]) < 0.04


def test_optimism_is_what_choosing_on_the_same_seeds_adds():
    certain = of(certainty.optimism, synthetic.results())  # no noise: the best level is the same on all seeds
    assert len(certain) == 32
    np.testing.assert_allclose(certain.optimism, 0, atol=1e-12)
    assert set(certain.side) == {"dropout", "weights"}
    noise = pd.concat(of(certainty.optimism, worlds.results("noise", rng=rng)) for rng in range(3))
    assert noise.optimism.mean() > 0.05
    np.testing.assert_allclose(noise.same - noise.held_out, noise.optimism)


def test_ways_to_count_where_the_answer_is_known():
    true, false = (of(certainty.ways_to_count, worlds.results(t, seeds=5)) for t in ("true", "false"))
    assert (true.dropout == 16).all()
    assert (false.weights == 16).all()
    counts = of(certainty.ways_to_count, worlds.results("noise", seeds=5))
    for table in (true, false, counts):
        assert len(table) == 6
        assert (table[["dropout", "weights", "undecided"]].sum(axis=1) == 16).all()
    undecided = counts.groupby("short").undecided.sum()
    assert undecided["after Holm"] >= undecided["other seeds"]
    assert undecided["after Holm"] >= 30


def test_ways_to_count_are_those_of_the_contrasts():
    results = worlds.results("noise", seeds=4, noise=0.05, rng=3)
    counts = of(certainty.ways_to_count, results).set_index(["levels", "short"])
    both = contrasts.both_ways(results)
    for name, table in both.groupby("levels"):
        assert counts.loc[(name, "other seeds"), "dropout"] == (table.low > 0).sum()
        clear = table.p_holm <= 0.05
        assert counts.loc[(name, "after Holm"), "weights"] == (clear & (table.difference < 0)).sum()


def test_contrast_tables_are_the_contrasts_in_words():
    results = worlds.results("true")
    tables = of(certainty.contrast_tables, results)
    both = contrasts.both_ways(results)
    assert tuple(tables) == contrasts.LEVELS_COMPARED
    for levels, table in tables.items():
        known = both[both["levels"] == levels]
        for column, source in (("difference", "difference"), ("from", "low"), ("to", "high")):
            np.testing.assert_allclose(table[column], known[source], atol=5e-4)
        assert table.index[0] == "input covariance, raw, layer 1"
        assert (table["p (Holm)"].str.startswith("< .0001") | (table["p (Holm)"].str.len() == 5)).all()
    few = of(certainty.contrast_tables, worlds.results("true", seeds=2))
    assert (few["all levels"].p == "–").all()


def test_trends_of_curves_that_rise_fall_and_do_neither():
    found = scattered(0.01, 0.0, 0.0)  # rises by .05 a level
    table = of(certainty.trends, found)
    assert len(table) == 16
    np.testing.assert_allclose(table.rho, 1)
    falling = replace(found, modules=found.modules.assign(q=-found.modules.q))
    np.testing.assert_allclose(of(certainty.trends, falling).rho, -1)
    noise = pd.concat(of(certainty.trends, scattered(0.01, 1.0, 1.0, rng=rng)) for rng in range(4))
    assert abs(noise.rho.mean()) < 0.1
    assert (noise.p_holm > 0.05).mean() > 0.9
    assert (table.n == 9).all()


def test_trends_are_corrected_for_all_of_them_and_need_three_levels():
    table = of(certainty.trends, synthetic.results())  # two levels of dropout and L2, one of L1
    assert table[["rho", "low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert table.set_index("regularizer")["levels"].to_dict() == {"dropout": 2, "l1": 1, "l2": 2}
    many = of(certainty.trends, scattered(0.01, 0.2, 0.0))
    np.testing.assert_allclose(many.p_holm, intervals.holm(many.p.to_numpy()))
    assert (many.p_holm > many.p).any()


@pytest.mark.parametrize(
    "statistic",
    [certainty.units, certainty.times_plain, certainty.optimism, certainty.trends, certainty.ways_to_count],
)
def test_the_order_of_rows_does_not_matter(statistic):
    results = worlds.results("true")
    keys = ["regularizer", "unit", *GRAPH, "side", "levels", "way"]
    a, b = of(statistic, results), of(statistic, replace(results, **shuffled(results)))
    by = [key for key in keys if key in a]
    a, b = (t.sort_values(by).reset_index(drop=True) for t in (a, b))
    pd.testing.assert_frame_equal(a, b, check_exact=False, rtol=1e-9)


def shuffled(results):
    tables = synthetic.shuffled(results)
    return {"networks": tables.networks, "modules": tables.modules}


def test_networks_below_the_filter_take_no_part():
    results = scattered(0.01, 0.01, 0.01)
    results.networks.loc[results.networks.strength == 0.6, "test_accuracy"] = 0.3
    assert (of(certainty.trends, results)["levels"] == 5).all()
    assert units_of_dropout(results).n["network"] == 45


def test_optimism_is_told_by_side_and_for_either():
    results = worlds.results("noise")
    table, found = of(certainty.optimism, results), of(certainty.optimism_by_side, results).set_index("side")
    for side in ("dropout", "weights"):
        here = table[table.side == side]
        expected = (here.optimism.mean(), here.optimism.max(), here["levels"].max())
        assert tuple(found.loc[side, ["mean", "largest", "levels"]]) == pytest.approx(expected)
    assert found.largest["either"] == table.optimism.max()


def test_directions_count_trends_by_their_side_of_none():
    results = scattered(0.01, 0.0, 0.0, seeds=12)
    falling = results.modules.measure == "input_grad"
    modules = results.modules.assign(q=results.modules.q.where(~falling, -results.modules.q))
    found = of(certainty.directions, replace(results, modules=modules)).set_index("regularizer")
    for row in ("dropout", "all"):
        assert found.loc[row].to_dict() == {
            "rising": 12,
            "falling": 4,
            "undecided": 0,
            "trends": 16,
            "lowest": pytest.approx(-1),
            "highest": pytest.approx(1),
        }
    few = of(certainty.directions, synthetic.results()).set_index("regularizer")  # too few levels for a trend
    assert (few.undecided == few.trends).all()
    assert few.lowest.isna().all()


def test_coverages_are_those_of_the_stored_simulation():
    found = certainty.coverages("paper").set_index("intervals")
    assert (found.repetitions == 2000).all()
    assert found.highest["independent"] < 0.7 < found.lowest["in use"]
    assert found.highest["limit trend"] < 0.95 < found.lowest["best in use"]
    assert (found.lowest <= found.highest).all()


def test_the_chapter_counts_what_the_chapter_on_regularisation_counts():
    ways = certainty.ways_to_count("paper").set_index(["short", "levels"]).loc["after Holm"]
    score = regularisation.score("paper").set_index(["experiment", "levels"]).loc["base"]
    for levels in contrasts.LEVELS_COMPARED:
        assert ways.dropout[levels] == score.dropout_wins[levels]
        assert ways.weights[levels] == score.weights_win[levels]


def test_the_power_of_new_seeds_follows_from_the_spread_of_the_old(monkeypatch, tmp_path):
    """The lead varies from seed to seed alike in all graphs of a family, so their mean does as well."""
    found, sd = worlds.results("true", seeds=9), 0.03
    spread = np.array([-1, 1, -1, 1, 0, 1, -1, 1, -1]) * sd
    networks = found.networks.set_index("network")
    strongest = found.modules.network.map(networks.strength == 0.6)
    clean = found.modules.assign(q=0.1)
    clean.loc[strongest, "q"] += spread[found.modules.network[strongest].map(networks.seed)]
    found = replace(found, modules=clean)
    frozen = new_seeds.choose(worlds.results("true")).assign(experiment="base-new-seeds")
    frozen.to_csv(tmp_path / "levels.csv", index=False)
    monkeypatch.setattr(new_seeds, "FILE", tmp_path / "levels.csv")
    monkeypatch.setattr(certainty, "experiments", lambda _, name: {"base": found} if name == "base" else {})
    table = certainty.power_of_new_seeds("paper")
    assert len(table) == 2 * 3
    expected = power(0.02, sd, 60)
    assert 0.9 < expected < 1
    assert table.power.to_numpy() == pytest.approx(expected)
    single = table[table.graphs == "single"]
    assert (single.of == 16).all()
    assert (single.enough == 16).all()
    assert (table.new == 60).all()
    assert (table.old == 9).all()
    shown = certainty.power_tables("paper")["at matched accuracy"].loc["base-new-seeds"]
    assert shown.power.to_list() == [f"{expected:.3f}"] * 3
    assert shown.loc["single", "enough"] == "16 of 16"
    assert shown.loc["upstream", "enough"] == "–"
    monkeypatch.setattr(certainty, "SMALL", 1.0)  # a lead that nobody misses
    assert set(certainty.power_tables("paper")["all levels"].power) == {"> 0.999"}
