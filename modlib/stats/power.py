"""How likely a test is to see a difference, and how small a difference it sees."""

import numpy as np
from scipy import special

from modlib import _checks

ALPHA = 0.05  # two-sided


def power(difference: float, sd: float, n: int) -> float:
    """Compute the chance that Student's test of `n` seeds, two-sided at 5 %, finds a mean difference.

    With n − 1 degrees of freedom it is P(T > t) + P(T < −t), with t the 97.5 % quantile of Student's t, and T
    of the noncentral t distribution with shift √n `difference` / `sd` (Cohen 1988, ch. 2).

    Parameters
    ----------
    difference
        True mean over seeds.
    sd
        Standard deviation over seeds, above 0.
    n
        Number of seeds, at least 2.

    Examples
    --------
    >>> round(power(0.5, 1.0, 34), 2)
    0.81
    """
    difference = _checks.real(difference, "difference")
    sd, n = _checks.real(sd, "sd", above=0.0), _checks.whole(n, "n", least=2)
    quantile = special.stdtrit(n - 1, 1 - ALPHA / 2)
    shift = np.sqrt(n) * difference / sd
    upper, lower = (special.nctdtr(n - 1, shift, t) for t in (quantile, -quantile))
    return float(1 - upper + lower)
