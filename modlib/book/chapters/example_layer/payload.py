"""What travels to the browser: the graphs of a layer as text, its partitions, and how far they agree."""

from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from modlib.analysis.chance import crossing
from modlib.book.chapters.example_layer.tables import Layer
from modlib.comparison import transfers
from modlib.measures import DOWNSTREAM, UPSTREAM, VARIANTS
from modlib.paper.graph_names import variant_name

#: One character for each level of brightness; none has a meaning in JSON, HTML or a regular expression.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~"
TOP_LEVEL = len(ALPHABET) - 1


VARIANT_NAMES = [variant_name(*variant) for variant in VARIANTS]
FAMILY_NAMES = {
    family: [variant_name(*variant) for variant in VARIANTS if variant[0] in measures]
    for family, measures in (("upstream", UPSTREAM), ("downstream", DOWNSTREAM))
}


def encode(A: Float[np.ndarray, "unit unit"]) -> tuple[str, float]:
    """Write a graph as text, one character for each two units.

    Weights are rounded to 64 levels, level k standing for top·(k/63)²: the square leaves the many small
    weights as many levels as the few large ones. The text is the triangle above the diagonal, row by row,
    ``n (n − 1) / 2`` characters of `ALPHABET`; beside it stands the largest weight.

    Examples
    --------
    >>> encode(np.array([[0.0, 4.0, 1.0], [4.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    ('~gA', 4.0)
    """
    upper = A[np.triu_indices(len(A), k=1)]
    top = float(upper.max(initial=0.0))
    levels = np.rint(TOP_LEVEL * np.sqrt(upper / top)).astype(int) if top > 0 else np.zeros(len(upper), int)
    return "".join(ALPHABET[level] for level in levels), top


def order_of(labels: Int[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    """Give the units module by module, the largest module first, dead units last."""
    return np.argsort(np.where(labels < 0, labels.max(initial=0) + 1, labels), kind="stable")


def payload(
    layers: Mapping[tuple[str, int], Layer], *, shuffles: int = 500, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Give everything that the browser needs to draw the layers, as plain values.

    Under ``"<network>, layer <number>"`` stand `code` and `top` of each graph (`encode`); `order`, `labels`,
    `cuts` (positions where one module ends) and `middles` with `names` (where to write which module) of each
    partition; `q` of every graph under every partition (``"<graph> under <partition>"``); and `crossing` of
    every upstream with every downstream partition (``"<upstream> x <downstream>"``). A ValueError says that
    there is no layer, or that the layers differ in their number of units.
    """
    sizes = {layer.labels.shape[1] for layer in layers.values()}
    if len(sizes) != 1:
        raise ValueError(f"layers must be one or more, with the same number of units; got {sorted(sizes)}")
    return {
        f"{network}, layer {number}": _graphs(layer)
        | _partitions(layer)
        | {"crossing": _crossings(layer, shuffles, seed)}
        for (network, number), layer in layers.items()
    }


def _graphs(layer: Layer) -> dict[str, dict[str, Any]]:
    coded = dict(zip(VARIANT_NAMES, map(encode, layer.graphs), strict=True))
    q = transfers(layer.graphs, layer.labels)
    return {
        "code": {name: text for name, (text, _) in coded.items()},
        "top": {name: float(f"{top:.4g}") for name, (_, top) in coded.items()},
        "q": {
            f"{graph} under {partition}": round(float(q[i, j]), 3)
            for (i, graph), (j, partition) in product(enumerate(VARIANT_NAMES), repeat=2)
        },
    }


def _partitions(layer: Layer) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"order": {}, "labels": {}, "cuts": {}, "middles": {}, "names": {}}
    for name, labels in zip(VARIANT_NAMES, layer.labels, strict=True):
        order = order_of(labels)
        cuts = [0, *(np.flatnonzero(np.diff(labels[order])) + 1).tolist(), len(labels)]
        modules = labels[order[cuts[:-1]]].tolist()
        found["order"][name] = order.tolist()
        found["labels"][name] = labels.tolist()
        found["cuts"][name] = cuts[1:-1]
        found["middles"][name] = [(a + b) / 2 for a, b in pairwise(cuts)]
        found["names"][name] = ["dead" if module < 0 else str(module + 1) for module in modules]
    return found


def _crossings(layer: Layer, shuffles: int, seed: int) -> dict[str, list[list[float]]]:
    labels = dict(zip(VARIANT_NAMES, layer.labels, strict=True))
    found = {}
    for up, down in product(*FAMILY_NAMES.values()):
        compared = crossing(labels[up], labels[down], shuffles=shuffles, seed=seed)
        found[f"{up} x {down}"] = [[round(value, 3) for value in metric] for metric in compared.values()]
    return found
