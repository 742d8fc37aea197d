"""The cost of networks follows from what the base experiment took."""

import pytest
import worlds

from modlib.book.chapters.cluster.tables import cost
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
    found = cost("paper").set_index("networks")
    assert found.core_seconds["one"] == pytest.approx(200 / 20 + 60 / 30)
    assert found.core_hours["a thousand"] == pytest.approx(12 * 1000 / 3600)
    assert found.days_on_100_cores["ten million"] == pytest.approx(12 * 1e7 / 3600 / 24 / 100)
    folder = store.folder_of(catalogue.get("base", "paper"))
    room = sum(path.stat().st_size for path in folder.glob("*.parquet"))
    assert found.kib["one"] == pytest.approx(room / 1024 / 30)
    assert found.gib["a hundred thousand"] == pytest.approx(room / 30 * 1e5 / 2**30)


def test_a_gpu_or_no_tables_say_nothing_of_cores(stored):
    assert cost("paper").set_index("networks").isna().all(axis=None)
    stored("NVIDIA H100 80GB HBM3")
    assert cost("paper").set_index("networks").isna().all(axis=None)
