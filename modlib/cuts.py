"""Inequalities that the matrix of every partition obeys, each told by a vector of integers.

X_ij is 1 where units i and j share a module, else 0. For a vector b of integers, bᵀXb = Σ_c b(c)², b(c) the
sum of b over module c, and b(c)² ≥ b(c) for whole numbers. So bᵀXb ≥ Σ_i b_i, whatever the partition.

With b 1 at i and k and −1 at j this is the triangle inequality x_ij + x_jk − x_ik ≤ 1. With entries −1, 0
and 1 they are the 2-partition inequalities of Grötschel & Wakabayashi 1990 (10.1007/BF01580870).
"""

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int8
from scipy import sparse

from modlib._checks import Matrix

Vectors = Int8[np.ndarray, "cut unit"]
Sparse = Any  #: A matrix of SciPy.
Pairs = Float[np.ndarray, " pair"]

TRIANGLE_VIOLATION = 0.01  #: A triangle is added when the solution breaks it by more than this,
VECTOR_VIOLATION = 0.03  #: and another vector when bᵀXb falls short of Σb by more than this.
MOST_CUTS = 500  #: So many of either kind, the most violated, are added at a time.
CENTRES = 128  #: Triangles are looked for around so many units at a time, drawn anew, if there are more.
SEARCHES = 600  #: Starts of a search for vectors; fewer where there are more than 128 units.
STEPS = 40  #: Changes of one entry that a search makes at most.
LARGEST_ENTRY = 3  #: Vectors with larger entries are thrown away.


@lru_cache(maxsize=256)
def pairs_of(
    n_unit: int,
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Int[np.ndarray, "unit unit"]]:
    """Units i < j of all pairs in order, and the matrix that holds the number of each pair."""
    i, j = np.triu_indices(n_unit, k=1)
    number = np.zeros((n_unit, n_unit), dtype=np.int64)
    number[i, j] = number[j, i] = np.arange(len(i))
    return i, j, number


def coefficients(vectors: Vectors) -> tuple[Sparse, Float[np.ndarray, " cut"]]:
    """Write the cuts as Σ_{i<j} −b_i b_j x_ij ≤ (Σ b_i² − Σ b_i) / 2: rows and right sides."""
    n_cut, n_unit = vectors.shape
    number = pairs_of(n_unit)[2]
    support = np.count_nonzero(vectors, axis=1)
    rows, columns, values = [], [], []
    for size in np.unique(support[support > 1]):
        of_size = np.flatnonzero(support == size)
        units = np.nonzero(vectors[of_size])[1].reshape(len(of_size), size)
        entries = np.take_along_axis(vectors[of_size], units, axis=1).astype(np.float64)
        a, b = np.triu_indices(size, k=1)
        rows.append(np.repeat(of_size, len(a)))
        columns.append(number[units[:, a], units[:, b]].ravel())
        values.append(-(entries[:, a] * entries[:, b]).ravel())
    shape = (n_cut, n_unit * (n_unit - 1) // 2)
    right = (np.square(vectors, dtype=np.int64) - vectors).sum(axis=1) / 2.0
    if not rows:
        return sparse.csr_matrix(shape), right
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(values), where), shape=shape), right


def broken_triangles(X: Matrix, generator: np.random.Generator) -> Vectors:
    """Find the triples where x_ij + x_jk − x_ik exceeds 1 most: b is 1 at i and k, and −1 at j.

    Memory grows with the square of the units, since triples are looked at around one unit j after another.
    """
    n_unit = len(X)
    found = [np.zeros((0, 3), dtype=np.int64)]
    excesses = [np.zeros(0)]
    for j in generator.permutation(n_unit)[:CENTRES].tolist():
        row = np.where(np.arange(n_unit) == j, 0.0, X[j])  # a triple with a repeated unit is never broken
        excess = row[:, None] + row - X - 1
        i, k = np.nonzero(np.triu(excess > TRIANGLE_VIOLATION, 1))
        found.append(np.stack([i, np.full(len(i), j), k], axis=1))
        excesses.append(excess[i, k])
    triples, excess = np.concatenate(found), np.concatenate(excesses)
    if len(triples) > MOST_CUTS:
        triples = triples[np.argpartition(-excess, MOST_CUTS)[:MOST_CUTS]]
    vectors = np.zeros((len(triples), n_unit), dtype=np.int8)
    np.put_along_axis(vectors, triples, np.array([1, -1, 1], dtype=np.int8), axis=1)
    return vectors


def broken_vectors(
    X: Matrix, seeds: Int8[np.ndarray, "seed unit"], generator: np.random.Generator
) -> Vectors:
    """Search for vectors of integers with bᵀXb < Σ b, from some cuts in force and from random ones.

    All searches go on at once. Each changes the one entry of its b by ±1 that lowers bᵀXb − Σ b most: the
    change is 2 (Xb)_i for +1 and 2 − 2 (Xb)_i for −1, so a search ends where all (Xb)_i are in [0, 1].
    """
    n_unit = len(X)
    count = max(SEARCHES * 128 // max(n_unit, 128), 8)
    each = np.arange(count)
    b = np.zeros((count, n_unit))
    for _ in range(4):
        b[each, generator.integers(n_unit, size=count)] += generator.choice([1, 1, -1], count)
    if len(seeds):
        seeded = min(count // 2, len(seeds))
        b[:seeded] = seeds[generator.choice(len(seeds), seeded, replace=False)]
        b[each[:seeded], generator.integers(n_unit, size=seeded)] += generator.choice([1, -1], seeded)
    product = b @ X
    shortfall = b.sum(axis=1) - (product * b).sum(axis=1)
    for _ in range(STEPS):
        up, down = product.argmin(axis=1), product.argmax(axis=1)
        rise, fall = -2 * product[each, up], 2 * product[each, down] - 2
        gain, where = np.maximum(rise, fall), np.where(rise >= fall, up, down)
        change = np.where(rise >= fall, 1.0, -1.0) * (gain > 1e-6)
        if not change.any():
            break
        b[each, where] += change
        product += change[:, None] * X[where]
        shortfall += np.abs(change) * gain
    kept = (shortfall > VECTOR_VIOLATION) & (np.abs(b).max(axis=1) <= LARGEST_ENTRY)
    vectors, first = np.unique(b[kept].astype(np.int8), axis=0, return_index=True)
    return vectors[np.argsort(-shortfall[kept][first], kind="stable")[:MOST_CUTS]]
