"""Q against the strength of regularisation."""

from typing import Any

import altair as alt
import pandas as pd

from modlib.book import theme
from modlib.measures import FAMILIES
from modlib.paper import by_level, contrasts, published
from modlib.paper.claims import LEAD_MARGIN
from modlib.study.store import Results

PROTOCOLS = {"base": "final protocol", "base-v1": "arXiv v1 protocol"}
CLEAR = "clearly different from zero"
SERIES = {"raw": "circle", "normalised": "square", "paper, raw": "cross", "paper, normalised": "diamond"}


def _points(results: Results) -> pd.DataFrame:
    """Ours, the paper's (without interval) and untrained networks' (a band of ± 1 sd), a `series` each."""
    ours = by_level.q_by_strength(results)
    ours["series"] = ours.normalized.map({False: "raw", True: "normalised"})
    theirs = published.q()
    theirs["series"] = theirs.normalized.map({False: "paper, raw", True: "paper, normalised"})
    columns = ["layer", "measure", "regularizer", "strength", "series", "q", "low", "high", "seeds"]
    band = by_level.q_untrained(results).query("not normalized")
    band = band.assign(low=band["mean"] - band["std"], high=band["mean"] + band["std"], series="untrained")
    bands = [band.assign(regularizer=r) for r in ("dropout", "l1", "l2")]
    table = pd.concat([t.reindex(columns=columns) for t in (ours, theirs, *bands)], ignore_index=True)
    return table.assign(name=table.measure.map(theme.NAMES)).round({"q": 4, "low": 4, "high": 4})


@theme.described(
    "Modularity Q against strength of dropout, L1 and L2, one row for each of four similarity measures, with "
    "the paper's points beside ours and a band for untrained networks."
)
def q_against_strength(results: Results) -> alt.FacetChart:
    """Q against strength: a row a measure, a column a regulariser, layer by drop-down, series by legend."""
    points = theme.on_strength_axis(_points(results))
    pick = alt.selection_point(name="series", fields=["series"], bind="legend")
    base = alt.Chart().transform_filter("datum.layer == layer")
    ours = base.transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=list(SERIES)[:2]))
    theirs = alt.FieldOneOfPredicate(field="series", oneOf=list(SERIES)[2:])
    y = alt.Y("q:Q", title="Q", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4))
    faint = alt.condition(pick, alt.value(1.0), alt.value(0.08))
    shown: dict[str, Any] = {"x": theme.strength_axis(), "opacity": faint}
    colour = theme.measure_colour(legend=None)
    untrained = theme.band(base.transform_filter("datum.series == 'untrained'"))
    dashed = alt.condition("datum.series == 'normalised'", alt.value([4, 3]), alt.value([1, 0]))
    point = base.transform_filter("datum.series != 'untrained'").mark_point(size=34, strokeWidth=1.3)
    point = theme.with_interval(point, "none, read off a figure")
    stroke: Any = alt.condition(theirs, alt.value(theme.GREY), colour)
    return theme.panels(
        untrained.encode(y=alt.Y("low:Q", title="Q"), y2="high:Q"),
        ours.mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q", color=colour, **shown),
        ours.mark_line(strokeWidth=1.5).encode(
            y=y, color=colour, detail="series:N", strokeDash=dashed, **shown
        ),
        point.add_params(pick).encode(  # a legend can pick only for the layer that it belongs to
            y=y,
            stroke=stroke,
            shape=alt.Shape("series:N", scale=theme.scale_of(SERIES), legend=theme.rings()),
            tooltip=[
                *(theme.MEASURE_TIP, "series:N", theme.REGULARIZER_TIP, theme.STRENGTH_TIP),
                *theme.formatted(".3f", q="Q"),
                *(theme.INTERVAL_TIP, "seeds:Q"),
            ],
            **shown,
        ),
        data=points.drop(columns="regularizer"),
        size=(165, 110),
        row=alt.Row("name:N", sort=list(theme.NAMES.values()), header=theme.ROW_HEADER),
        column=theme.BY_REGULARIZER,
        spacing=theme.GAPS,
        independent="x",
        params=[theme.drop_down("layer", "Hidden layer ", [1, 2], ["first", "second"])],
    )


@theme.described(
    "Lead of dropout over the best penalty in modularity, among networks that are ever more accurate. "
    "Upstream it is far above zero everywhere and shrinks where most accuracy is asked for. Downstream it "
    "stays within a narrow band about zero by the final protocol; by arXiv v1 it lies a little above zero, "
    "and at the right end a little below."
)
def frontier(table: pd.DataFrame) -> alt.FacetChart:
    """Draw `tables.frontiers`: dropout's lead against the accuracy asked for, by family and protocol."""
    points = table.dropna(subset="value").rename(columns={"family": "family_pair"}).round(4)
    points["protocol"] = points.experiment.map(PROTOCOLS)
    scale = theme.scale_of({name: theme.FAMILY_COLOURS[name] for name in FAMILIES})
    colour = alt.Color("family_pair:N", scale=scale, legend=theme.TOP_LEGEND)
    x = alt.X("accuracy:Q", title="test accuracy of at least", axis=alt.Axis(labelFlush=False))
    x = x.scale(zero=False, nice=False)
    y = alt.Y("value:Q", title=["Q, dropout −", "best penalty"], axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(x=x, color=colour)
    margin = alt.Chart().transform_aggregate(n="count()", groupby=["protocol"])  # drawn once in each panel
    margin = margin.encode(y=alt.datum(-LEAD_MARGIN), y2=alt.datum(LEAD_MARGIN))
    return theme.panels(
        theme.band(margin),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(strokeWidth=1.5).encode(y=y),
        base.mark_point(filled=True, size=45, opacity=1).encode(
            y=y,
            tooltip=[
                *(theme.FAMILIES_TIP, alt.Tooltip("accuracy:Q", title="accuracy of at least", format=".3f")),
                *(*theme.estimate("value", "lead"), alt.Tooltip("n:Q", title="seeds")),
                alt.Tooltip("dropout:Q", title="levels of dropout"),
                alt.Tooltip("penalties:Q", title="levels of L1 and L2"),
            ],
        ),
        data=points,
        size=(440, 150),
        row=alt.Row("protocol:N", sort=list(PROTOCOLS.values()), header=theme.HEADER),
        spacing=14,
    )


@theme.described(
    "For each layer and graph, the difference in modularity between the best dropout and the best L1 or L2, "
    "at matched accuracy and over all levels, with 95 % intervals; right of zero means that dropout makes "
    "more modular networks. Filled points differ clearly from zero after a correction for their number."
)
def difference_of_gains(results: Results) -> alt.FacetChart:
    """How much higher the best level of dropout lies than the best of L1 and L2, graph by graph."""
    gain = contrasts.both_ways(results)
    gain["holm"] = (gain.p_holm <= contrasts.SIGNIFICANT).map({True: CLEAR, False: f"not {CLEAR}"})
    gain["graph"] = theme.graph_names(gain)
    gain["layer"] = gain.layer.map({1: "first layer", 2: "second layer"})
    colour = theme.measure_colour(legend=None)
    y = alt.Y("graph:N", sort=theme.GRAPHS, title=None, axis=alt.Axis(labelLimit=220))
    base = alt.Chart().encode(y=y, color=colour)
    return theme.panels(
        alt.Chart().mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q"),
        base.mark_point(size=60, opacity=1).encode(
            x=alt.X(
                "difference:Q",
                title="Q, best dropout − best L1 or L2",
                axis=alt.Axis(tickCount=5, labelFlush=False),
            ),
            fill=alt.condition(f"datum.holm == '{CLEAR}'", colour, alt.value("transparent")),
            tooltip=[
                *("graph:N", "levels:N"),
                *theme.formatted(".3f", plain="Q at the weakest L2", dropout="Q at the best dropout"),
                alt.Tooltip("dropout_at:Q", title="dropout of", format="~g"),
                alt.Tooltip("weights:Q", title="Q at the best L1 or L2", format=".3f"),
                alt.Tooltip("weights_by:N", title="which is"),
                alt.Tooltip("weights_at:Q", title="of", format="~g"),
                *theme.formatted(".3f", low="difference, 95 % from", high="to"),
                alt.Tooltip("effect:Q", title="Hedges' g", format=".2f"),
                alt.Tooltip("p_holm:Q", title="p by Holm", format=".4f"),
                alt.Tooltip("holm:N", title="after Holm"),
            ],
        ),
        data=gain.round(4),
        size=(205, 170),
        row=alt.Row("layer:N", header=theme.HEADER),
        column=alt.Column("levels:N", sort=list(contrasts.LEVELS_COMPARED), header=theme.NO_TITLE),
        spacing=14,
    )
