"""What `import modlib` loads, and the names that it shows."""

import subprocess
import sys

import modlib

LEFT_OUT = (
    "altair", "click", "dask", "IPython", "modlib.analysis", "modlib.book", "modlib.data", "modlib.paper",
    "modlib.reporting", "modlib.study", "modlib.training", "pandas", "pooch", "pyarrow", "scipy.stats",
)  # fmt: skip


def test_import_loads_the_method_only():
    code = f"import sys, modlib; print(*[name for name in {LEFT_OUT} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_the_package_shows_its_public_names_only():
    assert dir(modlib) == sorted(modlib.__all__)
    assert not [name for name in dir(modlib) if name.startswith("_")]
