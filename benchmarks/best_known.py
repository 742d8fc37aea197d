"""Graphs whose best known Q is on record (`tests/reference`)."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

REFERENCE = Path(__file__).parents[1] / "tests" / "reference"


class BestKnown(NamedTuple):
    """A graph of 64 units, the best Q that any search reached in it, and a certified upper bound."""

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
