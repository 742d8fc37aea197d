"""How far the partitions of different measures agree."""

from __future__ import annotations

import altair as alt
import pandas as pd

from modlib.book.theme import FAMILY_COLOURS, estimate, properties
from modlib.measures import VARIANTS
from modlib.paper import family_pairs
from modlib.study.store import Results

METRIC_NAMES = {
    "ecs": "element-centric similarity",
    "ami": "adjusted mutual information",
    "ari": "adjusted Rand index",
    "matching": "units matched one to one",
    "vi": "variation of information (bits)",
    "rank_correlation": "rank correlation of the similarities",
}
_SHORT = {
    "input_cov": "in cov",
    "input_grad": "in grad",
    "output_grad": "out grad",
    "output_hess": "out Hess",
}
ORDER = [_SHORT[measure] + (" n" if normalized else "") for measure, normalized in VARIANTS]


def _short(measure: pd.Series, normalized: pd.Series) -> pd.Series:
    return measure.map(_SHORT) + normalized.map({True: " n", False: ""})


def _choice_of_metric(name: str) -> alt.Parameter:
    names = alt.binding_select(options=list(METRIC_NAMES.values()), name="Agreement as ")
    return alt.param(name=name, value=METRIC_NAMES["ecs"], bind=names)


def agreement_matrices(results: Results, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Agreement of all pairs of the eight graphs, trained beside untrained, the metric by drop-down."""
    tables = []
    for metric, title in METRIC_NAMES.items():
        table = family_pairs.agreement_matrix(results, metric)
        off = table[(table.measure_a != table.measure_b) | (table.normalized_a != table.normalized_b)]
        low, high = off[metric].min(), off[metric].max()
        shade = (table[metric].clip(low, high) - low) / (high - low)
        tables.append(
            pd.DataFrame(
                {
                    "metric": title,
                    "networks": table.trained.map({True: "trained", False: "untrained"}),
                    "a": _short(table.measure_a, table.normalized_a),
                    "b": _short(table.measure_b, table.normalized_b),
                    "value": table[metric].round(3),
                    "shade": (1 - shade if metric == "vi" else shade).round(3),
                    "self": (table.measure_a == table.measure_b) & (table.normalized_a == table.normalized_b),
                }
            )
        )
    cells = pd.concat(tables, ignore_index=True)
    choice = _choice_of_metric("metric")
    axis = alt.Axis(title=None, labelFontSize=11, domain=False, ticks=False, grid=False)
    base = (
        alt.Chart(cells)
        .transform_filter("datum.metric == metric")
        .encode(
            x=alt.X("b:N", sort=ORDER, axis=axis),
            y=alt.Y("a:N", sort=ORDER, axis=axis),
        )
    )
    squares = base.mark_rect(stroke="#ffffff", strokeWidth=0.5).encode(
        color=alt.Color("shade:Q", scale=alt.Scale(scheme="purples", domain=[-0.1, 1.1]), legend=None),
        opacity=alt.condition("datum.self", alt.value(0.25), alt.value(1.0)),
        tooltip=[
            alt.Tooltip("a:N", title="one"),
            alt.Tooltip("b:N", title="other"),
            "networks:N",
            alt.Tooltip("metric:N", title="agreement"),
            alt.Tooltip("value:Q", format=".3f"),
        ],
    )
    text = (
        base.transform_filter("!datum.self")
        .mark_text(fontSize=10)
        .encode(
            text=alt.Text("value:Q", format=".2f"),
            color=alt.condition("datum.shade > 0.55", alt.value("#ffffff"), alt.value("#1b2029")),
        )
    )
    return (
        alt.layer(squares, text)
        .properties(width=270, height=270)
        .facet(
            column=alt.Column(
                "networks:N", sort=["trained", "untrained"], header=alt.Header(title=None, labelFontSize=13)
            ),
            spacing=16,
        )
        .add_params(choice)
        .properties(
            **properties(
                description="Two 8 by 8 matrices of agreement between partitions, trained and untrained "
                "networks. The upstream block and the downstream block are dark, the blocks across "
                "families pale.",
                caption=caption,
                name=name,
            )
        )
    )


def agreement_of_families(results: Results, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Mean agreement within and across families, trained against untrained, 95 % over seeds."""
    tables = []
    for metric, title in METRIC_NAMES.items():
        table = family_pairs.family_agreement(results, metric).rename(columns={metric: "value"})
        tables.append(table.assign(metric=title))
    points = pd.concat(tables, ignore_index=True).round(4)
    points["networks"] = points.trained.map({True: "trained", False: "untrained"})
    points["layer"] = points.layer.map({0: "both layers", 1: "first layer", 2: "second layer"})
    choice = _choice_of_metric("family_metric")
    families = list(FAMILY_COLOURS)
    base = (
        alt.Chart(points)
        .transform_filter("datum.metric == family_metric")
        .encode(
            y=alt.Y("networks:N", title=None, sort=["trained", "untrained"]),
            color=alt.Color(
                "family_pair:N",
                scale=alt.Scale(domain=families, range=list(FAMILY_COLOURS.values())),
                legend=None,
            ),
        )
    )
    span = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="agreement"), x2="high:Q")
    dot = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="value:Q",
        shape=alt.Shape(
            "networks:N",
            scale=alt.Scale(domain=["trained", "untrained"], range=["circle", "cross"]),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("family_pair:N", title="pairs"),
            "networks:N",
            "layer:N",
            alt.Tooltip("metric:N", title="agreement"),
            *estimate("value", "value"),
            alt.Tooltip("seeds:Q"),
        ],
    )
    return (
        alt.layer(span, dot)
        .properties(width=155, height=52)
        .facet(
            row=alt.Row(
                "family_pair:N",
                sort=families,
                header=alt.Header(title=None, labelAngle=0, labelAlign="left", labelFontSize=12),
            ),
            column=alt.Column(
                "layer:N", sort=["both layers", "first layer", "second layer"], header=alt.Header(title=None)
            ),
            spacing=10,
        )
        .add_params(choice)
        .properties(
            **properties(
                description="Mean agreement of partitions within the upstream family, within the downstream "
                "family and across them, for trained and untrained networks, with 95 % intervals.",
                caption=caption,
                name=name,
            )
        )
    )
