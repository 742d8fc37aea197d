"""Compare a small part of an experiment, computed again in front of the reader, with what is stored."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from modlib import data
from modlib.comparison import agreement
from modlib.measures import similarity
from modlib.networks import MLPStack, concatenate
from modlib.study.accuracy_filter import GRAPH, LEVEL
from modlib.study.plan import Experiment
from modlib.study.rows import search_layers
from modlib.study.store import Results

ROUNDING = 1e-9
"""Numbers this close, relative to the larger, differ by rounding only."""


def from_weights(results: Results) -> pd.DataFrame:
    """Find the modules of every network that is stored with its weights again, and `compare` their Q.

    The similarities are computed over as many of the first test images as the experiment used. A ValueError
    is raised if no network is stored with its weights.
    """
    if not results.kept:
        raise ValueError("no network is stored with its weights")
    experiment = Experiment.from_config(results.manifest["config"])
    x = data.load(experiment.dataset).x_test[: experiment.test_samples]
    stack = concatenate(list(results.kept.values())).to(dtype=torch.float64)
    again = partitions(similarity(stack, x), list(results.kept), restarts=experiment.restarts)
    return compare(results, again, ["q"])


def partitions(
    S: Mapping[str, Sequence[Tensor]], names: Sequence[str], *, restarts: int = 20, seed: int = 0
) -> pd.DataFrame:
    """Make the table `modules` from similarities that `modlib.similarity` has returned.

    An experiment's tables are made with its own `restarts` and seed 0. There must be one name for each
    network, else a ValueError is raised.
    """
    if len(names) != len(S["input_cov"][0]):
        raise ValueError(f"names must be one for each network ({len(S['input_cov'][0])}), got {len(names)}")
    found = search_layers(dict(S), names, map, "leiden", restarts, seed)  # type: ignore[arg-type]
    return pd.concat([modules for modules, _ in found], ignore_index=True)


def compare_labels(results: Results, again: pd.DataFrame) -> pd.DataFrame:
    """Compare partitions computed again (`partitions`) with those stored, in one row for each network.

    Of its `graphs`, `identical` have the same partition, unit by unit; `same_label` is the share of all units
    with the same label, `lowest_ecs` the element-centric similarity of the two partitions that differ most,
    and `largest_q_gap` the largest difference of Q. A ValueError is raised if one is not stored.
    """
    both = _paired(results.modules, again, ["network", *GRAPH])
    stored, live = (both[column].map(np.asarray) for column in ("labels_stored", "labels"))
    pairs = [(a.astype(np.int64), b.astype(np.int64)) for a, b in zip(stored, live, strict=True)]
    both = both[["network"]].assign(
        graphs=1,
        identical=[np.array_equal(a, b) for a, b in pairs],
        same_label=[float((a == b).mean()) for a, b in pairs],
        lowest_ecs=[_ecs(a, b) for a, b in pairs],
        largest_q_gap=(both.q - both.q_stored).abs().fillna(0.0),
    )
    how = {"graphs": "sum", "identical": "sum", "same_label": "mean", "lowest_ecs": "min"}
    table: pd.DataFrame = both.groupby("network", sort=False).agg(how | {"largest_q_gap": "max"})
    return table


def compare(results: Results, again: pd.DataFrame, quantities: Sequence[str]) -> pd.DataFrame:
    """Compare numbers computed again with those stored, in units of their spread over seeds.

    The rows of `again` are of the table `networks` or `modules`, and quantities are columns of it. Each row
    and quantity give a row with `live`, `stored`, `seed_sd` (the standard deviation over the stored seeds of
    the same level), `gap` (live less stored, in units of it) and `verdict`: ``equal``, ``equal to rounding``
    or ``differs``. A ValueError is raised if a row or a quantity is not stored.
    """
    keys = ["network", *(GRAPH if set(GRAPH) <= set(again.columns) else [])]
    table = results.networks
    if len(keys) > 1:
        table = results.modules.merge(table[["network", *LEVEL]], on="network")
    for quantity in quantities:
        if quantity not in table.columns or quantity not in again.columns:
            raise ValueError(f"quantity {quantity!r} must be a column of both tables")
    tables = []
    for quantity in quantities:
        spread = table.groupby([*LEVEL, *keys[1:]])[quantity].transform("std")
        both = _paired(table.assign(seed_sd=spread), again[[*keys, quantity]], keys)
        live, stored = (both[c].astype(float) for c in (quantity, f"{quantity}_stored"))
        tables.append(
            both[keys].assign(
                quantity=quantity,
                live=live,
                stored=stored,
                seed_sd=both.seed_sd,
                gap=np.where(live == stored, 0.0, (live - stored) / both.seed_sd),
                verdict=[_verdict(a, b) for a, b in zip(live, stored, strict=True)],
            )
        )
    return pd.concat(tables, ignore_index=True)


def summary(compared: pd.DataFrame) -> pd.DataFrame:
    """Summarise a comparison by network and quantity.

    The columns are how many `numbers` were compared, how many are `equal` (to rounding), and the median and
    the largest absolute gap, in standard deviations over seeds.
    """
    marked = compared.assign(gap=compared.gap.abs(), equal=compared.verdict != "differs")
    table: pd.DataFrame = marked.groupby(["network", "quantity"], sort=False).agg(
        numbers=("equal", "size"),
        equal=("equal", "sum"),
        median_gap=("gap", "median"),
        largest_gap=("gap", "max"),
    )
    return table


def compare_weights(kept: Mapping[str, MLPStack], stack: MLPStack, names: Sequence[str]) -> pd.DataFrame:
    """Compare the weights of networks trained again with those stored, in one row for each network.

    It says whether all parameters are `equal`, bit by bit, and gives the `largest_gap` between two of them
    and the `correlation` of the input weights. A ValueError is raised if the weights of a network are not
    stored, or there is not one name for each network.
    """
    if len(names) != len(stack):
        raise ValueError(f"names must be one for each network ({len(stack)}), got {len(names)}")
    check_kept(kept, names)
    rows = []
    for i, name in enumerate(names):
        ours, theirs = stack[i].to("cpu"), kept[name]
        both = zip((*ours.weights, *ours.biases), (*theirs.weights, *theirs.biases), strict=True)
        gap = max(float((a - b).abs().max()) for a, b in both)
        first, second = ours.weights[0].numpy().ravel(), theirs.weights[0].numpy().ravel()
        rows.append([name, gap == 0, gap, float(np.corrcoef(first, second)[0, 1])])
    columns = ["network", "equal", "largest_gap", "correlation"]
    return pd.DataFrame(rows, columns=columns).set_index("network")


def check_kept(kept: Mapping[str, MLPStack], names: Sequence[str]) -> None:
    """Raise a ValueError unless the weights of these networks are stored: ask before training."""
    for name in names:
        if name not in kept:
            raise ValueError(f"no weights of {name!r} are stored; there are {', '.join(sorted(kept))}")


def seeds_beside(results: Results, again: pd.DataFrame) -> pd.DataFrame:
    """Give Q of networks computed again, of the same networks as stored, and of other seeds at the level.

    The column `kind` tells ``"live"``, ``"stored"`` and ``"other seeds"`` apart; `network` is always the one
    that was computed again.
    """
    levels = results.networks.set_index("network")[LEVEL]
    columns = ["network", *GRAPH, "kind", "q"]
    tables = [again.assign(kind="live")[columns]]
    for name in again.network.unique():
        if name not in levels.index:
            raise ValueError(f"network {name!r} is not among those stored")
        alike = levels.index[(levels == levels.loc[name]).all(axis=1)]
        rows = results.modules[results.modules.network.isin(alike)]
        kind = np.where(rows.network == name, "stored", "other seeds")
        tables.append(rows.assign(kind=kind, network=name)[columns])
    return pd.concat(tables, ignore_index=True)


def _paired(stored: pd.DataFrame, again: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Join rows computed again with their stored counterparts, whose columns end in ``_stored``."""
    both = again.merge(stored, on=keys, how="left", suffixes=("", "_stored"), indicator=True)
    missing = both[both["_merge"] == "left_only"]
    if len(missing):
        raise ValueError(f"not among what is stored: {missing[keys].iloc[0].to_dict()}")
    return both.drop(columns="_merge")


def _ecs(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the element-centric similarity, with all dead units as one module that must agree too."""
    return agreement(np.where(a < 0, a.max() + 1, a), np.where(b < 0, b.max() + 1, b))["ecs"]


def _verdict(a: float, b: float) -> str:
    if a == b or (np.isnan(a) and np.isnan(b)):
        return "equal"
    return "equal to rounding" if abs(a - b) <= ROUNDING * max(abs(a), abs(b)) else "differs"
