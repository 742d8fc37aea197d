"""Power, held against simulated experiments and against what it must be at its ends."""

import doctest

import numpy as np
import pytest
from scipy import stats

from modlib.stats import power as module
from modlib.stats.power import ALPHA, power


@pytest.mark.parametrize(
    ("difference", "sd", "n"), [(0.5, 1.0, 10), (0.02, 0.05, 60), (-1.0, 1.0, 6), (0.3, 1.0, 3)]
)
def test_power_is_the_share_of_experiments_that_find_the_difference(difference, sd, n):
    rng = np.random.default_rng(0)
    repetitions = 20_000
    p = stats.ttest_1samp(difference + sd * rng.standard_normal((repetitions, n)), 0, axis=1).pvalue
    share = (p <= ALPHA).mean()
    assert power(difference, sd, n) == pytest.approx(
        share, abs=4 * np.sqrt(share * (1 - share) / repetitions)
    )


def test_without_a_difference_it_is_the_level():
    for n in (2, 3, 9, 60):
        assert power(0.0, 1.0, n) == pytest.approx(ALPHA, abs=1e-6)


@pytest.mark.parametrize("n", [3, 9, 60])
def test_it_grows_with_the_difference_and_is_always_a_number(n):
    grid = [power(difference, 1.0, n) for difference in np.linspace(0, 30, 301)]
    assert np.isfinite(grid).all()
    assert (np.diff(grid) >= -1e-9).all()
    assert 0.999 < grid[-1] <= 1
    mirrored = [power(-difference, 1.0, n) for difference in np.linspace(0, 30, 301)]
    assert mirrored == pytest.approx(grid)


def test_only_the_ratio_to_the_spread_matters_and_large_ones_are_sure():
    assert power(0.2, 0.4, 9) == pytest.approx(power(0.02, 0.04, 9))
    assert power(1.0, 1e-3, 60) == 1.0  # where the noncentral distribution is hard to compute


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.1, 0.0, 9), "sd must be"), ((0.1, 1.0, 1), "n must be"), ((np.nan, 1.0, 9), "difference must be")],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        power(*arguments)


def test_examples_in_docstrings():
    assert doctest.testmod(module).failed == 0
