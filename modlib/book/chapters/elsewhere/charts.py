"""The findings in other networks and on other data, side by side, of the experiments that are stored."""

from collections.abc import Iterable
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from modlib.book import theme
from modlib.book.chapters.elsewhere.tables import COMPARED, FAMILY_PAIRS, MARGINS
from modlib.book.stored import not_yet
from modlib.measures import FAMILIES
from modlib.paper import by_level, graph_names
from modlib.paper.claims import LEAD_MARGIN
from modlib.study.accuracy_filter import LEVEL
from modlib.study.store import Results

#: Experiments have hues that no measure or family has, and a shape each.
COLOURS = dict(zip(COMPARED, (theme.GREY, *theme.SERIES_COLOURS[:4]), strict=True))
SHAPES = dict(zip(COMPARED, ("circle", "square", "triangle-up", "diamond", "cross"), strict=True))
SCALES = {"excess": "Q less that of untrained networks", "q": "Q"}
LEVELS = {"plain": "weakest L2", "dropout": "best dropout", "weights": "best L1 or L2"}
METRICS = {"ami": "adjusted mutual information", "ecs": "element-centric similarity"}
#: Levels of L1 and L2 that dropout is held against, by how accurate they must be.
RIVALS = dict(
    zip(
        MARGINS,
        ("penalties as accurate as dropout", "penalties within a point", "all penalties"),
        strict=True,
    )
)
AT_LEVELS = ("untrained", "weakest L2", "strongest dropout", "strongest L2")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_BY = ["dropout probability", "weight penalty"]
_LAYER = alt.X("layer:O", title="hidden layer", axis=alt.Axis(labelAngle=0, grid=False)).scale(padding=0.4)


def not_stored(found: Iterable[str], profile: str) -> Markdown:
    """Say which experiments are missing from the page, and the commands that compute them."""
    if missing := [name for name in COMPARED if name not in found]:
        return not_yet(*missing, profile=profile)
    return Markdown("*All experiments of this page are stored.*")  # type: ignore[no-untyped-call]


@theme.described(
    "Modularity of raw graphs against dropout and against L1 or L2, one line an experiment and one row a "
    "measure, less the modularity of untrained networks of the same shape."
)
def q_side_by_side(curves: pd.DataFrame) -> alt.FacetChart:
    """Q against dropout and against L1 or L2, a line an experiment; layer, penalty and scale by drop-down."""
    points = (
        theme.on_strength_axis(curves)
        .assign(
            by=np.where(curves.regularizer == "dropout", *_BY),
            scale=curves.scale.map(SCALES),
            name=curves.measure.map(theme.NAMES),
        )
        .round(4)
    )
    points["interval"] = [  # as text, since Vega's numbers in tooltips would show none as 0
        "none: too few seeds" if np.isnan(low) else f"{low:.3f} to {high:.3f}".replace("-", "−")
        for low, high in zip(points.low, points.high, strict=True)
    ]
    depth = int(points.layer.max())
    pick = alt.selection_point(name="elsewhere_pick", fields=["experiment"], bind="legend")
    base = (
        alt.Chart()
        .transform_filter("datum.layer == elsewhere_layer && datum.scale == elsewhere_scale")
        .transform_filter("datum.regularizer == 'dropout' || datum.regularizer == elsewhere_penalty")
    )
    shown = {
        "x": theme.strength_axis(),
        "color": _by_experiment(alt.Color, points, COLOURS),
        "opacity": alt.condition(pick, alt.value(1.0), alt.value(0.08)),
    }
    low, value = alt.Y("low:Q", title=None), alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=4))
    tooltip = [
        *("experiment:N", theme.MEASURE_TIP, alt.Tooltip("regularizer:N", title="regulariser")),
        *(theme.STRENGTH_TIP, alt.Tooltip("scale:N", title="shown"), theme.VALUE_TIP),
        alt.Tooltip("interval:N", title="95 %"),
        *(*theme.formatted(".3f", untrained="Q, untrained"), "seeds:Q"),
    ]
    # What the axes show is chosen by the reader, which titles of axes cannot follow; that of the chart can.
    title = alt.Title(alt.ExprRef("'vertical axes: ' + elsewhere_scale"))
    shape = _by_experiment(alt.Shape, points, SHAPES)
    return theme.panels(
        theme.zero_line(base),
        # A legend can pick only for the layer that it belongs to, the first that has its colours.
        base.mark_rule(strokeWidth=1.2).add_params(pick).encode(y=low, y2="high:Q", **shown),
        base.mark_line(strokeWidth=1.5).encode(y=value, **shown),
        base.mark_point(filled=True, size=38).encode(y="value:Q", shape=shape, tooltip=tooltip, **shown),
        data=points,
        size=(200, 120),
        row=alt.Row("name:N", sort=list(theme.NAMES.values()), header=theme.ROW_HEADER),
        column=alt.Column("by:N", sort=_BY, header=theme.NO_TITLE),
        spacing=theme.GAPS,
        independent="x",
        params=[
            theme.drop_down("elsewhere_layer", "Hidden layer ", range(1, depth + 1), _ORDINALS[:depth]),
            theme.drop_down("elsewhere_penalty", "Weight penalty ", ["l2", "l1"], ["L2", "L1"]),
            theme.drop_down("elsewhere_scale", "Show ", list(SCALES.values())),
        ],
    ).properties(title=title)


@theme.described(
    "Modularity less that of untrained networks by hidden layer, one panel for each measure, without "
    "regularisation, at the best dropout and at the best L1 or L2."
)
def q_by_depth(best: pd.DataFrame) -> alt.FacetChart:
    """Q less that of untrained networks by layer, without regularisation and at the best levels."""
    raw = best[~best.normalized]
    shared = raw[["experiment", "layer", "measure", "untrained"]].assign(name=raw.measure.map(theme.NAMES))
    parts = [
        shared.assign(level=title, q=raw[level], excess=raw[f"{level}_excess"])
        for level, title in LEVELS.items()
    ]
    layers = best.groupby("experiment", sort=False).layer.max()
    titles = list(LEVELS.values())
    colours = alt.Scale(domain=titles, range=[theme.GREY, *theme.SERIES_COLOURS[1:3]])
    shapes = alt.Scale(domain=titles, range=["square", "circle", "triangle-up"])
    shown = {"x": _LAYER, "color": alt.Color("level:N", sort=titles, scale=colours, legend=theme.TOP_LEGEND)}
    base = alt.Chart().transform_filter("datum.experiment == elsewhere_experiment")
    return theme.panels(
        theme.zero_line(base),
        base.mark_line(strokeWidth=1.5).encode(y="excess:Q", **shown),
        base.mark_point(filled=True, size=45, opacity=1).encode(
            y=alt.Y("excess:Q", title="Q less untrained", axis=alt.Axis(tickCount=4)),
            shape=alt.Shape("level:N", scale=shapes, legend=theme.TOP_LEGEND),
            tooltip=[
                *("experiment:N", theme.MEASURE_TIP, "layer:O", "level:N"),
                *(alt.Tooltip(f"{column}:Q", format=".3f") for column in ("excess", "q", "untrained")),
            ],
            **shown,
        ),
        data=pd.concat(parts, ignore_index=True).round(4),
        size=(195, 120),
        facet=alt.Facet("name:N", sort=list(theme.NAMES.values()), header=theme.HEADER),
        columns=2,
        spacing=12,
        params=[
            theme.drop_down("elsewhere_experiment", "Experiment ", list(layers.index), value=layers.idxmax())
        ],
    )


@theme.described(
    "Agreement of partitions within upstream, within downstream and across families by hidden layer, one "
    "panel for each experiment, trained and untrained networks, with 95 % intervals over seeds."
)
def agreement_side_by_side(table: pd.DataFrame) -> alt.FacetChart:
    """Plot agreement within and across families by layer, a panel an experiment; the metric by drop-down."""
    networks = table.trained.map({True: "trained", False: "untrained"})
    points = table.assign(networks=networks, metric=table.metric.map(METRICS)).round(4)
    base = alt.Chart().transform_filter("datum.metric == elsewhere_metric")
    shown = {"x": _LAYER, "color": theme.family_colour(theme.TOP_LEGEND)}
    dashed = alt.condition("datum.networks == 'trained'", alt.value([1, 0]), alt.value([4, 3]))
    grey = theme.GREY
    legend = alt.Legend(
        title="networks", orient="top", symbolFillColor=grey, symbolStrokeColor=grey, symbolOpacity=1
    )
    shapes = theme.scale_of({"trained": "circle", "untrained": "cross"})
    return theme.panels(
        base.mark_rule(strokeWidth=2).encode(y="low:Q", y2="high:Q", **shown),
        base.mark_line(strokeWidth=1.5).encode(y="value:Q", detail="networks:N", strokeDash=dashed, **shown),
        base.mark_point(size=48, strokeWidth=1.5, filled=True, opacity=1).encode(
            y=alt.Y("value:Q", title="agreement", axis=alt.Axis(tickCount=5)),
            shape=alt.Shape("networks:N", scale=shapes, legend=legend),
            tooltip=[
                *("experiment:N", "layer:O", theme.FAMILIES_TIP, "networks:N", theme.METRIC_TIP),
                *(*theme.estimate("value", "value"), "seeds:Q"),
            ],
            **shown,
        ),
        data=points,
        size=(195, 150),
        facet=alt.Facet("experiment:N", sort=list(table.experiment.unique()), header=theme.HEADER),
        columns=2,
        spacing=14,
        independent="x",
        params=[theme.drop_down("elsewhere_metric", "Agreement as ", list(METRICS.values()))],
    )


@theme.described(
    "How far dropout leads over weight penalties in modularity, upstream and downstream, with 95 % "
    "intervals, one row for each experiment: among penalties as accurate as dropout, within a point of "
    "accuracy, and among all. A grey band marks a lead that counts as none."
)
def leads(table: pd.DataFrame) -> alt.FacetChart:
    """Plot dropout's lead by family and experiment, a panel for each idea of a fair rival."""
    points = table[table.effect.isin(MARGINS)].assign(panel=lambda rows: rows.effect.map(RIVALS))
    first = f"datum.experiment == '{points.experiment.iloc[0]}' && datum.of == '{FAMILIES[0]}'"
    band = theme.band(alt.Chart().transform_filter(first))  # drawn once in each panel
    band = band.encode(x=alt.datum(-LEAD_MARGIN), x2=alt.datum(LEAD_MARGIN))
    rivals = alt.Tooltip("rivals:Q", title="levels of L1 and L2")
    return _forest(points, "of", FAMILIES, "lead in Q", (*RIVALS.values(),), [rivals], band)


@theme.described(
    "Adjusted mutual information of partitions within upstream, within downstream and across families, with "
    "95 % intervals, one row for each experiment: in untrained networks, at the weakest L2, at the strongest "
    "dropout and at the strongest L2."
)
def agreement_at_levels(table: pd.DataFrame) -> alt.FacetChart:
    """Plot agreement within and across families by experiment, a panel for each of four levels."""
    points = table.rename(columns={"level": "panel", "seeds": "n"})
    strength = [alt.Tooltip("strength:Q", format="~g")]
    return _forest(points, "pair", FAMILY_PAIRS, "adjusted mutual information", AT_LEVELS, strength)


def _forest(
    points: pd.DataFrame,
    by: str,
    parts: Iterable[str],
    title: str,
    order: tuple[str, ...],
    tips: list[alt.Tooltip],
    *below: alt.Chart,
) -> alt.FacetChart:
    """Draw a row for each experiment and in it a dot for each of the `parts`, in panels one above another."""
    parts = list(parts)
    axis = alt.Axis(labelFontSize=11, ticks=False, domain=False)
    colour = theme.scale_of({part: theme.FAMILY_COLOURS[part] for part in parts})
    shown = {
        "y": alt.Y("experiment:N", sort=list(points.experiment.unique()), title=None, axis=axis),
        "yOffset": alt.YOffset(f"{by}:N", scale=alt.Scale(domain=parts)),
        "color": alt.Color(f"{by}:N", scale=colour, legend=theme.TOP_LEGEND),
    }
    base = alt.Chart()
    return theme.panels(
        *below,
        theme.zero_line(base, "x"),
        base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", **shown),
        theme.with_interval(base, "none: too few seeds")
        .mark_point(filled=True, size=45, opacity=1)
        .encode(
            x=alt.X("value:Q", title=title, axis=alt.Axis(tickCount=5, labelFlush=False)),
            tooltip=[
                *("experiment:N", alt.Tooltip("panel:N", title="levels"), alt.Tooltip(f"{by}:N", title="of")),
                *(theme.VALUE_TIP, theme.INTERVAL_TIP, alt.Tooltip("n:Q", title="seeds"), *tips),
            ],
            **shown,
        ),
        data=points.round({"value": 4, "low": 4, "high": 4}),
        size=(400, 11 * len(parts) * points.experiment.nunique()),
        facet=alt.Facet("panel:N", sort=list(order), header=theme.HEADER),
        columns=1,
        spacing=14,
    )


def costs(experiments: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of `tables.experiments`, and times in the unit that their column names, for reading."""
    columns = {
        "plain": "plain",
        "strongest": "dropout",
        "device": "device",
        "training": "training (min)",
        "analysis": "analysis (min)",
        "each": "each (s)",
    }
    digits = {"plain": 3, "strongest": 3, "training": 1, "analysis": 1, "each": 2}
    return experiments.round(digits)[list(columns)].rename(columns=columns)


def least_favourable(best: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """Graphs of `best_levels` in which L1 or L2 leads by most, for reading."""
    table = graph_names.with_graph_names(best.nsmallest(count, "difference"))
    table["against"] = table.weights_by.map(theme.REGULARIZERS)
    table = table.rename(columns={"low": "from", "high": "to"}).set_index("experiment")
    return table[["graph", "against", "difference", "from", "to"]].round(3)


def dropped_levels(results: Results) -> pd.DataFrame:
    """`modlib.paper.by_level.dropped_levels` for reading."""
    table = by_level.dropped_levels(results)
    return table.assign(regularizer=table.regularizer.map(theme.REGULARIZERS)).set_index(LEVEL).round(3)


def _by_experiment(
    channel: Any, table: pd.DataFrame, looks: dict[str, str], legend: alt.Legend | None = theme.TOP_LEGEND
) -> Any:
    """Give each experiment of a table its colour or its shape."""
    scale = theme.scale_of({name: looks[name] for name in table.experiment.unique()})
    return channel("experiment:N", scale=scale, legend=legend)
