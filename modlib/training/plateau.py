"""When a network's learning rate falls and when its training is over."""

import numpy as np
from jaxtyping import Bool, Float, Int


class Plateau:
    """Learning rates of n networks, each multiplied by `decay` when its own loss has stopped improving.

    The rate follows ``torch.optim.lr_scheduler.ReduceLROnPlateau`` with that class's defaults: an improvement
    is a loss below (1 − 10⁻⁴) × the best, and the rate falls in the epoch after `patience` epochs without one
    if that epoch brings none either. Stopping counts any lower loss as an improvement.
    """

    def __init__(self, n: int, rate: float, decay: float, patience: int) -> None:
        self.rate = np.full(n, rate)
        self.decay, self.patience = decay, patience
        self._best = np.full(n, np.inf)  # as the schedule counts
        self._bad = np.zeros(n, dtype=np.int64)
        self._lowest = np.full(n, np.inf)  # as stopping counts
        self._waited = np.zeros(n, dtype=np.int64)

    def update(
        self, networks: Int[np.ndarray, " some"], loss: Float[np.ndarray, " some"], stop_after: int | None
    ) -> Bool[np.ndarray, " some"]:
        """Take an epoch's losses, and tell which networks have not improved for `stop_after` epochs."""
        better = loss < self._best[networks] * (1 - 1e-4)
        self._best[networks] = np.where(better, loss, self._best[networks])
        self._bad[networks] = np.where(better, 0, self._bad[networks] + 1)
        falls = networks[self._bad[networks] > self.patience]
        lower = self.rate[falls] * self.decay
        self.rate[falls] = np.where(self.rate[falls] - lower > 1e-8, lower, self.rate[falls])
        self._bad[falls] = 0

        lowest = loss < self._lowest[networks]
        self._lowest[networks] = np.where(lowest, loss, self._lowest[networks])
        self._waited[networks] = np.where(lowest, 0, self._waited[networks] + 1)
        if stop_after is None:
            return np.zeros(len(networks), dtype=bool)
        return np.asarray(self._waited[networks] >= stop_after)
