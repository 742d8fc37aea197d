"""How often the nulls call a layer modular: layers without modules (size), and with planted ones (power).

A test at 5 % should reject 5 of 100 layers without modules. Whether it does depends on what such a layer may
look like, which is for the null to say. A row of the tables is marked `limit` where the layers have no
modules but are not what the null draws either: its rate then says what the null takes for modules.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, repeat
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from numpy.random import Generator
from numpy.typing import ArrayLike
from scipy import stats

from modlib.analysis.modules import Map
from modlib.clustering import find_modules
from modlib.measures import adjacency
from modlib.networks import MLPStack
from modlib.nulls import null_test, random_graphs
from modlib.study import project
from modlib.study.rows import against_nulls

#: Belongs to the project, like the code: it does not move with ``$MODLIB_RESULTS``.
FOLDER = project.ROOT / "results" / "simulations"
ALPHA = 0.05  # the level of the tests
BAND = 0.02  # around it, within which a rate counts as held
DRAWS = 19  # the fewest with which p can be .05: above all of them
RESTARTS = 2  # Leiden runs a graph, as in the experiment whose networks are all held against nulls
UNITS = 64  # of a layer made of vectors
NARROW = 32  # hidden units, and inputs, of the networks here
BLOCKS = 4
BATCH = 10  # networks looked at together
SCALES = ("raw", "normalised")
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # of modules planted in layers
NETWORK_STRENGTHS = (0.0, 0.4, 0.6, 0.8, 0.95)  # and in networks

Signed = Float[np.ndarray, "unit unit"]


@dataclass(frozen=True)
class Case:
    """Layers without modules: what they are in words, how one is drawn, and whether the null claims them."""

    data: str
    draw: Callable[[Generator], Signed]
    limit: bool = False
    graphs: tuple[str, ...] = ("normalised",)


# --- layers


def vectors(
    rng: Generator, *, dimensions: int, common: float = 0.2, decay: float = 0.0, uneven: float = 0.0
) -> Float[np.ndarray, "unit dimension"]:
    """One random vector a unit; their inner products are the similarities of a layer without modules.

    `common` is the mean μ of every entry, in standard deviations: what all units share. The mean association
    is μ²/(1 + μ²), here .04: small, as in most layers of the book. The k-th dimension has variance k^−decay;
    0 makes all alike, as the similarity null has it. Units share the common part in amounts that spread
    uniformly by up to `uneven`, so that some are alike to all and others to none: a core, which is no module.
    """
    scale = np.arange(1, dimensions + 1) ** (-decay / 2)
    share = 1 + uneven * rng.uniform(-1, 1, (UNITS, 1))
    return np.asarray((common * share + rng.standard_normal((UNITS, dimensions))) * scale)


def _sized(vectors: Float[np.ndarray, "unit dimension"], rng: Generator) -> Signed:
    """Inner products of units whose sizes differ (log-normal, sd ½)."""
    sized = vectors * np.exp(0.5 * rng.standard_normal((len(vectors), 1)))
    return np.asarray(sized @ sized.T)


def _layer(rng: Generator, **options: int | float) -> Signed:
    return _sized(vectors(rng, **options), rng)  # type: ignore[arg-type]


def _sampled(rng: Generator) -> Signed:
    """Covariance over 1,000 samples of activities that mix ten sources."""
    activity = rng.standard_normal((1000, 10)) @ vectors(rng, dimensions=10).T
    return np.cov(activity.T)


CASES = (
    Case("units as vectors in 3 dimensions", partial(_layer, dimensions=3)),
    Case("units as vectors in 10 dimensions", partial(_layer, dimensions=10), graphs=SCALES),
    Case("units as vectors in 30 dimensions", partial(_layer, dimensions=30)),
    Case("covariances over 1,000 samples", _sampled, graphs=SCALES),
    # Mean association .2: at 30 dimensions, draws of the null have a tenth less variance than the layer.
    Case("30 dimensions, much in common", partial(_layer, dimensions=30, common=0.5), limit=True),
    Case("a core but no modules", partial(_layer, dimensions=10, common=0.5, uneven=1.0), limit=True),
    Case("dimensions of variance 1/k", partial(_layer, dimensions=UNITS, decay=1.0), limit=True),
    Case("dimensions of variance 1/k²", partial(_layer, dimensions=UNITS, decay=2.0), limit=True),
)


def planted_layer(rng: Generator, strength: float) -> Signed:
    """Similarities of 64 units in four blocks, as strong as can be at strength 1 and none at 0.

    A unit is the common vector, plus √strength of its block's random vector and √(1 − strength) of its own,
    all in ten dimensions: strength 0 is a layer of `CASES`.
    """
    block = np.repeat(np.arange(BLOCKS), UNITS // BLOCKS)
    shared, own = rng.standard_normal((BLOCKS, 10))[block], rng.standard_normal((UNITS, 10))
    found = 0.2 + np.sqrt(strength) * shared + np.sqrt(1 - strength) * own
    return _sized(found, rng)


def planted_networks(seeds: Sequence[int], strength: float) -> MLPStack:
    """Networks of 32 inputs, 32 hidden units and 8 classes, in four blocks from end to end.

    Weights are normal with variance 1/inputs, of either sign; within blocks they are multiplied by
    √(1 + 3 strength), between them by √(1 − strength), which leaves their variance as it is. At strength 0
    they are independent draws of one distribution, so that permuting them changes nothing but chance; at 1
    the network falls apart into four.
    """
    widths = (NARROW, NARROW, 8)
    blocks = [np.repeat(np.arange(BLOCKS), width // BLOCKS) for width in widths]
    factors = [np.sqrt(1 - strength + BLOCKS * strength * np.equal.outer(a, b)) for a, b in pairwise(blocks)]
    rngs = [np.random.default_rng([seed, 1]) for seed in seeds]
    weights, biases = [], []
    for factor in factors:
        drawn = [(rng.standard_normal(factor.shape), rng.standard_normal(factor.shape[1])) for rng in rngs]
        weights.append(np.stack([factor * w / np.sqrt(len(factor)) for w, _ in drawn]))
        biases.append(np.stack([0.1 * b for _, b in drawn]))
    return MLPStack.from_arrays(weights, biases)


# --- tests


def rejects(S: Signed, rng: Generator, graphs: Sequence[str] = SCALES) -> Bool[np.ndarray, " graph"]:
    """Whether the similarity null is rejected at 5 %, for the raw or the normalised graph or both.

    The same test as in `modlib.study.rows.against_nulls`, for one matrix.
    """
    signed = torch.as_tensor(S)
    own = [best_q(adjacency(signed, normalized=graph == "normalised").numpy()) for graph in graphs]
    drawn = []
    for _ in range(DRAWS):
        pair = dict(zip(SCALES, random_graphs(S, rng), strict=True))
        drawn.append([best_q(pair[graph]) for graph in graphs])
    tests = [null_test(q, values).p <= ALPHA for q, values in zip(own, np.transpose(drawn), strict=True)]
    return np.array(tests)


def best_q(A: Signed) -> float:
    """Find the largest modularity of a graph, by the few runs that draws are searched with too."""
    return find_modules(A, restarts=RESTARTS).q


def rejects_case(number: int, repetition: int, seed: int) -> Bool[np.ndarray, " graph"]:
    """Draw a layer of `CASES` and test it; the same numbers give the same layer and draws."""
    rng = np.random.default_rng([seed, 2, number, repetition])
    return rejects(CASES[number].draw(rng), rng, CASES[number].graphs)


def rejects_planted(strength: float, repetition: int, seed: int) -> Bool[np.ndarray, " graph"]:
    """Draw a layer with planted modules and test its normalised graph, as `rejects_case`."""
    rng = np.random.default_rng([seed, 3, round(1000 * strength), repetition])
    return rejects(planted_layer(rng, strength), rng, ("normalised",))


def _networks(batch: int, count: int, strength: float, seed: int) -> pd.DataFrame:
    """Hold a batch of planted networks against both nulls: one row a network, graph and null."""
    seeds = [10_000 * seed + BATCH * batch + i for i in range(count)]
    stack = planted_networks(seeds, strength)
    generator = torch.Generator().manual_seed(seeds[0])
    x = torch.randn(300, NARROW, generator=generator, dtype=torch.float64)
    y = torch.zeros(len(x), dtype=torch.int64)  # no measure of a ReLU network looks at it
    names = [str(number) for number in seeds]
    table = against_nulls(stack, x, y, names, draws=DRAWS, restarts=RESTARTS, seed=seeds[0])
    table["graph"] = table.measure + ", " + table.normalized.map({False: "raw", True: "normalised"})
    return table.assign(rejected=table.p <= ALPHA)


# --- tables


def size(*, repetitions: int = 1000, seed: int = 0, map_: Map = map) -> pd.DataFrame:
    """Share of made-up layers without modules that each null rejects at 5 %; see `row`.

    With 1,000 repetitions, a rate of .05 is known to ± .014; a ValueError refuses fewer than 20. The same
    seed gives the same table. `map_` does what `map` does, perhaps side by side.
    """
    _check(repetitions)
    begun = [map_(rejects_case, repeat(c), range(repetitions), repeat(seed)) for c in range(len(CASES))]
    networks = _begin_networks(repetitions, 0.0, seed, map_)
    rows = [
        row("similarity", case.data, graph, rejected, limit=case.limit)
        for case, found in zip(CASES, begun, strict=True)
        for graph, rejected in zip(case.graphs, np.transpose(list(found)), strict=True)
    ]
    # Layers of random networks are not the vectors of equal dimensions that the similarity null draws.
    rows += [
        row(null, "random networks", graph, rejected, limit=null == "similarity")
        for null, graph, rejected in _by_graph(networks)
    ]
    return pd.DataFrame(rows)


def power(*, repetitions: int = 100, seed: int = 0, map_: Map = map) -> pd.DataFrame:
    """Share of layers and networks rejected at 5 % as modules are planted, by their strength.

    Layers are those of `planted_layer`, networks those of `planted_networks`; arguments are as for `size`.
    With 100 repetitions, a rate is known to ± .1 or better.
    """
    _check(repetitions)
    begun = [map_(rejects_planted, repeat(s), range(repetitions), repeat(seed)) for s in STRENGTHS]
    networks = [_begin_networks(repetitions, s, seed, map_) for s in NETWORK_STRENGTHS]
    rows = [
        row("similarity", "layers", "normalised", np.ravel(list(found)), strength=s)
        for s, found in zip(STRENGTHS, begun, strict=True)
    ]
    rows += [
        row(null, "networks", graph, rejected, strength=s)
        for s, tables in zip(NETWORK_STRENGTHS, networks, strict=True)
        for null, graph, rejected in _by_graph(tables)
    ]
    return pd.DataFrame(rows)


def _begin_networks(repetitions: int, strength: float, seed: int, map_: Map) -> Iterable[pd.DataFrame]:
    batches = range(-(-repetitions // BATCH))
    counts = [min(BATCH, repetitions - BATCH * batch) for batch in batches]
    return map_(_networks, batches, counts, repeat(strength), repeat(seed))


def _by_graph(tables: Iterable[pd.DataFrame]) -> Iterator[tuple[str, str, Bool[np.ndarray, " network"]]]:
    """Null and graph, and which networks are rejected."""
    for (null, graph), group in pd.concat(list(tables)).groupby(["null", "graph"], sort=False):
        yield str(null), str(graph), group.rejected.to_numpy()


def _check(repetitions: int) -> None:
    if repetitions < 20:
        raise ValueError(f"repetitions must be at least 20, got {repetitions}")


def row(null: str, data: str, graph: str, rejected: ArrayLike, **more: object) -> dict[str, object]:
    """Count rejections; `low` to `high` is the 95 % interval of `rate` (Wilson 1927)."""
    hits = np.asarray(rejected, dtype=bool)
    wilson = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    counts = {"draws": DRAWS, "repetitions": len(hits), "rejected": int(hits.sum())}
    rate = {"rate": float(hits.mean()), "low": float(wilson.low), "high": float(wilson.high)}
    return {"null": null, "data": data, "graph": graph, **more, **counts, **rate}


# --- on disk


def write(target: str | Path, *, seed: int = 0, map_: Map = map) -> None:
    """Compute `size` and `power` and write them to a folder as CSV: about half an hour of one core."""
    path = Path(target)
    path.mkdir(parents=True, exist_ok=True)
    for name, table in (("size", size(seed=seed, map_=map_)), ("power", power(seed=seed, map_=map_))):
        table.to_csv(path / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")


def read(name: str) -> pd.DataFrame:
    """Read a stored table: ``"size"`` or ``"power"``."""
    return pd.read_csv(project.of_checkout(FOLDER / f"{name}.csv"))
