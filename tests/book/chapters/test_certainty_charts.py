"""Charts of the chapter on certainty: what they draw is what the statistics say."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import worlds
from test_certainty import of

from modlib.book.chapters.certainty import charts
from modlib.book.chapters.certainty import tables as certainty
from modlib.paper import contrasts
from modlib.paper.simulations import coverage


@pytest.fixture(scope="module")
def results():
    """Three levels a regulariser at least, and some noise."""
    found = worlds.results("true", seeds=9, noise=0.02)
    more = []
    for network in found.networks.to_dict("records"):
        if network["trained"]:
            for times in (2, 3):
                changed = {
                    "strength": network["strength"] * times / 4,
                    "network": f"{network['network']}{times}",
                }
                more.append(network | changed)
    names = {row["network"]: row["network"][:-1] for row in more}
    modules = pd.concat(
        [found.modules[found.modules.network == old].assign(network=new) for new, old in names.items()]
    )
    modules["q"] = modules.q + np.random.default_rng(0).normal(0, 0.05, len(modules))
    return replace(
        found,
        networks=pd.concat([found.networks, pd.DataFrame(more)], ignore_index=True),
        modules=pd.concat([found.modules, modules], ignore_index=True),
    )


def drawn(chart):
    return pd.concat([pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()], ignore_index=True)


CHARTS = [
    lambda results, **options: charts.counted_units(of(certainty.units, results), **options),
    lambda results, **options: charts.trends(of(certainty.trends, results), **options),
    lambda _, **options: charts.coverages(**options),
]


@pytest.mark.parametrize("chart", CHARTS)
def test_every_chart_describes_itself_takes_a_caption_and_names_no_colour_of_text(chart, results):
    spec = chart(results, name="n", caption="c").to_dict()
    assert len(spec["description"]) > 40
    assert {"caption": "c", "name": "n"}.items() <= spec["usermeta"].items()
    assert not re.search(r"(label|title|domain|tick|grid)Color|background", str(spec))


@pytest.mark.parametrize("chart", CHARTS)
def test_panels_fit_a_phone(chart, results):
    spec = chart(results).to_dict()
    assert spec["spec"]["width"] <= 205


def test_units_are_drawn_with_their_intervals(results):
    known = of(certainty.units, results)
    rows = drawn(charts.counted_units(known))
    assert len(rows) == 12
    for column in ("low", "high", "q", "n"):
        np.testing.assert_allclose(rows[column], known[column], atol=1e-5)
    assert set(rows.by) == {"dropout", "L1", "L2"}


def test_trends_are_filled_where_they_are_told_from_none(results):
    known = of(certainty.trends, results)
    rows = drawn(charts.trends(known))
    assert len(rows) == len(known) == 48
    clear = rows[rows.holm == charts.CLEAR]
    assert len(clear) == (known.p_holm <= contrasts.SIGNIFICANT).sum()
    assert 0 < len(clear) < 48
    assert (clear.p_holm <= 0.05).all()
    assert set(rows.layer) == {"first layer", "second layer"}


def test_every_simulated_method_is_drawn_and_named():
    rows, known = drawn(charts.coverages()), coverage.stored()
    assert len(rows) == len(known)
    assert rows.truth.notna().all()
    assert set(charts.TRUTHS) == set(known.interval)
    kinds = rows.kind.value_counts()
    assert kinds[charts.KINDS[0]] == (known.used & ~known.limit).sum()
    assert kinds[charts.KINDS[2]] == (~known.used).sum()
