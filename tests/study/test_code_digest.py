"""The digest of the code changes with what the code says, and with nothing else."""

import shutil

import pytest

from modlib.study import project
from modlib.study.code_digest import digest_of_code


@pytest.fixture
def package(tmp_path):
    """Give a copy of the package, and a way to change a file of it that gives the digest then."""
    folder = tmp_path / "modlib"
    shutil.copytree(project.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__", "static"))

    def changed(name, before, after):
        path = folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))
        try:
            return digest_of_code.__wrapped__(folder)
        finally:
            path.write_text(text)

    return changed


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("clustering.py", '"""', '"""Changed. '),
        ("clustering.py", "\n\n\n", "\n\n\n# a remark\n\n"),
        ("clustering.py", "class Partition:\n", "class Partition:  # a remark\n"),
        ("networks.py", "import torch\n", "import  torch  # spaced\n"),
        ("bounds.py", "\n\n\n", "\n\n\nNEW = 1\n\n"),
        ("paper/verdicts.py", "\n\n\n", "\n\n\nNEW = 1\n\n"),
    ],
)
def test_what_decides_nothing_leaves_the_digest_of_the_code_alone(package, name, before, after):
    assert package(name, before, after) == digest_of_code()


@pytest.mark.parametrize(
    "name",
    ["clustering.py", "study/shard.py", "networks.py", "training/step.py", "training/cuda_graph.py",
     "_contingency.py", "data/datasets.py", "_checks.py", "comparison.py", "nulls.py", "algorithms.py",
     "measures.py", "training/plateau.py"],
)  # fmt: skip
def test_a_changed_statement_changes_the_digest_of_the_code(package, name):
    assert package(name, "\n\n\n", "\n\n\nNEW = 1\n\n") != digest_of_code()


def test_a_changed_constant_changes_the_digest_of_the_code(package):
    assert package("clustering.py", "resolution: float = 1.0", "resolution: float = 1.1") != digest_of_code()


def test_imports_of_every_form_are_followed(tmp_path):
    sources = {
        "__init__.py": "from toys.unused import nothing",
        "study/__init__.py": "",
        "study/shard.py": "import toys.a\nfrom toys import b\nfrom toys.c import thing\nfrom .. import d",
        "a.py": "def f():\n    from .e import later",
        "b.py": "from toys.study import shard",
        "c.py": "",
        "d.py": "from .wing import g",
        "e.py": "",
        "unused.py": "",
        "wing/__init__.py": "",
        "wing/g.py": "from ..h import thing\nfrom . import i",
        "wing/i.py": "",
        "h.py": "from toys.other import thing",
        "other/__init__.py": "from .k import thing",
        "other/k.py": "",
    }
    folder = tmp_path / "toys"
    for name, source in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    digest = digest_of_code.__wrapped__
    before, followed = digest(folder), set()
    for name, source in sources.items():
        (folder / name).write_text(f"{source}\nx = 1")
        if digest(folder) != before:
            followed.add(name)
        (folder / name).write_text(source)
    assert followed == sources.keys() - {"__init__.py", "study/__init__.py", "unused.py", "wing/__init__.py"}
