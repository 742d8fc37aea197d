"""Small problems that come together with their answer: graphs and a network with known modules.

Each function raises a ValueError or TypeError that names the argument which is not as described.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from modlib import _checks
from modlib._checks import Labels, Matrix


def planted_graph(
    sizes: Sequence[int] = (4, 4),
    *,
    within: float = 1.0,
    between: float = 0.1,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[Matrix, Labels]:
    """Make a complete weighted graph whose modules are known.

    Without noise and with ``g`` modules of one size ``n``, the modularity of the planted partition is
    ``Q = w / (w + b) - 1 / g``  with  ``w = (n - 1) within``  and  ``b = (g - 1) n between``.

    Parameters
    ----------
    sizes
        Units of each module; the modules are numbered from 0 and stand in blocks.
    within, between
        Weights of the edges within and between modules, not negative, not both zero.
    noise, seed
        In ``[0, 1]``: each weight is multiplied by its own factor, uniform on ``[1 - noise, 1 + noise]``, and
        drawn with this seed.

    Examples
    --------
    >>> A, labels = planted_graph((2, 2), within=1.0, between=0.5)
    >>> A.tolist()
    [[0.0, 1.0, 0.5, 0.5], [1.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.0, 1.0], [0.5, 0.5, 1.0, 0.0]]
    >>> labels.tolist()
    [0, 0, 1, 1]
    """
    sizes = _checks.wholes(sizes, "sizes", least=1)
    if not sizes:
        raise ValueError("sizes must be those of one module or more, got none")
    within, between = _checks.real(within, "within", least=0.0), _checks.real(between, "between", least=0.0)
    if within + between == 0:
        raise ValueError("within and between must not both be 0")
    noise, seed = _checks.real(noise, "noise", least=0.0, most=1.0), _checks.seed(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    weights = np.where(labels[:, None] == labels[None, :], within, between)
    factors = 1 + noise * np.random.default_rng(seed).uniform(-1, 1, weights.shape)
    A: Matrix = np.triu(weights * factors, 1)
    return A + A.T, labels


def ring_of_cliques(cliques: int, size: int) -> tuple[Matrix, Labels]:
    """Join complete graphs into a ring by single edges: modules that nobody would dispute.

    The example of Fortunato & Barthélemy (2007): although every clique is as dense as can be, modularity
    prefers to merge neighbours once ``cliques > size (size - 1) + 2``.

    There are 3 `cliques` or more, each of 2 units or more (`size`), in blocks; the last unit of a clique is
    joined to the first unit of the next one. Returns the adjacency matrix of 0 and 1, and the clique of each
    unit.
    """
    cliques, size = _checks.whole(cliques, "cliques", least=3), _checks.whole(size, "size", least=2)
    A, labels = planted_graph([size] * cliques, within=1.0, between=0.0)
    last = np.arange(cliques) * size + size - 1
    first = (last + 1) % (cliques * size)
    A[last, first] = A[first, last] = 1
    return A, labels


def random_graph(units: int, *, density: float, seed: int = 0) -> Matrix:
    """Draw a graph without modules: every pair is joined with one probability, all independently.

    It is the G(n, p) of Erdős and Rényi, as an adjacency matrix of 0 and 1, with n = `units` of at least 2
    and p = `density` in ``(0, 1]``.
    """
    units, seed = _checks.whole(units, "units", least=2), _checks.seed(seed)
    density = _checks.real(density, "density", above=0.0, most=1.0)
    pairs = np.triu(np.random.default_rng(seed).random((units, units)) < density, 1)
    return (pairs | pairs.T).astype(float)


@dataclass(frozen=True)
class CrossedNetwork:
    """A small ReLU network whose upstream and downstream modules are known and differ."""

    #: Weights and biases as ``MLPStack.from_arrays`` takes them: one network, one hidden layer.
    weights: list[Float[np.ndarray, "1 _in _out"]]
    biases: list[Float[np.ndarray, "1 _out"]]
    x: Float[np.ndarray, "sample _input"]  #: inputs, standard normal
    y: Int[np.ndarray, " sample"]  #: the class that the network itself gives to each
    upstream: Labels  #: for each hidden unit, the group of inputs that it reads
    downstream: Labels  #: for each hidden unit, the group of classes that it drives


def crossed_network(
    *,
    read_groups: int = 2,
    drive_groups: int = 2,
    copies: int = 2,
    noise: float = 0.15,
    samples: int = 2000,
    seed: int = 0,
) -> CrossedNetwork:
    """Build a network in which what a unit reads says nothing about what it drives.

    There is one hidden layer, with ``copies`` units for each pair of a *read group* and a *drive group*.
    Each read group owns two of the independent inputs, and a unit reads those of its group alone, with
    weights near (1, ½). Each drive group owns two classes, and a unit pushes one of them up and the other
    down, with weights near ±½. So units of one read group are alike upstream, units of one drive group are
    alike downstream, and each upstream module holds the same number of units of every downstream module.

    Parameters
    ----------
    read_groups, drive_groups, copies, samples
        Numbers of groups, at least 2; of units for each pair of groups and of inputs drawn, at least 1.
    noise
        Standard deviation of what is added to every input weight, those that would be zero included;
        output weights, which are half as large, get half of it.
    seed
        Seed of weights and inputs.

    Examples
    --------
    >>> net = crossed_network()
    >>> net.upstream.tolist(), net.downstream.tolist()
    ([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 1, 1])
    """
    read_groups = _checks.whole(read_groups, "read_groups", least=2)
    drive_groups = _checks.whole(drive_groups, "drive_groups", least=2)
    copies, samples = _checks.whole(copies, "copies", least=1), _checks.whole(samples, "samples", least=1)
    noise, rng = _checks.real(noise, "noise", least=0.0), np.random.default_rng(_checks.seed(seed))
    upstream = np.repeat(np.arange(read_groups), drive_groups * copies)
    downstream = np.tile(np.repeat(np.arange(drive_groups), copies), read_groups)
    # (read group, unit) ⊗ the two inputs of a group -> (input, unit)
    reads = np.kron(upstream[None, :] == np.arange(read_groups)[:, None], [[1.0], [0.5]])
    drives = np.kron(downstream[:, None] == np.arange(drive_groups)[None, :], [[0.5, -0.5]])
    # Signs that differ from drive group to drive group keep their logits from rising and falling together.
    drives *= (-1.0) ** (upstream * downstream)[:, None]
    w_in = reads + noise * rng.standard_normal(reads.shape)
    w_out = drives + noise / 2 * rng.standard_normal(drives.shape)
    # This bias keeps most units on for most inputs, as in a trained network's first layer, and yet leaves a
    # kink for the measures to average over.
    b_in = np.full(len(upstream), 0.5)
    x = rng.standard_normal((samples, 2 * read_groups))
    hidden = np.maximum(x @ w_in + b_in, 0)
    b_out = -hidden.mean(axis=0) @ w_out  # logits with mean zero: no class wins by default
    y = (hidden @ w_out + b_out).argmax(axis=1)
    return CrossedNetwork(
        [w_in[None], w_out[None]], [b_in[None], b_out[None]], x, y, upstream=upstream, downstream=downstream
    )
