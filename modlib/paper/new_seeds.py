"""The test on new seeds: which levels are compared, frozen before any of the new networks was trained.

Claims were found on some seeds and are tested on others. On the old seeds the best level of dropout, or of a
penalty, has to be chosen and paid for (`modlib.stats.selection`). On the new seeds nothing is chosen: each
graph is read at the levels that were best on the old ones, which ``results/new-seeds/levels.csv`` holds.
"""

from collections.abc import Sequence

import pandas as pd

from modlib.paper import contrasts
from modlib.paper.contrasts import LEVELS_COMPARED, Levels
from modlib.paper.graph_names import of_graph
from modlib.study import catalogue, project
from modlib.study.accuracy_filter import GRAPH, kept_networks
from modlib.study.store import Results

#: Experiments with new seeds, by the name of the one whose old seeds chose the levels.
NEW_SEEDS = {name: f"{name}-new-seeds" for name in ("base", "deep", "fashion", "wide")}
#: Belongs to the project, like the code: it does not move with ``$MODLIB_RESULTS``.
FILE = project.ROOT / "results" / "new-seeds" / "levels.csv"


def choose(results: Results) -> pd.DataFrame:
    """Choose the levels that are compared, from the old seeds of an experiment.

    A row is a graph and a way to compare (`modlib.paper.contrasts.LEVELS_COMPARED`): the strength of
    `dropout`, and the `penalty` and its `strength`, at which mean Q is largest.
    """
    kept = kept_networks(results)
    rows = []
    for compared in LEVELS_COMPARED:
        least = contrasts.least_accuracy(kept, compared)
        for graph in contrasts.levels(results.modules, kept, min_accuracy=least):
            dropout, weights = contrasts.best_levels(graph)
            rows.append([compared, *graph.key, dropout[1], *weights])
    return pd.DataFrame(rows, columns=["levels", *GRAPH, "dropout", "penalty", "strength"])


def frozen_levels(experiment: str) -> pd.DataFrame:
    """Return the rows of `choose` that were frozen for an experiment with new seeds."""
    table = pd.read_csv(project.of_checkout(FILE))
    return table[table.experiment == experiment].drop(columns="experiment")


def at_frozen_levels(graphs: Sequence[Levels], experiment: str, compared: str) -> list[Levels]:
    """Keep of each graph the one level of dropout and the one penalty that were frozen for it.

    A level whose networks do not pass the accuracy filter leaves that side of its graph empty. A ValueError
    names a graph for which none was frozen, or a level that the experiment does not train.
    """
    table = frozen_levels(experiment)
    table = table[table.levels == compared]
    trained = {(s.regularizer, s.strength) for s in catalogue.get(experiment, "paper").settings}
    found = []
    for graph in graphs:
        rows = of_graph(table, graph.key).to_dict("records")
        if len(rows) != 1:
            raise ValueError(f"no levels were frozen for {graph.key} of {experiment}, {compared}")
        (row,) = rows
        dropout, weights = ("dropout", float(row["dropout"])), (str(row["penalty"]), float(row["strength"]))
        if missing := {dropout, weights} - trained:
            raise ValueError(f"{experiment} does not train {sorted(missing)}, frozen for {graph.key}")
        found.append(contrasts.only(graph, dropout, weights))
    return found
