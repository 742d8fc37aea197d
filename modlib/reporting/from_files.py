"""A model and samples from files, for the command line: nothing is unpickled."""

import importlib.util
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

MODULE = "modlib_model"  #: What the file of a model is imported as.


def load_model(named: str) -> nn.Module:
    """Call the function of a Python file, named as in ``model.py:build``, that returns the model.

    The file is run, as if it were imported, and may import others beside it. A ValueError says that there is
    no such file or function, or that the function does not return a `torch.nn.Module`.
    """
    file, _, function = named.rpartition(":")
    path = Path(file)
    if not function.isidentifier() or path.suffix != ".py" or not path.is_file():
        raise ValueError(
            f"model must name a Python file and a function in it, as model.py:build; got {named}"
        )
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    build = getattr(module, function, None)
    if not callable(build):
        raise ValueError(f"model must name a function of {path}, which has no {function}")
    model = build()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{named} must return a torch.nn.Module, got {type(model).__name__}")
    return model


def load_samples(path: Path) -> tuple[Any, Any]:
    """Read samples x and their labels y, which may be lacking, from a file of arrays or of tensors.

    An ``.npz`` file holds arrays of these names; a ``.pt`` file a tensor, a pair of tensors, or a dict of
    these names. A ValueError says what else a file holds.
    """
    if path.suffix == ".npz":
        held = _read_arrays(path)
    elif path.suffix == ".pt":
        held = _read_tensors(path)
    else:
        raise ValueError(f"data must be a file that ends in .npz or .pt, got {path}")
    if "x" not in held or held.keys() - {"x", "y"}:
        raise ValueError(
            f"data must hold x, and y or nothing else; {path} holds {', '.join(held) or 'nothing'}"
        )
    return held["x"], held.get("y")


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"data must be an archive of arrays, which {path} is not: {_line(error)}") from error


def _read_tensors(path: Path) -> dict[str, Any]:
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for what is damaged, and for what it will not load
        raise ValueError(f"data must be a file of tensors, which {path} is not: {_line(error)}") from error
    if isinstance(held, torch.Tensor):
        return {"x": held}
    if isinstance(held, list | tuple) and 1 <= len(held) <= 2:
        return dict(zip("xy", held, strict=False))
    if isinstance(held, dict):
        return {str(name): value for name, value in held.items()}
    raise ValueError(f"data must hold tensors x and y; {path} holds a {type(held).__name__}")


def _line(error: Exception) -> str:
    """Give the first line of an error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
