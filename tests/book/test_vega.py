"""What a chart leaves in a notebook, and the colours of the page around its data."""

import base64
import struct
import subprocess
import sys

import altair as alt
import pytest
from sight import contrast

from modlib.book import vega
from modlib.book.vega import DARK, LIGHT, VEGALITE, render

SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.4.0.json",
    "description": "Three points",
    "data": {"values": [{"x": 1, "y": 2}, {"x": 2, "y": 1}, {"x": 3, "y": 5}]},
    "mark": "point",
    "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}},
    "width": 200,
    "height": 100,
}


def test_a_chart_leaves_a_notebook_as_specification_and_image_of_one_size():
    data, metadata = render(SPEC)
    assert data[VEGALITE] == SPEC
    assert data["text/plain"] == SPEC["description"]
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG")
    size = struct.unpack(">II", png[16:24])
    assert size == (2 * metadata["image/png"]["width"], 2 * metadata["image/png"]["height"])
    assert metadata["image/png"]["width"] > SPEC["width"]  # the axis adds to the plot
    assert render(SPEC) == (data, metadata)


def test_the_image_of_a_chart_as_wide_as_its_container_has_a_width_of_its_own():
    _, narrow = render({**SPEC, "width": 300})
    data, wide = render({**SPEC, "width": "container"})
    assert wide["image/png"]["width"] > 600 > narrow["image/png"]["width"]
    assert data[VEGALITE]["width"] == "container"


def test_a_notebook_shows_charts_through_the_renderer_once_it_is_enabled():
    before = alt.renderers.active
    try:
        alt.renderers.enable("default")
        chart = alt.Chart.from_dict(SPEC)
        assert "image/png" not in chart._repr_mimebundle_()
        vega.enable()
        data, metadata = chart._repr_mimebundle_()
        assert (data, metadata) == render(chart.to_dict())
        assert "image/png" in data
    finally:
        alt.renderers.enable(before)


@pytest.mark.parametrize(("module", "needs"), [("modlib.book.theme", False), ("modlib.book.sphinx", True)])
def test_a_notebook_needs_nothing_of_the_book_builder(module, needs):
    """Figures stand a floor below the site, which does need Sphinx and so shows that the test can fail."""
    code = f"import {module}, sys; print(any(name in sys.modules for name in ('sphinx', 'docutils')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(needs)


# --- colours


@pytest.mark.parametrize(("theme", "background"), [(LIGHT, "#ffffff"), (DARK, "#121212")])
def test_text_of_charts_is_legible_in_its_own_theme_and_not_in_the_other(theme, background):
    other = {"#ffffff": "#121212", "#121212": "#ffffff"}[background]
    for part, key in (
        ("axis", "labelColor"),
        ("axis", "titleColor"),
        ("legend", "labelColor"),
        ("title", "color"),
    ):
        assert contrast(theme[part][key], background) >= 7
        assert contrast(theme[part][key], other) < 4.5


def test_both_themes_colour_the_same_parts():
    def parts(theme):
        return {(key, *(inner if isinstance(inner, dict) else [])) for key, inner in theme.items()}

    assert parts(LIGHT) == parts(DARK)
