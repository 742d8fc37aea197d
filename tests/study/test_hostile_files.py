"""Damaged files and files made to do damage: the same data, or an error that names the file; never more."""

import ast
import gzip
import hashlib
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import hostile
from modlib import data
from modlib.book import on_record
from modlib.data.idx import idx_header
from modlib.data.sources import FILES
from modlib.study import packing, shard_files, store
from modlib.study.files import StoreError
from modlib.study.schema import TABLES

PLAN = hostile.EXPERIMENT
MODLIB = sorted(Path(store.__file__).parent.rglob("*.py"))


# ---------------------------------------------------------------- by the thousand


def assert_harmless(table):
    assert table.attrs["examples"] == []
    assert table[["wrong", "crashed"]].to_numpy().sum() == 0
    by_kind = table.groupby("file").sum(numeric_only=True)
    assert (by_kind.refused > by_kind.files / 2).all()
    assert table.equal.sum() > 0  # some damage hits nothing that matters
    assert (table.files == table[["equal", "refused"]].sum(axis=1)).all()


@pytest.mark.usefixtures("as_a_user")  # checking annotations as well would take thrice as long
def test_hundreds_of_damaged_files_are_refused_or_harmless():
    table = hostile.run(700, seed=1)
    assert_harmless(table)
    assert set(table.damage) == set(hostile.DAMAGES)


@pytest.mark.long
@pytest.mark.usefixtures("as_a_user")
def test_ten_thousand_damaged_files_are_refused_or_harmless():
    table = hostile.run(10_000)
    assert_harmless(table)
    assert table.files.sum() == 10_000


def other_data(*_, **__):
    return {"x_train": np.zeros(3)}


def crashes(*_, **__):
    raise KeyError("x_train")


def names_nothing(*_, **__):
    raise data.DataError("something is wrong; restore it")


def writes(*_, folder=None, **__):
    if folder is not None:
        (folder / "new").write_text("")
    raise data.DataError("something is wrong; restore it")


def devours(*_, **__):
    bytes(2 * hostile.MOST_MEMORY)
    raise data.DataError("something is wrong; restore it")


@pytest.mark.parametrize(
    ("load", "outcome", "said"),
    [
        (other_data, "wrong", "other data"),
        (crashes, "crashed", "KeyError"),
        (names_nothing, "crashed", "the file is not named"),
        (writes, "crashed", "a file was changed"),
        (devours, "crashed", "bytes held"),
    ],
)
def test_what_must_not_happen_is_counted(load, outcome, said, monkeypatch):
    """The readers are replaced by bad ones once the right data are read."""
    calls, right = 0, data.load

    def turns_bad(*arguments, **options):
        nonlocal calls
        calls += 1
        return (right if calls == 1 else load)(*arguments, **options)

    monkeypatch.setattr(data, "load", turns_bad)
    monkeypatch.setattr(hostile, "_results", lambda: [])
    monkeypatch.setattr(hostile, "_record", lambda: [])
    whole = hostile.data_files
    monkeypatch.setattr(
        hostile, "data_files", lambda *arguments: whole(*arguments)[:1]
    )  # plain IDX files only
    table = hostile.run(8)
    assert table[outcome].sum() > 0
    assert table.equal.sum() == 0
    assert said in table.attrs["examples"][0]


@pytest.mark.parametrize("damage", hostile.DAMAGES)
def test_every_damage_changes_bytes_and_follows_from_its_seed(damage):
    content = bytes(range(200))
    seen = {hostile.damaged(content, damage, np.random.default_rng(seed)) for seed in range(50)}
    again = {hostile.damaged(content, damage, np.random.default_rng(seed)) for seed in range(50)}
    assert content not in seen
    assert seen == again
    assert len(seen) > 25


def test_equal_means_equal_to_the_last_bit():
    tables = {
        name: packing.read_table(packing.table(table), TABLES[name])
        for name, table in hostile.toy_tables().items()
    }
    for name, table in tables.items():
        assert hostile.same(table, packing.read_table(packing.table(table), TABLES[name])), name
    table = tables["modules"]
    for column, value in (("q", table.q + 1e-16), ("layer", table.layer.astype(np.int32))):
        assert not hostile.same(table, table.assign(**{column: value}))
    networks = hostile.toy_networks()
    assert hostile.same(networks, packing.read_networks(packing.networks(networks)))
    first, second = networks.values()
    assert not hostile.same(networks, dict(zip(networks, (first, first), strict=True)))
    assert not hostile.same(networks, dict(zip(networks, (second, first), strict=True)))


# ---------------------------------------------------------------- made to do damage


@pytest.fixture
def place(tmp_path):
    """Everything that is read, in a folder of its own."""
    with hostile.workplace(tmp_path):
        yield tmp_path


def repacked(path, **changes):
    """Replace members of an archive; a function as a value changes what is there, None takes it away."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, value in changes.items():
        members[name] = value(members[name]) if callable(value) else value
    path.write_bytes(
        packing.archive({name: member for name, member in members.items() if member is not None})
    )


def parquet(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


FORGED_TABLES = {
    "of another table": parquet(pa.table({"dropout": [0.5]})),
    "of words for numbers": parquet(pa.table({"q": ["many"]})),
    "of no Parquet": b"PAR1" + bytes(100) + b"PAR1",
}


@pytest.mark.parametrize("what", FORGED_TABLES)
def test_a_table_that_is_none_is_refused(place, what):
    """Even where the check sums have been mended."""
    content = FORGED_TABLES[what]
    folder, shard = store.folder_of(PLAN), shard_files.shard_file(PLAN, "seed-000")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["modules.parquet"]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "modules.parquet").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "manifest.sha256").write_bytes(store.check_sum_file((folder / "manifest.json").read_bytes()))
    repacked(shard, **{"modules.parquet": content})
    before = hostile.files(place)
    with pytest.raises(StoreError, match=r"modules\.parquet is damaged .*; restore it .*, or delete "):
        store.read_results(PLAN)
    with pytest.raises(StoreError, match=r"seed-000\.zip is damaged .*; delete it and run again"):
        shard_files.read_shard(PLAN, "seed-000")
    assert hostile.files(place) == before


ARCHIVES = {
    "one table less": {"nulls.parquet": None},
    "nothing about it": {"about.json": None},
    "a list about it": {"about.json": b"[1, 2]"},
}


@pytest.mark.parametrize("change", ARCHIVES)
def test_archives_of_other_members_are_refused(place, change):
    path = shard_files.shard_file(PLAN, "seed-000")
    repacked(path, **ARCHIVES[change])
    with pytest.raises(StoreError, match=r"seed-000\.zip is damaged .*; delete it and run again"):
        shard_files.read_shard(PLAN, "seed-000")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"claim,experiment\n\xe9,base\n"])
@pytest.mark.parametrize("name", ["claims.csv", "verdicts.csv", "numbers.json", "tables.json"])
def test_a_record_that_is_no_text_is_named(place, name, content):
    (on_record.folder() / name).write_bytes(content)
    items = pd.DataFrame(columns=["claim", "experiment", "item"])
    told = on_record.compare(items, items[["claim", "experiment"]], {})
    assert any(
        sentence.startswith(f"{on_record.folder() / name} is damaged") and "check --write" in sentence
        for sentence in told
    )


def peak_bytes(call):
    """Memory that a call holds at most, as far as Python and NumPy know."""
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("told", [(2**32 - 1,) * 3, (9, 28, 2**31), (0, 28, 28), (8, 28, 28), (9, 784, 1)])
def test_headers_that_lie_about_sizes_are_not_believed(place, told, packed):
    folder = place / ("packed" if packed else "plain")
    path = folder / (FILES["x_train"] + ".gz" * packed)
    plain = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    lying = idx_header(told) + plain[16:]
    path.write_bytes(gzip.compress(lying) if packed else lying)

    def read():
        with pytest.raises(data.DataError, match=r"train-images.*not an IDX file of shape .*put a good copy"):
            data.load("tiny", folder=folder)

    assert peak_bytes(read) < 2**21


# ---------------------------------------------------------------- nothing is unpickled, nothing evaluated


UNPICKLERS = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
OBEYING = {"eval", "exec", "compile", "__import__", "os.system"}  # builtins: torch.compile is another matter
OPENERS = {  # fair with this option only
    "torch.load": ("weights_only", "True"),
    "np.load": ("allow_pickle", "False"),
    "numpy.load": ("allow_pickle", "False"),
}
NEVER = {"pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}


def obeyed(source):
    """Give the lines of a source that may run what they read, each with the reason."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in modules:
                if module.split(".")[0] in UNPICKLERS:
                    yield node.lineno, f"imports {module}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        options = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if called in OBEYING or called in NEVER:
            yield node.lineno, f"calls {called}"
        if called in OPENERS:
            option, value = OPENERS[called]
            if options.get(option) != value:
                yield node.lineno, f"calls {called} without {option}={value}"
        elif {options.get("allow_pickle"), options.get("shell")} - {None, "False"}:
            yield node.lineno, f"calls {called} with {options}"


@pytest.mark.parametrize("path", MODLIB, ids=lambda path: path.stem)
def test_nothing_of_modlib_unpickles_or_evaluates(path):
    assert list(obeyed(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from pickle import loads", "import joblib.memory", "import marshal as m",
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)",
        "np.load(path, allow_pickle=True)", "np.lib.format.read_array(f, allow_pickle=True)",
        "pd.read_pickle(path)", "yaml.load(text)", "eval(text)", "exec(text)", "__import__(name)",
        "subprocess.run(text, shell=True)", "os.system(text)",
    ],
)  # fmt: skip
def test_the_search_for_what_obeys_finds_it(line):
    assert len(list(obeyed(f"def f():\n    {line}\n"))) == 1


def test_the_search_lets_what_only_reads_pass():
    for fair in ("import pickletools", "torch.compile(f)", "np.load(p, allow_pickle=False)"):
        assert list(obeyed(fair)) == []
