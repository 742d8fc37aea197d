"""Graphs of many kinds, and the largest Q of their partitions, found by looking at all of them."""

import numpy as np

KINDS = (
    "dense", "sparse", "planted", "hub", "equal", "structureless", "pendant", "two scales", "negligible",
)  # fmt: skip


def graph(kind, n_unit, seed):
    """Draw a graph without dead units."""
    generator = np.random.default_rng([seed, n_unit, KINDS.index(kind)])
    labels = generator.integers(0, 3, n_unit)
    A = generator.random((n_unit, n_unit))
    if kind == "sparse":
        A *= generator.random(A.shape) < 0.35
    elif kind == "planted":
        A *= np.where(labels[:, None] == labels, 1.0, 0.15)
    elif kind == "hub":
        strength = np.where(np.arange(n_unit) < 2, 1.0, 1e-4)
        A *= np.maximum(strength[:, None], strength)
    elif kind == "equal":
        A = np.ones_like(A) * (generator.random(A.shape) < 0.6)
    elif kind == "structureless":
        A = 1 + 0.1 * A
    elif kind == "pendant":
        A *= (generator.random(A.shape) < 0.5) & (np.arange(n_unit) < n_unit // 2)
    elif kind == "two scales":
        A = np.where(labels[:, None] == labels, A, 1e-6 * A)
    elif kind == "negligible":
        A *= np.outer(10.0 ** -np.arange(n_unit), np.ones(n_unit))
    A = np.triu(A, 1)
    A += A.T
    for i in np.flatnonzero(~A.any(axis=1)):
        j = (i + 1) % n_unit
        A[i, j] = A[j, i] = 0.5
    return A


def best_q(B, apart=None):
    """Largest sum of B within modules over all partitions whose modules hold no pair that is apart.

    The best partition of a set of units is the best module of its first unit and the best partition of the
    rest, for all sets and all modules.
    """
    n_unit = len(B)
    apart = np.zeros(B.shape, dtype=bool) if apart is None else apart
    inside = np.zeros(2**n_unit)  # sum of B within a set, −inf if a pair in it is apart
    for units in range(1, 2**n_unit):
        first = (units & -units).bit_length() - 1
        rest = units & (units - 1)
        others = [i for i in range(first + 1, n_unit) if rest >> i & 1]
        inside[units] = inside[rest] + B[first, first] + 2 * B[first, others].sum()
        if apart[first, others].any():
            inside[units] = -np.inf
    within, best = inside.tolist(), [0.0] + [-np.inf] * (2**n_unit - 1)
    for units in range(1, 2**n_unit):
        lowest = units & -units
        rest = part = units ^ lowest
        while True:
            value = within[lowest | part] + best[rest ^ part]
            if value > best[units]:
                best[units] = value
            if part == 0:
                break
            part = (part - 1) & rest
    return best[-1]
