"""A report on a network of one's own: tables, a page, and graphs for other programs."""

from modlib import extras

extras.require("modlib.reporting", "report")
