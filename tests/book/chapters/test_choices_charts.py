"""The multiverse: a dot a choice and effect, where the table has it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import vl_convert
import worlds

from modlib.book.chapters.choices import charts as figures
from modlib.book.chapters.choices import tables as choices
from modlib.paper.multiverse import AGREEMENT_EFFECT, EFFECTS, Q_EFFECT


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
        assert not found.label.duplicated().any()
        assert sorted(found.value) == pytest.approx(
            sorted(expected[expected.effect == effect].value), abs=1e-5
        )


def test_a_dot_stands_beside_its_own_name_and_default(table):
    rows = drawn(figures.effects(table)).set_index(["effect", "label"])
    value = table.set_index(["experiment", "choice", "effect"]).value
    assert rows.value[Q_EFFECT, "layer 2 only"] == pytest.approx(value["base", "2 only", Q_EFFECT], abs=1e-5)
    assert rows.value[AGREEMENT_EFFECT, "spectral"] == pytest.approx(
        value["close-up", "spectral", AGREEMENT_EFFECT], abs=1e-5
    )
    assert rows.reference[Q_EFFECT, "spectral"] == rows.value[Q_EFFECT, "default, fewer levels"]


def test_rows_go_by_kind_and_the_close_up_comes_last(table):
    rows = drawn(figures.effects(table))
    order = list(rows[rows.effect == Q_EFFECT].label)
    assert order[0] == "default"
    assert order.index("default, fewer levels") > order.index("layer 2 only")
    assert order[-1] == "spectral"


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


def test_charts_describe_themselves_and_draw(world, table):
    for chart in (
        figures.effects(table, name="n", caption="c"),
        figures.metrics(choices.metrics(world), name="n", caption="c"),
    ):
        spec = chart.to_dict()
        assert len(spec["description"]) > 40
        assert spec["usermeta"] == {"caption": "c", "name": "n"}
        svg = vl_convert.vegalite_to_svg(spec)
        # One mark for each dot: a row without a place on the axis would have none.
        assert svg.count('aria-roledescription="point"') + svg.count('aria-roledescription="circle"') == len(
            drawn(chart)
        )
