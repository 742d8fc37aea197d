"""One hidden layer drawn twice, in two orders: an interactive pair of matrices, small enough for a page."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from modlib.book import theme
from modlib.book.chapters.example_layer import payload
from modlib.book.chapters.example_layer.tables import OPENING, Layer
from modlib.book.theme import Layered
from modlib.measures import VARIANTS
from modlib.paper.graph_names import variant_name

CELL = 4  # width and height of a matrix cell in whole pixels, so that cells meet without seams


@theme.described()
def sorted_matrices(
    layers: Mapping[tuple[str, int], Layer], *, shuffles: int = 500, seed: int = 0
) -> alt.VConcatChart:
    """Draw a graph of a layer sorted by upstream modules and, beside it, by downstream modules.

    Controls choose network, layer, which of the eight graphs is shown and which two partitions sort it; the
    first layer is the one that the figure opens with. Below stand the table of units that the modules share,
    and the partitions' agreement beside what shuffled labels give. Graphs travel as text (`encode`) and are
    spread out in the browser.
    """
    n = next(iter(layers.values())).labels.shape[1]
    matrices = alt.hconcat(_panel("upstream", n), _panel("downstream", n), spacing=36)
    below = alt.hconcat(_table(n), _scores(), spacing=36)
    values = {
        "layers": payload.payload(layers, shuffles=shuffles, seed=seed),
        "colours": {variant_name(*variant): theme.COLOURS[variant[0]] for variant in VARIANTS},
        "alphabet": payload.ALPHABET,
        "units": n,
    }
    params = [
        *_controls(layers),
        *(alt.param(name=name, value=value) for name, value in values.items()),
        alt.param(name="at", expr="layers[network + ', layer ' + layer]"),
    ]
    chart: alt.VConcatChart = alt.vconcat(matrices, below, spacing=30).resolve_scale(opacity="independent")
    return chart.add_params(*params).properties(
        # Two matrices are thousands of cells: a canvas draws them faster than as many SVG elements.
        usermeta={"embedOptions": {"renderer": "canvas"}},
        # The table grows and shrinks with the partitions chosen, and the drawing with it.
        autosize=alt.AutoSizeParams(type="pad", resize=True),
        padding=8,
    )


def _controls(layers: Mapping[tuple[str, int], Layer]) -> list[alt.Parameter]:
    """Give the menus that choose network, layer, graph and the two partitions."""
    opening = {family: variant_name(*variant) for family, variant in OPENING.items()}
    first_network, first_layer = next(iter(layers))
    menus: dict[str, tuple[str, list[Any], Any]] = {
        "network": ("network ", list(dict.fromkeys(network for network, _ in layers)), first_network),
        "layer": ("layer ", sorted({number for _, number in layers}), first_layer),
        "shown": ("graph shown ", payload.VARIANT_NAMES, opening["upstream"]),
        "upstream": ("upstream modules of ", payload.FAMILY_NAMES["upstream"], opening["upstream"]),
        "downstream": ("downstream modules of ", payload.FAMILY_NAMES["downstream"], opening["downstream"]),
    }
    return [
        alt.param(name=name, value=value, bind=alt.binding_select(options=options, name=label))
        for name, (label, options, value) in menus.items()
    ]


# The browser computes the expressions below. `at` is the layer chosen, `shown` the graph, and `upstream`
# and `downstream` the partitions, all set by the menus.


def _panel(family: str, n: int) -> Layered:
    """Draw the matrix in the order of the partition that the menu named like the family has chosen."""
    x: dict[str, Any] = {"scale": alt.Scale(domain=[0, n], nice=False, zero=False), "axis": None}
    y: dict[str, Any] = {"scale": alt.Scale(domain=[n, 0], nice=False, zero=False), "axis": None}
    cuts = alt.Chart(alt.sequence(1, n, as_="cut")).mark_rule(strokeWidth=1.2, opacity=0.9)
    cuts = cuts.transform_filter(f"indexof(at.cuts[{family}], datum.cut) >= 0")
    names = (
        alt.Chart(alt.sequence(n, as_="module"))
        .transform_filter(f"datum.module < length(at.middles[{family}])")
        .transform_calculate(
            middle=f"at.middles[{family}][datum.module]", name=f"at.names[{family}][datum.module]"
        )
        .mark_text(fontSize=11)
    )
    lines = [
        f"'sorted by {family} modules of'",
        family,
        f"'Q under them: ' + format(at.q[shown + ' under ' + {family}], '.2f')"
        " + ' (at best ' + format(at.q[shown + ' under ' + shown], '.2f') + ')'",
    ]
    title = alt.Title(alt.ExprRef(f"[{', '.join(lines)}]"), offset=18)
    return alt.layer(
        _cells(family, n).encode(x=alt.X("column:Q", **x), y=alt.Y("row:Q", **y)),
        cuts.encode(x=alt.X("cut:Q", **x)),
        cuts.encode(y=alt.Y("cut:Q", **y)),
        names.encode(x=alt.value(-10), y=alt.Y("middle:Q", **y), text="name:N"),
        names.encode(x=alt.X("middle:Q", **x), y=alt.value(-8), text="name:N"),
    ).properties(width=n * CELL, height=n * CELL, title=title)


def _cells(family: str, n: int) -> alt.Chart:
    """Draw the entries of the matrix, read from its text."""
    scale = alt.Scale(domain=[0, payload.TOP_LEVEL], range=[0.02, 1])
    chart: alt.Chart = (
        alt.Chart(alt.sequence(n * n, as_="cell"))
        .transform_calculate(row=f"floor(datum.cell / {n})", column=f"datum.cell % {n}")
        .transform_filter("datum.row != datum.column")
        .transform_calculate(
            i=f"at.order[{family}][datum.row]",
            j=f"at.order[{family}][datum.column]",
            row2="datum.row + 1",
            column2="datum.column + 1",
        )
        .transform_calculate(lo="min(datum.i, datum.j)", hi="max(datum.i, datum.j)")
        .transform_calculate(place="datum.lo * (2 * units - datum.lo - 1) / 2 + datum.hi - datum.lo - 1")
        .transform_calculate(
            level="indexof(alphabet, slice(at.code[shown], datum.place, datum.place + 1))",
            unit="datum.i + 1",
            other="datum.j + 1",
            ours=_label(family, "datum.i"),
            theirs=_label(family, "datum.j"),
        )
        .transform_calculate(value=f"at.top[shown] * pow(datum.level / {payload.TOP_LEVEL}, 2)")
        .mark_rect()
        .encode(
            x2="column2:Q",
            y2="row2:Q",
            color=alt.ColorValue(alt.ExprRef("colours[shown]")),
            opacity=alt.Opacity("level:Q", scale=scale, legend=None),
            tooltip=[
                alt.Tooltip("unit:O", title="unit"),
                alt.Tooltip("ours:N", title="its module"),
                alt.Tooltip("other:O", title="other unit"),
                alt.Tooltip("theirs:N", title="its module "),
                alt.Tooltip("value:Q", title="similarity (one of 64 levels)", format=".3~g"),
            ],
        )
    )
    return chart


def _label(family: str, unit: str) -> str:
    """Give the expression for the name of a unit's module in the partition chosen."""
    label = f"at.labels[{family}][{unit}]"
    return f"{label} < 0 ? 'dead' : '' + ({label} + 1)"


def _table(n: int) -> Layered:
    """Draw how many units each upstream module shares with each downstream module."""
    axis: dict[str, Any] = {"grid": False, "ticks": False, "domain": False}
    counted = (
        alt.Chart(alt.sequence(n, as_="unit"))
        .transform_calculate(
            a="at.labels[upstream][datum.unit] + 1", b="at.labels[downstream][datum.unit] + 1"
        )
        .transform_filter("datum.a > 0 && datum.b > 0")
        .transform_joinaggregate(row="count()", groupby=["a"])
        .transform_joinaggregate(column="count()", groupby=["b"])
        .transform_joinaggregate(all="count()")
        .transform_aggregate(
            count="count()", row="max(row)", column="max(column)", all="max(all)", groupby=["a", "b"]
        )
        .transform_calculate(expected="datum.row * datum.column / datum.all")
        .encode(
            x=alt.X("b:O", title="downstream module", axis=alt.Axis(labelAngle=0, orient="top", **axis)),
            y=alt.Y("a:O", title="upstream module", axis=alt.Axis(**axis)),
        )
    )
    shade = alt.Scale(domain=[0, n / 4], range=[0, 0.85], clamp=True)
    squares = counted.mark_rect(color=theme.FAMILY_COLOURS["across"]).encode(
        opacity=alt.Opacity("count:Q", scale=shade, legend=None),
        tooltip=[
            alt.Tooltip("a:O", title="upstream module"),
            alt.Tooltip("b:O", title="downstream module"),
            alt.Tooltip("count:Q", title="units in both"),
            alt.Tooltip("expected:Q", title="expected by chance", format=".1f"),
        ],
    )
    return alt.layer(squares, counted.mark_text(fontSize=11).encode(text="count:Q")).properties(
        width=alt.Step(26), height=alt.Step(22), title="units that two modules share"
    )


def _scores() -> Layered:
    """Draw the agreement of the two partitions beside the range that shuffled labels reach."""
    rows = alt.Axis(labelLimit=190, domain=False, ticks=False, grid=False)
    scores = (
        alt.Chart(alt.sequence(2, as_="row"))
        .transform_calculate(
            name="datum.row == 0 ? 'element-centric similarity' : 'adjusted mutual information'",
            score="at.crossing[upstream + ' x ' + downstream][datum.row]",
        )
        .transform_calculate(
            found="datum.score[0]", low="datum.score[1]", mean="datum.score[2]", high="datum.score[3]"
        )
        .transform_calculate(text="format(datum.found, '.2f')")
        .encode(
            y=alt.Y("name:N", title=None, sort="descending", axis=rows),
            tooltip=[
                alt.Tooltip("name:N", title="metric"),
                alt.Tooltip("found:Q", format=".3f"),
                *theme.formatted(
                    ".3f", mean="by chance, mean", low="by chance, 2.5 %", high="by chance, 97.5 %"
                ),
            ],
        )
    )
    axis = alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1], format=".1f")
    x = alt.X("found:Q", title="found (point), by chance (bar)", axis=axis)
    low, mean, x = (end.scale(domain=[-0.1, 1], nice=False) for end in (alt.X("low:Q"), alt.X("mean:Q"), x))
    grey = theme.FAMILY_COLOURS["across"]
    return alt.layer(
        scores.mark_bar(height=12, color=grey, fillOpacity=0.35, stroke=grey).encode(x=low, x2="high:Q"),
        scores.mark_tick(height=18, thickness=2, color=grey).encode(x=mean),
        scores.mark_point(filled=True, size=80, opacity=1, color=grey).encode(x=x),
        scores.mark_text(dy=-15, fontSize=11).encode(x=x, text="text:N"),
    ).properties(width=190, height=alt.Step(46), title="agreement of the two partitions")
