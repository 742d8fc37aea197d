"""How much of Q is in the spectrum of a layer: rotations, which keep it and make its units alike.

The similarity null has dimensions of equal weight. Where a few dimensions of a layer outweigh the others, its
units gather along them, and Q is above that null without any unit being special. A rotation of the layer
keeps its dimensions as unequal as they are.
"""

from collections.abc import Mapping
from itertools import product, repeat
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from modlib import data
from modlib.analysis.modules import Map
from modlib.measures import MEASURES, normalise, similarity
from modlib.networks import MLPStack
from modlib.nulls import null_test, random_associations, rotate_units
from modlib.paper.simulations.rejections import ALPHA, FOLDER, best_q

DRAWS = 99

Signed = Float[np.ndarray, "unit unit"]


def beside_rotations(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    name: str,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    map_: Map = map,
) -> pd.DataFrame:
    """Q of the normalised graphs of a network beside the similarity null and beside rotations.

    A row is of a `network`, `layer` and `measure`: its `units` that are not dead, `draws` of each kind
    (re-optimised as the network's own graphs are), `q`, mean and sd of the draws and p of the test against
    each, and `size`, the share of rotations, layers without modules, that the similarity null rejects at 5 %.
    A ValueError refuses a stack that does not hold one network. `map_` does what `map` does, perhaps side by
    side.
    """
    if len(stack) != 1:
        raise ValueError(f"stack must hold one network, got {len(stack)}")
    S = similarity(stack.to(dtype=torch.float64), x.to(torch.float64))
    heads, matrices, seeds = [], [], []
    for layer, (number, measure) in product(range(stack.n_hidden), enumerate(MEASURES)):
        R = normalise(S[measure][layer])[0].numpy()
        alive = np.diagonal(R) > 0
        matrices.append(R[np.ix_(alive, alive)])
        seeds.append((seed, layer, number))
        heads.append([name, layer + 1, measure, int(alive.sum()), draws])
    table = pd.DataFrame(heads, columns=["network", "layer", "measure", "units", "draws"])
    return table.join(pd.DataFrame(list(map_(_beside_rotations, matrices, repeat(draws), seeds))))


def _beside_rotations(R: Signed, draws: int, seed: tuple[int, ...]) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    own = _best_q(R)
    by_similarity = [_best_q(random_associations(R, rng)) for _ in range(draws)]
    by_rotation = [_best_q(rotate_units(R, rng)) for _ in range(draws)]
    found = {"q": own}
    for name, values in (("similarity", by_similarity), ("rotated", by_rotation)):
        test = null_test(own, values)
        found |= {f"{name}_mean": test.mean, f"{name}_sd": test.sd, f"{name}_p": test.p}
    found["size"] = float(np.mean([null_test(q, by_similarity).p <= ALPHA for q in by_rotation]))
    return found


def _best_q(R: Signed) -> float:
    A = np.abs(R)
    np.fill_diagonal(A, 0)
    return best_q(A)


def write(target: str | Path, kept: Mapping[str, MLPStack], *, map_: Map = map) -> None:
    """Write `beside_rotations` of kept networks, over all MNIST test images, to a folder: about a minute."""
    x = data.load("mnist").x_test
    table = pd.concat([beside_rotations(stack, x, name, map_=map_) for name, stack in kept.items()])
    table.to_csv(Path(target) / "spectra.csv", index=False, float_format="%.6g", lineterminator="\n")


def read() -> pd.DataFrame:
    """Read the stored table of `write`, about the kept networks of the base experiment."""
    return pd.read_csv(FOLDER / "spectra.csv")
