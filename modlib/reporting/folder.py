"""A report as a folder: tables, page, similarities and graphs, and a manifest that lists them."""

import hashlib
import io
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import igraph
import numpy as np
import pandas as pd

from modlib._checks import Labels, Matrix
from modlib.analysis.modules import graphs_of, variants_of
from modlib.reporting.layers import Layer

if TYPE_CHECKING:
    from modlib.reporting.report import Report

KIND, FORMAT = "modlib report", 1
MANIFEST = "manifest.json"
TABLES = ("modules", "agreement", "nulls", "units")


def write(report: "Report", folder: Path, *, graphs: bool) -> Path:
    """Write all files beside the folder first, so that one which is there is replaced by a whole one."""
    check_free(folder)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as made:
        new = Path(made) / "new"
        new.mkdir()
        _fill(report, new, graphs=graphs)
        if folder.exists():
            folder.rename(Path(made) / "old")
        new.rename(folder)
    return folder


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but an older report."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"to must be a folder, and {folder} is a file")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if other := sorted(there - _of_older_report(folder)):
        raise ValueError(
            f"to must be a new folder or one with an older report, and {folder} holds {other[0]}"
        )


def _of_older_report(folder: Path) -> set[str]:
    """Name the files of the report that a folder holds; none, if it holds none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        return {MANIFEST, *manifest["files"]} if manifest["kind"] == KIND else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _fill(report: "Report", folder: Path, *, graphs: bool) -> None:
    for name in TABLES:
        table: pd.DataFrame = getattr(report, name)
        table.to_parquet(folder / f"{name}.parquet", index=False)
        (folder / f"{name}.csv").write_bytes(_csv(table))
    (folder / "report.html").write_text(report.to_html(), encoding="utf-8")
    (folder / "similarities.npz").write_bytes(_similarities(report.layers))
    if graphs:
        (folder / "graphs").mkdir()
        for number, layer in enumerate(report.layers, start=1):
            _write_graphs(report, layer, folder / "graphs" / f"{number}-{_plain(layer.name)}")
    listed = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = {"kind": KIND, "format": FORMAT, **report.about, "files": listed}
    (folder / MANIFEST).write_text(
        json.dumps(manifest, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
    )


def _csv(table: pd.DataFrame) -> bytes:
    """Write a table as text; the labels of a partition are one cell, separated by spaces."""
    if "labels" in table:
        table = table.assign(labels=[" ".join(map(str, labels)) for labels in table["labels"]])
    return table.to_csv(index=False, lineterminator="\n").encode()


def _similarities(layers: tuple[Layer, ...]) -> bytes:
    sink = io.BytesIO()
    matrices: dict[str, Any] = {f"{layer.name}/{m}": S for layer in layers for m, S in layer.S.items()}
    np.savez_compressed(sink, **matrices)
    return sink.getvalue()


def _plain(name: str) -> str:
    """Give a name as part of a file's name."""
    return re.sub(r"[^\w.-]+", "_", name)


def _write_graphs(report: "Report", layer: Layer, stem: Path) -> None:
    rows = report.modules[report.modules.layer == layer.name].set_index(["measure", "normalized"])
    for variant, A in zip(variants_of(layer.S), graphs_of(layer.S), strict=True):
        measure, normalized = variant
        row: Any = rows.loc[[variant]].iloc[0]
        graph = _graph(A, np.asarray(row["labels"], dtype=np.int64), layer.units)
        about = {"network": str(report.about["network"]), "layer": layer.name, "measure": measure}
        for name, value in {**about, "normalized": normalized, "q": float(row["q"])}.items():
            graph[name] = value
        graph.write_graphml(f"{stem}-{measure}{'-normalised' if normalized else ''}.graphml")


def _graph(A: Matrix, labels: Labels, units: tuple[str, ...]) -> igraph.Graph:
    """Make a graph with the names and modules of its units, and with its weights as they are."""
    rows, columns = np.nonzero(np.triu(A, 1))
    graph = igraph.Graph(n=len(A), edges=np.stack([rows, columns], axis=1))
    graph.vs["name"], graph.vs["module"] = list(units), labels.tolist()
    graph.es["weight"] = A[rows, columns].tolist()
    return graph
