"""Charts of the training: accuracy, epochs and size against the strength of regularisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from modlib.book import theme
from modlib.book.chapters.training.tables import by_strength, still_training
from modlib.measures import VARIANTS

OURS = "here (final protocol)"
THEIRS = "the paper's figures (arXiv v1)"
OUR_COLOUR, THEIR_COLOUR = "#8b5fbf", "#808692"  # hues of neither family, clear on white and on dark pages
_SERIES = alt.Scale(domain=[OURS, THEIRS], range=[OUR_COLOUR, THEIR_COLOUR])
_PANELS = ("dropout", "l1", "l2")


def shrinking_stacks(
    networks: pd.DataFrame,
    *,
    description: str,
    caption: str = "",
    name: str = "",
) -> alt.Chart:
    """Draw how many networks of a seed's stack are still in training, one line a seed.

    Parameters
    ----------
    networks
        The table `networks`.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    """
    table = still_training(networks)
    top = 1.05 * float(table.networks.max())
    chart: alt.Chart = (
        alt.Chart(table)
        .mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.7, color=OUR_COLOUR)
        .encode(
            x=alt.X("epoch:Q", scale=alt.Scale(nice=False, zero=True)),
            y=alt.Y(
                "networks:Q", title="networks still training", scale=alt.Scale(domain=[0, top], nice=False)
            ),
            detail="seed:N",
            tooltip=["seed:N", "epoch:Q", "networks:Q"],
        )
        .properties(
            width=420,
            height=170,
            **theme.properties(description=description, caption=caption, name=name),
        )
    )
    return chart


def _x(regularizer: str, *, last: bool = True) -> alt.X:
    """Return the axis of strength, written out below the last row; penalties spread over decades."""
    shown: dict[str, Any] = {"labels": last, "ticks": last}
    if regularizer == "dropout":
        return alt.X(
            "strength:Q",
            title="dropout probability" if last else None,
            scale=alt.Scale(domain=[0, 0.73], nice=False),
            axis=alt.Axis(values=[0, 0.2, 0.4, 0.6], **shown),
        )
    title = f"{theme.REGULARIZERS[regularizer]} penalty" if last else None
    scale = alt.Scale(type="log", nice=False, padding=8)
    axis = alt.Axis(values=[1e-5, 1e-4, 1e-3, 1e-2, 1e-1], format=".0e", **shown)
    return alt.X("strength:Q", title=title, scale=scale, axis=axis)


def accuracy(
    networks: pd.DataFrame,
    published: pd.DataFrame,
    *,
    threshold: float = 0.8,
    description: str,
    caption: str = "",
    name: str = "",
) -> alt.HConcatChart:
    """Draw test accuracy against strength, the paper's own points beside ours, and the filter.

    The axis is logarithmic in the error, so that .975 and .98 are as far apart as .5 and .6.

    Parameters
    ----------
    networks
        The table `networks`.
    published
        Columns `regularizer`, `strength`, `test_acc`, as `modlib.paper.published.accuracy` returns them.
    threshold
        Accuracy under which a network is left out of the findings.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    """
    ours = by_strength(networks, "test_accuracy").assign(series=OURS)
    theirs = published.dropna(subset=["test_acc"]).rename(columns={"test_acc": "mean"}).assign(series=THEIRS)
    points = pd.concat([ours, theirs[["regularizer", "strength", "mean", "series"]]], ignore_index=True)
    points = points[points.regularizer.isin(_PANELS)]
    for column, accuracy_ in (("error", "mean"), ("least", "high"), ("most", "low")):
        points[column] = (1 - points[accuracy_]).round(5)
    bottom = max(0.95, float(points[["error", "most"]].max().max()) + 0.01)
    scale = alt.Scale(type="log", reverse=True, domain=[0.015, bottom], nice=False)
    panels = []
    for i, regularizer in enumerate(_PANELS):
        axis = alt.Axis(
            values=[0.02, 0.05, 0.1, 0.2, 0.5, 0.9],
            labelExpr="format(1 - datum.value, '.2f')",
            labels=i == 0,
            ticks=i == 0,
        )
        y = alt.Y("error:Q", title="test accuracy" if i == 0 else None, scale=scale, axis=axis)
        base = alt.Chart(points[points.regularizer == regularizer]).encode(
            x=_x(regularizer),
            color=alt.Color(
                "series:N",
                scale=_SERIES,
                legend=alt.Legend(title=None, orient="bottom", symbolOpacity=1, labelLimit=300, columns=1),
            ),
            tooltip=[
                alt.Tooltip("series:N"),
                alt.Tooltip("strength:Q", format=".3~g"),
                alt.Tooltip("mean:Q", title="mean accuracy", format=".4f"),
                alt.Tooltip("low:Q", title="lowest of the seeds", format=".4f"),
                alt.Tooltip("high:Q", title="highest", format=".4f"),
                alt.Tooltip("networks:Q"),
            ],
        )
        filtered = alt.Chart(pd.DataFrame({"error": [1 - threshold]})).mark_rule(strokeDash=[5, 3])
        shape = theme.SHAPES[regularizer]
        panels.append(
            alt.layer(
                filtered.encode(y=y),
                base.transform_filter(alt.datum.series == OURS)
                .mark_rule(strokeWidth=2, opacity=0.6)
                .encode(y=alt.Y("least:Q", scale=scale), y2="most:Q"),
                base.mark_line(strokeWidth=1.2, opacity=0.7).encode(y=y),
                base.transform_filter(alt.datum.series == THEIRS)
                .mark_point(size=50, shape=shape, opacity=1)
                .encode(y=y),
                base.transform_filter(alt.datum.series == OURS)
                .mark_point(size=45, shape=shape, filled=True, opacity=1)
                .encode(y=y),
            ).properties(width=175, height=220, title=theme.REGULARIZERS[regularizer])
        )
    properties = theme.properties(description=description, caption=caption, name=name)
    chart: alt.HConcatChart = alt.hconcat(*panels, spacing=12).properties(**properties)
    return chart


def against_strength(
    networks: pd.DataFrame,
    values: Mapping[str, str],
    *,
    description: str,
    caption: str = "",
    name: str = "",
) -> alt.ConcatChart:
    """Draw quantities against strength: a row a quantity, a column a regulariser, mean and range of seeds.

    Parameters
    ----------
    networks
        The table `networks`.
    values
        Columns to draw and their titles.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.

    Raises
    ------
    ValueError
        If there is nothing to draw, or no such column.
    """
    if not values:
        raise ValueError("values must name a column or more")
    panels = []
    for number, (value, title) in enumerate(values.items()):
        table = by_strength(networks, value).round({"mean": 4, "low": 4, "high": 4})
        scale = alt.Scale(domain=[0, float(table.high.max()) * 1.05], nice=False)
        for i, regularizer in enumerate(_PANELS):
            axis: dict[str, Any] = {"labels": i == 0, "ticks": i == 0, "tickCount": 5}
            y = alt.Y("mean:Q", title=title if i == 0 else None, scale=scale, axis=alt.Axis(**axis))
            base = alt.Chart(table[table.regularizer == regularizer]).encode(
                x=_x(regularizer, last=number == len(values) - 1),
                color=alt.value(OUR_COLOUR),
                tooltip=[
                    alt.Tooltip("strength:Q", format=".3~g"),
                    alt.Tooltip("mean:Q", title=f"{title}, mean", format=".3~f"),
                    alt.Tooltip("low:Q", title="lowest of the seeds", format=".3~f"),
                    alt.Tooltip("high:Q", title="highest", format=".3~f"),
                    alt.Tooltip("networks:Q"),
                ],
            )
            heading = {"title": theme.REGULARIZERS[regularizer]} if number == 0 else {}
            panels.append(
                alt.layer(
                    base.mark_rule(strokeWidth=2, opacity=0.6).encode(
                        y=alt.Y("low:Q", scale=scale), y2="high:Q"
                    ),
                    base.mark_line(strokeWidth=1.2, opacity=0.7).encode(y=y),
                    base.mark_point(size=45, shape=theme.SHAPES[regularizer], filled=True, opacity=1).encode(
                        y=y
                    ),
                ).properties(width=175, height=130, **heading)
            )
    properties = theme.properties(description=description, caption=caption, name=name)
    return alt.concat(*panels, columns=len(_PANELS), spacing=12).properties(**properties)


def live_against_stored(
    table: pd.DataFrame,
    *,
    description: str,
    caption: str = "",
    name: str = "",
) -> alt.HConcatChart:
    """Draw Q of networks trained again over Q as stored, in front of their level's other seeds.

    Parameters
    ----------
    table
        As `modlib.study.recompute.seeds_beside` returns it.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    """
    names = {
        variant: theme.NAMES[variant[0]] + (", normalised" if variant[1] else ", raw") for variant in VARIANTS
    }
    table = table.assign(
        graph=[names[m, bool(n)] for m, n in zip(table.measure, table.normalized, strict=True)],
        q=table.q.round(5),
    )
    networks = list(dict.fromkeys(table.network))
    network = alt.param(
        name="network",
        value=networks[-1],
        bind=alt.binding_select(options=networks, name="network "),
    )
    kinds = ["other seeds", "stored", "live"]
    x = alt.X("q:Q", title="Q", scale=alt.Scale(domain=[0, float(table.q.max()) * 1.05], nice=False))
    panels = []
    for layer in sorted(int(layer) for layer in table.layer.unique()):
        axis = alt.Axis(labels=layer == 1, ticks=False, labelLimit=220)
        base = (
            alt.Chart(table[table.layer == layer].drop(columns=["layer", "normalized"]))
            .transform_filter("datum.network == network")
            .encode(
                x=x,
                y=alt.Y("graph:N", sort=list(names.values()), title=None, axis=axis),
                shape=alt.Shape(
                    "kind:N",
                    scale=alt.Scale(domain=kinds, range=["stroke", "circle", "cross"]),
                    legend=alt.Legend(title=None, orient="bottom"),
                ),
                tooltip=[
                    alt.Tooltip("graph:N"),
                    alt.Tooltip("kind:N"),
                    alt.Tooltip("q:Q", title="Q", format=".4f"),
                ],
            )
        )
        seeds = base.transform_filter("datum.kind == 'other seeds'").mark_point(
            size=90, angle=90, strokeWidth=1.5, color=theme.FAMILY_COLOURS["across"], opacity=0.6
        )
        stored = base.transform_filter("datum.kind == 'stored'").mark_point(
            size=150, strokeWidth=2, opacity=1
        )
        live = base.transform_filter("datum.kind == 'live'").mark_point(size=50, filled=True, opacity=1)
        colour = theme.measure_colour(legend=None)
        panels.append(
            alt.layer(seeds, stored.encode(color=colour), live.encode(color=colour)).properties(
                width=200, height=alt.Step(22), title=f"hidden layer {layer}"
            )
        )
    properties = theme.properties(description=description, caption=caption, name=name)
    return alt.hconcat(*panels, spacing=16).add_params(network).properties(**properties)
