"""How fast modlib is: curves of growth, what fewer images cost, and the pages of the book."""

from typing import Any

import altair as alt
import pandas as pd
from IPython.display import HTML

from modlib.book import theme
from modlib.book.chapters.speed import tables
from modlib.book.chapters.speed.estimates import SMALLEST, exponents
from modlib.book.html_table import text_table

#: Vega expression: a power of ten as one, other numbers not at all.
_TENS = "format(round(log(datum.value) / LN10), 'd')"
for _plain, _raised in zip("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True):
    _TENS = f"replace({_TENS}, '{_plain}', '{_raised}')"
_TENS = (
    "datum.value > 0 && abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6 "
    f"? '10' + {_TENS} : ''"
)
#: Curves of each quantity that grows, in the order of their colours.
CURVES: dict[str, tuple[str, ...]] = {
    "units": ("similarity", "one restart", "20 restarts", "agreement", "bound"),
    "images": ("similarity",),
    "networks": ("training", "similarity"),
}
#: Windows in which pages were opened, by their names in the record.
WINDOWS = {"desk": "wide window", "phone": "narrow window"}
#: Columns of the record of pages.
PAGES = ["page", "window", "own_bytes", "shared_bytes", "requests", "seconds"]
_TWO_COLUMNS: dict[str, Any] = {"title": None, "orient": "top", "columns": 2, "symbolOpacity": 1}


def _log(field: str, title: str, channel: type[alt.X] | type[alt.Y]) -> Any:
    """Axis of powers of ten."""
    scale = alt.Scale(type="log", nice=channel is alt.Y, padding=8 if channel is alt.X else 0)
    axis = alt.Axis(labelExpr=_TENS, tickCount=8, grid=False)
    return channel(f"{field}:Q", title=title, scale=scale, axis=axis)


def goals() -> HTML:
    """Set what was measured beside what was asked for, for reading."""
    return text_table(tables.goals(), (8, 3.5, 3.5, 3.5))


@theme.described()
def growth(by: str) -> alt.HConcatChart:
    """Time and peak memory as units, images or networks grow, a key of `CURVES`; both axes logarithmic."""
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
    scale = alt.Scale(domain=order, range=list(theme.SERIES_COLOURS[: len(order)]))
    legend = alt.Legend(**_TWO_COLUMNS) if len(order) > 1 else None
    tooltips = [
        *(alt.Tooltip("curve:N", title="what"), *theme.formatted(",", size=by)),
        *(alt.Tooltip("seconds:Q", format=".3g"), *theme.formatted(".3g", mib="MiB")),
    ]
    colour = alt.Color("curve:N", sort=order, scale=scale, legend=legend)
    panels = [
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
    ]
    said = f"Seconds and most memory held by {', '.join(order)} as the number of {by} grows, on logarithmic "
    return alt.hconcat(*panels, spacing=24).properties(description=f"{said}axes.")


@theme.described(
    "How far a graph from some of the 10,000 test images is from that of all, and what share of the whole "
    "graph's Q its modules give up, by measure: medians and quartiles over networks, layers and draws."
)
def fewer_images() -> alt.HConcatChart:
    """Error of graphs, and share of Q given up, when similarities are formed from fewer images."""
    graphs = tables.raw_graphs_of_fewer_images().groupby(["images", "measure"])
    ends = {"": 0.5, "low_": 0.25, "high_": 0.75}
    quantiles = [graphs[["error", "lost"]].quantile(level).add_prefix(end) for end, level in ends.items()]
    rows = pd.concat(quantiles, axis=1).reset_index()
    percent = alt.Axis(format="~%", tickCount=5)
    tens = alt.Axis(format="~%", values=[0.001, 0.01, 0.1, 1])
    log = alt.Scale(type="log", nice=False, padding=8)
    error = _with_quartiles(rows, "error", "distance from the whole graph", axis=tens, scale=log)
    # What is lost can be nothing, which has no logarithm.
    lost = _with_quartiles(rows, "lost", "share of Q given up", axis=percent, scale=alt.Scale())
    return alt.hconcat(error, lost, spacing=24)


def _with_quartiles(rows: pd.DataFrame, field: str, title: str, **options: Any) -> theme.Layered:
    """Draw medians as a line and quartiles as rules; `options` are those of the vertical axis."""
    colour = theme.measure_colour(legend=alt.Legend(**_TWO_COLUMNS, labelExpr=theme.MEASURE_LABELS))
    base = alt.Chart(rows.round(6)).encode(x=_log("images", "images", alt.X), color=colour)
    middle, low = (alt.Y(f"{end}{field}:Q", title=title, **options) for end in ("", "low_"))
    span = base.mark_rule(strokeWidth=1.2).encode(y=low, y2=f"high_{field}:Q")
    line = base.mark_line(point=alt.OverlayMarkDef(size=40, filled=True)).encode(
        y=middle,
        tooltip=[
            "measure:N",
            alt.Tooltip("images:Q", format=","),
            *theme.formatted(
                ".1%", **{field: title, f"low_{field}": "quartiles from", f"high_{field}": "to"}
            ),
        ],
    )
    return alt.layer(span, line).properties(width=245, height=220)


@theme.described(
    "Each page of the book by its weight and by the time until it can be used, in a wide and in a narrow "
    "window, with dashed lines at what was asked for."
)
def pages() -> theme.Layered:
    """Weight of every page and the time until it can be used, on a desk and on a phone.

    The chart is empty until there is a record: to measure the pages, the book is built with this chart.
    """
    table = tables.on_record("book-pages")
    table = pd.DataFrame(columns=PAGES, dtype=object) if table is None else table
    table = table.assign(
        megabytes=table.own_bytes / tables.MEGABYTE,
        shared=table.shared_bytes / tables.MEGABYTE,
        window=table.window.map(WINDOWS),
        page=table.page.str.split("/").str[-1].str.removesuffix(".html"),
    )
    heaviest, slowest = (goal.asked for goal in tables.GOALS if goal.table is tables.pages)
    colours = theme.scale_of(dict(zip(WINDOWS.values(), theme.SERIES_COLOURS, strict=False)))
    columns = ["page", "window", "megabytes", "shared", "requests", "seconds"]
    from_zero = alt.Scale(domainMin=0)
    weight = alt.X("megabytes:Q", title="weight without shared scripts (MB)", axis=alt.Axis(tickCount=6))
    dots = (
        alt.Chart(table[columns].round(4))
        .mark_point(filled=True, size=55)
        .encode(
            x=weight.scale(from_zero),
            y=alt.Y("seconds:Q", title="seconds until it can be used", scale=from_zero),
            color=alt.Color("window:N", scale=colours, legend=theme.TOP_LEGEND),
            shape=alt.Shape("window:N", legend=None),
            tooltip=[
                *("page:N", "window:N"),
                *theme.formatted(".2f", megabytes="MB of its own", shared="MB shared"),
                *(alt.Tooltip("requests:Q", title="requests"), *theme.formatted(".2f", seconds="seconds")),
            ],
        )
    )
    dashed = alt.Chart().mark_rule(strokeDash=[4, 4]).encode(color=alt.value(theme.GREY))
    most, latest = dashed.encode(x=alt.datum(heaviest)), dashed.encode(y=alt.datum(slowest))
    return alt.layer(most, latest, dots).properties(width=560, height=260)
