"""The book: what runs its notebooks, looks up its numbers, draws its charts and renders its pages."""

from modlib import extras

extras.require("modlib.book", "book")
