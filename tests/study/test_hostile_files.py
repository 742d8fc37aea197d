"""Damaged files and files made to do damage: the same data, or an error that names the file; never more."""

import ast
import gzip
import io
import json
import pickle
import struct
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
from modlib.study import packing, store
from modlib.study.store import StoreError

PLAN = hostile.PLAN
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
    whole = hostile._data
    monkeypatch.setattr(hostile, "_data", lambda *arguments: whole(*arguments)[:1])  # plain IDX files only
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
    tables = {name: packing.read_table(packing.table(table)) for name, table in hostile._tables().items()}
    for name, table in tables.items():
        assert hostile.same(table, packing.read_table(packing.table(table))), name
    table = tables["modules"]
    for column, value in (("q", table.q + 1e-16), ("layer", table.layer.astype(np.int32))):
        assert not hostile.same(table, table.assign(**{column: value}))
    networks = hostile._networks()
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


def peak_bytes(call):
    """Memory that a call holds at most, as far as Python and NumPy know, and Arrow besides."""
    before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak + pa.default_memory_pool().max_memory() - before


def repacked(path, compression=zipfile.ZIP_STORED, **changes):
    """Replace members of an archive; a function as a value changes what is there, None takes it away."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, value in changes.items():
        member = value(members.get(name)) if callable(value) else value
        members[name] = member
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, member in members.items():
            if member is not None:
                archive.writestr(name, member)


def npy(shape, kind="<f4", body=b""):
    """Give an .npy file that promises an array of this shape."""
    sink = io.BytesIO()
    np.lib.format.write_array_header_1_0(sink, {"descr": kind, "fortran_order": False, "shape": shape})
    return sink.getvalue() + body


def npz(members, compression=zipfile.ZIP_STORED):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def rows_of_nothing(n):
    """Give a Parquet file of a few bytes that unpacks to n numbers."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"q": pa.nulls(n, pa.float64())}), sink)
    return sink.getvalue()


SMALL = {"a/weight/0.npy": npy((1, 1), body=bytes(4)), "a/bias/0.npy": npy((1,), body=bytes(4))}


def with_weight(content, compression=zipfile.ZIP_STORED):
    return npz(SMALL | {"a/weight/0.npy": content}, compression)


FORGED_WEIGHTS = {
    "a trillion numbers promised": with_weight(npy((10**12,))),
    "objects": with_weight(npy((1, 1), "|O", pickle.dumps(1))),
    "a gigabyte packed": with_weight(npy((2**14, 2**14), body=bytes(2**24)), zipfile.ZIP_DEFLATED),
    "a path outside": npz(SMALL | {"../../escaped": b"gotcha"}),
    "an absolute path": npz(SMALL | {"/escaped.npy": b"gotcha"}),
    "a millionth layer": npz(SMALL | {"a/weight/1000000.npy": npy((0,))}),
    "a shape that does not fit": with_weight(npy((1, 2), body=bytes(8))),
    "a nan": with_weight(npy((1, 1), body=b"\xff" * 4)),
}
FORGED_TABLES = {"nothing, often": rows_of_nothing(2**22), "no Parquet": b"PAR1" + bytes(100) + b"PAR1"}
FORGED = [("weights.npz", what) for what in FORGED_WEIGHTS] + [
    ("modules.parquet", what) for what in FORGED_TABLES
]


@pytest.fixture
def small_limit(monkeypatch):
    """Make the most that a table unpacks to less than the four million rows above."""
    monkeypatch.setattr(packing, "MOST_BYTES", 2**21)


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize(("name", "what"), FORGED)
def test_a_forger_who_mends_check_sums_gets_no_memory_and_no_code_run(place, name, what):
    content = (FORGED_WEIGHTS | FORGED_TABLES)[what]
    folder, shard = store.folder_of(PLAN), store.shard_file(PLAN, "seed-000")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name]["sha256"] = store.hashlib.sha256(content).hexdigest()
    (folder / name).write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "manifest.sha256").write_bytes(store.check_sum_file((folder / "manifest.json").read_bytes()))
    repacked(shard, **{name: content})
    before = hostile.files(place)

    def read():
        with pytest.raises(StoreError, match=rf"{name} is damaged .*; restore it, or delete "):
            store.read_results(PLAN)
        with pytest.raises(StoreError, match=r"seed-000\.zip is damaged .*; delete it and run again"):
            store.read_shard(PLAN, "seed-000")

    assert peak_bytes(read) < 2**22 + 2 * len(content)
    assert hostile.files(place) == before
    assert not list(place.parent.rglob("escaped*"))


def test_the_usual_limit_lets_a_small_bomb_in():
    """Which shows that it is one."""
    assert len(rows_of_nothing(2**22)) < 2**14
    assert len(packing.read_table(rows_of_nothing(2**22))) == 2**22


ARCHIVES = {
    "a path outside": {"../../../escaped": b"gotcha"},
    "an absolute path": {"/escaped": b"gotcha"},
    "one table less": {"nulls.parquet": None},
    "nothing about it": {"about.json": None},
    "a list about it": {"about.json": b"[1, 2]"},
    "brackets without end": {"about.json": b"[" * 10**6},
    "no seconds": {"about.json": lambda old: json.dumps({**json.loads(old), "seconds": [1]}).encode()},
    "words for seconds": {"about.json": lambda old: old.replace(b"1.5", b'"long"')},
}


@pytest.mark.parametrize("change", ARCHIVES)
def test_archives_of_other_members_are_refused(place, change):
    path = store.shard_file(PLAN, "seed-000")
    repacked(path, **ARCHIVES[change])
    before = hostile.files(place)
    with pytest.raises(StoreError, match=r"seed-000\.zip is damaged .*; delete it and run again"):
        store.read_shard(PLAN, "seed-000")
    assert hostile.files(place) == before
    assert not list(place.parent.rglob("escaped*"))


def test_an_archive_that_is_compressed_or_lies_about_sizes_is_not_unpacked(place):
    path = store.shard_file(PLAN, "seed-000")
    repacked(path, zipfile.ZIP_DEFLATED, **{"networks.parquet": bytes(2**26)})
    assert path.stat().st_size < 2**17

    def read(said):
        with pytest.raises(StoreError, match=rf"seed-000\.zip is damaged \({said}"):
            store.read_shard(PLAN, "seed-000")

    assert peak_bytes(lambda: read("a member of the archive is compressed")) < 2**20
    repacked(path)  # stored plainly, as it should be; then every size in the directory is made a gigabyte
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        struct.pack_into("<II", content, start + 20, 2**30, 2**30)
        start = content.find(b"PK\x01\x02", start + 4)
    path.write_bytes(content[: 2**26])
    with pytest.raises(StoreError, match=r"seed-000\.zip is damaged"):
        store.read_shard(PLAN, "seed-000")


def test_a_member_that_is_there_twice_is_refused(place):
    path = store.shard_file(PLAN, "seed-000")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("networks.parquet", packing.table(pd.DataFrame({"network": ["forged"]})))
    with pytest.raises(StoreError, match="there twice"):
        store.read_shard(PLAN, "seed-000")


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["dropout=0.5,seed=0"]},
        {"names": ["dropout=0.5,seed=0", "another"]},
        {"names": 3},
        {"epochs": [1]},
        {"epochs": [1, "many"]},
        {"val_loss": None},
        {"seconds": {}},
    ],
)
def test_trained_networks_whose_lists_do_not_fit_are_refused(place, change):
    path = store.shard_file(PLAN, "seed-001.trained")
    repacked(path, **{"about.json": lambda old: json.dumps(json.loads(old) | change).encode()})
    with pytest.raises(StoreError, match=r"seed-001\.trained\.zip is damaged .*; delete it and run again"):
        store.read_trained(PLAN, "seed-001")


BRACKETS = b'{"files": ' + b"[" * 10**6
NUMBER = b'{"format": ' + b"1" * 10**5 + b"}"


@pytest.mark.parametrize("content", [BRACKETS, NUMBER], ids=["brackets", "number"])
def test_json_that_overflows_is_refused(place, content):
    folder, record = store.folder_of(PLAN), on_record.folder()
    for path in (folder / "manifest.json", record / "numbers.json", place / "book.json"):
        path.write_bytes(content)
    for read in (store.read_results, store.is_stored):
        with pytest.raises(StoreError, match=r"manifest\.json is damaged .*; restore it, or delete"):
            read(PLAN)
    told = [*on_record._compare_json("numbers.json", {}), *on_record._compare_book(place / "book.json", {})]
    assert [sentence.split(" is damaged")[0] for sentence in told] == [
        str(record / "numbers.json"),
        str(place / "book.json"),
    ]
    assert "check --write" in told[0]
    assert told[1].endswith("build the book again")


def test_a_number_on_record_beyond_all_floats_is_no_crash(place):
    (on_record.folder() / "numbers.json").write_text(f'{{"seeds": 1{"0" * 400}}}')
    (sentence,) = on_record._compare_json("numbers.json", {"seeds": 9})
    assert "seeds is on record as 1000" in sentence


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"claim,experiment\n\xe9,base\n"])
@pytest.mark.parametrize("name", ["claims.csv", "verdicts.csv", "numbers.json", "tables.json"])
def test_a_record_that_is_no_text_is_named(place, name, content):
    (on_record.folder() / name).write_bytes(content)
    told = on_record.compare(pd.DataFrame(columns=["claim", "experiment", "item"]), pd.DataFrame(), {})
    assert any(
        sentence.startswith(f"{on_record.folder() / name} is damaged") and "check --write" in sentence
        for sentence in told
    )


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "weights.npz", "modules.parquet"])
def test_files_of_a_terabyte_are_not_read(place, name):
    path = store.folder_of(PLAN) / name
    for grown in (path, store.shard_file(PLAN, "seed-000")):
        with grown.open("r+b") as stream:
            stream.truncate(2**40)  # sparse: it takes no room

    def read():
        with pytest.raises(StoreError, match=r"1099511627776 bytes.*; (restore|delete) it"):
            store.read_results(PLAN)
        with pytest.raises(StoreError, match=r"1099511627776 bytes.*; delete it and run again"):
            store.read_shard(PLAN, "seed-000")

    assert peak_bytes(read) < 2**20


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
