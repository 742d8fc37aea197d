"""What arguments must be: errors that name the culprit, raised once, where a user's call comes in.

Each check returns the argument as the code behind it wants it. It raises a TypeError if the argument is of
another kind, and a ValueError if it is of the right kind but not allowed. Either says which argument it was,
what is allowed, and what was given.
"""

import operator
import re
import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

#: What is asked for most often, in the words of jaxtyping.
Matrix = Float[np.ndarray, "unit unit"]
Labels = Int[np.ndarray, " unit"]

MOST_SEED = 2**63 - 1  #: The largest seed that every generator in use takes.
SYMMETRY_TOLERANCE = 1e-6  #: Asymmetry that counts as rounding, as a share of a matrix's largest entry.


def whole(value: Any, name: str, *, least: int | None = 0, most: int | None = None) -> int:
    """Return a whole number, which neither `True` nor 2.0 is."""
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
    """Return a real number in a range; `above` and `below` are not part of it, and nan never is."""
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
        kinds = kind if isinstance(kind, tuple) else (kind,)
        called = called or " or ".join(one.__name__ for one in kinds)
        article = "an" if called.startswith(("MLP", *"AEIOUaeio")) else "a"
        raise TypeError(f"{name} must be {article} {called}, got {shown(value)}")
    return value


def listed(values: Any, name: str) -> list[Any]:
    """Return the entries of a list, tuple, array or other collection; a text is not one of letters."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} must be a list, got the text {shown(values)}")
    try:
        return list(values)
    except TypeError:  # also what an array of no dimensions raises
        raise TypeError(f"{name} must be a list, got {shown(values)}") from None


def as_numpy(value: Any, name: str) -> Shaped[np.ndarray, "..."]:
    """Return the real numbers of an array, a nested list, a table, or a tensor on any device."""
    if np.ma.is_masked(value):
        raise ValueError(f"{name} must not have masked entries")
    try:
        if isinstance(value, Tensor):
            dense = value.detach().to_dense().cpu()
            value = dense.float() if dense.dtype == torch.bfloat16 else dense  # which NumPy does not have
        array = np.asarray(value)
    except Exception as error:  # NumPy, torch and whatever pretends to be an array raise many
        raise ValueError(f"{name} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got {array.dtype}")
    return array


def floats(value: Any, name: str, *, ndim: int | None = None) -> np.ndarray:
    """Return a copy in float64, in which there may be nan or inf."""
    array = as_numpy(value, name)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {array.shape}")
    return array.astype(np.float64)


def symmetric(value: Any, name: str) -> Matrix:
    """Return a finite matrix that is symmetric up to rounding as a copy, float64 and exactly symmetric."""
    matrix = floats(value, name)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be a square (unit, unit) matrix, got shape {matrix.shape}")
    if count := np.count_nonzero(~np.isfinite(matrix)):
        raise ValueError(f"{name} must be finite, got {count} nan or inf")
    if not np.array_equal(matrix, matrix.T):
        largest = np.abs(matrix).max()
        apart = np.abs(matrix / largest - matrix.T / largest).max()
        if apart > SYMMETRY_TOLERANCE:
            raise ValueError(
                f"{name} must be symmetric: |A_ij − A_ji| reaches {apart:.2g} of the largest entry, "
                f"allowed is {SYMMETRY_TOLERANCE:g}"
            )
        matrix = (matrix + matrix.T) / 2
    return matrix


def tensor(value: Any, name: str, *, like: Tensor | None = None) -> Tensor:
    """Return a dense tensor of real numbers, on the device of the tensor `like` if there is one."""
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
    """Return the class of each sample, counted from 0, as int64."""
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
    """Show a value in one short line."""
    try:
        text = " ".join(reprlib.repr(value).split())
    except Exception:  # an integer of thousands of digits has none, for example
        return f"something ({type(value).__name__})"
    return text if isinstance(value, str | int | float | None) else f"{text} ({type(value).__name__})"
