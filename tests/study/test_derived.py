"""Metrics that results were stored without are there when they are read."""

import numpy as np
import pandas as pd
import pytest

import modlib
from modlib._contingency import METRICS, Metric  # noqa: PLC2701
from modlib.study import catalogue, store
from modlib.study.derived import with_all_metrics


@pytest.fixture(scope="module")
def stored():
    """Return the results of an experiment with two layer widths or more of partitions to compare."""
    return store.read_results(catalogue.get("deep", "paper"))


@pytest.mark.parametrize("metric", ["ari", "vi"])
def test_a_metric_that_a_table_lacks_is_computed_from_its_labels(stored, metric):
    some = stored.agreement[stored.agreement.network.isin(stored.networks.network[:3])]
    found = with_all_metrics(some.drop(columns=metric), stored.modules)
    pd.testing.assert_series_equal(found[metric], some[metric], check_exact=False, rtol=1e-12)
    assert with_all_metrics(some, stored.modules) is some


def test_layers_of_different_widths_are_each_compared_with_their_own():
    labels = {1: ([0, 0, 1, 1], [0, 1, 0, 1]), 2: ([0, 0, 1], [0, 0, 1])}
    modules = pd.DataFrame(
        [
            {"network": "n", "layer": layer, "measure": m, "normalized": False, "labels": np.array(own)}
            for layer, both in labels.items()
            for m, own in zip(("input_cov", "output_grad"), both, strict=True)
        ]
    )
    pair = {
        "measure_a": "input_cov",
        "normalized_a": False,
        "measure_b": "output_grad",
        "normalized_b": False,
    }
    agreement = pd.DataFrame([{"network": "n", "layer": layer, **pair} for layer in (2, 1)])
    found = with_all_metrics(agreement, modules)
    for row in found.to_dict("records"):
        expected = modlib.agreement(*labels[row["layer"]])
        assert {name: row[name] for name in METRICS} == pytest.approx(expected)


def test_a_new_metric_is_seen_in_stored_results_and_in_the_public_function(monkeypatch):
    """Nothing but its entry among the metrics is needed, and nothing is computed anew but the metric."""
    share = Metric(
        "largest_overlap", "share of units in the largest overlap", lambda c: c.max((1, 2)) / c.sum((1, 2))
    )
    monkeypatch.setitem(METRICS, share.name, share)
    found = store.read_results(catalogue.get("untrained", "paper"))
    row = found.agreement.iloc[5]
    of = found.modules.set_index(["network", "layer", "measure", "normalized"]).labels
    a, b = (of[row.network, row.layer, row[f"measure_{s}"], row[f"normalized_{s}"]] for s in "ab")
    alive = (a >= 0) & (b >= 0)
    overlap = max(((a == i) & (b == j) & alive).sum() for i in range(a.max() + 1) for j in range(b.max() + 1))
    assert row[share.name] == pytest.approx(overlap / alive.sum())
    assert modlib.agreement(a, b)[share.name] == pytest.approx(overlap / alive.sum())
    assert found.agreement[share.name].between(0, 1).all()
