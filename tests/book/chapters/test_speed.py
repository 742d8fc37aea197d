"""What the page on performance says is what the records say, and says so where there are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from modlib.book import benchmark_records
from modlib.book import vega as charts_of_the_book
from modlib.book.chapters.speed import charts, tables
from modlib.book.numbers import citations, value

ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_records, "FOLDER", tmp_path)


def timed(**seconds):
    rows = [(name, number, value) for name, values in seconds.items() for number, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["contestant", "round", "seconds"])


def only(table, **labels):
    """Return the row of a table that has these labels."""
    for name, label in labels.items():
        table = table[table[name] == label]
    (row,) = table.to_dict("records")
    return row


@pytest.mark.usefixtures("empty")
def test_without_records_every_goal_is_not_measured_and_tables_are_empty():
    assert set(tables.goals().met) == {"not measured"}
    assert set(tables.goals().measured) == {"n/a"}
    for make in (
        tables.machines, tables.training, tables.epochs, tables.base, tables.analysis, tables.partitions,
        tables.growth, tables.powers, tables.fewer_images, tables.fewer_edges, tables.searches,
        tables.fewer_images_by_measure, tables.null_searches, tables.optima, tables.peers,
        tables.peer_images, tables.faster_peers,
    ):  # fmt: skip
        assert make("paper").empty
    assert tables.builds("paper").seconds.isna().all()  # the book is built to measure them
    assert tables.pages("paper").isna().all(axis=None)


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(("loop", "met"), [([6.0, 6.0, 6.0], "yes"), ([5.9, 5.9, 6.1], "no")])
def test_a_goal_is_met_if_the_median_of_the_ratio_is_what_was_asked(loop, met):
    benchmark_records.write("training", "cpu", timed(stack=[2.0] * 3, loop=loop, products=[1.6] * 3), {})
    goals = tables.goals().set_index("what")
    assert goals.loc["training: stack over one network at a time", "met"] == met
    products = goals.loc["training: matrix products alone, of the stack's time"]
    assert (products.measured, products.met) == ("80 %", "yes")
    training = tables.training("quick")
    assert only(training, device="cpu", ratio="loop")["times"] == np.median(loop) / 2
    assert only(training, device="cpu", ratio="bound")["times"] == np.median(loop) / 1.6
    assert only(training, ratio="products")["percent_times"] == 80
    assert set(training.device) == {"cpu"}
    assert only(tables.epochs("quick"), contestant="stack")["milliseconds"] == 2000


@pytest.mark.usefixtures("empty")
def test_a_gpu_is_held_against_the_fastest_loop_and_the_plain_one_is_told_too():
    contestants = {
        "stack (plain)": [2.0] * 3, "stack (compiled)": [1.0] * 3,
        "loop (fused)": [600.0] * 3, "loop (graphed)": [299.0] * 3, "products": [0.6] * 3,
    }  # fmt: skip
    benchmark_records.write("training", "cpu", timed(**contestants), {})
    times = tables.training("paper").set_index("ratio").times
    assert (times["loop"], times["plain loop"], times["plain stack"]) == (299, 600, 2)
    assert times["products"] == pytest.approx(0.6)


@pytest.mark.usefixtures("empty")
def test_stages_of_base_are_medians(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    rows = [("training", 0, 9.0), ("training", 1, 30.0), ("training", 2, 9.5), ("modules", 0, 61.0)]
    table = pd.DataFrame(rows, columns=["stage", "round", "seconds"])
    benchmark_records.write("base", "cuda", table, {"first": {"training": 31.0, "modules": 61.0}})
    found = tables.base("paper").set_index("stage")
    assert found.loc["training"].to_dict() == {"seconds": 9.5, "first": 31}
    assert found.loc["modules"].to_dict() == {"seconds": 61, "first": 61}
    goals = tables.goals().set_index("what")
    assert goals.met["on a GPU: the 270 networks of base trained"] == "yes"
    assert goals.met["beside a GPU, 16 cores: their modules and agreement"] == "no"


@pytest.mark.usefixtures("empty")
def test_a_goal_with_a_most_is_missed_above_it():
    modules = pd.DataFrame({"network": "n", "gain": [0.1, 0.0, -1e-12, -0.2]})
    benchmark_records.write("analysis-q", "cpu", modules, {})
    goal = "graphs of which the published method finds a higher Q"
    assert tables.goals().set_index("what").met[goal] == "no"
    (found,) = tables.partitions("paper").to_dict("records")
    assert (found["higher"], found["equal"], found["lower"]) == (1, 2, 1)
    assert found["most_lower"] == 0.2
    benchmark_records.write("analysis-q", "cpu", modules.head(3), {})
    assert tables.goals().set_index("what").met[goal] == "yes"


@pytest.mark.usefixtures("empty")
def test_a_stage_counts_once_at_which_any_peer_is_faster():
    fast = timed(modlib=[2.0] * 3, jax=[1.0, 1.5, 5.0], autograd=[1.9] * 3).assign(stage="gradient")
    slow = timed(modlib=[2.0] * 3, sklearn=[2.1] * 3).assign(stage="agreement")
    table = pd.concat([fast, slow])[["stage", "contestant", "round", "seconds"]]
    benchmark_records.write("peers", "cpu", table, {"images": 7})
    assert tables.faster_peers("paper").to_dict("records") == [{"stages": 1, "all": 2}]
    jax = only(tables.peers("paper"), stage="gradient", peer="jax")
    assert (jax["seconds"], jax["times"], jax["from"], jax["to"]) == (1.5, 0.75, 0.625, 1.625)
    assert tables.peer_images("paper").images.item() == 7


@pytest.mark.usefixtures("empty")
def test_searches_that_miss_are_counted_by_size():
    columns = ["graph", "search", "seeds", "below", "above", "lowest", "seconds", "runs"]
    rows = [("a", "modlib", 10, 0, 1, 0.0, 0.1, 1.0), ("b", "modlib", 10, 3, 0, -0.02, 0.3, 1.0)]
    narrow = pd.DataFrame(rows, columns=columns)
    benchmark_records.write("search", "cpu", narrow, {})
    benchmark_records.write("search-wide", "cpu", narrow.assign(below=0), {})
    found = only(tables.searches("paper"), units=64, search="modlib")
    assert {name: found[name] for name in ("searches", "below", "graphs", "of", "above", "lowest")} == {
        "searches": 20, "below": 3, "graphs": 1, "of": 2, "above": 1, "lowest": -0.02,
    }  # fmt: skip
    assert (found["percent"], found["milliseconds"]) == (15, pytest.approx(200))
    assert (found["furthest"], only(tables.searches("paper"), units=256)["furthest"]) == (0.02, 0.02)
    goals = tables.goals().set_index("what").met
    assert goals["searches of 64 units, ten a graph, that miss the best Q known"] == "no"
    assert goals["searches of 256 units, ten a graph, that miss the best Q known"] == "yes"


@pytest.mark.usefixtures("empty")
def test_a_null_that_is_searched_less_well_falls_short_by_a_distance():
    rows = [("1", "m", False, draw, few, q) for draw, q in enumerate((0.1, 0.2, 0.3)) for few in (2, 200)]
    table = pd.DataFrame(rows, columns=["layer", "measure", "normalized", "draw", "restarts", "q"])
    other = table.assign(layer="2")
    table.loc[table.restarts == 2, "q"] -= 0.05  # half a standard deviation, which is 0.1
    other.loc[other.restarts == 2, "q"] -= 0.01
    benchmark_records.write("search-nulls", "cpu", pd.concat([table, other]), {})
    found = only(tables.null_searches("paper"), restarts=2)
    assert found["short"] == pytest.approx(0.3)
    assert found["worst"] == pytest.approx(-0.5)


@pytest.mark.usefixtures("empty")
def test_fewer_images_are_told_by_measure_for_raw_graphs_that_look_at_images():
    rows = [
        *(("a", 100, 0.2, 0.01, False), ("a", 100, 0.4, 0.05, False), ("a", 100, 0.3, 0.03, False)),
        *(("a", 100, 9.0, 0.9, True), ("a", 30, 0.5, 0.1, False)),  # normalised, and of other images
        *(("b", 100, 1e-12, 0.0, False), ("b", 100, 0.02, 0.0, False)),  # the first looks at no image
    ]
    table = pd.DataFrame(rows, columns=["measure", "images", "error", "lost", "normalized"])
    benchmark_records.write("growth-images", "cpu", table, {})
    found = tables.fewer_images_by_measure("paper").set_index(["images", "measure"])
    assert found.loc[(100, "a")].to_dict() == pytest.approx({"error": 30, "lost": 3})
    assert found.loc[(30, "a")].to_dict() == pytest.approx({"error": 50, "lost": 10})
    assert found.loc[(100, "b")].to_dict() == pytest.approx({"error": 2, "lost": 0})


@pytest.mark.usefixtures("empty")
def test_goals_that_are_missed_are_counted():
    assert tables.missed("paper").to_dict("records") == [{"goals": len(tables.GOALS), "missed": 0}]
    benchmark_records.write("training", "cpu", timed(stack=[2.0] * 3, loop=[5.0] * 3, products=[1.5] * 3), {})
    assert tables.missed("paper").missed.item() == 2  # 2.5 times, and 75 %


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(("gap", "met"), [(0.02, "yes"), (0.04, "no")])
def test_optima_are_counted_and_the_other_bounds_are_held_to_their_gap(gap, met):
    table = pd.DataFrame(
        {"graph": list("abc"), "q": [0.1, 0.2, 0.3], "best_known_q": [0.1, 0.2, 0.31],
         "gap": [0.0, 1e-7, gap], "proven": [True, True, False], "seconds": [1.0, 3.0, 120.0]}
    )  # fmt: skip
    benchmark_records.write("optima", "cpu", table, {})
    assert tables.optima("paper").to_dict("records") == [
        {"graphs": 3, "proven": 2, "typical_seconds": 2.0, "most_seconds": 3.0, "missed": 1,
         "largest_gap_percent": pytest.approx(100 * gap)}
    ]  # fmt: skip
    goals = tables.goals().set_index("what").met
    assert goals["bound above Q on the others, at most"] == met
    assert goals["graphs of 64 units proven, in two minutes each (of 64)"] == "no"


def test_every_number_that_is_cited_is_on_record():
    cells = [cell for _, cell in citations(ROOT) if cell.chapter == "speed"]
    assert len(cells) > 70
    assert [str(cell) for cell in cells if value(cell, "paper") is None] == []


def test_tables_of_the_page_are_those_of_the_records():
    table = tables.analysis("paper")
    assert table.part.tolist() == list(tables.PARTS)
    assert (table["from"] <= table.times).all()
    assert (table.times <= table["to"]).all()
    powers = tables.powers("paper").set_index("what")
    assert (powers["from"] < powers["to"]).all()
    assert abs(powers.memory["similarity by images"]) < 0.1  # flat
    assert powers.time["similarity by images"] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("by", charts.CURVES)
def test_curves_have_a_point_for_every_size_measured(by):
    table = benchmark_records.read("growth", "cpu").table.dropna()
    wanted = table[table.what.str.endswith(f" by {by}")]
    chart = charts.growth(by).to_dict()
    assert len(chart["hconcat"]) == 2
    (rows,) = chart["datasets"].values()
    assert {(row["curve"], row["size"]) for row in rows} == {
        (what.removesuffix(f" by {by}"), size) for what, size in zip(wanted.what, wanted["size"], strict=True)
    }
    assert {row["curve"] for row in rows} <= set(charts.CURVES[by])


def test_the_chart_of_pages_has_every_page_in_both_windows():
    table = benchmark_records.read("book-pages", "cpu").table
    chart = charts.pages().to_dict()
    rows = max(chart["datasets"].values(), key=len)
    assert len(rows) == len(table) == 2 * table.page.nunique()
    wide = {row["page"] for row in rows if row["window"] == "wide window"}
    assert len(wide) == len([row for row in rows if row["window"] == "narrow window"]) == len(rows) / 2
    assert max(row["megabytes"] for row in rows) == pytest.approx(table.own_bytes.max() / 1e6, abs=1e-4)


@pytest.mark.usefixtures("empty")
def test_the_chart_of_pages_is_drawn_before_they_are_measured():
    chart = charts.pages()
    assert len(chart.to_dict()["layer"]) == 3
    charts_of_the_book.render(chart.to_dict())


def test_the_error_of_fewer_images_is_drawn_for_raw_graphs():
    chart = charts.fewer_images().to_dict()
    rows = max(chart["datasets"].values(), key=len)
    table = benchmark_records.read("growth-images", "cpu").table.query("not normalized and error > 1e-9")
    for row in rows:
        of = table[(table.images == row["images"]) & (table.measure == row["measure"])]
        assert row["error"] == pytest.approx(of.error.median(), abs=1e-6)
        assert row["low_lost"] <= row["lost"] <= row["high_lost"]
