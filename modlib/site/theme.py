"""Colours of text, axes and background, for the light and the dark page.

A chart names only the colours that carry data. Everything else comes from here: `LIGHT` for the still image
that is stored with a notebook, `LIGHT` or `DARK` for the drawing in the reader's browser.
"""

from typing import Any

__all__ = ["DARK", "LIGHT", "PAPER"]


def _config(*, text: str, muted: str, line: str, grid: str, background: str) -> dict[str, Any]:
    """Return a Vega-Lite configuration that holds nothing but colours."""
    return {
        "background": background,
        "view": {"stroke": line},
        "axis": {
            "domainColor": line,
            "tickColor": line,
            "gridColor": grid,
            "labelColor": muted,
            "titleColor": text,
        },
        "legend": {"labelColor": muted, "titleColor": text},
        "header": {"labelColor": muted, "titleColor": text},
        "title": {"color": text, "subtitleColor": muted},
        "text": {"color": text},
        "rule": {"color": muted},
        "style": {"guide-label": {"fill": muted}, "guide-title": {"fill": text}},
    }


# Contrast of `text` and `muted` on the page is above 7:1 in both themes (WCAG AAA).
LIGHT = _config(text="#1b2029", muted="#454c58", line="#8b929e", grid="#e4e7ec", background="transparent")
DARK = _config(text="#e8eaee", muted="#b9bfca", line="#747c8a", grid="#30363f", background="transparent")

# A still image may be shown on any page, also a dark one, so it brings its own white.
PAPER = {**LIGHT, "background": "white"}
