"""Q of graphs beside the Q of draws of a null, each draw searched anew: the rows of the table `nulls`."""

from collections import deque
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np
from jaxtyping import Float

from modlib.analysis.modules import Map, Variants
from modlib.clustering import find_modules
from modlib.nulls import Draw, null_test


def qualities(A: Float[np.ndarray, "variant unit unit"], restarts: int) -> Float[np.ndarray, " variant"]:
    """Find the largest Q of each graph."""
    return np.array([find_modules(a, restarts=restarts).q for a in A])


def qualities_of_draws(
    draws: Iterable[Draw], restarts: int, map_: Map
) -> list[Float[np.ndarray, "network variant draw"]]:
    """Find the largest Q of the graphs of every draw, layer by layer."""
    begun: deque[list[Iterable[Any]]] = deque()
    done: list[list[Float[np.ndarray, "network variant"]]] = []
    for draw in draws:
        begun.append([map_(qualities, of_layer, repeat(restarts)) for of_layer in draw])
        if len(begun) > 2:  # two draws keep the processors busy, and more would take memory
            done.append([np.stack(list(of_layer)) for of_layer in begun.popleft()])
    done += [[np.stack(list(of_layer)) for of_layer in layers] for layers in begun]
    return [np.stack(of_layer, -1) for of_layer in zip(*done, strict=True)]


def null_rows(
    name: str,
    layer: int | str,
    variants: Variants,
    null: str,
    q: Float[np.ndarray, " variant"],
    of_draws: Float[np.ndarray, "variant draw"],
) -> list[tuple[Any, ...]]:
    """Make the rows of `nulls` for one layer of one network and one null."""
    rows = []
    for variant, own, drawn in zip(variants, q.tolist(), of_draws, strict=True):
        test, n_draws = null_test(own, drawn), int(np.isfinite(drawn).sum())
        rows.append((name, layer, *variant, null, n_draws, own, test.mean, test.sd, test.z, test.p))
    return rows
