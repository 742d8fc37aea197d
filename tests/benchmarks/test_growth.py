"""Curves of time and memory: fitted powers, points in processes of their own, and graphs made sparse."""

import gc
import mmap
import time

import numpy as np
import pandas as pd
import pytest

from benchmarks import growth
from modlib.book.chapters.speed import estimates


def test_exponents_are_those_of_the_largest_sizes():
    size = np.array([1, 10, 100, 1000])
    seconds = np.array([7.0, 1e-3 * 10**1.5, 1e-3 * 100**1.5, 1e-3 * 1000**1.5])  # the first is all start-up
    table = pd.DataFrame({"what": "a", "size": size, "seconds": seconds, "mib": 3.0 * size**2})
    flat = pd.DataFrame({"what": "b", "size": size, "seconds": 2.0, "mib": 0.01})
    left_out = pd.DataFrame({"what": "c", "size": [1, 2], "seconds": [1.0, np.nan], "mib": [1.0, np.nan]})
    found = estimates.exponents(pd.concat([table, flat, left_out])).set_index("what")
    assert list(found.index) == ["a", "b"]
    assert found.loc["a", "time"] == pytest.approx(1.5)
    assert found.loc["a", "memory"] == pytest.approx(2)
    assert found.loc["a", "from"] == 10
    assert found.loc["b", "time"] == pytest.approx(0, abs=1e-9)
    assert found.loc["b", "memory"] == pytest.approx(0, abs=1e-9)


def test_a_point_that_takes_too_long_leaves_out_the_larger_ones(monkeypatch):
    asked = []

    def apart(what, size):
        asked.append(size)
        taken = np.nan if size == 2 else float(size)
        return {"seconds": taken, "mib": taken}

    monkeypatch.setattr(growth, "measure_apart", apart)
    table = growth.measure({"a": (1, 2, 3), "b": (1,)})
    assert asked == [1, 2, 1]
    assert table.seconds.tolist()[0] == 1
    assert table.seconds.isna().tolist() == [False, True, True, False]


@pytest.mark.slow
def test_a_point_is_measured_in_a_process_of_its_own():
    found = growth.measure_apart("agreement by units", 32)
    assert 0 < found["seconds"] < 60
    assert 0 <= found["mib"] < 2000
    with pytest.raises(RuntimeError, match="there is nothing at 3: ValueError: what must be one of"):
        growth.measure_apart("there is nothing", 3)


def test_memory_is_what_is_held_beyond_the_start():
    gc.collect()  # or what other tests have left is let go meanwhile, and outweighs what is held
    size = 64_000_000  # 61 MiB, of the system's: an allocator might hand out what it holds already
    peak = growth.PeakMemory()
    peak.start()
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        held.write(bytes([1]) * size)
        time.sleep(20 * growth.SAMPLED)
    assert peak.stop() == pytest.approx(61, abs=15)


def test_a_graph_made_sparse_keeps_the_strongest_edges_of_each_unit():
    A = growth.overlapping_groups(40)
    B = growth.strongest_edges(A, 5)
    np.testing.assert_array_equal(B, B.T)
    for row, kept in zip(A, B, strict=True):
        strongest = np.argsort(-row)[:5]
        np.testing.assert_array_equal(kept[strongest], row[strongest])
    assert (B > 0).sum() < (A > 0).sum() / 2


def test_what_is_lost_is_counted_on_the_whole_graph():
    table = growth.sparsified(96, (2, 95))
    assert table.neighbours.tolist() == [0, 2, 95]
    assert table.lost.iloc[0] == 0
    assert abs(table.lost.iloc[2]) < 0.02  # all edges but the order of things
    assert table.q.iloc[1] < table.q.iloc[0]


@pytest.mark.long
@pytest.mark.slow
def test_fewer_images_err_more_and_all_of_them_not_at_all():
    table = growth.subsampled((100, 3000, 10_000), draws=1, networks=1)
    assert len(table) == 3 * 16
    mean = table.groupby("images").error.mean()
    assert mean[100] > 2 * mean[3000] > 0
    every = table[table.images == 10_000]  # in another order
    assert every.error.max() < 1e-12
    assert every.lost.abs().max() < 1e-2
