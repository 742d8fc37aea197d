"""Numbers in prose: ``{num}`` looks a measured value up, so that nobody types one.

``{num}`q_dropout``` writes the value as it is; ``{num}`q_dropout:.2f``` and ``{num}`accuracy:.1%``` format it
as Python's `format` does. The values are one flat JSON object, ``modlib_numbers`` in the configuration. A
page is written anew when that file changes, and an unknown key is a warning, which fails a strict build.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from modlib.book.number_format import format_number

__all__ = ["setup"]

logger = logging.getLogger(__name__)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> dict[str, Any]:
    """Return the values in `path`; `_changed`, the time of its last change, makes the cache see a new one."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} must hold one JSON object, not {type(values).__name__}")
    return values


class NumberNode(nodes.inline):  # type: ignore[misc]  # docutils is untyped
    """A number in the text, which knows the key it came from."""


class NumberRole(SphinxRole):
    """The role ``{num}``."""

    def run(self) -> tuple[list[Any], list[Any]]:
        """Return the formatted value, or the key and a warning."""
        key, _, spec = self.text.partition(":")
        key, spec = key.strip(), spec.strip()
        path = Path(self.env.srcdir) / self.config.modlib_numbers
        self.env.note_dependency(str(path))
        classes = ["num"]
        try:
            values = _read(path, path.stat().st_mtime_ns)
            text = format_number(values[key], spec)
            classes += ["num-words"] if isinstance(values[key], str) else []
        except OSError:
            text = self._warn(f"no numbers file {self.config.modlib_numbers}", key)
        except KeyError:
            text = self._warn(f"unknown number {key!r} in {self.config.modlib_numbers}", key)
        except (TypeError, ValueError) as error:
            text = self._warn(f"number {key!r} with format {spec!r}: {error}", key)
        node = NumberNode(self.rawtext, "", nodes.Text(text), classes=classes, key=key)
        return [node], []

    def _warn(self, message: str, key: str) -> str:
        logger.warning(message, location=self.get_location(), type="modlib", subtype="num")
        return key


def _visit_html(self: Any, node: NumberNode) -> None:
    self.body.append(self.starttag(node, "span", "", title=node["key"]))


def _depart_html(self: Any, node: NumberNode) -> None:
    self.body.append("</span>")


def _pass(self: Any, node: NumberNode) -> None:
    """Other formats write the text alone."""


def setup(app: Sphinx) -> None:
    """Register the role, its node and its configuration value."""
    app.add_config_value("modlib_numbers", "book/executed/numbers.json", "env", (str,))
    other = (_pass, _pass)
    app.add_node(
        NumberNode, html=(_visit_html, _depart_html), latex=other, text=other, man=other, texinfo=other
    )
    app.add_role("num", NumberRole())
