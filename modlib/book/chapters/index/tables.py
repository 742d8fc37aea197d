"""Tables of the front page: Q without training, and what dropout and weight penalties add to it."""

import pandas as pd

from modlib.book import stored
from modlib.book.numbers import offered
from modlib.measures import FAMILIES
from modlib.paper import by_level, contrasts
from modlib.paper.evidence import Case
from modlib.study.runner import run

COMPARED = ("base", "base-v1", "wide", "deep", "fashion")


@offered()
def untrained(profile: str) -> pd.DataFrame:
    """Mean Q of the untrained networks of `base`, over both layers and all eight graphs."""
    return pd.DataFrame({"q": [by_level.q_untrained(run("base", profile=profile))["mean"].mean()]})


@offered("experiment", "levels", "family")
def gains(profile: str) -> pd.DataFrame:
    """Estimate what the best `dropout` and `penalty` add to Q at the weakest L2, and dropout's lead.

    All are means over the graphs of a family and over layers, each at the level that is best on other seeds.
    The lead, `value`, has its 95 % interval. Levels are those ``at matched accuracy``, or ``all levels``.
    """
    found = {"base": run("base", profile=profile)} | stored.experiments(profile, *COMPARED[1:])
    rows = []
    for name, results in found.items():
        case = Case(name, {name: results})
        for compared in contrasts.LEVELS_COMPARED:
            graphs = case.graphs[compared]
            for family in FAMILIES:
                lead = contrasts.lead(graphs, "dropout", "weights", family)
                row: dict[str, object] = {"experiment": name, "levels": compared, "family": family}
                row["dropout"] = contrasts.lead(graphs, "dropout", "plain", family).value
                row["penalty"] = contrasts.lead(graphs, "weights", "plain", family).value
                rows.append(row | {"value": lead.value, "low": lead.low, "high": lead.high, "n": lead.n})
    return pd.DataFrame(rows)
