"""Data in any form, as batches of samples that a model can be called with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from modlib import _checks

A_BATCH = 256  #: Samples read at a time from arrays and data sets.
LABELS = "labels"  #: The key under which a dict of inputs holds the labels, if it does.

Unpack = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Samples:
    """Some samples: what the model is called with, and the labels if there are any; axis 0 is the samples."""

    inputs: tuple[Tensor, ...]
    keywords: dict[str, Tensor]
    y: Tensor | None

    def __len__(self) -> int:
        return len(next(iter((*self.inputs, *self.keywords.values()))))

    def __getitem__(self, rows: slice | Tensor) -> Samples:
        keywords = {name: value[rows] for name, value in self.keywords.items()}
        return Samples(
            tuple(x[rows] for x in self.inputs), keywords, None if self.y is None else self.y[rows]
        )

    def split(self, size: int) -> Iterator[Samples]:
        """Give the samples a few at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def to(self, device: torch.device, dtype: torch.dtype | None) -> Samples:
        """Return the samples on a device, inputs of floating-point numbers in a precision."""

        def moved(x: Tensor) -> Tensor:
            return x.to(device, dtype if x.is_floating_point() else None)

        keywords = {name: moved(value) for name, value in self.keywords.items()}
        y = None if self.y is None else self.y.to(device)
        return Samples(tuple(map(moved, self.inputs)), keywords, y)


def batches(data: Any, y: Any, unpack: Unpack | None) -> tuple[Iterator[Samples], int | None]:
    """Read data as batches of one sample or more; also give the number of samples where it is known.

    `data` is an array of samples, a tuple or list of arrays or a dict of them (the arguments of the model), a
    data set, a loader, or another iterable of batches. Where it is of batches, `unpack` says how one of them
    is read as ``(inputs, labels)``; by default a pair is just that, a dict holds the inputs by name and
    perhaps ``"labels"``, and an array has no labels.
    """
    if unpack is not None and not callable(unpack):
        raise TypeError(f"unpack must be a function from a batch to (inputs, y), got {_checks.shown(unpack)}")
    if _is_inputs(data):
        if unpack is not None:
            raise ValueError("unpack must be None where data are arrays, for there is no batch to unpack")
        if isinstance(data, Mapping) and y is None and LABELS in data:
            data, y = _without_labels(data)
        inputs, keywords = _arrays(data)
        n_samples = _length(inputs, keywords, y)
        return _read_arrays(inputs, keywords, y, n_samples), n_samples
    if isinstance(data, str | bytes) or not isinstance(data, Iterable | Dataset):
        raise TypeError(
            "data must be an array of samples, a tuple or dict of them, a loader or another iterable of "
            f"batches (x, y); got {_checks.shown(data)}"
        )
    if y is not None:
        raise ValueError(
            "y must be None where data is a loader or another iterable of batches, which hold their labels"
        )
    if isinstance(data, Dataset):
        data = DataLoader(data, batch_size=A_BATCH)
    n_samples = _samples_of(data)
    return _read_batches(data, unpack), n_samples


def _is_array(value: object) -> bool:
    """Whether a value is an array: a tensor, or what NumPy reads as one, such as a table of pandas."""
    return isinstance(value, Tensor | np.ndarray) or (
        hasattr(value, "to_numpy") and hasattr(value, "__array__")
    )


def _is_inputs(data: object) -> bool:
    if isinstance(data, Mapping):
        return True
    if isinstance(data, tuple | list):
        return len(data) > 0 and all(map(_is_array, data))
    return _is_array(data)


def _without_labels(batch: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    return {name: value for name, value in batch.items() if name != LABELS}, batch[LABELS]


def _arrays(data: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arrays that a model is called with, by place and by name."""
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("data must hold an input or more, got an empty dict")
        for name, value in data.items():
            if not isinstance(name, str):
                raise TypeError(f"data must have the names of arguments as keys, got {_checks.shown(name)}")
            if not _is_array(value):
                raise TypeError(f"data must hold arrays only: {name} is {_checks.shown(value)}")
        return (), {name: _plain(value, f"{name} of data") for name, value in data.items()}
    many = data if isinstance(data, tuple | list) else (data,)
    for value in many:
        if not _is_array(value):
            raise TypeError(
                "data must be an array of samples, a tuple or dict of them, a loader or another iterable of "
                f"batches (x, y); got {_checks.shown(value)}"
            )
    return tuple(_plain(value, "data") for value in many), {}


def _plain(value: Any, name: str) -> Tensor | np.ndarray:
    """Return a dense tensor, or an array of a kind that torch can read."""
    if isinstance(value, Tensor):
        return _checks.tensor(value, name).detach()
    array = _checks.as_numpy(value, name)
    if array.dtype.kind == "u" and array.itemsize > 1:
        return array.astype(np.int64)
    if array.dtype.kind == "f" and array.itemsize > 8:
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _length(inputs: tuple[Any, ...], keywords: dict[str, Any], y: Any) -> int:
    arrays = [*inputs, *keywords.values()]
    if any(array.ndim == 0 for array in arrays):
        raise ValueError("data must have the samples along axis 0, got a single number")
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) > 1:
        raise ValueError(f"data must hold as many samples in every array, got {lengths}")
    if lengths[0] == 0:
        raise ValueError("data must hold a sample or more, got none")
    if y is not None:
        labels = _plain(y, "y")
        if labels.ndim == 0 or len(labels) != lengths[0]:
            raise ValueError(
                f"y must hold a label for each of the {lengths[0]} samples of data, got shape "
                f"{tuple(labels.shape)}"
            )
    return int(lengths[0])


def _read_arrays(
    inputs: tuple[Any, ...], keywords: dict[str, Any], y: Any, n_samples: int
) -> Iterator[Samples]:
    labels = None if y is None else _plain(y, "y")
    for start in range(0, n_samples, A_BATCH):
        rows = slice(start, start + A_BATCH)
        yield _finite(
            tuple(_as_tensor(x[rows]) for x in inputs),
            {name: _as_tensor(value[rows]) for name, value in keywords.items()},
            None if labels is None else _as_tensor(labels[rows]),
        )


def _finite(inputs: tuple[Tensor, ...], keywords: dict[str, Tensor], y: Tensor | None) -> Samples:
    for x in (*inputs, *keywords.values()):
        if x.is_floating_point() and not torch.isfinite(x).all():
            raise ValueError("data must be finite, got nan or inf")
    return Samples(inputs, keywords, y)


def _read_batches(data: Iterable[Any], unpack: Unpack | None) -> Iterator[Samples]:
    for batch in data:
        x, y = (unpack or _pair)(batch)
        inputs, keywords = _arrays(x)
        n_samples = _length(inputs, keywords, y)
        yield from _read_arrays(inputs, keywords, y, n_samples)


def _pair(batch: Any) -> tuple[Any, Any]:
    """Read a batch as a loader gives it as inputs and labels."""
    if isinstance(batch, Mapping):
        return _without_labels(batch) if LABELS in batch else (batch, None)
    if isinstance(batch, tuple | list):
        if len(batch) > 2 or not batch:
            raise ValueError(
                f"data must be of batches (x, y), got one of {len(batch)} parts: say by unpack, a function "
                "from a batch to (inputs, y), which are the inputs"
            )
        return (batch[0], batch[1]) if len(batch) == 2 else (batch[0], None)
    return batch, None


def _samples_of(data: Any) -> int | None:
    """Return the number of samples where a loader knows it."""
    if isinstance(data, DataLoader) and not isinstance(data.dataset, IterableDataset):
        try:
            return len(data.dataset)  # type: ignore[arg-type]
        except TypeError:
            return None
    return None


def _as_tensor(value: Tensor | np.ndarray) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)
