"""The rule: from intervals to outcomes, from outcomes to verdicts."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from modlib.paper import verdicts
from modlib.paper.verdicts import judge, verdict
from modlib.stats import intervals


def items(*rows, claim="c", experiment="e"):
    """Items from (direction, threshold, low, high, p, n), the value in the middle."""
    columns = ["direction", "threshold", "low", "high", "p", "n"]
    table = pd.DataFrame(rows, columns=columns)
    named = [f"item {i}" for i in range(len(table))]
    middle = (table.low + table.high) / 2
    return table.assign(claim=claim, experiment=experiment, item=named, value=middle)


@pytest.mark.parametrize(
    ("direction", "threshold", "low", "high", "expected"),
    [
        ("above", 0.4, 0.41, 0.5, "supported"),
        ("above", 0.4, 0.3, 0.39, "contradicted"),
        ("above", 0.4, 0.39, 0.5, "undecided"),
        ("below", 0.4, 0.41, 0.5, "contradicted"),
        ("below", 0.4, 0.3, 0.39, "supported"),
        ("below", 0.4, 0.39, 0.5, "undecided"),
        ("within", 1.0, -0.9, 0.9, "supported"),
        ("within", 1.0, 0.2, 0.9, "supported"),  # a change, but too small to count
        ("within", 1.0, 1.1, 1.9, "contradicted"),
        ("within", 1.0, -1.9, -1.1, "contradicted"),
        ("within", 1.0, 0.5, 1.5, "undecided"),
        ("within", 1.0, -1.5, 0.5, "undecided"),
        ("within", 1.0, -1.5, 1.5, "undecided"),
        ("not above", 0.05, -0.3, -0.1, "supported"),
        ("not above", 0.05, 0.01, 0.04, "supported"),  # a rise within the margin
        ("not above", 0.05, 0.06, 0.2, "contradicted"),
        ("not above", 0.05, 0.01, 0.2, "undecided"),  # it may rise by less than the margin, or by more
        ("not above", 0.05, -0.01, 0.2, "undecided"),
    ],
)
def test_outcome_follows_the_interval(direction, threshold, low, high, expected):
    p = 1e-6 if direction in ("above", "below") else np.nan
    assert judge(items((direction, threshold, low, high, p, 9))).outcome.tolist() == [expected]


def test_the_corrected_p_decides_too():
    """An interval clear of the threshold is not enough where the claim has many items."""
    alone = items(("above", 0.0, 0.1, 0.2, 0.03, 9))
    assert judge(alone).outcome.tolist() == ["supported"]
    three = items(*[("above", 0.0, 0.1, 0.2, 0.03, 9)] * 3)
    assert judge(three).outcome.tolist() == ["undecided"] * 3
    np.testing.assert_allclose(judge(three).p_holm, 0.09)
    against = three.assign(low=-0.2, high=-0.1)
    assert judge(against).outcome.tolist() == ["undecided"] * 3


def test_claims_and_experiments_are_corrected_apart():
    parts = [items(("above", 0.0, 0.1, 0.2, 0.03, 9), claim=c, experiment=e) for c in "ab" for e in "xy"]
    judged = judge(pd.concat(parts, ignore_index=True))
    np.testing.assert_allclose(judged.p_holm, 0.03)
    assert set(judged.outcome) == {"supported"}


def test_items_judged_by_their_margin_do_not_weigh_on_the_others():
    both = items(("above", 0.0, 0.1, 0.2, 0.03, 9), *[("within", 1.0, -0.5, 0.5, np.nan, 9)] * 5)
    assert judge(both).outcome.tolist() == ["supported"] * 6
    assert judge(both).p_holm.notna().sum() == 1


def test_items_of_fewer_than_three_seeds_do_not_weigh_on_the_others():
    both = items(("above", 0.0, 0.1, 0.2, 0.03, 3), *[("above", 0.0, 0.1, 0.2, 0.03, 2)] * 5)
    judged = judge(both)
    assert judged.outcome.tolist() == ["supported"] + ["undecided"] * 5
    np.testing.assert_equal(judged.p_holm.to_numpy(), [0.03] + [np.nan] * 5)


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("direction", verdicts.DIRECTIONS)
def test_fewer_than_three_seeds_decide_nothing(direction, n):
    low, high = {"above": (0.5, 0.6), "below": (-0.6, -0.5)}.get(direction, (-0.01, 0.01))
    few, enough = (judge(items((direction, 0.1, low, high, 1e-6, k))) for k in (n, 3))
    assert few.outcome.tolist() == ["undecided" if n else "no data"]
    assert enough.outcome.tolist() == ["supported"]


def test_an_item_without_a_value_is_no_data():
    nothing = items(("above", 0.0, np.nan, np.nan, np.nan, 0), ("above", 0.0, 0.1, 0.2, 0.04, 9))
    judged = judge(nothing)
    assert judged.outcome.tolist() == ["no data", "supported"]
    table = verdicts.by_claim(judged)
    assert table[["n_supported", "n_contradicted", "n_items"]].to_numpy().tolist() == [[1, 0, 1]]
    assert table.no_data.tolist() == ["item 0"]
    assert table.verdict.tolist() == ["holds"]


def some_items():
    rng = np.random.default_rng(0)
    n = 60
    middle, half = rng.normal(0, 0.3, n), rng.uniform(0.01, 0.3, n)
    rows = zip(
        rng.choice(["above", "below", "within"], n),
        rng.uniform(0, 0.3, n),
        middle - half,
        middle + half,
        rng.uniform(0, 0.02, n),
        np.full(n, 9),
        strict=True,
    )
    table = items(*rows)
    table["claim"] = rng.choice(["a", "b", "c", "d"], n)
    return table


def test_a_mirror_changes_nothing_and_half_a_mirror_does():
    table = some_items()
    assert set(judge(table).outcome) == {"supported", "contradicted", "undecided"}
    flipped = table.assign(value=-table.value, low=-table.high, high=-table.low)
    sided = table.direction != "within"
    mirror = flipped.assign(threshold=np.where(sided, -table.threshold, table.threshold))
    other = mirror.direction.map({"above": "below", "below": "above", "within": "within"})
    assert judge(mirror.assign(direction=other)).outcome.tolist() == judge(table).outcome.tolist()
    # Directions left as they were: what was supported is contradicted.
    swapped = judge(mirror)[sided].outcome.replace({"supported": "contradicted", "contradicted": "supported"})
    assert swapped.tolist() == judge(table)[sided].outcome.tolist()


def test_the_order_of_items_does_not_matter():
    table = some_items()
    order = np.random.default_rng(1).permutation(len(table))
    a, b = judge(table), judge(table.iloc[order]).sort_index()
    assert a.outcome.tolist() == b.outcome.tolist()
    np.testing.assert_allclose(a.p_holm, b.p_holm)


def test_unknown_direction():
    with pytest.raises(
        ValueError, match="direction must be one of above, below, within, not above; got 'up'"
    ):
        judge(items(("up", 0.0, 0.1, 0.2, 0.01, 9)))


@pytest.mark.slow
def test_items_without_an_effect_are_seldom_decided():
    """Over claims of 16 items that are all at their threshold, at most 5 % have any item decided."""
    rng = np.random.default_rng(0)
    parts = []
    for claim in range(400):
        found = [intervals.mean(rng.normal(0.4, 0.1, 9), null=0.4) for _ in range(16)]
        rows = [("above", 0.4, e.low, e.high, e.p, e.n) for e in found]
        parts.append(items(*rows, claim=f"claim {claim}"))
    judged = judge(pd.concat(parts, ignore_index=True))
    decided = (judged.outcome != "undecided").groupby(judged.claim).any()
    assert 0.025 < decided.mean() < 0.075
    assert (verdicts.by_claim(judged).verdict != "holds").all()


@pytest.mark.parametrize(
    ("supported", "contradicted", "n", "expected"),
    [
        (16, 0, 16, "holds"),
        (12, 0, 16, "holds"),  # exactly three quarters
        (11, 0, 16, "holds in part"),
        (15, 1, 16, "holds in part"),  # nothing may speak against what holds
        (8, 8, 16, "holds in part"),
        (8, 0, 16, "holds in part"),  # exactly half decided
        (7, 0, 16, "cannot be said"),
        (4, 3, 16, "cannot be said"),
        (3, 4, 16, "cannot be said"),
        (0, 1, 16, "cannot be said"),  # one item against is no refutation where fifteen tell nothing
        (0, 7, 16, "cannot be said"),
        (0, 8, 16, "does not hold"),  # exactly half decided
        (3, 5, 16, "does not hold"),
        (4, 4, 16, "holds in part"),
        (0, 16, 16, "does not hold"),
        (0, 0, 16, "cannot be said"),
        (0, 0, 0, "cannot be said"),
        (1, 0, 1, "holds"),
        (0, 1, 1, "does not hold"),
    ],
)
def test_verdict(supported, contradicted, n, expected):
    assert verdict(supported, contradicted, n) == expected


def test_verdict_is_that_of_the_shares():
    """Counts multiplied by ten give the same verdict, and more support never a worse one.

    But for one case: an item that was undecided may be the one by which enough are decided to say that a
    claim does not hold.
    """
    rank = {"does not hold": 0, "cannot be said": 1, "holds in part": 2, "holds": 3}
    for n in range(1, 25):
        for s in range(n + 1):
            for c in range(n + 1 - s):
                found = verdict(s, c, n)
                assert found == verdict(10 * s, 10 * c, 10 * n)
                assert (found == "holds") == (Fraction(s, n) >= Fraction(3, 4) and c == 0)
                assert (found == "cannot be said") == (Fraction(s + c, n) < Fraction(1, 2))
                assert (found == "does not hold") == (c > s and Fraction(s + c, n) >= Fraction(1, 2))
                if c:
                    assert rank[verdict(s + 1, c - 1, n)] >= rank[found]
                if s + c < n and found != "cannot be said":
                    assert rank[verdict(s + 1, c, n)] >= rank[found]


@pytest.mark.parametrize("counts", [(-1, 0, 3), (0, -1, 3), (2, 2, 3)])
def test_counts_that_cannot_be(counts):
    with pytest.raises(ValueError, match=r"must be (counts of the 3 items|at least 0, got -1)"):
        verdict(*counts)


def test_table_has_a_row_a_claim_and_experiment():
    rows = [("above", 0.0, 0.1, 0.2, 1e-6, 9), ("above", 0.0, -0.2, -0.1, 1e-6, 9)]
    judged = judge(pd.concat([items(*rows, claim="a", experiment=e) for e in ("x", "y")], ignore_index=True))
    table = verdicts.by_claim(judged)
    assert table[["claim", "experiment"]].to_numpy().tolist() == [["a", "x"], ["a", "y"]]
    assert table[["n_supported", "n_contradicted", "n_items"]].to_numpy().tolist() == [[1, 1, 2]] * 2
    assert table.verdict.tolist() == ["holds in part"] * 2
    assert table.no_data.tolist() == ["", ""]
