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
from modlib.paper.claims import CLAIMS, PRIMARY


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
        table, others = read(verdict_charts.grid(judged[truth]))
        header, *rows = table
        asked_elsewhere = {row[0]: dict(zip(others[0], row, strict=True)) for row in others[1:]}
        assert [row[0] for row in rows] == [claim.statement for claim in CLAIMS]
        for claim, row in zip(CLAIMS, rows, strict=True):
            if truth == "false" and claim.id.startswith("penalties"):
                continue  # the weakest L2 is one of them
            cells = dict(zip(header, row, strict=True))
            for name in ("base", "fashion"):
                assert cells[name].startswith(mark if name in claim.experiments else "–")
            for name in ("base-v1", "wide", "deep"):
                assert cells[name] == ("… no data" if name in claim.experiments else "–")
            assert (claim.statement in asked_elsewhere) == bool(
                {"close-up", "labels"} & set(claim.experiments)
            )
            for name, said in (("close-up", "close-up"), ("labels", "true labels against shuffled ones")):
                cell = asked_elsewhere.get(claim.statement, {said: "–"})[said]
                assert cell.startswith(mark if name in claim.experiments else "–")
    cells = {row[0]: row[1] for row in rows}
    assert cells["Dropout raises Q upstream."].startswith("✗ does not hold −0.1")
    assert "0 : 3 of 3" in cells["Agreement across families is above chance."]


def test_new_seeds_stand_below_the_old_ones(judged):
    items = judged["true"]
    new = items[items.experiment == "base"].assign(experiment="base-new-seeds", outcome="contradicted")
    for make in (verdict_charts.grid, verdict_charts.in_short):
        table, *_ = read(make(pd.concat([items, new])))
        header, *rows = table
        claim = next(claim for claim in CLAIMS if claim.id == "dropout-leads-upstream")
        row = next(row for row in rows if row[0] == claim.statement)
        cell = dict(zip(header, row, strict=True))["base"]
        assert cell.startswith("✓ holds 0.25")
        assert "new seeds: ✗ does not hold 0.25" in cell


def with_new_seeds(items):
    """Add the items of base once more, as if its new seeds had given them."""
    new = items[items.experiment == "base"].assign(experiment="base-new-seeds", n=60)
    return pd.concat([items, new], ignore_index=True)


def test_old_and_new_seeds_stand_side_by_side_item_by_item(judged):
    both = with_new_seeds(judged["true"])
    new = both.experiment == "base-new-seeds"
    lead = new & (both.claim == "dropout-leads-upstream")
    both.loc[lead, ["value", "low", "high", "outcome"]] = -0.2, -0.3, -0.1, "contradicted"
    chance = new & (both.claim == "across-above-chance") & (both.item == "weakest L2")
    both.loc[chance, "outcome"] = "undecided"
    first, others = read(verdict_charts.predicted(both))
    cells = {row[0]: row[1:] for row in first[1:]}
    outcomes = [row[2].split()[1] for row in first[1:]]
    assert outcomes == sorted(outcomes, key=["contradicted", "undecided", "supported"].index)
    assert {"contradicted", "supported"} == set(outcomes)
    statement = next(claim.statement for claim in CLAIMS if claim.id == "dropout-leads-upstream")
    old, now = cells[f"{statement} (base, upstream)"]
    assert old == "✓ supported 0.251 (0.249 to 0.252), 4 seeds"
    assert now == "✗ contradicted −0.200 (−0.300 to −0.100), 60 seeds"
    primary = both[new & both.claim.isin(PRIMARY) & (both.outcome != "no data")]
    assert len(cells) == len(primary)
    assert [row[0] for row in others[1:]] == ["Agreement across families is above chance. (base, weakest L2)"]


def test_without_new_seeds_the_page_says_so(judged):
    assert "to its last seed yet" in verdict_charts.predicted(judged["true"]).data


def test_a_dagger_marks_a_verdict_that_hangs_on_one_item(judged):
    items = judged["true"].copy()
    here = items.index[(items.claim == "across-below-half") & (items.experiment == "base")]
    items.loc[here[0], "outcome"] = "contradicted"
    table, _ = read(verdict_charts.grid(items))
    marked = [row[0] for row in table[1:] if "†" in row[1]]
    assert marked == ["Partitions agree across families less than half as well as within them."]


def test_in_short_is_about_the_claims_that_both_findings_rest_on(judged):
    (table,) = read(verdict_charts.in_short(judged["true"]))
    header, *rows = table
    assert header[:2] == ["claim", "base"]
    assert [row[0] for row in rows] == [claim.statement for claim in CLAIMS if claim.id in PRIMARY]
    assert all(row[1].startswith("✓ holds") for row in rows)


def test_old_verdicts_stand_beside_new_ones_at_the_full_scale(judged, monkeypatch, tmp_path):
    before = tables.every_verdict(judged["false"]).query("n_items > 0 and experiment == 'base'")
    before.to_csv(tmp_path / "verdicts.csv", index=False)
    monkeypatch.setattr(judgement, "SUPERSEDED", tmp_path / "verdicts.csv")
    items = judged["true"][judged["true"].experiment == "base"]
    (table,) = read(verdict_charts.old_and_new(items, "paper"))
    assert table[0] == ["claim", "experiment", "before", "now"]
    row = table[1]
    assert row[2].startswith("✗ does not hold (0 for, 1 against, of 1)")
    assert row[3].startswith("✓ holds (1 for, 0 against, of 1)")
    assert "full scale only" in verdict_charts.old_and_new(items, "quick").data


def test_what_speaks_against_is_named_plainest_first_and_counted(judged):
    items = judged["true"].copy()
    here = items.index[(items.claim == "upstream-lead-survives-choices") & (items.experiment == "base")][:5]
    items.loc[here, "outcome"] = "contradicted"
    items.loc[here, "value"] = [-0.1, -0.5, -0.2, -0.4, -0.3]
    (table,) = read(verdict_charts.against(items, of_paper=False))
    ((statement, experiment, said, count, named),) = table[1:]
    assert statement == "Dropout's lead upstream survives other choices of the analysis."
    assert (experiment, said) == ("base", "◐ holds in part")
    assert count == "5 of 12"
    named = [items["item"][here[i]] in named for i in range(5)]
    assert named == [False, True, False, True, True]
    assert "and 2 more" in table[1][4]
    assert table[1][4].index("−0.500") < table[1][4].index("−0.400") < table[1][4].index("−0.300")
    assert "claimed: more than 0" in table[1][4]
    assert read(verdict_charts.against(items, of_paper=True)) == []
    assert (
        "No item of the paper's claims is contradicted" in verdict_charts.against(items, of_paper=True).data
    )


def test_unsettled_lists_what_cannot_be_said_and_only_that(judged):
    assert read(verdict_charts.unsettled(judged["true"])) == []
    items = judged["true"].copy()
    here = (items.claim == "across-above-chance") & (items.experiment == "fashion")
    items.loc[here, "outcome"] = np.where(np.arange(here.sum()) < 1, "supported", "undecided")
    (table,) = read(verdict_charts.unsettled(items))
    assert table[1:] == [["Agreement across families is above chance.", "fashion", "1 of 3", "1", "0"]]


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
    """Rows of all panels, but for that of the line at zero."""
    table = pd.concat(map(pd.DataFrame, spec["datasets"].values()), ignore_index=True)
    return table.dropna(subset="series").reset_index(drop=True)


def test_the_paper_stands_once_beside_ours_by_both_protocols(both_protocols):
    table = points(verdict_charts.beside_paper(both_protocols).to_dict())
    counts = table.groupby("said").series.agg(sorted)
    assert {tuple(c) for c in counts} == {tuple(sorted(verdict_charts.SERIES.values()))}
    assert len(counts) == 8 + 3
    paper = table[table.series == verdict_charts.SERIES["paper"]].set_index("said")
    assert paper.low.isna().all()
    expected = tables.with_paper_value(both_protocols).drop_duplicates("claim").set_index("claim").paper
    assert paper.value["agreement within upstream"] == round(expected["upstream-agrees-well"], 4)
    ours = table[table.series == verdict_charts.SERIES["base"]].set_index("said")
    item = both_protocols.query("claim == 'dropout-leads-upstream' and experiment == 'base'").iloc[0]
    shown = ours.loc["dropout less penalty, as accurate, upstream"]
    assert (shown.value, shown.low) == (round(item.value, 4), round(item.low, 4))


def test_differences_of_q_and_agreement_have_an_axis_each(both_protocols):
    spec = verdict_charts.beside_paper(both_protocols, name="n", caption="c").to_dict()
    assert len(spec["vconcat"]) == 2
    svg = vl_convert.vegalite_to_svg(json.loads(json.dumps(spec)))
    table = points(spec)
    assert svg.count('aria-roledescription="point"') == len(table)
    for unit in verdict_charts.UNITS.values():
        assert unit in svg


def test_a_protocol_that_is_not_stored_is_not_in_the_legend(judged):
    spec = verdict_charts.beside_paper(judged["true"], caption="c", name="n").to_dict()
    json.dumps(spec, allow_nan=False)  # a notebook takes no other
    assert set(points(spec).series) == {verdict_charts.SERIES["base"], verdict_charts.SERIES["paper"]}
    svg = vl_convert.vegalite_to_svg(spec)
    assert verdict_charts.SERIES["base-v1"] not in svg
    assert verdict_charts.SERIES["paper"] in svg
    assert {"caption": "c", "name": "n"}.items() <= spec["usermeta"].items()
    assert spec["description"]


def test_levels_have_three_digits_and_a_bound_near_zero_shows_its_side(judged):
    items = with_new_seeds(judged["true"])
    lead = items.index[items.claim == "dropout-leads-upstream"]
    items.loc[lead, ["item", "value", "low", "high"]] = "L2 0.0316228", 0.011, -0.00041, 0.0226
    table, *_ = read(verdict_charts.predicted(items))
    (shown,) = (row[1] for row in table[1:] if row[0].endswith("(base, L2 0.0316)"))
    assert "0.011 (−0.0004 to 0.023)" in shown
