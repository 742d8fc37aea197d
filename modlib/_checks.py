"""What arguments must be: errors that name the culprit, raised once, where a user's call comes in.

Each check returns the argument as the code behind it wants it, or raises a TypeError (it is of another kind)
or a ValueError (of the right kind, but not allowed) that says which argument, what is allowed, and what it
was.
"""

import operator
import re
import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

MOST_SEED = 2**63 - 1
"""Seeds are whole numbers from 0 to this: what every generator in use takes."""


def whole(value: Any, name: str, *, least: int | None = 0, most: int | None = None) -> int:
    """Return a whole number; `True` and 2.0 are none."""
    try:
        if isinstance(value, bool | np.bool_) or getattr(value, "dtype", None) == torch.bool:
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {shown(value)}") from None
    if least is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, got {shown(number)}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, got {shown(number)}")
    return number


def seed(value: Any, name: str = "seed") -> int:
    """Return a seed."""
    return whole(value, name, most=MOST_SEED)


def wholes(values: Any, name: str, *, least: int | None = 0, most: int | None = None) -> list[int]:
    """Return a list of whole numbers."""
    return [whole(value, f"each of {name}", least=least, most=most) for value in listed(values, name)]


def real(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
    finite: bool = True,
) -> float:
    """Return a real number in a range, of which `above` and `below` are not part; nan never is."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that a float can hold, got {shown(value)}") from None
    rules = [
        *([("finite", bool(np.isfinite(number)))] if finite else []),
        *([(f"above {above:g}", number > above)] if above is not None else []),
        *([(f"at least {least:g}", number >= least)] if least is not None else []),
        *([(f"at most {most:g}", number <= most)] if most is not None else []),
        *([(f"below {below:g}", number < below)] if below is not None else []),
    ]
    if np.isnan(number) or not all(kept for _, kept in rules):
        asked = " and ".join(rule for rule, _ in rules) or "a number"
        raise ValueError(f"{name} must be {asked}, got {shown(value)}")
    return number


def flag(value: Any, name: str) -> bool:
    """Return True or False; other values have a truth too, but it is seldom what was meant."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def one_of(value: Any, name: str, allowed: Iterable[str]) -> str:
    """Return one of some words."""
    words = tuple(allowed)
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name} must be one of {', '.join(words)}; got {shown(value)}")
    return value


def file_name(value: Any, name: str) -> str:
    """Return a word that may be part of a file's name, and leads to no other folder."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a word, got {shown(value)}")
    if not re.fullmatch(r"\w[\w.=,+-]*", value):
        raise ValueError(f"{name} must be of letters, digits and any of _ . = , + -, got {shown(value)}")
    return value


def instance(value: Any, name: str, kind: type | tuple[type, ...], called: str | None = None) -> Any:
    """Return an object of a class."""
    if not isinstance(value, kind):
        called = called or (
            kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        )
        raise TypeError(f"{name} must be {_article(called)} {called}, got {shown(value)}")
    return value


def listed(values: Any, name: str) -> list[Any]:
    """Return the entries of a list, tuple, array or other collection; a text is none of words."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} must be a list, got the text {shown(values)}")
    try:
        return list(values)
    except TypeError:  # also what an array of no dimensions raises
        raise TypeError(f"{name} must be a list, got {shown(values)}") from None


def as_numpy(value: Any, name: str) -> Shaped[np.ndarray, "..."]:
    """Return an array of real numbers: of an array, a nested list, a table, or a tensor on any device."""
    if np.ma.is_masked(value):
        raise ValueError(f"{name} must not have masked entries")
    try:
        if isinstance(value, Tensor):
            dense = value.detach().to_dense().cpu()
            value = dense.float() if dense.dtype == torch.bfloat16 else dense  # which NumPy does not have
        array = np.asarray(value)
    except Exception as error:  # of NumPy, of torch, or of whatever pretends to be an array
        raise ValueError(f"{name} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got {array.dtype}")
    return array


def floats(value: Any, name: str, *, ndim: int | None = None) -> np.ndarray:
    """Return an array of float64, a copy, in which there may be nan or inf."""
    array = as_numpy(value, name)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {array.shape}")
    return array.astype(np.float64)


def finite(array: np.ndarray, name: str) -> None:
    """Refuse nan and inf."""
    if count := np.count_nonzero(~np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {count} nan or inf")


def square(array: np.ndarray, name: str) -> None:
    """Refuse what is no (unit, unit) matrix."""
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} must be a square (unit, unit) matrix, got shape {array.shape}")


def tensor(value: Any, name: str, *, like: Tensor | None = None) -> Tensor:
    """Return a tensor of real numbers, on the device of another one."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {shown(value)}")
    if value.is_meta and like is None:
        raise TypeError(f"{name} must be a tensor that holds numbers, got one of the device meta")
    if value.is_complex() or value.is_quantized or value.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor of real numbers, got {value.dtype}, {value.layout}")
    if like is not None and value.device != like.device:
        raise ValueError(f"{name} must be on the device {like.device}, got {value.device}")
    return value


def classes(value: Any, name: str, *, n_sample: int, n_class: int | None = None, like: Tensor) -> Tensor:
    """Return one class a sample, counted from 0, as int64."""
    y = tensor(value, name, like=like)
    if y.shape != (n_sample,):
        raise ValueError(f"{name} must hold one class a sample ({n_sample}), got shape {tuple(y.shape)}")
    if y.is_floating_point() or y.dtype == torch.bool:
        raise TypeError(f"{name} must hold classes as integers, got {y.dtype}")
    y = y.long()
    if n_class is not None and len(y) and not 0 <= int(y.min()) <= int(y.max()) < n_class:
        raise ValueError(
            f"{name} must hold classes from 0 to {n_class - 1}, got {int(y.min())} to {int(y.max())}"
        )
    return y


def shown(value: Any) -> str:
    """Give what to show of a value in one line."""
    try:
        text = " ".join(reprlib.repr(value).split())
    except Exception:  # an integer of thousands of digits has none, for example
        return f"something ({type(value).__name__})"
    return text if isinstance(value, str | int | float | None) else f"{text} ({type(value).__name__})"


def _article(word: str) -> str:
    return "an" if word[0] in "AEIOUaeio" or word.startswith("MLP") else "a"
