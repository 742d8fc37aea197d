"""Shared by all tests: every array that enters or leaves modlib is checked against its annotated shape."""

import jaxtyping
import pytest

jaxtyping.install_import_hook("modlib", "beartype.beartype")


@pytest.fixture
def as_a_user():
    """Switch the checks of annotations off, so that bad input meets modlib's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
