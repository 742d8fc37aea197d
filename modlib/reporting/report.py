"""A report on the modules of a network's layers: tables, warnings, a page, and a folder of all of it."""

import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modlib import _checks
from modlib.analysis.chance import crossing
from modlib.analysis.modules import agreement_of_halves, graphs_of, layer_tables, variants_of
from modlib.analysis.null_tests import null_rows, qualities, qualities_of_draws
from modlib.analysis.schema import AGREEMENT, MODULES, NULL_TESTS
from modlib.analysis.versions import versions
from modlib.nulls import NULLS, Draw
from modlib.reporting import folder, page
from modlib.reporting.layers import Layer, matrices, read_layers
from modlib.reporting.units import units_table
from modlib.reporting.warnings import graph_name, warnings_of

#: Agreement by chance that a report adds to the columns of the table `agreement`.
CHANCE = ("ecs_chance", "ecs_chance_high", "ami_chance", "ami_chance_high")


@dataclass(frozen=True, eq=False)
class Report:
    """The modules of one or several layers of a network, beside their nulls.

    In a notebook it shows itself as a page, and in a terminal as a table. The tables have the columns of the
    book's own (`modlib.analysis.schema`); the column `layer` holds the name of the layer.

    Attributes
    ----------
    modules
        One row a layer and graph: Q, the modules, their stability, and `reliability`, which is the adjusted
        mutual information of the partitions by two halves of the samples.
    agreement
        One row a layer and pair of graphs. `ecs_chance` and `ami_chance` are the means over shuffles of the
        second partition, `ecs_chance_high` and `ami_chance_high` their 97.5 % points.
    nulls
        One row a layer, graph and null: Q beside the Q of draws that have no modules.
    units
        One row a layer, graph and unit: its number (from 0), its name and its module (−1: dead).
    warnings
        What has to be known before the numbers are believed, in sentences.
    about
        What was measured and with what: names, samples, settings, versions, and a digest of the similarities.
    layers
        The similarities that all of it comes from.
    """

    modules: pd.DataFrame
    agreement: pd.DataFrame
    nulls: pd.DataFrame
    units: pd.DataFrame
    warnings: tuple[str, ...]
    about: Mapping[str, Any]
    layers: tuple[Layer, ...]

    @classmethod
    def of_similarities(
        cls,
        similarities: Mapping[str, Mapping[str, Any]],
        *,
        name: str = "network",
        unit_names: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
        nulls: Mapping[str, Iterable[Mapping[str, Mapping[str, Any]]]] | None = None,
        draws: int = 20,
        restarts: int = 20,
        null_restarts: int = 2,
        shuffles: int = 200,
        seed: int = 0,
        about: Mapping[str, Any] | None = None,
    ) -> "Report":
        """Make a report from similarities that are there already.

        Parameters
        ----------
        similarities
            For each layer, by name, the matrices by measure: what `modlib.similarities` gives, or plain
            mappings of symmetric ``(unit, unit)`` matrices, signed and with the diagonal. A layer may lack
            measures. Reliability needs the attribute `halves` of `modlib.similarities`.
        name
            What the network is called.
        unit_names
            Names of the units, a mapping from layers to lists; one list, if there is one layer.
        nulls
            Further nulls by name, each as two or more draws of `similarities`: those of a network without
            modules, for example. The nulls that need nothing but the matrices are always drawn.
        draws, restarts, null_restarts, shuffles, seed
            Draws of each null; independent runs of the search for modules, in the graphs themselves and (for
            the network's own Q too) in the comparison with nulls; shuffles for agreement by chance; and the
            seed of all of them.
        about
            What else the page should tell of the measurement, as words and their values.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described. A null that cannot be drawn for a matrix which is not positive
            semidefinite has nan there, and a warning says so.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((50, 3)) @ np.kron(np.eye(3), np.ones(4))
        >>> S = np.cov(x.T) + 0.1 * np.eye(12)
        >>> report = Report.of_similarities({"hidden": {"input_cov": S}}, draws=2, restarts=1)
        >>> report.modules.n_modules.tolist()
        [3, 3]
        """
        checked_settings(
            name, draws=draws, restarts=restarts, null_restarts=null_restarts, shuffles=shuffles, seed=seed
        )
        layers = read_layers(similarities, unit_names)
        of_matrices = [null for null, found in NULLS.items() if found.of_matrix]
        _check_nulls({} if nulls is None else nulls, of_matrices)
        if about is not None and not isinstance(about, Mapping):
            raise TypeError(f"about must be a mapping from words to values, got {_checks.shown(about)}")
        modules, agreement = _modules(layers, name, restarts, seed, shuffles)
        drawn: dict[str, Iterable[Draw]] = {
            null: islice(_draws_of_matrices(layers, null, seed), draws) for null in of_matrices
        }
        drawn |= {null: _given_draws(layers, null, given) for null, given in (nulls or {}).items()}
        tests = _null_tests(layers, name, drawn, null_restarts)
        settings = {"draws": draws, "restarts": restarts, "null_restarts": null_restarts, "seed": seed}
        return cls(
            modules=modules,
            agreement=agreement,
            nulls=tests,
            units=units_table(layers, modules),
            warnings=tuple(warnings_of(layers, modules, tests)),
            about={"network": name}
            | dict(about or {})
            | {
                "network": name,
                "settings": settings | {"shuffles": shuffles},
                "versions": versions(),
                "digest": _digest(layers),
            },
            layers=tuple(layers),
        )

    def save(self, to: str | PathLike[str], *, graphs: bool = True) -> Path:
        """Write the report into a folder, and return its path.

        There are the tables as CSV and Parquet, the page (``report.html``), the similarities as an archive of
        NumPy arrays, each graph as GraphML with names and modules of its units (an edge takes about 100
        bytes, a graph of 256 units 3 MB), and ``manifest.json``, with the SHA-256 of each file. The folder
        must be new, be empty or hold an older report and nothing else; a ValueError says what else it holds.
        """
        to = Path(_checks.instance(to, "to", (str, PathLike), "path"))
        return folder.write(self, to, graphs=_checks.flag(graphs, "graphs"))

    def to_html(self) -> str:
        """Return the page: one HTML document that needs no other file and no network."""
        return page.render(self)

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="Report on the modules of {html.escape(self.about["network"])}" '
            f'srcdoc="{html.escape(self.to_html())}" sandbox="allow-popups" '
            'style="width: 100%; height: 85vh; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        lines = [f"Report on the modules of {self.about['network']}"]
        for layer in self.layers:
            samples = "" if layer.n_samples is None else f", {layer.n_samples} samples"
            lines += ["", f"layer {layer.name}: {len(layer.units)} units{samples}", self._table(layer.name)]
        if self.warnings:
            lines += ["", "Before you believe it:", *(f"- {sentence}" for sentence in self.warnings)]
        return "\n".join(lines)

    def _table(self, layer: str) -> str:
        """Write the modules of a layer, and the largest p of its nulls, as a table of plain text."""
        rows = self.modules[self.modules.layer == layer]
        graph = ["measure", "normalized"]
        p = self.nulls[self.nulls.layer == layer].groupby(graph).p.max().rename("largest p")
        shown = rows.join(p, on=graph)
        shown["graph"] = [graph_name(m, bool(n)) for m, n in zip(rows.measure, rows.normalized, strict=True)]
        columns = ["graph", "q", "largest p", "n_modules", "stability", "reliability"]
        names = {"q": "Q", "n_modules": "modules"}
        return shown[columns].rename(columns=names).to_string(index=False, float_format="%.3f", na_rep="–")


def checked_settings(
    name: str, *, draws: int, restarts: int, null_restarts: int, shuffles: int, seed: int
) -> None:
    """Raise a TypeError or ValueError that names what cannot be a setting of a report."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a text, got {_checks.shown(name)}")
    _checks.whole(draws, "draws", least=2)
    _checks.whole(restarts, "restarts", least=1)
    _checks.whole(null_restarts, "null_restarts", least=1)
    _checks.whole(shuffles, "shuffles", least=2)
    _checks.seed(seed)


def _check_nulls(nulls: Any, drawn: Sequence[str]) -> None:
    if not isinstance(nulls, Mapping):
        raise TypeError(f"nulls must be a mapping from names to draws, got {_checks.shown(nulls)}")
    for name in nulls:
        if not isinstance(name, str) or name in drawn:
            others = ", ".join(drawn)  # which are drawn in any case
            raise ValueError(f"nulls must be named by texts other than {others}; got {_checks.shown(name)}")


def _modules(
    layers: Sequence[Layer], name: str, restarts: int, seed: int, shuffles: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the tables `modules` and `agreement`, with reliability and with agreement by chance."""
    modules, agreement = [], []
    for layer in layers:
        variants = variants_of(layer.S)
        rows, pairs = layer_tables(graphs_of(layer.S), name, layer.name, "leiden", restarts, seed, variants)
        reliability = np.full(len(variants), np.nan)
        if layer.halves is not None:
            first, second = map(graphs_of, layer.halves)
            reliability = agreement_of_halves(first, second, restarts, seed)
        modules.append(rows.assign(reliability=reliability))
        agreement.append(pairs.assign(**_by_chance(rows, pairs, shuffles, seed)))
    return (
        pd.concat(modules, ignore_index=True)[MODULES.names],
        pd.concat(agreement, ignore_index=True)[[*AGREEMENT.names, *CHANCE]],
    )


def _by_chance(
    modules: pd.DataFrame, pairs: pd.DataFrame, shuffles: int, seed: int
) -> dict[str, Float[np.ndarray, " pair"]]:
    """Compare each two partitions of a layer with shuffles of the second; nan with fewer than two units."""
    labels = modules.set_index(["measure", "normalized"])["labels"]
    found = np.full((len(pairs), len(CHANCE)), np.nan)
    row: Any
    for number, row in enumerate(pairs.itertuples()):
        a, b = labels[row.measure_a, row.normalized_a], labels[row.measure_b, row.normalized_b]
        if np.count_nonzero((a >= 0) & (b >= 0)) >= 2:
            of = crossing(a.astype(np.int64), b.astype(np.int64), shuffles=shuffles, seed=seed)
            found[number] = [of["ecs"].mean, of["ecs"].high, of["ami"].mean, of["ami"].high]
    return dict(zip(CHANCE, found.T, strict=True))


def _draws_of_matrices(layers: Sequence[Layer], null: str, seed: int) -> Iterator[Draw]:
    """Draw graphs like those of each matrix without end, with a generator a layer, as experiments do.

    A matrix that the null cannot be drawn for (an indefinite Hessian has no units that could be rotated) has
    draws without edges, whose Q is nan.
    """
    graphs = NULLS[null].of_matrix
    assert graphs is not None
    generators = [np.random.default_rng((seed, 0, number)) for number in range(len(layers))]
    while True:
        draw = []
        for layer, generator in zip(layers, generators, strict=True):
            drawn: list[np.ndarray] = []
            for S in layer.S.values():
                try:
                    drawn += graphs(S, generator)
                except ValueError:
                    drawn += [np.zeros_like(S), np.zeros_like(S)]
            draw.append(np.stack(drawn)[None])
        yield draw


def _given_draws(layers: Sequence[Layer], null: str, given: Any) -> Iterator[Draw]:
    """Make the graphs of similarities that are drawn elsewhere, one draw at a time."""
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        raise TypeError(f"nulls[{null!r}] must be draws of similarities, got {_checks.shown(given)}")
    count = 0
    for count, drawn in enumerate(given, start=1):  # noqa: B007
        draw = []
        for layer in layers:
            if not isinstance(drawn, Mapping) or layer.name not in drawn:
                raise ValueError(f"nulls[{null!r}] must be draws of similarities of layer {layer.name!r}")
            S = matrices(drawn[layer.name], f"nulls[{null!r}]")
            if list(S) != list(layer.S) or any(S[m].shape != layer.S[m].shape for m in S):
                raise ValueError(f"nulls[{null!r}] must have the measures and units of layer {layer.name!r}")
            draw.append(graphs_of(S)[None])
        yield draw
    if count < 2:
        raise ValueError(f"nulls[{null!r}] must be two draws or more, got {count}")


def _null_tests(
    layers: Sequence[Layer], name: str, drawn: Mapping[str, Iterable[Draw]], restarts: int
) -> pd.DataFrame:
    """Make the table `nulls`; the own Q is searched for with the effort that the draws get."""
    own = [qualities(graphs_of(layer.S), restarts) for layer in layers]
    found = {null: qualities_of_draws(draws, restarts, map) for null, draws in drawn.items()}
    rows: list[tuple[Any, ...]] = []
    for number, layer in enumerate(layers):
        for null, of_layers in found.items():
            rows += null_rows(name, layer.name, variants_of(layer.S), null, own[number], of_layers[number][0])
    return pd.DataFrame(rows, columns=NULL_TESTS.names)


def _digest(layers: Iterable[Layer]) -> str:
    """Give the SHA-256 of the similarities: layers, measures and the numbers themselves."""
    digest = hashlib.sha256()
    for layer in layers:
        for measure, S in layer.S.items():
            digest.update(json.dumps([layer.name, measure, *S.shape]).encode())
            digest.update(np.ascontiguousarray(S, dtype="<f8").tobytes())
    return digest.hexdigest()
