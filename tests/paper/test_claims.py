"""Every claim, in worlds where it is true, where it is false, and where nothing can be told."""

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.paper import claims, evidence, judgement, reported, verdicts
from modlib.paper.claims import CLAIMS, TESTED_IN
from modlib.paper.graph_names import graph_name
from modlib.stats import intervals
from modlib.study import accuracy_filter, catalogue, schema, store

N_ITEMS = {  # of one experiment with two layers
    "dropout-raises-q": 16,
    "weights-raise-less": 16,
    "weights-raise-less-anywhere": 16,
    "within-families-high": 4,
    "across-families-low": 2,
    "across-above-chance": 4,
    "training-raises-upstream": 2,
    "training-leaves-downstream": 2,
    "dropout-keeps-modules": 16,
    "strong-penalties-shrink-upstream": 16,
    "accurate-where-modular": 1,
    # default, metric, levels, filter, graphs (of Q; of agreement), graphs of all levels, layer
    "survives-choices": 2 + 6 + 1 + 6 + (6 + 3) + 6 + 4,
    "holds-elsewhere": 6 + 3,  # of one experiment; three are not stored
    "more-than-nulls": 64,  # two levels; untrained and similarity
    "more-with-a-task": 32,
}
WHERE = {"holds-elsewhere": "elsewhere", "more-than-nulls": "fashion", "more-with-a-task": "labels"}


@pytest.fixture(scope="module")
def judged():
    """Items of the three worlds."""
    return {truth: judgement.judged_items(worlds.world(truth)) for truth in ("true", "false", "noise")}


@pytest.mark.parametrize(
    ("truth", "expected"), [("true", "holds"), ("false", "does not hold"), ("noise", "cannot be said")]
)
def test_every_claim_gets_the_verdict_of_its_world(judged, truth, expected):
    table = verdicts.by_claim(judged[truth])
    assert len(table) == 11 * 2 + 2 + 2 + 2  # base and fashion; choices, nulls; several together
    wrong = table[table.verdict != expected]
    assert wrong.empty, wrong.to_string()


def test_items_of_every_claim(judged):
    for table in judged.values():
        where = table.claim.map(WHERE).fillna("base")
        assert table[table.experiment == where].groupby("claim").size().to_dict() == N_ITEMS
        assert not table.duplicated(["claim", "experiment", "item"]).any()


def test_choices_are_shared_between_two_experiments(judged):
    """What needs partitions of its own is asked of close-up, the rest of base, the default of both."""
    table = judged["true"].query("claim == 'survives-choices'")
    kinds = table.groupby("experiment").item.agg(
        lambda labels: {i.split(";")[0].split(":")[0] for i in labels}
    )
    assert kinds["close-up"] == {"default", "images", "optimiser"}
    assert kinds["base"] == {"default", *claims.SAME_PARTITIONS}
    assert (table.experiment == "close-up").sum() == 2 * 3


def test_a_claim_is_a_statement_beside_its_test(monkeypatch):
    """A toy claim, registered here, is seen in the tables of items and verdicts."""
    monkeypatch.setattr(claims, "CLAIMS", registered := [])
    monkeypatch.setattr(judgement, "CLAIMS", registered)

    @claims.claim("Networks are accurate.", "nowhere", "Test accuracy of trained networks.")
    def networks_are_accurate(case):
        accuracy = case.trained.groupby("seed").test_accuracy.mean().to_numpy()
        yield evidence.Item("all layers", intervals.mean(accuracy, null=0.5), threshold=0.5)

    items = judgement.judged_items({"wide": worlds.results("true"), "deep": worlds.results("true")})
    assert items.claim.to_list() == ["networks-are-accurate"] * 2
    assert items.experiment.to_list() == ["wide", "deep"]
    assert verdicts.by_claim(items).verdict.to_list() == ["holds"] * 2
    assert "Test accuracy of trained networks." in networks_are_accurate.__doc__


def test_claims_are_told_apart_by_id_and_said_in_words():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) == len(N_ITEMS)
    for claim in CLAIMS:
        assert claim.statement.endswith(".")
        assert claim.where
        assert claim.statistic
        assert set(claim.experiments) <= {*TESTED_IN, "close-up", "elsewhere", "labels"}


@pytest.mark.parametrize("layers", [(1,), (1, 2, 3, 4, 5)])
def test_any_number_of_layers(layers):
    table = judgement.judged_items({"deep": worlds.results("true", layers=layers)})
    counts = table.groupby("claim").size()
    assert counts["dropout-raises-q"] == 8 * len(layers)
    assert counts["within-families-high"] == 2 * len(layers)
    assert counts["strong-penalties-shrink-upstream"] == 8 * len(layers)
    assert "survives-choices" not in counts  # asked of base only


def test_values_are_those_of_the_world(judged):
    base = judged["true"].query("experiment == 'base'").set_index(["claim", "item"]).value
    graph = graph_name(1, "input_grad", True)
    assert base["dropout-raises-q", graph] == pytest.approx(0.3, abs=0.01)
    assert base["weights-raise-less", graph] == pytest.approx(0.25, abs=0.01)
    assert base["within-families-high", "within upstream, layer 2"] == pytest.approx(0.7, abs=0.01)
    assert base["across-families-low", "across, layer 1"] == pytest.approx(0.3, abs=0.01)
    assert base["across-above-chance", "across, AMI, layer 1"] == pytest.approx(0.1, abs=0.01)
    assert base["training-raises-upstream", "within upstream, layer 1"] == pytest.approx(0.2, abs=0.01)
    assert base["training-leaves-downstream", "within downstream, layer 1"] == pytest.approx(0, abs=0.01)
    assert base["strong-penalties-shrink-upstream", f"L1, {graph}"] == pytest.approx(-2, abs=0.1)
    assert base["accurate-where-modular", "dropout 0.6"] == pytest.approx(0.01, abs=0.001)
    items = judged["true"].set_index(["claim", "experiment", "item"]).value
    for level in ("plain", "dropout 0.6"):
        beyond = items["more-than-nulls", "fashion", f"{level}, similarity, {graph}"]
        assert beyond == pytest.approx(worlds.EXCESS["true"] - worlds.UNTRAINED_EXCESS["true"], abs=0.01)
        over_untrained = items["more-than-nulls", "fashion", f"{level}, untrained, {graph}"]
        gain = worlds.GAINS["true"].get(worlds.STRONGEST if "dropout" in level else worlds.PLAIN, 0.0)
        assert over_untrained == pytest.approx(gain + worlds.EXCESS["true"] / 2, abs=0.01)
        assert items["more-with-a-task", "labels", f"{level}, {graph}"] == pytest.approx(0.1, abs=0.01)


def test_averages_do_not_hide_a_family_in_which_a_finding_fails():
    """Dropout gains more upstream than it loses downstream: the mean holds, one family contradicts it."""
    found = worlds.world("true")["base"]
    graphs = found.modules.measure.isin(["output_grad", "output_hess"])
    found.modules.loc[graphs & found.modules.network.str.startswith("dropout"), "q"] -= 0.4
    found.modules.loc[~graphs & found.modules.network.str.startswith("dropout"), "q"] += 0.4
    for claim, label in (("survives-choices", ""), ("holds-elsewhere", "base-v1; ")):
        items = judgement.judged_items({"base": found, "base-v1": found}).query(f"claim == '{claim}'")
        outcome = items.set_index("item").outcome
        assert outcome[f"{label}default; dropout less weights"] == "supported"
        assert outcome[f"{label}graphs: upstream only; dropout less weights"] == "supported"
        assert outcome[f"{label}graphs: downstream only; dropout less weights"] == "contradicted"
        assert set(verdicts.by_claim(items).verdict) == {"holds in part"}


def test_untrained_networks_of_the_seeds_of_trained_ones_take_no_part():
    """The world's untrained networks of shared seeds stand far apart from the others."""
    found = worlds.world("true")
    nulls = judgement.judged_items(found).query("claim == 'more-than-nulls'")
    assert (nulls.outcome == "supported").all()
    base = found["base"]
    shared = base.networks[~base.networks.trained & base.networks.seed.isin(range(4))].network
    base.agreement.loc[base.agreement.network.isin(shared), "ecs"] = 9.0
    after = judgement.judged_items({"base": base}).query("claim == 'training-raises-upstream'")
    assert after.value.to_numpy() == pytest.approx(0.2, abs=0.01)


def test_matched_accuracy_tells_two_claims_apart():
    """A penalty that beats dropout at the price of accuracy counts only where accuracy is not asked for."""
    found = worlds.results("true")
    rival = found.networks.network[(found.networks.regularizer == "l1")]
    found.modules.loc[found.modules.network.isin(rival), "q"] += 0.5
    found.networks.loc[found.networks.network.isin(rival), "test_accuracy"] = 0.9
    table = verdicts.by_claim(judgement.judged_items({"fashion": found})).set_index("claim").verdict
    assert table["weights-raise-less"] == "holds"
    assert table["weights-raise-less-anywhere"] == "does not hold"
    assert table["dropout-raises-q"] == "holds"


def test_a_claim_that_is_true_of_some_graphs_holds_in_part():
    found = worlds.results("true")
    graphs = found.modules.measure.isin(["output_grad", "output_hess"])
    dropout = found.modules.network.str.startswith("dropout")
    found.modules.loc[graphs & dropout, "q"] -= 0.4
    table = judgement.judged_items({"wide": found})
    raises = table[table.claim == "dropout-raises-q"]
    against = raises[raises.outcome == "contradicted"].item
    assert set(against) == {
        graph_name(layer, m, n)
        for layer in (1, 2)
        for m in ("output_grad", "output_hess")
        for n in (False, True)
    }
    assert verdicts.by_claim(raises).verdict.tolist() == ["holds in part"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_decide_nothing(seeds):
    table = verdicts.by_claim(judgement.judged_items({"wide": worlds.results("true", seeds=seeds)}))
    assert set(table.verdict) == {"cannot be said"}


def test_experiments_that_are_missing_are_named():
    items = judgement.judged_items({"base": worlds.results("true"), "deep": worlds.results("true")})
    elsewhere = verdicts.by_claim(items).set_index("claim").loc["holds-elsewhere"]
    assert elsewhere.n_items == 6
    assert elsewhere.verdict == "holds"
    for name in ("base-v1", "wide", "fashion"):
        assert f"{name}; " in elsewhere.no_data
    assert "deep" not in elsewhere.no_data
    assert set(items.experiment) == {"base", "deep", "elsewhere", "labels"}


def test_tables_without_rows_leave_the_claim_open():
    full = worlds.world("true")
    bare = store.Results(
        full["base"].networks, full["base"].modules, full["base"].agreement, manifest={}, kept={}
    )
    for found in (bare, full["base"]):
        table = verdicts.by_claim(judgement.judged_items({"fashion": found, "close-up": found}))
        nulls = table[table.claim == "more-than-nulls"]
        assert set(nulls.verdict) == {"cannot be said"}
        assert set(nulls.n_items) == {0}
        assert len(nulls) == 2


def test_one_kind_of_labels_alone_says_nothing():
    for name, other in (("labels-kept", "labels-shuffled"), ("labels-shuffled", "labels-kept")):
        items = judgement.judged_items({name: worlds.world("true")[name]})
        (row,) = verdicts.by_claim(items).query("claim == 'more-with-a-task'").to_dict("records")
        assert (row["verdict"], row["n_items"]) == ("cannot be said", 0)
        assert other in row["no_data"]
        assert name not in row["no_data"]


def test_labels_are_compared_seed_by_seed():
    """A difference of Q between seeds that both kinds of labels share is no uncertainty about labels."""
    found = worlds.world("true")
    for name in ("labels-kept", "labels-shuffled"):
        seed = found[name].modules.network.str.extract(r"seed=(\d+)")[0].astype(int)
        found[name].modules["q"] += seed / 2
    items = judgement.judged_items(found).query("claim == 'more-with-a-task'")
    assert (items.outcome == "supported").all()
    order = {name: found[name] for name in ("labels-kept", "labels-shuffled")}
    swapped = judgement.judged_items(dict(zip(order, reversed(order.values()), strict=True)))
    assert (swapped.query("claim == 'more-with-a-task'").outcome == "contradicted").all()
    mixed = found["labels-shuffled"]
    last = mixed.networks.seed[mixed.networks.trained].max()
    mixed.networks["seed"] = last - mixed.networks.seed  # each beside another seed
    items = judgement.judged_items(found).query("claim == 'more-with-a-task'")
    assert (items.outcome == "undecided").all()


def test_networks_under_the_filter_take_no_part():
    found = worlds.results("true")
    spoilt = found.networks.network[found.networks.strength == 1e-3]
    found.networks.loc[found.networks.network.isin(spoilt), "test_accuracy"] = 0.5
    found.modules.loc[found.modules.network.isin(spoilt), "q"] = 9.0
    table = verdicts.by_claim(judgement.judged_items({"wide": found})).set_index("claim").verdict
    assert table["weights-raise-less-anywhere"] == "holds"


def test_the_filter_does_not_hide_a_loss_of_accuracy():
    found = worlds.results("true")
    strongest = found.networks.strength == 0.6
    found.networks.loc[strongest, "test_accuracy"] = np.linspace(0.5, 0.6, strongest.sum())
    table = judgement.judged_items({"wide": found})
    assert table[table.claim == "accurate-where-modular"].outcome.tolist() == ["contradicted"]


def test_the_paper_stands_beside_its_own_experiments_only(judged):
    table = judged["true"]
    with_paper = table[table.paper.notna()]
    assert set(with_paper.experiment) == {"base"}
    paper_makes = {claim.id for claim in CLAIMS if claim.of_paper}
    ours_from_its_figures = {"training-leaves-downstream", "survives-choices"}
    assert set(with_paper.claim) - paper_makes == ours_from_its_figures
    for claim in ("dropout-raises-q", "weights-raise-less", "within-families-high", "accurate-where-modular"):
        assert table[(table.claim == claim) & (table.experiment == "base")].paper.notna().all()
    ours = table[table.claim == "more-than-nulls"]
    assert ours.paper.isna().all()


def test_p_is_against_the_threshold_and_left_out_where_a_margin_decides(judged):
    table = judged["noise"]
    margins = table.direction.isin(["within", "not above"])
    assert table[margins].p.isna().all()
    at_threshold = table[(table.claim == "within-families-high") & (table.experiment == "base")]
    assert (at_threshold.threshold == reported.high_agreement()).all()
    assert (at_threshold.p > 0.01).all()  # its world is centred on the threshold; against 0, p would be tiny


def test_the_margin_is_a_tenth_of_the_papers_own_value():
    assert round(reported.family_ecs("downstream") / 10, 2) == claims.DOWNSTREAM_MARGIN


def test_the_order_of_rows_does_not_matter():
    a = worlds.world("true")
    rng = np.random.default_rng(0)
    b = {}
    for place, found in a.items():
        mixed = {
            name: getattr(found, name).iloc[rng.permutation(len(getattr(found, name)))]
            for name in schema.TABLES
        }
        b[place] = store.Results(**mixed, manifest={}, kept={})
    key = ["claim", "experiment", "item"]
    one, other = (judgement.judged_items(r).sort_values(key).reset_index(drop=True) for r in (a, b))
    assert one[[*key, "outcome"]].equals(other[[*key, "outcome"]])
    for column in ("value", "low", "high", "p_holm"):
        np.testing.assert_allclose(one[column], other[column], rtol=1e-7, atol=1e-12)


def test_table_reads_what_is_stored_and_computes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    assert judgement.stored_items("paper").empty
    found = worlds.results("true")
    tables = {name: getattr(found, name) for name in schema.TABLES}
    store.write_results(catalogue.get("base-v1", "paper"), tables, {}, {})
    table = judgement.stored_items("paper")
    assert set(table.experiment) == {"base-v1", "elsewhere", "labels"}
    assert judgement.stored_items("quick").empty
    expected = judgement.judged_items({"base-v1": found})
    pd.testing.assert_frame_equal(table, expected)
    with pytest.raises(ValueError, match="profile must be one of"):
        judgement.stored_items("huge")
    # The table is kept for the next who asks, unless the tables are others by then.
    table["value"] = 0.0
    pd.testing.assert_frame_equal(judgement.stored_items("paper"), expected)
    tables = {name: getattr(worlds.results("false"), name) for name in schema.TABLES}
    store.write_results(catalogue.get("base-v1", "paper"), tables, {}, {})
    assert not judgement.stored_items("paper").value.equals(expected.value)


def test_the_same_filter_as_the_findings():
    """Items rest on `accuracy_filter.kept_networks`: the world has networks that it drops."""
    found = worlds.results("true")
    found.networks.loc[found.networks.network == "dropout=0.6,seed=0", "test_accuracy"] = 0.1
    dropped = set(found.networks.network) - set(accuracy_filter.kept_networks(found).network)
    assert dropped == {"dropout=0.6,seed=0"}
    table = judgement.judged_items({"wide": found})
    assert (table[table.claim == "dropout-keeps-modules"].n == 3).all()
