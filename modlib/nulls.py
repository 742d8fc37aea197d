"""What Q would be without modules: draws that have everything of a layer but its pattern, and tests on them.

Each draw is a graph like the one that is tested, and its best partition is searched for anew: a partition
found elsewhere and only scored on the draw would make any graph look modular beside it. Each function raises
a ValueError or TypeError that names the argument which is not as described.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from modlib import _checks
from modlib._checks import Matrix
from modlib.measures import MEASURES, dead_units, graphs, similarity
from modlib.networks import MLPStack

MOST_DIMENSIONS = 10_000  # a draw with more of them hardly differs from its mean, a constant matrix
ROUNDING = 1e-12  # of Q, a number of size 1
SLACK = 1e-3  # of a similarity of two units, in shares of the most that it can be


@dataclass(frozen=True)
class NullTest:
    """How a value stands beside draws of a null."""

    mean: float  #: of the draws
    sd: float  #: of the draws, with n − 1
    z: float  #: (value − mean) / sd; nan where the draws do not vary by more than rounding
    #: (1 + the number of draws that reach the value) / (1 + the number of draws), one-sided. The ones count
    #: the value itself, without which the test would reject too often (Phipson & Smyth 2010). A draw that
    #: misses the value by rounding alone reaches it.
    p: float


def null_test(value: float, draws: ArrayLike) -> NullTest:
    """Hold a Q against two or more draws of a null; those that are nan (a graph without edges) do not count.

    Differences up to 1e-12 are taken for rounding: the Q of a graph with one possible partition differs from
    draw to draw in the last bit only, and neither z nor p may depend on that bit. The test is nan throughout
    where fewer than two draws are numbers: a dead layer has nothing to test.

    Examples
    --------
    >>> null_test(4.0, [1.0, 2.0, 3.0])
    NullTest(mean=2.0, sd=1.0, z=2.0, p=0.25)
    """
    found, own = _checks.floats(draws, "draws").ravel(), _checks.floats(value, "value", ndim=0)
    if len(found) < 2:
        raise ValueError(f"draws must be two or more, got {len(found)}")
    value, found = float(own), found[np.isfinite(found)]
    if len(found) < 2:
        return NullTest(np.nan, np.nan, np.nan, np.nan)
    mean, sd = float(found.mean()), float(found.std(ddof=1))
    if not np.isfinite(value):
        return NullTest(mean, sd, np.nan, np.nan)
    z = (value - mean) / sd if sd > ROUNDING else np.nan
    reached = int(np.count_nonzero(found >= value - ROUNDING))
    return NullTest(mean, sd, z, (1 + reached) / (1 + len(found)))


def permute_weights(stack: MLPStack, generator: torch.Generator) -> MLPStack:
    """Shuffle the weights of every layer of every network among themselves (Filan et al. 2021, sec. 4).

    What stays is the distribution of each layer's weights; what goes is which weight stands where. Biases
    stay in place. The generator must be on the device of the stack.
    """
    _checks.instance(stack, "stack", MLPStack)
    _checks.instance(generator, "generator", torch.Generator, "torch.Generator")
    if generator.device != stack.weights[0].device:
        raise ValueError(f"generator must be on the stack's device, got {generator.device}")
    weights = []
    for w in stack.weights:
        flat = w.flatten(1)
        order = torch.rand(flat.shape, generator=generator, device=w.device).argsort(1)
        weights.append(flat.gather(1, order).view(w.shape))
    return MLPStack(weights, stack.biases)


def random_associations(R: Matrix, generator: np.random.Generator) -> Matrix:
    r"""Correlations of units without modules, with the mean and the variance of those given.

    Hirschberger, Qi & Steuer 2007 (used for brain networks by Zalesky, Fornito & Bullmore 2012): the
    correlations of n random vectors in m dimensions with entries μ + σ z, z standard normal, where

    .. math:: m = (1 - e^2) / v, \quad \mu^2 = e / m, \quad \sigma^2 = (1 - e) / m

    make the mean of the associations e and their variance v. Whatever shares dimensions is correlated
    transitively, as units of a layer are; a null that shuffled the entries of R would lose that, and would
    call any layer modular.

    R holds (unit, unit) normalised similarities: signed, symmetric, finite, at most 1 on average, and 1 on
    the diagonal. Rows of zeros are dead units, and stay dead.

    Notes
    -----
    Normalising the vectors to correlations takes some of the variance away where e is large: the draws have
    v (1 − e)² (1 + 2e − e²) / (1 − e²), a tenth less than v at e = .2. So the test is too ready to reject
    layers whose units have much in common; the sizes in the chapter on chance show by how much.

    Deviations: m is rounded up or down at random, so that 1/m (and with it v) is right on average. The
    authors round down, which makes the draws more variable than the data when m is small (ten or less for the
    output gradient of the last layer). A mean below zero is taken as zero.
    """
    return _of_alive(_associations, _checks.symmetric(R, "R"), "R", generator)


#: Draws similarities like those given, of units that are all alive; the name is that of the argument.
Pattern = Callable[[Matrix, str, np.random.Generator], Matrix]


def _of_alive(pattern: Pattern, matrix: Matrix, name: str, generator: np.random.Generator) -> Matrix:
    """Draw a pattern of the units that are alive; fewer than three have none."""
    _checks.instance(generator, "generator", np.random.Generator, "numpy.random.Generator")
    alive = np.diagonal(matrix) > 0
    found = np.zeros_like(matrix)
    if alive.sum() >= 3:
        found[np.ix_(alive, alive)] = pattern(matrix[np.ix_(alive, alive)], name, generator)
    return found


def _associations(given: Matrix, name: str, generator: np.random.Generator) -> Matrix:
    n = len(given)
    pairs = given[np.triu_indices(n, 1)]
    if not pairs.mean() <= 1 + ROUNDING:
        raise ValueError(f"{name} must have associations of at most 1 on average, got {pairs.mean():g}")
    e, v = min(max(float(pairs.mean()), 0.0), 1.0), float(pairs.var())
    m = min((1 - e**2) / max(v, 1e-12), MOST_DIMENSIONS)
    low = max(1, int(np.floor(m)))  # with a chance that makes the mean of 1/m right, or else one more
    share_low = np.clip((1 / max(m, 1) - 1 / (low + 1)) / (1 / low - 1 / (low + 1)), 0, 1)
    n_dimension = low if generator.random() < share_low else low + 1
    vectors = np.sqrt(e) + np.sqrt(1 - e) * generator.standard_normal((n, n_dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors @ vectors.T)


def rotate_units(R: Matrix, generator: np.random.Generator) -> Matrix:
    """Rotate the units of a layer into each other at random, but for what all of them share.

    The similarities R become O R Oᵀ, normalised again, with O uniform among the rotations that leave the sum
    over units alone. The rank of R, its eigenvalues and the mean of its entries stay, the last two up to the
    normalisation; which unit is like which goes. So a draw has no modules, but as few dimensions as R, and
    dimensions as unequal.

    R is as for `random_associations`. Rows of zeros are dead units, and stay dead; fewer than three living
    units have no pattern, and the draw is zero.

    Notes
    -----
    Normalising again evens the spectrum out a little, the more the steeper it is: a largest eigenvalue of a
    fifth of the trace keeps nine tenths of itself or more, one of two fifths four fifths. So rotations make
    up for most of what unequal dimensions add to Q, not for all of it.
    """
    return _of_alive(_rotated, _checks.symmetric(R, "R"), "R", generator)


def _rotated(given: Matrix, name: str, generator: np.random.Generator) -> Matrix:
    n = len(given)
    basis = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, 1:]]))[0]  # its first column is even
    turned = basis.copy()
    turned[:, 1:] = basis[:, 1:] @ _rotation(n - 1, generator)
    O = turned @ basis.T  # noqa: E741
    drawn = O @ given @ O.T
    size = np.sqrt(np.clip(np.diagonal(drawn), 0, None))
    own = np.sqrt(np.diagonal(given))
    if (np.abs(given) > (1 + SLACK) * np.outer(own, own)).any() or not (size > 0).all():
        raise ValueError(f"{name} must be similarities, positive semidefinite, which it is not")
    return np.asarray((drawn + drawn.T) / 2 / np.outer(size, size))


def _rotation(n: int, generator: np.random.Generator) -> Matrix:
    """Draw a rotation of n dimensions, all of them alike probable (Stewart 1980, 10.1137/0717034).

    It is that of `scipy.stats.special_ortho_group`, which takes as long to load as all of the method.
    """
    q, r = np.linalg.qr(generator.normal(size=(n, n)))
    q *= np.sign(np.diagonal(r))
    q[0] /= np.linalg.det(q)  # −1 for half of them, which mirror besides
    return np.asarray(q)


def random_graphs(S: Matrix, generator: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Raw and normalised graph of units that associate at random, as strongly as those of S.

    The normalised one is the absolute value of `random_associations`; the raw one has each unit's own size
    besides, √(S_ii S_jj), since how large units are is no matter of modules. Both are graphs as
    `modlib.adjacency` gives them. S is as for `random_associations`, but need not be normalised.
    """
    return _graphs(S, _associations, generator)


def rotated_graphs(S: Matrix, generator: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Raw and normalised graph of the units of S, rotated into each other: as `random_graphs`, of rotations.

    The normalised one is the absolute value of `rotate_units`, and the raw one has the sizes of the units.
    """
    return _graphs(S, _rotated, generator)


def _graphs(S: Matrix, pattern: Pattern, generator: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Draw a pattern of the normalised S, and give it back the sizes of the units."""
    matrix = _checks.symmetric(S, "S")
    size = np.sqrt(np.clip(np.diagonal(matrix), 0, None))
    size[dead_units(torch.from_numpy(matrix)).numpy()] = 0
    scale = np.divide(1, size, out=np.zeros_like(size), where=size > 0)
    normalised = np.abs(_of_alive(pattern, matrix * np.outer(scale, scale), "S", generator))
    np.fill_diagonal(normalised, 0)
    return normalised * np.outer(size, size), normalised


Similarities = dict[str, list[Tensor]]
Draw = list[Float[np.ndarray, "network variant _unit _unit"]]


@dataclass(frozen=True)
class Null:
    """A null that graphs are drawn from, for every network and layer of a stack."""

    name: str  #: as in tables
    label: str  #: as in charts and prose
    #: Draws without end, given a stack, samples x and y, the similarities of the stack on them and a seed. A
    #: draw holds the graphs that `modlib.measures.graphs` would make of every hidden layer.
    draws: Callable[[MLPStack, Tensor, Tensor, Similarities, int], Iterator[Draw]]
    #: Draws the raw and the normalised graph from one matrix, where the null needs nothing else.
    of_matrix: Callable[[Matrix, np.random.Generator], tuple[Matrix, Matrix]] | None = None


def _draws_of_weights(stack: MLPStack, x: Tensor, y: Tensor, S: Similarities, seed: int) -> Iterator[Draw]:
    """Permute the weights of the networks, and measure similarity anew."""
    generator = torch.Generator(device=x.device).manual_seed(seed)
    while True:
        drawn = similarity(permute_weights(stack, generator).to(dtype=torch.float64), x, y)
        yield [graphs(drawn, layer) for layer in range(stack.n_hidden)]


def _draws_of_graphs(
    graphs_of: Callable[[Matrix, np.random.Generator], tuple[Matrix, Matrix]],
    stack: MLPStack,
    x: Tensor,
    y: Tensor,
    S: Similarities,
    seed: int,
) -> Iterator[Draw]:
    """Draw graphs like those of each similarity matrix, with a generator a network and layer."""
    layers = range(stack.n_hidden)
    # (network, measure, unit, unit) a layer
    given = [torch.stack([S[measure][layer] for measure in MEASURES], 1).cpu().numpy() for layer in layers]
    generators = [[np.random.default_rng((seed, n, layer)) for n in range(len(stack))] for layer in layers]

    def drawn(network: Float[np.ndarray, "measure unit unit"], generator: np.random.Generator) -> np.ndarray:
        return np.concatenate([np.stack(graphs_of(matrix, generator)) for matrix in network])

    while True:
        yield [np.stack(list(map(drawn, given[layer], generators[layer]))) for layer in layers]


#: All nulls that are drawn, by name. (Untrained networks and memorised labels are experiments.)
NULLS = {
    null.name: null
    for null in (
        Null("weights-permuted", "permuted weights", _draws_of_weights),
        Null("similarity", "similarity null", partial(_draws_of_graphs, random_graphs), random_graphs),
        Null("rotations", "rotations", partial(_draws_of_graphs, rotated_graphs), rotated_graphs),
    )
}
