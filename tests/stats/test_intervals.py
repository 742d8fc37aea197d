"""Intervals, trends and corrections, on data whose answer is known."""

import warnings
from math import comb

import numpy as np
import pytest
from scipy import stats

from modlib.stats.intervals import bootstrap, difference, holm, mean, trend


def interval(found):
    return np.array([found.value, found.low, found.high])


# --- mean


def test_mean_is_students_t():
    x = np.random.default_rng(0).normal(0.4, 0.2, size=9)
    found, known = mean(x, null=0.3), stats.ttest_1samp(x, 0.3)
    ends = known.confidence_interval()
    np.testing.assert_allclose(interval(found), [x.mean(), ends.low, ends.high])
    assert found.p == pytest.approx(known.pvalue)
    assert found.n == 9


def test_effect_is_in_standard_deviations_corrected_for_small_samples():
    # Nine values of mean 0.5 and standard deviation 1: d = 0.5, and J(8) = Γ(4) / (2 Γ(3.5)).
    x = stats.zscore(np.arange(9.0), ddof=1) + 0.5
    assert mean(x).effect == pytest.approx(0.5 * 6 / (2 * 3.3233509704478426))


def test_effect_is_not_biased_by_small_samples():
    rng = np.random.default_rng(1)
    samples = rng.normal(0.8, 1.0, size=(4000, 4))
    hedges = np.mean([mean(x).effect for x in samples])
    cohen = np.mean(samples.mean(axis=1) / samples.std(axis=1, ddof=1))
    assert abs(hedges - 0.8) < 0.04
    assert cohen - 0.8 > 0.1  # without the correction


def test_mean_drops_nan_and_moves_with_its_values():
    x = np.array([0.1, 0.4, 0.2, 0.7])
    assert mean([0.1, np.nan, 0.4, 0.2, 0.7]) == mean(x)
    np.testing.assert_allclose(interval(mean(3 * x + 1)), 3 * interval(mean(x)) + 1)
    assert mean(3 * x + 1, null=1.0).p == pytest.approx(mean(x).p)
    assert mean(3 * x + 1).p != pytest.approx(mean(x).p)


def test_one_value_has_no_interval_and_none_no_mean():
    one, none = mean([0.3]), mean([np.nan])
    assert (one.value, one.n) == (0.3, 1)
    assert np.isnan([one.low, one.high, one.p, one.effect]).all()
    assert none.n == 0
    assert np.isnan(none.value)


def test_three_values_have_an_effect_size():
    x = np.array([0.0, 1.0, 2.0])  # J(2) = Γ(1) / Γ(1/2)
    assert mean(x).effect == pytest.approx(1 / np.sqrt(np.pi))
    assert np.isnan(mean(x[:2]).effect)


def test_nothing_but_zeros_is_no_evidence():
    assert mean(np.zeros(9)).p == 1.0


def test_values_without_spread_are_judged_by_their_signs():
    same = mean(np.full(9, 0.1))  # a mean of nine tenths is off by rounding
    assert (same.low, same.high) == (same.value, same.value)
    assert same.p == 2.0**-8
    assert same.effect == np.inf
    assert mean(np.full(9, 0.1), null=0.1).p == 1.0


def test_without_spread_p_is_that_of_the_exact_test():
    """Of all ways to put five and four values into groups, or signs on nine, two are as extreme."""
    assert difference(np.full(5, 0.3), np.full(4, 0.1)).p == 2 / comb(9, 5)
    assert bootstrap(lambda s: s.mean(axis=1), np.full(9, 0.25)).p == 2 / 2**9


def test_two_values_have_an_interval_but_no_corrected_effect():
    """With one degree of freedom the correction of Hedges' g is 0, whatever the data."""
    assert np.isfinite(interval(mean([0.1, 0.3]))).all()
    assert np.isnan(mean([0.1, 0.3]).effect)


# --- difference


def test_difference_is_welchs():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.5, 0.1, size=9), rng.normal(0.3, 0.4, size=20)
    found, known = difference(a, b), stats.ttest_ind(a, b, equal_var=False)
    ends = known.confidence_interval()
    np.testing.assert_allclose(interval(found), [a.mean() - b.mean(), ends.low, ends.high])
    assert found.p == pytest.approx(known.pvalue)
    assert found.n == 9
    assert difference(a, b, null=0.2).p == pytest.approx(stats.ttest_ind(a - 0.2, b, equal_var=False).pvalue)


def test_difference_changes_sign_when_its_groups_change_places():
    a, b = np.array([0.1, 0.5, 0.4]), np.array([0.9, 0.2, 0.3, 0.8])
    there, back = difference(a, b), difference(b, a)
    np.testing.assert_allclose([back.value, back.low, back.high], [-there.value, -there.high, -there.low])
    assert back.effect == pytest.approx(-there.effect)


def test_effect_of_a_difference_is_in_pooled_standard_deviations():
    # Variances 1 and 4 of 3 values each: pooled √2.5; J(4) = Γ(2) / (√2 Γ(1.5)).
    found = difference([4.0, 5.0, 6.0], [0.0, 2.0, 4.0])
    assert found.effect == pytest.approx(3 / np.sqrt(2.5) / (np.sqrt(2) * np.sqrt(np.pi) / 2))


def test_a_group_of_one_has_no_interval():
    found = difference([0.5, 0.6, 0.4], [0.2])
    assert found.value == pytest.approx(0.3)
    assert np.isnan([found.low, found.high, found.p]).all()


# --- trend


def curves(rho_up, rho_down, levels=8):
    """Curves of which so many rise and so many fall, all strictly: the mean correlation is known."""
    rise = np.geomspace(0.1, 3.0, levels)
    return np.array([rise] * rho_up + [-rise] * rho_down)


@pytest.mark.parametrize(("up", "down", "rho"), [(9, 0, 1.0), (0, 9, -1.0), (6, 3, 1 / 3)])
def test_trend_of_known_order(up, down, rho):
    found = trend(np.linspace(0.05, 0.7, 8), curves(up, down))
    assert found.value == pytest.approx(rho)
    assert found.n == 9


def test_trend_is_spearmans_and_takes_ties_and_gaps():
    rng = np.random.default_rng(7)
    strength = np.geomspace(1e-5, 1e-1, 9)
    q = np.round(rng.normal(size=(7, 9)) + np.arange(9) / 4, 1)
    q[1, 4] = q[1, 2]
    q[2, [0, 5]] = np.nan
    q[5, 2:] = np.nan  # two levels are left
    q[6] = 0.3  # no order
    known = [stats.spearmanr(strength, row, nan_policy="omit").statistic for row in q[:5]]
    found = trend(strength, q)
    np.testing.assert_allclose(interval(found), np.clip(interval(mean(np.array(known))), -1, 1))
    assert found.n == 5


@pytest.mark.parametrize("seeds", [1, 3, 4])
def test_trend_of_fewer_than_five_seeds_has_no_interval(seeds):
    found = trend(np.arange(8.0), curves(seeds - 1, 1) if seeds > 1 else curves(1, 0))
    assert found.value == pytest.approx((seeds - 2) / seeds if seeds > 1 else 1.0)
    assert found.n == seeds
    assert np.isnan([found.low, found.high, found.p, found.effect]).all()


def test_trend_depends_on_order_alone():
    rng = np.random.default_rng(8)
    strength, q = np.geomspace(1e-4, 1e-1, 7), rng.normal(size=(9, 7)) + np.arange(7) / 3
    found, order = trend(strength, q), rng.permutation(7)
    assert trend(np.log(strength), np.exp(q)) == found
    np.testing.assert_allclose(interval(trend(strength[order], q[:, order])), interval(found))
    assert trend(strength[order], q).value != pytest.approx(found.value)


def test_trend_of_noise_is_rarely_significant():
    q = np.random.default_rng(9).normal(size=(800, 9, 7))
    share = np.mean([trend(np.arange(7.0), sample).p < 0.05 for sample in q])
    assert 0.03 < share < 0.07


# --- bootstrap


def test_bootstrap_of_a_mean_is_students_t():
    x = np.random.default_rng(10).normal(0.4, 0.2, size=9)
    found, known = bootstrap(lambda s: s.mean(axis=1), x, draws=40_000, null=0.3), mean(x, null=0.3)
    np.testing.assert_allclose(interval(found), interval(known), rtol=0.01)
    assert found.p == pytest.approx(known.p, rel=0.05)
    assert found.effect == pytest.approx(known.effect, rel=0.02)


def test_all_of_a_seed_stays_together():
    # Two networks of a seed that cancel: only a bootstrap that parts them sees any spread in their sum.
    x = np.random.default_rng(11).normal(size=(9, 1)) * np.array([1.0, -1.0])
    together = bootstrap(lambda s: s.sum(axis=(1, 2)), x)
    parted = bootstrap(lambda s: s.sum(axis=1), x.ravel())
    assert together.high - together.low < 1e-10
    assert parted.high - parted.low > 1.0


def test_bootstrap_takes_the_numbers_of_seeds():
    x = np.random.default_rng(12).normal(size=(6, 3))
    whole = bootstrap(lambda s: np.median(s.reshape(len(s), -1), axis=1), x)
    by_number = bootstrap(lambda i: np.median(x[i].reshape(len(i), -1), axis=1), np.arange(6))
    assert whole == by_number
    assert whole != bootstrap(lambda s: np.median(s.reshape(len(s), -1), axis=1), x, seed=1)


def test_bootstrap_leaves_out_draws_that_have_no_value():
    x = np.array([0.1, 0.2, 0.4, 0.3])
    found = bootstrap(lambda s: np.where(s.max(axis=1) > s.min(axis=1), s.mean(axis=1), np.nan), x)
    assert np.isfinite(interval(found)).all()


@pytest.mark.parametrize(("share", "is_enough"), [(0.5, True), (0.505, False)])
def test_bootstrap_needs_a_value_in_half_of_the_draws(share, is_enough):
    """The first draws have none; the sample itself, a single one, has."""
    x = np.array([0.1, 0.2, 0.4, 0.3])
    found = bootstrap(
        lambda s: np.where(np.arange(len(s)) < share * (len(s) - 1), np.nan, s.mean(axis=1)), x, draws=200
    )
    assert found.value == pytest.approx(0.25)
    assert np.isfinite([found.low, found.high, found.p]).all() == is_enough


# --- many claims


def test_holm_by_hand():
    # Times 4, 3, 2, 1 in order of size: .04, .06, .06 (not .04), .2
    np.testing.assert_allclose(holm([0.02, 0.01, 0.03, 0.2]), [0.06, 0.04, 0.06, 0.2])
    np.testing.assert_allclose(holm([0.5, 0.4]), [0.8, 0.8])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])


def test_holm_leaves_nan_out():
    np.testing.assert_allclose(holm([np.nan, 0.01, 0.04]), [np.nan, 0.02, 0.04])
    assert holm(np.array([])).shape == (0,)


def test_holm_keeps_false_alarms_of_a_family_rare():
    p = np.random.default_rng(13).uniform(size=(4000, 16))
    adjusted = np.array([holm(family) for family in p])
    assert 0.04 < (adjusted.min(axis=1) < 0.05).mean() < 0.06
    assert (p.min(axis=1) < 0.05).mean() > 0.5  # without it


# --- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean([0.1, np.inf]), "values must be one finite number"),
        (lambda: mean(np.zeros((2, 2))), r"values must be .* got shape \(2, 2\)"),
        (lambda: mean([0.1], null=np.nan), "null must be finite, got nan"),
        (lambda: difference([0.1], [[0.2]]), "b must be one finite number"),
        (lambda: trend([0.1, 0.2], np.zeros((3, 2))), "at least 3 levels, got 2"),
        (lambda: trend([0.1, 0.2, 0.3], np.zeros((3, 4))), "strength must have a finite entry a level"),
        (lambda: bootstrap(lambda s: s.mean(axis=1), np.zeros(2)), "sample must have at least 3 seeds"),
        (
            lambda: bootstrap(lambda s: s.mean(axis=1), np.zeros(5), draws=10),
            "draws must be at least 100, got 10",
        ),
        (lambda: bootstrap(lambda s: s, np.zeros(5)), "statistic must give one number a draw"),
        (lambda: holm([0.1, 1.2]), r"p must be in \[0, 1\]"),
    ],
)
@pytest.mark.usefixtures("as_a_user")
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the smallest samples, and what is left out of a call


def test_groups_of_two_are_compared_by_welch():
    a, b = np.array([0.3, 0.5]), np.array([0.1, 0.2])
    known = stats.ttest_ind(a, b, equal_var=False)
    found, ends = difference(a, b), known.confidence_interval()
    np.testing.assert_allclose(interval(found), [0.25, ends.low, ends.high])
    assert found.p == pytest.approx(known.pvalue)
    assert found.n == 2


def test_a_group_of_one_or_none_has_no_interval():
    one = difference([0.3], [0.1, 0.2, 0.3, 0.4])
    assert (one.value, one.n) == (pytest.approx(0.05), 1)
    assert np.isnan([one.low, one.high, one.p]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for a, b in (([], [0.1, 0.2]), ([0.1, 0.2], []), ([], [])):
            none = difference(a, b)
            assert none.n == 0
            assert np.isnan(none.value)


def test_three_levels_are_enough_for_a_trend():
    q = np.array([[0.1, 0.2, 0.3]] * 4 + [[0.1, 0.3, 0.2]])
    found = trend(np.array([0.1, 0.2, 0.3]), q)
    assert found.n == 5
    assert found.value == pytest.approx((4 * 1 + 0.5) / 5)


def test_a_bootstrap_is_held_against_zero_unless_told_otherwise():
    x = np.random.default_rng(7).normal(1.0, 0.5, size=9)

    def means(drawn):
        return drawn.mean(axis=1)

    assert bootstrap(means, x) == bootstrap(means, x, null=0.0, seed=0)
    assert bootstrap(means, x).p < 0.05 < bootstrap(means, x, null=1.0).p
