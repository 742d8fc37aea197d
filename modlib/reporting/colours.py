"""The colours of the book, its explorer and reports: upstream measures are blue, downstream ones orange.

Every colour of a mark has a contrast of at least 3:1 (WCAG 2.2, 1.4.11) both with a white page and with a
dark one, so one palette serves both themes, and a picture with it may stand on either.
"""

from modlib.measures import MEASURES

#: Shades of each family's hue: the first two differ in lightness too, for readers who confuse hues.
SHADES = {"upstream": ("#2a62d0", "#1d9bc2", "#7d78d8"), "downstream": ("#bd3f0b", "#c98500", "#a8622e")}
COLOURS = {name: SHADES[measure.family][measure.shade] for name, measure in MEASURES.items()}
GREY = "#7f8794"  # what is compared with: nulls, zero lines, the paper
#: By the families that two measures are of: either, or one of each.
FAMILIES = {"upstream": SHADES["upstream"][0], "downstream": SHADES["downstream"][0], "across": GREY}
#: What belongs to no family, such as experiments; each has a shape as well, and white text is legible on it.
SERIES = ("#8b5fbf", "#1f8054", "#b8447a", "#8a6d1a", "#5d7285")
PURPLE = SERIES[0]  # what belongs to no family and stands alone
#: Text and lines of the two themes. Contrast of `text` and `muted` on the page is above 7:1 (WCAG AAA).
LIGHT = {"text": "#1b2029", "muted": "#454c58", "line": "#8b929e", "grid": "#e4e7ec"}
DARK = {"text": "#e8eaee", "muted": "#b9bfca", "line": "#747c8a", "grid": "#30363f"}
#: The pages that marks stand on: of the book in either theme, and of a report in the dark one.
PAGES = {"light": "#ffffff", "dark": "#121212", "dark report": "#14181f"}
