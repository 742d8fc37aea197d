"""The weighted stochastic block model: units are of one block if they are alike in their edges to all blocks.

Modularity asks for modules with much weight inside. A block model asks only that the weights between any two
blocks be alike, so it also finds a core that is strong towards all, or groups that avoid each other.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from modlib import _checks
from modlib._checks import Labels, Matrix
from modlib.clustering import Partition, checked_weights, partition_by

MOST_STEPS = 40  #: Times that all units are looked at, at most.
PRIOR = 1.0  #: Weights that each pair of blocks is given besides its own.

_Shares = Float[np.ndarray, "copy unit block"]
_ByPair = Float[np.ndarray, "copy block block"]


def find_blocks(A: ArrayLike, n_blocks: int, *, restarts: int = 20, seed: int = 0) -> Partition:
    """Fit a stochastic block model with normal edge weights, and return its blocks as modules.

    The weight of an edge between units of blocks r and s is normal with mean μ_rs and variance σ²_rs (Aicher,
    Jacobs & Clauset 2014, 10.1093/comnet/cnu026, for weights alone; every unit has the same parameters as its
    block, whatever its degree). The fit is variational, as theirs: a unit i belongs to block r with a share
    τ_ir ∝ n_r exp(Σ_{j≠i} Σ_s τ_js ln N(A_ij; μ_rs, σ²_rs)), in turn with the parameters that are likeliest
    at these shares. All restarts, from random blocks, are fitted at once, a random half of the units at a
    time. Then each unit is put into its likeliest block, and the restart with the largest likelihood of A and
    of these blocks is returned.

    Deviation from Aicher et al.: instead of priors with parameters of their own, each pair of blocks has one
    weight more, spread as all weights of the graph are. It keeps variances above zero.

    The partition is like one of `modlib.find_modules`: `q` is the **modularity** of the blocks, which may be
    negative, units without an edge are −1, and `stability` is nan. There are fewer than `n_blocks` modules if
    the fit leaves blocks empty or there are fewer units.

    Parameters
    ----------
    A
        (unit, unit) edge weights as for `modlib.modularity`.
    n_blocks, restarts, seed
        Numbers of blocks and of random starts, at least 1, and the seed of all draws, 0 or more.

    Examples
    --------
    Two groups with edges between them only: blocks, but the opposite of modules.

    >>> import numpy as np
    >>> A = np.kron([[0, 1], [1, 0]], np.ones((4, 4)))
    >>> part = find_blocks(A, 2)
    >>> part.labels.tolist(), part.q
    ([0, 0, 0, 0, 1, 1, 1, 1], -0.5)
    """
    weights = checked_weights(A)
    n_blocks = _checks.whole(n_blocks, "n_blocks", least=1)
    restarts, seed = _checks.whole(restarts, "restarts", least=1), _checks.seed(seed)

    def likeliest(weights: Matrix, _: Matrix) -> Labels:
        model = _BlockModel(weights, min(n_blocks, len(weights)))
        runs = model.fitted(restarts, np.random.default_rng(seed)).argmax(axis=2)
        likelihood = model.likelihood((runs[:, :, None] == np.arange(model.n_blocks)).astype(np.float64))
        return np.asarray(runs[likelihood.argmax()])

    return partition_by(likeliest, weights)


class _BlockModel:
    """One graph without dead units, and the numbers of it that every step of a fit needs."""

    def __init__(self, weights: Matrix, n_blocks: int) -> None:
        pairs = weights[np.triu_indices(len(weights), 1)]
        self.n_blocks = n_blocks
        self.weights = weights / pairs.mean()
        self.squares = self.weights**2
        # Of all weights; equal ones have no variance, and then any does, since all blocks are alike.
        self.mean_square = float((pairs**2).mean() / pairs.mean() ** 2)
        if np.ptp(pairs) == 0:
            self.mean_square += 1.0

    def fitted(self, copies: int, generator: np.random.Generator) -> _Shares:
        """Fit copies from random blocks, until no unit of any has another likeliest block, or for so long."""
        n_unit = len(self.weights)
        start = generator.integers(self.n_blocks, size=(copies, n_unit))
        shares: _Shares = (start[:, :, None] == np.arange(self.n_blocks)).astype(np.float64)
        for _ in range(MOST_STEPS):
            before = shares.argmax(axis=2)
            # All at once, units would follow each other to and fro.
            for units in np.array_split(generator.permutation(n_unit), 2):
                logs = self._log_shares(shares)[:, units]
                odds = np.exp(logs - logs.max(axis=2, keepdims=True))
                shares[:, units] = odds / odds.sum(axis=2, keepdims=True)
            if (shares.argmax(axis=2) == before).all():
                break
        return np.asarray(shares)

    def likelihood(self, shares: _Shares) -> Float[np.ndarray, " copy"]:
        """Give the log likelihood of weights and blocks at the likeliest parameters, but for a constant."""
        count, _, variance = self._parameters(shares)
        size = shares.sum(axis=1)
        # Every edge is counted from both ends.
        of_weights = -0.25 * (count * np.log(variance)).sum(axis=(1, 2))
        return np.asarray(of_weights + (size * self._log_sizes(size)).sum(axis=1))

    def _parameters(self, shares: _Shares) -> tuple[_ByPair, _ByPair, _ByPair]:
        """Count the weights between every two blocks, and give their mean and variance."""
        size, turned = shares.sum(axis=1), shares.transpose(0, 2, 1)
        count = size[:, :, None] * size[:, None, :] - turned @ shares + PRIOR
        mean = (turned @ (self.weights @ shares) + PRIOR) / count  # 1 is the mean of all
        square = (turned @ (self.squares @ shares) + PRIOR * self.mean_square) / count
        return count, mean, square - mean**2

    def _log_shares(self, shares: _Shares) -> _Shares:
        """Give ln τ but for what is the same for all blocks of a unit."""
        _, mean, variance = self._parameters(shares)
        size = shares.sum(axis=1)
        others = size[:, None, :] - shares  # (copy, unit, block): how many of them a unit has edges with
        constant = np.log(variance) + mean**2 / variance
        of_weights = others @ constant + self.squares @ shares @ (1 / variance)
        of_weights -= 2 * (self.weights @ shares) @ (mean / variance)  # all three are symmetric
        return np.asarray(self._log_sizes(size)[:, None, :] - of_weights / 2)

    def _log_sizes(self, size: Float[np.ndarray, "copy block"]) -> Float[np.ndarray, "copy block"]:
        """Give ln of the share of units in each block, with one unit more in each, so that none is barred."""
        return np.asarray(np.log((size + 1) / (size + 1).sum(axis=1, keepdims=True)))
