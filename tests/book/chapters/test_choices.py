"""What hangs on a choice: effects beside their own default, optimisers and images beside the default's Q."""

from dataclasses import replace

import numpy as np
import pytest
import worlds

from modlib.algorithms import OPTIMISERS
from modlib.book import stored as stored_tables
from modlib.book.chapters.choices import tables as choices
from modlib.paper.multiverse import AGREEMENT_EFFECT, CHOSEN_METRICS, Q_EFFECT


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
    higher = replace(world, agreement=world.agreement.assign(ecs=lambda t: t.ecs * 0.5))
    table = choices.effects(world, higher)
    default = table[table.choice_kind == "default"].set_index(["experiment", "effect"]).value
    assert default["close-up", AGREEMENT_EFFECT] == pytest.approx(default["base", AGREEMENT_EFFECT] / 2)
    for row in table[table.choice_kind != "metric"].to_dict("records"):
        reference = default[row["experiment"], row["effect"]]
        assert row["reference"] == reference
        assert row["change"] == pytest.approx(row["value"] / reference - 1)
    assert table[table.choice_kind == "metric"][["reference", "change"]].isna().all(axis=None)


def test_only_choices_of_its_own_are_taken_from_the_close_up(world):
    table = choices.effects(world, world)
    close_up = table[table.experiment == "close-up"]
    assert set(close_up.choice_kind) == {"default", "images", "optimiser"}
    assert set(choices.effects(replace(world, choices=world.choices[:0])).experiment) == {"base"}


@pytest.mark.parametrize("truth", ["true", "false"])
def test_an_effect_is_kept_where_its_sign_is(truth):
    """Also where the default's is negative; and not where a choice turns it around."""
    world = worlds.results(truth)
    assert choices.effects(world).kept.all()
    first = world.modules.layer == 1
    dropout = world.modules.network.str.startswith("dropout")
    turned = world.modules.assign(q=world.modules.q + np.where(first & dropout, 0.2, 0.0))
    turned.loc[~first & dropout, "q"] -= 0.7 * (1 if truth == "true" else -1)
    turned.loc[first & dropout, "q"] += 2.0 * (1 if truth == "true" else -1)
    table = choices.effects(replace(world, modules=turned)).set_index(["choice", "effect"])
    assert table.kept["1 only", Q_EFFECT]
    assert not table.kept["2 only", Q_EFFECT]
    assert table.kept["2 only", AGREEMENT_EFFECT]


def test_no_effect_is_kept_in_noise():
    assert not choices.effects(worlds.results("noise")).kept.all()


# --- metrics


def test_metrics_are_shares_of_the_agreement_within(world):
    table = choices.metrics(world).set_index("metric")
    assert list(table.index) == list(CHOSEN_METRICS)
    assert table.value["ecs"] == pytest.approx(0.35 / 0.65, abs=0.01)
    assert table.value["ami"] == pytest.approx(0.4 / 0.5, abs=0.01)
    assert table.value["vi"] == pytest.approx((0.7 - 0.35) / 0.7, abs=0.01)  # a distance: less within
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
    table = choices.agreement(world).set_index("choice")
    assert list(table.index) == ["default", "images=100", "optimiser=spectral"]
    for pair, ecs in zip(worlds.PAIRS, worlds.ECS["true"][0], strict=True):
        assert table[pair].to_numpy() == pytest.approx([ecs] * 3, abs=0.005)
    with pytest.raises(ValueError, match="metric must be ecs or ami, got 'vi'"):
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
    for table in (choices.searches, choices.few_images, choices.ecs):
        assert table("paper").empty
    assert set(choices.both_effects("paper").experiment) == {"base"}


def test_choices_are_counted(store, world):
    store(close_up=planted(world, {"images=100": 0.0, "optimiser=spectral": -0.03}))
    found = choices.counts("paper").set_index("effect")
    assert found.rows["both"] == found.kept["both"] == 32 + 4
    assert found.rows[Q_EFFECT] + found.rows[AGREEMENT_EFFECT] == 36
    assert (found.against == 0).all()
    assert (found.kept_holm <= found.kept).all()


def test_per_cents_are_those_of_the_tables(store, world):
    close_up = planted(world, {"images=100": 0.0, "optimiser=spectral": -0.03})
    store(close_up=close_up)
    spectral = choices.searches("paper").set_index("optimiser").loc["spectral"]
    assert spectral.relative_percent == pytest.approx(100 * choices.optimisers(close_up).relative[0])
    assert spectral.equal_or_better_percent == spectral.better_percent == 0
    few = choices.few_images("paper").set_index("images").loc["100"]
    assert few.to_list() == pytest.approx([0.0] * 3, abs=1e-10)
    assert choices.ecs("paper").choice.to_list() == ["default", "100", "spectral"]


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
    assert (found.lowest, found.highest, found.ecs) == (values.min(), values.max(), values["ecs"])
    assert found.highest_metric == choices.METRIC_NAMES[values.idxmax()]
    assert found.metrics == len(CHOSEN_METRICS)


def test_the_choice_that_changes_most_is_named(store, world):
    modules = world.modules.copy()
    modules.loc[(modules.layer == 2) & modules.network.str.startswith("dropout"), "q"] -= 0.1
    store(replace(world, modules=modules))
    found = choices.extremes("paper").set_index(["effect", "extreme"]).loc[Q_EFFECT]
    assert found.choice["smallest value"] == "layer 2 only"
    assert found.value["smallest value"] == pytest.approx(0.15, abs=0.005)
    assert found.choice["largest change"] in ("layer 1 only", "layer 2 only")
    assert abs(found.percent["largest change"]) == pytest.approx(25, abs=2)


def test_families_are_told_apart(store, world):
    modules = world.modules.copy()
    downstream = modules.measure.isin(["output_grad", "output_hess"])
    modules.loc[downstream & modules.network.str.startswith("dropout"), "q"] -= 0.4
    store(replace(world, modules=modules))
    keys = ["experiment", "effect", "choice_kind", "choice"]
    found = choices.both_effects("paper").set_index(keys).sort_index().loc["base", Q_EFFECT]
    assert found.value["graphs", "upstream only"] == pytest.approx(0.25, abs=0.005)
    assert found.low["graphs", "upstream only"] > 0
    for kind in ("graphs", "graphs of all levels"):
        row = found.loc[kind, "downstream only"]
        assert row.value == pytest.approx(-0.15, abs=0.005)
        assert row.low < row.value < row.high < 0
    against = choices.counts("paper").set_index("effect").against
    assert against[Q_EFFECT] == 4  # without the input gradient, downstream graphs outweigh the rest


def test_effects_that_cannot_be_had_are_not_counted(store, world):
    networks = world.networks.assign(test_accuracy=np.where(world.networks.trained, 0.93, 0.1))
    store(replace(world, networks=networks))
    assert choices.counts("paper").set_index("effect").rows["both"] == 32 - 2  # nothing reaches 0.95


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
