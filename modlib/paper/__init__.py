"""Lange, Rolnick and Kording (2022), tested: its published values, its claims, and our verdicts on them."""

from modlib import extras

extras.require("modlib.paper", "study")
