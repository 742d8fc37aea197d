"""Charts of the findings: what they draw is what the statistics say."""

import re
from pathlib import Path

import altair as alt
import pandas as pd
import pytest
import synthetic
import vl_convert

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
    agreement_charts.agreement_against_strength,
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
    assert {"caption": "c", "name": "n"}.items() <= spec["usermeta"].items()


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


def test_legends_show_the_points_as_they_are_drawn():
    """Rings both: nothing fills the points, nor their symbols in the legend."""
    spec = regularisation_charts.q_against_strength(synthetic.results()).to_dict()
    mark, points = (spec["spec"]["layer"][-1][part] for part in ("mark", "encoding"))
    assert not mark.get("filled", False)
    assert "fill" not in points
    assert points["shape"]["legend"]["symbolFillColor"] == "transparent"


def test_points_without_an_interval_say_so():
    spec = regularisation_charts.q_against_strength(synthetic.results()).to_dict()
    svg = vl_convert.vegalite_to_svg(spec, format_locale="en-US")
    said = set(re.findall(r"95 % interval: ([^;\"]*)", svg))
    assert "none, read off a figure" in said
    assert any(re.fullmatch(r"\d\.\d{3} to \d\.\d{3}", words) for words in said)
    assert "95 % from" not in svg


def test_a_matrix_has_no_colour_where_no_two_measures_are_compared():
    matrix = agreement_charts.agreement_matrices(synthetic.results()).to_dict()["hconcat"][0]["layer"][0]
    assert matrix["transform"][-1] == {"filter": {"not": {"equal": "itself", "field": "pair"}}}
    assert matrix["encoding"]["fillOpacity"]["value"] == 0
    assert matrix["encoding"]["fillOpacity"]["condition"]["test"] == "datum.pair == 'different measures'"


def test_strengths_of_penalties_are_drawn_as_powers_of_ten():
    rows = drawn(regularisation_charts.q_against_strength(synthetic.results()))
    l1 = rows[(rows.by == "L1 strength") & (rows.strength == 1e-3)]
    assert (l1.x == -3).all()
    dropout = rows[(rows.by == "dropout probability") & rows.strength.notna()]
    assert (dropout.x == dropout.strength).all()


def test_dark_cells_are_high_agreement_also_for_a_distance():
    rows = drawn(agreement_charts.agreement_matrices(synthetic.results()))
    for title in (agreement_charts.METRIC_NAMES["ecs"], agreement_charts.METRIC_NAMES["vi"]):
        cells = rows[(rows.metric == title) & (rows.level == agreement_charts.EVERY_LEVEL)]
        cells = cells.groupby(["a", "b"]).shade.max()  # trained networks agree better than untrained ones
        assert cells["in cov", "in grad n"] > cells["in cov", "out grad"] + 0.3


def test_matrices_tell_pairs_of_a_measure_with_itself_apart_and_do_not_shade_by_them():
    found = synthetic.results()
    same = found.agreement.measure_a == found.agreement.measure_b
    found.agreement.loc[same, "ami"] = 50.0
    rows = drawn(agreement_charts.agreement_matrices(found))
    rows = rows[rows.metric == agreement_charts.METRIC_NAMES["ami"]]
    different = rows[rows.pair == agreement_charts.DIFFERENT]
    assert len(different) == len(rows) * (64 - 16) / 64
    assert different.value.max() < 1.0
    assert different.shade.max() == 1.0  # the darkest that is compared, not 50
    assert (rows[(rows.a == "in cov") & (rows.b == "in cov n")].value == 50.0).all()


def test_matrices_open_at_the_weakest_l2_and_know_each_level():
    found = synthetic.results()
    strongest = found.agreement.network.str.startswith("dropout=0.6")
    found.agreement.loc[strongest, "ami"] += 0.2
    chart = agreement_charts.agreement_matrices(found)
    values = {param["name"]: param["value"] for param in chart.to_dict()["params"] if "value" in param}
    assert values["matrix_level"] == "weakest L2"
    assert values["metric"] == agreement_charts.METRIC_NAMES["ami"]
    rows = drawn(chart)
    rows = rows[rows.metric == agreement_charts.METRIC_NAMES["ami"]]
    cell = rows[(rows.a == "in cov") & (rows.b == "in grad")].set_index("level").value
    assert cell["weakest L2"] == pytest.approx(0.7)
    assert cell["strongest dropout"] == pytest.approx(0.9)


def test_agreement_against_strength_starts_at_no_dropout_and_shows_untrained_networks_in_every_panel():
    found = synthetic.results()
    strongest = found.agreement.network.str.startswith("dropout=0.6")
    found.agreement.loc[strongest, "ami"] += 0.2
    chart = agreement_charts.agreement_against_strength(found).to_dict()
    metric = agreement_charts.METRIC_NAMES["ami"]
    sets = {name: pd.DataFrame(rows) for name, rows in chart["datasets"].items()}
    (name,) = (name for name, rows in sets.items() if "x" not in rows)
    never = sets[name][sets[name].metric == metric].set_index("family_pair").value
    assert never.to_dict() == pytest.approx({"upstream": 0.6, "downstream": 0.4, "across": 0.2})
    assert [name in str(panel) for panel in chart["hconcat"]] == [True, True, True]
    dropout = next(
        rows for rows in sets.values() if "x" in rows and (rows["by"] == "dropout probability").any()
    )
    dropout = dropout[(dropout.metric == metric) & (dropout.family_pair == "upstream")].set_index("x")
    assert dropout.value.to_dict() == pytest.approx({0.0: 0.7, 0.2: 0.7, 0.6: 0.9})
    assert dropout.strength[0.0] == 1e-5  # small strengths are not rounded away
    assert dropout.low[0.6] < 0.9 < dropout.high[0.6]


def test_hero_starts_at_no_dropout_and_leaves_weight_penalties_out():
    rows = drawn(hero(synthetic.results()))
    curve = rows[rows.measure == "input_grad"]
    assert sorted(curve.strength) == [0.0, 0.2, 0.6]
    assert sorted(curve.q) == pytest.approx([0.11, 0.21, 0.41])


def test_hero_shows_agreement_at_named_levels_and_not_their_mean():
    found = synthetic.results()
    for level, rise in (("dropout=0.6", 0.2), ("l2=0.01", -0.1), ("l1", 0.3)):
        found.agreement.loc[found.agreement.network.str.startswith(level), "ami"] += rise
    found.agreement.loc[found.agreement.measure_a == found.agreement.measure_b, "ami"] = 9.0
    rows = drawn(hero(found))
    shown = rows[rows.level.notna()].set_index(["level", "family_pair"]).ami
    assert list(dict.fromkeys(shown.index.get_level_values(0))) == [
        "untrained",
        "weakest L2",
        "strongest dropout",
        "strongest L1",
        "strongest L2",
    ]
    for pair, value in synthetic.ECS.items():
        assert shown["untrained", pair] == pytest.approx(value - 0.1)
        assert shown["weakest L2", pair] == pytest.approx(value)
        assert shown["strongest dropout", pair] == pytest.approx(value + 0.2)
        assert shown["strongest L1", pair] == pytest.approx(value + 0.3)
        assert shown["strongest L2", pair] == pytest.approx(value - 0.1)


def test_pairs_of_a_measure_with_itself_are_marked_beside_the_papers():
    rows = drawn(against_paper.ecs_against_paper(synthetic.results())).dropna(subset="pair")
    itself = rows.a.str.removesuffix(", normalised") == rows.b.str.removesuffix(", normalised")
    assert (itself == (rows.pair != "different measures")).all()
    assert itself.sum() == 2 * 4


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

    assert len(marks(ROOT / "book/hero.svg")) > 90  # 60 points of Q, 15 of agreement, each interval
    assert marks(ROOT / "book/hero.svg") == marks(tmp_path / "hero.svg")
