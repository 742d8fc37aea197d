"""Charts: from Altair to the page, without anything loaded from another site.

A chart leaves a notebook as a Vega-Lite specification and a still image (`render`), and enters the page as
that image, which a script replaces by the interactive drawing (`ChartRenderer`). Readers without JavaScript,
and viewers that know only images, keep the image with its description.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any, ClassVar

import altair as alt
import vl_convert
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from modlib.site.theme import PAPER

__all__ = ["ChartRenderer", "enable", "render"]

# The "+json" matters: nbformat refuses a JSON object under a type that does not end in it.
VEGALITE = "application/vnd.vegalite.v6+json"
PIXELS = 2  # image pixels a chart pixel, for sharp print and dense screens
CONTAINER_WIDTH = 640  # width, in chart pixels, of the image of a chart as wide as its container

logger = logging.getLogger(__name__)


def render(spec: dict[str, Any], **_options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Turn a Vega-Lite specification into a notebook output; registered with Altair as ``"modlib"``.

    Parameters
    ----------
    spec
        A Vega-Lite 6 specification. Its ``description`` is the alternative text;
        ``usermeta={"caption": ..., "name": ...}`` makes it a numbered figure that ``{numref}`` can cite.

    Returns
    -------
    data, metadata
        The output's MIME bundle (specification, PNG, plain text) and its metadata (size of the image in
        chart pixels).
    """
    still = spec
    if spec.get("width") == "container":
        still = {**spec, "width": CONTAINER_WIDTH}
    png = vl_convert.vegalite_to_png(still, scale=PIXELS, config=PAPER)
    width, height = struct.unpack(">II", png[16:24])  # the first two fields of a PNG's header
    data = {
        VEGALITE: spec,
        "image/png": base64.b64encode(png).decode(),
        "text/plain": spec.get("description", "a chart"),
    }
    return data, {"image/png": {"width": width // PIXELS, "height": height // PIXELS}}


def enable() -> None:
    """Make Altair show charts through `render`."""
    alt.renderers.register("modlib", render)
    alt.renderers.enable("modlib")


class ChartNode(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils is untyped
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
        description = spec.get("description", "")
        if not description:
            logger.warning(
                f"chart without a description in cell {data.cell_index}: give it an alternative text",
                location=(renderer.renderer.sphinx_env.docname, data.line),
                type="modlib",
                subtype="chart",
            )
        text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False)
        chart = ChartNode(spec=text, controls=_controls(spec), panels=len(spec.get("hconcat", [1])))
        chart += _still_image(renderer, data, description)

        figure = {key: spec.get("usermeta", {}).get(key) for key in ("caption", "name")}
        if not figure["caption"]:
            return [chart]
        return _figure(renderer.renderer, chart, figure, data.line)


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


def _visit_html(self: Any, node: ChartNode) -> None:
    # "<" is written as an escape, so that no text in the data can end the script element.
    spec = node["spec"].replace("<", "\\u003c")
    sides = ("width", "height")
    images = node.findall(nodes.image)
    style = "".join(f"--chart-{side}:{image[side]}px;" for image in images for side in sides)
    self.body.append(
        f'<div class="modlib-chart" style="{style}--chart-controls:{node["controls"]};'
        f'--chart-panels:{node["panels"]}">'
        f'<script type="application/json">{spec}</script><div class="modlib-chart-frame">'
    )


def _depart_html(self: Any, node: ChartNode) -> None:
    self.body.append("</div></div>\n")


def _pass(self: Any, node: ChartNode) -> None:
    """Other formats show the image, which is the node's child."""


def _load_script(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load the chart library on the pages that have a chart, and on no other."""
    if doctree is not None and next(iter(doctree.findall(ChartNode)), None) is not None:
        app.add_js_file("modlib/vega.js", defer="defer")
        app.add_js_file("modlib/charts.js", defer="defer")


def setup(app: Sphinx) -> None:
    """Register the chart node and its script."""
    other = (_pass, _pass)
    app.add_node(
        ChartNode, html=(_visit_html, _depart_html), latex=other, text=other, man=other, texinfo=other
    )
    app.connect("html-page-context", _load_script)
