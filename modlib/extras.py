"""Packages that only parts of modlib need, and the error that says which extra brings them."""

from importlib.util import find_spec

REPORT = ("click", "jinja2", "pandas", "pyarrow", "tqdm")
BOUND = ("highspy",)
STUDY = (*REPORT, "pooch", "threadpoolctl")
#: What each extra of ``pyproject.toml`` brings, by the names that are imported.
EXTRAS = {
    "report": REPORT,
    "bound": BOUND,
    "study": STUDY,
    "cluster": (*STUDY, "dask", "distributed"),
    "book": (
        *STUDY, *BOUND, "IPython", "altair", "docutils", "ipykernel", "jupyter_book", "markdown_it",
        "mdit_py_plugins", "myst_nb", "nbformat", "numpydoc", "papermill", "psutil", "pybtex", "pypdf",
        "sphinx", "sphinx_exercise", "sphinx_external_toc", "sphinx-mathjax-offline", "vl_convert",
    ),
}  # fmt: skip


class MissingExtraError(ImportError):
    """A part of modlib was asked for whose extra is not installed; the message names both."""


def require(what: str, extra: str, *packages: str) -> None:
    """Raise a MissingExtraError unless the packages of an extra, or those named, are installed.

    Nothing is imported, so it costs little to ask before a long computation.
    """
    if message := missing(what, extra, *packages):
        raise MissingExtraError(message)


def missing(what: str, extra: str, *packages: str) -> str:
    """Say which packages of an extra, or of those named, are not installed; nothing if all are."""
    absent = ", ".join(name for name in packages or EXTRAS[extra] if find_spec(name) is None)
    if not absent:
        return ""
    return f"{what} needs {absent}, which the extra {extra!r} brings: pip install 'modlib[{extra}]'"
