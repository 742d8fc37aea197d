"""The bound of any part of the partitions against the best of that part, found by looking at all of them."""

import math

import numpy as np
import pytest
from exhaustive import KINDS, best_q, graph

from modlib import cuts
from modlib.clustering import modularity_matrix
from modlib.relaxation import TOLERANCE, Effort, Region, _proven_shift  # noqa: PLC2701

SHORT, LONG = Effort(rounds=30, progress=0.5), Effort(rounds=300, progress=0.01)
ROUNDING = 1e-13


def region(kind, n_unit, seed):
    return Region.whole(modularity_matrix(graph(kind, n_unit, seed)), 1.0)


def split(whole, steps, generator):
    """Merge and separate pairs at random, each tightened a little before the next."""
    for _ in range(steps):
        whole.tighten(-math.inf, SHORT, math.inf, generator)
        pairs = np.argwhere(whole.undecided())
        if not len(pairs):
            break
        i, j = pairs[generator.integers(len(pairs))].tolist()
        whole = whole.merged(i, j) if generator.random() < 0.4 else whole.separated(i, j)
    return whole


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_unit", "seed"), [(2, 0), (3, 0), (5, 0), (8, 0), (8, 1), (10, 0)])
def test_bound_of_all_partitions_is_never_below_the_best(kind, n_unit, seed):
    whole = region(kind, n_unit, seed)
    best = best_q(whole.B)
    generator = np.random.default_rng(seed)
    for effort in (SHORT, LONG):
        whole.tighten(-math.inf, effort, math.inf, generator)
        assert whole.bound >= best - ROUNDING
        assert whole.floor <= best + ROUNDING
    assert whole.bound <= best + 5e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_bound_of_a_part_is_never_below_its_best(kind, seed):
    generator = np.random.default_rng(seed)
    part = split(region(kind, 9, seed), 1 + seed, generator)
    best = best_q(part.B, part.apart)
    part.tighten(-math.inf, LONG, math.inf, generator)
    assert best_q(part.B, part.apart) == best  # without a floor, nothing may be kept apart
    assert part.bound >= best - ROUNDING
    assert part.floor <= best_q(region(kind, 9, seed).B) + ROUNDING


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("below", [0.0, 1e-6, 1e-4, 1e-2])
def test_what_is_kept_apart_holds_no_partition_better_than_the_floor(kind, below):
    for seed in range(2):
        generator = np.random.default_rng(seed)
        part = split(region(kind, 9, seed), 2 * seed, generator)
        best = best_q(part.B, part.apart)
        for _ in range(2):
            part.tighten(best - below, LONG, math.inf, generator)
        left = best_q(part.B, part.apart)
        assert left == best or best <= best - below + TOLERANCE
        assert part.bound >= best - ROUNDING


def test_two_halves_hold_what_the_whole_holds():
    for kind in KINDS:
        generator = np.random.default_rng(1)
        whole = region(kind, 7, 1)
        whole.tighten(-math.inf, SHORT, math.inf, generator)
        i, j = 2, 5
        together, apart = whole.merged(i, j), whole.separated(i, j)
        best = [best_q(half.B, half.apart) for half in (together, apart)]
        assert max(best) == pytest.approx(best_q(whole.B), abs=1e-14)
        assert together.group[i] == together.group[j]
        for half, q in zip((together, apart), best, strict=True):
            half.tighten(-math.inf, LONG, math.inf, generator)
            assert half.bound >= q - ROUNDING


def test_any_dual_matrix_and_multipliers_prove_a_bound():
    generator = np.random.default_rng(3)
    for spread in (0.0, 1e-3, 0.1, 10.0):
        part = region("dense", 8, 2).separated(0, 3).merged(1, 2)
        vectors = generator.integers(-2, 3, (20, 7)).astype(np.int8)
        S = spread * generator.standard_normal((7, 7))
        best = best_q(part.B, part.apart)
        part.bound = math.inf
        t = spread * generator.random(20)
        part.prove(S + S.T, t, vectors, floor=-math.inf)
        assert best <= part.bound < math.inf


def test_every_partition_obeys_every_cut():
    generator = np.random.default_rng(4)
    vectors = generator.integers(-3, 4, (300, 9)).astype(np.int8)
    rows, right = cuts.coefficients(vectors)
    i, j, _ = cuts.pairs_of(9)
    for _ in range(100):
        labels = generator.integers(0, 1 + generator.integers(9), 9)
        x = (labels[i] == labels[j]).astype(float)
        assert (rows @ x <= right).all()
        X = (labels[:, None] == labels).astype(float)
        quadratic = np.einsum("ci,ij,cj->c", vectors, X, vectors)
        np.testing.assert_allclose(2 * (right - rows @ x), quadratic - vectors.sum(axis=1))


def test_cuts_that_are_found_are_broken():
    generator = np.random.default_rng(5)
    X = generator.random((12, 12))
    X = (X + X.T) / 2
    np.fill_diagonal(X, 1)
    i, j, _ = cuts.pairs_of(12)
    none = np.zeros((0, 12), dtype=np.int8)
    for found in (cuts.broken_triangles(X, generator), cuts.broken_vectors(X, none, generator)):
        rows, right = cuts.coefficients(found)
        assert len(found)
        assert (rows @ X[i, j] > right).all()
    together = np.ones((6, 6))
    assert not len(cuts.broken_triangles(together, generator))
    assert not len(cuts.broken_vectors(together, none[:, :6], generator))


def test_shift_makes_any_matrix_positive_semidefinite():
    generator = np.random.default_rng(6)
    for size in (1, 2, 7, 30):
        for scale in (1e-12, 1.0, 1e9):
            low = generator.standard_normal((size, max(1, size // 2)))
            for S in (
                low @ low.T,
                np.zeros((size, size)),
                generator.standard_normal((size, size)),
                np.eye(size),
            ):
                S = scale * (S + S.T)
                shift = _proven_shift(S)
                exact = -float(np.linalg.eigvalsh(S.astype(np.float64))[0])
                assert (
                    exact - 1e-15 * scale <= shift <= exact + 1e-10 * scale * (1 + np.linalg.norm(S) / scale)
                )
