"""Charts: from a notebook to the page, without anything loaded from another site.

A chart leaves a notebook as a Vega-Lite specification and a still image (`modlib.book.vega.render`), and
enters the page as that image, which a script replaces by the interactive drawing where there is JavaScript.
"""

import json
from collections.abc import Sequence
from html import escape
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from modlib.book.vega import VEGALITE

logger = logging.getLogger(__name__)


class ChartNode(nodes.container):  # type: ignore[misc]  # docutils is untyped
    """A chart in the document: its specification as JSON text, and its image as the only child."""


class ChartRenderer:
    """Write a chart into the page (an entry point of myst-nb, see ``pyproject.toml``)."""

    mime_priority_overrides: ClassVar[Sequence[tuple[str, str, int | None]]] = [
        (builder, VEGALITE, 1) for builder in ("html", "dirhtml", "singlehtml")
    ]

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[Any] | None:
        """Return the document nodes of a chart; None for any other output, which myst-nb then renders."""
        if data.mime_type != VEGALITE or inline:
            return None
        spec = data.content
        if not (description := spec.get("description", "")):
            logger.warning(
                f"chart without a description in cell {data.cell_index}: give it an alternative text",
                location=(renderer.renderer.sphinx_env.docname, data.line),
                type="modlib",
                subtype="chart",
            )
        text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False)
        repository = renderer.renderer.sphinx_env.config.html_theme_options.get("repository_url", "")
        chart = ChartNode(
            spec=text, controls=_controls(spec), columns=_columns(spec), source=_source(spec, repository)
        )
        chart += _still_image(renderer, data, description)

        figure = {key: spec.get("usermeta", {}).get(key) for key in ("caption", "name")}
        return _figure(renderer.renderer, chart, figure, data.line) if figure["caption"] else [chart]


def _still_image(renderer: Any, data: Any, description: str) -> list[Any]:
    """Return the image that came in the same output as the specification."""
    _, outputs = renderer.renderer.nb_client.code_cell_outputs(data.cell_index)
    for output in outputs:
        bundle = output.get("data", {})
        if bundle.get(VEGALITE) == data.content and "image/png" in bundle:
            still = type(data)(
                "image/png", bundle["image/png"], data.cell_metadata, data.output_metadata, line=data.line
            )
            images: list[Any] = renderer.render_image(still)
            for image in images:
                image["alt"] = description
                image["classes"].append("no-scaled-link")
                image["loading"] = "lazy"  # most are hidden by the drawing before anybody would see them
            return images
    return []


def _figure(renderer: Any, chart: ChartNode, options: dict[str, Any], line: int | None) -> list[Any]:
    """Return the chart in a numbered figure whose caption is MyST Markdown (so it may hold ``{num}``)."""
    from myst_nb.core.render import create_figure_context

    holder = nodes.Element()
    with renderer.current_node_context(holder), create_figure_context(renderer, options, line):
        renderer.current_node.append(chart)
    return list(holder.children)


def _controls(spec: dict[str, Any]) -> int:
    """Return the number of drop-downs and sliders that will stand under the drawing."""
    bound = [param["bind"] for param in spec.get("params", []) if isinstance(param.get("bind"), dict)]
    # A selection may bind one control to each of its fields; a parameter binds one to itself.
    return sum(1 if "input" in bind or "element" in bind else len(bind) for bind in bound)


def _source(spec: dict[str, Any], repository: str) -> str:
    """Return the address of the code that drew the chart, or nothing where it is not known."""
    module = str(spec.get("usermeta", {}).get("script", "")).rpartition(".")[0]
    if not (repository and module):
        return ""
    return f"{repository.rstrip('/')}/blob/HEAD/{module.replace('.', '/')}.py"


def _columns(spec: dict[str, Any]) -> int:
    """Return how many panels stand side by side at most; 1 if the specification does not say."""
    facet = spec.get("facet", {})
    if "column" in facet:
        name, field = spec.get("data", {}).get("name"), facet["column"].get("field")
        return max(1, len({row.get(field) for row in spec.get("datasets", {}).get(name, [])}))
    inner = [_columns(panel) for key in ("vconcat", "concat") for panel in spec.get(key, [])]
    return max([len(spec.get("hconcat", [])), int(spec.get("columns", 1)), *inner, 1])


def _visit_html(self: Any, node: ChartNode) -> None:
    # "<" is written as an escape, so that no text in the data can end the script element.
    spec = node["spec"].replace("<", "\\u003c")
    sides = ("width", "height")
    images = node.findall(nodes.image)
    style = "".join(f"--chart-{side}:{image[side]}px;" for image in images for side in sides)
    self.body.append(
        f'<div class="modlib-chart" style="{style}--chart-controls:{node["controls"]};'
        f'--chart-columns:{node["columns"]}" data-source="{escape(node["source"])}">'
        f'<script type="application/json">{spec}</script><div class="modlib-chart-frame">'
    )


def _depart_html(self: Any, node: ChartNode) -> None:
    self.body.append("</div></div>\n")


def _load_script(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load the chart library on the pages that have a chart, and on no other."""
    if doctree is not None and next(iter(doctree.findall(ChartNode)), None) is not None:
        app.add_js_file("modlib/vega.js", defer="defer")
        app.add_js_file("modlib/narrow.js", defer="defer")
        app.add_js_file("modlib/charts.js", defer="defer")


def setup(app: Sphinx) -> None:
    """Register the chart node and its script."""
    app.add_node(ChartNode, html=(_visit_html, _depart_html))
    app.connect("html-page-context", _load_script)
