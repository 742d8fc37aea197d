"""How fast modlib is: curves of growth, what fewer images cost, and the pages of the book."""

from __future__ import annotations

import altair as alt
import pandas as pd
from IPython.display import HTML

from modlib.book.chapters.speed import tables
from modlib.book.chapters.speed.estimates import SMALLEST, exponents
from modlib.book.html_table import text_table
from modlib.book.theme import COLOURS, GREY, MEASURE_LABELS, measure_colour, properties

#: Vega expression: a power of ten as one, other numbers not at all.
_TENS = (
    "datum.value > 0 && abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6 "
    "? '10' + replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace("
    "format(round(log(datum.value) / LN10), 'd'), '−', '⁻'), '0', '⁰'), '1', '¹'), '2', '²'), '3', '³'), "
    "'4', '⁴'), '5', '⁵'), '6', '⁶'), '7', '⁷'), '8', '⁸'), '9', '⁹') : ''"
)
#: Curves of each quantity that grows, in the order of their colours.
CURVES: dict[str, tuple[str, ...]] = {
    "units": ("similarity", "one Leiden run", "20 restarts", "agreement", "bound"),
    "images": ("similarity",),
    "networks": ("training", "similarity"),
}
#: An error up to which a graph is that of all images: the last layer's output gradient looks at none.
_SAME = 1e-9
#: Columns of the record of pages, and their types.
PAGES = {"page": "str", "window": "str"} | dict.fromkeys(
    ("own_bytes", "shared_bytes", "requests", "seconds"), "float"
)
_HUES = [*COLOURS.values(), GREY]


def _log(field: str, title: str, axis: type[alt.X] | type[alt.Y]) -> alt.X | alt.Y:
    """Axis of powers of ten."""
    return axis(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(type="log", nice=axis is alt.Y, padding=8 if axis is alt.X else 0),
        axis=alt.Axis(labelExpr=_TENS, tickCount=8, grid=False),
    )


def goals() -> HTML:
    """Set what was measured beside what was asked for, for reading."""
    return text_table(tables.goals(), (8, 3.5, 3.5, 3.5))


def growth(by: str, *, name: str = "", caption: str = "") -> alt.HConcatChart:
    """Time and peak memory as units, images or networks grow, both axes logarithmic.

    Parameters
    ----------
    by
        A key of `CURVES`.
    """
    table = tables.growth("paper")
    table = table[table.what.str.endswith(f" by {by}")]
    fits = exponents(table).set_index("what")
    table = table.assign(
        curve=table.what.str.removesuffix(f" by {by}"),
        mib=table.mib.clip(lower=SMALLEST),  # less lies on the lower edge
        time_power=table.what.map(fits.time),
        memory_power=table.what.map(fits.memory),
    ).drop(columns="what")
    order = list(CURVES[by])
    legend = alt.Legend(title=None, orient="top", columns=2, symbolOpacity=1) if len(order) > 1 else None
    colour = alt.Color(
        "curve:N", sort=order, scale=alt.Scale(domain=order, range=_HUES[: len(order)]), legend=legend
    )
    tooltips = [
        alt.Tooltip("curve:N", title="what"),
        alt.Tooltip("size:Q", title=by, format=","),
        alt.Tooltip("seconds:Q", format=".3g"),
        alt.Tooltip("mib:Q", title="MiB", format=".3g"),
    ]
    time, memory = (
        alt.Chart(table.round(6))
        .mark_line(point=alt.OverlayMarkDef(size=45, filled=True))
        .encode(
            x=_log("size", by, alt.X),
            y=_log(field, title, alt.Y),
            color=colour,
            tooltip=[*tooltips, alt.Tooltip(f"{power}:Q", title="grows with power", format=".2f")],
        )
        .properties(width=245, height=220)
        for field, title, power in (
            ("seconds", "seconds, one thread", "time_power"),
            ("mib", "most memory held (MiB)", "memory_power"),
        )
    )
    return _beside(
        time,
        memory,
        description=f"Seconds and most memory held by {', '.join(order)} as the number of {by} grows, "
        "on logarithmic axes.",
        caption=caption,
        name=name,
    )


def fewer_images(*, name: str = "", caption: str = "") -> alt.HConcatChart:
    """Error of graphs, and share of Q given up, when similarities are formed from fewer images."""
    table = tables.on_record("growth-images")
    graphs = table[~table.normalized & (table.error > _SAME)].groupby(["images", "measure"])
    rows = pd.concat(
        [
            graphs[field].quantile(level).rename(f"{end}{field}")
            for field in ("error", "lost")
            for end, level in (("", 0.5), ("low_", 0.25), ("high_", 0.75))
        ],
        axis=1,
    ).reset_index()
    return _beside(
        _with_quartiles(rows, "error", "distance from the whole graph"),
        _with_quartiles(rows, "lost", "share of Q given up"),
        description="How far a graph from some of the 10,000 test images is from that of all, and what "
        "share of the whole graph's Q its modules give up, by measure: medians and quartiles over "
        "networks, layers and draws.",
        caption=caption,
        name=name,
    )


def _beside(*panels: alt.Chart | alt.LayerChart | alt.FacetChart, **about: str) -> alt.HConcatChart:
    """Put two panels side by side; `about` is what `properties` takes."""
    chart: alt.HConcatChart = alt.hconcat(*panels, spacing=24).properties(**properties(**about))
    return chart


def _with_quartiles(rows: pd.DataFrame, field: str, title: str) -> alt.LayerChart | alt.FacetChart:
    base = alt.Chart(rows.round(6))
    x = _log("images", "images", alt.X)
    colour = measure_colour(
        legend=alt.Legend(title=None, orient="top", columns=2, labelExpr=MEASURE_LABELS, symbolOpacity=1)
    )
    axis, scale = alt.Axis(format="~%", tickCount=5), alt.Scale()
    if field == "error":  # what is lost can be nothing, which has no logarithm
        axis = alt.Axis(format="~%", values=[0.001, 0.01, 0.1, 1])
        scale = alt.Scale(type="log", nice=False, padding=8)
    middle, low = (alt.Y(f"{end}{field}:Q", title=title, axis=axis, scale=scale) for end in ("", "low_"))
    span = base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x=x, y=low, y2=f"high_{field}:Q", color=colour)
    line = base.mark_line(point=alt.OverlayMarkDef(size=40, filled=True)).encode(
        x=x,
        y=middle,
        color=colour,
        tooltip=[
            "measure:N",
            alt.Tooltip("images:Q", format=","),
            alt.Tooltip(f"{field}:Q", title=title, format=".1%"),
            alt.Tooltip(f"low_{field}:Q", title="quartiles from", format=".1%"),
            alt.Tooltip(f"high_{field}:Q", title="to", format=".1%"),
        ],
    )
    return alt.layer(span, line).properties(width=245, height=220)


def pages(*, name: str = "", caption: str = "") -> alt.LayerChart | alt.FacetChart:
    """Weight of every page and the time until it can be used, on a desk and on a phone.

    The chart is empty until there is a record: to measure the pages, the book is built with this chart.
    """
    table = tables.on_record("book-pages")
    if table.empty:
        table = pd.DataFrame(columns=list(PAGES)).astype(PAGES)
    table = table.assign(
        megabytes=table.own_bytes / tables.MEGABYTE,
        shared=table.shared_bytes / tables.MEGABYTE,
        page=table.page.str.split("/").str[-1].str.removesuffix(".html"),
    )
    heaviest, slowest = (goal.asked for goal in tables.GOALS if goal.table is tables.pages)
    colour = alt.Color(
        "window:N",
        scale=alt.Scale(domain=["desk", "phone"], range=["#1b6ca8", "#d95f02"]),
        legend=alt.Legend(title=None, orient="top"),
    )
    columns = ["page", "window", "megabytes", "shared", "requests", "seconds"]
    dots = (
        alt.Chart(table[columns].round(4))
        .mark_point(filled=True, size=55, opacity=0.8)
        .encode(
            x=alt.X(
                "megabytes:Q",
                title="weight without shared scripts (MB)",
                scale=alt.Scale(domainMin=0),
                axis=alt.Axis(tickCount=6),
            ),
            y=alt.Y("seconds:Q", title="seconds until it can be used", scale=alt.Scale(domainMin=0)),
            color=colour,
            shape=alt.Shape("window:N", legend=None),
            tooltip=[
                "page:N",
                "window:N",
                alt.Tooltip("megabytes:Q", title="MB of its own", format=".2f"),
                alt.Tooltip("shared:Q", title="MB shared", format=".2f"),
                alt.Tooltip("requests:Q", title="requests"),
                alt.Tooltip("seconds:Q", title="seconds", format=".2f"),
            ],
        )
    )
    dashed = alt.Chart().mark_rule(strokeDash=[4, 4]).encode(color=alt.value(GREY))
    most, latest = dashed.encode(x=alt.datum(heaviest)), dashed.encode(y=alt.datum(slowest))
    return alt.layer(most, latest, dots).properties(
        width="container",
        height=260,
        **properties(
            description="Each page of the book by its weight and by the time until it can be used, in a wide "
            "and in a narrow window, with dashed lines at what was asked for.",
            caption=caption,
            name=name,
        ),
    )
