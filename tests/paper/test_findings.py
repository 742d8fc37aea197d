"""Statistics of the chapters, on made-up results whose answers are known."""

import numpy as np
import pandas as pd
import pytest
import synthetic
import worlds
from scipy import stats

from modlib.measures import VARIANTS, family
from modlib.paper import by_level, distance_from_paper, family_pairs, findings, published
from modlib.study import accuracy_filter


def test_levels_that_lose_networks_are_listed():
    found = synthetic.results(accuracy={("l2", 1e-2, 0): 0.5, ("l2", 1e-2, 1): 0.5, ("l1", 1e-3, 2): 0.7})
    dropped = by_level.dropped_levels(found)
    columns = ["regularizer", "strength", "networks", "dropped"]
    assert dropped[columns].to_numpy().tolist() == [["l1", 0.001, 3, 1], ["l2", 0.01, 3, 3]]


def test_q_by_strength_means_and_intervals():
    table = by_level.q_by_strength(synthetic.results())
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
    a, b = by_level.q_by_strength(found), by_level.q_by_strength(doubled)
    np.testing.assert_allclose(a[["q", "low", "high"]], b[["q", "low", "high"]])


def test_agreement_matrix_is_symmetric_and_right():
    table = family_pairs.agreement_matrix(synthetic.results())
    assert len(table) == 2 * 64
    value = table.set_index(["trained", *accuracy_filter.PAIR]).ecs
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
        family_pairs.family_agreement(found, distinct=d).query("trained and layer == 0")
        for d in (False, True)
    ]
    every, distinct = (t.set_index("family_pair").ecs for t in both)
    for pair in ("upstream", "downstream"):
        assert distinct[pair] == pytest.approx(synthetic.ECS[pair])
        assert every[pair] == pytest.approx(synthetic.ECS[pair] + 0.1)  # two pairs of six
    assert every["across"] == distinct["across"]


def test_family_agreement_by_layer():
    table = family_pairs.family_agreement(synthetic.results())
    assert set(table.layer) == {0, 1, 2}
    for row in table[table.trained].to_dict("records"):
        assert row["ecs"] == pytest.approx(synthetic.ECS[row["family_pair"]])
    untrained = table[~table.trained]
    np.testing.assert_allclose(untrained.ecs, untrained.family_pair.map(synthetic.ECS) - 0.1)


@pytest.mark.parametrize("statistic", [by_level.q_by_strength, family_pairs.family_agreement])
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
    both = distance_from_paper.q_beside_paper(found)
    point = both[
        (both.layer == row.layer)
        & (both.measure == row.measure)
        & (both.normalized == row.normalized)
        & (both.regularizer == "l1")
    ]
    assert point.difference.to_list() == pytest.approx([0.25])
    assert len(both) == 16 * 5  # the paper has a point for each of our five levels


@pytest.mark.parametrize("stored", [True, False])
def test_numbers_like_for_like_are_those_of_the_other_protocol(stored, monkeypatch):
    """None as long as its tables are not stored, and never those of base."""
    base, v1 = synthetic.results(), worlds.results("true", seeds=5)
    monkeypatch.setattr(findings, "run", lambda name, profile: base if name == "base" else v1)
    monkeypatch.setattr(findings, "has_like_for_like", lambda _: stored)
    found = findings.numbers("paper")
    assert set(findings.LIKE_FOR_LIKE) <= set(found)
    if not stored:
        assert all(found[key] is None for key in findings.LIKE_FOR_LIKE)
        return
    distance = distance_from_paper.q_beside_paper(v1).difference.abs()
    assert found["like_for_like_q_points"] == len(distance)
    assert found["like_for_like_q_median"] == pytest.approx(distance.median())
    assert found["like_for_like_q_95"] == pytest.approx(distance.quantile(0.95))
    assert found["like_for_like_q_median"] != found["paper_q_difference_median"]
    table = distance_from_paper.ecs_beside_paper(v1)
    gap = (table.untrained - table.ecs_untrained).abs().mean()
    assert found["like_for_like_ecs_untrained"] == pytest.approx(gap)
    assert found["like_for_like_graphs_dropout_wins"] == 16
    assert found["like_for_like_graphs_undecided_matched"] == 0


def test_scores_count_what_holms_correction_leaves(monkeypatch):
    """Three seeds without spread have a p of .25 at the least: nothing is told from nothing."""
    for results, wins in ((synthetic.results(), 0), (worlds.results("true", seeds=5), 16)):
        monkeypatch.setattr(findings, "run", lambda *_, results=results, **__: results)
        found = findings.numbers("paper")
        for suffix in ("", "_matched"):
            assert found[f"graphs_dropout_wins{suffix}"] == wins
            assert found[f"graphs_undecided{suffix}"] == 16 - wins
            assert found[f"graphs_weights_win{suffix}"] == 0
    reversed_world = worlds.results("false", seeds=5)
    monkeypatch.setattr(findings, "run", lambda *_, **__: reversed_world)
    assert findings.numbers("paper")["graphs_weights_win"] == 16
