"""Charts of the other experiments: what they draw is what the statistics say, whatever is stored."""

import re
from dataclasses import replace

import pandas as pd
import pytest
import vl_convert
from test_elsewhere import of, world

from modlib.book.chapters.elsewhere import charts
from modlib.book.chapters.elsewhere import tables as elsewhere
from modlib.book.theme import GREY
from modlib.paper.claims import LEAD_MARGIN


def everything():
    found = {name: world(name=name, seeds=3) for name in ("base", "base-v1", "wide", "fashion")}
    deep = world(name="deep", layers=(1, 2, 3, 4, 5), seeds=3)
    return {name: deep if name == "deep" else found[name] for name in elsewhere.COMPARED}


@pytest.fixture(scope="module", params=["all", "base alone"])
def found(request):
    return everything() if request.param == "all" else {"base": world()}


@pytest.fixture(scope="module")
def specs(found):
    about = {"name": "n", "caption": "c"}
    drawings = {
        "q": charts.q_side_by_side(of(elsewhere.q_curves, found), **about),
        "depth": charts.q_by_depth(of(elsewhere.best_levels, found), **about),
        "agreement": charts.agreement_side_by_side(of(elsewhere.agreement_by_layer, found), **about),
        "leads": charts.leads(of(elsewhere.effects, found), **about),
        "levels": charts.agreement_at_levels(of(elsewhere.agreement_at_levels, found), **about),
    }
    return {name: chart.to_dict() for name, chart in drawings.items()}


CHARTS = ["q", "depth", "agreement", "leads", "levels"]


def drawn(spec):
    """Return the one table of a chart."""
    (rows,) = spec["datasets"].values()
    return pd.DataFrame(rows)


@pytest.mark.parametrize("chart", CHARTS)
def test_charts_describe_themselves_and_compile(chart, specs):
    spec = specs[chart]
    assert len(spec["description"]) > 40
    assert {"caption": "c", "name": "n"}.items() <= spec["usermeta"].items()
    assert not re.search(r"(label|title|domain|tick|grid)Color", str(spec.get("config", {})))
    drawing = vl_convert.vegalite_to_svg(spec)
    assert drawing.count("mark-symbol") > 2
    assert "NaN" not in drawing


@pytest.mark.parametrize("chart", CHARTS)
def test_panels_fit_a_narrow_page(chart, specs):
    spec = specs[chart]
    width, columns = spec["spec"]["width"], spec.get("columns", 2)
    assert width * columns <= 410
    if columns == 1:  # names of experiments leave room for dots on a phone, where pages narrow panels
        drawing = vl_convert.vegalite_to_svg(spec)
        assert float(re.search(r'<svg[^>]* width="([\d.]+)', drawing)[1]) - width <= 100


def test_curves_are_drawn_with_and_without_the_untrained_mean(found, specs):
    rows = drawn(specs["q"])
    curves = of(elsewhere.q_curves, found)
    assert len(rows) == len(curves)
    parts = {scale: part.reset_index(drop=True) for scale, part in rows.groupby("scale")}
    for scale, title in charts.SCALES.items():
        known = curves[curves.scale == scale].value
        assert parts[title].value.to_numpy() == pytest.approx(known.to_numpy(), abs=1e-4)
    shift = parts["Q"].value - parts["Q less that of untrained networks"].value
    assert shift.to_numpy() == pytest.approx(parts["Q"].untrained, abs=2e-4)


def test_an_interval_that_is_none_is_not_drawn_and_stretches_no_axis():
    """Two of three seeds pass at the strongest dropout; theirs would reach far beyond all others."""
    results = world(seeds=3)
    networks, modules = results.networks.copy(), results.modules.copy()
    networks.loc[networks.network == "dropout=0.6,seed=2", "test_accuracy"] = 0.5
    modules.loc[modules.network == "dropout=0.6,seed=1", "q"] += 0.2
    few = replace(results, networks=networks, modules=modules)
    chart = charts.q_side_by_side(of(elsewhere.q_curves, {"base": few})).to_dict()
    here = drawn(chart).strength == 0.6
    assert drawn(chart)[here][["low", "high"]].isna().all(axis=None)
    assert drawn(chart)[~here][["low", "high"]].notna().all(axis=None)
    drawing = vl_convert.vegalite_to_svg(chart)
    assert "NaN" not in drawing
    assert max(float(top) for top in re.findall(r">([\d.]+)</text>", drawing)) <= 1.0


def test_layers_can_be_chosen_as_deep_as_networks_are(found, specs):
    params = {p["name"]: p for p in specs["q"]["params"]}
    layers = params["elsewhere_layer"]["bind"]["options"]
    assert layers == list(range(1, 6 if "deep" in found else 3))


def test_layers_are_drawn_at_the_weakest_and_the_best_levels(found, specs):
    rows = drawn(specs["depth"])
    means = rows.groupby("level").excess.mean()
    assert means["weakest L2"] == pytest.approx(0.1, abs=0.005)
    assert means["best dropout"] == pytest.approx((0.4 + 0.165) / 2, abs=0.005)  # of both families
    assert means["best L1 or L2"] == pytest.approx(0.15, abs=0.005)
    (chosen,) = specs["depth"]["params"]
    assert chosen["value"] == ("deep" if "deep" in found else "base")


def test_agreement_has_a_panel_an_experiment_and_both_metrics(found, specs):
    rows = drawn(specs["agreement"])
    assert set(rows.experiment) == set(found)
    table = of(elsewhere.agreement_by_layer, found)
    for metric, title in charts.METRICS.items():
        known = table[table.metric == metric].value.sum()
        assert rows[rows.metric == title].value.sum() == pytest.approx(known, abs=0.01)


def test_leads_are_drawn_from_the_experiments_and_families_they_name(found, specs):
    rows = drawn(specs["leads"])
    table = of(elsewhere.effects, found)
    assert len(rows) == len(found) * 3 * 2  # agreement has another unit, and no dot here
    drawn_ones = rows.set_index(["experiment", "panel", "of"]).value
    for row in table[table.effect.isin(elsewhere.MARGINS)].to_dict("records"):
        key = row["experiment"], charts.RIVALS[row["effect"]], row["of"]
        assert drawn_ones[key] == pytest.approx(row["value"], abs=1e-4)


def test_the_band_of_no_lead_is_drawn_once_in_each_panel(specs):
    drawing = vl_convert.vegalite_to_svg(specs["leads"])
    bands = re.findall(rf'<path[^>]* fill="{GREY}" fill-opacity="0.25"', drawing)
    assert len(bands) == 3
    band = specs["leads"]["spec"]["layer"][0]["encoding"]
    assert -band["x"]["datum"] == band["x2"]["datum"] == LEAD_MARGIN


def test_agreement_at_levels_is_drawn_by_level_and_families(found, specs):
    rows = drawn(specs["levels"]).set_index(["experiment", "panel", "pair"]).value
    table = of(elsewhere.agreement_at_levels, found).set_index(["experiment", "level", "pair"]).value
    assert len(rows) == len(found) * 4 * 3
    assert rows.to_dict() == pytest.approx(table.to_dict(), abs=1e-4)


def test_an_experiment_keeps_its_colour_whatever_else_is_stored():
    def colours(found):
        chart = charts.q_side_by_side(of(elsewhere.q_curves, found))
        text = chart.to_dict()["spec"]["layer"][2]["encoding"]["color"]
        scale = text.get("scale") or text["condition"]["scale"]
        return dict(zip(scale["domain"], scale["range"], strict=True))

    whole = colours(everything())
    assert len(set(whole.values())) == 5
    some = colours({"base": world(), "fashion": world(name="fashion")})
    assert some.items() <= whole.items()


def test_graphs_least_favourable_to_dropout_are_named_and_in_order(found):
    best = of(elsewhere.best_levels, found)
    table = charts.least_favourable(best, 3)
    known = best.nsmallest(3, "difference")
    assert table.difference.to_list() == known.difference.round(3).to_list()
    assert table["from"].to_list() == known.low.round(3).to_list()
    assert table.index.to_list() == known.experiment.to_list()
    assert table.graph.str.contains("(?:raw|normalised), layer").all()
    assert set(table.against) <= {"L1", "L2"}


def test_levels_that_lose_networks_are_named():
    networks = world().networks.copy()
    networks.loc[networks.regularizer == "l1", "test_accuracy"] = 0.5
    table = charts.dropped_levels(replace(world(), networks=networks))
    assert table.index.to_list() == [("L1", 1e-3)]
    assert table.dropped.to_list() == [4]


def test_what_is_not_stored_is_named_with_its_command():
    note = charts.not_stored({"base": world(), "wide": world(name="wide")}, "quick").data
    for name in ("base-v1", "deep", "fashion"):
        assert f"`python -m modlib run {name} --profile quick`" in note
    assert "run wide" not in note
    assert "python" not in charts.not_stored(everything(), "paper").data


def test_costs_are_read_in_the_unit_that_their_column_names():
    row = {"plain": 0.97444, "dropout": 0.7, "strongest": 0.94564, "device": "cpu", "each": 1.7222}
    row |= {"training": 95.156, "analysis": 10.62, "dropped": 18}
    found = charts.costs(pd.DataFrame([row], index=["base"]))
    assert found.loc["base"].to_dict() == {
        "plain": 0.974, "dropout": 0.946, "device": "cpu",
        "training (min)": 95.2, "analysis (min)": 10.6, "each (s)": 1.72,
    }  # fmt: skip
