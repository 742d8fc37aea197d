"""Files damaged in every way, and what comes of reading them: the same data, or an error that names the file.

``python -m benchmarks.hostile`` damages 10,000 files and prints the table: for every kind of file and of
damage how many were read, how many of these gave the data all the same (the damage hit nothing that matters),
and how many were refused. The last two columns must be 0: other data than those written, or any other trouble
(an exception that is not ours, a message that does not name the file or say what to do, another file that was
changed, or memory that no file of this size can ask for).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import logging
import math
import os
import re
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch

from modlib import data
from modlib.book import on_record
from modlib.data import folders
from modlib.data.idx import idx_gz
from modlib.data.sources import FILES, SOURCES, Source
from modlib.networks import MLPStack, concatenate
from modlib.study import shard_files, store
from modlib.study.files import StoreError
from modlib.study.plan import Experiment, Setting
from modlib.study.schema import TABLES
from modlib.study.shard import ShardResults, Trained
from modlib.training import Protocol

EXPERIMENT = Experiment("tiny", "quick", (Setting("l2", 1e-5),), (0, 1), 3, Protocol())
RECORD = Path(__file__).parents[1] / "results" / "verdicts"
MOST_MEMORY = 2**22  # bytes that reading may hold at once, of files of a few thousand bytes
ADVICE = re.compile(r"restore it|delete it|delete /|put a good copy|put its four files|move /")
READINGS = ["equal", "refused", "wrong", "crashed"]


# ---------------------------------------------------------------- damage


def _span(content: bytes, rng: np.random.Generator) -> slice:
    """Choose some bytes, mostly a few, anywhere."""
    start = int(rng.integers(len(content)))
    return slice(start, min(len(content), start + int(rng.geometric(0.1))))


def cut_short(content: bytes, rng: np.random.Generator) -> bytes:
    """Keep the first bytes only, perhaps none."""
    return content[: int(rng.integers(len(content)))]


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip one to eight bits, one most often."""
    changed = bytearray(content)
    for _ in range(min(8, int(rng.geometric(0.5)))):
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def insert(content: bytes, rng: np.random.Generator) -> bytes:
    """Put random bytes in, at the end sometimes."""
    at = int(rng.integers(len(content) + 1)) if rng.random() < 0.8 else len(content)
    return content[:at] + rng.bytes(int(rng.geometric(0.1))) + content[at:]


def remove(content: bytes, rng: np.random.Generator) -> bytes:
    """Take bytes out."""
    gone = _span(content, rng)
    return content[: gone.start] + content[gone.stop :]


def zero(content: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes by zeros."""
    gone = _span(content, rng)
    return content[: gone.start] + bytes(gone.stop - gone.start) + content[gone.stop :]


def overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes by random ones."""
    gone = _span(content, rng)
    return content[: gone.start] + rng.bytes(gone.stop - gone.start) + content[gone.stop :]


def swap(content: bytes, rng: np.random.Generator) -> bytes:
    """Let two neighbouring blocks change places."""
    a, b, c = sorted(int(at) for at in rng.integers(0, len(content) + 1, 3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "cut short": cut_short,
    "bits flipped": flip_bits,
    "bytes inserted": insert,
    "bytes removed": remove,
    "bytes zeroed": zero,
    "bytes overwritten": overwrite,
    "blocks swapped": swap,
}


def damaged(content: bytes, damage: str, rng: np.random.Generator) -> bytes:
    """Damage bytes so that they are others than before."""
    while (changed := DAMAGES[damage](content, rng)) == content:
        pass
    return changed


# ---------------------------------------------------------------- files, and how they are read


@dataclass(frozen=True)
class Target:
    """A kind of file: where some are, what reads them, and how their data are compared."""

    kind: str
    paths: tuple[Path, ...]
    read: Callable[[], Any]
    same: Callable[[Any, Any], bool]
    advises: bool = True  # whether refusing must say what to do, besides what is wrong
    removed: bool = False  # whether a damaged one may be removed


class ProblemsError(ValueError):
    """What `modlib.book.on_record` found."""


@contextmanager
def workplace(root: Path) -> Iterator[list[Target]]:
    """Write one of everything below a folder, and let modlib look there and nowhere else."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, MODLIB_RESULTS=str(root / "results")))
        os.environ.pop("MODLIB_DATA", None)  # mock.patch.dict puts it back
        stack.enter_context(mock.patch.object(folders, "cache_folder", return_value=root / "cache"))
        stack.enter_context(mock.patch.object(logging.getLogger("modlib.data"), "disabled", True))
        arrays = _images()
        digests = {part: hashlib.sha256(a.tobytes()).hexdigest() for part, a in arrays.items()}
        source = Source(folders=("tiny",), samples=(9, 4), sha256=digests)  # no mirror has it
        stack.enter_context(mock.patch.dict(SOURCES, tiny=source))
        yield [*_results(), *data_files(root, arrays), *_record()]


def _results() -> list[Target]:
    tables, weights = toy_tables(), toy_networks()
    store.write_results(EXPERIMENT, tables, weights, {"commit": "é", "seconds": {"training": 1.5}})
    shard_files.write_shard(EXPERIMENT, "seed-000", ShardResults(tables, weights, {"training": 1.5}))
    names = tuple(weights)
    trained = Trained(names, concatenate(list(weights.values())), [40, 7], [0.25, 0.5], 1.5)
    shard_files.write_trained(EXPERIMENT, "seed-001", trained)
    folder = store.folder_of(EXPERIMENT)

    def results() -> store.Results:
        return store.read_results(EXPERIMENT)

    return [
        Target("Parquet tables", tuple(sorted(folder.glob("*.parquet"))), results, same),
        Target("weights.npz", (folder / "weights.npz",), results, same),
        Target("manifest.json", (folder / "manifest.json",), results, same),
        Target("manifest.sha256", (folder / "manifest.sha256",), results, same),
        Target(
            "shards",
            (shard_files.shard_file(EXPERIMENT, "seed-000"),),
            lambda: shard_files.read_shard(EXPERIMENT, "seed-000"),
            same,
        ),
        Target(
            "shards, trained",
            (shard_files.shard_file(EXPERIMENT, "seed-001.trained"),),
            lambda: shard_files.read_trained(EXPERIMENT, "seed-001"),
            same,
        ),
    ]


def data_files(root: Path, arrays: dict[str, np.ndarray]) -> list[Target]:
    """Give the files of a data set to damage: plain and gzipped, each with how modlib reads it."""
    plain, packed, cache = root / "plain", root / "packed", root / "cache" / "tiny"
    for folder in (plain, packed, cache):
        folder.mkdir(parents=True)
    for part, file in FILES.items():
        content = idx_gz(arrays[part])
        (plain / file).write_bytes(gzip.decompress(content))
        for folder in (packed, cache):
            (folder / f"{file}.gz").write_bytes(content)
    return [
        Target("IDX files", tuple(sorted(plain.iterdir())), lambda: data.load("tiny", folder=plain), same),
        Target(
            "IDX files, gzipped",
            tuple(sorted(packed.iterdir())),
            lambda: data.load("tiny", folder=packed),
            same,
        ),
        Target("cached data", tuple(sorted(cache.iterdir())), lambda: data.load("tiny"), same, removed=True),
    ]


def _record() -> list[Target]:
    """Put verdicts on record, a few, which `modlib.book.on_record` then holds against themselves."""
    items, verdict = (pd.read_csv(RECORD / f"{name}.csv").head(4) for name in ("claims", "verdicts"))
    values = dict(list(json.loads((RECORD / "numbers.json").read_text(encoding="utf-8")).items())[:40])
    with mock.patch.object(on_record, "recomputed", return_value=(items, verdict, values)):
        paths = tuple(on_record.write())

    def read() -> dict[str, bytes]:
        if found := on_record.compare(items, verdict, values):
            raise ProblemsError("\n".join(found))
        return {path.name: path.read_bytes() for path in paths}

    return [Target("verdicts on record", paths, read, same_record, advises=False)]


def _images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"x_train": (9, 28, 28), "y_train": (9,), "x_test": (4, 28, 28), "y_test": (4,)}
    return {part: rng.integers(0, 10, shape, dtype=np.uint8) for part, shape in shapes.items()}


def toy_networks() -> dict[str, MLPStack]:
    """Give two small networks by name."""
    names = ("dropout=0.5,seed=0", "l2=1e-05,seed=0")
    return {name: MLPStack.initialise([5, 4, 3], seeds=[seed]) for seed, name in enumerate(names)}


def toy_tables() -> dict[str, pd.DataFrame]:
    """Tables with every kind of column that the real ones have, one of them without rows."""
    rng = np.random.default_rng(1)
    networks = pd.DataFrame(
        {
            "network": list(toy_networks()),
            "trained": [True, False],
            "epochs": [40, 7],
            "val_loss": [0.25, np.nan],
            "active_units": [[4], [3]],
        }
    )
    modules = pd.DataFrame({"layer": np.repeat([1, 2], 10), "q": rng.random(20)})
    modules["labels"] = [rng.integers(-1, 3, 4).astype(np.int16) for _ in range(20)]
    metrics = [column.name for column in TABLES["agreement"].columns if column.kind == "float64"]
    agreement = pd.DataFrame(rng.random((40, len(metrics))), columns=metrics)
    nulls = pd.DataFrame({"null": ["similarity"] * 5, "p": rng.random(5)})
    few = pd.DataFrame({"choice": ["images=100"], "distinct": [True]})
    found = (networks, modules, agreement, nulls, pd.DataFrame(columns=["network", "q"]), few)
    return dict(zip(TABLES, found, strict=True))


# ---------------------------------------------------------------- what it gives


def same(a: Any, b: Any) -> bool:
    """Whether two results are equal to the last bit, types and order included."""
    if type(a) is not type(b):
        return False
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, pd.DataFrame):
        return same(list(a.columns), list(b.columns)) and all(same(a[c].array, b[c].array) for c in a)
    if isinstance(a, pd.api.extensions.ExtensionArray):
        return str(a.dtype) == str(b.dtype) and same(a.to_numpy(), b.to_numpy())
    if isinstance(a, torch.Tensor):
        return same(a.numpy(), b.numpy())
    if isinstance(a, np.ndarray):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        return same(a.tolist(), b.tolist()) if a.dtype == object else a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return same(list(a), list(b)) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)


def same_record(a: dict[str, bytes], b: dict[str, bytes]) -> bool:
    """Whether verdicts on record say the same: text as it is, numbers to the digits that are compared."""

    def alike(x: Any, y: Any) -> bool:
        try:
            x, y = float(x), float(y)
        except (TypeError, ValueError):
            return bool(x == y)
        return math.isclose(x, y, rel_tol=on_record.RTOL, abs_tol=on_record.ATOL) or (
            math.isnan(x) and math.isnan(y)
        )

    def cells(name: str, content: bytes) -> dict[tuple[str, ...], Any]:
        text = content.decode()
        if name.endswith(".json"):
            return {(key,): value for key, value in json.loads(text).items()}
        head, *rows = (row for row in csv.reader(text.splitlines()) if row)
        return {(*row[:3], name): cell for row in rows for name, cell in zip(head, row, strict=True)}

    for name in a:
        left, right = cells(name, a[name]), cells(name, b[name])
        if left.keys() != right.keys() or not all(alike(left[key], right[key]) for key in left):
            return False
    return True


def trouble(target: Target, path: Path, right: Any, root: Path) -> tuple[str, str]:
    """Read a damaged file; return what came of it (one of `READINGS`) and, if it must not be, why."""
    before = files(root)
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    try:
        found, error = target.read(), None
    except ValueError as refusal:
        found, error = None, refusal
    except BaseException as crash:
        return "crashed", f"{type(crash).__name__}: {crash}"
    if (peak := tracemalloc.get_traced_memory()[1] - held) > MOST_MEMORY:
        return "crashed", f"{peak} bytes held"
    after = files(root)
    if target.removed:
        before, after = ({at for at in found if at[0] != str(path)} for found in (before, after))
    if after != before:
        return "crashed", "a file was changed"
    if error is None:
        return ("equal", "") if target.same(found, right) else ("wrong", "other data")
    if not isinstance(error, StoreError | data.DataError | ProblemsError):
        return "crashed", f"{type(error).__name__}: {error}"
    # What the check sum of a manifest says is said of the manifest.
    if not any(str(name) in str(error) for name in (path, path.with_suffix(".json"))):
        return "crashed", f"the file is not named: {error}"
    if target.advises and not ADVICE.search(str(error)):
        return "crashed", f"it is not said what to do: {error}"
    return "refused", ""


def files(root: Path) -> set[tuple[str, int, int, int]]:
    """Give every file below a folder as it can be told from what it was: number, size and time of writing."""
    found = set()
    for entry in os.scandir(root):
        if entry.is_dir():
            found |= files(Path(entry.path))
        else:
            about = entry.stat()
            found.add((entry.path, about.st_ino, about.st_size, about.st_mtime_ns))
    return found


def run(n: int = 10_000, seed: int = 0) -> pd.DataFrame:
    """Damage `n` files, as many of each kind, and read them.

    Returns
    -------
    DataFrame
        One row a kind of file and of damage: `file`, `damage`, `files`, and how many of them gave `equal`
        data, were `refused`, gave `wrong` data, or `crashed`. Its ``attrs["examples"]`` describes the first
        of the last two, number and all: file i depends on the seed and i only.
    """
    rows: list[tuple[str, str, str]] = []
    examples: list[str] = []
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a disk takes thrice as long
    with tempfile.TemporaryDirectory(dir=memory) as folder, workplace(Path(folder)) as targets, traced():
        for kind, target in enumerate(targets):
            right = target.read()
            for turn, path in enumerate(target.paths):
                content = path.read_bytes()
                for number in range(kind + turn * len(targets), n, len(targets) * len(target.paths)):
                    rng = np.random.default_rng([seed, number])
                    damage = list(DAMAGES)[int(rng.integers(len(DAMAGES)))]
                    path.write_bytes(damaged(content, damage, rng))
                    outcome, why = trouble(target, path, right, Path(folder))
                    rows.append((target.kind, damage, outcome))
                    if why:
                        examples.append(f"{number}, {path.name}, {damage}: {why}")
                path.write_bytes(content)
    table = pd.DataFrame(rows, columns=["file", "damage", "outcome"])
    counts = pd.crosstab([table.file, table.damage], table.outcome).reindex(columns=READINGS, fill_value=0)
    counts.insert(0, "files", counts.sum(axis=1))
    order = [key for key in product(table.file.unique(), DAMAGES) if key in counts.index]
    counts = counts.loc[order].reset_index().rename_axis(columns=None)
    counts.attrs["examples"] = examples[:10]
    return counts


@contextmanager
def traced() -> Iterator[None]:
    """Let Python and NumPy account for the memory that they hold."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


if __name__ == "__main__":
    found = run(*map(int, sys.argv[1:]))
    print(found.to_string(index=False))
    print(found.drop(columns="damage").groupby("file", sort=False).sum().to_string())
    print(found[["files", *READINGS]].sum().to_string())
    sys.exit("\n".join(found.attrs["examples"]) or 0)
