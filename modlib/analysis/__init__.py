"""From the similarities of a layer to tables: what experiments and reports have in common."""

from modlib import extras

extras.require("modlib.analysis", "report")
