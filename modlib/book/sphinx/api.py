"""The directive ``{modules}``: the reference of every public module of a package, in a given order.

What NumPy takes for an array has the name `ArrayLike` there, and not the union that it stands for.
"""

import importlib
import pkgutil
from typing import Any, ClassVar

from numpy.typing import ArrayLike
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import stringify_annotation

#: The union as autodoc writes it.
_ARRAY_LIKE = stringify_annotation(ArrayLike, "smart")


def public_modules(package: str, *, first: list[str], without: list[str]) -> list[str]:
    """Return the names of the public modules of a package but those `without`, those in `first` first."""
    walked = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    names = [module.name.removeprefix(f"{package}.") for module in walked if not module.ispkg]
    found = {name for name in names if name.split(".")[0] not in without and "._" not in f".{name}"}
    return [name for name in first if name in found] + sorted(found - set(first))


class ModulesDirective(SphinxDirective):
    """A section for each public module; the content names the order, ``:without:`` what is left out."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"without": str.split}

    def run(self) -> list[Any]:
        """Return the sections."""
        package, first = self.arguments[0], " ".join(self.content).split()
        lines: list[str] = []
        for name in public_modules(package, first=first, without=self.options.get("without", [])):
            lines += [f"## `{package}.{name}`", "", "```{eval-rst}"]
            lines += [f".. automodule:: {package}.{name}", "   :members:", "```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _name_array_like(
    _: Sphinx, __: str, ___: str, ____: Any, _____: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Give a signature with the name of the union in place of its members."""
    return signature and signature.replace(_ARRAY_LIKE, "~numpy.typing.ArrayLike"), returns


def setup(app: Sphinx) -> None:
    """Register the directive, and look at every signature."""
    app.setup_extension("sphinx.ext.autodoc")  # which the sections are made by
    app.add_directive("modules", ModulesDirective)
    app.connect("autodoc-process-signature", _name_array_like)
