"""Charts of the training: accuracy, epochs and size against the strength of regularisation."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from modlib.book import theme
from modlib.book.chapters.training.tables import by_strength, still_training
from modlib.book.theme import described
from modlib.measures import VARIANTS
from modlib.paper.graph_names import variant_name

OURS = "here (final protocol)"
THEIRS = "the paper's figures (arXiv v1)"
OUR_COLOUR, THEIR_COLOUR = theme.PURPLE, theme.GREY  # hues of neither family
_PANELS = ("dropout", "l1", "l2")


@described()
def shrinking_stacks(networks: pd.DataFrame) -> alt.Chart:
    """Draw how many networks of a seed's stack are still in training, one line for each seed."""
    table = still_training(networks)
    scale = alt.Scale(domain=[0, 1.05 * float(table.networks.max())], nice=False)
    return (
        alt.Chart(table)
        .mark_line(interpolate="step-after", strokeWidth=1.2, color=OUR_COLOUR)
        .encode(
            x=alt.X("epoch:Q", scale=alt.Scale(nice=False, zero=True)),
            y=alt.Y("networks:Q", title="networks still training", scale=scale),
            detail="seed:N",
            tooltip=["seed:N", "epoch:Q", "networks:Q"],
        )
        .properties(width=420, height=170)
    )


def _x(regularizer: str, *, last: bool = True) -> alt.X:
    """Return the axis of strength, written out below the last row; penalties spread over decades."""
    shown: dict[str, Any] = {"labels": last, "ticks": last}
    if regularizer == "dropout":
        title, scale = "dropout probability", alt.Scale(domain=[0, 0.73], nice=False)
        axis = alt.Axis(values=[0, 0.2, 0.4, 0.6], labelFlush=False, **shown)
    else:
        title = f"{theme.REGULARIZERS[regularizer]} penalty"
        scale = alt.Scale(type="log", nice=False, padding=8)
        axis = alt.Axis(values=[1e-5, 1e-4, 1e-3, 1e-2, 1e-1], format=".0e", **shown)
    return alt.X("strength:Q", title=title if last else None, scale=scale, axis=axis)


def _of_seeds(title: str, form: str) -> list[alt.Tooltip]:
    """Tooltips of a level: strength, mean and range of the seeds, and how many networks they are."""
    return [
        alt.Tooltip("strength:Q", format=".3~g"),
        *theme.formatted(form, mean=title, low="lowest of the seeds", high="highest"),
        alt.Tooltip("networks:Q"),
    ]


@described()
def accuracy(networks: pd.DataFrame, published: pd.DataFrame, *, threshold: float = 0.8) -> alt.HConcatChart:
    """Draw test accuracy against strength, the paper's own points beside ours, and the filter.

    The axis is logarithmic in the error, so that .975 and .98 are as far apart as .5 and .6. `published` is
    what `modlib.paper.published.accuracy` returns; networks under the `threshold` are left out of findings.
    """
    ours = by_strength(networks, "test_accuracy").assign(series=OURS)
    theirs = published.dropna(subset=["test_acc"]).rename(columns={"test_acc": "mean"}).assign(series=THEIRS)
    points = pd.concat([ours, theirs[["regularizer", "strength", "mean", "series"]]], ignore_index=True)
    points = points[points.regularizer.isin(_PANELS)]
    for column, accuracy_ in (("error", "mean"), ("least", "high"), ("most", "low")):
        points[column] = (1 - points[accuracy_]).round(5)
    bottom = max(0.95, float(points[["error", "most"]].max().max()) + 0.01)
    scale = alt.Scale(type="log", reverse=True, domain=[0.015, bottom], nice=False)
    legend = alt.Legend(title=None, orient="bottom", symbolOpacity=1, labelLimit=300, columns=1)
    stroke = alt.Stroke(
        "series:N", scale=theme.scale_of({OURS: OUR_COLOUR, THEIRS: THEIR_COLOUR}), legend=legend
    )
    # By a scale and not by the mark, so that the legend shows as well that the paper's points are open.
    fill = alt.Fill(
        "series:N", scale=theme.scale_of({OURS: OUR_COLOUR, THEIRS: "transparent"}), legend=legend
    )
    filtered = alt.Chart(pd.DataFrame({"error": [1 - threshold]})).mark_rule(strokeDash=[5, 3])
    panels = []
    for regularizer in _PANELS:
        first = regularizer == _PANELS[0]
        axis = alt.Axis(
            values=[0.02, 0.05, 0.1, 0.2, 0.5, 0.9],
            labelExpr="format(1 - datum.value, '.2f')",
            labels=first,
            ticks=first,
        )
        y = alt.Y("error:Q", title="test accuracy" if first else None, scale=scale, axis=axis)
        base = alt.Chart(points[points.regularizer == regularizer]).encode(
            x=_x(regularizer),
            stroke=stroke,
            tooltip=[alt.Tooltip("series:N"), *_of_seeds("mean accuracy", ".4f")],
        )
        ours_alone, theirs_alone = (
            base.transform_filter(alt.datum.series == name) for name in (OURS, THEIRS)
        )
        shape = theme.SHAPES[regularizer]
        layers = (
            filtered.encode(y=y),
            ours_alone.mark_rule(strokeWidth=1.5).encode(y=alt.Y("least:Q", scale=scale), y2="most:Q"),
            base.mark_line(strokeWidth=1).encode(y=y),
            theirs_alone.mark_point(size=50, shape=shape, opacity=1).encode(y=y, fill=fill),
            ours_alone.mark_point(size=30, shape=shape, opacity=1).encode(y=y, fill=fill),
        )
        panels.append(
            alt.layer(*layers).properties(width=175, height=220, title=theme.REGULARIZERS[regularizer])
        )
    return alt.hconcat(*panels, spacing=12)


@described()
def against_strength(networks: pd.DataFrame, values: Mapping[str, str]) -> alt.ConcatChart:
    """Draw the columns that `values` has titles of: a row for each, with a panel for each regulariser."""
    if not values:
        raise ValueError("values must name a column or more")
    panels = []
    for number, (value, title) in enumerate(values.items()):
        table = by_strength(networks, value).round({"mean": 4, "low": 4, "high": 4})
        scale = alt.Scale(domain=[0, float(table.high.max()) * 1.05], nice=False)
        for regularizer in _PANELS:
            first = regularizer == _PANELS[0]
            axis = alt.Axis(labels=first, ticks=first, tickCount=5)
            y = alt.Y("mean:Q", title=title if first else None, scale=scale, axis=axis)
            base = alt.Chart(table[table.regularizer == regularizer]).encode(
                x=_x(regularizer, last=number == len(values) - 1),
                y=y,
                color=alt.value(OUR_COLOUR),
                tooltip=_of_seeds(f"{title}, mean", ".3~f"),
            )
            layers = (
                base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
                base.mark_line(strokeWidth=1),
                base.mark_point(size=45, shape=theme.SHAPES[regularizer], filled=True, opacity=1),
            )
            heading = {"title": theme.REGULARIZERS[regularizer]} if number == 0 else {}
            panels.append(alt.layer(*layers).properties(width=175, height=130, **heading))
    return alt.concat(*panels, columns=len(_PANELS), spacing=12)


@described()
def live_against_stored(table: pd.DataFrame) -> alt.HConcatChart:
    """Draw Q of networks trained again over stored Q, in front of other seeds (`recompute.seeds_beside`)."""
    graph = [variant_name(*variant) for variant in zip(table.measure, table.normalized, strict=True)]
    table = table.assign(graph=graph, q=table.q.round(5))
    networks = list(dict.fromkeys(table.network))
    choice = alt.binding_select(options=networks, name="network ") if len(networks) > 1 else alt.Undefined
    network = alt.param(name="network", value=networks[-1], bind=choice)
    scale = alt.Scale(domain=[0, float(table.q.max()) * 1.05], nice=False)
    kinds = theme.scale_of({"other seeds": "M0,-1L0,1", "stored": "circle", "live": "M-1,0L1,0M0,-1L0,1"})
    colour = theme.measure_colour(legend=None)
    grey, panels = theme.FAMILY_COLOURS["across"], []
    for layer in sorted(int(layer) for layer in table.layer.unique()):
        axis = alt.Axis(labels=layer == 1, ticks=False, labelLimit=220)
        base = (
            alt.Chart(table[table.layer == layer].drop(columns=["layer", "normalized"]))
            .transform_filter("datum.network == network")
            .encode(
                x=alt.X("q:Q", title="Q", scale=scale, axis=alt.Axis(labelFlush=False)),
                y=alt.Y(
                    "graph:N", sort=[variant_name(*variant) for variant in VARIANTS], title=None, axis=axis
                ),
                shape=alt.Shape("kind:N", scale=kinds, legend=alt.Legend(title=None, orient="bottom")),
                tooltip=["graph:N", "kind:N", *theme.formatted(".4f", q="Q")],
            )
        )
        seeds, stored, live = (
            base.transform_filter(f"datum.kind == '{kind}'") for kind in ("other seeds", "stored", "live")
        )
        layers = (
            seeds.mark_point(size=90, strokeWidth=1.5, color=grey),
            stored.mark_point(size=150, strokeWidth=2, opacity=1).encode(color=colour),
            live.mark_point(size=60, strokeWidth=2, opacity=1).encode(color=colour),
        )
        panels.append(
            alt.layer(*layers).properties(width=200, height=alt.Step(22), title=f"hidden layer {layer}")
        )
    return alt.hconcat(*panels, spacing=16).add_params(network)
