"""The rule that turns intervals into verdicts, written down before any of the claims was tested by it.

One step was moved later, when the rule had been applied to the experiment `base` alone, and changed none of
its verdicts: "fewer than half decided" is asked before "more contradicted than supported". Otherwise a single
item contradicted among sixteen undecided ones would have read "does not hold".

An item is one testable statement, such as "dropout raises Q of the input gradient in layer 1"; a claim has
many, and layers, measures and levels share networks, so they are corrected together and never counted as
independent evidence.
"""

import numpy as np
import pandas as pd

from modlib import _checks
from modlib.stats import intervals

ALPHA = 0.05
LEAST_SEEDS = 3  # the spread of two seeds says next to nothing
DIRECTIONS = ("above", "below", "within", "not above")
VERDICTS = ("holds", "holds in part", "does not hold", "cannot be said")


def judge(items: pd.DataFrame) -> pd.DataFrame:
    """Add `p_holm` and `outcome` to items.

    =========== ============================================ ===========================================
    `direction`  supported                                    contradicted
    =========== ============================================ ===========================================
    above        low > threshold and p_holm ≤ .05             high < threshold and p_holm ≤ .05
    below        high < threshold and p_holm ≤ .05            low > threshold and p_holm ≤ .05
    within       −threshold < low and high < threshold        low > threshold or high < −threshold
    not above    high < threshold                             low > threshold
    =========== ============================================ ===========================================

    "Within" and "not above" are claims that nothing changes: `threshold` is then the margin, of what would
    still pass for nothing, and the interval alone decides (an interval inside a margin is the stricter of
    the two one-sided tests of Schuirmann 1987, at 2.5 % each). All else, and fewer than three seeds, is
    "undecided"; no value is "no data".

    The p-values, two-sided and against the threshold, are adjusted by Holm's method over the items of the
    claim in the experiment that are judged by p and have at least three seeds; the others have no `p_holm`.
    A ValueError refuses another direction or a missing column, a TypeError what is no DataFrame.
    """
    _check_columns(items, ("claim", "experiment", "value", "low", "high", "n", "p", "direction", "threshold"))
    unknown = sorted(set(items.direction) - set(DIRECTIONS))
    if unknown:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}; got {unknown[0]!r}")
    judged = items.copy()
    tested = items.direction.isin(["above", "below"]) & (items.n >= LEAST_SEEDS) & items.p.notna()
    judged["p_holm"] = np.nan
    for _, group in items[tested].groupby(["claim", "experiment"], sort=False):
        judged.loc[group.index, "p_holm"] = intervals.holm(group.p.to_numpy(dtype=float))
    sure = judged.p_holm <= ALPHA
    higher, lower = items.low > items.threshold, items.high < items.threshold
    inside = (items.low > -items.threshold) & lower
    sides = [items.direction == direction for direction in ("above", "below", "within")]
    supported = np.select(sides, [higher & sure, lower & sure, inside], lower).astype(bool)
    outside = higher | (items.high < -items.threshold)
    contradicted = np.select(sides, [lower & sure, higher & sure, outside], higher).astype(bool)
    enough = items.n >= LEAST_SEEDS
    judged["outcome"] = np.select(
        [items.value.isna() | (items.n == 0), supported & enough, contradicted & enough],
        ["no data", "supported", "contradicted"],
        "undecided",
    )
    return judged


def verdict(supported: int, contradicted: int, items: int) -> str:
    """Verdict on a claim from the number of its items and of those supported and contradicted.

    Asked in this order: no items, "cannot be said"; at least three quarters supported and none contradicted,
    "holds"; fewer than half decided, "cannot be said"; more contradicted than supported, "does not hold";
    otherwise "holds in part". Counts must be whole numbers, not negative, and no more decided than there are.

    Examples
    --------
    >>> verdict(12, 0, 16), verdict(12, 1, 16), verdict(3, 5, 16), verdict(0, 1, 16), verdict(0, 0, 0)
    ('holds', 'holds in part', 'does not hold', 'cannot be said', 'cannot be said')
    """
    counts = {"supported": supported, "contradicted": contradicted, "items": items}
    supported, contradicted, items = (_checks.whole(count, name) for name, count in counts.items())
    if supported + contradicted > items:
        raise ValueError(
            f"supported ({supported}) and contradicted ({contradicted}) must be counts of the {items} items"
        )
    if items == 0:
        return "cannot be said"
    if 4 * supported >= 3 * items and contradicted == 0:
        return "holds"
    if 2 * (supported + contradicted) < items:
        return "cannot be said"
    return "does not hold" if contradicted > supported else "holds in part"


def by_claim(items: pd.DataFrame) -> pd.DataFrame:
    """Verdict on every claim in every experiment, from judged items, in their order.

    Of the items, `n_items` have data; `no_data` has the labels of the others, joined by semicolons.
    `hangs_on` has the labels of the items without any one of which the verdict would be another (none where
    there is a single item). What is no DataFrame with columns `claim`, `experiment`, `item` and `outcome` is
    refused (TypeError, ValueError).
    """
    _check_columns(items, ("claim", "experiment", "item", "outcome"))
    rows = []
    for (claim, experiment), group in items.groupby(["claim", "experiment"], sort=False):
        supported, contradicted, missing = (
            group.item[group.outcome == outcome] for outcome in ("supported", "contradicted", "no data")
        )
        counts = (len(supported), len(contradicted), len(group) - len(missing))
        decisive = [
            label
            for label, outcome in zip(group.item, group.outcome, strict=True)
            if outcome != "no data" and counts[2] > 1 and _without(counts, outcome) != verdict(*counts)
        ]
        rows.append((claim, experiment, verdict(*counts), *counts, "; ".join(missing), "; ".join(decisive)))
    columns = ["claim", "experiment", "verdict", "n_supported", "n_contradicted", "n_items", "no_data"]
    return pd.DataFrame(rows, columns=[*columns, "hangs_on"])


def _without(counts: tuple[int, int, int], outcome: str) -> str:
    """Verdict on a claim from its counts less one item of an outcome."""
    supported, contradicted, items = counts
    return verdict(
        supported - (outcome == "supported"), contradicted - (outcome == "contradicted"), items - 1
    )


def _check_columns(items: pd.DataFrame, columns: tuple[str, ...]) -> None:
    _checks.instance(items, "items", pd.DataFrame)
    missing = [column for column in columns if column not in items.columns]
    if missing:
        raise ValueError(f"items must have the columns {', '.join(columns)}; {', '.join(missing)} missing")
