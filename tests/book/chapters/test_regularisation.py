"""Tables that the prose on regularisation cites, on made-up results."""

import pytest
import synthetic
import worlds

from modlib.book.chapters.regularisation import tables as regularisation
from modlib.paper import distance_from_paper
from modlib.paper.contrasts import LEVELS_COMPARED


@pytest.fixture
def protocols(monkeypatch):
    """Put results in place of those of both protocols."""

    def put(**results):
        tables = [(name.replace("_", "-"), found) for name, found in results.items()]
        monkeypatch.setattr(distance_from_paper, "both_protocols", lambda _: tables)

    return put


def test_numbers_like_for_like_are_those_of_the_other_protocol(protocols):
    """They are missing as long as its tables are not stored, and never those of base."""
    base, v1 = synthetic.results(), worlds.results("true", seeds=5)
    protocols(base=base)
    assert regularisation.distance("paper").experiment.to_list() == ["base"]
    assert set(regularisation.score("paper").experiment) == {"base"}
    protocols(base=base, base_v1=v1)
    apart = distance_from_paper.q_beside_paper(v1).difference.abs()
    found = regularisation.distance("paper").set_index("experiment")
    assert found.points["base-v1"] == len(apart)
    assert found["median"]["base-v1"] == pytest.approx(apart.median())
    assert found.most["base-v1"] == pytest.approx(apart.quantile(0.95))
    assert found["median"]["base-v1"] != found["median"]["base"]
    score = regularisation.score("paper").set_index(["experiment", "levels"])
    matched, every = LEVELS_COMPARED
    assert score.dropout_wins["base-v1", every] == 16
    assert score.undecided["base-v1", matched] == 0


def test_scores_count_what_holms_correction_leaves(protocols):
    """Three seeds without spread have a p of .25 at the least: nothing is told from nothing."""
    protocols(base=synthetic.results(), base_v1=worlds.results("true", seeds=5))
    score = regularisation.score("paper").set_index("experiment")
    for experiment, wins in (("base", 0), ("base-v1", 16)):
        assert score.dropout_wins[experiment].to_list() == [wins] * 2
        assert score.undecided[experiment].to_list() == [16 - wins] * 2
        assert score.weights_win[experiment].to_list() == [0] * 2
    protocols(base=worlds.results("false", seeds=5))
    assert regularisation.score("paper").weights_win.to_list()[1] == 16


def test_leads_are_told_by_family(protocols):
    protocols(base=worlds.results("true", seeds=5))
    lead = regularisation.leads("paper").set_index(["levels", "family"]).value
    for levels in LEVELS_COMPARED:
        assert lead[levels, "upstream"] == pytest.approx(0.25, abs=0.01)
        assert lead[levels, "downstream"] == pytest.approx(0.015, abs=0.01)
        assert lead[levels, regularisation.DIFFERENCE] == pytest.approx(0.235, abs=0.01)


def test_the_frontier_asks_for_ever_more_accuracy(protocols):
    """The strongest dropout and all penalties but the weakest L2 drop out, one after the other."""
    found = worlds.results("true", seeds=5)
    networks = found.networks
    for level, accuracy in ((worlds.STRONGEST, 0.93), (("l1", 1e-3), 0.9), (("l2", 1e-2), 0.95)):
        here = (networks.regularizer == level[0]) & (networks.strength == level[1])
        networks.loc[here, "test_accuracy"] = accuracy
    protocols(base=found)
    table = regularisation.frontiers("paper")
    upstream = table[table.family == "upstream"].set_index("accuracy")
    for accuracy, value, dropout, penalties in (
        (0.88, 0.3 - 0.05, 2, 3),
        (0.92, 0.3 - 0.02, 2, 2),
        (0.94, 0.1 - 0.02, 1, 2),
        (0.955, 0.1 - 0.0, 1, 1),
    ):
        row = upstream.loc[accuracy]
        assert row.value == pytest.approx(value, abs=0.005)
        assert (row.dropout, row.penalties) == (dropout, penalties)
    assert upstream.value[0.975] != upstream.value[0.975]  # no dropout is as accurate
    along = regularisation.along_the_frontier("paper").set_index("family").loc["upstream"]
    assert along.smallest == pytest.approx(0.08, abs=0.005)
    assert along.largest == pytest.approx(0.28, abs=0.005)
    assert along.up_to == 0.965
    assert along.low <= along.smallest < along.largest <= along.high


def test_untrained_networks_have_a_lowest_and_a_highest_q(monkeypatch):
    monkeypatch.setattr(regularisation, "run", lambda *_, **__: synthetic.results())
    (row,) = regularisation.untrained_range("paper").to_dict("records")
    assert (row["lowest"], row["highest"]) == pytest.approx((0.06, 0.07))
