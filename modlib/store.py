"""Where results are kept: tables written whole or not at all, and verified when they are read."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modlib.experiments import Experiment
from modlib.networks import MLPStack, concatenate

try:
    import fcntl
except ImportError:  # not a POSIX system: runs of one experiment at a time are then up to the user
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

TABLES = ("networks", "modules", "agreement", "nulls", "choices", "choices_agreement")
_DECIDE = (
    "networks",
    "schedule",
    "training",
    "similarity",
    "modularity",
    "optimisers",
    "nulls",
    "contingency",
    "agreement",
    "analysis",
    "sweep",
)
FORMAT = 2  # of a results folder; raised when an older one can no longer be read


class StoreError(ValueError):
    """Stored results are damaged or are not what was asked for; the message names the file and what to do."""


@dataclass(frozen=True, eq=False)
class Results:
    """What an experiment gave.

    Attributes
    ----------
    networks, modules, agreement
        One row a network; a network, layer and graph; a network, layer and pair of graphs.
    manifest
        Configuration, data, versions, times and check sums.
    kept
        The networks kept with their weights, by name: stacks of one.
    nulls
        One row a network, layer, graph and null: Q beside draws (`modlib.analysis.against_nulls`).
    choices, choices_agreement
        The same networks looked at by other defensible choices (`modlib.analysis.analyse_by`).
    """

    networks: pd.DataFrame
    modules: pd.DataFrame
    agreement: pd.DataFrame
    manifest: dict[str, Any]
    kept: dict[str, MLPStack]
    nulls: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices_agreement: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, eq=False)
class ShardResults:
    """What one shard gave: its tables, the weights to keep by network name, and seconds per stage."""

    tables: dict[str, pd.DataFrame]
    weights: dict[str, MLPStack]
    seconds: dict[str, float]


def results_folder() -> Path:
    """`$MODLIB_RESULTS`, else `results/` of the project that modlib is installed from, else of here."""
    if named := os.environ.get("MODLIB_RESULTS"):
        return Path(named)
    project = Path(__file__).parents[1]
    return (project if (project / "_toc.yml").exists() else Path.cwd()) / "results"


def folder_of(experiment: Experiment) -> Path:
    """Where an experiment's tables are."""
    return results_folder() / f"{experiment.name}-{experiment.profile}"


@cache
def code_digest() -> str:
    """SHA-256 of the source files that decide the numbers in the tables."""
    files = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in _DECIDE]
    return hashlib.sha256(b"".join(files)).hexdigest()


def shard_file(experiment: Experiment, shard: str) -> Path:
    """Where a shard is until the tables are made; another configuration or other code has another folder."""
    folder = f"{experiment.digest[:12]}-{code_digest()[:12]}"
    return folder_of(experiment) / "shards" / folder / f"{shard}.zip"


@contextmanager
def exclusive(experiment: Experiment) -> Iterator[None]:
    """Let one process at a time work on an experiment; others wait. A killed process's hold ends with it."""
    folder = folder_of(experiment)
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    with (folder / "shards" / ".lock").open("w") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process that works on %s", folder)
                fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.rglob(".*.part"):  # by a process that was killed while it wrote
            left.unlink(missing_ok=True)
        yield


def _write(path: Path, content: bytes) -> None:
    """Write a file whole: to a name of its own beside it, on the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _parquet(table: pd.DataFrame) -> bytes:
    """Bytes of a table that depend on its rows only."""
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(arrow, sink, compression="zstd")
    return sink.getvalue()


def _table(content: bytes) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
    return frame


def _npz(stacks: Mapping[str, MLPStack]) -> bytes:
    arrays = {
        f"{name}/{kind}/{layer}": tensor[0].cpu().numpy()
        for name, stack in sorted(stacks.items())
        for kind, tensors in (("weight", stack.weights), ("bias", stack.biases))
        for layer, tensor in enumerate(tensors)
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # np.savez, without the time of day
        for key, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), member.getvalue())
    return sink.getvalue()


def _stacks(content: bytes) -> dict[str, MLPStack]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        names = sorted({key.rsplit("/", 2)[0] for key in arrays.files})
        n_layers = 1 + max((int(key.rsplit("/", 1)[1]) for key in arrays.files), default=-1)
        return {
            name: MLPStack.from_arrays(
                [arrays[f"{name}/weight/{layer}"][None] for layer in range(n_layers)],
                [arrays[f"{name}/bias/{layer}"][None] for layer in range(n_layers)],
            )
            for name in names
        }


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks of a shard after training: names, weights, and what `modlib.train` says of them."""

    names: tuple[str, ...]
    stack: MLPStack
    epochs: list[int]
    val_loss: list[float]
    seconds: float


def write_trained(experiment: Experiment, shard: str, trained: Trained) -> None:
    """Keep trained networks until their shard is finished, so that looking at them can be interrupted."""
    about = {
        "names": trained.names,
        "epochs": trained.epochs,
        "val_loss": trained.val_loss,
        "seconds": trained.seconds,
    }
    stacks = {name: trained.stack[i] for i, name in enumerate(trained.names)}
    _write_archive(experiment, f"{shard}.trained", about, {"weights.npz": _npz(stacks)})


def read_trained(experiment: Experiment, shard: str) -> Trained:
    """Read them back; errors as `read_shard`."""
    about, files = _read_archive(experiment, f"{shard}.trained", {"weights.npz": _stacks})
    names = tuple(about["names"])
    stack = concatenate([files["weights.npz"][name] for name in names])
    return Trained(names, stack, about["epochs"], about["val_loss"], about["seconds"])


def drop_trained(experiment: Experiment, shard: str) -> None:
    """Remove trained networks, whose shard is finished."""
    shard_file(experiment, f"{shard}.trained").unlink(missing_ok=True)


def write_shard(experiment: Experiment, shard: str, results: ShardResults) -> None:
    """Keep a finished shard: one file, an archive whose members carry check sums."""
    tables = {f"{name}.parquet": _parquet(results.tables[name]) for name in TABLES}
    files = {"weights.npz": _npz(results.weights), **tables}
    _write_archive(experiment, shard, {"seconds": results.seconds}, files)


def read_shard(experiment: Experiment, shard: str) -> ShardResults:
    """Read a shard back.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    StoreError
        If it is damaged, or belongs to another experiment or format.
    """
    readers = {"weights.npz": _stacks, **{f"{name}.parquet": _table for name in TABLES}}
    about, files = _read_archive(experiment, shard, readers)
    return ShardResults(
        {name: files[f"{name}.parquet"] for name in TABLES}, files["weights.npz"], dict(about["seconds"])
    )


def _write_archive(
    experiment: Experiment, shard: str, about: Mapping[str, Any], files: Mapping[str, bytes]
) -> None:
    sink = io.BytesIO()
    whole = {"format": FORMAT, "experiment": experiment.digest, "shard": shard, **about}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("about.json"), json.dumps(whole))
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    _write(shard_file(experiment, shard), sink.getvalue())


def _read_archive(
    experiment: Experiment, shard: str, readers: Mapping[str, Callable[[bytes], Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    path = shard_file(experiment, shard)
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            about = json.loads(archive.read("about.json"))
            found = (about["format"], about["experiment"], about["shard"])
            files = {name: read(archive.read(name)) for name, read in readers.items()}
    except Exception as error:  # whatever a damaged archive makes zipfile, json or pyarrow raise
        raise StoreError(f"{path} is damaged ({error}); delete it and run again") from error
    if found != (FORMAT, experiment.digest, shard):
        raise StoreError(f"{path} belongs to another experiment or format; delete it and run again")
    return about, files


def write_results(
    experiment: Experiment,
    tables: Mapping[str, pd.DataFrame],
    weights: Mapping[str, MLPStack],
    manifest: Mapping[str, Any],
) -> None:
    """Write the tables, and last the manifest, which makes them count."""
    folder = folder_of(experiment)
    files = {f"{name}.parquet": _parquet(tables[name]) for name in TABLES}
    files["weights.npz"] = _npz(weights)
    (folder / "manifest.json").unlink(missing_ok=True)
    for name, content in files.items():
        _write(folder / name, content)
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
    }
    for name in TABLES:
        listed[f"{name}.parquet"]["rows"] = len(tables[name])
    whole = {
        "format": FORMAT,
        "digest": experiment.digest,
        "config": experiment.config,
        "files": listed,
        **manifest,
    }
    _write(folder / "manifest.json", (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode())


def is_stored(experiment: Experiment) -> bool:
    """Whether there are tables of this very configuration."""
    path = folder_of(experiment) / "manifest.json"
    return path.exists() and _manifest(path).get("digest") == experiment.digest


def read_if_stored(experiment: Experiment) -> Results | None:
    """Read tables as `read_results` does, or return None where there are none: nothing is computed."""
    return read_results(experiment) if is_stored(experiment) else None


def read_results(experiment: Experiment) -> Results:
    """Read tables back, each checked against the manifest.

    Raises
    ------
    FileNotFoundError
        If there is no manifest.
    StoreError
        If a file is missing or altered, or the tables are of another configuration or format.
    """
    folder = folder_of(experiment)
    manifest = _manifest(folder / "manifest.json")
    expected = {"format": FORMAT, "digest": experiment.digest, "config": experiment.config}
    for key, value in expected.items():
        if manifest.get(key) != value:
            raise StoreError(
                f"{folder / 'manifest.json'} is of another configuration of {experiment.name!r} or another "
                f"format ({key} differs); move {folder} away and run the experiment again"
            )
    content: dict[str, bytes] = {}
    for name in (*(f"{table}.parquet" for table in TABLES), "weights.npz"):
        path = folder / name
        if not path.exists():
            raise StoreError(f"{path} is missing; restore it, or delete {folder} and run again")
        content[name] = path.read_bytes()
        if hashlib.sha256(content[name]).hexdigest() != _listed_sha256(manifest, name):
            raise StoreError(
                f"{path} is not the file that its manifest lists (SHA-256 differs); "
                f"restore it, or delete {folder} and run again"
            )
    tables = {name: _table(content[f"{name}.parquet"]) for name in TABLES}
    return Results(**tables, manifest=manifest, kept=_stacks(content["weights.npz"]))


def _listed_sha256(manifest: Mapping[str, Any], name: str) -> object:
    """Check sum that a manifest lists for a file; None if it does not."""
    try:
        return manifest["files"][name]["sha256"]
    except (KeyError, TypeError):
        return None


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
        if not isinstance(manifest, dict):
            raise ValueError("not an object")
    except FileNotFoundError:
        raise
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); restore it, or delete {path.parent}") from error
    return manifest
