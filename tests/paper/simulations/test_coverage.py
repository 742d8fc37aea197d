"""The intervals in use hold the truth as often as they say; those not in use do not."""

import jaxtyping
import numpy as np
import pandas as pd
import pytest

from modlib.paper.simulations import coverage
from modlib.paper.simulations.coverage import simulate

BAND = 0.02  # around .95; the standard error of a row of 2,000 repetitions is .005


@pytest.fixture(scope="module")
def coverages():
    jaxtyping.config.update("jaxtyping_disable", True)  # checking millions of calls takes longer than they do
    yield simulate()
    jaxtyping.config.update("jaxtyping_disable", False)


def test_table_is_the_same_again_and_counts_what_it_says():
    table = simulate(repetitions=100, only="difference")
    assert table.equals(simulate(repetitions=100, only="difference"))
    assert not table.coverage.equals(simulate(repetitions=100, only="difference", seed=1).coverage)
    assert ((table.low <= table.coverage) & (table.coverage <= table.high)).all()
    np.testing.assert_allclose(table.coverage * 100 % 1, 0, atol=1e-9)
    assert not table.duplicated(["interval", "data", "method", "seeds"]).any()
    assert (table.groupby(["interval", "data", "seeds"]).used.sum() == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repetitions": 10}, "repetitions must be at least 100, got 10"),
        ({"only": "median"}, "only must be one of mean, difference, bootstrap, .* got 'median'"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        simulate(**options)


@pytest.mark.parametrize("change", ["column", "row", "method"])
def test_a_table_of_another_simulation_is_refused(change, monkeypatch, tmp_path):
    table = coverage.stored()
    if change == "column":
        table = table.rename(columns={"coverage": "share"})
    elif change == "row":
        table = table.iloc[1:]
    else:
        table = table.assign(method=table.method.replace("Welch over seeds", "Welch"))
    table.to_csv(tmp_path / "coverage.csv", index=False)
    monkeypatch.setattr(coverage, "FILE", tmp_path / "coverage.csv")
    with pytest.raises(
        ValueError,
        match=r"coverage.csv has columns .* modlib.paper.simulations.coverage.write\(\) makes it anew",
    ):
        coverage.stored()


@pytest.mark.long
@pytest.mark.slow
def test_the_whole_stored_table_is_that_of_the_simulation(coverages):
    pd.testing.assert_frame_equal(coverage.stored(), coverages.round(6), check_exact=False, atol=2e-6)


@pytest.mark.long
@pytest.mark.slow
def test_intervals_in_use_hold_their_coverage(coverages):
    used = coverages[coverages.used & ~coverages.limit]
    exact = used[used.interval != "difference_of_best"]
    assert ((exact.coverage - exact.nominal).abs() <= BAND).all(), exact.to_string()
    # Where levels tie, the best one cannot be known: that interval errs to the safe side.
    best = used[used.interval == "difference_of_best"]
    assert (best.coverage >= best.nominal - BAND).all(), best.to_string()


@pytest.mark.long
@pytest.mark.slow
def test_limits_are_limits_but_no_breakdown(coverages):
    limits = coverages[coverages.used & coverages.limit]
    worst = limits.sort_values("coverage").groupby("data").first()
    assert (worst.high < worst.nominal).all(), worst.to_string()
    assert (worst.coverage > 0.85).all()


@pytest.mark.long
@pytest.mark.slow
def test_intervals_not_in_use_fall_out_of_the_band(coverages):
    others = coverages[~coverages.used]
    worst = others.groupby(["interval", "method"]).coverage.min()
    assert (worst < 0.95 - BAND).all(), worst.to_string()
    wrong_unit = others[others.method.str.contains("independent|networks")]
    assert (wrong_unit.high < 0.8).all()  # on any data and with any number of seeds
    percentile = others[others.method == "percentile bootstrap over seeds"]
    assert (percentile.high < 0.95 - BAND).all()
