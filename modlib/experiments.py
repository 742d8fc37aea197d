"""What is run: experiments by name, each at a scale called its profile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from modlib.training import PROTOCOLS, Protocol

WEIGHT_DECAY = 1e-5  # every network with L1 or dropout carries this much L2


@dataclass(frozen=True)
class Setting:
    """How one network is regularised.

    Attributes
    ----------
    regularizer
        What is varied: ``"l2"``, ``"l1"``, ``"dropout"``, or ``"none"`` for untrained networks.
    strength
        The value of what is varied.
    l1, l2, dropout
        All three penalties in force.
    """

    regularizer: str
    strength: float
    l1: float = 0.0
    l2: float = WEIGHT_DECAY
    dropout: float = 0.0


UNTRAINED = Setting("none", 0.0, l2=0.0)


@dataclass(frozen=True)
class Shard:
    """The piece of an experiment that is trained together, kept in one file and never half done."""

    name: str
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    trained: bool

    def __len__(self) -> int:
        return len(self.seeds) * len(self.settings)


@dataclass(frozen=True)
class Experiment:
    """A grid of networks and how they are looked at; everything that decides the numbers in its tables.

    Attributes
    ----------
    name, profile
        What `get` knows it by.
    dataset, train_samples, test_samples
        Name of the data; how many of its training and test images are used (the first so many).
    hidden
        Units of each hidden layer.
    protocol
        How the networks are trained.
    settings, seeds
        Every setting is trained with every seed.
    untrained
        So many networks are looked at as initialised, seeds counting from 0.
    kept
        Settings whose networks of the first seed are kept with their weights, besides one untrained network.
    restarts
        Leiden runs a graph.
    """

    name: str
    profile: str
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    untrained: int
    protocol: Protocol
    dataset: str = "mnist"
    hidden: tuple[int, ...] = (64, 64)
    train_samples: int = 60_000
    test_samples: int = 10_000
    kept: tuple[Setting, ...] = field(default=())
    restarts: int = 20

    @property
    def config(self) -> dict[str, object]:
        """Everything above as plain values."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def n_networks(self) -> int:
        """Trained and untrained networks."""
        return len(self.settings) * len(self.seeds) + self.untrained

    def shards(self, *, seeds_at_once: int = 1) -> list[Shard]:
        """Trained networks by the seed, or by several of them, then the untrained networks by the score."""
        cuts = range(0, len(self.seeds), seeds_at_once)
        groups = [self.seeds[cut : cut + seeds_at_once] for cut in cuts]
        trained = [
            Shard("seed-" + "-".join(f"{s:03d}" for s in seeds), seeds, self.settings, trained=True)
            for seeds in groups
        ]
        untrained = [
            Shard(
                f"untrained-{start:03d}",
                tuple(range(start, min(start + 20, self.untrained))),
                (UNTRAINED,),
                trained=False,
            )
            for start in range(0, self.untrained, 20)
        ]
        return trained + untrained


def _grid(l2: Iterable[float], l1: Iterable[float], dropout: Iterable[float]) -> tuple[Setting, ...]:
    return (
        *(Setting("l2", s, l2=s) for s in l2),
        *(Setting("l1", s, l1=s) for s in l1),
        *(Setting("dropout", s, dropout=s) for s in dropout),
    )


def _logspace(start: int, stop: int, n: int) -> list[float]:
    """Powers of ten evenly spaced, rounded to six digits so that they are the same on every platform."""
    return [float(f"{10**e:.6g}") for e in np.linspace(start, stop, n)]


def _base(name: str, protocol: Protocol) -> dict[str, Experiment]:
    """Lange et al. 2022, sec. 3.1, with the grids of their released code: 270 networks and 100 untrained."""
    settings = _grid(_logspace(-5, -1, 9), _logspace(-5, -2, 7), [round(0.05 * i, 2) for i in range(1, 15)])
    paper = Experiment(
        name,
        "paper",
        settings=settings,
        seeds=tuple(range(9)),
        untrained=100,
        protocol=protocol,
        kept=(Setting("l2", 1e-5), Setting("l1", 1e-3, l1=1e-3), Setting("dropout", 0.5, dropout=0.5)),
    )
    # The same question on two cores in a minute or two: a coarser grid, a third of the images, fewer epochs.
    quick = replace(
        paper,
        profile="quick",
        settings=_grid([1e-5, 1e-4, 1e-3, 1e-2], [1e-5, 1e-4, 1e-3], [0.1, 0.3, 0.5, 0.7]),
        seeds=(0, 1, 2),
        untrained=20,
        protocol=replace(protocol, max_epochs=20),
        train_samples=20_000,
        test_samples=2_000,
        restarts=10,
    )
    return {"paper": paper, "quick": quick}


EXPERIMENTS = {
    "base": _base("base", PROTOCOLS["final"]),
    "base-v1": _base("base-v1", PROTOCOLS["v1"]),
}
PROFILES = ("quick", "paper")


def get(name: str, profile: str) -> Experiment:
    """Return the experiment of that name at that profile.

    Raises
    ------
    ValueError
        If there is none, naming those that there are.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment must be one of {', '.join(EXPERIMENTS)}; got {name!r}")
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}; got {profile!r}")
    return EXPERIMENTS[name][profile]
