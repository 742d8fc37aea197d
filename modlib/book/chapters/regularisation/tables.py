"""Tables of the chapter on regularisation: Q at the levels compared, who wins, how far the paper's Q is."""

import pandas as pd

from modlib.book.numbers import offered, once
from modlib.measures import FAMILIES
from modlib.paper import by_level, contrasts, distance_from_paper
from modlib.stats.intervals import Estimate
from modlib.study.accuracy_filter import kept_networks
from modlib.study.runner import run


@offered("layer", "measure", "normalized")
def untrained(profile: str) -> pd.DataFrame:
    """Mean and standard deviation of Q over untrained networks, by layer and graph."""
    return by_level.q_untrained(run("base", profile=profile))


@offered()
def untrained_range(profile: str) -> pd.DataFrame:
    """Lowest and highest mean Q of untrained networks among all layers and graphs."""
    means = untrained(profile)["mean"]
    return pd.DataFrame({"lowest": [means.min()], "highest": [means.max()]})


@offered("experiment", "levels", "layer", "measure", "normalized")
def best_levels(profile: str) -> pd.DataFrame:
    """Q at the weakest L2 (`plain`), at the best dropout and at the best L1 or L2 (`weights`), by graph."""
    tables = [
        contrasts.both_ways(results).assign(experiment=experiment)
        for experiment, results in distance_from_paper.both_protocols(profile)
    ]
    return pd.concat(tables, ignore_index=True)


#: Least test accuracies between which the frontier is drawn: from the accuracy filter's side to where hardly
#: a level of dropout is left.
ACCURACIES = (0.85, 0.88, 0.9, 0.92, 0.93, 0.94, 0.945, 0.95, 0.955, 0.96, 0.965, 0.97, 0.975)
DIFFERENCE = "upstream less downstream"


@offered("experiment", "levels", "family")
@once
def leads(profile: str) -> pd.DataFrame:
    """Lead of dropout over the best penalty by family, and how much larger it is upstream."""
    rows = []
    for experiment, results in distance_from_paper.both_protocols(profile):
        kept = kept_networks(results)
        for compared in contrasts.LEVELS_COMPARED:
            least = contrasts.least_accuracy(kept, compared)
            graphs = contrasts.levels(results.modules, kept, min_accuracy=least)
            found: dict[str, Estimate] = {
                name: contrasts.lead(graphs, "dropout", "weights", name) for name in FAMILIES
            }
            found[DIFFERENCE] = contrasts.lead_upstream_less_downstream(graphs)
            for name, estimate in found.items():
                row = {"experiment": experiment, "levels": compared, "family": name}
                rows.append(row | {key: getattr(estimate, key) for key in ("value", "low", "high", "n", "p")})
    return pd.DataFrame(rows)


@once
def frontiers(profile: str) -> pd.DataFrame:
    """Lead of dropout among levels that are ever more accurate, by both protocols (`contrasts.frontier`)."""
    tables = [
        contrasts.frontier(results, ACCURACIES).assign(experiment=experiment)
        for experiment, results in distance_from_paper.both_protocols(profile)
    ]
    return pd.concat(tables, ignore_index=True)


@offered("experiment", "family")
def along_the_frontier(profile: str) -> pd.DataFrame:
    """Smallest and largest lead along the frontier, and between which bounds all of its intervals lie."""
    table = frontiers(profile).dropna(subset="value")
    groups = table.groupby(["experiment", "family"], sort=False)
    return groups.agg(
        smallest=("value", "min"),
        largest=("value", "max"),
        low=("low", "min"),
        high=("high", "max"),
        up_to=("accuracy", "max"),
    ).reset_index()


@offered("experiment", "levels")
def score(profile: str) -> pd.DataFrame:
    """In how many graphs dropout or weight penalties win after Holm's correction, and their mean gains."""
    rows = []
    for (experiment, levels), table in best_levels(profile).groupby(["experiment", "levels"], sort=False):
        clear = table.difference[table.p_holm <= contrasts.SIGNIFICANT]
        won, lost = int((clear > 0).sum()), int((clear < 0).sum())
        row = {"experiment": experiment, "levels": levels, "graphs": len(table), "dropout_wins": won}
        row |= {"weights_win": lost, "undecided": len(table) - won - lost}
        rows.append(row | table[["dropout_gain", "weights_gain"]].mean().to_dict())
    return pd.DataFrame(rows)


@offered()
def matched(profile: str) -> pd.DataFrame:
    """Test accuracy of the least accurate level of dropout, which levels of matched accuracy must reach."""
    kept = kept_networks(run("base", profile=profile))
    return pd.DataFrame({"accuracy": [contrasts.least_accurate_dropout(kept)]})


@offered("experiment")
def distance(profile: str) -> pd.DataFrame:
    """How far our Q lies from the paper's, in absolute value: median and 95 % quantile of all points."""
    rows = []
    for experiment, results in distance_from_paper.both_protocols(profile):
        apart = distance_from_paper.q_beside_paper(results).difference.abs()
        rows.append([experiment, len(apart), apart.median(), apart.quantile(0.95)])
    return pd.DataFrame(rows, columns=["experiment", "points", "median", "most"])
