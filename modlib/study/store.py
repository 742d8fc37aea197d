"""Where results are kept: tables written whole or not at all, and verified when they are read."""

from __future__ import annotations

import ast
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

import pandas as pd

from modlib import _checks
from modlib.networks import MLPStack, concatenate
from modlib.study import packing, project
from modlib.study.catalogue import Experiment
from modlib.study.schema import TABLES

try:
    import fcntl
except ImportError:  # not a POSIX system: runs of one experiment at a time are then up to the user
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

DECIDES = "study.runner"  # the module that computes shards: what it imports decides the numbers in the tables
PACKAGES = ("torch", "numpy", "scipy", "igraph")  # whose versions decide them, too
FORMAT = 2  # of a results folder; raised when an older one can no longer be read
MOST_MANIFEST_BYTES = 2**24  # beyond what any has


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
        One row a network, layer, graph and null: Q beside draws (`modlib.study.rows.against_nulls`).
    choices, choices_agreement
        The same networks looked at by other defensible choices (`modlib.study.rows.analyse_by`).
    more
        Tables of `modlib.study.schema.TABLES` that have no attribute of their own, by name.
    """

    networks: pd.DataFrame
    modules: pd.DataFrame
    agreement: pd.DataFrame
    manifest: dict[str, Any]
    kept: dict[str, MLPStack]
    nulls: pd.DataFrame = field(default_factory=TABLES["nulls"].empty)
    choices: pd.DataFrame = field(default_factory=TABLES["choices"].empty)
    choices_agreement: pd.DataFrame = field(default_factory=TABLES["choices_agreement"].empty)
    more: dict[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ShardResults:
    """What one shard gave: its tables, the weights to keep by network name, and seconds per stage."""

    tables: dict[str, pd.DataFrame]
    weights: dict[str, MLPStack]
    seconds: dict[str, float]


def folder_of(experiment: Experiment) -> Path:
    """Where an experiment's tables are."""
    _checks.instance(experiment, "experiment", Experiment)
    return project.results_folder() / f"{experiment.name}-{experiment.profile}"


@cache
def code_digest(package: Path = project.PACKAGE) -> str:
    """SHA-256 of what the code that decides the numbers in the tables says, not of how it is written.

    It is taken of the syntax trees, without comments, docstrings and layout, of the module `DECIDES` and of
    all modules of the package that it imports, and that these import in turn. The trees are those of the
    running Python, so another minor version of it may give another digest.

    Parameters
    ----------
    package
        Folder of the package.
    """
    found: dict[str, str] = {}
    waiting = {f"{package.name}.{DECIDES}"}
    while waiting:
        module = waiting.pop()
        tree = ast.parse(_source(package, module).read_bytes())
        waiting |= _imported(package, module, _statements(tree)) - found.keys() - {module}
        found[module] = ast.dump(tree)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Take docstrings and other bare text out of a module, and give its statements at every depth."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            block = getattr(node, name, [])
            block[:] = [one for one in block if not _is_text(one)]
            waiting += block
        if isinstance(node, ast.stmt):
            yield node


def _is_text(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _is_module(package: Path, module: str) -> bool:
    return module.split(".")[0] == package.name and _source(package, module).exists()


def _source(package: Path, module: str) -> Path:
    """Where the source of a module of the package is, or would be."""
    path = package.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported(package: Path, module: str, statements: Iterable[ast.stmt]) -> set[str]:
    """Modules of the package that one of its modules takes something from, wherever in it that happens.

    A package that is merely on the way to one of its modules is not among them.
    """
    found = set()
    for node in statements:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            is_folder = _source(package, module).name == "__init__.py"
            here = module if is_folder else module.rpartition(".")[0]
            base = resolve_name("." * node.level + (node.module or ""), here)
            inside = [f"{base}.{alias.name}" for alias in node.names]
            found |= {name if _is_module(package, name) else base for name in inside}
    return {name for name in found if _is_module(package, name)}


def shard_file(experiment: Experiment, shard: str) -> Path:
    """Where a shard is until the tables are made; another configuration or other code has another folder."""
    _checks.file_name(shard, "shard")
    tables = folder_of(experiment)
    folder = f"{experiment.digest[:12]}-{code_digest()[:12]}"
    return tables / "shards" / folder / f"{shard}.zip"


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


_RUN_AGAIN = "delete it and run again"


@contextmanager
def _damage_named(source: str | Path, remedy: str) -> Iterator[None]:
    """Turn whatever damaged bytes make a reader raise into an error that names them."""
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__  # in one line, as the command line wants
        raise StoreError(f"{source} is damaged ({said}); {remedy}") from error


def _content(path: Path, most: int, remedy: str) -> bytes:
    """Read a file, unless it is longer than any of its kind."""
    if (size := path.stat().st_size) > most:
        raise StoreError(f"{path} is damaged ({size} bytes, more than any has); {remedy}")
    return path.read_bytes()


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
    name, files = _before(shard), {"weights.npz": packing.networks(stacks)}
    _write(shard_file(experiment, name), _archive(experiment, name, about, files))


def read_trained(experiment: Experiment, shard: str) -> Trained:
    """Read them back; errors as `read_shard`."""
    shard = _before(shard)
    about, files = _read_archive(experiment, shard)
    with _damage_named(shard_file(experiment, shard), _RUN_AGAIN):
        names = tuple(about["names"])
        epochs, losses = [int(n) for n in about["epochs"]], [float(loss) for loss in about["val_loss"]]
        if not len(names) == len(epochs) == len(losses) == len(files["weights.npz"]):
            raise ValueError("its lists differ in length")
        stack = concatenate([files["weights.npz"][name] for name in names])
        return Trained(names, stack, epochs, losses, float(about["seconds"]))


def drop_trained(experiment: Experiment, shard: str) -> None:
    """Remove trained networks, whose shard is finished."""
    shard_file(experiment, _before(shard)).unlink(missing_ok=True)


def _before(shard: str) -> str:
    """Name of what a shard is while its networks are trained, but not looked at."""
    return f"{_checks.file_name(shard, 'shard')}.trained"


def write_shard(experiment: Experiment, shard: str, results: ShardResults) -> None:
    """Keep a finished shard in a file of its own."""
    _write(shard_file(experiment, shard), shard_content(experiment, shard, results))


def shard_content(experiment: Experiment, shard: str, results: ShardResults) -> bytes:
    """Bytes of a finished shard's file: an archive whose members carry check sums."""
    tables = {f"{name}.parquet": packing.table(results.tables[name]) for name in TABLES}
    files = {"weights.npz": packing.networks(results.weights), **tables}
    return _archive(experiment, shard, {"seconds": results.seconds}, files)


def keep_shard(experiment: Experiment, shard: str, content: bytes) -> None:
    """Keep a shard that another machine has computed, unless what came is damaged or of something else.

    Raises
    ------
    StoreError
        As `read_shard`; nothing is written then.
    """
    came = f"what a worker sent as {shard}"
    _open_archive(experiment, shard, content, source=came, remedy="run again")
    _write(shard_file(experiment, shard), content)


def read_shard(experiment: Experiment, shard: str) -> ShardResults:
    """Read a shard back.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    StoreError
        If it is damaged, or belongs to another experiment or format.
    """
    about, files = _read_archive(experiment, shard)
    with _damage_named(shard_file(experiment, shard), _RUN_AGAIN):
        seconds = {stage: float(spent) for stage, spent in about["seconds"].items()}
    return ShardResults(_tables(files), files["weights.npz"], seconds)


def _tables(files: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Give every table there is, empty where it is not among the files: it is newer than they are."""
    return {name: files.get(f"{name}.parquet", table.empty()) for name, table in TABLES.items()}


def _readers(names: Collection[str]) -> dict[str, Callable[[bytes], Any]]:
    """Give the readers of weights, which are always there, and of those tables that are among the names."""
    known = [f"{name}.parquet" for name in TABLES if f"{name}.parquet" in names]
    return {"weights.npz": packing.read_networks, **dict.fromkeys(known, packing.read_table)}


def _archive(
    experiment: Experiment, shard: str, about: Mapping[str, Any], files: Mapping[str, bytes]
) -> bytes:
    whole = {
        "format": FORMAT,
        "experiment": experiment.digest,
        "shard": shard,
        "files": list(files),
        **about,
    }
    return packing.archive({"about.json": json.dumps(whole).encode(), **files})


def _read_archive(experiment: Experiment, shard: str) -> tuple[dict[str, Any], dict[str, Any]]:
    path = shard_file(experiment, shard)
    content = _content(path, packing.MOST_BYTES, _RUN_AGAIN)
    return _open_archive(experiment, shard, content, source=str(path), remedy=_RUN_AGAIN)


def _open_archive(
    experiment: Experiment,
    shard: str,
    content: bytes,
    *,
    source: str,
    remedy: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    with _damage_named(source, remedy):
        members = packing.read_archive(content)
        about = json.loads(members.pop("about.json"))
        found = (about["format"], about["experiment"], about["shard"])
        if list(members) != about["files"]:
            raise ValueError(f"its members are {', '.join(members)} and not {', '.join(about['files'])}")
        files = {name: read(members[name]) for name, read in _readers(members).items()}
    if found != (FORMAT, experiment.digest, shard):
        raise StoreError(f"{source} belongs to another experiment or format; {remedy}")
    return about, files


def write_results(
    experiment: Experiment,
    tables: Mapping[str, pd.DataFrame],
    weights: Mapping[str, MLPStack],
    manifest: Mapping[str, Any],
) -> None:
    """Write the tables, the manifest's check sum, and last the manifest, which makes them count."""
    folder = folder_of(experiment)
    files = {f"{name}.parquet": packing.table(tables[name]) for name in TABLES}
    files["weights.npz"] = packing.networks(weights)
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
    content = (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()
    _write(folder / "manifest.sha256", check_sum_file(content))
    _write(folder / "manifest.json", content)


def check_sum_file(manifest: bytes) -> bytes:
    """Give the content of ``manifest.sha256``, which ``sha256sum --check`` takes."""
    return f"{hashlib.sha256(manifest).hexdigest()}  manifest.json\n".encode()


def is_stored(experiment: Experiment) -> bool:
    """Whether there are tables of this very configuration."""
    path = folder_of(experiment) / "manifest.json"
    return path.exists() and _manifest(path).get("digest") == experiment.digest


def read_if_stored(experiment: Experiment) -> Results | None:
    """Read tables as `read_results` does, or return None where there are none: nothing is computed."""
    return read_results(experiment) if is_stored(experiment) else None


def read_results(experiment: Experiment) -> Results:
    """Read the tables that the manifest lists, each checked against it; tables it does not list are empty.

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
    remedy = f"restore it, or delete {folder} and run again"
    content: dict[str, bytes] = {}
    listed = manifest.get("files")
    there = {path.name for path in folder.iterdir()}  # a table that is there and not listed is refused
    readers = _readers(there.union(listed if isinstance(listed, dict) else ()))
    for name in readers:  # all are compared before any is opened
        path = folder / name
        if not path.exists():
            raise StoreError(f"{path} is missing; {remedy}")
        content[name] = _content(path, packing.MOST_BYTES, remedy)
        if hashlib.sha256(content[name]).hexdigest() != _listed_sha256(manifest, name):
            raise StoreError(f"{path} is not the file that its manifest lists (SHA-256 differs); {remedy}")
    found: dict[str, Any] = {}
    for name, read in readers.items():
        with _damage_named(folder / name, remedy):  # by a forger, who has mended the check sum
            found[name] = read(content[name])
    tables, attributes = _tables(found), {f.name for f in fields(Results)}
    own = {name: table for name, table in tables.items() if name in attributes}
    more = {name: table for name, table in tables.items() if name not in attributes}
    return Results(**own, more=more, manifest=manifest, kept=found["weights.npz"])


def _listed_sha256(manifest: Mapping[str, Any], name: str) -> object:
    """Check sum that a manifest lists for a file; None if it does not."""
    try:
        return manifest["files"][name]["sha256"]
    except (KeyError, TypeError):
        return None


def _manifest(path: Path) -> dict[str, Any]:
    """Read a manifest and hold it against its check sum; results of before there were any have none."""
    remedy = f"restore it, or delete {path.parent}"
    content = _content(path, MOST_MANIFEST_BYTES, remedy)
    with _damage_named(path, remedy):
        manifest: dict[str, Any] = json.loads(content)
        if not isinstance(manifest, dict):
            raise ValueError("not an object")
    listed = path.with_name("manifest.sha256")
    if listed.exists() and _content(listed, MOST_MANIFEST_BYTES, remedy) != check_sum_file(content):
        raise StoreError(f"{path} is not the file whose check sum {listed} holds; {remedy}")
    return manifest
