"""Annealing: what it finds, what it must not depend on, and moves of single units that end at the top."""

import io
import sys

import numpy as np
import pytest

from modlib import annealing, clustering
from modlib.annealing import anneal, climb
from modlib.clustering import canonical_labels, find_modules, modularity_matrix, sum_within


def matrix(seed, n_unit, contrast=0.0):
    generator = np.random.default_rng(seed)
    labels = np.arange(n_unit) % 4
    A = np.triu(generator.random((n_unit, n_unit)) + contrast * (labels[:, None] == labels), 1)
    return modularity_matrix(A + A.T), labels


def test_planted_modules_are_found_by_every_copy():
    B, labels = matrix(0, 48, contrast=2.0)
    for found in anneal(B, 6, 10, np.random.default_rng(0)):
        assert canonical_labels(found).tolist() == labels.tolist()


def test_the_best_come_first_and_are_better_than_chance():
    B, _ = matrix(1, 64)
    found = anneal(B, 6, 32, np.random.default_rng(0))
    assert found.shape == (32, 64)
    q = np.array([sum_within(B, labels) for labels in found])
    assert (np.diff(q) <= 1e-8).all()  # they were ranked in single precision
    drawn = np.random.default_rng(2).integers(0, 6, found.shape)
    assert q.min() > max(sum_within(B, labels) for labels in drawn) + 0.02


def test_the_generator_decides_and_scale_does_not():
    B, _ = matrix(3, 40)
    first, same, other = (anneal(B, 5, 8, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.tolist() == same.tolist() != other.tolist()
    assert anneal(B * 2.0**-40, 5, 8, np.random.default_rng(0)).tolist() == first.tolist()


def test_without_selection_copies_stay_apart():
    B, _ = matrix(4, 64)
    apart, together = (
        len({canonical_labels(labels).tobytes() for labels in anneal(
            B, 6, 64, np.random.default_rng(0), selection=selection)})
        for selection in (False, True)
    )  # fmt: skip
    assert apart > together


@pytest.mark.parametrize("n_unit", [1, 2, 3])
def test_small_graphs_and_units_without_any_pull(n_unit):
    assert anneal(np.zeros((n_unit, n_unit)), 2, 3, np.random.default_rng(0)).shape == (3, n_unit)


def test_a_climb_ends_where_no_unit_gains_by_a_move():
    B, _ = matrix(5, 30)
    start = np.random.default_rng(6).integers(0, 4, 30)
    found = climb(B, start, 5, 1e-12)
    assert sum_within(B, found) > sum_within(B, start) + 0.01
    for unit in range(30):
        for module in range(5):
            moved = found.copy()
            moved[unit] = module
            assert sum_within(B, moved) <= sum_within(B, found) + 1e-12
    assert climb(B, found, 5, 1e-12).tolist() == found.tolist()


def test_products_are_small_enough_for_one_thread():
    assert annealing.IN_ONE_PRODUCT <= 65536 * 4  # of OpenBLAS: interface/gemm.c


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self):
        """Say that it is one."""
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_a_search_in_a_large_graph_shows_how_far_it_is_where_there_is_a_terminal(kind, monkeypatch):
    monkeypatch.setattr(clustering, "LARGE", 40)
    monkeypatch.setattr(sys, "stderr", shown := kind())
    A = np.triu(np.random.default_rng(7).random((64, 64)), 1)
    part = find_modules(A + A.T, restarts=2)
    sweeps = clustering.LARGE_SWEEPS
    assert (f"/{sweeps}" in shown.getvalue()) == (kind is Terminal)
    assert shown.getvalue().startswith("\rannealing") or kind is io.StringIO

    monkeypatch.setitem(sys.modules, "tqdm", None)  # which only an extra brings
    monkeypatch.setattr(sys, "stderr", shown := kind())
    assert find_modules(A + A.T, restarts=2).labels.tolist() == part.labels.tolist()
    assert shown.getvalue() == ""
