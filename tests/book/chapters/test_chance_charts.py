"""Charts of the chapter on nulls draw what its statistics say."""

import re

import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown
from test_chance import STRONGER, memorised, world

from modlib.book.chapters.chance import charts
from modlib.book.chapters.chance import tables as chance
from modlib.measures import MEASURES
from modlib.nulls import NULLS
from modlib.paper.simulations import rejections


@pytest.fixture(scope="module")
def levels():
    return chance.by_level(chance.against_all_nulls(world(), world()))


def with_untrained(levels):
    """Untrained networks beside it: above the similarity null by .02, held against drawn nulls only."""
    rows = levels[(levels.regularizer == "l2") & (levels.null != "untrained")]
    excess = np.where(rows.null == "similarity", 0.02, 0.0)
    untrained = rows.assign(regularizer="none", strength=0.0, excess=excess, low=excess - 0.01)
    return pd.concat([levels, untrained.assign(high=excess + 0.01)], ignore_index=True)


def made_up_size():
    rows = [("similarity", "units as vectors in 3 dimensions", "normalised", False, 2)]
    rows += [("similarity", "dimensions of variance 1/k", "normalised", True, 30)]
    rows += [
        (null, "random networks", f"{m}, {form}", null == "similarity", 3)
        for null in ("weights-permuted", "similarity")
        for m in MEASURES
        for form in ("raw", "normalised")
    ]
    return pd.DataFrame(
        [rejections.row(n, d, g, np.arange(40) < k, limit=limit) for n, d, g, limit, k in rows]
    )


def made_up_power():
    rows = [("similarity", "layers", "normalised", s) for s in (0.0, 0.2, 0.4)]
    rows += [
        (null, "networks", f"{m}, {form}", s)
        for null in ("weights-permuted", "similarity")
        for m in MEASURES
        for form in ("raw", "normalised")
        for s in (0.0, 0.5)
    ]
    return pd.DataFrame([rejections.row(n, d, g, np.arange(40) < 40 * s, strength=s) for n, d, g, s in rows])


def every_chart(levels, **options):
    S = np.full((8, 8), 0.3) + np.diag(np.linspace(0.7, 1, 8))
    return [
        charts.excess(levels, **options),
        charts.shares(levels, **options),
        charts.labels(chance.beside_true_labels(*memorised(level_shift={})), **options),
        charts.size(made_up_size(), **options),
        charts.power(made_up_power(), **options),
        charts.rescored(chance.rescored(S, draws=3), **options),
    ]


def drawn(chart):
    return pd.concat([pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()])


def test_every_chart_describes_itself_names_no_page_colour_and_is_narrow(levels):
    for chart in every_chart(levels, name="n", caption="c"):
        spec = chart.to_dict()
        assert len(spec["description"]) > 40
        assert {"caption": "c", "name": "n"}.items() <= spec["usermeta"].items()
        assert "background" not in spec.get("config", {})
        assert not re.search(r"(label|title|domain|tick|grid)Color", str(spec.get("config", {})))
        width = spec.get("spec", spec)["width"]
        one_column = "columns" not in spec and "column" not in spec.get("facet", {})
        assert width <= (300 if one_column else 205)
        numbers = drawn(chart).select_dtypes("number").to_numpy()
        assert numbers.size > 0


def test_excess_shows_both_settings_of_every_graph_and_null(levels):
    rows = drawn(charts.excess(levels))
    assert len(rows) == 2 * 4 * 16
    strong = rows[(rows.setting == "dropout 0.6") & (rows.null == "similarity")]
    assert set(strong.strength) == {0.6}
    assert strong[strong.measure == "input_grad"].excess.to_list() == pytest.approx([0.3] * 4)
    assert set(rows[rows.setting == "weakest L2"].regularizer) == {"l2"}
    assert (rows.low < rows.excess).all()
    assert (rows.excess < rows.high).all()


def test_untrained_networks_stand_beside_the_trained_and_are_not_counted_among_them(levels):
    rows = drawn(charts.excess(with_untrained(levels)))
    untrained = rows[rows.setting == "untrained"]
    assert set(untrained.null) == set(NULLS)
    assert set(untrained[untrained.null == "similarity"].excess) == {0.02}
    assert "untrained" in set(drawn(charts.shares(with_untrained(levels))).level)
    for table in (charts.not_above, charts.lowest):
        pd.testing.assert_frame_equal(table(with_untrained(levels)), table(levels))


def test_shares_show_every_level_by_name(levels):
    rows = drawn(charts.shares(levels))
    assert len(rows) == len(levels)
    assert set(rows.level) == {"L2 1e-05", "dropout 0.2", "dropout 0.6"}
    plain = rows[(rows.level == "L2 1e-05") & (rows.null == "similarity")]
    assert (plain.share == 0).all()
    strong = rows[(rows.level == "dropout 0.6") & (rows.null == "similarity")]
    assert (strong.share == 1).all()


def test_labels_stand_in_pairs(levels):
    rows = drawn(charts.labels(chance.beside_true_labels(*memorised(level_shift={STRONGER: 0.1}))))
    assert len(rows) == 2 * 2 * 16
    keys = ["graph", "layer", "setting"]
    wide = rows.pivot_table(index=keys, columns="kind", values="q")
    gap = (wide["true labels"] - wide["permuted labels"]).groupby("setting").mean()
    assert gap["dropout 0.6"] == pytest.approx(0.1, abs=2e-4)
    assert gap["weakest L2"] == pytest.approx(0, abs=2e-4)
    assert set(rows[rows.kind == "permuted labels"].train_accuracy) == {0.9}


def test_sizes_tell_what_is_claimed_from_limits():
    rows = drawn(charts.size(made_up_size())).set_index("row")
    assert rows.loc["3 dimensions", "kind"] == "what the null draws"
    assert rows.loc["dimensions of variance 1/k", "kind"] == "not what the null draws"
    assert rows.loc["dimensions of variance 1/k", "rate"] == 0.75
    assert rows.loc["input covariance, normalised", "on"].nunique() == 2


def test_power_shows_normalised_graphs_by_measure_and_layers_by_a_colour_of_their_own():
    rows = drawn(charts.power(made_up_power()))
    assert set(rows.measure) == {*MEASURES, charts.LAYER}
    assert not rows.graph.str.contains("raw").any()
    assert rows[rows.data == "layers"].sort_values("strength").rate.to_list() == [0.0, 0.2, 0.4]


def test_without_tables_there_is_a_note_how_to_make_them():
    for made, name in [
        (charts.excess(None), "close-up"),
        (charts.shares(None), "close-up"),
        (charts.not_above(None), "close-up"),
        (charts.lowest(None), "close-up"),
        (charts.by_measure(None), "close-up"),
        (charts.labels(None), "labels-shuffled"),
    ]:
        assert isinstance(made, Markdown)
        assert f"python -m modlib run {name}" in made.data


def test_shares_by_measure_are_percentages_and_a_dash_where_there_is_no_test(levels):
    table = charts.by_measure(with_untrained(levels))
    assert table.loc[("strongest dropout", "input gradient"), "rotations"] == "100%"
    assert table.loc[("untrained", "input gradient"), "untrained"] == "–"


def test_the_lowest_come_first(levels):
    table = charts.lowest(levels, "similarity")
    assert list(table.columns) == ["excess", "from", "to"]
    assert table.excess.to_list() == ["-0.150"] * 4  # dropout of .05, less .2 downstream in the second layer
    assert "output Hessian, raw, layer 2" in table.index
    assert table.excess.astype(float).is_monotonic_increasing
    assert (table.to.astype(float) < 0).all()
    none = charts.lowest(levels[levels.strength == 0.6], "similarity")
    assert none.data == "No graph lies surely below this null."
    counts = charts.not_above(levels)
    assert list(counts.columns[:2]) == [("untrained", "below"), ("untrained", "open")]
    assert list(counts.index) == ["dropout 0.2", "dropout 0.6", "L2 1e-05"]
    assert counts.loc["dropout 0.2"].sum() > counts.loc["dropout 0.6"].sum()
    assert counts.loc["L2 1e-05"].sum() >= 32
