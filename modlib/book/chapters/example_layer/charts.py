"""One hidden layer drawn twice, in two orders: an interactive pair of matrices, small enough for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, TypeAlias

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from modlib.book import theme
from modlib.comparison import agreement_pairs, transfers
from modlib.measures import DOWNSTREAM, UPSTREAM, VARIANTS, graphs

Panel: TypeAlias = alt.LayerChart | alt.FacetChart

#: One character a level of brightness; none of them has a meaning in JSON, HTML or a regular expression.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~"
TOP_LEVEL = len(ALPHABET) - 1

#: The partitions that the pair opens with, chosen before looking: the two gradient measures are mirror images
#: of each other (J Jᵀ with J = ∂h/∂x, Jᵀ J with J = ∂z/∂h), and normalised they do not see units' scales.
OPENING = {"upstream": ("input_grad", True), "downstream": ("output_grad", True)}


def variant_name(measure: str, normalized: bool) -> str:
    """Name one of the eight graphs of a layer, such as ``input gradient, normalised``."""
    return theme.NAMES[measure] + (", normalised" if normalized else ", raw")


def encode(A: Float[np.ndarray, "unit unit"]) -> tuple[str, float]:
    """Write a graph as text, one character for each two units.

    Weights are rounded to 64 levels, level k standing for top·(k/63)²: the square leaves the many small
    weights as many levels as the few large ones.

    Parameters
    ----------
    A
        Weights: symmetric, not negative; the diagonal is left out.

    Returns
    -------
    text, top
        The triangle above the diagonal, row by row, ``n (n − 1) / 2`` characters of `ALPHABET`; and the
        largest weight.

    Raises
    ------
    ValueError
        If the weights are not as above.

    Examples
    --------
    >>> encode(np.array([[0.0, 4.0, 1.0], [4.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    ('~gA', 4.0)
    """
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"A must be a square (unit, unit) matrix, got shape {A.shape}")
    if not np.isfinite(A).all() or (A < 0).any() or not np.array_equal(A, A.T):
        raise ValueError("A must be finite, not negative and symmetric, as modlib.adjacency returns it")
    upper = A[np.triu_indices(len(A), k=1)]
    top = float(upper.max(initial=0.0))
    levels = np.rint(TOP_LEVEL * np.sqrt(upper / top)).astype(int) if top > 0 else np.zeros(len(upper), int)
    return "".join(ALPHABET[level] for level in levels), top


def decode(text: str, top: float, n_units: int) -> Float[np.ndarray, "unit unit"]:
    """Read a graph back from `encode`'s text, to within top/63 (and far closer for small weights).

    Raises
    ------
    ValueError
        If the text is not that of a graph of so many units.
    """
    if len(text) != n_units * (n_units - 1) // 2 or set(text) - set(ALPHABET):
        raise ValueError(
            f"text must hold {n_units * (n_units - 1) // 2} characters of the alphabet for {n_units} units, "
            f"got {len(text)}"
        )
    A = np.zeros((n_units, n_units))
    A[np.triu_indices(n_units, k=1)] = [
        top * (ALPHABET.index(character) / TOP_LEVEL) ** 2 for character in text
    ]
    return A + A.T


@dataclass(frozen=True)
class Crossing:
    """How far an upstream and a downstream partition of one layer agree, and how far by chance.

    Attributes
    ----------
    ecs, ami
        Element-centric similarity and adjusted mutual information.
    ecs_chance, ami_chance
        Lower end, mean and upper end (2.5 %, mean, 97.5 %) of the same for shuffled labels.
    """

    ecs: float
    ami: float
    ecs_chance: tuple[float, float, float]
    ami_chance: tuple[float, float, float]


def crossing(
    a: Int[np.ndarray, " unit"], b: Int[np.ndarray, " unit"], *, shuffles: int = 500, seed: int = 0
) -> Crossing:
    """Compare two partitions, and the first with shuffles of the second: same module sizes, no relation.

    Parameters
    ----------
    a, b
        Labels; units −1 in either are left out of both, also of the shuffling.
    shuffles
        How many.
    seed
        Of the shuffles.

    Raises
    ------
    ValueError
        If the partitions are not of the same units, or fewer than two units are alive in both.
    """
    if a.shape != b.shape:
        raise ValueError(f"a and b must label the same units, got shapes {a.shape} and {b.shape}")
    if shuffles < 1:
        raise ValueError(f"shuffles must be at least 1, got {shuffles}")
    alive = (a >= 0) & (b >= 0)
    if alive.sum() < 2:
        raise ValueError(f"two units or more must be alive in both partitions, got {alive.sum()}")
    a, b = a[alive], b[alive]
    generator = np.random.default_rng(seed)
    labels = np.concatenate([[a, b], generator.permuted(np.tile(b, (shuffles, 1)), axis=1)])
    found = agreement_pairs(labels, [[0, i] for i in range(1, shuffles + 2)])

    def chance(values: Float[np.ndarray, " shuffle"]) -> tuple[float, float, float]:
        low, high = np.quantile(values, [0.025, 0.975])
        return float(low), float(values.mean()), float(high)

    ecs, ami = found["ecs"], found["ami"]
    return Crossing(float(ecs[0]), float(ami[0]), chance(ecs[1:]), chance(ami[1:]))


@dataclass(frozen=True)
class Layer:
    """One hidden layer of one network: its eight graphs and their partitions, in the order of `VARIANTS`.

    Attributes
    ----------
    graphs
        As `modlib.study.rows.graphs` returns them.
    labels
        Modules of each, −1 for dead units.
    """

    graphs: Float[np.ndarray, "variant unit unit"]
    labels: Int[np.ndarray, "variant unit"]

    def __post_init__(self) -> None:
        n_units = self.graphs.shape[-1]
        if self.graphs.shape != (len(VARIANTS), n_units, n_units):
            raise ValueError(
                f"graphs must be ({len(VARIANTS)}, unit, unit), one a variant; got {self.graphs.shape}"
            )
        if self.labels.shape != (len(VARIANTS), n_units):
            raise ValueError(f"labels must be ({len(VARIANTS)}, {n_units}), got {self.labels.shape}")


def collect(S: Mapping[str, Sequence[Tensor]], partitions: pd.DataFrame) -> dict[tuple[str, int], Layer]:
    """Put the graphs and partitions of several networks together, layer by layer.

    Parameters
    ----------
    S
        Similarity matrices as `modlib.similarity` returns them.
    partitions
        As `modlib.study.recompute.partitions` makes them of `S`: every network, layer and variant.

    Returns
    -------
    dict
        By network and number of the layer, networks in the order of the table.

    Raises
    ------
    ValueError
        If a layer's partitions are not those of all variants, or networks are not as many as matrices.
    """
    names = list(dict.fromkeys(partitions.network))
    n_networks, n_layers = len(S["input_cov"][0]), len(S["input_cov"])
    if len(names) != n_networks:
        raise ValueError(f"partitions are of {len(names)} networks, the matrices of {n_networks}")
    stacked = [graphs(dict(S), layer) for layer in range(n_layers)]  # type: ignore[arg-type]
    labels = partitions.set_index(["network", "layer", "measure", "normalized"]).labels
    found = {}
    for (i, name), layer in product(enumerate(names), range(n_layers)):
        wanted = [(name, layer + 1, *variant) for variant in VARIANTS]
        if missing := [key for key in wanted if key not in labels.index]:
            raise ValueError(f"partitions lack {missing[0]}")
        found[name, layer + 1] = Layer(
            stacked[layer][i], np.stack([labels[key] for key in wanted]).astype(int)
        )
    return found


def crossings(layers: Mapping[tuple[str, int], Layer], *, shuffles: int = 500, seed: int = 0) -> pd.DataFrame:
    """Compare the two partitions of `OPENING` in every layer: agreement, and what chance would give.

    Returns
    -------
    DataFrame
        One row a network and layer; for `ecs` and for `ami` a column `found`, the mean `by chance`, and the
        value that 97.5 % of the shuffles stay below, all to three digits.
    """
    up, down = (VARIANTS.index(OPENING[family]) for family in ("upstream", "downstream"))
    rows = {}
    for key, layer in layers.items():
        found = crossing(layer.labels[up], layer.labels[down], shuffles=shuffles, seed=seed)
        rows[key] = [found.ecs, *found.ecs_chance[1:], found.ami, *found.ami_chance[1:]]
    columns = pd.MultiIndex.from_product([["ecs", "ami"], ["found", "by chance", "97.5 % of chance"]])
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["network", "layer"])
    return table.round(3) + 0.0  # not −0.0


def order_of(labels: Int[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    """Units module by module, the largest module first, dead units last."""
    return np.argsort(np.where(labels < 0, labels.max(initial=0) + 1, labels), kind="stable")


def payload(
    layers: Mapping[tuple[str, int], Layer], *, shuffles: int = 500, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Everything that the browser needs to draw the pair, by network and layer, as plain values.

    Returns
    -------
    dict
        Under ``"<network>, layer <number>"``: `code` and `top` of each graph (`encode`); `order`, `labels`,
        `cuts` (positions where one module ends) and `middles` with `names` (where to write which module) of
        each partition; `q` of every graph under every partition (``"<graph> under <partition>"``); and
        `crossing` of every upstream with every downstream partition (``"<upstream> x <downstream>"``).

    Raises
    ------
    ValueError
        If there is no layer, or the layers differ in their number of units.
    """
    sizes = {layer.labels.shape[1] for layer in layers.values()}
    if len(sizes) != 1:
        raise ValueError(
            f"layers must be one or more, all with the same number of units; got {sorted(sizes)}"
        )
    keys = [variant_name(*variant) for variant in VARIANTS]
    found: dict[str, dict[str, Any]] = {}
    for (network, number), layer in layers.items():
        codes = [encode(A) for A in layer.graphs]
        q = transfers(layer.graphs, layer.labels)
        entry: dict[str, Any] = {
            "code": {key: text for key, (text, _) in zip(keys, codes, strict=True)},
            "top": {key: float(f"{top:.4g}") for key, (_, top) in zip(keys, codes, strict=True)},
            "q": {
                f"{graph} under {partition}": round(float(q[i, j]), 3)
                for (i, graph), (j, partition) in product(enumerate(keys), enumerate(keys))
            },
            "order": {}, "labels": {}, "cuts": {}, "middles": {}, "names": {}, "crossing": {},
        }  # fmt: skip
        for key, labels in zip(keys, layer.labels, strict=True):
            order = order_of(labels)
            cuts = [0, *(np.flatnonzero(np.diff(labels[order])) + 1).tolist(), len(labels)]
            entry["order"][key] = order.tolist()
            entry["labels"][key] = labels.tolist()
            entry["cuts"][key] = cuts[1:-1]
            entry["middles"][key] = [(a + b) / 2 for a, b in pairwise(cuts)]
            entry["names"][key] = [_module_name(int(labels[order[cut]])) for cut in cuts[:-1]]
        for up, down in product(*(_family(names) for names in (UPSTREAM, DOWNSTREAM))):
            compared = crossing(
                layer.labels[keys.index(up)], layer.labels[keys.index(down)], shuffles=shuffles, seed=seed
            )
            entry["crossing"][f"{up} x {down}"] = [
                [round(value, 3) for value in (compared.ecs, *compared.ecs_chance)],
                [round(value, 3) for value in (compared.ami, *compared.ami_chance)],
            ]
        found[f"{network}, layer {number}"] = entry
    return found


def _module_name(label: int) -> str:
    return "dead" if label < 0 else str(label + 1)


def _family(measures: tuple[str, ...]) -> list[str]:
    return [variant_name(measure, normalized) for measure, normalized in VARIANTS if measure in measures]


# What each panel of the figure computes in the browser. `at` is the layer chosen, `shown` the graph, and
# `upstream` and `downstream` the partitions, all set by the controls under the figure.
_PLACE = "datum.lo * (2 * units - datum.lo - 1) / 2 + datum.hi - datum.lo - 1"


def _panel(family: str, n: int, size: int) -> Panel:
    """Return the matrix in the order of the partition that the control named like the family has chosen."""
    scale = alt.Scale(domain=[0, n], nice=False, zero=False)
    down = alt.Scale(domain=[n, 0], nice=False, zero=False)
    x: dict[str, Any] = {"scale": scale, "axis": None}
    y: dict[str, Any] = {"scale": down, "axis": None}
    cells = (
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
        .transform_calculate(place=_PLACE)
        .transform_calculate(
            level="indexof(alphabet, slice(at.code[shown], datum.place, datum.place + 1))",
            unit="datum.i + 1",
            other="datum.j + 1",
            ours=_label(family, "datum.i"),
            theirs=_label(family, "datum.j"),
        )
        .transform_calculate(value=f"at.top[shown] * pow(datum.level / {TOP_LEVEL}, 2)")
        .mark_rect()
        .encode(
            x=alt.X("column:Q", **x),
            x2="column2:Q",
            y=alt.Y("row:Q", **y),
            y2="row2:Q",
            color=alt.ColorValue(alt.ExprRef("colours[shown]")),
            opacity=alt.Opacity(
                "level:Q", scale=alt.Scale(domain=[0, TOP_LEVEL], range=[0.02, 1]), legend=None
            ),
            tooltip=[
                alt.Tooltip("unit:O", title="unit"),
                alt.Tooltip("ours:N", title="its module"),
                alt.Tooltip("other:O", title="other unit"),
                alt.Tooltip("theirs:N", title="its module "),
                alt.Tooltip("value:Q", title="similarity (one of 64 levels)", format=".3~g"),
            ],
        )
    )
    cuts = alt.Chart(alt.sequence(1, n, as_="cut")).transform_filter(
        f"indexof(at.cuts[{family}], datum.cut) >= 0"
    )
    names = (
        alt.Chart(alt.sequence(n, as_="module"))
        .transform_filter(f"datum.module < length(at.middles[{family}])")
        .transform_calculate(
            middle=f"at.middles[{family}][datum.module]", name=f"at.names[{family}][datum.module]"
        )
        .mark_text(fontSize=11)
    )
    line: dict[str, Any] = {"strokeWidth": 1.2, "opacity": 0.9}
    lines = [
        f"'sorted by {family} modules of'",
        family,
        f"'Q under them: ' + format(at.q[shown + ' under ' + {family}], '.2f')"
        " + ' (at best ' + format(at.q[shown + ' under ' + shown], '.2f') + ')'",
    ]
    title = alt.Title(alt.ExprRef(f"[{', '.join(lines)}]"), offset=18)
    return alt.layer(
        cells,
        cuts.mark_rule(**line).encode(x=alt.X("cut:Q", **x)),
        cuts.mark_rule(**line).encode(y=alt.Y("cut:Q", **y)),
        names.encode(x=alt.value(-10), y=alt.Y("middle:Q", **y), text="name:N"),
        names.encode(x=alt.X("middle:Q", **x), y=alt.value(-8), text="name:N"),
    ).properties(width=size, height=size, title=title)


def _label(family: str, unit: str) -> str:
    """Return the expression for the name of a unit's module in the partition chosen."""
    label = f"at.labels[{family}][{unit}]"
    return f"{label} < 0 ? 'dead' : '' + ({label} + 1)"


def _table(n: int) -> Panel:
    """Return how many units each upstream module shares with each downstream module."""
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


def _scores() -> Panel:
    """Return agreement of the two partitions beside the range that shuffled labels reach."""
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
                alt.Tooltip("mean:Q", format=".3f", title="by chance, mean"),
                alt.Tooltip("low:Q", format=".3f", title="by chance, 2.5 %"),
                alt.Tooltip("high:Q", format=".3f", title="by chance, 97.5 %"),
            ],
        )
    )
    scale = alt.Scale(domain=[-0.1, 1], nice=False)
    axis = alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1], format=".1f")
    x = alt.X("found:Q", scale=scale, title="found (point), by chance (bar)", axis=axis)
    grey = theme.FAMILY_COLOURS["across"]
    return alt.layer(
        scores.mark_bar(height=12, color=grey, opacity=0.5).encode(
            x=alt.X("low:Q", scale=scale), x2="high:Q"
        ),
        scores.mark_tick(height=18, thickness=2, color=grey).encode(x=alt.X("mean:Q", scale=scale)),
        scores.mark_point(filled=True, size=80, opacity=1, color=grey).encode(x=x),
        scores.mark_text(dy=-15, fontSize=11).encode(x=x, text="text:N"),
    ).properties(width=190, height=alt.Step(46), title="agreement of the two partitions")


def pair(
    layers: Mapping[tuple[str, int], Layer],
    *,
    description: str,
    caption: str = "",
    name: str = "",
    shown: tuple[str, bool] = OPENING["upstream"],
    shuffles: int = 500,
    seed: int = 0,
    cell: int = 4,
) -> alt.VConcatChart:
    """Draw a graph of a layer sorted by upstream modules and, beside it, by downstream modules.

    Controls choose network, layer, which of the eight graphs is shown and which two partitions sort it.
    Below stand the table of units that the modules share, and the partitions' agreement beside what
    shuffled labels give. Graphs travel as text (`encode`) and are spread out in the browser.

    Parameters
    ----------
    layers
        By network and number of the layer; the first is the one that the figure opens with.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    shown
        The graph that the figure opens with.
    shuffles, seed
        For the chance level of the agreement.
    cell
        Width and height of a matrix cell in whole pixels, so that cells meet without seams.

    Raises
    ------
    ValueError
        If there is no layer, the layers differ in their number of units, or no such graph is known.
    """
    if shown not in VARIANTS:
        raise ValueError(f"shown must be one of {VARIANTS}, got {shown!r}")
    data = payload(layers, shuffles=shuffles, seed=seed)
    n = next(iter(layers.values())).labels.shape[1]
    networks = list(dict.fromkeys(network for network, _ in layers))
    numbers = sorted({number for _, number in layers})
    keys = [variant_name(*variant) for variant in VARIANTS]
    colours = {variant_name(*variant): theme.COLOURS[variant[0]] for variant in VARIANTS}

    def choice(param: str, label: str, options: list[Any], value: Any) -> alt.Parameter:
        return alt.param(name=param, value=value, bind=alt.binding_select(options=options, name=label))

    first_network, first_layer = next(iter(layers))
    params = [
        choice("network", "network ", networks, first_network),
        choice("layer", "layer ", numbers, first_layer),
        choice("shown", "graph shown ", keys, variant_name(*shown)),
        choice("upstream", "upstream modules of ", _family(UPSTREAM), variant_name(*OPENING["upstream"])),
        choice(
            "downstream", "downstream modules of ", _family(DOWNSTREAM), variant_name(*OPENING["downstream"])
        ),
        alt.param(name="layers", value=data),
        alt.param(name="colours", value=colours),
        alt.param(name="alphabet", value=ALPHABET),
        alt.param(name="units", value=n),
        alt.param(name="at", expr="layers[network + ', layer ' + layer]"),
    ]
    matrices = alt.hconcat(_panel("upstream", n, n * cell), _panel("downstream", n, n * cell), spacing=36)
    chart: alt.VConcatChart = alt.vconcat(
        matrices, alt.hconcat(_table(n), _scores(), spacing=36), spacing=30
    ).resolve_scale(opacity="independent")
    properties = theme.properties(description=description, caption=caption, name=name)
    # The table grows and shrinks with the partitions chosen, and the drawing with it.
    properties |= {"padding": 8, "autosize": alt.AutoSizeParams(type="pad", resize=True)}
    # Two matrices are thousands of cells: a canvas draws them faster than as many SVG elements.
    usermeta = {**properties.get("usermeta", {}), "embedOptions": {"renderer": "canvas"}}
    found: alt.VConcatChart = chart.add_params(*params).properties(**{**properties, "usermeta": usermeta})
    return found
