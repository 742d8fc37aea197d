"""The paper's own values of the statistics: on made-up figures, and on the real ones."""

import numpy as np
import pandas as pd
import pytest

from modlib.measures import FAMILIES, MEASURES
from modlib.paper import published, reported
from modlib.paper.multiverse import AGREEMENT_EFFECT, UPSTREAM_LEAD


@pytest.fixture
def figures(monkeypatch):
    """Put figures of six levels in place of the paper's; the penalty of the largest Q is below the axis."""
    levels = [
        ("l2", 1e-5, 0.10, 0.98, False),
        ("l2", 1e-3, 0.14, 0.95, False),
        ("l1", 1e-3, 0.30, 0.70, True),
        ("dropout", 0.0, 0.90, 0.98, False),  # not a level of dropout, whatever its Q
        ("dropout", 0.3, 0.20, 0.97, False),
        ("dropout", 0.6, 0.25, 0.94, False),
    ]
    table = pd.DataFrame(levels, columns=["regularizer", "strength", "q", "test_acc", "below_axis"])
    graphs = [(layer, m, n) for layer in (1, 2) for m in MEASURES for n in (False, True)]
    q = pd.concat(
        [
            table.assign(layer=layer, measure=m, normalized=n, q=table.q + i)
            for i, (layer, m, n) in enumerate(graphs)
        ]
    )
    one = (q.layer == 1) & (q.measure == "input_grad") & q.normalized & (q.strength == 0.6)
    q.loc[one, "q"] += 0.1
    monkeypatch.setattr(published, "q", lambda: q.drop(columns=["test_acc", "below_axis"]))
    monkeypatch.setattr(published, "accuracy", lambda: table.drop(columns="q"))
    return table


@pytest.mark.parametrize("family", FAMILIES)
def test_gains_and_leads(figures, family):
    """Every graph of a family gains as much, but for one, which adds a quarter of it to the mean of eight."""
    more = 0.1 / 8 if family == "upstream" else 0.0
    assert reported.dropout_gain(family) == pytest.approx(0.15 + more)
    assert reported.penalty_gain(family) == pytest.approx(0.20)
    assert reported.dropout_lead(family, matched=False) == pytest.approx(-0.05 + more)
    assert reported.dropout_lead(family, matched=True) == pytest.approx(0.11 + more)
    assert reported.accuracy_loss() == pytest.approx(0.04)


def test_matching_needs_every_accuracy(figures, monkeypatch):
    monkeypatch.setattr(published, "accuracy", lambda: figures.drop(columns="q").iloc[1:])
    assert np.isnan(reported.dropout_lead("downstream", matched=True))
    assert reported.dropout_lead("downstream", matched=False) == pytest.approx(-0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_papers_own_gains(family):
    assert reported.dropout_gain(family) > reported.penalty_gain(family) > 0
    everywhere, matched = (reported.dropout_lead(family, matched=m) for m in (False, True))
    assert matched >= everywhere - 1e-12  # fewer rivals, and every level of dropout


def test_an_effect_under_a_choice_is_that_of_its_graphs():
    lead = {layer: reported.under_choice("layer", f"{layer} only", UPSTREAM_LEAD) for layer in (1, 2)}
    assert np.mean([*lead.values()]) == pytest.approx(reported.dropout_lead("upstream", matched=True))
    assert reported.under_choice("levels", "all", UPSTREAM_LEAD) == pytest.approx(
        reported.dropout_lead("upstream", matched=False)
    )
    assert np.isnan(reported.under_choice("images", "100", UPSTREAM_LEAD))
    within = (reported.family_ecs("upstream") + reported.family_ecs("downstream")) / 2
    found = reported.under_choice("metric", "ecs", AGREEMENT_EFFECT)
    assert found == pytest.approx(within - reported.family_ecs("across"))
    assert np.isnan(
        reported.under_choice("default", "default", AGREEMENT_EFFECT)
    )  # AMI is not in the figures


def test_families():
    """Pairs of a measure with its own normalised form do not count."""
    table = published.agreement()
    value = table.set_index(["measure_a", "normalized_a", "measure_b", "normalized_b"]).ecs_trained
    pairs = [value["input_cov", a, "input_grad", b] for a in (False, True) for b in (False, True)]
    assert reported.family_ecs("upstream") == pytest.approx(np.mean(pairs))
    for trained in (True, False):
        within = [reported.family_ecs(pair, trained=trained) for pair in ("upstream", "downstream")]
        assert min(within) > reported.family_ecs("across", trained=trained)


def test_the_threshold_lies_between_low_and_high():
    assert reported.family_ecs("across") < reported.high_agreement() < reported.family_ecs("downstream")
    table = published.agreement()
    across = table[table.measure_a.str.startswith("input") & table.measure_b.str.startswith("output")]
    assert (across.ecs_trained < reported.high_agreement()).all()
