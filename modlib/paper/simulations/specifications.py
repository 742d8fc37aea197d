"""Other ways from similarities to modules: how signs are read, at which resolution, by which algorithm.

Similarities have signs, and the paper takes their absolute values without asking what follows from that. Nor
does it ask what follows from the resolution of Q, or from Q itself. Each way is a specification. All are
applied to the same networks, each beside a null of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from itertools import combinations, product, repeat
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from modlib import data
from modlib._checks import Labels, Matrix
from modlib.analysis.modules import Map
from modlib.block_model import find_blocks
from modlib.clustering import Partition
from modlib.comparison import agreement_pairs
from modlib.criteria import find_by_criterion
from modlib.linkage import merge_by_average
from modlib.measures import MEASURES, VARIANTS, adjacency, family, normalise, similarity
from modlib.networks import MLPStack
from modlib.nulls import rotate_units
from modlib.paper.simulations.rejections import FOLDER
from modlib.study import catalogue, files, packing, project, store
from modlib.study.plan import Setting
from modlib.study.shard import train_shard

EXPERIMENTS = ("close-up", "fashion")
LEVELS = (  # a part of the levels of both experiments
    catalogue.PLAIN,
    Setting("l2", 1e-3, l2=1e-3),
    Setting("l2", 1e-2, l2=1e-2),
    Setting("l1", 1e-3, l1=1e-3),
    Setting("dropout", 0.5, dropout=0.5),
    Setting("dropout", 0.7, dropout=0.7),
)
DRAWS = 5  # rotations a graph
SIGNS = ("absolute", "positive", "signed")
RESOLUTIONS = (0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
POTTS_RESOLUTIONS = (0.75, 1.0, 1.5)  # in mean edge weights
N_MODULES = 4.0  # where the algorithm wants to be told; modularity finds about as many in these networks
FAMILY_PAIRS = ("upstream", "downstream", "across")

#: Pairs of graphs of a layer, by number: of different measures, never one raw and normalised.
_PAIRS = [(i, j) for i, j in combinations(range(len(VARIANTS)), 2) if VARIANTS[i][0] != VARIANTS[j][0]]


@dataclass(frozen=True)
class Specification:
    """One way from signed similarities to modules."""

    algorithm: str  #: ``modularity``, ``constant Potts``, ``average linkage`` or ``block model``
    sign: str  #: One of `SIGNS`, a criterion of `modlib.criteria`; but for modularity, ``absolute``.
    setting: float  #: The resolution γ, or the number of modules of an algorithm that wants to be told.

    def partition(self, S: Matrix) -> Partition:
        """Find modules of signed similarities, with a zero diagonal and zeros for dead units.

        Its `q` is the value of the criterion. Average linkage has none, and a block model has a likelihood,
        by which graphs cannot be compared: their `q` is the modularity of their modules.
        """
        return _PARTITIONS[self.algorithm](S, self.sign, self.setting)


_PARTITIONS: dict[str, Callable[[Matrix, str, float], Partition]] = {
    "modularity": lambda S, sign, gamma: find_by_criterion(S, sign, resolution=gamma),
    "constant Potts": lambda S, _, gamma: find_by_criterion(S, "potts", resolution=gamma),
    "average linkage": lambda S, _, n_modules: merge_by_average(np.abs(S), int(n_modules)),
    "block model": lambda S, _, n_modules: find_blocks(np.abs(S), int(n_modules)),
}
SPECIFICATION = [field.name for field in fields(Specification)]  # columns of tables
SPECIFICATIONS = (
    *(Specification("modularity", sign, gamma) for sign in SIGNS for gamma in RESOLUTIONS),
    *(Specification("constant Potts", "absolute", gamma) for gamma in POTTS_RESOLUTIONS),
    Specification("average linkage", "absolute", N_MODULES),
    Specification("block model", "absolute", N_MODULES),
)
DEFAULT = Specification("modularity", "absolute", 1.0)  # the paper's, and ours

# --- one network


def signed_graph(S: Float[Tensor, "unit unit"], normalized: bool) -> Matrix:
    """Give `modlib.adjacency` of similarities its signs back."""
    return np.asarray((torch.sign(S) * adjacency(S, normalized=normalized)).numpy())


def rotated_graphs(
    S: Float[Tensor, "unit unit"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "alive alive"], Float[np.ndarray, "alive alive"]]:
    """Raw and normalised signed graph of units that are not dead, rotated into each other at random.

    The normalised one is `modlib.nulls.rotate_units`; the raw one has each unit's own size besides, as in
    `modlib.nulls.random_graphs`. Fewer than three units cannot be rotated and give graphs without edges.
    """
    R = normalise(S).numpy()
    alive = np.diagonal(R) > 0
    if alive.sum() < 3:
        return np.zeros((3, 3)), np.zeros((3, 3))
    size = np.sqrt(np.diagonal(S.numpy())[alive])
    found = rotate_units(R[np.ix_(alive, alive)], rng)
    np.fill_diagonal(found, 0)
    return found * np.outer(size, size), found


def modules_of(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    name: str,
    *,
    draws: int = DRAWS,
    specifications: Iterable[Specification] = SPECIFICATIONS,
    map_: Map = map,
) -> pd.DataFrame:
    """Find the modules of every graph of a network by every specification, and of rotations of each graph.

    A row is of a `network`, `layer`, graph (`measure`, `normalized`) and specification (`algorithm`, `sign`,
    `setting`): `q`; the mean `null_q` over `draws` rotations, searched by the same specification, nan where
    they have no edge; the `units` that are not dead; `n_modules`; and `labels`, −1 for dead units. The
    rotations of two networks are independent of each other, or errors of the means would not average out over
    seeds. Similarities are computed in double precision. A ValueError refuses a stack that does not hold one
    network. `map_` does what `map` does, perhaps side by side.
    """
    if len(stack) != 1:
        raise ValueError(f"stack must hold one network, got {len(stack)}")
    S = similarity(stack.to(dtype=torch.float64), x.to(torch.float64))
    graphs = list(product(range(stack.n_hidden), enumerate(MEASURES)))
    matrices = [S[measure][layer][0] for layer, (_, measure) in graphs]
    seeds = [(crc32(name.encode()), layer, number) for layer, (number, _) in graphs]
    found = map_(_modules_of_matrix, matrices, seeds, repeat(draws), repeat(tuple(specifications)))
    tables = []
    for (layer, (_, measure)), table in zip(graphs, found, strict=True):
        head = {"network": name, "layer": layer + 1, "measure": measure}
        tables.append(pd.DataFrame(head, index=table.index).join(table))
    return pd.concat(tables, ignore_index=True)


def _modules_of_matrix(
    S: Float[Tensor, "unit unit"],
    seed: tuple[int, ...],
    draws: int,
    specifications: tuple[Specification, ...],
) -> pd.DataFrame:
    """Do so for one matrix of similarities, raw and normalised."""
    rng = np.random.default_rng(seed)
    drawn = list(zip(*(rotated_graphs(S, rng) for _ in range(draws)), strict=True))
    rows = []
    for normalized, specification in product((False, True), specifications):
        part = specification.partition(signed_graph(S, normalized))
        null = [specification.partition(graph).q for graph in drawn[normalized]]
        rows.append(
            {"normalized": normalized}
            | dict(zip(SPECIFICATION, astuple(specification), strict=True))
            | {"q": part.q, "null_q": float(np.mean(null)), "units": int((part.labels >= 0).sum())}
            | {"n_modules": part.n_modules, "labels": part.labels.astype(np.int16)}
        )
    return pd.DataFrame(rows)


# --- agreement


def agreement_of(modules: pd.DataFrame) -> pd.DataFrame:
    """Agreement (AMI) of the partitions in the rows of `modules_of`, within and across families.

    A row is of a `network`, `layer`, specification and `family_pair`: the mean `ami` over pairs of graphs of
    different measures, and how many `pairs` there are and how many were `compared`. A pair is left out where
    one of its partitions says nothing about the units that are alive in both, because it has them all in one
    module, or each in its own: AMI would be 0 or 1 there by convention. Where none is left, `ami` is nan.
    """
    pairs = np.array(_PAIRS)
    families = np.array([[family(VARIANTS[i][0]) for i in pair] for pair in _PAIRS])
    names = np.where(families[:, 0] == families[:, 1], families[:, 0], "across")
    order = {graph: number for number, graph in enumerate(VARIANTS)}
    rows = []
    for key, layer in modules.groupby(["network", "layer", *SPECIFICATION], sort=False):
        place = [order[graph] for graph in zip(layer.measure, layer.normalized, strict=True)]
        labels = np.stack(list(layer.labels))[np.argsort(place)].astype(np.int64)
        ami = agreement_pairs(labels, pairs, metrics=["ami"])["ami"]
        ami[[_says_nothing(labels[i], labels[j]) for i, j in pairs]] = np.nan
        for name in FAMILY_PAIRS:
            values = ami[names == name]
            known = values[np.isfinite(values)]
            mean = float(known.mean()) if len(known) else np.nan
            rows.append((*key, name, mean, len(known), len(values)))
    return pd.DataFrame(
        rows, columns=["network", "layer", *SPECIFICATION, "family_pair", "ami", "compared", "pairs"]
    )


def _says_nothing(a: Labels, b: Labels) -> bool:
    """Whether one of two partitions has all common units in one module, or each in a module of its own."""
    common = (a >= 0) & (b >= 0)
    return any(len(np.unique(labels[common])) in (0, 1, common.sum()) for labels in (a, b))


# --- on disk


def networks_of(experiment: str, seed: int) -> dict[str, MLPStack]:
    """Give the networks of one seed at `LEVELS` by name: as stored if all are kept, or else trained anew.

    To train the six takes minutes. They have the initialisation, split, batches and dropout of those in the
    tables, but not the same parameters to the last digit: rounding depends on what is trained beside them.
    """
    whole = catalogue.get(experiment, "paper")
    names = [level.network_name(seed) for level in LEVELS]
    stored = store.read_if_stored(whole)
    if stored is not None and set(names) <= stored.kept.keys():
        return {name: stored.kept[name] for name in names}
    part = replace(whole, settings=LEVELS, seeds=(seed,), untrained=0)
    trained = train_shard(part, part.shards()[0], "cpu")
    return {name: trained.stack[i] for i, name in enumerate(trained.names)}


def analyse(
    target: str | Path, experiment: str, networks: Mapping[str, MLPStack], *, map_: Map = map
) -> None:
    """Write `modules_of` each network of an experiment, over all its test images, to a file of its own.

    Networks whose file is there are passed over, so that the work can be interrupted and taken up again. The
    files are ``specifications/<experiment>/<network>.parquet`` in the folder `target`. A network took 71
    seconds of processor time, on two cores that had other work to do as well (there, three minutes by the
    clock). All 108 networks take about two hours of one core.
    """
    x = data.load(catalogue.get(experiment, "paper").dataset).x_test
    for name in networks:
        path = _folder(target) / experiment / f"{name}.parquet"
        if not path.exists():
            files.write(path, packing.table(modules_of(networks[name], x, name, map_=map_)))


def write(target: str | Path) -> None:
    """Put the files of `analyse` together: tables of modules and of agreement, in the folder `target`.

    Both have a column `experiment`, and the first one has no labels any more. A FileNotFoundError is raised
    if there are no files, and a `modlib.study.files.StoreError` if one is of other specifications.
    """
    modules, agreement = [], []
    paths = sorted(_folder(target).glob("*/*.parquet"))
    if not paths:
        raise FileNotFoundError(f"no files of networks in {_folder(target)}: `analyse` writes them")
    for path in paths:
        table, name = pd.read_parquet(path), path.parent.name
        found = table[SPECIFICATION].drop_duplicates().itertuples(index=False, name=None)
        if set(found) != set(map(astuple, SPECIFICATIONS)):
            raise files.StoreError(f"{path} is of other specifications; delete it and analyse again")
        modules.append(table.drop(columns="labels").assign(experiment=name))
        agreement.append(agreement_of(table).assign(experiment=name))
    for name, tables in (("modules", modules), ("agreement", agreement)):
        files.write(_table(target, name), packing.table(pd.concat(tables, ignore_index=True)))


def read(name: str, folder: str | Path = FOLDER) -> pd.DataFrame:
    """Read a table of `write`: ``"modules"`` or ``"agreement"``."""
    return pd.read_parquet(project.of_checkout(_table(folder, name)))


def _folder(target: str | Path) -> Path:
    return Path(target) / "specifications"


def _table(target: str | Path, name: str) -> Path:
    return Path(target) / f"specification_{name}.parquet"
