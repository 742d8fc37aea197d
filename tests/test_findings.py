"""Statistics of the chapters, on made-up results whose answers are known."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from modlib import findings, published
from modlib.analysis import VARIANTS
from modlib.similarity import family

ROOT = Path(__file__).parents[1]


def test_interval_is_students():
    values = np.array([0.1, 0.4, 0.2, 0.9])
    mean, low, high = findings.interval(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((theirs.low, theirs.high))


def test_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = [
        low <= 0 <= high for _, low, high in (findings.interval(rng.normal(size=9)) for _ in range(4000))
    ]
    assert 0.94 < np.mean(inside) < 0.96


def test_interval_ignores_nan_and_has_no_width_for_one_value():
    assert findings.interval([1.0, np.nan]) == (1.0, 1.0, 1.0)
    assert np.isnan(findings.interval([np.nan])).all()


def test_networks_below_the_filter_are_dropped():
    found = synthetic.results(accuracy={("l2", 1e-2, 0): 0.79})
    kept = findings.kept_networks(found)
    assert set(found.networks.network) - set(kept.network) == {"l2=0.01,seed=0"}


def test_a_level_goes_when_more_than_half_of_it_fails():
    found = synthetic.results(accuracy={("l2", 1e-2, 0): 0.5, ("l2", 1e-2, 1): 0.5})
    kept = findings.kept_networks(found)
    assert not ((kept.regularizer == "l2") & (kept.strength == 1e-2)).any()
    assert len(kept) == len(found.networks) - 3
    dropped = findings.dropped_levels(found)
    assert dropped[["regularizer", "strength", "dropped"]].to_numpy().tolist() == [["l2", 0.01, 3]]


def test_untrained_networks_need_no_accuracy():
    kept = findings.kept_networks(synthetic.results())
    assert (~kept.trained).sum() == 4


def test_q_by_strength_means_and_intervals():
    table = findings.q_by_strength(synthetic.results())
    assert len(table) == 2 * 8 * len(synthetic.LEVELS)
    half = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)  # the sd of the three offsets is .01
    for row in table.to_dict("records"):
        expected = 0.1 + row["layer"] / 100 + synthetic.GAIN[row["regularizer"], row["strength"]]
        assert row["q"] == pytest.approx(expected)
        assert row["high"] - row["q"] == pytest.approx(half)
        assert row["seeds"] == 3


def test_a_network_counted_twice_does_not_narrow_the_interval():
    found = synthetic.results()
    twice = pd.concat([found.modules, found.modules], ignore_index=True)
    doubled = type(found)(found.networks, twice, found.agreement, manifest={}, kept={})
    a, b = findings.q_by_strength(found), findings.q_by_strength(doubled)
    np.testing.assert_allclose(a[["q", "low", "high"]], b[["q", "low", "high"]])


def test_gains_find_the_best_levels_and_their_difference():
    gain = findings.gains(synthetic.results())
    assert len(gain) == 16
    np.testing.assert_allclose(gain.dropout - gain.plain, 0.3)
    np.testing.assert_allclose(gain.weights - gain.plain, 0.04)
    assert (gain.dropout_at == 0.6).all()
    assert (gain.weights_by == "l1").all()
    np.testing.assert_allclose(gain.difference, 0.26)
    # Offsets of a seed are the same at both levels: the paired difference has no scatter.
    np.testing.assert_allclose(gain.high - gain.low, 0, atol=1e-12)


def test_gains_are_paired_by_seed():
    """The same values with seeds dealt anew at one level: the same means, a wider interval."""
    found = synthetic.results()
    level = found.networks.strength == 0.6
    found.networks.loc[level, "seed"] = found.networks[level].seed.map({0: 2, 1: 1, 2: 0})
    gain = findings.gains(found)
    np.testing.assert_allclose(gain.difference, 0.26)
    assert (gain.high - gain.low > 0.05).all()


def test_gains_leave_dropped_networks_out():
    found = synthetic.results(accuracy={("dropout", 0.6, s): 0.3 for s in range(3)})
    assert (findings.gains(found).dropout_at == 0.2).all()


def test_gains_at_matched_accuracy_leave_weaker_networks_out():
    """L1 has the larger Q among weight penalties, but not the accuracy of dropout."""
    accuracy = {("l1", 1e-3, s): 0.85 for s in range(3)} | {("dropout", 0.6, s): 0.9 for s in range(3)}
    found = synthetic.results(accuracy=accuracy)
    assert findings.matched_accuracy(found) == pytest.approx(0.9)
    gain = findings.gains(found, min_accuracy=findings.matched_accuracy(found))
    assert (gain.weights_by == "l2").all()
    np.testing.assert_allclose(gain.difference, 0.29)
    assert (findings.gains(found).weights_by == "l1").all()


def test_agreement_matrix_is_symmetric_and_right():
    table = findings.agreement_matrix(synthetic.results())
    assert len(table) == 2 * 64
    value = table.set_index(["trained", *findings.PAIR]).ecs
    for i, (a, na) in enumerate(VARIANTS):
        for b, nb in VARIANTS[i:]:
            pair = family(a) if family(a) == family(b) else "across"
            expected = 1.0 if (a, na) == (b, nb) else synthetic.ECS[pair]
            assert value[True, a, na, b, nb] == value[True, b, nb, a, na] == pytest.approx(expected)


def test_pairs_of_one_measure_can_be_left_out():
    found = synthetic.results()
    same = found.agreement.measure_a == found.agreement.measure_b
    found.agreement.loc[same, "ecs"] += 0.3
    both = [
        findings.family_agreement(found, distinct=d).query("trained and layer == 0") for d in (False, True)
    ]
    every, distinct = (t.set_index("family_pair").ecs for t in both)
    for pair in ("upstream", "downstream"):
        assert distinct[pair] == pytest.approx(synthetic.ECS[pair])
        assert every[pair] == pytest.approx(synthetic.ECS[pair] + 0.1)  # two pairs of six
    assert every["across"] == distinct["across"]


def test_family_agreement_by_layer():
    table = findings.family_agreement(synthetic.results())
    assert set(table.layer) == {0, 1, 2}
    for row in table[table.trained].to_dict("records"):
        assert row["ecs"] == pytest.approx(synthetic.ECS[row["family_pair"]])
    untrained = table[~table.trained]
    np.testing.assert_allclose(untrained.ecs, untrained.family_pair.map(synthetic.ECS) - 0.1)


@pytest.mark.parametrize("statistic", [findings.q_by_strength, findings.gains, findings.family_agreement])
def test_the_order_of_rows_does_not_matter(statistic):
    a, b = (statistic(r) for r in (synthetic.results(), synthetic.shuffled(synthetic.results())))
    keys = [c for c in a.columns if a[c].dtype.kind != "f" or c == "strength"]
    a, b = (t.sort_values(keys).reset_index(drop=True) for t in (a, b))
    for column in a.select_dtypes("float"):
        np.testing.assert_allclose(a[column], b[column])


def test_the_papers_values_are_joined_to_ours_by_level():
    """Ours set to the paper's value plus a constant: every point is found, and the constant comes back."""
    found = synthetic.results()
    theirs = published.q()
    row = theirs[(theirs.regularizer == "l1") & (theirs.strength == 1e-3)].iloc[0]
    here = (found.modules.layer == row.layer) & (found.modules.measure == row.measure)
    here &= (found.modules.normalized == row.normalized) & found.modules.network.str.startswith("l1=0.001,")
    found.modules.loc[here, "q"] = row.q + 0.25
    both = findings.against_paper(found)
    point = both[
        (both.layer == row.layer)
        & (both.measure == row.measure)
        & (both.normalized == row.normalized)
        & (both.regularizer == "l1")
    ]
    assert point.difference.to_list() == pytest.approx([0.25])
    assert len(both) == 16 * 5  # the paper has a point for each of our five levels


def test_prose_names_no_number_that_does_not_exist():
    """Every {num} of the book, in notebooks and prose, has its entry."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "book").glob("*.md"))
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        text += "\n".join("".join(c["source"]) for c in json.loads(notebook.read_text("utf-8"))["cells"])
    named = set(re.findall(r"\{num\}`([A-Za-z0-9_]+)", text))
    assert len(named) > 30
    assert named <= set(findings.numbers("paper"))
