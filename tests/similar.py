"""Similarities of layers whose modules are known, as `modlib.similarities` gives them."""

from types import MappingProxyType

import numpy as np

UPSTREAM = np.repeat(np.arange(3), 8)  # of 24 units
DOWNSTREAM = np.arange(24) % 4


class Similarities(dict):
    """A mapping from measures to matrices, with what is known of the samples."""

    halves = None
    n_samples = 400
    n_positions = 1
    unit = "feature of the last axis"
    notes = ()


def samples(groups, seed, noise=0.6):
    """Draw activations of units that follow what their group has in common."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((400, groups.max() + 1))
    return shared[:, groups] + noise * rng.standard_normal((400, len(groups)))


def planted(*, dead=(), noise=0.6):
    """Three upstream and four downstream modules that cross; some units dead for upstream measures."""
    found, halves = Similarities(), ({}, {})
    of_measures = {
        "input_cov": UPSTREAM, "input_grad": UPSTREAM, "output_grad": DOWNSTREAM, "output_hess": DOWNSTREAM,
    }  # fmt: skip
    for seed, (measure, groups) in enumerate(of_measures.items()):
        x = samples(groups, seed, noise)
        if measure.startswith("input"):
            x[:, list(dead)] = 0
        found[measure] = np.cov(x.T)
        for half in (0, 1):
            halves[half][measure] = np.cov(x[half::2].T)
    found.halves = tuple(map(MappingProxyType, halves))
    return found
