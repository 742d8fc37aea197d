"""Charts of the findings: what they draw is what the statistics say."""

import re
from pathlib import Path

import altair as alt
import pandas as pd
import pytest
import synthetic

import modlib
from modlib.book import against_paper, theme
from modlib.book.chapters.agreement import charts as agreement_charts
from modlib.book.chapters.index import charts as hero_charts
from modlib.book.chapters.index.charts import hero, save_hero
from modlib.book.chapters.regularisation import charts as regularisation_charts
from modlib.paper import by_level, published
from modlib.study import catalogue, schema, store

ROOT = Path(__file__).parents[2]
CHARTS = [
    hero_charts.hero,
    regularisation_charts.q_against_strength,
    regularisation_charts.difference_of_gains,
    against_paper.q_against_paper,
    agreement_charts.agreement_matrices,
    agreement_charts.agreement_of_families,
    against_paper.ecs_against_paper,
]


def drawn(chart):
    """All rows of data that a chart carries, as one table."""
    return pd.concat([pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()])


@pytest.mark.parametrize("chart", CHARTS)
def test_every_chart_describes_itself_and_takes_a_caption(chart):
    spec = chart(synthetic.results(), name="n", caption="c").to_dict()
    assert len(spec["description"]) > 40
    assert spec["usermeta"] == {"caption": "c", "name": "n"}


@pytest.mark.parametrize("chart", CHARTS)
def test_no_chart_names_a_colour_of_text_or_page(chart):
    """Those belong to the light and the dark theme of the page."""
    config = chart(synthetic.results()).to_dict().get("config", {})
    assert "background" not in config
    assert not re.search(r"(label|title|domain|tick|grid)Color", str(config))


def test_a_chart_without_description_is_refused():
    with pytest.raises(ValueError, match="description must say what the chart shows"):
        theme.described(" ")(alt.Chart)()


def test_curves_hold_our_means_the_papers_points_and_the_band():
    found = synthetic.results()
    rows = drawn(regularisation_charts.q_against_strength(found))
    ours = rows[rows.series.isin(["raw", "normalised"])]
    assert len(ours) == len(by_level.q_by_strength(found))
    point = ours[(ours.strength == 0.6) & (ours.layer == 1)]
    assert point.q.to_list() == pytest.approx([0.41] * 8)
    theirs = rows[rows.series.isin(["paper, raw", "paper, normalised"])]
    assert theirs.q.sum() == pytest.approx(published.q().q.sum(), rel=1e-3)
    band = rows[rows.series == "untrained"]
    assert band.low.to_list() == pytest.approx([0.05 + layer / 100 for layer in band.layer])


def test_strengths_of_penalties_are_drawn_as_powers_of_ten():
    rows = drawn(regularisation_charts.q_against_strength(synthetic.results()))
    l1 = rows[(rows.by == "L1 strength") & (rows.strength == 1e-3)]
    assert (l1.x == -3).all()
    dropout = rows[(rows.by == "dropout probability") & rows.strength.notna()]
    assert (dropout.x == dropout.strength).all()


def test_dark_cells_are_high_agreement_also_for_a_distance():
    rows = drawn(agreement_charts.agreement_matrices(synthetic.results()))
    for title in (agreement_charts.METRIC_NAMES["ecs"], agreement_charts.METRIC_NAMES["vi"]):
        cells = rows[(rows.metric == title) & (rows.networks == "trained") & ~rows.self]
        within = cells[(cells.a == "in cov") & (cells.b == "in cov n")].shade.item()
        across = cells[(cells.a == "in cov") & (cells.b == "out grad")].shade.item()
        assert within > across + 0.3


def test_hero_starts_at_no_dropout_and_leaves_weight_penalties_out():
    rows = drawn(hero(synthetic.results()))
    curve = rows[rows.measure == "input_grad"]
    assert sorted(curve.strength) == [0.0, 0.2, 0.6]
    assert sorted(curve.q) == pytest.approx([0.11, 0.21, 0.41])


@pytest.mark.parametrize("chart", [against_paper.q_like_for_like, against_paper.ecs_like_for_like])
def test_like_for_like_switches_itself_on(chart, monkeypatch, tmp_path):
    """A note how to compute the tables until they are stored; then a chart that states the distance."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    assert "python -m modlib run base-v1 --profile paper" in chart("paper").data
    found = synthetic.results()
    tables = {name: getattr(found, name) for name in schema.TABLES}
    store.write_results(catalogue.get("base-v1", "paper"), tables, {}, {"seconds": {}})
    spec = chart("paper").to_dict()
    assert "arXiv v1 protocol" in spec["usermeta"]["caption"]
    assert re.search(r"0\.\d{3}", spec["usermeta"]["caption"])


def test_an_unchanged_picture_is_left_alone(tmp_path):
    path = tmp_path / "hero.svg"
    save_hero(synthetic.results(), path)
    first = path.stat().st_mtime_ns
    save_hero(synthetic.results(), path)
    assert path.stat().st_mtime_ns == first
    save_hero(synthetic.results(accuracy={("dropout", 0.6, s): 0.3 for s in range(3)}), path)
    assert path.stat().st_mtime_ns > first


def test_the_picture_in_the_readme_shows_the_stored_tables(tmp_path):
    """Its curves and points are those that the tables give (letters may be measured otherwise elsewhere)."""
    theme.setup()
    save_hero(modlib.run("base", profile="paper"), tmp_path / "hero.svg")

    def marks(path):  # each mark says its values
        return sorted(re.findall(r'aria-label="([^"]+)" role="graphics-symbol"', path.read_text("utf-8")))

    assert len(marks(ROOT / "book/hero.svg")) > 60
    assert marks(ROOT / "book/hero.svg") == marks(tmp_path / "hero.svg")
