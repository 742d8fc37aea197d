"""What the paper's own figures say, as read off them; see ``results/published/README.md`` for how."""

from functools import cache

import pandas as pd

from modlib.study import project

#: Belongs to the project, like the code: it does not move with ``$MODLIB_RESULTS``.
FOLDER = project.ROOT / "results" / "published"


def q() -> pd.DataFrame:
    """Q by `layer`, `measure`, `normalized`, `regularizer` and `strength`, means over 9 seeds."""
    return _table("q.csv").copy()


def q_untrained() -> pd.DataFrame:
    """Return `mean` and `sd` of Q over untrained networks, by `layer`, `measure` and `normalized`."""
    return _table("q_untrained.csv").copy()


def agreement() -> pd.DataFrame:
    """Element-centric similarity of every two variants, `ecs_trained` and `ecs_untrained`."""
    return _table("alignment.csv").copy()


def accuracy() -> pd.DataFrame:
    """Test accuracy, `test_acc`, by `regularizer` and `strength`; missing where it is off the figure."""
    return _table("accuracy.csv").copy()


@cache
def _table(name: str) -> pd.DataFrame:
    """Read a table once, as claims ask for the same values hundreds of times."""
    return pd.read_csv(project.of_checkout(FOLDER / name))
