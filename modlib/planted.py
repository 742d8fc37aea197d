"""Small problems that come together with their answer: graphs and a network with known modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from modlib import _checks

FloatMatrix = Float[np.ndarray, "unit unit"]
Labels = Int[np.ndarray, " unit"]


def planted_graph(
    sizes: Sequence[int] = (4, 4),
    *,
    within: float = 1.0,
    between: float = 0.1,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[FloatMatrix, Labels]:
    """Make a complete weighted graph whose modules are known.

    Every pair of units in one group is joined by weight ``within``, every other pair by ``between``;
    each weight is then multiplied by its own factor, uniform on ``[1 - noise, 1 + noise]``. Without
    noise and with groups of one size ``n``, ``g`` of them, the modularity of the planted partition is

    ``Q = w / (w + b) - 1 / g``  with  ``w = (n - 1) within``  and  ``b = (g - 1) n between``.

    Parameters
    ----------
    sizes
        Units per group.
    within, between
        Weights, not negative, not both zero.
    noise
        In ``[0, 1]``; 0 leaves the weights as they are.
    seed
        Of the noise.

    Returns
    -------
    A
        Adjacency matrix, symmetric, not negative, with a zero diagonal.
    labels
        The planted group of each unit, counted from 0, in blocks.

    Raises
    ------
    ValueError
        If a size is below 1, a weight negative, or ``noise`` outside ``[0, 1]``.
    TypeError
        If an argument is no number, or ``sizes`` no list of whole numbers.

    Examples
    --------
    >>> A, labels = planted_graph((2, 2), within=1.0, between=0.5)
    >>> A.tolist()
    [[0.0, 1.0, 0.5, 0.5], [1.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.0, 1.0], [0.5, 0.5, 1.0, 0.0]]
    >>> labels.tolist()
    [0, 0, 1, 1]
    """
    sizes = _checks.wholes(sizes, "sizes", least=None)
    if not sizes or min(sizes) < 1:
        raise ValueError(f"sizes must be one or more positive numbers, got {sizes}")
    within, between = _checks.real(within, "within"), _checks.real(between, "between")
    if within < 0 or between < 0 or within + between == 0:
        raise ValueError(f"within and between must be >= 0 and not both 0, got {within} and {between}")
    if not 0 <= (noise := _checks.real(noise, "noise", finite=False)) <= 1:
        raise ValueError(f"noise must be in [0, 1], got {noise}")
    seed = _checks.seed(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    weights = np.where(labels[:, None] == labels[None, :], float(within), float(between))
    factors = 1 + noise * np.random.default_rng(seed).uniform(-1, 1, weights.shape)
    A: FloatMatrix = np.triu(weights * factors, 1)
    return A + A.T, labels


def ring_of_cliques(cliques: int, size: int) -> tuple[FloatMatrix, Labels]:
    """Join complete graphs into a ring by single edges: modules that nobody would dispute.

    The example of Fortunato & Barthélemy (2007): although every clique is as dense as can be,
    modularity prefers to merge neighbours once ``cliques > size (size - 1) + 2``.

    Parameters
    ----------
    cliques
        How many, at least 3.
    size
        Units in each, at least 2.

    Returns
    -------
    A
        Adjacency matrix of 0 and 1; clique ``c`` owns units ``c * size`` to ``(c + 1) * size - 1``, and
        its last unit is joined to the first unit of the next clique.
    labels
        The clique of each unit.

    Raises
    ------
    ValueError
        If ``cliques < 3`` or ``size < 2``.
    TypeError
        If one is no whole number.
    """
    cliques = _checks.whole(cliques, "cliques", least=None)
    size = _checks.whole(size, "size", least=None)
    if cliques < 3 or size < 2:
        raise ValueError(f"needs cliques >= 3 and size >= 2, got {cliques} and {size}")
    A, labels = planted_graph([size] * cliques, within=1.0, between=0.0)
    last = np.arange(cliques) * size + size - 1
    first = (last + 1) % (cliques * size)
    A[last, first] = A[first, last] = 1
    return A, labels


def random_graph(units: int, *, density: float, seed: int = 0) -> FloatMatrix:
    """Draw a graph without modules: every pair is joined with one probability, all independently.

    The G(n, p) of Erdős and Rényi; the true answer to "which modules?" is "none".

    Parameters
    ----------
    units
        At least 2.
    density
        Probability of an edge, in ``(0, 1]``.
    seed
        Of the draw.

    Returns
    -------
    A
        Adjacency matrix of 0 and 1, symmetric, with a zero diagonal.

    Raises
    ------
    ValueError
        If ``units < 2`` or ``density`` is outside ``(0, 1]``.
    TypeError
        If one is no number.
    """
    units = _checks.whole(units, "units", least=2)
    if not 0 < (density := _checks.real(density, "density", finite=False)) <= 1:
        raise ValueError(f"density must be in (0, 1], got {density}")
    seed = _checks.seed(seed)
    pairs = np.triu(np.random.default_rng(seed).random((units, units)) < density, 1)
    return (pairs | pairs.T).astype(float)


@dataclass(frozen=True)
class CrossedNetwork:
    """A small ReLU network whose upstream and downstream modules are known and differ.

    Attributes
    ----------
    weights, biases
        As ``MLPStack.from_arrays`` takes them: one network, one hidden layer.
    x
        Inputs, standard normal.
    y
        The class that the network itself gives to each input.
    upstream
        For each hidden unit, the group of inputs that it reads.
    downstream
        For each hidden unit, the group of classes that it drives.
    """

    weights: list[Float[np.ndarray, "1 _in _out"]]
    biases: list[Float[np.ndarray, "1 _out"]]
    x: Float[np.ndarray, "sample _input"]
    y: Int[np.ndarray, " sample"]
    upstream: Labels
    downstream: Labels


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
    Each read group owns two inputs, and a unit reads, with weights near (1, ½), those of its group
    alone; the inputs are independent. Each drive group owns two classes, and a unit pushes one of them
    up and the other down (weights near ±½). So units of one read group are alike upstream, units of one
    drive group are alike downstream, and the two partitions are crossed: each upstream module
    holds the same number of units of every downstream module.

    Parameters
    ----------
    read_groups, drive_groups
        At least 2 of each.
    copies
        Units for each pair of groups, at least 1.
    noise
        Standard deviation of what is added to every input weight, those that would be zero included;
        output weights, which are half as large, get half of it.
    samples
        Number of inputs drawn.
    seed
        Of weights and inputs.

    Returns
    -------
    CrossedNetwork
        Weights and biases, inputs, classes and the two true partitions.

    Raises
    ------
    ValueError
        If there are fewer than 2 groups of a kind, fewer than 1 copy or sample, or negative noise.
    TypeError
        If an argument is no number.

    Examples
    --------
    >>> net = crossed_network()
    >>> net.upstream.tolist(), net.downstream.tolist()
    ([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 1, 1])
    """
    read_groups = _checks.whole(read_groups, "read_groups", least=None)
    drive_groups = _checks.whole(drive_groups, "drive_groups", least=None)
    copies, samples = (
        _checks.whole(value, name, least=None) for value, name in ((copies, "copies"), (samples, "samples"))
    )
    seed = _checks.seed(seed)
    if read_groups < 2 or drive_groups < 2:
        raise ValueError(
            f"read_groups and drive_groups must be at least 2, got {read_groups} and {drive_groups}"
        )
    if copies < 1 or samples < 1:
        raise ValueError(f"copies and samples must be at least 1, got {copies} and {samples}")
    noise = _checks.real(noise, "noise", least=0.0)
    rng = np.random.default_rng(seed)
    upstream = np.repeat(np.arange(read_groups), drive_groups * copies)
    downstream = np.tile(np.repeat(np.arange(drive_groups), copies), read_groups)
    # (read group, unit) ⊗ the two inputs of a group -> (input, unit)
    reads = np.kron(upstream[None, :] == np.arange(read_groups)[:, None], [[1.0], [0.5]])
    drives = np.kron(downstream[:, None] == np.arange(drive_groups)[None, :], [[0.5, -0.5]])
    # Signs that differ from drive group to drive group keep their logits from rising and falling together.
    drives *= (-1.0) ** (upstream * downstream)[:, None]
    w_in = reads + noise * rng.standard_normal(reads.shape)
    w_out = drives + noise / 2 * rng.standard_normal(drives.shape)
    # A threshold below the middle keeps most units on for most inputs, as in a trained network's first
    # layer, while leaving a kink for the measures to average over.
    b_in = np.full(len(upstream), 0.5)
    x = rng.standard_normal((samples, 2 * read_groups))
    hidden = np.maximum(x @ w_in + b_in, 0)
    # Logits with mean zero: no class wins by default.
    b_out = -hidden.mean(axis=0) @ w_out
    logits = hidden @ w_out + b_out
    return CrossedNetwork(
        weights=[w_in[None], w_out[None]],
        biases=[b_in[None], b_out[None]],
        x=x,
        y=logits.argmax(axis=1),
        upstream=upstream,
        downstream=downstream,
    )
