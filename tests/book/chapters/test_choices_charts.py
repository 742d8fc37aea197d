"""The multiverse: a dot a choice and effect, where the table has it."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import vl_convert
import worlds

from modlib.book.chapters.choices import charts as figures
from modlib.book.chapters.choices import tables as choices
from modlib.paper.multiverse import AGREEMENT_EFFECT, DOWNSTREAM_LEAD, EFFECTS, UPSTREAM_LEAD


@pytest.fixture(scope="module")
def world():
    return worlds.results("true")


@pytest.fixture(scope="module")
def table(world):
    return choices.effects(world, world)


def drawn(chart):
    return pd.concat([pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()])


def test_every_choice_but_the_metrics_has_a_dot(table):
    rows = drawn(figures.effects(table))
    expected = table[table.choice_kind != "metric"]
    assert len(rows) == len(expected)
    for effect in EFFECTS:
        found = rows[rows.effect == effect]
        assert not found.duplicated(["label", "levels"]).any()
        assert sorted(found.value) == pytest.approx(
            sorted(expected[expected.effect == effect].value), abs=1e-5
        )


def test_a_dot_stands_beside_its_own_name_and_default(table):
    rows = drawn(figures.effects(table)).set_index(["effect", "label", "levels"]).sort_index()
    value = table.set_index(["experiment", "choice_kind", "choice", "effect"]).value
    for name, levels, kind, choice in (
        ("layer 2 only", figures.MATCHED, "layer", "2 only"),
        ("raw graphs only", figures.MATCHED, "graphs", "raw only"),
        ("raw graphs only", figures.ANYWHERE, "graphs of all levels", "raw only"),
        ("default", figures.ANYWHERE, "levels", "all"),
        ("no accuracy filter", figures.ANYWHERE, "accuracy filter", "none, all levels"),
    ):
        for effect in (UPSTREAM_LEAD, DOWNSTREAM_LEAD):
            expected = value["base", kind, choice, effect]
            assert rows.value[effect, name, levels] == pytest.approx(expected, abs=1e-5)
    spectral = value["close-up", "optimiser", "spectral", AGREEMENT_EFFECT]
    found = rows.loc[AGREEMENT_EFFECT, "spectral", figures.MATCHED]
    assert found.value == pytest.approx(spectral, abs=1e-5)
    assert found.reference == rows.value[AGREEMENT_EFFECT, "default, fewer levels", figures.MATCHED]


def test_rows_go_by_kind_and_the_close_up_comes_last(table):
    for panel in figures.effects(table).to_dict()["vconcat"]:
        (order,) = {tuple(y["sort"]) for layer in panel["layer"] if (y := layer["encoding"].get("y"))}
        assert order[0] == "default"
        assert order.index("default, fewer levels") > order.index("layer 2 only")
        assert order[-1] == "spectral"


def test_names_of_choices_leave_room_for_dots_on_a_phone(table):
    """Panels stand one above another, and a page narrows them until they fit its 350 pixels."""
    spec = figures.effects(table).to_dict()
    drawing = vl_convert.vegalite_to_svg(spec)
    (width,) = {panel["width"] for panel in spec["vconcat"]}
    assert float(re.search(r'<svg[^>]* width="([\d.]+)', drawing)[1]) - width <= 180


def test_both_leads_share_a_scale(table):
    upstream, downstream, agreement = (
        next(
            x["scale"]["domain"]
            for layer in panel["layer"]
            if "scale" in (x := layer["encoding"].get("x", {}))
        )
        for panel in figures.effects(table).to_dict()["vconcat"]
    )
    assert upstream == downstream != agreement
    assert upstream[0] < 0 < upstream[1]


def test_choices_that_leave_nothing_have_no_dot(world):
    networks = world.networks.assign(test_accuracy=np.where(world.networks.trained, 0.93, 0.1))
    rows = drawn(figures.effects(choices.effects(replace(world, networks=networks))))
    assert "test accuracy at least 0.95" not in set(rows.label)
    assert "test accuracy at least 0.9" in set(rows.label)


def test_metrics_have_a_chart_of_their_own(world):
    found = choices.metrics(world)
    rows = drawn(figures.metrics(found))
    assert rows.value.to_list() == pytest.approx(found.value.to_list(), abs=1e-5)
    assert list(rows.label) == [choices.METRIC_NAMES[m] for m in found.metric]


@pytest.fixture
def ways():
    """Both findings by two ways, on both data sets, each effect with a value of its own."""
    places = [("lead", "upstream"), ("lead", "downstream")]
    places += [(effect, at) for effect in ("across", AGREEMENT_EFFECT) for at in ("plain", figures.HALF)]
    rows = [
        {
            "experiment": name,
            "specification": way,
            "effect": effect,
            "at": at,
            "n": 9,
            "p": 0.1,
            "n_modules": 4.0,
        }
        for name in choices.DATA_NAMES
        for way in ("absolute values, γ = 1", "signed, γ = 2")
        for effect, at in places
    ]
    value = np.arange(len(rows)) / 100
    return pd.DataFrame(rows).assign(value=value, low=value - 0.05, high=value + 0.05)


def test_every_way_has_a_dot_for_each_data_set(ways):
    leads = drawn(figures.specification_leads(ways))
    assert sorted(leads.value) == sorted(ways[ways.effect == "lead"].value)
    agreement = drawn(figures.specification_agreement(ways))
    half = ways[(ways["at"] == figures.HALF) & (ways.effect != "lead")]
    assert sorted(agreement.value) == sorted(half.value)
    place = ["specification", "data", "value"]
    here = half[(half.experiment == "fashion") & (half.effect == "across")]
    expected = set(zip(here.specification, ["Fashion-MNIST"] * 2, here.value, strict=True))
    assert expected <= set(agreement[place].itertuples(index=False, name=None))


def test_charts_describe_themselves_and_draw(world, table, ways):
    for chart in (
        figures.specification_leads(ways, name="n", caption="c"),
        figures.specification_agreement(ways, name="n", caption="c"),
        figures.effects(table, name="n", caption="c"),
        figures.metrics(choices.metrics(world), name="n", caption="c"),
    ):
        spec = chart.to_dict()
        assert len(spec["description"]) > 40
        assert {"caption": "c", "name": "n"}.items() <= spec["usermeta"].items()
        svg = vl_convert.vegalite_to_svg(spec)
        # One mark for each dot: a row without a place on the axis would have none.
        assert svg.count('aria-roledescription="point"') + svg.count('aria-roledescription="circle"') == len(
            drawn(chart)
        )


# --- tables for reading


def test_searches_are_read_by_name_with_the_ends_of_their_intervals():
    numbers = {"value": -0.01614, "low": -0.01739, "high": -0.01491, "n": 9, "p": 0.0, "relative": -0.1}
    row = numbers | {"optimiser": "spectral", "worst": -0.02, "best": 0.0, "better": 0.0}
    found = figures.optimisers(pd.DataFrame([row]))
    assert found.loc["spectral"].to_dict() == {
        "value": -0.0161, "from": -0.0174, "to": -0.0149, "worst": -0.02, "best": 0.0,
    }  # fmt: skip


def test_graphs_of_few_images_are_read_by_name():
    numbers = {"value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3], "n": 9, "p": 0.0, "relative": 0.5}
    table = pd.DataFrame(numbers | {"images": 100, "measure": "input_cov", "normalized": [False, True]})
    found = figures.images(table)
    assert list(found.columns) == ["value", "from", "to", "relative"]
    assert found.loc[100, "value"].to_dict() == {
        "input covariance, raw": 0.1, "input covariance, normalised": 0.2,
    }  # fmt: skip


def test_choices_of_agreement_are_read_by_name():
    names = ["default", "images=100", "optimiser=louvain"]
    found = figures.agreement(pd.DataFrame({"choice": names, "across": [0.14149, 0.1, 0.2]}))
    assert found.across.to_dict() == {"default": 0.141, "100 test images": 0.1, "Louvain": 0.2}
