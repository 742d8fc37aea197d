"""The experiments, each at full scale (``"paper"``) and for some minutes on two cores (``"quick"``)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from modlib import _checks
from modlib.study.plan import UNTRAINED, Choice, Experiment, Setting
from modlib.training import PROTOCOLS

PROFILES = ("quick", "paper")


def _dropout(p: float) -> Setting:
    return Setting("dropout", p, dropout=p)


def _grid(*, l2: Iterable[float], l1: Iterable[float], dropout: Iterable[float]) -> tuple[Setting, ...]:
    """Make a setting for each strength of each regulariser."""
    return (
        *(Setting("l2", s, l2=s) for s in l2),
        *(Setting("l1", s, l1=s) for s in l1),
        *(_dropout(s) for s in dropout),
    )


def _logspace(start: int, stop: int, n: int) -> list[float]:
    """Give evenly spaced powers of ten, rounded to six digits so that no platform's differ."""
    return [float(f"{10**e:.6g}") for e in np.linspace(start, stop, n)]


PLAIN = Setting("l2", 1e-5)  # next to no regularisation: the weakest L2 of every grid
PLAIN_AND_DROPOUT = (PLAIN, _dropout(0.5))
# The grids of the code released by Lange et al. (2022): the fine one is theirs for base, the coarse one for
# other shapes. The rest are parts of these.
FINE = _grid(
    l2=_logspace(-5, -1, 9), l1=_logspace(-5, -2, 7), dropout=[round(0.05 * i, 2) for i in range(1, 15)]
)
COARSE = _grid(l2=_logspace(-5, -1, 5), l1=_logspace(-5, -2, 4), dropout=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
THIRD = _grid(l2=[1e-5, 1e-4, 1e-3, 1e-2], l1=[1e-5, 1e-4, 1e-3], dropout=[0.1, 0.3, 0.5, 0.7])
FEW = _grid(l2=[1e-5, 1e-3], l1=[1e-4], dropout=[0.1, 0.5])
# The levels that claims compare on new seeds: those that were best for a graph on the old ones, with those
# that agreement is compared at, and for base some more on the way, so that the frontier of Q and accuracy can
# be drawn.
COMPARED = {
    "base": _grid(
        l2=[1e-5, 3.16228e-5, 1e-3, 3.16228e-3, 1e-2, 3.16228e-2],
        l1=[3.16228e-4, 1e-3, 3.16228e-3],
        dropout=[0.35, 0.45, 0.6, 0.65, 0.7],
    ),
    "deep": _grid(l2=[1e-5, 1e-4, 1e-3], l1=[1e-5, 1e-4], dropout=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    "fashion": _grid(
        l2=[1e-5, 3.16228e-4, 1e-3, 3.16228e-3, 1e-2],
        l1=[1e-4, 3.16228e-4, 1e-3, 3.16228e-3],
        dropout=[0.1, 0.3, 0.65, 0.7],
    ),
    "wide": _grid(l2=[1e-5, 1e-4, 1e-3, 1e-2], l1=[1e-5, 1e-4, 1e-3], dropout=[0.6]),
}


def _experiment(name: str, *, quick: dict[str, Any], **paper: Any) -> dict[str, Experiment]:
    """Make an experiment at both profiles from its fields at ``"paper"`` and what differs at ``"quick"``.

    Unless `paper` says otherwise, there are nine seeds and the protocol is ``"final"``. Unless `quick` says
    otherwise, that profile has a third of the training and a fifth of the test images, 20 epochs, three
    seeds, 20 untrained networks, a quarter of the restarts (the fewest with which graphs are annealed), and
    neither nulls nor choices.
    """
    shared: dict[str, Any] = {"seeds": tuple(range(9)), "protocol": PROTOCOLS["final"]}
    full = Experiment(name, "paper", **shared | paper)
    smaller: dict[str, Any] = {
        "seeds": full.seeds[:3],
        "untrained": min(full.untrained, 20),
        "train_samples": min(full.train_samples, 20_000),
        "test_samples": 2_000,
        "restarts": 5,
        "null_settings": (),
        "null_draws": min(full.null_draws, 19),
        "null_restarts": 3,
        "choices": (),
        "protocol": replace(full.protocol, max_epochs=20),
    }
    return {"quick": replace(full, profile="quick", **smaller | quick), "paper": full}


# Networks that have learned nothing, compared with nulls: how far from chance the architecture alone is.
NOTHING_LEARNED: dict[str, Any] = {
    "settings": (),
    "seeds": (),
    "untrained": 40,
    "null_settings": (UNTRAINED,),
    "null_draws": 19,
    "null_restarts": 2,  # draws are many, hence few runs for each
    "quick": {"untrained": 6, "null_settings": (UNTRAINED,)},
}
# Memorisation: with shuffled labels there is nothing to learn but single images, so there are few of them.
# Training is long and at a constant rate, since the validation loss cannot guide it.
MEMORISED: dict[str, Any] = {
    "settings": (PLAIN, _dropout(0.1), _dropout(0.3)),
    "untrained": 0,
    "train_samples": 5_000,
    "protocol": PROTOCOLS["v1"],
    "quick": {
        "settings": (PLAIN, _dropout(0.3)),
        "train_samples": 2_000,
        "protocol": replace(PROTOCOLS["v1"], max_epochs=100),
    },
}
_FIELDS: dict[str, dict[str, Any]] = {
    # Lange et al. (2022), sec. 3.1: 270 trained networks and 100 untrained ones.
    "base": {
        "settings": FINE,
        "untrained": 100,
        "kept": (PLAIN, Setting("l1", 1e-3, l1=1e-3), _dropout(0.5)),
        "quick": {"settings": THIRD},
    },
    # A third of the levels of base. All its networks are held against nulls, analysed in other ways, and kept
    # with their weights.
    "close-up": {
        "settings": THIRD,
        "untrained": 0,
        "kept": THIRD,
        "kept_seeds": 9,
        "null_settings": THIRD,
        "null_draws": 19,
        "choices": (
            Choice("images=100", images=100),
            Choice("images=1000", images=1000),
            Choice("optimiser=leiden-once", optimiser="leiden-once"),
            Choice("optimiser=louvain", optimiser="louvain"),
            Choice("optimiser=spectral", optimiser="spectral"),
            Choice("optimiser=monte-carlo", optimiser="monte-carlo"),
        ),
        "quick": {
            "settings": (*PLAIN_AND_DROPOUT, _dropout(0.3), Setting("l1", 1e-4, l1=1e-4)),
            "kept": PLAIN_AND_DROPOUT,
            "null_settings": PLAIN_AND_DROPOUT,
            "choices": (Choice("images=100", images=100), Choice("optimiser=spectral", optimiser="spectral")),
        },
    },
    # The protocol of the paper's first version on arXiv: 500 epochs at a constant rate.
    "base-v1": {
        "settings": FINE,
        "untrained": 100,
        "protocol": PROTOCOLS["v1"],
        "null_settings": PLAIN_AND_DROPOUT,
        "null_draws": 39,
        "quick": {"settings": FEW, "untrained": 6},
    },
    "wide": {  # with nine seeds and not the paper's three, since intervals rest on the seeds
        "hidden": (256, 256),
        "settings": COARSE,
        "untrained": 20,
        # Graphs of 256 units take long to search: with four restarts nothing is annealed.
        "quick": {"settings": FEW, "untrained": 6, "test_samples": 500, "restarts": 4},
    },
    "deep": {
        "hidden": (64, 64, 64, 64, 64),
        "settings": COARSE,
        "seeds": (0, 1, 2),  # as in the paper
        "untrained": 20,
        "quick": {"settings": FEW, "untrained": 6},
    },
    "fashion": {
        "dataset": "fashion_mnist",
        "settings": FINE,
        "untrained": 40,
        "null_settings": PLAIN_AND_DROPOUT,
        "null_draws": 39,
        "quick": {"settings": FEW, "untrained": 6},
    },
    "untrained": NOTHING_LEARNED,
    # The same on the other data: the networks are the same, but the images that activate them are not.
    "untrained-fashion": {"dataset": "fashion_mnist", **NOTHING_LEARNED},
    "labels-shuffled": {"labels": "shuffled", **MEMORISED},
    "labels-kept": MEMORISED,  # the control, with the true labels
}
# Seeds that had no part in finding the claims (`modlib.paper.new_seeds`): as many as the plan says.
_NEW_SEEDS = {"base": range(9, 69), "deep": range(3, 30), "fashion": range(9, 21), "wide": range(9, 15)}
_FIELDS |= {
    f"{name}-new-seeds": {
        **{field: _FIELDS[name][field] for field in ("hidden", "dataset") if field in _FIELDS[name]},
        "settings": COMPARED[name],
        "seeds": tuple(seeds),
        "untrained": 0,
        "quick": {"settings": (*COMPARED[name][:2], COMPARED[name][-1])},
    }
    for name, seeds in _NEW_SEEDS.items()
}
EXPERIMENTS = {name: _experiment(name, **fields) for name, fields in _FIELDS.items()}


def get(name: str, profile: str) -> Experiment:
    """Return an experiment at a profile; the ValueError for an unknown name lists the known ones."""
    name = _checks.one_of(name, "experiment", EXPERIMENTS)
    return EXPERIMENTS[name][_checks.one_of(profile, "profile", PROFILES)]
