"""From the graphs of a layer to rows of tables: its modules, how they agree, and how reliable they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from modlib._checks import Matrix
from modlib.algorithms import find_modules_by
from modlib.clustering import find_modules
from modlib.comparison import agreement_pairs, rank_correlations, transfers
from modlib.measures import VARIANTS, adjacency, family

Map = Callable[..., Iterable[Any]]  # as the built-in map
#: Measures, raw or normalised, one for each graph of a layer.
Variants = Sequence[tuple[str, bool]]


def pairs_of(n: int) -> Int[np.ndarray, "pair 2"]:
    """Give every two of n graphs, the earlier first."""
    return np.array(list(combinations(range(n), 2)), dtype=np.int64).reshape(-1, 2)


PAIRS = pairs_of(len(VARIANTS))


def variants_of(S: Mapping[str, Matrix]) -> list[tuple[str, bool]]:
    """Give the graphs that the similarities of a layer make, in the order of `VARIANTS`."""
    return [variant for variant in VARIANTS if variant[0] in S]


def graphs_of(S: Mapping[str, Matrix]) -> Float[np.ndarray, "variant unit unit"]:
    """Stack the graphs of one layer of one network, given by measure, in the order of `variants_of`."""
    signed = {measure: torch.from_numpy(matrix) for measure, matrix in S.items()}
    return np.stack([adjacency(signed[m], normalized=normalized).numpy() for m, normalized in variants_of(S)])


def layer_tables(
    A: Float[np.ndarray, "variant unit unit"],
    name: str,
    layer: int | str,
    optimiser: str,
    restarts: int,
    seed: int,
    variants: Variants = VARIANTS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the rows of `modules` and `agreement` for one layer of one network."""
    parts = [
        find_modules(a, restarts=restarts, seed=seed)
        if optimiser == "leiden"
        else find_modules_by(a, optimiser, seed=seed)
        for a in A
    ]
    found = ("q", "n_modules", "effective_modules", "stability")  # names of columns and of attributes
    modules = pd.DataFrame(
        [
            {"network": name, "layer": layer, "measure": measure, "normalized": normalized}
            | {column: getattr(part, column) for column in found}
            | {"labels": part.labels.astype(np.int16)}
            for (measure, normalized), part in zip(variants, parts, strict=True)
        ]
    )
    return modules, _compare(A, np.stack([p.labels for p in parts]), name, layer, variants)


def agreement_of_halves(
    first: Float[np.ndarray, "variant unit unit"],
    second: Float[np.ndarray, "variant unit unit"],
    restarts: int,
    seed: int,
) -> Float[np.ndarray, " variant"]:
    """Compute the adjusted mutual information of the partitions by two halves of the samples."""
    labels = [find_modules(a, restarts=restarts, seed=seed).labels for half in (first, second) for a in half]
    pairs = np.arange(2 * len(first)).reshape(2, -1).T
    return agreement_pairs(np.stack(labels), pairs, metrics=["ami"])["ami"]


def _compare(
    A: Float[np.ndarray, "variant unit unit"],
    labels: Int[np.ndarray, "variant unit"],
    name: str,
    layer: int | str,
    variants: Variants,
) -> pd.DataFrame:
    pairs = pairs_of(len(variants))
    a, b = pairs.T
    carried = transfers(A, labels)  # (graph, partition)
    measures, normalized = (np.array(part) for part in zip(*variants, strict=True))
    families = [family(m) for m in measures]
    return pd.DataFrame(
        {
            "network": name,
            "layer": layer,
            "measure_a": measures[a],
            "normalized_a": normalized[a],
            "measure_b": measures[b],
            "normalized_b": normalized[b],
            "family_pair": [families[i] if families[i] == families[j] else "across" for i, j in pairs],
            **agreement_pairs(labels, pairs),
            "transfer_ab": carried[a, b],
            "transfer_ba": carried[b, a],
            "rank_correlation": rank_correlations(A)[a, b],
        }
    )
