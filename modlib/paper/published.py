"""What the paper's own figures say, as read off them; see ``results/published/README.md`` for how."""

import pandas as pd

from modlib.study import project

#: Belongs to the project, like the code: it does not move with ``$MODLIB_RESULTS``.
FOLDER = project.ROOT / "results" / "published"


def q() -> pd.DataFrame:
    """Q by `layer`, `measure`, `normalized`, `regularizer` and `strength`, means over 9 seeds."""
    return pd.read_csv(project.of_checkout(FOLDER / "q.csv"))


def q_untrained() -> pd.DataFrame:
    """Return `mean` and `sd` of Q over untrained networks, by `layer`, `measure` and `normalized`."""
    return pd.read_csv(project.of_checkout(FOLDER / "q_untrained.csv"))


def agreement() -> pd.DataFrame:
    """Element-centric similarity of every two variants, `ecs_trained` and `ecs_untrained`."""
    return pd.read_csv(project.of_checkout(FOLDER / "alignment.csv"))


def accuracy() -> pd.DataFrame:
    """Test accuracy, `test_acc`, by `regularizer` and `strength`; missing where it is off the figure."""
    return pd.read_csv(project.of_checkout(FOLDER / "accuracy.csv"))
