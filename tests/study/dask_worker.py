"""Loaded by workers of the tests: they note which shards they begin, and do what files in a folder say."""

import json
import os
import time
from pathlib import Path

from modlib.study import dask, provenance

FOLDER = Path(os.environ["MODLIB_TEST_ORDERS"])
train, decisive = dask.train_shard, provenance.decisive  # before dask_setup puts others in their place


def note(what, shard):
    with (FOLDER / what).open("a") as file:
        file.write(f"{shard.name} {os.getpid()}\n")


def train_as_told(experiment, shard, device, **options):
    note("begun", shard)
    try:
        return train_or_not(experiment, shard, device, **options)
    finally:
        note("ended", shard)


def train_or_not(experiment, shard, device, **options):
    while (FOLDER / f"hold {shard.name}").exists():
        time.sleep(0.02)
    if (FOLDER / f"fall {shard.name}").exists():
        return train_or_not(experiment, shard, device, **options)
    fail = FOLDER / f"fail {shard.name}"
    if fail.exists():
        raise ValueError(fail.read_text())
    tries = FOLDER / f"lack a file {shard.name}"
    if tries.exists():
        left = int(tries.read_text()) - 1
        tries.write_text(str(left)) if left else tries.unlink()
        raise FileNotFoundError("no such file on this worker")
    return train(experiment, shard, device, **options)


def decisive_as_told():
    differ = FOLDER / "differ"
    return decisive() | (json.loads(differ.read_text()) if differ.exists() else {})


def dask_setup(_worker):
    """Take the place of what is there; Dask imports this file twice, and calls this once."""
    dask.train_shard, provenance.decisive = train_as_told, decisive_as_told
