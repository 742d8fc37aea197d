"""The graphs of one hidden layer, their partitions, and how far two partitions agree beyond chance."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from modlib.analysis.chance import crossing
from modlib.book.numbers import offered
from modlib.measures import VARIANTS, graphs
from modlib.study.accuracy_filter import PAIR
from modlib.study.runner import run

#: The partitions that the page compares, chosen before looking: the two gradient measures are mirror images
#: of each other (J Jᵀ with J = ∂h/∂x, Jᵀ J with J = ∂z/∂h), and normalised they do not see units' scales.
OPENING = {"upstream": ("input_grad", True), "downstream": ("output_grad", True)}


class Layer(NamedTuple):
    """The eight graphs of one hidden layer of a network, and their partitions, in the order of `VARIANTS`."""

    graphs: Float[np.ndarray, "variant unit unit"]
    labels: Int[np.ndarray, "variant unit"]  # −1 for dead units


def collect(S: Mapping[str, Sequence[Tensor]], partitions: pd.DataFrame) -> dict[tuple[str, int], Layer]:
    """Put the graphs of several networks and what `recompute.partitions` makes of them together, by layer."""
    names = partitions.network.unique()
    labels = partitions.set_index(["network", "layer", "measure", "normalized"]).labels
    stacked = [graphs(dict(S), layer) for layer in range(len(S["input_cov"]))]  # type: ignore[arg-type]
    return {
        (name, number): Layer(
            A, np.stack([labels[name, number, *variant] for variant in VARIANTS]).astype(int)
        )
        for name, *layers in zip(names, *stacked, strict=True)
        for number, A in enumerate(layers, start=1)
    }


def crossings(layers: Mapping[tuple[str, int], Layer], *, shuffles: int = 500, seed: int = 0) -> pd.DataFrame:
    """Compare the two partitions of `OPENING` in every layer: agreement, and what chance would give."""
    up, down = (VARIANTS.index(OPENING[family]) for family in ("upstream", "downstream"))
    rows = {}
    for key, layer in layers.items():
        compared = crossing(layer.labels[up], layer.labels[down], shuffles=shuffles, seed=seed)
        rows[key] = [value for score in compared.values() for value in (score.found, score.mean, score.high)]
    columns = pd.MultiIndex.from_product([["ECS", "AMI"], ["found", "by chance", "97.5 %"]])
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["network", "layer"])
    return table.round(3) + 0.0  # not −0.0


@offered("regularizer", "layer")
def in_tables(profile: str) -> pd.DataFrame:
    """Agreement of the two partitions of `OPENING` in the tables of ``base``, of networks kept with weights.

    The page searches anew, and may find other partitions that are about as good.
    """
    results = run("base", profile=profile)
    kept = results.networks.loc[results.networks.network.isin(list(results.kept)), ["network", "regularizer"]]
    opening = pd.Series([*OPENING["upstream"], *OPENING["downstream"]], index=PAIR)
    rows = results.agreement[(results.agreement[PAIR] == opening).all(axis=1)]
    return kept.merge(rows[["network", "layer", "ecs", "ami"]], on="network")
