"""Every claim, in worlds where it is true, where it is false, and where nothing can be told."""

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib import claims, evidence, experiments, findings, reported, store, verdicts
from modlib.claims import CLAIMS, EXPERIMENTS
from modlib.contrasts import graph_name

PLACES = ("base", "fashion")  # one like the paper's figures, one that they do not show
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
    "survives-choices": 2 + 6 + 6 + 4 + 4 + 4,
    "holds-elsewhere": 8,
    "more-than-nulls": 32,
}


@pytest.fixture(scope="module")
def judged():
    """Items of the three worlds, with two experiments each that are alike."""
    found = {truth: worlds.results(truth) for truth in ("true", "false", "noise")}
    return {truth: claims.items(dict.fromkeys(PLACES, results)) for truth, results in found.items()}


@pytest.mark.parametrize(
    ("truth", "expected"), [("true", "holds"), ("false", "does not hold"), ("noise", "cannot be said")]
)
def test_every_claim_gets_the_verdict_of_its_world(judged, truth, expected):
    table = verdicts.table(judged[truth])
    assert len(table) == 12 * 2 + 2
    wrong = table[table.verdict != expected]
    assert wrong.empty, wrong.to_string()


def test_items_of_every_claim(judged):
    for table in judged.values():
        one = table[table.experiment.isin(["base", "elsewhere"])]
        assert one.groupby("claim").size().to_dict() == N_ITEMS
        assert not table.duplicated(["claim", "experiment", "item"]).any()


def test_claims_are_told_apart_by_id_and_said_in_words():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) == len(N_ITEMS)
    for claim in CLAIMS:
        assert claim.statement.endswith(".")
        assert claim.where
        assert claim.statistic
        assert set(claim.experiments) <= {*EXPERIMENTS, claims.ELSEWHERE}


@pytest.mark.parametrize("layers", [(1,), (1, 2, 3, 4, 5)])
def test_any_number_of_layers(layers):
    table = claims.items({"deep": worlds.results("true", layers=layers)})
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
    assert base["more-than-nulls", f"plain, similarity, {graph}"] == pytest.approx(0.1, abs=0.01)


def test_matched_accuracy_tells_two_claims_apart():
    """A penalty that beats dropout at the price of accuracy counts only where accuracy is not asked for."""
    found = worlds.results("true")
    rival = found.networks.network[(found.networks.regularizer == "l1")]
    found.modules.loc[found.modules.network.isin(rival), "q"] += 0.5
    found.networks.loc[found.networks.network.isin(rival), "test_accuracy"] = 0.9
    table = verdicts.table(claims.items({"fashion": found})).set_index("claim").verdict
    assert table["weights-raise-less"] == "holds"
    assert table["weights-raise-less-anywhere"] == "does not hold"
    assert table["dropout-raises-q"] == "holds"


def test_a_claim_that_is_true_of_some_graphs_holds_in_part():
    found = worlds.results("true")
    graphs = found.modules.measure.isin(["output_grad", "output_hess"])
    dropout = found.modules.network.str.startswith("dropout")
    found.modules.loc[graphs & dropout, "q"] -= 0.4
    table = claims.items({"wide": found})
    raises = table[table.claim == "dropout-raises-q"]
    against = raises[raises.outcome == "contradicted"].item
    assert set(against) == {
        graph_name(layer, m, n)
        for layer in (1, 2)
        for m in ("output_grad", "output_hess")
        for n in (False, True)
    }
    assert verdicts.table(raises).verdict.tolist() == ["holds in part"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_decide_nothing(seeds):
    table = verdicts.table(claims.items({"wide": worlds.results("true", seeds=seeds)}))
    assert set(table.verdict) == {"cannot be said"}


def test_experiments_that_are_missing_are_named():
    items = claims.items({"base": worlds.results("true"), "deep": worlds.results("true")})
    elsewhere = verdicts.table(items).set_index("claim").loc["holds-elsewhere"]
    assert elsewhere.n_items == 2
    assert elsewhere.verdict == "holds"
    for name in ("base-v1", "wide", "fashion"):
        assert f"{name}; " in elsewhere.no_data
    assert "deep" not in elsewhere.no_data
    assert set(items.experiment) == {"base", "deep", "elsewhere"}


def test_tables_without_rows_leave_the_claim_open():
    full = worlds.results("true")
    bare = store.Results(full.networks, full.modules, full.agreement, manifest={}, kept={})
    empty = store.Results(
        full.networks,
        full.modules,
        full.agreement,
        manifest={},
        kept={},
        nulls=full.nulls.iloc[:0],
        choices=full.choices.iloc[:0],
        choices_agreement=full.choices_agreement.iloc[:0],
    )
    for found in (bare, empty):
        items = claims.items({"base": found})
        table = verdicts.table(items).set_index("claim")
        assert table.verdict["more-than-nulls"] == "cannot be said"
        assert table.n_items["more-than-nulls"] == 0
        assert table.n_items["survives-choices"] == N_ITEMS["survives-choices"] - 4


def test_networks_under_the_filter_take_no_part():
    found = worlds.results("true")
    spoilt = found.networks.network[found.networks.strength == 1e-3]
    found.networks.loc[found.networks.network.isin(spoilt), "test_accuracy"] = 0.5
    found.modules.loc[found.modules.network.isin(spoilt), "q"] = 9.0
    table = verdicts.table(claims.items({"wide": found})).set_index("claim").verdict
    assert table["weights-raise-less-anywhere"] == "holds"


def test_the_filter_does_not_hide_a_loss_of_accuracy():
    found = worlds.results("true")
    strongest = found.networks.strength == 0.6
    found.networks.loc[strongest, "test_accuracy"] = np.linspace(0.5, 0.6, strongest.sum())
    table = claims.items({"wide": found})
    assert table[table.claim == "accurate-where-modular"].outcome.tolist() == ["contradicted"]


def test_the_paper_stands_beside_its_own_experiments_only(judged):
    table = judged["true"]
    with_paper = table[table.paper.notna()]
    assert set(with_paper.experiment) == {"base"}
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
    assert round(reported.family_ecs("downstream") / 10, 2) == evidence.DOWNSTREAM_MARGIN


def test_the_order_of_rows_does_not_matter():
    a = worlds.results("true")
    rng = np.random.default_rng(0)
    names = ("networks", "modules", "agreement", "nulls", "choices", "choices_agreement")
    shuffled = {name: getattr(a, name).iloc[rng.permutation(len(getattr(a, name)))] for name in names}
    b = store.Results(**shuffled, manifest={}, kept={})
    key = ["claim", "experiment", "item"]
    one, other = (claims.items({"base": r}).sort_values(key).reset_index(drop=True) for r in (a, b))
    assert one[[*key, "outcome"]].equals(other[[*key, "outcome"]])
    for column in ("value", "low", "high", "p_holm"):
        np.testing.assert_allclose(one[column], other[column], rtol=1e-7, atol=1e-12)


def test_table_reads_what_is_stored_and_computes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    assert claims.table("paper").empty
    found = worlds.results("true")
    tables = {name: getattr(found, name) for name in store.TABLES}
    store.write_results(experiments.get("base-v1", "paper"), tables, {}, {})
    table = claims.table("paper")
    assert set(table.experiment) == {"base-v1", "elsewhere"}
    assert claims.table("quick").empty
    expected = claims.items({"base-v1": found})
    pd.testing.assert_frame_equal(table, expected)
    with pytest.raises(ValueError, match="profile must be one of"):
        claims.table("huge")


def test_the_same_filter_as_the_findings():
    """Items rest on `findings.kept_networks`: the world has networks that it drops."""
    found = worlds.results("true")
    found.networks.loc[found.networks.network == "dropout=0.6,seed=0", "test_accuracy"] = 0.1
    dropped = set(found.networks.network) - set(findings.kept_networks(found).network)
    assert dropped == {"dropout=0.6,seed=0"}
    table = claims.items({"wide": found})
    assert (table[table.claim == "dropout-keeps-modules"].n == 3).all()
