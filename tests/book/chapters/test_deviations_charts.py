"""Charts of deviations: they draw what the statistics say, and say what was tried."""

import pandas as pd
import pytest
import worlds
from bs4 import BeautifulSoup
from test_deviations import DEAD, with_labels

from modlib.book import against_paper
from modlib.book.chapters.deviations import charts as figures
from modlib.book.chapters.deviations import tables as deviations
from modlib.paper import distance_from_paper, family_pairs
from modlib.study.accuracy_filter import PAIR


@pytest.fixture(scope="module")
def world():
    return with_labels(worlds.results("true", seeds=3))


def drawn(chart):
    return pd.concat([pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()])


def test_both_rules_are_drawn_by_level(world):
    rows = drawn(figures.dead_units(world, name="n", caption="c"))
    expected = deviations.ecs_by_level(world)
    assert sorted(rows.ecs) == pytest.approx(sorted(expected.ecs), abs=1e-4)
    assert (rows.dead == DEAD).all()
    l1 = rows[rows.by == "L1 strength"]
    assert (l1.x == -3).all()
    by = l1[l1.family_pair == "upstream"].set_index("rule").ecs
    assert by["one shared module"] > by["left out"] + 0.3


@pytest.mark.parametrize("stored", [True, False])
def test_the_protocol_is_named_and_is_that_of_the_tables(world, monkeypatch, stored):
    asked = []
    monkeypatch.setattr(distance_from_paper, "has_like_for_like", lambda _: stored)
    monkeypatch.setattr(figures, "run", lambda name, **_: asked.append(name) or world)
    spec = figures.dead_units_of_figures("paper", name="n", caption="c.").to_dict()
    caption = spec["usermeta"]["caption"]
    assert asked == ["base-v1" if stored else "base"]
    assert ("arXiv v1 protocol" in caption) == stored
    assert ("final protocol" in caption) != stored
    assert len(spec["description"]) > 40


def test_the_papers_rule_is_held_against_the_paper_once_there_are_tables(world, monkeypatch):
    monkeypatch.setattr(against_paper, "run", lambda *_, **__: world)
    monkeypatch.setattr(distance_from_paper, "has_like_for_like", lambda _: False)
    assert "python -m modlib run base-v1 --profile quick" in figures.ecs_by_their_rule("quick").data
    monkeypatch.setattr(distance_from_paper, "has_like_for_like", lambda _: True)
    chart = figures.ecs_by_their_rule("quick", name="n")
    rows = drawn(chart)
    shared = distance_from_paper.ecs_beside_paper(deviations.with_shared_dead_units(world))
    shared = family_pairs.distinct(shared)
    trained = rows[rows.networks == "trained"]
    assert len(trained) == 28 - 4  # the pairs of a measure with itself are left out
    assert set(trained.ours) <= set(shared.trained.round(4))
    distance = (shared.trained - shared.ecs_trained).abs().mean()
    assert f"{distance:.3f} apart" in chart.to_dict()["usermeta"]["caption"]


def test_pairs_that_hang_on_the_search_are_named_largest_first():
    graphs = [("input_cov", False, "input_grad", True), ("output_grad", True, "output_hess", False)]
    itself = ("input_grad", False, "input_grad", True)
    untrained = pd.DataFrame([*graphs, itself], columns=PAIR)
    untrained = untrained.assign(other=[0.5, 0.4, 0.1], stored=[0.55, 0.2, 0.9], paper=0.5)
    table = figures.pairs(untrained, 1)
    assert table.index.to_list() == [("output gradient, normalised", "output Hessian, raw")]
    assert table.iloc[0].to_dict() == {"Leiden": 0.2, "Monte Carlo": 0.4, "the paper": 0.5}
    assert len(figures.pairs(untrained)) == 2


def test_errors_of_the_last_digits_only_say_so():
    row = {"network": "a", "layer": 1, "units": 60, "lost": 0, "poor": 0, "always_on": 0, "q": 0.15978}
    covariances = pd.DataFrame(
        [
            row | {"largest_error": 5.4e-7, "q_change": -7e-9},
            row | {"largest_error": 87.6, "q_change": -0.0498},
        ]
    )
    table = figures.digits(covariances)
    assert table["largest error"].to_list() == ["< 10⁻⁵", "88"]
    assert table["ΔQ"].to_list() == ["0", "−0.050"]
    assert table["Q"].to_list() == [0.16, 0.16]


def test_only_splits_by_a_negative_eigenvalue_are_shown():
    graph = {"network": "a", "layer": 1, "measure": "input_cov", "normalized": False, "q_newman": 0.1}
    first = pd.DataFrame([graph | {"negative": n, "q_absolute": -0.2} for n in (True, False)])
    table = figures.splits(first)
    assert table.index.to_list() == [("a", "input covariance, raw, layer 1")]
    assert table.iloc[0].to_list() == [0.1, -0.2]


def tried(*, negative=True, rescaled=1e-17):
    rows = pd.DataFrame({"network": ["a", "b"], "units": [5, 6], "lost": [0, 2], "poor": [1, 2]})
    rows = rows.assign(always_on=[1, 1], q_change=[0.01, -0.25])
    hessian = pd.DataFrame({"units": [5, 6], "closed_form": [0, 0], "autograd": [1, 2]})
    splits = pd.DataFrame(
        {"negative": [negative, False], "q_absolute": [-0.5, 0.3], "q_newman": [0.125, 0.3]}
    )
    agreement = pd.DataFrame(
        {
            "measure_a": ["input_cov", "input_grad"],
            "measure_b": ["input_grad", "input_grad"],
            "stored": [0.6, 0.3],
            "other": [0.55, 0.45],
            "paper": [0.5, 0.5],
        }
    )
    table = BeautifulSoup(figures.tried(rows, hessian, splits, rescaled, agreement).data, "html.parser").table
    cells = [[cell.get_text() for cell in row.find_all("td")] for row in table.tbody.find_all("tr")]
    return (
        pd.DataFrame(cells, columns=["deviation", "measured", "value"]).groupby("deviation").value.apply(list)
    )


def test_what_was_tried_is_summed_up():
    found = tried()
    assert found["covariance"] == ["11", "3", "2", "2", "2", "1", "0.250"]
    assert found["normalised Hessian"] == ["11", "0", "3"]
    assert found["scale of the Hessian"] == ["rounding only"]
    assert found["first split"] == ["2", "1", "−0.500", "0.125"]
    assert found["search for modules"] == ["0.100", "0.050", "0.200", "0.050"]


def test_what_there_is_none_of_says_so():
    found = tried(negative=False, rescaled=0.02)
    assert found["first split"] == ["2", "0", "n/a", "n/a"]
    assert found["scale of the Hessian"] == ["0.020"]
