"""Every claim, in worlds where it is true, where it is false, and where nothing can be told."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.measures import MEASURES
from modlib.paper import claims, evidence, judgement, reported, verdicts
from modlib.paper.claims import CLAIMS, TESTED_IN
from modlib.stats import intervals
from modlib.study import accuracy_filter, catalogue, schema, store

LEVELS = ["weakest L2", "dropout 0.6", "L2 0.01"]  # at which agreement is looked at
N_ITEMS = {  # of one experiment with two layers
    "dropout-raises-upstream": 1,
    "dropout-raises-downstream": 1,
    "penalties-raise-upstream": 1,
    "penalties-raise-downstream": 1,
    "dropout-leads-upstream": 1,
    "dropout-leads-downstream": 1,
    "level-downstream": 1,
    "lead-is-upstream": 1,
    "dropout-leads-upstream-anywhere": 1,
    "dropout-leads-downstream-anywhere": 1,
    "upstream-agrees-within": 3,
    "downstream-agrees-within": 3,
    "across-below-half": 3,
    "across-above-chance": 3,
    "regularisation-joins-families": 2,
    "training-raises-upstream": 1,
    "training-leaves-downstream": 1,
    "upstream-agrees-well": 1,
    "downstream-agrees-well": 1,
    "across-agrees-little": 1,
    "dropout-keeps-modules": 2,
    "strong-penalties-shrink-upstream": 2,
    "accurate-where-modular": 1,
    # levels, filter, graphs and graphs of all levels (raw, normalised, less one measure), layer
    "upstream-lead-survives-choices": 1 + 3 + 3 + 3 + 2,
    "families-differ-under-choices": 6 + 3 + 2 + 2,  # metric, filter, graphs, layer
    "more-than-untrained": 8,  # two levels, four measures
    "more-than-permuted": 8,
    "more-than-similarity": 8,
    "more-than-rotations": 8,
    "more-with-a-task": 4,
}
WHERE = {name: "fashion" for name in N_ITEMS if name.startswith("more-than")} | {"more-with-a-task": "labels"}


@pytest.fixture(scope="module")
def judged():
    """Items of the three worlds."""
    return {truth: judgement.judged_items(worlds.world(truth)) for truth in ("true", "false", "noise")}


@pytest.mark.parametrize(
    ("truth", "expected"), [("true", "holds"), ("false", "does not hold"), ("noise", "cannot be said")]
)
def test_every_claim_gets_the_verdict_of_its_world(judged, truth, expected):
    table = verdicts.by_claim(judged[truth])
    assert len(table) == 23 * 2 + 2 * 2 + 4 * 2 + 1  # base and fashion; choices, nulls; labels
    wrong = table[table.verdict != expected]
    if truth == "false":  # the weakest L2 is itself a penalty, so the best of them cannot be below it
        never = table.claim.isin(["penalties-raise-upstream", "penalties-raise-downstream"])
        assert set(table[never].verdict) == {"cannot be said"}
        wrong = table[~never & (table.verdict != expected)]
    assert wrong.empty, wrong.to_string()


def test_items_of_every_claim(judged):
    for table in judged.values():
        where = table.claim.map(WHERE).fillna("base")
        assert table[table.experiment == where].groupby("claim").size().to_dict() == N_ITEMS
        assert not table.duplicated(["claim", "experiment", "item"]).any()


def test_no_item_compares_a_measure_with_itself(judged):
    """In these worlds such pairs agree by 9, so any mean that has one in it would lie outside its range."""
    for table in judged.values():
        agreement = table[table.claim.str.contains("agree|across|joins|families|training")]
        assert len(agreement)
        assert (agreement.value.abs() < 2).all()


def test_a_claim_is_of_one_effect():
    """An item of a claim differs from the next in its level, measure or choice, and in nothing else."""
    for claim in CLAIMS:
        items = list(claim.test(evidence.Case(_where(claim), worlds.world("true"))))
        assert len({(item.direction, item.threshold) for item in items}) == 1


def _where(claim):
    return WHERE.get(claim.id, "base")


def test_choices_are_shared_between_two_experiments(judged):
    """What needs partitions of its own is asked of close-up, the rest of base."""
    for claim in ("upstream-lead-survives-choices", "families-differ-under-choices"):
        table = judged["true"].query(f"claim == '{claim}'")
        kinds = table.groupby("experiment").item.agg(lambda labels: {i.split(":")[0] for i in labels})
        assert kinds["close-up"] == {"images", "optimiser"}
        assert kinds["base"] <= set(claims.SAME_PARTITIONS)
        assert (table.experiment == "close-up").sum() == 2


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
        assert set(claim.experiments) <= {*TESTED_IN, *claims.ON_NEW_SEEDS, "close-up", "labels"}


@pytest.mark.parametrize("layers", [(1,), (1, 2, 3, 4, 5)])
def test_any_number_of_layers(layers):
    table = judgement.judged_items({"deep": worlds.results("true", layers=layers)})
    table = table[table.experiment == "deep"]
    asked = [claim.id for claim in CLAIMS if "deep" in claim.experiments]
    assert table.groupby("claim").size().to_dict() == {name: N_ITEMS[name] for name in asked}
    assert set(verdicts.by_claim(table).verdict) == {"holds"}


def test_values_are_those_of_the_world(judged):
    base = judged["true"].query("experiment == 'base'").set_index(["claim", "item"]).value
    for claim, item, value in (
        ("dropout-raises-upstream", "upstream", 0.3),
        ("dropout-raises-downstream", "downstream", 0.065),
        ("penalties-raise-upstream", "upstream", 0.05),
        ("penalties-raise-downstream", "downstream", 0.05),
        ("dropout-leads-upstream", "upstream", 0.25),
        ("dropout-leads-downstream", "downstream", 0.015),
        ("level-downstream", "downstream", 0.015),
        ("lead-is-upstream", "upstream less downstream", 0.25 - 0.015),
        ("upstream-agrees-within", "weakest L2", 0.5 - 0.1),
        ("downstream-agrees-within", "dropout 0.6", 0.6 - 0.2),
        ("across-below-half", "weakest L2", 0.1 - 0.5 / 2),
        ("across-below-half", "L2 0.01", 0.2 - 0.6 / 2),
        ("across-above-chance", "weakest L2", 0.1),
        ("regularisation-joins-families", "dropout 0.6", 0.1),
        ("regularisation-joins-families", "L2 0.01", 0.1),
        ("training-raises-upstream", "weakest L2", 0.5 - 0.3),
        ("training-leaves-downstream", "weakest L2", 0.0),
        ("upstream-agrees-well", "upstream", 0.7),
        ("downstream-agrees-well", "downstream", 0.6),
        ("across-agrees-little", "across", 0.3),
        ("dropout-keeps-modules", "downstream", 0.0),
        ("strong-penalties-shrink-upstream", "L1", -2.0),
        ("accurate-where-modular", "dropout 0.6", 0.01),
        ("upstream-lead-survives-choices", "levels: all", 0.25),
        ("families-differ-under-choices", "metric: ecs", (0.7 + 0.6) / 2 - 0.3),
    ):
        assert base[claim, item] == pytest.approx(value, abs=0.02 if "modules" in claim else 0.012), claim
    items = judged["true"].set_index(["claim", "experiment", "item"]).value
    for level in ("plain", "dropout 0.6"):
        item = f"{level}, {MEASURES['input_grad'].label}"
        for claim, value in (
            ("more-than-similarity", worlds.EXCESS["true"] - worlds.UNTRAINED_EXCESS["true"]),
            ("more-than-permuted", worlds.EXCESS["true"]),
            ("more-than-rotations", worlds.EXCESS["true"]),
            ("more-than-untrained", _gain(level, "input_grad") + worlds.EXCESS["true"] / 2),
        ):
            assert items[claim, "fashion", item] == pytest.approx(value, abs=0.01)
        assert items["more-with-a-task", "labels", f"{level}, upstream"] == pytest.approx(0.1, abs=0.01)


def _gain(level, measure):
    return worlds.gain("true", measure, worlds.STRONGEST if "dropout" in level else worlds.PLAIN)


def test_a_family_in_which_a_finding_fails_is_not_hidden_by_the_other():
    """Dropout leads upstream by more than it is behind downstream: the mean of both would be above zero."""
    found = worlds.world("true")["base"]
    downstream = found.modules.measure.isin(["output_grad", "output_hess"])
    dropout = found.modules.network.str.startswith("dropout")
    found.modules.loc[downstream & dropout, "q"] -= 0.1
    found.modules.loc[~downstream & dropout, "q"] += 0.4
    table = verdicts.by_claim(judgement.judged_items({"base": found})).set_index("claim").verdict
    assert table["dropout-leads-upstream"] == table["lead-is-upstream"] == "holds"
    assert table["dropout-leads-downstream"] == table["level-downstream"] == "does not hold"


def test_a_lead_outside_its_margin_is_told_from_one_that_may_be_inside():
    found = worlds.world("true")["base"]
    downstream = found.modules.measure.isin(["output_grad", "output_hess"])
    strongest = found.modules.network.str.startswith("dropout=0.6")
    for more, verdict in ((0.0, "holds"), (0.01, "cannot be said"), (0.1, "does not hold")):
        moved = replace(found, modules=found.modules.copy())
        moved.modules.loc[downstream & strongest, "q"] += more
        items = judgement.judged_items({"base": moved}).query("claim == 'level-downstream'")
        assert verdicts.by_claim(items).verdict.to_list() == [verdict], items.to_string()


def test_untrained_networks_of_the_seeds_of_trained_ones_take_no_part():
    """The world's untrained networks of shared seeds stand far apart from the others."""
    found = worlds.world("true")
    items = judgement.judged_items(found)
    nulls = items[items.claim.str.startswith("more-than")]
    assert (nulls.outcome == "supported").all()
    base = found["base"]
    shared = base.networks[~base.networks.trained & base.networks.seed.isin(range(4))].network
    base.agreement.loc[base.agreement.network.isin(shared), "ami"] = 9.0
    after = judgement.judged_items({"base": base}).query("claim == 'training-raises-upstream'")
    assert after.value.to_numpy() == pytest.approx(0.2, abs=0.01)


def test_matched_accuracy_tells_two_claims_apart():
    """A penalty that beats dropout at the price of accuracy counts only where accuracy is not asked for."""
    found = worlds.results("true")
    rival = found.networks.network[(found.networks.regularizer == "l1")]
    found.modules.loc[found.modules.network.isin(rival), "q"] += 0.5
    found.networks.loc[found.networks.network.isin(rival), "test_accuracy"] = 0.9
    table = verdicts.by_claim(judgement.judged_items({"fashion": found})).set_index("claim").verdict
    assert table["dropout-leads-upstream"] == "holds"
    assert table["dropout-leads-upstream-anywhere"] == "does not hold"
    assert table["dropout-raises-upstream"] == "holds"


def test_a_claim_that_is_true_of_some_levels_holds_in_part():
    """At the strongest L2 the families agree with each other as well as within themselves."""
    found = worlds.results("true")
    strongest = found.agreement.network.str.startswith("l2=0.01")
    across = found.agreement.family_pair == "across"
    found.agreement.loc[strongest & across, "ami"] += 0.4
    table = judgement.judged_items({"wide": found})
    below = table[table.claim == "across-below-half"].set_index("item").outcome
    assert below.to_dict() == dict(zip(LEVELS, ["supported", "supported", "contradicted"], strict=True))
    (row,) = verdicts.by_claim(table).query("claim == 'across-below-half'").to_dict("records")
    assert (row["verdict"], row["hangs_on"]) == ("holds in part", "L2 0.01")


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_decide_nothing(seeds):
    table = verdicts.by_claim(judgement.judged_items({"wide": worlds.results("true", seeds=seeds)}))
    assert set(table.verdict) == {"cannot be said"}


def test_tables_without_rows_leave_the_claim_open():
    full = worlds.world("true")
    bare = store.Results(
        full["base"].networks, full["base"].modules, full["base"].agreement, manifest={}, kept={}
    )
    for found in (bare, full["base"]):
        table = verdicts.by_claim(judgement.judged_items({"fashion": found, "close-up": found}))
        nulls = table[table.claim.str.startswith("more-than")]
        assert set(nulls.verdict) == {"cannot be said"}
        assert set(nulls.n_items) == {0}
        assert len(nulls) == 4 * 2


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
    assert table["dropout-leads-upstream-anywhere"] == "holds"


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
    assert set(with_paper.claim) == {
        "dropout-raises-upstream", "dropout-raises-downstream", "penalties-raise-upstream",
        "penalties-raise-downstream", "dropout-leads-upstream", "dropout-leads-downstream",
        "level-downstream", "lead-is-upstream", "dropout-leads-upstream-anywhere",
        "dropout-leads-downstream-anywhere", "upstream-agrees-well", "downstream-agrees-well",
        "across-agrees-little", "accurate-where-modular", "upstream-lead-survives-choices",
        "families-differ-under-choices",
    }  # fmt: skip


def test_p_is_against_the_threshold_and_left_out_where_a_margin_decides(judged):
    table = judged["noise"]
    margins = table.direction.isin(["within", "not above"])
    assert table[margins].p.isna().all()
    at_threshold = table[(table.claim == "upstream-agrees-well") & (table.experiment == "base")]
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
    assert set(table.experiment) == {"base-v1", "labels"}
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


def test_without_networks_that_learn_under_l2_no_other_level_stands_for_the_weakest():
    results = worlds.results("true")
    lost = (results.networks.regularizer == "l2").to_numpy()
    networks = results.networks.assign(test_accuracy=np.where(lost, 0.1, results.networks.test_accuracy))
    case = evidence.Case("base", {"base": replace(results, networks=networks)})
    assert list(evidence.named_levels(case)) == ["dropout 0.6"]
    assert list(claims.regularisation_joins_families(case)) == []
