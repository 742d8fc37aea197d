"""An experiment of a second, run in whatever way a test likes, and whether its tables are the same."""

import pytest

from modlib.study import catalogue, runner, schema
from modlib.study.plan import Choice, Experiment, Setting
from modlib.training import Protocol

SETTINGS = (
    Setting("l2", 1e-3, l2=1e-3),
    Setting("l1", 1e-4, l1=1e-4),
    Setting("dropout", 0.25, dropout=0.25),
)
TINY = Experiment(
    "tiny",
    "quick",
    settings=SETTINGS,
    seeds=(4, 7),
    untrained=3,
    protocol=Protocol(max_epochs=2, batch=50),
    hidden=(8, 8),
    train_samples=400,
    test_samples=200,
    kept=(SETTINGS[2],),
    restarts=2,
    null_settings=SETTINGS[2:],
    null_draws=2,
    null_restarts=1,
    choices=(Choice("images=50", images=50), Choice("optimiser=spectral", optimiser="spectral")),
)
SHARDS = ["seed-004", "seed-007", "untrained-000"]
TABLES = [*(f"{name}.parquet" for name in schema.TABLES), "weights.npz"]


def run_in_one_go(root):
    """Run it in this process, and return the folder of its tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODLIB_RESULTS", str(root))
        patch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": TINY, "paper": TINY})
        runner.run("tiny", device="cpu", workers=0)
    return root / "tiny-quick"


def shards_in(folder):
    return sorted(path.stem for path in folder.rglob("*.zip") if not path.stem.endswith(".trained"))


def copy_shards(source, target, names):
    """Put some finished shards where a run into `target` looks for them."""
    for name in names:
        path = next(source.rglob(f"{name}.zip"))
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def assert_same_tables(folder, expected):
    for name in TABLES:  # one by one: the difference of two binary files is no message
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
