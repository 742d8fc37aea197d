"""What hangs on a choice: effects beside their own default, optimisers and images beside the default's Q."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.algorithms import OPTIMISERS
from modlib.book import stored as stored_tables
from modlib.book.chapters.choices import tables as choices
from modlib.paper import family_pairs
from modlib.paper.multiverse import (
    AGREEMENT_EFFECT,
    CHOSEN_METRICS,
    DOWNSTREAM_LEAD,
    EFFECTS,
    UPSTREAM_LEAD,
)


@pytest.fixture(scope="module")
def world():
    return worlds.results("true")


def planted(world, difference, *, only=None):
    """Set Q of each choice to the default's plus `difference`, by choice; other graphs than `only` stay."""
    q = world.modules.set_index(["network", "layer", "measure", "normalized"]).q
    rows = world.choices
    own = q.loc[list(zip(rows.network, rows.layer, rows.measure, rows.normalized, strict=True))].to_numpy()
    step = rows.choice.map(difference).to_numpy()
    if only is not None:
        step = np.where(only(rows), step, 0.0)
    return replace(world, choices=rows.assign(q=own + step))


# --- effects


def test_each_effect_stands_beside_the_default_of_its_experiment(world):
    lower = replace(world, agreement=world.agreement.assign(ami=lambda t: t.ami * 0.5))
    table = choices.effects(world, lower)
    default = table[table.choice_kind == "default"].set_index(["experiment", "effect"]).value
    assert default["close-up", AGREEMENT_EFFECT] == pytest.approx(default["base", AGREEMENT_EFFECT] / 2)
    assert len(default) == 2 * len(EFFECTS)
    for row in table[table.choice_kind != "metric"].to_dict("records"):
        reference = default[row["experiment"], row["effect"]]
        assert row["reference"] == reference
        assert row["change"] == pytest.approx(row["value"] - reference)
    assert table[table.choice_kind == "metric"][["reference", "change"]].isna().all(axis=None)


def test_only_choices_of_its_own_are_taken_from_the_close_up(world):
    table = choices.effects(world, world)
    close_up = table[table.experiment == "close-up"]
    assert set(close_up.choice_kind) == {"default", "images", "optimiser"}
    assert set(choices.effects(replace(world, choices=world.choices[:0])).experiment) == {"base"}


# --- metrics


def test_metrics_are_shares_of_the_agreement_within(world):
    table = choices.metrics(world).set_index("metric")
    assert list(table.index) == ["ami", *CHOSEN_METRICS]
    assert table.value["ecs"] == pytest.approx(0.35 / 0.65, abs=0.01)
    assert table.value["vi"] == pytest.approx((0.7 - 0.35) / 0.7, abs=0.01)  # a distance: less within
    ami = table.loc["ami"]
    within, across = 0.5 * 3 / 5 + 0.6 * 2 / 5, 0.1 * 3 / 5 + 0.2 * 2 / 5  # two of five levels are strong
    assert ami.value == pytest.approx((within - across) / within, abs=0.01)
    assert [ami.upstream, ami.downstream, ami.across] == pytest.approx([within, within, across], abs=0.01)
    assert (table.low < table.value).all()
    assert (table.n == 4).all()


def test_the_unit_of_a_metric_does_not_count(world):
    scaled = replace(world, agreement=world.agreement.assign(rmi=lambda t: 7 * t.rmi, vi=lambda t: 3 * t.vi))
    shifted = replace(world, agreement=world.agreement.assign(rmi=lambda t: 7 + t.rmi))
    same = choices.metrics(world).value.to_numpy()
    assert choices.metrics(scaled).value.to_numpy() == pytest.approx(same)
    assert choices.metrics(shifted).value.to_numpy() != pytest.approx(same)


# --- optimisers and images


def test_a_shortfall_is_found_graph_by_graph(world):
    found = planted(
        world,
        {"images=100": 0.0, "optimiser=spectral": -0.02},
        only=lambda rows: (rows.layer == 1) | (rows.measure != "input_cov"),
    )
    table = choices.optimisers(found).set_index("optimiser")
    assert list(table.index) == ["spectral"]
    row = table.loc["spectral"]
    assert row.value == pytest.approx(-0.02 * 14 / 16)
    assert (row.worst, row.best) == pytest.approx((-0.02, 0.0))
    assert row.equal_or_better == pytest.approx(2 / 16)
    assert row.better == 0
    assert row.graphs == 4 * 5 * 2 * 8
    trained = found.networks[found.networks.trained].network
    q = found.modules[found.modules.network.isin(trained)].q.mean()
    assert row.relative == pytest.approx(row.value / q)


def test_a_search_that_is_better_is_said_to_be(world):
    table = choices.optimisers(planted(world, {"images=100": 0.0, "optimiser=spectral": 0.01}))
    assert table.better.tolist() == table.equal_or_better.tolist() == [1.0]


def test_networks_that_did_not_learn_do_not_count(world):
    found = planted(world, {"images=100": 0.0, "optimiser=spectral": -0.02})
    level = found.networks.network.str.startswith("l2=0.01,")
    bad = found.choices.network.str.startswith("l2=0.01,")
    found = replace(
        found,
        networks=found.networks.assign(test_accuracy=np.where(level, 0.2, found.networks.test_accuracy)),
        choices=found.choices.assign(q=found.choices.q - 5 * bad),
    )
    assert choices.optimisers(found).value.tolist() == pytest.approx([-0.02])


def test_the_bias_of_few_images_is_found_by_measure(world):
    bias = {"input_cov": 0.01, "input_grad": 0.02, "output_grad": 0.0, "output_hess": -0.01}
    found = planted(world, {"images=100": 0.0, "optimiser=spectral": 0.0})
    found = replace(found, choices=found.choices.assign(q=lambda t: t.q + t.measure.map(bias)))
    table = choices.images(found)
    assert len(table) == 8
    assert (table.images == 100).all()
    assert table.value.to_numpy() == pytest.approx(table.measure.map(bias).to_numpy())


def test_tables_without_choices_give_none(world):
    bare = replace(world, choices=world.choices[:0], choices_agreement=world.choices_agreement[:0])
    assert choices.optimisers(bare).empty
    assert choices.images(bare).empty
    assert choices.agreement(bare).choice.tolist() == ["default"]


def test_agreement_by_choice(world):
    """Never of a measure with itself: in the table `choices_agreement`, such rows have the opposite sign."""
    table = choices.agreement(world).set_index("choice")
    assert list(table.index) == ["default", "images=100", "optimiser=spectral"]
    trained = world.agreement[~world.agreement.network.str.startswith("none")]
    means = family_pairs.distinct(trained).groupby("family_pair").ami.mean()
    for pair in worlds.PAIRS:
        assert table[pair].to_numpy() == pytest.approx([means[pair]] * 3, abs=0.005)
    with pytest.raises(ValueError, match="metric must be ami or ecs, got 'vi'"):
        choices.agreement(world, "vi")


# --- tables that prose cites


@pytest.fixture
def store(world, monkeypatch):
    """Store a base experiment and a close-up, if there is one."""

    def stored(base=world, close_up=None):
        monkeypatch.setattr(choices, "run", lambda *_, **__: base)
        monkeypatch.setattr(stored_tables.store, "read_if_stored", lambda _: close_up)

    return stored


def test_without_a_close_up_its_tables_have_no_rows(store):
    store()
    for table in (choices.searches, choices.few_images, choices.by_search):
        assert table("paper").empty
    assert set(choices.under_choices("paper").experiment) == {"base"}


def test_choices_are_counted_for_one_effect_at_a_time(store, world):
    store(close_up=planted(world, {"images=100": 0.0, "optimiser=spectral": -0.03}))
    found = choices.counts("paper").set_index("effect")
    assert set(found.index) == set(EFFECTS)
    # levels, 3 accuracy filters, 3 graphs, twice, 2 layers, 2 of close-up
    assert found.choices[UPSTREAM_LEAD] == found.choices[DOWNSTREAM_LEAD] == 1 + 3 + 2 * 3 + 2 + 2
    assert found.choices[AGREEMENT_EFFECT] == len(CHOSEN_METRICS) + 3 + 2 + 2 + 2
    assert found.above[UPSTREAM_LEAD] == found.choices[UPSTREAM_LEAD]
    assert (found.above + found.around + found.below == found.choices).all()


def test_choices_are_counted_by_the_side_of_the_interval(store):
    store(worlds.results("false"))
    found = choices.counts("paper").set_index("effect")
    assert (found.below == found.choices).all()
    store(worlds.results("noise"))
    found = choices.counts("paper").set_index("effect")
    assert found.around.sum() > found.above.sum() + found.below.sum()


def test_per_cents_are_those_of_the_tables(store, world):
    close_up = planted(world, {"images=100": 0.0, "optimiser=spectral": -0.03})
    store(close_up=close_up)
    spectral = choices.searches("paper").set_index("optimiser").loc["spectral"]
    assert spectral.relative_percent == pytest.approx(100 * choices.optimisers(close_up).relative[0])
    assert spectral.equal_or_better_percent == spectral.better_percent == 0
    few = choices.few_images("paper").set_index("images").loc["100"]
    assert few.to_list() == pytest.approx([0.0] * 3, abs=1e-10)
    by_search = choices.by_search("paper").set_index(["metric", "choice"])
    assert by_search.index.to_list() == [
        (m, c) for m in ("ami", "ecs") for c in ("default", "100", "spectral")
    ]
    assert by_search.upstream["ecs", "default"] == pytest.approx(0.7, abs=0.005)


def test_few_images_range_over_the_graphs(store, world):
    bias = {"input_cov": 0.01, "input_grad": 0.02, "output_grad": 0.0, "output_hess": -0.01}
    found = planted(world, {"images=100": 0.0, "optimiser=spectral": 0.0})
    store(close_up=replace(found, choices=found.choices.assign(q=lambda t: t.q + t.measure.map(bias))))
    few = choices.few_images("paper").set_index("images").loc["100"]
    assert few.lowest_percent < 0 < few.mean_percent < few.highest_percent


def test_the_range_of_metrics_has_names(store, world):
    store()
    found = choices.metric_range("paper").loc[0]
    values = choices.metrics(world).set_index("metric").value
    assert (found.lowest, found.highest, found.default) == (values.min(), values.max(), values["ami"])
    assert found.highest_metric == choices.METRIC_NAMES[values.idxmax()]


def test_the_choices_of_the_smallest_and_the_largest_effect_are_named(store, world):
    modules = world.modules.copy()
    modules.loc[(modules.layer == 2) & modules.network.str.startswith("dropout"), "q"] -= 0.1
    store(replace(world, modules=modules))
    found = choices.extremes("paper").set_index(["effect", "extreme"])
    upstream = found.loc[UPSTREAM_LEAD]
    assert upstream.choice.to_dict() == {"smallest": "layer 2 only", "largest": "layer 1 only"}
    assert upstream.value.to_list() == pytest.approx([0.15, 0.25], abs=0.005)
    assert upstream.change.to_list() == pytest.approx([-0.05, 0.05], abs=0.005)
    assert found.value[DOWNSTREAM_LEAD, "smallest"] == pytest.approx(0.015 - 0.1, abs=0.005)
    assert (found.low < found.value).all()
    agreement = found.loc[AGREEMENT_EFFECT].choice
    assert not set(agreement) & set(choices.METRIC_NAMES.values())  # those have units of their own


def test_families_are_told_apart(store, world):
    modules = world.modules.copy()
    downstream = modules.measure.isin(["output_grad", "output_hess"])
    modules.loc[downstream & modules.network.str.startswith("dropout"), "q"] -= 0.4
    store(replace(world, modules=modules))
    keys = ["experiment", "effect", "choice_kind", "choice"]
    found = choices.under_choices("paper").set_index(keys).sort_index().loc["base"]
    assert found.value[UPSTREAM_LEAD, "levels", "all"] == pytest.approx(0.25, abs=0.005)
    assert found.value[DOWNSTREAM_LEAD, "levels", "all"] == pytest.approx(0.015 - 0.4, abs=0.005)
    counts = choices.counts("paper").set_index("effect")
    assert counts.below.to_dict() == {
        UPSTREAM_LEAD: 0,
        DOWNSTREAM_LEAD: counts.choices[DOWNSTREAM_LEAD],
        AGREEMENT_EFFECT: 0,
    }


def test_effects_that_cannot_be_had_are_not_counted(store, world):
    store()
    before = choices.counts("paper").set_index("effect").choices
    networks = world.networks.assign(test_accuracy=np.where(world.networks.trained, 0.93, 0.1))
    store(replace(world, networks=networks))
    assert (before - choices.counts("paper").set_index("effect").choices == 1).all()  # nothing reaches 0.95


def test_pairs_of_a_measure_with_itself_would_raise_agreement(store, world):
    """They are two of the six pairs within a family."""
    own = world.agreement.measure_a == world.agreement.measure_b
    upstream = own & (world.agreement.family_pair == "upstream")
    ami = np.where(upstream, 0.84, np.where(own, 0.54, world.agreement.ami))
    store(replace(world, agreement=world.agreement.assign(ami=ami)))
    found = choices.self_pairs("paper").set_index("family_pair")
    assert found.different.to_list() == pytest.approx([0.54, 0.54], abs=0.005)
    assert found.raised.to_dict() == pytest.approx({"upstream": 0.1, "downstream": 0.0}, abs=0.005)
    assert found.itself["upstream"] == pytest.approx(0.84)
    assert (found.every - found.raised).to_list() == pytest.approx(found.different.to_list())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_choice_has_a_name_in_words(name):
    assert choices.label("optimiser", name) == choices.OPTIMISER_NAMES[name]
    assert choices.label("metric", "vi") == "variation of information"
    assert choices.label("default", "default") == "default"
    assert choices.label("graphs", "raw only") == "raw graphs only"
    assert choices.label("accuracy filter", "none") == "no accuracy filter"
    assert choices.label("accuracy filter", "none, all levels") == "no accuracy filter, all levels"
    assert choices.label("accuracy filter", "at least 0.9, all levels") == (
        "test accuracy at least 0.9, all levels"
    )
    assert choices.label("graphs", "without the Hessian") == "without the Hessian"


def test_other_partitions_are_averaged_by_seed(monkeypatch):
    """Seeds have one network or two, and count the same."""
    networks = ["l2=1,seed=0", "l2=1,seed=1", "l1=1,seed=1"]
    within, across = [0.5, 0.4, 0.6], [0.2, 0.0, 0.2]
    rows = [
        {"network": name, "layer": 1, "family_pair": pair, "best": value, "ensembles": value / 2}
        | {"closest": 1.0, "consensus": value}
        for i, name in enumerate(networks)
        for pair, value in (("upstream", within[i]), ("downstream", within[i] - 0.1), ("across", across[i]))
    ]
    monkeypatch.setattr(choices.degeneracy, "read", lambda _: pd.DataFrame(rows))
    found = choices.other_partitions("paper").set_index("way")
    assert list(found.index) == list(choices.degeneracy.WAYS)
    assert found.upstream["best"] == pytest.approx(0.5)
    assert found.across["best"] == pytest.approx((0.2 + 0.1) / 2)
    assert found.gap["best"] == pytest.approx((0.45 - 0.2 + 0.45 - 0.1) / 2)
    half = 12.7062047 * 0.1 / 2  # t with one degree of freedom, of two seeds .1 apart
    assert found.high["best"] - found.gap["best"] == pytest.approx(half)
    assert found.gap["ensembles"] == pytest.approx(found.gap["best"] / 2)
    assert found.gap["closest"] == 0
    assert choices.least_gap("paper").way.item() == found.low.idxmin()


def test_near_best_partitions_are_counted_by_measure(monkeypatch):
    table = pd.DataFrame(
        {
            "network": ["a", "a", "b", "b"],
            "measure": ["input_cov", "output_grad"] * 2,
            "partitions": [1, 3, 1, 5],
        }
        | {"ami": [1.0, 0.8, 1.0, 0.6]}
    )
    monkeypatch.setattr(choices.degeneracy, "read", lambda _: table)
    found = choices.near_best("paper").set_index("of")
    assert found.loc["all", ["partitions", "ami", "single", "networks"]].to_list() == [2.5, 0.85, 0.5, 2]
    assert found.partitions["output_grad"] == 4


# --- ways to find modules


WAYS = (
    ("modularity", "absolute", 1.0),
    ("modularity", "signed", 2.0),
    ("constant Potts", "absolute", 0.75),
    ("block model", "absolute", 4.0),
)


def ways_found(values, *, one_module=(0, 0, 0, 0), single_units=(0, 0, 0, 0), experiment="close-up"):
    """Effects of a lead upstream by `WAYS`, each with an interval of ± .1."""
    table = pd.DataFrame(WAYS, columns=["algorithm", "sign", "setting"])
    table = table.assign(experiment=experiment, effect="lead", value=values, n=9, p=0.01, n_modules=4.0)
    table = table.assign(low=table.value - 0.1, high=table.value + 0.1)
    return table.assign(one_module=one_module, single_units=single_units, **{"at": "upstream"})


def ways_stored(monkeypatch, *tables):
    table = pd.concat(tables, ignore_index=True)
    monkeypatch.setattr(choices.specification_effects, "read", lambda: table)


def test_ways_are_counted_by_where_their_interval_lies(monkeypatch):
    ways_stored(monkeypatch, ways_found([0.3, 0.2, -0.2, 0.05]), ways_found([0.3] * 4, experiment="fashion"))
    found = choices.specification_counts("paper").set_index(["experiment", "effect", "at"])
    assert found.loc["close-up", "lead", "upstream"].to_dict() == {
        "ways": 4, "above": 2, "below": 1, "around": 1,
    }  # fmt: skip
    assert found.above["fashion", "lead", "upstream"] == 4


def test_ways_that_put_most_graphs_into_one_module_or_each_unit_into_its_own_say_nothing(monkeypatch):
    table = ways_found([0.3, 0.9, -0.9, 0.1], one_module=(0, 0.6, 0, 0), single_units=(0, 0, 0.51, 0.5))
    ways_stored(monkeypatch, table)
    assert list(choices.by_specification("paper").algorithm) == ["modularity", "block model"]
    extremes = choices.specification_extremes("paper").set_index("extreme")
    assert extremes.specification.to_dict() == {
        "smallest": "block model, 4 blocks", "largest": "absolute values, γ = 1",
    }  # fmt: skip


def test_what_reverses_a_sign_is_named_by_data_set(monkeypatch):
    some = ways_found([0.3, -0.2, -0.2, -0.05])  # the last one's interval holds zero
    none, other = ways_found([0.3] * 4, experiment="fashion"), ways_found([-0.3, -0.2, 0.2, 0.0])
    ways_stored(monkeypatch, some, none)
    found = choices.reversed_by("paper").iloc[0]
    assert (found.ways, found.kept, found.reversed) == (6, 4, 2)
    assert found.named == "MNIST: signed, γ = 2; constant Potts, γ = 0.75"
    said = choices.reversed_findings("paper").said.item()
    assert said == f"some reverse one (lead, upstream, by {found.named})"
    ways_stored(monkeypatch, none, other)
    assert choices.reversed_by("paper").named.item() == "MNIST: constant Potts, γ = 0.75"
    unclear = ways_found([0.05, -0.2, -0.2, -0.3])  # by the default the interval holds zero
    ways_stored(monkeypatch, unclear, other.assign(experiment="fashion"))
    found = choices.reversed_by("paper").iloc[0]
    assert (found.ways, found.kept, found.reversed) == (3, 2, 1)
    assert found.named == "Fashion-MNIST: constant Potts, γ = 0.75"
    ways_stored(monkeypatch, unclear)
    found = choices.reversed_by("paper").iloc[0]
    assert (found.ways, found.named) == (0, "none")
    ways_stored(monkeypatch, none)
    assert choices.reversed_by("paper").named.item() == "none"
    assert choices.reversed_findings("paper").said.item() == "none reverses either"
