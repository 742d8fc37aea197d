"""The files that a run keeps until its tables are made: finished shards, and trained networks before that."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modlib import _checks
from modlib.networks import concatenate
from modlib.study import files, packing
from modlib.study.code_digest import digest_of_code
from modlib.study.files import StoreError
from modlib.study.plan import Experiment
from modlib.study.shard import ShardResults, Trained
from modlib.study.store import FORMAT, folder_of

RUN_AGAIN = "delete it and run again"


def shard_file(experiment: Experiment, shard: str) -> Path:
    """Give the place of a shard's file; another configuration or other code has another folder."""
    shards = folder_of(experiment) / "shards"  # names a wrong experiment before its digest is asked for
    place = f"{experiment.digest[:12]}-{digest_of_code()[:12]}"
    return shards / place / f"{_checks.file_name(shard, 'shard')}.zip"


def write_trained(experiment: Experiment, shard: str, trained: Trained) -> None:
    """Keep trained networks until their shard is finished, so that the analysis can be interrupted."""
    about = {name: getattr(trained, name) for name in ("names", "epochs", "val_loss", "seconds")}
    stacks = {name: trained.stack[i] for i, name in enumerate(trained.names)}
    members = {packing.WEIGHTS: packing.networks(stacks)}
    name = _trained(shard)
    files.write(shard_file(experiment, name), _archive(experiment, name, about, members))


def read_trained(experiment: Experiment, shard: str) -> Trained:
    """Read trained networks back; errors are those of `read_shard`."""
    path = shard_file(experiment, name := _trained(shard))
    about, members = _open_archive(experiment, name, path.read_bytes(), path, RUN_AGAIN)
    with files.damage_named(path, RUN_AGAIN):
        stacks = packing.read_networks(members[packing.WEIGHTS])
        names = tuple(about["names"])
        stack = concatenate([stacks[name] for name in names])
        return Trained(names, stack, about["epochs"], about["val_loss"], about["seconds"])


def drop_trained(experiment: Experiment, shard: str) -> None:
    """Remove the trained networks of a finished shard."""
    shard_file(experiment, _trained(shard)).unlink(missing_ok=True)


def _trained(shard: str) -> str:
    """Name the file of a shard whose networks are trained but not analysed."""
    return f"{_checks.file_name(shard, 'shard')}.trained"


def write_shard(experiment: Experiment, shard: str, results: ShardResults) -> None:
    """Keep a finished shard in a file of its own."""
    files.write(shard_file(experiment, shard), shard_content(experiment, shard, results))


def shard_content(experiment: Experiment, shard: str, results: ShardResults) -> bytes:
    """Give the bytes of a finished shard's file: an archive whose members have check sums."""
    members = packing.pack(results.tables, results.weights)
    return _archive(experiment, shard, {"seconds": results.seconds}, members)


def keep_shard(experiment: Experiment, shard: str, content: bytes) -> None:
    """Keep a shard that another machine has computed, unless it has a fault for which `read_shard` raises."""
    _unpack(experiment, shard, content, f"what a worker sent as {shard}", "run again")
    files.write(shard_file(experiment, shard), content)


def read_shard(experiment: Experiment, shard: str) -> ShardResults:
    """Read a shard back.

    A FileNotFoundError is raised if there is none, and a StoreError if it is damaged, or belongs to another
    experiment or format.
    """
    path = shard_file(experiment, shard)
    return _unpack(experiment, shard, path.read_bytes(), path, RUN_AGAIN)


def _unpack(
    experiment: Experiment, shard: str, content: bytes, source: str | Path, remedy: str
) -> ShardResults:
    about, members = _open_archive(experiment, shard, content, source, remedy)
    tables, weights = packing.unpack(members, lambda _: source, remedy)
    with files.damage_named(source, remedy):
        return ShardResults(tables, weights, about["seconds"])


def _archive(
    experiment: Experiment, shard: str, about: Mapping[str, Any], members: Mapping[str, bytes]
) -> bytes:
    whole = {"format": FORMAT, "experiment": experiment.digest, "shard": shard, "files": list(members)}
    return packing.archive({"about.json": json.dumps(whole | dict(about)).encode(), **members})


def _open_archive(
    experiment: Experiment, shard: str, content: bytes, source: str | Path, remedy: str
) -> tuple[dict[str, Any], dict[str, bytes]]:
    with files.damage_named(source, remedy):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
        about = json.loads(members.pop("about.json"))
        found = (about["format"], about["experiment"], about["shard"])
        if list(members) != about["files"]:
            raise ValueError(f"its members are {', '.join(members)} and not {', '.join(about['files'])}")
    if found != (FORMAT, experiment.digest, shard):
        raise StoreError(f"{source} belongs to another experiment or format; {remedy}")
    return about, members
