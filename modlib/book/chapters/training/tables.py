"""Tables of the chapter on training: how many networks there are, and what became of them, level by level."""

import numpy as np
import pandas as pd

from modlib.book.numbers import offered
from modlib.study.accuracy_filter import LEVEL, trained_networks
from modlib.study.runner import run


@offered()
def networks(profile: str) -> pd.DataFrame:
    """Networks of `base`: trained, untrained, and trained ones that pass the accuracy filter (`kept`)."""
    results = run("base", profile=profile)
    trained = results.networks[results.networks.trained]
    row = {
        "trained": len(trained),
        "untrained": len(results.networks) - len(trained),
        "kept": len(trained_networks(results)),
        "seeds": trained.seed.nunique(),
        "levels": len(trained[LEVEL].drop_duplicates()),
    }
    return pd.DataFrame([row])


@offered("regularizer")
def strongest(profile: str) -> pd.DataFrame:
    """Strongest level of each regulariser that passes the accuracy filter, and its mean test accuracy."""
    results = run("base", profile=profile)
    levels = trained_networks(results).groupby("regularizer").strength.max().reset_index()
    accuracy = by_strength(results.networks, "test_accuracy").rename(columns={"mean": "accuracy"})
    return levels.merge(accuracy[[*LEVEL, "accuracy"]], on=LEVEL)


@offered("stage")
def time(profile: str) -> pd.DataFrame:
    """How many minutes each stage of the stored run of `base` took."""
    seconds = run("base", profile=profile).manifest["seconds"]
    return pd.DataFrame([{"stage": stage, "minutes": spent / 60} for stage, spent in seconds.items()])


def by_strength(networks: pd.DataFrame, value: str) -> pd.DataFrame:
    """Mean of a column over the trained networks of a level, with its smallest and largest value."""
    if value not in networks.columns:
        known = list(networks.columns)
        raise ValueError(f"value must be a column of networks, one of {known}; got {value!r}")
    levels = networks[networks.trained].groupby(LEVEL)[value]
    table: pd.DataFrame = levels.agg(mean="mean", low="min", high="max", networks="size").reset_index()
    return table


def active_units(networks: pd.DataFrame) -> pd.DataFrame:
    """Return `networks` with `active_1`, `active_2`, …: units of each layer that an image activates."""
    counts = [np.asarray(units) for units in networks.active_units]
    if len({len(count) for count in counts}) != 1:
        raise ValueError("active_units must name the same number of layers for every network")
    layers = np.stack(counts)
    return networks.assign(**{f"active_{i + 1}": layers[:, i] for i in range(layers.shape[1])})


def still_training(networks: pd.DataFrame) -> pd.DataFrame:
    """Count the networks of each seed that are still in training, epoch by epoch until none is."""
    rows = [
        [seed, epoch, int((group.epochs >= epoch).sum())]
        for seed, group in networks[networks.trained].groupby("seed")
        for epoch in range(1, int(group.epochs.max()) + 2)
    ]
    return pd.DataFrame(rows, columns=["seed", "epoch", "networks"])
