"""Shared by all tests: every array that enters or leaves modlib is checked against its annotated shape."""

from pathlib import Path

import jaxtyping
import pytest
import torch

jaxtyping.install_import_hook("modlib", "beartype.beartype")

#: Files that take longest, longest first: begun last, one would run on when no other core has work left.
LONGEST = (
    "test_interruptions", "test_browser", "test_notebooks", "test_runner", "test_dask", "test_claims",
    "test_builder",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    def place(item):
        file = Path(item.fspath).stem
        return LONGEST.index(file) if file in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture
def as_a_user():
    """Switch the checks of annotations off, so that bad input meets modlib's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")  # not longer: the next file may need a browser of its own
def browser():
    """Start a Chromium."""
    from benchmarks.browser import chromium  # Playwright takes long to load, and few tests need it

    with chromium() as launched:
        yield launched


@pytest.fixture
def one_thread():
    """Compute as a run on a CPU does: sums in one order, and no threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_addoption(parser):
    """Let tests that compare with a list on record write it anew."""
    parser.addoption("--record", action="store_true", help="write lists that tests keep on record")
