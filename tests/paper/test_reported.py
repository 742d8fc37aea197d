"""The paper's own values of the statistics: on made-up figures, and on the real ones."""

import numpy as np
import pandas as pd
import pytest

from modlib.paper import published, reported

KEY = (1, "input_grad", False)


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
    q = table.assign(layer=1, measure="input_grad", normalized=False)
    other = q.assign(measure="output_grad", q=q.q + 1)
    monkeypatch.setattr(
        published, "q", lambda: pd.concat([q, other]).drop(columns=["test_acc", "below_axis"])
    )
    monkeypatch.setattr(published, "accuracy", lambda: table.drop(columns="q"))
    return table


def test_gains_and_contrasts(figures):
    assert reported.dropout_gain(*KEY) == pytest.approx(0.15)
    assert reported.dropout_less_weights(*KEY, matched=False) == pytest.approx(-0.05)
    assert reported.dropout_less_weights(*KEY, matched=True) == pytest.approx(0.11)
    assert reported.accuracy_loss() == pytest.approx(0.04)


def test_matching_needs_every_accuracy(figures, monkeypatch):
    monkeypatch.setattr(published, "accuracy", lambda: figures.drop(columns="q").iloc[1:])
    assert np.isnan(reported.dropout_less_weights(*KEY, matched=True))
    assert reported.dropout_less_weights(*KEY, matched=False) == pytest.approx(-0.05)


def test_every_graph_of_the_paper_has_its_values():
    keys = published.q()[["layer", "measure", "normalized"]].drop_duplicates()
    assert len(keys) == 16
    for layer, measure, normalized in keys.itertuples(index=False):
        key = (int(layer), str(measure), bool(normalized))
        assert reported.dropout_gain(*key) > 0
        everywhere, matched = (reported.dropout_less_weights(*key, matched=m) for m in (False, True))
        assert matched >= everywhere - 1e-12  # fewer rivals, and every level of dropout


def test_families():
    table = published.agreement()
    value = table.set_index(["measure_a", "normalized_a", "measure_b", "normalized_b"]).ecs_trained
    graphs = [("input_cov", False), ("input_cov", True), ("input_grad", False), ("input_grad", True)]
    pairs = [value[*a, *b] for i, a in enumerate(graphs) for b in graphs[i + 1 :]]
    assert reported.family_ecs("upstream") == pytest.approx(np.mean(pairs))
    for trained in (True, False):
        within = [reported.family_ecs(pair, trained=trained) for pair in ("upstream", "downstream")]
        assert min(within) > reported.family_ecs("across", trained=trained)


def test_the_threshold_lies_between_low_and_high():
    assert reported.family_ecs("across") < reported.high_agreement() < reported.family_ecs("downstream")
    table = published.agreement()
    across = table[table.measure_a.str.startswith("input") & table.measure_b.str.startswith("output")]
    assert (across.ecs_trained < reported.high_agreement()).all()
