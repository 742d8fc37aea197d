"""How many units the rule on dead units concerns, and what it does to Q, in freshly trained networks.

`modlib.measures.dead_units` compares with a share of the layer's largest similarity. Here the share is varied
over eight orders of magnitude, and beside it stands a share of 0, where only zeros count as nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from modlib import data
from modlib.analysis.modules import Map
from modlib.clustering import find_modules
from modlib.measures import VARIANTS, dead_units, similarity
from modlib.networks import MLPStack
from modlib.paper.simulations.rejections import FOLDER
from modlib.study import catalogue, project
from modlib.study.shard import train_shard

SHARES = (0.0, 1e-16, 1e-14, 1e-12, 1e-10, 1e-8)


def fresh() -> dict[str, MLPStack]:
    """Train the thirty networks of `base` that have its first seed: a quarter of an hour or more."""
    experiment = catalogue.get("base", "paper")
    trained = train_shard(experiment, experiment.shards()[0], "cpu")
    return {name: trained.stack[i] for i, name in enumerate(trained.names)}


def by_share(
    networks: Mapping[str, MLPStack], x: Float[Tensor, "sample _in"], *, map_: Map = map
) -> pd.DataFrame:
    """Count dead units of every graph, and search it for modules, at each of `SHARES`.

    Returns
    -------
    DataFrame
        One row a `network`, `layer`, `measure`, `normalized` and `share`: its `dead` units, which have no
        edge; `weight`, the share of all edge weight that the rule takes away; and `q`.
    """
    tables = []
    for name, stack in networks.items():
        S = similarity(stack, x)
        layers = [(layer, variant) for layer in range(stack.n_hidden) for variant in VARIANTS]
        matrices = [S[measure][layer][0] for layer, (measure, _) in layers]
        found = map_(_by_share, matrices, [normalized for _, (_, normalized) in layers])
        for (layer, (measure, normalized)), table in zip(layers, found, strict=True):
            head = {"network": name, "layer": layer + 1, "measure": measure, "normalized": normalized}
            tables.append(pd.DataFrame(head, index=table.index).join(table))
    return pd.concat(tables, ignore_index=True)


def _by_share(S: Float[Tensor, "unit unit"], normalized: bool) -> pd.DataFrame:
    """Do so for one graph, which is made without any rule and then loses its dead units."""
    own = torch.diagonal(S)
    scale = torch.where(own > 0, own.rsqrt(), 0.0) if normalized else torch.ones_like(own)
    whole = (S * torch.outer(scale, scale)).abs().fill_diagonal_(0).numpy()
    rows: list[dict[str, float]] = []
    qs: dict[bytes, float] = {}
    for share in SHARES:
        dead = dead_units(S, share=share).numpy()
        A = np.where(dead[:, None] | dead, 0.0, whole)
        q = qs[dead.tobytes()] = qs.get(dead.tobytes()) or find_modules(A).q
        lost = 1 - A.sum() / whole.sum() if whole.any() else 0.0
        rows.append({"share": share, "dead": int((~A.any(axis=1)).sum()), "weight": lost, "q": q})
    return pd.DataFrame(rows)


def write(target: str | Path, networks: Mapping[str, MLPStack], *, map_: Map = map) -> None:
    """Write `by_share` of networks, over all MNIST test images, to a folder: minutes after `fresh`."""
    table = by_share(networks, data.load("mnist").x_test, map_=map_)
    table.to_csv(Path(target) / "dead_units.csv", index=False, float_format="%.9g", lineterminator="\n")


def read() -> pd.DataFrame:
    """Read the stored table of `write`, about the networks of `fresh`."""
    return pd.read_csv(project.of_checkout(FOLDER / "dead_units.csv"))
