"""Tables, networks and archives as bytes and back: the same content always gives the same bytes.

Nothing is unpickled. Whatever is wrong with bytes raises an exception of some kind;
`modlib.study.files.damage_named` turns it into one that names the file.
"""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modlib.analysis.schema import Table
from modlib.networks import MLPStack
from modlib.study import files
from modlib.study.schema import TABLES

WEIGHTS = "weights.npz"
MOST_VALUES_PER_BYTE = 1000  # of a Parquet file: far beyond any table here, which hold numbers that differ


def pack(tables: Mapping[str, pd.DataFrame], stacks: Mapping[str, MLPStack]) -> dict[str, bytes]:
    """Pack all tables of the schema and the networks whose weights are kept: bytes by name of file."""
    return {f"{name}.parquet": table(tables[name]) for name in TABLES} | {WEIGHTS: networks(stacks)}


def unpack(
    packed: Mapping[str, bytes], place_of: Callable[[str], str | Path], remedy: str
) -> tuple[dict[str, pd.DataFrame], dict[str, MLPStack]]:
    """Give the tables and networks that `pack` packed.

    A table without a file is newer than the others and is empty; files of tables that only newer code knows
    are not read. A StoreError names the place of a damaged file and the remedy.
    """
    tables = {name: expected.empty() for name, expected in TABLES.items()}
    for name in tables:
        if (file := f"{name}.parquet") in packed:
            with files.damage_named(place_of(file), remedy):
                tables[name] = read_table(packed[file], TABLES[name])
    with files.damage_named(place_of(WEIGHTS), remedy):
        return tables, read_networks(packed[WEIGHTS])


def archive(members: Mapping[str, bytes]) -> bytes:
    """Pack members into a zip archive, uncompressed and without the time of day; each has a check sum."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return sink.getvalue()


def table(rows: pd.DataFrame) -> bytes:
    """Pack a table as Parquet; its bytes depend on its rows only."""
    arrow = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(arrow, sink, compression="zstd")
    return sink.getvalue()


_KINDS: dict[str, Callable[[pa.DataType], bool]] = {
    "str": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "bool": pa.types.is_boolean,
    "int64": pa.types.is_integer,
    "float64": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
    "list[int16]": pa.types.is_list,
    "list[int64]": pa.types.is_list,
}


def read_table(content: bytes, expected: Table) -> pd.DataFrame:
    """Give the rows of a Parquet file; its columns and number of values are checked before it is unpacked."""
    file = pq.ParquetFile(io.BytesIO(content))
    kinds = {column.name: column.kind for column in expected.columns}
    for column in file.schema_arrow:
        if column.name not in kinds:
            raise ValueError(f"it has a column {column.name!r}, which the table {expected.name} has not")
        if not (pa.types.is_null(column.type) or _KINDS[kinds[column.name]](column.type)):
            raise ValueError(f"the column {column.name!r} holds {column.type} and not {kinds[column.name]}")
    about = file.metadata
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    values = sum(group.column(i).num_values for group in groups for i in range(group.num_columns))
    if max(values, about.num_rows) > MOST_VALUES_PER_BYTE * len(content):
        raise ValueError(f"{values} values in {len(content)} bytes are more than any table here has")
    rows: pd.DataFrame = file.read().to_pandas()
    missing = [column.name for column in expected.columns if column.newer and column.name not in rows]
    return rows.assign(**dict.fromkeys(missing, np.nan))


def networks(stacks: Mapping[str, MLPStack]) -> bytes:
    """Pack stacks of one network each as ``.npz``, in the order of their names."""
    members = {}
    for name, stack in sorted(stacks.items()):
        for kind, tensors in (("weight", stack.weights), ("bias", stack.biases)):
            for layer, tensor in enumerate(tensors):
                sink = io.BytesIO()
                np.lib.format.write_array(sink, tensor[0].cpu().numpy(), allow_pickle=False)
                members[f"{name}/{kind}/{layer}.npy"] = sink.getvalue()
    return archive(members)


def read_networks(content: bytes) -> dict[str, MLPStack]:
    """Give the stacks that `networks` packed."""
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        for key in sorted(arrays.files, key=lambda key: int(key.rpartition("/")[2])):  # layer by layer
            name, kind, _ = key.rsplit("/", 2)
            found.setdefault(name, {"weight": [], "bias": []})[kind].append(arrays[key][None])
    return {name: MLPStack.from_arrays(parts["weight"], parts["bias"]) for name, parts in found.items()}
