"""Tables that the prose on agreement cites, on made-up results."""

import pytest
import synthetic
import worlds

from modlib.book.chapters.agreement import tables as agreement
from modlib.paper import distance_from_paper


def test_families_of_trained_and_untrained_networks(monkeypatch):
    monkeypatch.setattr(agreement, "run", lambda *_, **__: synthetic.results())
    table = agreement.families("paper").set_index(["metric", "family_pair", "networks"])
    assert len(table) == 2 * 3 * 2
    for pair, value in synthetic.ECS.items():
        row = table.loc["ami", pair, "trained"]
        assert row.value == pytest.approx(value)
        assert row.distinct == pytest.approx(value)
        assert row.low < row.value < row.high
        assert table.value["ecs", pair, "untrained"] == pytest.approx(value - 0.1)


def test_distance_is_given_for_each_protocol_that_is_stored(monkeypatch):
    base, v1 = synthetic.results(), worlds.results("true", seeds=5)
    tables = [("base", base), ("base-v1", v1)]
    monkeypatch.setattr(distance_from_paper, "both_protocols", lambda _: tables)
    found = agreement.distance("paper").set_index("experiment")
    table = distance_from_paper.ecs_beside_paper(v1)
    assert found.untrained["base-v1"] == pytest.approx((table.untrained - table.ecs_untrained).abs().mean())
    assert found.untrained["base-v1"] != found.untrained["base"]
