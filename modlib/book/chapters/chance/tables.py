"""Is Q more than chance? Its excess over the nulls, seed by seed, and memorised against true labels."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from modlib.clustering import find_modules, modularity
from modlib.measures import adjacency, family
from modlib.nulls import null_test, random_graphs
from modlib.paper.contrasts import weakest_l2
from modlib.paper.graph_names import graph_key, graph_name
from modlib.paper.simulations import rejections, rotations
from modlib.stats.intervals import holm, mean
from modlib.study import catalogue, store
from modlib.study.accuracy_filter import GRAPH, LEVEL, kept_networks
from modlib.study.store import Results

Number = int | float | str | None

LEVEL_OF_TEST = 0.05
#: Nulls that a network is held against one by one, in the order of what they keep.
NULLS = ("untrained", "weights-permuted", "similarity")
NULL_NAMES = {
    "untrained": "untrained networks",
    "weights-permuted": "permuted weights",
    "similarity": "similarity null",
}
SETTINGS = ("plain", "dropout")  # the weakest L2, and the strongest dropout that passes the accuracy filter
UNTRAINED = ("none", 0.0)  # the level of networks that nothing was taught
FAMILIES = ("upstream", "downstream")
VERDICTS = ("below", "not told apart")  # from a null, where Q is not above it
_REGULARIZERS = {"l1": "L1", "l2": "L2", "dropout": "dropout"}
_SHORT = {"untrained": "untrained", "weights-permuted": "permuted", "similarity": "similarity"}
_PAIRED = [*LEVEL, "seed"]


def load(name: str, profile: str) -> Results | None:
    """Tables of an experiment if they are stored, else None: nothing is computed here."""
    return store.read_if_stored(catalogue.get(name, profile))


def levels(profile: str) -> pd.DataFrame | None:
    """`by_level` of the experiment ``close-up`` with all three nulls; None until it is stored.

    Untrained networks (the experiment of that name, if it is stored) stand beside it as a level of their own,
    held against the two nulls that are drawn.
    """
    tested, newborn = load("close-up", profile), load("untrained", profile)
    if tested is None or tested.nulls.empty:
        return None
    tables = [against_nulls(tested, load("base", profile))]
    if newborn is not None and len(newborn.nulls):
        tables.append(of_untrained(newborn))
    return by_level(pd.concat(tables, ignore_index=True))


def of_untrained(newborn: Results) -> pd.DataFrame:
    """Tabulate tests of untrained networks: what the nulls make of layers that have learned nothing.

    Parameters
    ----------
    newborn
        The experiment ``untrained``, with rows in its table `nulls`.

    Returns
    -------
    DataFrame
        As `against_nulls` gives it for trained networks.
    """
    networks = newborn.networks[~newborn.networks.trained]
    return _of_networks(newborn.nulls, networks)


def _of_networks(nulls: pd.DataFrame, networks: pd.DataFrame) -> pd.DataFrame:
    """Add what the networks are, the family of the measure and the excess of Q to the tests of networks."""
    table = nulls.merge(networks[["network", *LEVEL, "seed"]], on="network")
    return table.assign(excess=table.q - table["mean"], family=[family(m) for m in table.measure])


def labels_table(profile: str) -> pd.DataFrame | None:
    """`labels` of the experiments ``labels-shuffled`` and ``labels-kept``; None until both are stored."""
    shuffled, true = load("labels-shuffled", profile), load("labels-kept", profile)
    return None if shuffled is None or true is None else labels(shuffled, true)


# --- against nulls


def against_untrained(tested: Results, base: Results) -> pd.DataFrame:
    """Hold Q of trained networks against Q of the untrained networks of the base experiment.

    Parameters
    ----------
    tested
        Whose trained networks are held against the null.
    base
        Whose untrained networks, of the same shape and on the same images, are the draws.

    Returns
    -------
    DataFrame
        Columns as the table `nulls` of an experiment, the null called ``"untrained"``.

    Raises
    ------
    ValueError
        If `base` has fewer than two untrained networks.
    """
    untrained = base.networks[~base.networks.trained][["network"]]
    if len(untrained) < 2:
        raise ValueError(f"base must have two untrained networks or more, got {len(untrained)}")
    rows_of_draws = base.modules.merge(untrained, on="network").groupby(GRAPH)
    draws = {graph_key(key): group.q.to_numpy() for key, group in rows_of_draws}
    trained = tested.networks[tested.networks.trained][["network"]]
    rows = []
    for row in tested.modules.merge(trained, on="network")[["network", *GRAPH, "q"]].to_dict("records"):
        key = graph_key([row[column] for column in GRAPH])
        if key in draws:
            row.update(null="untrained", draws=len(draws[key]), **asdict(null_test(row["q"], draws[key])))
            rows.append(row)
    return pd.DataFrame(rows, columns=["network", *GRAPH, "q", "null", "draws", "mean", "sd", "z", "p"])


def against_nulls(tested: Results, base: Results | None = None) -> pd.DataFrame:
    """All tests of networks that pass the accuracy filter, a row a network, graph and null.

    Parameters
    ----------
    tested
        With rows in its table `nulls`; only its trained networks that have some take part.
    base
        Gives the untrained networks; without it that null is left out.

    Returns
    -------
    DataFrame
        Columns of `nulls`, regulariser, strength, seed and `family`, and `excess` = Q − mean of the draws.
        Q of the null ``"untrained"`` is that of the experiment's own search, which its draws got as well.
    """
    kept = kept_networks(tested)
    kept = kept[kept.trained & kept.network.isin(tested.nulls.network)]
    table = tested.nulls
    if base is not None:
        untrained = against_untrained(tested, base)
        table = pd.concat([untrained, table], ignore_index=True)[list(tested.nulls.columns)]
    return _of_networks(table, kept)


def by_level(table: pd.DataFrame) -> pd.DataFrame:
    """Excess over each null by level of regularisation and graph, 95 % over seeds.

    Parameters
    ----------
    table
        As `against_nulls` gives it.

    Returns
    -------
    DataFrame
        Means over seeds of `q`, of `null_mean`, of `excess` with `low` and `high`, and of `z`; `share`, the
        share of networks with p ≤ .05; `seeds`; `p` of the hypothesis that the mean excess is 0, and `holm`,
        that p corrected for the graphs of the same null and level.
    """
    rows = []
    for key, group in table.groupby(["null", *LEVEL, *GRAPH], sort=False):
        seeds = group.groupby("seed")
        found = mean(seeds.excess.mean().to_numpy(dtype=float))
        rows.append(
            dict(zip(["null", *LEVEL, *GRAPH], key, strict=True))
            | {
                "q": seeds.q.mean().mean(),
                "null_mean": seeds["mean"].mean().mean(),
                "excess": found.value,
                "low": found.low,
                "high": found.high,
                "z": seeds.z.mean().mean(),
                "share": (group.p.dropna() <= LEVEL_OF_TEST).mean(),
                "seeds": found.n,
                "p": found.p,
            }
        )
    result = pd.DataFrame(rows)
    result["holm"] = result.groupby(["null", *LEVEL]).p.transform(lambda p: holm(p.to_numpy()))
    return result


def settings(table: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Find the levels of no training, no regularisation and the most dropout, as far as there are any.

    Parameters
    ----------
    table
        With columns `regularizer` and `strength`.
    """
    found = {}
    if (table.regularizer == UNTRAINED[0]).any():
        found["untrained"] = UNTRAINED
    if (table.regularizer == "l2").any():
        found["plain"] = weakest_l2(table)
    dropout = table[table.regularizer == "dropout"].strength
    if len(dropout):
        found["dropout"] = ("dropout", float(dropout.max()))
    return found


def at(table: pd.DataFrame, level: tuple[str, float]) -> pd.DataFrame:
    """Rows at one level of regularisation."""
    return table[(table.regularizer == level[0]) & (table.strength == level[1])]


def not_above(levels: pd.DataFrame) -> pd.DataFrame:
    """Graphs and levels at which Q is not above a null: the 95 % interval of the excess reaches 0 or less.

    Levels of training only: untrained networks are what the nulls themselves are held against.

    Parameters
    ----------
    levels
        As `by_level` gives it.

    Returns
    -------
    DataFrame
        Those rows, the lowest excess first, with `verdict`: ``"below"`` where the whole interval is below 0,
        else ``"not told apart"``.
    """
    found = levels[_taught(levels) & ~(levels.low > 0)].sort_values("excess")
    return found.assign(verdict=np.where(found.high < 0, *VERDICTS)).reset_index(drop=True)


def where_not_above(levels: pd.DataFrame) -> pd.DataFrame:
    """Count, by level and null, the graphs that are below the null and those not told apart from it.

    Parameters
    ----------
    levels
        As `by_level` gives it.

    Returns
    -------
    DataFrame
        One row a level of regularisation, columns by null and verdict of `not_above`; zeros where Q is above
        the null in all graphs.
    """
    found = not_above(levels)
    counts = found.groupby([*LEVEL, "null", "verdict"]).size().unstack(["null", "verdict"], fill_value=0)
    columns = pd.MultiIndex.from_product([[n for n in NULLS if (levels.null == n).any()], VERDICTS])
    rows = pd.MultiIndex.from_frame(levels[_taught(levels)][LEVEL].drop_duplicates().sort_values(LEVEL))
    table: pd.DataFrame = counts.reindex(index=rows, columns=columns, fill_value=0)
    return table.rename(columns=NULL_NAMES, level=0)


def _taught(levels: pd.DataFrame) -> pd.Series:
    return levels.regularizer != UNTRAINED[0]


def rescored(
    S: Float[np.ndarray, "unit unit"], *, draws: int = 19, restarts: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Draws of the similarity null, searched anew, and only scored with the partition of the layer.

    Parameters
    ----------
    S
        Signed similarities of one layer.
    draws
        Of the similarity null.

    Returns
    -------
    DataFrame
        Columns `draw` (−1: the layer itself), `how` (``"the layer, searched"``, ``"draws, only scored"``,
        ``"draws, searched"``) and `q`, of normalised graphs.
    """
    rng = np.random.default_rng(seed)
    best = find_modules(adjacency(torch.as_tensor(S), normalized=True), restarts=restarts)
    rows: list[dict[str, object]] = [{"draw": -1, "how": "the layer, searched", "q": best.q}]
    for draw in range(draws):
        A = random_graphs(S, rng)[1]
        rows.append({"draw": draw, "how": "draws, only scored", "q": modularity(A, best.labels)})
        found = find_modules(A, restarts=restarts)
        rows.append({"draw": draw, "how": "draws, searched", "q": found.q})
    return pd.DataFrame(rows)


# --- memorised labels


def labels(shuffled: Results, true: Results) -> pd.DataFrame:
    """Q of networks that learned permuted labels beside the same networks with true ones, paired by seed.

    No network is left out by its test accuracy: with permuted labels there is nothing to generalise.

    Parameters
    ----------
    shuffled, true
        The experiments ``labels-shuffled`` and ``labels-kept``.

    Returns
    -------
    DataFrame
        One row a level and graph: means over seeds of Q, `shuffled` and `true`, of the `difference`, shuffled
        less true, with its 95 % interval `low` to `high` and `p`, and of the training accuracies
        `train_shuffled` and `train_true`; `holm` is p corrected for the graphs of the level.
    """
    columns = [*_PAIRED, *GRAPH]
    tables = []
    for results in (shuffled, true):
        networks = results.networks[results.networks.trained]
        wanted = networks[["network", *_PAIRED, "train_accuracy"]]
        tables.append(results.modules.merge(wanted, on="network")[[*columns, "q", "train_accuracy"]])
    both = tables[0].merge(tables[1], on=columns, suffixes=("_shuffled", "_true"))
    rows = []
    for key, group in both.groupby([*LEVEL, *GRAPH], sort=False):
        found = mean((group.q_shuffled - group.q_true).to_numpy(dtype=float))
        rows.append(
            dict(zip([*LEVEL, *GRAPH], key, strict=True))
            | {
                "shuffled": group.q_shuffled.mean(),
                "true": group.q_true.mean(),
                "difference": found.value,
                "low": found.low,
                "high": found.high,
                "p": found.p,
                "seeds": found.n,
                "train_shuffled": group.train_accuracy_shuffled.mean(),
                "train_true": group.train_accuracy_true.mean(),
            }
        )
    result = pd.DataFrame(rows)
    result["holm"] = result.groupby(LEVEL).p.transform(lambda p: holm(p.to_numpy()))
    return result


# --- numbers in prose


def numbers(profile: str) -> dict[str, Number]:
    """Every number that the chapter cites; None where its tables are not stored.

    ``chance_share_<null>_<family>_<setting>`` is the share of networks and graphs with p ≤ .05,
    ``chance_z_…`` and ``chance_excess_…`` the means over seeds, and ``chance_above_<null>_<setting>`` the
    number of graphs, of ``chance_graphs``, whose mean excess is above 0 after Holm's correction.
    """
    found: dict[str, Number] = dict.fromkeys(_keys())
    tested, base = load("close-up", profile), load("base", profile)
    if tested is not None and len(tested.nulls):
        found |= _numbers_of_nulls(against_nulls(tested, base))
    newborn = load("untrained", profile)
    if newborn is not None and len(newborn.nulls):
        found |= _numbers_of_untrained(of_untrained(newborn))
    memorised = labels_table(profile)
    if memorised is not None:
        found |= _numbers_of_labels(memorised)
    return found | _numbers_of_size(rejections.read("size")) | _numbers_of_spectra(rotations.read())


def _keys() -> list[str]:
    """Name all numbers, whether they can be had or not."""
    keys = ["chance_draws", "chance_networks", "chance_graphs", "chance_strongest_dropout", "chance_levels"]
    for null in _SHORT.values():
        keys += [f"chance_most_below_{null}", f"chance_most_below_{null}_level"]
        for setting in SETTINGS:
            keys += [
                f"chance_{what}_{null}_{setting}" for what in ("above", "below", "lowest", "lowest_excess")
            ]
            for what in ("share", "z", "excess"):
                keys += [f"chance_{what}_{null}_{name}_{setting}" for name in FAMILIES]
    keys.append("chance_untrained_networks")
    for short in (_SHORT[null] for null in NULLS[1:]):
        keys.append(f"chance_above_{short}_untrained")
        keys += [
            f"chance_{what}_{short}_{name}_untrained" for what in ("share", "excess") for name in FAMILIES
        ]
    for setting in SETTINGS:
        keys += [f"chance_labels_{what}_{setting}" for what in ("train_shuffled", "train_true")]
        keys += [f"chance_labels_{what}_{setting}" for what in ("lower", "higher", "graphs")]
        keys += [
            f"chance_labels_{what}_{name}_{setting}" for what in ("shuffled", "true") for name in FAMILIES
        ]
    keys += [f"chance_size_{what}" for what in ("lowest", "highest", "rows", "repetitions")]
    keys += [f"chance_size_{what}" for what in ("outside", "surely_outside", "similarity", "permuted")]
    keys += ["chance_size_unequal", "chance_size_random_networks"]
    for setting in (*SETTINGS, "untrained"):
        keys += [f"chance_spectrum_{what}_{setting}" for what in ("similarity", "rotated", "size")]
    return [*keys, "chance_spectrum_graphs", "chance_spectrum_draws", "chance_labels_dropout"]


def _numbers_of_nulls(table: pd.DataFrame) -> dict[str, Number]:
    levels = by_level(table)
    drawn = table[table.null != "untrained"].draws
    found: dict[str, Number] = {
        "chance_draws": int(drawn.max()),
        "chance_networks": int(table.network.nunique()),
        "chance_graphs": len(table[GRAPH].drop_duplicates()),
        "chance_levels": len(table[LEVEL].drop_duplicates()),
    }
    for null, short in _SHORT.items():
        here = levels[levels.null == null]
        surely = here[(here.holm < LEVEL_OF_TEST) & (here.excess < 0)]
        found[f"chance_most_below_{short}"], found[f"chance_most_below_{short}_level"] = 0, "no level"
        if len(surely):
            most = surely.groupby(LEVEL).size().rename("graphs").reset_index()
            row = most.nlargest(1, "graphs").to_dict("records")[0]
            level_name = f"{_REGULARIZERS[row['regularizer']]} of {row['strength']:g}"
            found[f"chance_most_below_{short}"] = int(row["graphs"])
            found[f"chance_most_below_{short}_level"] = level_name
    for setting, level in settings(table).items():
        if setting == "dropout":
            found["chance_strongest_dropout"] = level[1]
        for null, short in _SHORT.items():
            networks, graphs = (at(t[t.null == null], level) for t in (table, levels))
            if networks.empty:
                continue
            sure = graphs.holm < LEVEL_OF_TEST
            found[f"chance_above_{short}_{setting}"] = int((sure & (graphs.excess > 0)).sum())
            found[f"chance_below_{short}_{setting}"] = int((sure & (graphs.excess < 0)).sum())
            lowest = graphs.nsmallest(1, "excess").to_dict("records")[0]
            name = graph_name(*graph_key([lowest[column] for column in GRAPH]))
            found[f"chance_lowest_{short}_{setting}"] = name
            found[f"chance_lowest_excess_{short}_{setting}"] = float(lowest["excess"])
            for part, group in networks.groupby("family"):
                of = f"{short}_{part}_{setting}"
                found[f"chance_share_{of}"] = float((group.p.dropna() <= LEVEL_OF_TEST).mean())
                for what in ("z", "excess"):
                    found[f"chance_{what}_{of}"] = float(group.groupby("seed")[what].mean().mean())
    return found


def _numbers_of_untrained(table: pd.DataFrame) -> dict[str, Number]:
    """Count the graphs of untrained networks that are above a null, and shares of single networks."""
    found: dict[str, Number] = {"chance_untrained_networks": int(table.network.nunique())}
    levels = by_level(table)
    for null in NULLS[1:]:
        short, here, networks = _SHORT[null], levels[levels.null == null], table[table.null == null]
        sure = (here.holm < LEVEL_OF_TEST) & (here.excess > 0)
        found[f"chance_above_{short}_untrained"] = int(sure.sum())
        for part, group in networks.groupby("family"):
            found[f"chance_share_{short}_{part}_untrained"] = float((group.p <= LEVEL_OF_TEST).mean())
            found[f"chance_excess_{short}_{part}_untrained"] = float(group.excess.mean())
    return found


def _numbers_of_labels(table: pd.DataFrame) -> dict[str, Number]:
    found: dict[str, Number] = {}
    table = table.assign(family=[family(m) for m in table.measure])
    for setting, level in settings(table).items():
        graphs = at(table, level)
        sure = graphs.holm < LEVEL_OF_TEST
        if setting == "dropout":
            found["chance_labels_dropout"] = level[1]
        found[f"chance_labels_train_shuffled_{setting}"] = float(graphs.train_shuffled.mean())
        found[f"chance_labels_train_true_{setting}"] = float(graphs.train_true.mean())
        found[f"chance_labels_lower_{setting}"] = int((sure & (graphs.difference < 0)).sum())
        found[f"chance_labels_higher_{setting}"] = int((sure & (graphs.difference > 0)).sum())
        found[f"chance_labels_graphs_{setting}"] = len(graphs)
        for part, group in graphs.groupby("family"):
            for what in ("shuffled", "true"):
                found[f"chance_labels_{what}_{part}_{setting}"] = float(group[what].mean())
    return found


def _numbers_of_size(table: pd.DataFrame) -> dict[str, Number]:
    claimed, limits = table[~table.limit], table[table.limit]
    low, high = LEVEL_OF_TEST - rejections.BAND, LEVEL_OF_TEST + rejections.BAND
    unequal = limits[limits.data.str.contains("variance")]
    networks = limits[limits.data.str.contains("networks")]
    return {
        "chance_size_lowest": float(claimed.rate.min()),
        "chance_size_highest": float(claimed.rate.max()),
        "chance_size_rows": len(claimed),
        "chance_size_repetitions": int(claimed.repetitions.min()),
        "chance_size_outside": int(((claimed.rate < low) | (claimed.rate > high)).sum()),
        "chance_size_surely_outside": int(((claimed.high < low) | (claimed.low > high)).sum()),
        "chance_size_similarity": float(claimed[claimed.null == "similarity"].rate.mean()),
        "chance_size_permuted": float(claimed[claimed.null == "weights-permuted"].rate.mean()),
        "chance_size_unequal": float(unequal.rate.max()),
        "chance_size_random_networks": float(networks.rate.max()),
    }


def _numbers_of_spectra(table: pd.DataFrame) -> dict[str, Number]:
    found: dict[str, Number] = {"chance_spectrum_draws": int(table.draws.min())}
    starts = {"plain": "l2=", "dropout": "dropout=", "untrained": "untrained"}
    for setting, start in starts.items():
        graphs = table[table.network.str.startswith(start)]
        found["chance_spectrum_graphs"] = len(graphs)
        for what in ("similarity", "rotated"):
            found[f"chance_spectrum_{what}_{setting}"] = int((graphs[f"{what}_p"] <= LEVEL_OF_TEST).sum())
        found[f"chance_spectrum_size_{setting}"] = float(graphs["size"].mean())
    return found
