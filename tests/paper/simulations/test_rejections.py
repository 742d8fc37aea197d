"""Tests on layers without modules reject as often as they say, and more often as modules are planted."""

import numpy as np
import pytest
from scipy import stats

from modlib.clustering import modularity
from modlib.measures import MEASURES
from modlib.paper.simulations import rejections
from modlib.paper.simulations.rejections import (
    ALPHA,
    BAND,
    BLOCKS,
    CASES,
    NARROW,
    UNITS,
    planted_layer,
    planted_networks,
    power,
    read,
    rejects,
    size,
    vectors,
)

BLOCK = np.repeat(np.arange(BLOCKS), UNITS // BLOCKS)


def correlations(S):
    scale = 1 / np.sqrt(np.diagonal(S))
    return S * np.outer(scale, scale)


def q_of_blocks(S):
    """Q of the planted blocks in the normalised graph."""
    A = np.abs(correlations(S))
    np.fill_diagonal(A, 0)
    return modularity((A + A.T) / 2, BLOCK)


def binomial_band(hits, n, *, chance=1e-4):
    """Whether a count is what a rate within the band gives, but for one case in 10,000."""
    above = stats.binom.sf(hits - 1, n, ALPHA + BAND)
    below = stats.binom.cdf(hits, n, ALPHA - BAND)
    return above > chance and below > chance


# ---------------------------------------------------------------- layers


def test_vectors_have_the_variances_and_the_common_part_asked_for():
    rng = np.random.default_rng(0)
    found = np.stack([vectors(rng, dimensions=4, common=0.5, decay=2.0) for _ in range(200)])
    scale = 1 / np.arange(1, 5)
    np.testing.assert_allclose(found.std((0, 1)), scale, rtol=0.03)
    np.testing.assert_allclose(found.mean((0, 1)), 0.5 * scale, atol=0.03)


def test_a_core_shares_more_with_all_than_the_others_do():
    rng = np.random.default_rng(0)

    def spread(uneven):
        return np.mean(
            [vectors(rng, dimensions=200, common=0.5, uneven=uneven).mean(1).std() for _ in range(20)]
        )

    assert spread(1.0) > 2.5 * spread(0.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.data)
def test_a_case_draws_similarities_without_blocks(case):
    rng = np.random.default_rng(0)
    drawn = [case.draw(rng) for _ in range(20)]
    for S in drawn[:3]:
        assert S.shape == (UNITS, UNITS)
        np.testing.assert_allclose(S, S.T)
        assert np.linalg.eigvalsh(S).min() > -1e-8 * np.abs(S).max()
    assert not np.allclose(drawn[0], drawn[1])
    assert abs(np.mean([q_of_blocks(S) for S in drawn])) < 0.03


def test_planted_blocks_grow_with_strength_and_are_none_at_zero():
    found = [
        np.mean([q_of_blocks(planted_layer(np.random.default_rng(i), s)) for i in range(10)])
        for s in (0.0, 0.2, 0.5, 1.0)
    ]
    assert abs(found[0]) < 0.03
    assert np.all(np.diff(found) > 0.03)


def test_planted_weights_keep_their_variance_and_leave_blocks_at_full_strength():
    for strength in (0.0, 0.5, 1.0):
        stack = planted_networks(range(60), strength)
        for w in stack.weights:
            assert float(w.var()) == pytest.approx(1 / NARROW, rel=0.05)
            rows, columns = (np.repeat(np.arange(BLOCKS), n // BLOCKS) for n in w.shape[1:])
            within = rows[:, None] == columns
            share = float((w[:, within] ** 2).sum() / (w**2).sum())
            assert share == pytest.approx((1 + 3 * strength) / 4, abs=0.02)
    assert not np.asarray(w)[:, ~within].any()


def test_networks_of_a_seed_are_the_same_alone_or_in_company():
    together, alone = planted_networks([3, 4], 0.3), planted_networks([4], 0.3)
    for a, b in zip(together.weights, alone.weights, strict=True):
        np.testing.assert_array_equal(a[1], b[0])


# ---------------------------------------------------------------- tests


def test_clear_blocks_are_rejected_in_both_graphs_whatever_the_sizes():
    rng = np.random.default_rng(0)
    S = np.where(BLOCK[:, None] == BLOCK, 0.8, 0.05)
    np.fill_diagonal(S, 1)
    size = np.exp(0.5 * rng.standard_normal(UNITS))
    assert rejects(S * np.outer(size, size), rng).tolist() == [True, True]
    assert rejects(S, rng, ("normalised",)).tolist() == [True]


def test_a_repetition_is_the_same_again_and_another_seed_is_not():
    found = [[rejections.rejects_planted(0.15, i, seed) for i in range(12)] for seed in (0, 0, 1)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("function", [size, power])
def test_few_repetitions_are_refused(function):
    with pytest.raises(ValueError, match="repetitions must be at least 20, got 19"):
        function(repetitions=19)


def test_a_row_counts_what_it_says():
    found = rejections.row("n", "d", "g", [True] * 3 + [False] * 17, limit=False)
    assert (found["rejected"], found["repetitions"], found["rate"]) == (3, 20, 0.15)
    assert found["low"] < 0.15 < found["high"]


@pytest.mark.long
@pytest.mark.slow
def test_computed_anew_the_tests_hold_their_size():
    """Fewer repetitions than are stored, so the bound is that of their number; rows are pooled."""
    table = size(repetitions=30, seed=5)
    claimed = table[~table.limit]
    assert list(table.columns) == list(read("size").columns)
    layers = claimed[(claimed.null == "similarity") & (claimed.graph == "normalised")]
    assert binomial_band(layers.rejected.sum(), layers.repetitions.sum())
    for row in claimed.itertuples():
        assert binomial_band(row.rejected, row.repetitions), row
    unequal = table[table.data == "dimensions of variance 1/k"]
    assert not binomial_band(unequal.rejected.sum(), unequal.repetitions.sum())


@pytest.mark.long
@pytest.mark.slow
def test_computed_anew_power_grows_from_the_size_to_one():
    rates = [np.mean([rejections.rejects_planted(s, i, 5) for i in range(40)]) for s in (0.0, 0.3, 0.6)]
    assert binomial_band(round(40 * rates[0]), 40)
    assert rates[0] < rates[1] < rates[2]
    assert rates[2] > 0.9


# ---------------------------------------------------------------- what is stored


@pytest.fixture(scope="module")
def stored():
    return {name: read(name) for name in ("size", "power")}


def test_stored_sizes_are_within_the_band_where_they_are_claimed(stored):
    table = stored["size"]
    claimed = table[~table.limit]
    assert claimed.repetitions.min() >= 1000
    assert ((claimed.rate - ALPHA).abs() <= BAND).all(), claimed.to_string()
    assert abs(claimed.rate.mean() - ALPHA) < 0.01
    assert set(claimed.null) == {"similarity", "weights-permuted"}


def test_stored_sizes_show_where_the_similarity_null_takes_a_spectrum_for_modules(stored):
    limits = stored["size"].query("limit").set_index("data").rate
    assert limits["dimensions of variance 1/k"] > 0.5
    assert limits["30 dimensions, much in common"] > ALPHA


def test_every_row_that_the_simulation_has_is_stored(stored):
    wanted = {(case.data, graph, case.limit) for case in CASES for graph in case.graphs}
    rows = stored["size"][["data", "graph", "limit"]].itertuples(index=False, name=None)
    assert wanted < set(rows)
    networks = stored["size"].query("data == 'random networks'")
    assert networks.groupby("null").size().to_dict() == {"similarity": 8, "weights-permuted": 8}
    assert (stored["size"].draws == 19).all()


def test_stored_power_grows_with_strength(stored):
    table = stored["power"]
    layers = table[table.data == "layers"].sort_values("strength")
    assert layers.rate.is_monotonic_increasing or (layers.rate.diff().min() > -0.1)
    assert layers.rate.iloc[0] < 0.15
    assert layers.rate.iloc[-1] > 0.9
    networks = table[table.data == "networks"]
    top = networks[networks.strength == networks.strength.max()]
    none = networks[networks.strength == 0].set_index(["null", "graph"]).rate
    assert (none["weights-permuted"] < 0.15).all()
    assert (top.groupby("null").rate.mean() > none.groupby("null").mean() + 0.3).all()
    assert set(networks.graph) == {f"{m}, {form}" for m in MEASURES for form in ("raw", "normalised")}
