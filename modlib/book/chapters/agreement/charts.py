"""How far the partitions of different measures agree."""

from collections.abc import Callable, Iterable
from functools import partial

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from modlib.book import theme
from modlib.book.chapters.agreement.tables import FAMILY_PAIRS, METRICS, STATES, at_one_level
from modlib.book.stored import not_yet
from modlib.book.theme import FAMILY_COLOURS, GREY, described, estimate, family_colour, scale_of
from modlib.measures import MEASURES, VARIANTS
from modlib.paper import by_level, evidence, family_pairs
from modlib.study.store import Results

METRIC_NAMES = {
    "ami": "adjusted mutual information",
    "ecs": "element-centric similarity",
    "ari": "adjusted Rand index",
    "matching": "units matched one to one",
    "vi": "variation of information (bits)",
    "rank_correlation": "rank correlation of the similarities",
}
STATE_SHAPES = {"trained": "circle", "untrained": "cross"}
LAYERS = ["both layers", "first layer", "second layer"]
EVERY_LEVEL = "all levels together"
_SHORT = {measure: measure.replace("put_", " ").replace("hess", "Hess") for measure in MEASURES}
ORDER = [_SHORT[measure] + (" n" if normalized else "") for measure, normalized in VARIANTS]
_PANELS = {"dropout": "dropout probability", "l1": "L1 strength", "l2": "L2 strength"}
#: Opacity of a cell's colour above which white is read on it best, and below which the page's own colour is.
STRONG = 0.9
DIFFERENT, _SAME = "different measures", "a measure and its normalised form"


def _short(measure: pd.Series, normalized: pd.Series) -> pd.Series:
    return measure.map(_SHORT) + normalized.map({True: " n", False: ""})


def _choice_of_metric(name: str, metrics: Iterable[str] = METRIC_NAMES) -> alt.Parameter:
    return theme.drop_down(name, "Agreement as ", [METRIC_NAMES[metric] for metric in metrics])


def _of_metrics(table_of: Callable[[str], pd.DataFrame], metrics: Iterable[str]) -> pd.DataFrame:
    """Put together a table for each metric, whose column named as the metric becomes `value`."""
    tables = [
        table_of(metric).rename(columns={metric: "value"}).assign(metric=METRIC_NAMES[metric])
        for metric in metrics
    ]
    return pd.concat(tables, ignore_index=True).round({"value": 4, "low": 4, "high": 4})


@described(
    "Agreement of partitions against the strength of dropout, L1 and L2, a panel each. With dropout "
    "agreement within upstream climbs from below that within downstream to far above it; agreement across "
    "families climbs too, and stays the lowest. With L1 it falls to chance. At the strongest L2 it is near "
    "to that within families. Untrained networks agree within downstream, and hardly anywhere else."
)
def agreement_against_strength(results: Results) -> alt.HConcatChart:
    """Agreement within and across families against strength; the metric by drop-down."""
    points = _of_metrics(partial(family_pairs.agreement_by_level, results), METRICS)
    never = points[points.regularizer == "none"]
    trained = theme.on_strength_axis(points[points.regularizer != "none"])
    weakest = ("l2", trained[trained.regularizer == "l2"].strength.min())
    plain = trained[evidence.at_level(trained, weakest)].assign(by="L2 strength, the weakest")
    plain = plain.assign(x=0.0, panel="dropout")  # networks with dropout carry the weakest L2 as well
    trained = pd.concat([plain, trained.assign(panel=trained.regularizer)], ignore_index=True)
    seen = points[["value", "low", "high"]]  # a level of one seed has no interval
    least, most = float(seen.min().min()), float(seen.max().max())
    scale = alt.Scale(domain=[min(0.0, least), max(0.8, most)], nice=False)
    colour = theme.family_colour(alt.Legend(title=None, orient="top", labelExpr=theme.FAMILY_LABELS))
    panels: list[theme.Layered] = []
    for regularizer, title in _PANELS.items():
        first = not panels
        axis = alt.Axis(labels=first, ticks=first, tickCount=5)
        y = alt.Y("value:Q", title="agreement" if first else None, scale=scale, axis=axis)
        tooltip = [
            *(theme.FAMILIES_TIP, theme.REGULARIZER_TIP, theme.STRENGTH_TIP, theme.METRIC_TIP),
            *(*estimate("value", "value"), "seeds:Q"),
        ]
        base = alt.Chart(trained[trained.panel == regularizer].drop(columns=["regularizer", "panel"]))
        base = base.transform_filter("datum.metric == level_metric").encode(color=colour)
        x, low = theme.strength_axis().title(title), alt.Y("low:Q", scale=scale)
        untrained = (
            alt.Chart(never.drop(columns=["regularizer", "strength"]))
            .transform_filter("datum.metric == level_metric")
            .mark_rule(strokeDash=[5, 4], strokeWidth=1.5)
            .encode(
                y=y,
                color=colour,
                tooltip=[theme.FAMILIES_TIP, theme.METRIC_TIP, *estimate("value", "untrained"), "seeds:Q"],
            )
        )
        layers = (
            untrained,
            base.mark_rule(strokeWidth=1.2).encode(x=x, y=low, y2="high:Q"),
            base.mark_line(strokeWidth=1.5).encode(x=x, y=y),
            base.mark_point(size=42, shape=theme.SHAPES[regularizer], filled=True, opacity=1).encode(
                x=x, y=y, tooltip=tooltip
            ),
        )
        panels.append(alt.layer(*layers).properties(width=190, height=220))
    return alt.hconcat(*panels, spacing=12).add_params(_choice_of_metric("level_metric", METRICS))


@described(
    "Agreement within and across families at named levels, each with a tick at the most that the reliability "
    "of the partitions leaves room for. Across families agreement stays far below its tick."
)
def agreement_and_ceiling(table: pd.DataFrame) -> alt.FacetChart | Markdown:
    """Plot `tables.ceilings`: agreement as a bar, the ceiling as a tick."""
    if table.empty:
        return not_yet("close-up")
    tooltip = [
        alt.Tooltip("level:N"),
        theme.FAMILIES_TIP,
        *theme.formatted(".2f", agreement="agreement", ceiling="ceiling"),
        *estimate("share", "share of the ceiling", ".0%"),
        alt.Tooltip("seeds:Q"),
    ]
    y = alt.Y("family_pair:N", sort=[*FAMILY_PAIRS], title=None, axis=alt.Axis(labelLimit=120))
    base = alt.Chart().encode(y=y, tooltip=tooltip)
    x = alt.X("agreement:Q", title="adjusted mutual information", scale=alt.Scale(domain=[0, 1]))
    bar = base.mark_bar(height=9).encode(x=x, color=family_colour(legend=None))
    tick = base.mark_tick(thickness=2.5, size=20, color=GREY).encode(x="ceiling:Q")
    order = list(dict.fromkeys(table.level))
    facet = alt.Facet("level:N", sort=order, header=theme.NO_TITLE)
    data = table.round(4)
    return theme.panels(bar, tick, data=data, size=(205, 70), facet=facet, columns=2, spacing=14)


@described(
    "Two 8 by 8 matrices of agreement between partitions, of trained networks at one level and of untrained "
    "networks. In untrained networks only the downstream block is dark. At the weakest L2 the upstream block "
    "is darker, the downstream block paler than there, and the blocks across families are the palest."
)
def agreement_matrices(results: Results) -> alt.HConcatChart:
    """Agreement of all pairs of the eight graphs, trained and untrained; metric and level by drop-down."""
    levels = {name: level for name, level in by_level.landmarks(results).items() if level[0] != "none"}
    tables = [_cells(results, metric, EVERY_LEVEL) for metric in METRIC_NAMES]
    for name, level in levels.items():
        there = at_one_level(results, level)
        cells = (_cells(there, metric, name) for metric in METRIC_NAMES)
        tables += [table[table.networks == "trained"] for table in cells]
    table = pd.concat(tables, ignore_index=True)
    for _, rows in table.groupby("metric"):
        shown = rows[rows.pair == DIFFERENT].value
        shade = (rows.value.clip(shown.min(), shown.max()) - shown.min()) / (shown.max() - shown.min())
        is_distance = rows.metric.iloc[0] == METRIC_NAMES["vi"]
        table.loc[rows.index, "shade"] = (1 - shade if is_distance else shade).round(3)
    choice = theme.drop_down("matrix_level", "Trained networks at ", [*levels, EVERY_LEVEL])
    trained, untrained = (_matrix(table[table.networks == state], state) for state in STATES.values())
    trained = trained.transform_filter("datum.level == matrix_level")
    return alt.hconcat(trained, untrained, spacing=16).add_params(_choice_of_metric("metric"), choice)


def _cells(results: Results, metric: str, level: str) -> pd.DataFrame:
    table = family_pairs.agreement_matrix(results, metric)
    same = table.measure_a == table.measure_b
    itself = same & (table.normalized_a == table.normalized_b)
    pair = np.select([itself, same], ["itself", _SAME], DIFFERENT)
    columns = {
        "metric": METRIC_NAMES[metric],
        "networks": table.trained.map(STATES),
        "level": level,
        "a": _short(table.measure_a, table.normalized_a),
        "b": _short(table.measure_b, table.normalized_b),
        "pair": pair,
        "value": table[metric].round(3),
    }
    return pd.DataFrame(columns)


def _matrix(table: pd.DataFrame, title: str) -> theme.Layered:
    """Draw one matrix. Only pairs of two measures have a colour, and a graph with itself has no cell."""
    axis = alt.Axis(title=None, labelFontSize=11, domain=False, ticks=False, grid=False)
    base = (
        alt.Chart(table.drop(columns="networks"))
        .transform_filter("datum.metric == metric")
        .encode(x=alt.X("b:N", sort=ORDER, axis=axis), y=alt.Y("a:N", sort=ORDER, axis=axis))
    )
    itself = alt.FieldEqualPredicate(field="pair", equal="itself")
    compared = f"datum.pair == '{DIFFERENT}'"
    # By opacity, so that no agreement has no colour on either ground.
    shade = alt.FillOpacity("shade:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1], clamp=True), legend=None)
    squares = (
        base.transform_filter(~itself)
        .mark_rect(strokeWidth=0.5, stroke=GREY, fill=theme.PURPLE)
        .encode(
            fillOpacity=alt.condition(compared, shade, alt.value(0)),
            tooltip=[
                alt.Tooltip("a:N", title="one"),
                alt.Tooltip("b:N", title="other"),
                alt.Tooltip("pair:N", title="what"),
                *(theme.METRIC_TIP, theme.VALUE_TIP),
            ],
        )
    )
    # Where the page shines through, its theme colours what is written; on a strong colour it is white.
    text = alt.Text("value:Q", format=".2f")
    said = base.transform_filter(compared).encode(text=text)
    faint = said.transform_filter(f"datum.shade <= {STRONG}").mark_text(fontSize=10)
    strong = said.transform_filter(f"datum.shade > {STRONG}").mark_text(fontSize=10, color="#ffffff")
    same = base.transform_filter(alt.FieldEqualPredicate(field="pair", equal=_SAME))
    same = same.mark_text(fontSize=10, fontStyle="italic").encode(text=text)
    return alt.layer(squares, faint, strong, same).properties(width=270, height=270, title=title)


@described(
    "Mean agreement of partitions over all levels of regularisation, within the upstream family, within the "
    "downstream family and across them, for trained and untrained networks, with 95 % intervals."
)
def agreement_of_families(results: Results) -> alt.FacetChart:
    """Mean agreement within and across families, trained against untrained, 95 % over seeds."""
    points = _of_metrics(partial(family_pairs.family_agreement, results), METRIC_NAMES)
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
