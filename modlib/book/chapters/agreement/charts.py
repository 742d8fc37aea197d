"""How far the partitions of different measures agree."""

import altair as alt
import pandas as pd

from modlib.book import theme
from modlib.book.chapters.agreement.tables import STATES
from modlib.book.theme import FAMILY_COLOURS, described, estimate, family_colour, scale_of
from modlib.measures import MEASURES, VARIANTS
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
STATE_SHAPES = {"trained": "circle", "untrained": "cross"}
LAYERS = ["both layers", "first layer", "second layer"]
_SHORT = {measure: measure.replace("put_", " ").replace("hess", "Hess") for measure in MEASURES}
ORDER = [_SHORT[measure] + (" n" if normalized else "") for measure, normalized in VARIANTS]


def _short(measure: pd.Series, normalized: pd.Series) -> pd.Series:
    return measure.map(_SHORT) + normalized.map({True: " n", False: ""})


def _choice_of_metric(name: str) -> alt.Parameter:
    names = alt.binding_select(options=list(METRIC_NAMES.values()), name="Agreement as ")
    return alt.param(name=name, value=METRIC_NAMES["ecs"], bind=names)


@described(
    "Two 8 by 8 matrices of agreement between partitions, trained and untrained networks. The upstream block "
    "and the downstream block are dark, the blocks across families pale."
)
def agreement_matrices(results: Results) -> alt.FacetChart:
    """Agreement of all pairs of the eight graphs, trained beside untrained, the metric by drop-down."""
    tables = []
    for metric, title in METRIC_NAMES.items():
        table = family_pairs.agreement_matrix(results, metric)
        itself = (table.measure_a == table.measure_b) & (table.normalized_a == table.normalized_b)
        low, high = table[~itself][metric].min(), table[~itself][metric].max()
        shade = (table[metric].clip(low, high) - low) / (high - low)
        columns = {
            "metric": title,
            "networks": table.trained.map(STATES),
            "a": _short(table.measure_a, table.normalized_a),
            "b": _short(table.measure_b, table.normalized_b),
            "value": table[metric].round(3),
            "shade": (1 - shade if metric == "vi" else shade).round(3),
            "self": itself,
        }
        tables.append(pd.DataFrame(columns))
    axis = alt.Axis(title=None, labelFontSize=11, domain=False, ticks=False, grid=False)
    chart = alt.Chart(pd.concat(tables, ignore_index=True)).transform_filter("datum.metric == metric")
    base = chart.encode(x=alt.X("b:N", sort=ORDER, axis=axis), y=alt.Y("a:N", sort=ORDER, axis=axis))
    squares = base.mark_rect(stroke="#ffffff", strokeWidth=0.5).encode(
        color=alt.Color("shade:Q", scale=alt.Scale(scheme="purples", domain=[-0.1, 1.1]), legend=None),
        opacity=alt.condition("datum.self", alt.value(0.25), alt.value(1.0)),
        tooltip=[
            alt.Tooltip("a:N", title="one"),
            alt.Tooltip("b:N", title="other"),
            *("networks:N", theme.METRIC_TIP, theme.VALUE_TIP),
        ],
    )
    text = base.transform_filter("!datum.self").mark_text(fontSize=10)
    said = text.encode(
        text=alt.Text("value:Q", format=".2f"),
        color=alt.condition("datum.shade > 0.55", alt.value("#ffffff"), alt.value("#1b2029")),
    )
    header = alt.Header(title=None, labelFontSize=13)
    column = alt.Column("networks:N", sort=list(STATE_SHAPES), header=header)
    panel = alt.layer(squares, said).properties(width=270, height=270)
    return panel.facet(column=column, spacing=16).add_params(_choice_of_metric("metric"))


@described(
    "Mean agreement of partitions within the upstream family, within the downstream family and across them, "
    "for trained and untrained networks, with 95 % intervals."
)
def agreement_of_families(results: Results) -> alt.FacetChart:
    """Mean agreement within and across families, trained against untrained, 95 % over seeds."""
    tables = []
    for metric, title in METRIC_NAMES.items():
        table = family_pairs.family_agreement(results, metric).rename(columns={metric: "value"})
        tables.append(table.assign(metric=title))
    points = pd.concat(tables, ignore_index=True).round(4)
    points["networks"] = points.trained.map(STATES)
    points["layer"] = points.layer.map(dict(enumerate(LAYERS)))
    base = (
        alt.Chart(points)
        .transform_filter("datum.metric == family_metric")
        .encode(y=alt.Y("networks:N", title=None, sort=list(STATE_SHAPES)), color=family_colour())
    )
    span = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="agreement"), x2="high:Q")
    dot = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="value:Q",
        shape=alt.Shape("networks:N", scale=scale_of(STATE_SHAPES), legend=None),
        tooltip=[
            *(theme.FAMILIES_TIP, "networks:N", "layer:N", theme.METRIC_TIP),
            *(*estimate("value", "value"), "seeds:Q"),
        ],
    )
    header = alt.Header(title=None, labelAngle=0, labelAlign="left", labelFontSize=12)
    panel = alt.layer(span, dot).properties(width=155, height=52)
    return panel.facet(
        row=alt.Row("family_pair:N", sort=list(FAMILY_COLOURS), header=header),
        column=alt.Column("layer:N", sort=LAYERS, header=theme.NO_TITLE),
        spacing=10,
    ).add_params(_choice_of_metric("family_metric"))
