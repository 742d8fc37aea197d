"""Annealing: many partitions of one graph, searched for at once by moves of single units.

Leiden (`modlib.clustering`) moves units and whole modules uphill only. In graphs without clear modules there
are countless partitions that no such move improves, and the best of them are reached sooner by moves that may
go down, ever more seldom (Kirkpatrick, Gelatt & Vecchi 1983, 10.1126/science.220.4598.671). NumPy is as fast
at that as a compiled loop if it anneals many copies at a time and moves a block of units in all of them.
"""

from collections.abc import Iterable
from importlib.util import find_spec

import numpy as np
from jaxtyping import Float, Int

from modlib._checks import Labels, Matrix

FEWEST, MOST = 50, 100  #: Sweeps, unless it is said how many: half the number of units, in these bounds.
FIRST, LAST = 2.0, 20.0  #: Inverse temperature β of the first and the last sweep, in a geometric series.
REPLACED_EVERY = 4  #: Sweeps after which the worst copies give way to the best ones.
REPLACED_SHARE = 8  #: One copy in so many gives way.
#: Multiplications of one product of matrices at most. OpenBLAS shares larger ones out among threads, which
#: takes longer at this size, and makes the last digits depend on how many threads there are.
IN_ONE_PRODUCT = 2**18
NOISE = 2**15  #: Random numbers that are drawn at least; each step takes a slice that begins anywhere.


def anneal(
    B: Matrix,
    n_module: int,
    copies: int,
    generator: np.random.Generator,
    *,
    sweeps: int | None = None,
    selection: bool = True,
    progress: bool = False,
) -> Int[np.ndarray, "copy unit"]:
    """Search for partitions with a large sum of B within modules, the best first.

    A visit puts unit i into module c with probability proportional to exp(β Σ_{j∈c} B_ij / ‖B_i‖), where
    ‖B_i‖ is the Euclidean norm of the row of B without its diagonal ("heat bath"). All copies visit a block
    of units at once. After every fourth sweep the worst eighth of the copies is overwritten by the best
    eighth, unless `selection` is false: then the copies are independent of each other.

    Parameters
    ----------
    B
        As `modlib.clustering.modularity_matrix`.
    n_module
        Modules that there are to choose from. Some may end without a unit.
    copies
        Partitions that are searched for. They start from random ones.
    generator
        Of all draws.
    sweeps
        Times that every unit is visited; by default half as many as there are units, but from 50 to 100.
    selection
        Whether the worst copies give way to the best ones.
    progress
        Show a bar where there is a terminal.

    Notes
    -----
    Dividing by ‖B_i‖ gives each unit a temperature of its own, as hubs and units with hardly any edges need.
    Units of one block do not see each other's moves until the block is done. Both make the chain one that
    samples no known distribution, which does not matter to a search. A partition that comes out is near a
    local maximum, but need not be one.
    """
    n_unit = len(B)
    sweeps = min(max(n_unit // 2, FEWEST), MOST) if sweeps is None else sweeps
    order = generator.permutation(n_unit)  # blocks are of units that have nothing to do with each other
    pull = B[np.ix_(order, order)].astype(np.float32)
    np.fill_diagonal(pull, 0)
    norm = np.linalg.norm(pull, axis=1)
    pull /= np.where(norm > 0, norm, 1)[:, None]
    start = generator.integers(n_module, size=(n_unit, copies))
    member = (start == np.arange(n_module)[:, None, None]).astype(np.float32)  # (module, unit, copy)
    size = max(1, min(n_unit // 2, IN_ONE_PRODUCT // (n_unit * copies)))
    blocks = [slice(first, min(first + size, n_unit)) for first in range(0, n_unit, size)]
    n_drawn = n_module * size * copies
    # By a Gumbel variable each, the largest sum is where a softmax would have put the unit.
    noise = generator.gumbel(size=max(NOISE, 4 * n_drawn)).astype(np.float32)
    for sweep in _counted(sweeps, progress):
        beta = np.float32(FIRST * (LAST / FIRST) ** (sweep / max(sweeps - 1, 1)))
        offsets = generator.integers(len(noise) - n_drawn, size=len(blocks)).tolist()
        for block, offset in zip(blocks, offsets, strict=True):
            there = pull[block] @ member  # (module, unit, copy)
            there *= beta
            there += noise[offset : offset + there.size].reshape(there.shape)
            np.equal(there, there.max(axis=0), out=member[:, block])
        n_worst = copies // REPLACED_SHARE if selection else 0
        if n_worst and sweep % REPLACED_EVERY == REPLACED_EVERY - 1:
            rank = np.argsort(_sums(pull, norm, member, blocks), kind="stable")
            member[:, :, rank[:n_worst]] = member[:, :, rank[-n_worst:]]
    rank = np.argsort(-_sums(pull, norm, member, blocks), kind="stable")
    found = np.empty((copies, n_unit), dtype=np.int64)
    found[:, order] = member.argmax(axis=0).T[rank]
    return found


def _sums(
    pull: Float[np.ndarray, "unit unit"],
    norm: Float[np.ndarray, " unit"],
    member: Float[np.ndarray, "module unit copy"],
    blocks: list[slice],
) -> Float[np.ndarray, " copy"]:
    """Sum of B within the modules of each copy, less that of its diagonal."""
    total = np.zeros(member.shape[2])
    for block in blocks:
        total += norm[block] @ ((pull[block] @ member) * member[:, block]).sum(axis=0)
    return total


def _counted(sweeps: int, progress: bool) -> Iterable[int]:
    """Count sweeps, behind a bar if one is asked for, and there are a terminal and tqdm to show it."""
    if not progress or find_spec("tqdm") is None:
        return range(sweeps)
    from tqdm import tqdm  # imported here, since only large graphs need it

    return tqdm(range(sweeps), desc="annealing", unit="sweep", disable=None)


def climb(B: Matrix, labels: Labels, n_module: int, least: float) -> Labels:
    """Move single units to where they are best off, among `n_module`, until none gains `least`.

    Returns labels whose sum of B within modules is no move of one unit away from a larger one.
    """
    labels = labels.copy()
    own = np.diagonal(B)
    ties = np.stack([B[:, labels == c].sum(axis=1) for c in range(n_module)])  # (module, unit)
    moved = True
    while moved:
        moved = False
        for unit in range(len(B)):
            there, old = ties[:, unit].copy(), labels[unit]
            there[old] -= own[unit]
            new = int(there.argmax())
            if 2 * (there[new] - there[old]) > least:
                ties[old] -= B[unit]
                ties[new] += B[unit]
                labels[unit] = new
                moved = True
    return labels
