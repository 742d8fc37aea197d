"""Files that every page may need, gathered from installed packages so that no page asks another site."""

import json
import shutil
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import vl_convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from modlib.book.vega import DARK, LIGHT

_STATIC = Path(__file__).parent / "static"
_MATHJAX = ("sphinx-mathjax-offline", "tex-svg-full.js")


def _mathjax() -> Path:
    """Return the one file of MathJax that typesets TeX as SVG, out of the package that carries all of it."""
    package, name = _MATHJAX
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(package) or []:
            if file.name == name:
                return Path(str(file.locate()))
    raise ExtensionError(f"{name} was not found: install {package} (pinned in requirements.txt)")


def _write_vega(path: Path) -> None:
    """Write the chart library and the colours of both themes as one script, unless it is there already."""
    themes = json.dumps({"light": LIGHT, "dark": DARK}, separators=(",", ":"))
    head = f"// vl-convert {metadata.version('vl-convert-python')}\nwindow.modlibThemes={themes};\n"
    if path.is_file() and path.read_text(encoding="utf-8").startswith(head):
        return  # bundling takes two seconds
    bundle = vl_convert.javascript_bundle("window.modlibVega = { embed: vegaEmbed };")
    # The bundle declares one-letter names at the top level, which would clash with other scripts of the page.
    path.write_text(f"{head}(function(){{\n{bundle}\n}})();\n", encoding="utf-8")


def _gather(app: Sphinx, config: Any) -> None:
    """Write the gathered files beside Sphinx's caches and let it copy them into the book."""
    gathered = Path(app.doctreedir) / "modlib-static"
    target = gathered / "modlib"
    shutil.copytree(_STATIC, target, dirs_exist_ok=True)
    shutil.copyfile(_mathjax(), target / "mathjax.js")
    _write_vega(target / "vega.js")
    config.html_static_path = [*config.html_static_path, str(gathered)]
    config.mathjax_path = "modlib/mathjax.js"


def _silence_thebe(app: Sphinx, config: Any) -> None:
    """Disconnect sphinx-thebe, which Jupyter Book always loads.

    Even switched off it writes the address of another site, and the same ``const`` twice, into every page.
    """
    for event in ("env-before-read-docs", "doctree-resolved"):
        listeners = app.events.listeners[event]
        listeners[:] = [one for one in listeners if one.handler.__module__ != "sphinx_thebe"]


def setup(app: Sphinx) -> None:
    """Gather the files once the configuration is known."""
    app.connect("config-inited", _gather)
    app.connect("config-inited", _silence_thebe)
    app.add_css_file("modlib/modlib.css")
    app.add_js_file("modlib/cards.js", defer="defer")
    app.add_js_file("modlib/reachable.js", defer="defer")
    app.add_js_file("modlib/save.js", defer="defer")
    app.add_js_file("modlib/tooltips.js", defer="defer")
