"""The verdict's tables, read back from their HTML, and its chart, in worlds whose outcome is known."""

import json

import numpy as np
import pandas as pd
import pytest
import vl_convert
import worlds
from bs4 import BeautifulSoup

from modlib.book.chapters.verdict import charts as verdict_charts
from modlib.book.chapters.verdict import tables
from modlib.paper import judgement
from modlib.paper.claims import CLAIMS, TOGETHER


@pytest.fixture(scope="module")
def judged():
    return {truth: judgement.judged_items(worlds.world(truth)) for truth in ("true", "false")}


def read(html):
    """Return every table of a page: rows of texts, the header first."""
    soup = BeautifulSoup(html.data, "html.parser")

    def text(cell):
        return cell.get_text(" ").replace("\N{NO-BREAK SPACE}", " ")

    return [[[text(c) for c in row.find_all(["th", "td"])] for row in t("tr")] for t in soup("table")]


def test_the_grid_says_every_verdict_in_a_word_and_a_mark(judged):
    for truth, mark in (("true", "✓ holds"), ("false", "✗ does not hold")):
        (table,) = read(verdict_charts.grid(judged[truth]))
        header, *rows = table
        assert [row[0] for row in rows] == [claim.statement for claim in CLAIMS]
        for claim, row in zip(CLAIMS, rows, strict=True):
            cells = dict(zip(header, row, strict=True))
            for name in ("base", "fashion", "close-up"):
                assert cells[name].startswith(mark if name in claim.experiments else "–")
            for name in ("base-v1", "wide", "deep"):
                assert cells[name] == ("… no data" if name in claim.experiments else "–")
            assert cells["several together"].startswith(
                mark if set(claim.experiments) & set(TOGETHER) else "–"
            )
    row = next(row for row in rows if row[0] == "Dropout raises Q.")
    assert "0 : 16 of 16" in row[1]


def test_in_short_names_the_experiments_by_their_verdict(judged):
    mixed = judged["true"].copy()
    fashion = (mixed.experiment == "fashion") & (mixed.claim == "dropout-raises-q")
    mixed.loc[fashion, "outcome"] = "contradicted"
    (table,) = read(verdict_charts.in_short(mixed))
    cells = {row[0]: row[1:] for row in table[1:]}
    assert cells["Dropout raises Q."][0] == "✓ holds"
    assert cells["Dropout raises Q."][1].startswith("✗ does not hold: fashion")
    assert "no data: base-v1" not in cells["Dropout raises Q."][1]
    assert cells["Partitions by measures of one family agree well."][1].startswith("✓ holds: fashion")
    both = next(claim.statement for claim in CLAIMS if claim.id == "survives-choices")
    assert cells[both] == ["✓ holds", "✓ holds: close-up"]


def test_what_speaks_against_is_named_plainest_first_and_counted(judged):
    items = judged["true"].copy()
    here = items.index[(items.claim == "dropout-raises-q") & (items.experiment == "base")][:5]
    items.loc[here, "outcome"] = "contradicted"
    items.loc[here, "value"] = [-0.1, -0.5, -0.2, -0.4, -0.3]
    (table,) = read(verdict_charts.against(items, of_paper=True))
    ((statement, experiment, said, count, named),) = table[1:]
    assert (statement, experiment, said) == ("Dropout raises Q.", "base", "◐ holds in part")
    assert count == "5 of 16"
    named = [items["item"][here[i]] in named for i in range(5)]
    assert named == [False, True, False, True, True]
    assert "and 2 more" in table[1][4]
    assert table[1][4].index("−0.500") < table[1][4].index("−0.400") < table[1][4].index("−0.300")
    assert "claimed: more than 0" in table[1][4]
    assert read(verdict_charts.against(items, of_paper=False)) == []
    assert "No item of our own claims is contradicted" in verdict_charts.against(items, of_paper=False).data


def test_unsettled_lists_what_cannot_be_said_and_only_that(judged):
    assert read(verdict_charts.unsettled(judged["true"])) == []
    items = judged["true"].copy()
    here = (items.claim == "dropout-keeps-modules") & (items.experiment == "fashion")
    items.loc[here, "outcome"] = np.where(np.arange(here.sum()) < 3, "supported", "undecided")
    (table,) = read(verdict_charts.unsettled(items))
    assert table[1:] == [["Dropout keeps the number of modules.", "fashion", "3 of 16", "3", "0"]]


def test_every_item_is_in_the_details_with_the_papers_value(judged):
    items = judged["true"]
    page = BeautifulSoup(verdict_charts.details(items).data, "html.parser")
    folds = page("details")
    assert [fold.summary.get_text() for fold in folds] == [claim.statement for claim in CLAIMS]
    for claim, fold in zip(CLAIMS, folds, strict=True):
        expected = items[(items.claim == claim.id) & (items.outcome != "no data")]
        rows = [[c.get_text() for c in row(["th", "td"])] for body in fold("tbody") for row in body("tr")]
        rows = [row for row in rows if not row[-1].endswith("no data")]
        assert [row[0] for row in rows] == expected["item"].tolist()
        for row, item in zip(rows, expected.to_dict("records"), strict=True):
            said = "–" if pd.isna(item["paper"]) else f"{item['paper']:.3f}".replace("-", "−")
            assert row[4] == said
            assert row[1].startswith(f"{item['value']:.3f}".replace("-", "−"))
            assert row[-1] == "✓ supported"
    with_paper = items.paper.notna().sum()
    assert with_paper == sum(cell.get_text() != "–" for cell in page.select("td:nth-of-type(4)"))


def test_texts_from_tables_cannot_become_markup(judged):
    items = judged["true"].copy()
    items.loc[0, "item"] = "<b>bold</b> & more"
    items.loc[0, "outcome"] = "contradicted"
    for html in (verdict_charts.details(items), verdict_charts.against(items, of_paper=True)):
        assert "<b>" not in html.data
        assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in html.data


def test_wide_tables_scroll_by_themselves_and_by_keyboard(judged):
    page = BeautifulSoup(verdict_charts.grid(judged["true"]).data, "html.parser")
    frame = page.table.parent
    assert "overflow-x: auto" in frame["style"]
    assert frame["tabindex"] == "0"
    assert frame["aria-label"] == page.caption.get_text()
    assert {cell["scope"] for cell in page.thead("th")} == {"col"}
    assert {row.th["scope"] for row in page.tbody("tr")} == {"row"}


# --- the chart


@pytest.fixture(scope="module")
def both_protocols():
    world = worlds.world("true")
    return judgement.judged_items(world | {"base-v1": worlds.results("true", rng=5)})


def points(spec):
    (table,) = spec["datasets"].values()
    return pd.DataFrame(table)


def test_the_paper_stands_once_beside_ours_by_both_protocols(both_protocols):
    chart = verdict_charts.beside_paper(both_protocols)
    table = points(chart.to_dict())
    counts = table.groupby(["claim", "item"]).series.agg(lambda s: sorted(s))
    once = counts.index.get_level_values("claim").isin(["survives choices", "more than nulls"])
    assert {tuple(c) for c in counts[~once]} == {tuple(sorted(verdict_charts.SERIES.values()))}
    assert {len(c) for c in counts[once]} == {2}  # asked of one protocol, and the paper
    expected = tables.with_paper_value(both_protocols).query("experiment in ['base', 'base-v1']")
    expected = expected.drop_duplicates(["claim", "item"])
    assert len(counts) == len(expected)
    paper = table[table.series == verdict_charts.SERIES["paper"]]
    np.testing.assert_allclose(sorted(paper.value), sorted(expected.paper.round(4)))
    assert (paper.low == paper.high).all()
    ours = table[table.series == verdict_charts.SERIES["base"]].set_index(["claim", "item"])
    item = both_protocols.query("claim == 'accurate-where-modular' and experiment == 'base'").iloc[0]
    shown = ours.loc[("accurate where modular", item["item"])]
    assert (shown.value, shown.low, shown.threshold) == (round(item.value, 4), round(item.low, 4), 0.05)


def test_one_claim_is_drawn_at_a_time(both_protocols):
    """Each choice draws its own items and no other; a claim that is not on the list draws nothing."""
    spec = verdict_charts.beside_paper(both_protocols, name="n", caption="c").to_dict()
    (param,) = (p for p in spec["params"] if p["name"] == "verdict_claim")
    table = points(spec)
    assert param["bind"]["options"] == list(table.claim.unique())
    assert param["value"] == param["bind"]["options"][0] == "dropout raises Q"
    for claim in [*param["bind"]["options"], "no such claim"]:
        param["value"] = claim
        svg = vl_convert.vegalite_to_svg(json.loads(json.dumps(spec)))
        here = table[table.claim == claim]
        assert svg.count('aria-roledescription="point"') == len(here)
        items = here["item"].str.split(", layer").str[0].unique()
        assert all(text in svg for text in items)
        by_graph = here["item"].str.contains("input covariance, raw", regex=False).any()
        assert ("input covariance, raw" in svg) == by_graph


def test_a_protocol_that_is_not_stored_is_not_in_the_legend(judged):
    spec = verdict_charts.beside_paper(judged["true"], caption="c", name="n").to_dict()
    json.dumps(spec, allow_nan=False)  # a notebook takes no other
    assert set(points(spec).series) == {verdict_charts.SERIES["base"], verdict_charts.SERIES["paper"]}
    svg = vl_convert.vegalite_to_svg(spec)
    assert verdict_charts.SERIES["base-v1"] not in svg
    assert verdict_charts.SERIES["paper"] in svg
    assert spec["usermeta"] == {"caption": "c", "name": "n"}
    assert spec["description"]
