"""A digest of the code that decides the numbers in the tables: of its meaning, not of its text."""

import ast
import hashlib
import json
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from modlib.study import project

DECIDES = "study.shard"  # the module that computes shards: what it imports decides the numbers in the tables


@cache
def digest_of_code(package: Path = project.PACKAGE) -> str:
    """Give the SHA-256 of the code in a package folder that decides the numbers in the tables.

    It is taken of syntax trees, without comments, docstrings and layout: those of the module `DECIDES`, of
    all modules of the package that it imports, and of those that these import in turn. The trees are those
    of the running Python, so another minor version of it may give another digest.
    """
    found: dict[str, str] = {}
    waiting = {f"{package.name}.{DECIDES}"}
    while waiting:
        module = waiting.pop()
        tree = ast.parse(_source(package, module).read_bytes())
        for node in ast.walk(tree):
            for _, block in ast.iter_fields(node):
                if isinstance(block, list):
                    block[:] = [part for part in block if not _is_text(part)]
        waiting |= _imported(package, module, tree) - found.keys() - {module}
        found[module] = ast.dump(tree)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _is_text(node: object) -> bool:
    """Whether a statement is a docstring or another bare string."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _is_module(package: Path, module: str) -> bool:
    return module.split(".")[0] == package.name and _source(package, module).exists()


def _source(package: Path, module: str) -> Path:
    """Give the place where the source of a module of the package is, or would be."""
    path = package.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported(package: Path, module: str, tree: ast.Module) -> set[str]:
    """Find the modules of the package that one of its modules imports anything from, anywhere in its code.

    A package that is only on the path to one of its modules is not among them.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            is_folder = _source(package, module).name == "__init__.py"
            here = module if is_folder else module.rpartition(".")[0]
            base = resolve_name("." * node.level + (node.module or ""), here)
            inside = [f"{base}.{alias.name}" for alias in node.names]
            found |= {name if _is_module(package, name) else base for name in inside}
    return {name for name in found if _is_module(package, name)}
