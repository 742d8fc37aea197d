"""Average linkage: modules by repeated merging, with their number given."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from modlib import _checks
from modlib._checks import Labels, Matrix
from modlib.clustering import Partition, checked_weights, partition_by


def merge_by_average(A: ArrayLike, n_modules: int) -> Partition:
    """Merge the two modules with the largest mean weight between them, until so many are left.

    It is average linkage (Sokal & Michener 1958, through SciPy) by the distance max A − A_ij. Any other
    distance that falls linearly with the weight gives the same modules.

    The partition is like one of `modlib.find_modules`: `q` is the modularity of its modules, units without an
    edge are −1, and `stability` is nan. With fewer units than `n_modules`, each is a module.

    Parameters
    ----------
    A
        (unit, unit) edge weights as for `modlib.modularity`.
    n_modules
        Number of modules, at least 1.

    Examples
    --------
    >>> from modlib.planted import planted_graph
    >>> merge_by_average(planted_graph((3, 2, 2))[0], 3).labels.tolist()
    [0, 0, 0, 1, 1, 2, 2]
    """
    weights, n_modules = checked_weights(A), _checks.whole(n_modules, "n_modules", least=1)

    def merged(weights: Matrix, _: Matrix) -> Labels:
        distance = weights.max() - weights
        np.fill_diagonal(distance, 0)
        tree = hierarchy.linkage(squareform(distance), method="average")
        cut = hierarchy.cut_tree(tree, n_clusters=[min(n_modules, len(weights))])
        return np.asarray(cut[:, 0].astype(np.int64))

    return partition_by(merged, weights)
