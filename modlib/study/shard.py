"""Compute one shard: its networks are initialised, trained together, analysed, and made into rows of tables.

This module decides the numbers in the tables: the digest of the code is taken of it and of all it imports.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from modlib import data
from modlib.analysis.modules import Map
from modlib.networks import MLPStack
from modlib.study.plan import Experiment, Shard
from modlib.study.rows import against_nulls, analyse, analyse_by, describe
from modlib.study.schema import TABLES
from modlib.training import denormals_flushed, train

N_CLASSES = 10  # of every data set
TRAIN_ACCURACY_ON = 10_000  # training images, the first of them; a tenth of these was held out


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks of a shard after training: names, parameters, and what `modlib.train` says of them."""

    names: tuple[str, ...]
    stack: MLPStack
    epochs: list[int]
    val_loss: list[float]
    seconds: float


@dataclass(frozen=True, eq=False)
class ShardResults:
    """What one shard gave: its tables, the networks to keep by name, and the seconds of each stage."""

    tables: dict[str, pd.DataFrame]
    weights: dict[str, MLPStack]
    seconds: dict[str, float]


def initialised(experiment: Experiment, shard: Shard) -> tuple[MLPStack, dict[str, Any]]:
    """Give the networks of a shard as initialised, and the arguments of `modlib.train` that go with them."""
    seeds = [seed for seed, _ in shard.networks]
    stack = MLPStack.initialise([784, *experiment.hidden, N_CLASSES], seeds=seeds)
    penalties = {name: [getattr(s, name) for _, s in shard.networks] for name in ("l1", "l2", "dropout")}
    return stack, {"seeds": seeds, **penalties}


def training_data(experiment: Experiment) -> tuple[Tensor, Tensor]:
    """Give training images and labels; where the experiment shuffles them, in one order for all seeds."""
    loaded = data.load(experiment.dataset)
    x, y = (t[: experiment.train_samples] for t in (loaded.x_train, loaded.y_train))
    if experiment.labels == "shuffled":
        y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    return x, y


def train_shard(
    experiment: Experiment,
    shard: Shard,
    device: str,
    *,
    progress: Callable[[int, int, float], None] | None = None,
) -> Trained:
    """Train the networks of a shard, or leave them as initialised; `progress` is that of `modlib.train`."""
    stack, settings = initialised(experiment, shard)
    names = tuple(setting.network_name(seed) for seed, setting in shard.networks)
    if not shard.trained:
        return Trained(names, stack, [0] * len(stack), [float("nan")] * len(stack), 0.0)
    x, y = (t.to(device) for t in training_data(experiment))
    start = time.perf_counter()
    trained = train(stack.to(device), x, y, **settings, protocol=experiment.protocol, progress=progress)
    return Trained(
        names,
        trained.stack.to("cpu"),
        trained.epochs.tolist(),
        trained.val_loss.tolist(),
        round(time.perf_counter() - start, 2),
    )


@denormals_flushed()  # in the analysis as in training, so that no shard depends on what ran before it
def analyse_shard(
    experiment: Experiment, shard: Shard, trained: Trained, device: str, *, map_: Map = map
) -> ShardResults:
    """Analyse the networks of a shard and make its rows of all tables."""
    ended = {"start": time.perf_counter()}  # when each stage was
    stack, names = trained.stack.to(device), trained.names
    loaded = data.load(experiment.dataset)
    x, y = (t[: experiment.test_samples].to(device) for t in (loaded.x_test, loaded.y_test))
    x_train, y_train = (t[:TRAIN_ACCURACY_ON].to(device) for t in training_data(experiment))
    described = describe(stack, x, y, names)
    described["train_accuracy"] = describe(stack, x_train, y_train, names).test_accuracy
    tables = {name: table.empty() for name, table in TABLES.items()}  # not every experiment fills them all
    networks = _networks(experiment, shard, trained)
    tables["networks"] = networks.merge(described, on="network", validate="one_to_one")
    found = analyse(stack, x, y, names, restarts=experiment.restarts, map_=map_)
    tables["modules"], tables["agreement"] = found
    ended["analysis"] = time.perf_counter()
    compared = [i for i, (_, setting) in enumerate(shard.networks) if setting in experiment.null_settings]
    if compared and experiment.null_draws:
        tables["nulls"] = against_nulls(
            stack[compared],
            x,
            y,
            [names[i] for i in compared],
            draws=experiment.null_draws,
            restarts=experiment.null_restarts,
            seed=shard.seeds[0],
            map_=map_,
        )
        ended["nulls"] = time.perf_counter()
    if shard.trained and experiment.choices:
        tables["choices"], tables["choices_agreement"] = analyse_by(
            stack, x, y, names, experiment.choices, restarts=experiment.restarts, map_=map_
        )
        ended["choices"] = time.perf_counter()
    weights = {names[i]: stack[i].to("cpu") for i in _kept(experiment, shard)}
    seconds = {"training": trained.seconds} if shard.trained else {}
    seconds |= {stage: round(ended[stage] - ended[before], 2) for before, stage in pairwise(ended)}
    return ShardResults(tables, weights, seconds)


def _networks(experiment: Experiment, shard: Shard, trained: Trained) -> pd.DataFrame:
    """Make the rows of `networks`, without what is measured on images."""
    varied = ("regularizer", "strength", "l1", "l2", "dropout")
    return pd.DataFrame(
        {
            "network": trained.names,
            "experiment": experiment.name,
            "dataset": experiment.dataset,
            "hidden": "-".join(map(str, experiment.hidden)),
            **{name: [getattr(setting, name) for _, setting in shard.networks] for name in varied},
            "seed": [seed for seed, _ in shard.networks],
            "trained": shard.trained,
            "epochs": trained.epochs,
            "val_loss": trained.val_loss,
        }
    )


def _kept(experiment: Experiment, shard: Shard) -> list[int]:
    """Numbers of the networks in a shard that are stored with their weights."""
    if not shard.trained:
        return [i for i, (seed, _) in enumerate(shard.networks) if experiment.kept and seed == 0]
    seeds = experiment.seeds[: experiment.kept_seeds]
    return [i for i, (seed, s) in enumerate(shard.networks) if s in experiment.kept and seed in seeds]
