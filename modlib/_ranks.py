"""Ranks of numbers, where equal ones share the mean of theirs."""

import numpy as np
from jaxtyping import Float


def mean_ranks(values: Float[np.ndarray, "row number"]) -> Float[np.ndarray, "row number"]:
    """Rank the numbers of each row from 1; equal numbers get the mean of the ranks that they take up.

    Examples
    --------
    >>> mean_ranks(np.array([[0.3, 0.1, 0.3, 0.2]])).tolist()
    [[3.5, 1.0, 3.5, 2.0]]
    """
    order = values.argsort(axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    differs = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones((len(values), 1), dtype=bool)
    place = np.arange(1, values.shape[1] + 1)
    first = np.maximum.accumulate(np.where(np.hstack([ends, differs]), place, 0), axis=1)
    last = np.where(np.hstack([differs, ends]), place, values.shape[1])
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=1)
    return ranks
