"""Tables, networks and archives as bytes and back: the same content always gives the same bytes.

Nothing is unpickled. Whatever is wrong with bytes raises an exception of some kind;
`modlib.study.files.damage_named` turns it into one that names the file.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modlib.networks import MLPStack
from modlib.study.schema import TABLES, Table

WEIGHTS = "weights.npz"
MOST_VALUES_PER_BYTE = 1000  # of a Parquet file: far beyond any table here, which hold numbers that differ


def pack(tables: Mapping[str, pd.DataFrame], stacks: Mapping[str, MLPStack]) -> dict[str, bytes]:
    """Pack all tables of the schema and the networks whose weights are kept: bytes by name of file."""
    return {f"{name}.parquet": table(tables[name]) for name in TABLES} | {WEIGHTS: networks(stacks)}


def known(names: Iterable[str]) -> list[str]:
    """Give the files among some names that `unpack` reads; the others are of tables that newer code knows."""
    return [name for name in (*(f"{table}.parquet" for table in TABLES), WEIGHTS) if name in set(names)]


def unpack(name: str, content: bytes) -> pd.DataFrame | dict[str, MLPStack]:
    """Give what `pack` packed as a file of that name."""
    return read_networks(content) if name == WEIGHTS else read_table(content, TABLES[name.split(".")[0]])


def separate(unpacked: Mapping[str, Any]) -> tuple[dict[str, pd.DataFrame], dict[str, MLPStack]]:
    """Separate tables from networks; a table that is not among the files is newer than they are: empty."""
    tables = {name: unpacked.get(f"{name}.parquet", table.empty()) for name, table in TABLES.items()}
    return tables, unpacked[WEIGHTS]


def archive(members: Mapping[str, bytes]) -> bytes:
    """Pack members into a zip archive, uncompressed and without the time of day; each has a check sum."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return sink.getvalue()


def read_archive(content: bytes) -> dict[str, bytes]:
    """Give the members of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


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
    return rows


def networks(stacks: Mapping[str, MLPStack]) -> bytes:
    """Pack stacks of one network each as ``.npz``, in the order of their names."""
    arrays = {
        f"{name}/{kind}/{layer}": tensor[0].cpu().numpy()
        for name, stack in sorted(stacks.items())
        for kind, tensors in (("weight", stack.weights), ("bias", stack.biases))
        for layer, tensor in enumerate(tensors)
    }
    members = {}
    for key, array in arrays.items():
        sink = io.BytesIO()
        np.lib.format.write_array(sink, array, allow_pickle=False)
        members[f"{key}.npy"] = sink.getvalue()
    return archive(members)


def read_networks(content: bytes) -> dict[str, MLPStack]:
    """Give the stacks that `networks` packed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found: dict[str, dict[str, list[np.ndarray]]] = {}
        for key in sorted(arrays.files, key=lambda key: (key.rsplit("/", 1)[0], int(key.rsplit("/", 1)[1]))):
            name, kind, _ = key.rsplit("/", 2)
            found.setdefault(name, {"weight": [], "bias": []})[kind].append(arrays[key][None])
    return {name: MLPStack.from_arrays(parts["weight"], parts["bias"]) for name, parts in found.items()}
