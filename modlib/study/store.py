"""The store of results: tables are written whole or not at all, and verified when they are read."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from modlib import _checks
from modlib._contingency import METRICS
from modlib.networks import MLPStack
from modlib.study import files, packing, project
from modlib.study.derived import with_all_metrics
from modlib.study.files import StoreError
from modlib.study.plan import Experiment
from modlib.study.schema import TABLES

FORMAT = 2  # of a results folder and of a shard; raised when older ones can no longer be read


@dataclass(frozen=True, eq=False)
class Results:
    """What an experiment gave: the tables of `modlib.study.schema.TABLES`, and what they were made with.

    Attributes
    ----------
    manifest
        Configuration, data, versions, times and check sums.
    kept
        The networks that are kept with their weights, by name: stacks of one.
    more
        Tables that have no attribute of their own, by name.
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


#: What was read last from each folder, and what it followed from: the SHA-256 of each file, and the tables
#: and metrics that there were. A chapter reads an experiment dozens of times, and to unpack a file takes ten
#: times as long as to verify it, which is done every time.
_UNPACKED: dict[Path, tuple[list[object], Results]] = {}


def folder_of(experiment: Experiment) -> Path:
    """Give the folder of an experiment's tables."""
    _checks.instance(experiment, "experiment", Experiment)
    return project.results_folder() / f"{experiment.name}-{experiment.profile}"


def write_results(
    experiment: Experiment,
    tables: Mapping[str, pd.DataFrame],
    weights: Mapping[str, MLPStack],
    manifest: Mapping[str, Any],
) -> None:
    """Write the tables, the check sum of the manifest, and last the manifest, without which none counts."""
    folder = folder_of(experiment)
    (folder / "manifest.json").unlink(missing_ok=True)
    listed: dict[str, dict[str, object]] = {}
    for name, content in packing.pack(tables, weights).items():
        files.write(folder / name, content)
        listed[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        if name != packing.WEIGHTS:
            listed[name]["rows"] = len(tables[name.removesuffix(".parquet")])
    whole = _identity(experiment) | {"files": listed} | dict(manifest)
    content = (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()
    files.write(folder / "manifest.sha256", check_sum_file(content))
    files.write(folder / "manifest.json", content)


def check_sum_file(manifest: bytes) -> bytes:
    """Give the content of ``manifest.sha256``, which ``sha256sum --check`` takes."""
    return f"{hashlib.sha256(manifest).hexdigest()}  manifest.json\n".encode()


def is_stored(experiment: Experiment) -> bool:
    """Tell whether there are tables of this very configuration."""
    folder = folder_of(experiment)
    return (folder / "manifest.json").exists() and _manifest(folder).get("digest") == experiment.digest


def read_if_stored(experiment: Experiment) -> Results | None:
    """Read tables as `read_results` does, or return None where there are none: nothing is computed."""
    return read_results(experiment) if is_stored(experiment) else None


def read_results(experiment: Experiment) -> Results:
    """Read the tables that the manifest lists, each checked against it; tables it does not list are empty.

    A FileNotFoundError is raised if there is no manifest, and a StoreError if a file is missing or altered,
    or the tables are of another configuration or format.
    """
    folder = folder_of(experiment)
    manifest, remedy = _manifest(folder), _remedy(folder)
    for key, value in _identity(experiment).items():
        if manifest.get(key) != value:
            raise StoreError(
                f"{folder / 'manifest.json'} is of another configuration of {experiment.name!r} or another "
                f"format ({key} differs); move {folder} away and run the experiment again"
            )
    with files.damage_named(folder / "manifest.json", remedy):
        listed = {name: about["sha256"] for name, about in manifest["files"].items()}
    content: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    present = {path.name for path in folder.iterdir()}  # a table that is present and not listed is refused
    for name in (*(f"{table}.parquet" for table in TABLES), packing.WEIGHTS):  # all, before any is unpacked
        if name not in present | listed.keys():
            continue
        if name not in present:
            raise StoreError(f"{folder / name} is missing; {remedy}")
        content[name] = (folder / name).read_bytes()
        digests[name] = hashlib.sha256(content[name]).hexdigest()
        if digests[name] != listed.get(name):
            raise StoreError(
                f"{folder / name} is not the file that its manifest lists (SHA-256 differs); {remedy}"
            )
    state: list[object] = [digests, *TABLES, *METRICS]
    if folder not in _UNPACKED or _UNPACKED[folder][0] != state:
        _UNPACKED[folder] = state, _unpacked(content, manifest, folder)
    return _copied(_UNPACKED[folder][1], manifest)


def _unpacked(content: Mapping[str, bytes], manifest: dict[str, Any], folder: Path) -> Results:
    """Unpack files that were verified."""
    tables, kept = packing.unpack(content, lambda name: folder / name, _remedy(folder))
    if not tables["modules"].empty:
        tables["agreement"] = with_all_metrics(tables["agreement"], tables["modules"])
    more = {name: tables.pop(name) for name in tables.keys() - {f.name for f in fields(Results)}}
    return Results(**tables, more=more, manifest=manifest, kept=kept)


def _copied(results: Results, manifest: dict[str, Any]) -> Results:
    """Copy results, so that who changes them changes no one else's; tables are copied when written to."""
    parts = {f.name: getattr(results, f.name) for f in fields(Results)}
    tables = {name: part.copy(deep=False) for name, part in parts.items() if isinstance(part, pd.DataFrame)}
    more = {name: table.copy(deep=False) for name, table in results.more.items()}
    return Results(**tables, more=more, manifest=manifest, kept=copy.deepcopy(results.kept))


def _identity(experiment: Experiment) -> dict[str, Any]:
    """Give the entries of a manifest that tell whose tables it lists."""
    return {"format": FORMAT, "digest": experiment.digest, "config": experiment.config}


def _manifest(folder: Path) -> dict[str, Any]:
    """Read a manifest and compare it with its check sum, which the oldest results lack."""
    path, check_sum = folder / "manifest.json", folder / "manifest.sha256"
    content = path.read_bytes()
    with files.damage_named(path, _remedy(folder)):
        manifest: dict[str, Any] = {**json.loads(content)}
    if check_sum.exists() and check_sum.read_bytes() != check_sum_file(content):
        raise StoreError(f"{path} is not the file whose check sum {check_sum} holds; {_remedy(folder)}")
    return manifest


def _remedy(folder: Path) -> str:
    restored = f"restore it (git checkout {folder}, if it is part of the project)"
    return f"{restored}, or delete {folder} and run again"
