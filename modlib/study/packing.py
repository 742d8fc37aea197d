"""Tables, networks and archives as bytes and back: the same bytes for the same content, and nothing believed.

What is read may be damaged, or made to do damage. So no bytes are unpickled, no array is allocated on the
word of a header, nothing is unpacked to more than it can fairly be, and no name in an archive becomes a path.
Whatever is wrong with bytes raises an exception of some kind; `modlib.study.store` turns it into one that
names the file.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modlib.networks import MLPStack

MOST_BYTES = 2**31  # of a file, and of a table unpacked: beyond what any here has


def archive(members: Mapping[str, bytes]) -> bytes:
    """Pack members into a zip archive, plainly and without the time of day; each carries a check sum."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return sink.getvalue()


def read_archive(content: bytes) -> dict[str, bytes]:
    """Give the members of an archive by name; together they must be no larger than itself."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        members = packed.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("a member of the archive is compressed, which none of ours is")
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("the members of the archive are larger than the archive")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("a member of the archive is there twice")
        return {member.filename: packed.read(member) for member in members}


def table(rows: pd.DataFrame) -> bytes:
    """Pack a table as Parquet; its bytes depend on its rows only."""
    arrow = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(arrow, sink, compression="zstd")
    return sink.getvalue()


def read_table(content: bytes) -> pd.DataFrame:
    """Give the rows of a Parquet file."""
    file = pq.ParquetFile(io.BytesIO(content))
    about = file.metadata
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if max(unpacked, about.num_rows * about.num_columns) > MOST_BYTES:  # a few bytes can stand for as many
        raise ValueError(f"{about.num_rows} rows of {unpacked} bytes are more than any table here has")
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
    return archive(members)  # as np.savez, without the time of day


def read_networks(content: bytes) -> dict[str, MLPStack]:
    """Give the stacks that `networks` packed."""
    arrays = {name.removesuffix(".npy"): _array(member) for name, member in read_archive(content).items()}
    names = sorted({key.rsplit("/", 2)[0] for key in arrays})
    n_layers = 1 + max((int(key.rsplit("/", 1)[1]) for key in arrays), default=-1)
    if len(arrays) != 2 * len(names) * n_layers:
        raise ValueError(f"{len(arrays)} arrays are not weights and biases of {len(names)} networks")
    return {
        name: MLPStack.from_arrays(
            [arrays[f"{name}/weight/{layer}"][None] for layer in range(n_layers)],
            [arrays[f"{name}/bias/{layer}"][None] for layer in range(n_layers)],
        )
        for name in names
    }


def _array(content: bytes) -> np.ndarray:
    """Array of floats in an .npy file, for which `numpy.load` would allocate what the file promises."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is of another version of .npy")
    shape, by_column, kind = np.lib.format.read_array_header_1_0(stream)
    if kind not in (np.float32, np.float64):  # objects, for example, which would be pickles
        raise ValueError(f"an array holds {kind} and not floats")
    flat = np.frombuffer(content, kind, offset=stream.tell())
    return flat.reshape(shape, order="F" if by_column else "C").copy(order="K")
