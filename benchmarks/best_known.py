"""Graphs whose best known Q is on record (`tests/reference`), and wider ones, on which it is searched for."""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from modlib import MLPStack, data, find_modules
from modlib.measures import VARIANTS, similarity
from modlib.measures import graphs as graphs_of
from modlib.study import catalogue
from modlib.training import train

REFERENCE = Path(__file__).parents[1] / "tests" / "reference"


class BestKnown(NamedTuple):
    """A graph, the best Q that any search reached in it, and a certified upper bound, nan without one."""

    name: str
    A: np.ndarray
    best_known_q: float
    upper_bound: float


def graphs() -> list[BestKnown]:
    """All 64 graphs."""
    with np.load(REFERENCE / "best_q_graphs.npz") as stored, (REFERENCE / "best_q.csv").open() as file:
        found = []
        for row in csv.DictReader(file):
            A = np.zeros((64, 64))
            A[np.triu_indices(64, 1)] = stored[f"w{row['index']}"]
            found.append(
                BestKnown(row["graph"], A + A.T, float(row["best_known_q"]), float(row["upper_bound"]))
            )
    return found


@cache
def wide_similarities() -> dict[str, dict[str, list[torch.Tensor]]]:
    """Train networks of the experiment `wide` for ten epochs, without and with dropout: two minutes."""
    experiment = catalogue.get("wide", "paper")
    images = data.load(experiment.dataset)
    trained = train(
        MLPStack.initialise([784, *experiment.hidden, 10], seeds=[0, 0]),
        images.x_train,
        images.y_train,
        seeds=[0, 0],
        dropout=[0.0, 0.5],
        protocol=replace(experiment.protocol, max_epochs=10),
    )
    x = images.x_test[:2000]
    return {name: similarity(trained.stack[i : i + 1], x) for i, name in enumerate(("plain", "dropout=0.5"))}


def wide_graphs(restarts: int = 200) -> list[BestKnown]:
    """All 32 graphs of `wide_similarities`, with the best Q of a search ten times as long as the default."""
    found = []
    for network, S in wide_similarities().items():
        for layer in range(len(S["input_cov"])):
            for (measure, normalized), A in zip(VARIANTS, graphs_of(S, layer)[0], strict=True):
                name = f"{network}|{layer + 1}|{measure}|{normalized}"
                q = find_modules(A, restarts=restarts, seed=1000).q
                found.append(BestKnown(name, A, q, np.nan))
    return found
