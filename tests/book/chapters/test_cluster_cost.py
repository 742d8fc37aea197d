"""The cost of networks follows from what the base experiment took."""

import pytest
import worlds

from modlib.book.chapters.cluster import tables as cost
from modlib.study import catalogue, schema, store


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Store a world of 20 trained and 10 untrained networks, with what it is said to have cost."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))

    def write(device):
        found = worlds.results("true")
        tables = {name: getattr(found, name) for name in schema.TABLES}
        about = {"seconds": {"training": 200.0, "analysis": 60.0}, "device": device}
        store.write_results(catalogue.get("base", "paper"), tables, {}, about)
        return store.read_results(catalogue.get("base", "paper"))

    return write


def test_cost_is_that_of_a_network_times_their_number(stored):
    results = stored("cpu (x86_64)")
    assert (int(results.networks.trained.sum()), len(results.networks)) == (20, 30)
    found = cost.numbers("paper")
    assert found["cost_core_seconds"] == pytest.approx(200 / 20 + 60 / 30)
    assert found["cost_core_hours_1e3"] == pytest.approx(12 * 1000 / 3600)
    assert found["cost_days_on_100_cores_1e7"] == pytest.approx(12 * 1e7 / 3600 / 24 / 100)
    folder = store.folder_of(catalogue.get("base", "paper"))
    room = sum(path.stat().st_size for path in folder.glob("*.parquet"))
    assert found["cost_kib"] == pytest.approx(room / 1024 / 30)
    assert found["cost_gib_1e5"] == pytest.approx(room / 30 * 1e5 / 2**30)


def test_a_gpu_or_no_tables_say_nothing_of_cores(stored):
    names = cost.numbers("paper").keys()
    assert set(cost.numbers("paper").values()) == {None}
    stored("NVIDIA H100 80GB HBM3")
    assert set(cost.numbers("paper").values()) == {None}
    assert cost.numbers("paper").keys() == names
