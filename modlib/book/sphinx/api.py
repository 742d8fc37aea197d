"""The directive ``{modules}``: the reference of every public module of a package, in a given order."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any, ClassVar

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["public_modules", "setup"]


def public_modules(package: str, *, first: list[str], without: list[str]) -> list[str]:
    """Return the names of a package's modules, wings included: those in `first`, in that order, then others.

    Parameters
    ----------
    package
        Name of an importable package.
    first
        Module names, without the package's; those that do not exist are passed over.
    without
        Modules and wings to leave out. Private modules are always left out.
    """
    path = importlib.import_module(package).__path__
    names = (
        m.name.removeprefix(f"{package}.") for m in pkgutil.walk_packages(path, f"{package}.") if not m.ispkg
    )
    parts = {name: name.split(".") for name in names}
    found = {n for n, p in parts.items() if p[0] not in without and not any(q.startswith("_") for q in p)}
    return [name for name in first if name in found] + sorted(found - set(first))


class ModulesDirective(SphinxDirective):
    """A section for each public module; the content names the order, ``:without:`` what is left out."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"without": str.split}

    def run(self) -> list[Any]:
        """Return the sections."""
        package = self.arguments[0]
        for folder in importlib.import_module(package).__path__:
            self.env.note_dependency(str(Path(folder)))  # a new module changes its folder's time stamp
        names = public_modules(
            package, first=" ".join(self.content).split(), without=self.options.get("without", [])
        )
        lines: list[str] = []
        for name in names:
            lines += [f"## `{package}.{name}`", "", "```{eval-rst}"]
            lines += [f".. automodule:: {package}.{name}", "   :members:", "```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("modules", ModulesDirective)
