"""The colours of the book and of reports: upstream measures are blue, downstream measures orange."""

from modlib.measures import MEASURES

#: Shades of each family's hue, told apart by the colour-blind and on white and dark pages.
SHADES = {"upstream": ("#1b6ca8", "#4fb3d9", "#5b7fe0"), "downstream": ("#d95f02", "#f0a04b", "#b5651d")}
COLOURS = {name: SHADES[measure.family][measure.shade] for name, measure in MEASURES.items()}
GREY = "#8a8f98"  # what is compared with: nulls, zero lines, the paper; legible on white and dark pages
#: Text and lines of the two themes. Contrast of `text` and `muted` on the page is above 7:1 (WCAG AAA).
LIGHT = {"text": "#1b2029", "muted": "#454c58", "line": "#8b929e", "grid": "#e4e7ec"}
DARK = {"text": "#e8eaee", "muted": "#b9bfca", "line": "#747c8a", "grid": "#30363f"}
