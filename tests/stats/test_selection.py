"""The best of many levels: found, and not rewarded for the number of levels looked at."""

import numpy as np
import pytest

from modlib.stats.intervals import bootstrap, difference, mean
from modlib.stats.selection import difference_of_best, held_out_best


def interval(found):
    return np.array([found.value, found.low, found.high])


def test_held_out_best_by_hand():
    q = np.array([[0.1, 0.9, 0.0], [0.5, 0.2, 0.1], [0.6, 0.1, 0.2]])
    np.testing.assert_array_equal(held_out_best(q), [0.1, 0.2, 0.1])
    q[0, 0] = np.nan  # seed 0 is sent to a level where it has no network; the others no longer see it there
    np.testing.assert_array_equal(held_out_best(q), [np.nan, 0.5, 0.1])


def test_held_out_best_does_not_depend_on_the_order_of_seeds_or_levels():
    rng = np.random.default_rng(3)
    q = rng.normal(size=(9, 14))
    seeds, levels = rng.permutation(9), rng.permutation(14)
    np.testing.assert_array_equal(held_out_best(q[seeds][:, levels]), held_out_best(q)[seeds])
    within = np.array([rng.permutation(row) for row in q])  # another order in each seed is another question
    assert not np.array_equal(held_out_best(within), held_out_best(q))


def test_winners_curse_is_gone():
    q = np.random.default_rng(4).normal(0.3, 0.1, size=(4000, 9, 16))  # all levels as good
    best = q.mean(axis=1).max(axis=1).mean()
    held_out = np.mean([held_out_best(sample).mean() for sample in q])
    assert best - 0.3 > 0.05
    assert abs(held_out - 0.3) < 0.004


def test_difference_of_best_is_the_mean_of_held_out_differences():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(9, 14)), rng.normal(size=(9, 16))
    a[2, 3:7] = np.nan
    found = difference_of_best([(a, b)])
    assert found.value == pytest.approx(np.nanmean(held_out_best(a) - held_out_best(b)))
    assert found.low < found.value < found.high
    assert difference_of_best([(a + 1.0, b)]).value == pytest.approx(found.value + 1)


def test_difference_of_best_of_single_levels_is_the_paired_mean():
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(2, 9, 1)) + rng.normal(size=(9, 1)) * 3
    found, paired = difference_of_best([(a, b)], draws=20_000), mean((a - b)[:, 0])
    np.testing.assert_allclose(interval(found), interval(paired), rtol=0.03)
    assert found.effect == pytest.approx(paired.effect, rel=0.03)
    alone = difference(a[:, 0], b[:, 0])
    assert alone.high - alone.low > 1.5 * (found.high - found.low)  # not pairing wastes the shared seeds


def test_copies_of_a_seed_are_held_out_together():
    # Each seed is alone in favour of a level of its own, which no other ever sends it to.
    found = difference_of_best([(np.eye(5), np.zeros((5, 1)))])
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    naive = bootstrap(lambda s: s.mean(axis=1).max(axis=1), np.eye(5))
    assert naive.value > 0.1


def test_several_graphs_are_averaged_within_a_resample():
    """Copies of one graph say no more than one of them; a graph and its mirror image cancel."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.4, 0.05, (6, 3)), rng.normal(0.3, 0.05, (6, 2))
    one = difference_of_best([(a, b)])
    many = difference_of_best([(a, b)] * 5)
    assert (many.value, many.low, many.high) == pytest.approx((one.value, one.low, one.high))
    none = difference_of_best([(a, b), (b, a)])
    assert none.value == pytest.approx(0, abs=1e-12)


def test_nothing_to_choose_from():
    found = difference_of_best([(np.zeros((3, 0)), np.ones((3, 2)))])
    assert found.n == 0
    assert np.isnan([found.value, found.low, found.high, found.p]).all()
    two = difference_of_best([(np.full((2, 1), 0.5), np.full((2, 1), 0.2))])
    assert (two.value, two.n) == (pytest.approx(0.3), 2)
    assert np.isnan(two.low)


def test_graphs_may_differ_in_their_levels_and_lack_some():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.4, 0.05, (5, 4)), rng.normal(0.3, 0.05, (5, 1))
    one = difference_of_best([(a, b)])
    assert difference_of_best([(np.zeros((5, 0)), b), (a, b)]) == one
    moved = difference_of_best([(a, b), (a + 1.0, b)])
    assert moved.value == pytest.approx(one.value + 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: held_out_best(np.zeros((1, 3))), "q must be .* at least 2 seeds"),
        (lambda: held_out_best(np.array([[0.1, np.inf], [0.2, 0.1]])), "q must be .* finite or nan"),
        (lambda: held_out_best(np.zeros(3)), r"q must be \(seed, level\)"),
        (
            lambda: difference_of_best([(np.zeros((3, 2)), np.zeros((4, 2)))]),
            r"same seeds row by row, got \[3, 4\]",
        ),
        (
            lambda: difference_of_best([(np.full((3, 2), np.inf), np.zeros((3, 2)))]),
            "a must be .* finite or nan",
        ),
        (lambda: difference_of_best([(np.zeros((3, 2)), np.zeros(3))]), r"b must be \(seed, level\)"),
        (
            lambda: difference_of_best([(np.zeros((3, 2)), np.zeros((3, 2)))], draws=9),
            "draws must be at least 100",
        ),
    ],
)
@pytest.mark.usefixtures("as_a_user")
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_other_graphs_can_be_subtracted(as_a_user):
    rng = np.random.default_rng(0)
    first, second = ([rng.normal(size=(6, 3)) for _ in range(2)] for _ in range(2))
    found = difference_of_best([tuple(first)], less=[tuple(second)])
    parts = [difference_of_best([tuple(pair)]).value for pair in (first, second)]
    assert found.value == pytest.approx(parts[0] - parts[1])
    same = difference_of_best([tuple(first)], less=[tuple(first)])
    assert (same.value, same.low, same.high) == (0, 0, 0)
    none = np.zeros((6, 0))
    assert difference_of_best([tuple(first)], less=[(first[0], none)]).n == 0
    with pytest.raises(ValueError, match="less must be of two"):
        difference_of_best([tuple(first)], less=[(first[0],)])


def test_a_lead_is_held_against_zero_unless_told_otherwise():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.5, 0.02, (6, 3)), rng.normal(0.4, 0.02, (6, 2))
    found = difference_of_best([(a, b)])
    assert found == difference_of_best([(a, b)], null=0.0, seed=0, draws=2000)
    assert found.p < 0.05 < difference_of_best([(a, b)], null=0.1).p
    assert found.low != difference_of_best([(a, b)], seed=1).low


def test_a_level_without_other_seeds_is_never_chosen():
    q = np.array([[-0.5, -0.1], [-0.4, np.nan], [-0.3, np.nan]])  # below the 0 that stands for nothing
    np.testing.assert_array_equal(held_out_best(q), [-0.5, np.nan, np.nan])
    np.testing.assert_array_equal(held_out_best(np.array([[0.1], [np.nan], [np.nan]])), [np.nan] * 3)


def test_one_seed_that_has_both_sides_is_not_diluted():
    b = np.array([[0.2, 0.3], [0.4, np.nan], [np.nan, np.nan]])  # the second is sent to where it has nothing
    assert difference_of_best([(np.full((3, 1), 0.5), b)]).value == pytest.approx(0.3)
