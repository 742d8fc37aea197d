"""What the authors' code computes from three networks; see ``reference/README.md``."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "reference"


def graph(name):
    """Adjacency matrix by ``network/method/layer``: their similarities, without the diagonal."""
    network, _, key = name.partition("/")
    with np.load(FOLDER / f"networks_{network}.npz") as values:
        upper = values[key].astype(np.float64)  # on and above the diagonal, row by row
    A = np.zeros((64, 64))
    A[np.triu_indices(64)] = upper
    np.fill_diagonal(A, 0)
    return A + A.T


def partitions():
    """All partitions of their Monte Carlo search, with Q, and what they say of pairs of them."""
    return np.load(FOLDER / "partitions.npz")
