"""Charts as a notebook stores them: a Vega-Lite specification, a still image, and the colours of two themes.

A chart names only the colours that carry data. Those of text, axes and background come from here: `PAPER` for
the still image, `LIGHT` or `DARK` for the drawing in the reader's browser (`modlib.book.sphinx.charts`).
"""

import base64
import struct
from typing import Any

import altair as alt
import vl_convert

from modlib.reporting import colours

# The "+json" matters: nbformat refuses a JSON object under a type that does not end in it.
VEGALITE = "application/vnd.vegalite.v6+json"
PIXELS = 2  # image pixels a chart pixel, for sharp print and dense screens
CONTAINER_WIDTH = 640  # width, in chart pixels, of the image of a chart as wide as its container


def _config(*, text: str, muted: str, line: str, grid: str, background: str) -> dict[str, Any]:
    """Return a Vega-Lite configuration that holds nothing but colours."""
    named = {"labelColor": muted, "titleColor": text}
    return {
        "background": background,
        "view": {"stroke": line},
        "axis": {"domainColor": line, "tickColor": line, "gridColor": grid, **named},
        "legend": named,
        "header": named,
        "title": {"color": text, "subtitleColor": muted},
        "text": {"color": text},
        "rule": {"color": muted},
        "style": {"guide-label": {"fill": muted}, "guide-title": {"fill": text}},
    }


LIGHT = _config(**colours.LIGHT, background="transparent")
DARK = _config(**colours.DARK, background="transparent")

# A still image may be shown on any page, also a dark one, so it brings its own white.
PAPER = {**LIGHT, "background": "white"}


def render(spec: dict[str, Any], **_options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Turn a Vega-Lite specification into a notebook output: its MIME bundle and metadata."""
    still = {**spec, "width": CONTAINER_WIDTH} if spec.get("width") == "container" else spec
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
