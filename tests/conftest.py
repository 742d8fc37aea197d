"""Shared by all tests: every array that enters or leaves modlib is checked against its annotated shape."""

from jaxtyping import install_import_hook

install_import_hook("modlib", "beartype.beartype")
