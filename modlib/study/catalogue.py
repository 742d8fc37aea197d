"""What is run: experiments by name, each at a scale called its profile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np

from modlib import _checks
from modlib.algorithms import OPTIMISERS
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

    def __post_init__(self) -> None:
        _checks.file_name(self.regularizer, "regularizer")
        for name in ("strength", "l1", "l2"):
            _checks.real(getattr(self, name), name, least=0.0)
        _checks.real(self.dropout, "dropout", least=0.0, below=1.0)


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
class Choice:
    """Another defensible way to look at the same networks: fewer images, or another optimiser of Q.

    Attributes
    ----------
    name
        What tables call it, such as ``"images=300"``.
    images
        So many of the first test images; ``None`` means all that the experiment uses.
    optimiser
        ``"leiden"`` (`modlib.find_modules`) or one of `modlib.algorithms.OPTIMISERS`.
    """

    name: str
    images: int | None = None
    optimiser: str = "leiden"

    def __post_init__(self) -> None:
        _checks.file_name(self.name, "name")
        if self.images is not None:
            _checks.whole(self.images, "images", least=1)
        _checks.one_of(self.optimiser, "optimiser", ("leiden", *OPTIMISERS))


_ENTRIES = {
    "settings": Setting,
    "seeds": object,
    "hidden": object,
    "kept": Setting,
    "null_settings": Setting,
    "choices": Choice,
}
_LEAST = {
    "untrained": 0,
    "train_samples": 2,
    "test_samples": 1,
    "restarts": 1,
    "null_draws": 0,
    "null_restarts": 1,
}


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
    labels
        ``"true"``, or ``"shuffled"``: the training labels in a random order, one for all seeds, so that
        there is nothing to learn but the images one by one.
    null_settings, null_draws, null_restarts
        For the networks of which settings Q is held against nulls, with how many draws of each null, and with
        how many Leiden runs a draw; the network's own Q is found anew with as many.
    choices
        Other ways in which the trained networks are looked at.

    Raises
    ------
    ValueError, TypeError
        If one of them is not allowed.
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
    labels: Literal["true", "shuffled"] = "true"
    null_settings: tuple[Setting, ...] = field(default=())
    null_draws: int = 0
    null_restarts: int = 5
    choices: tuple[Choice, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("name", "profile", "dataset"):
            _checks.file_name(getattr(self, name), name)
        for name, kind in _ENTRIES.items():
            for entry in _checks.instance(getattr(self, name), name, tuple):
                _checks.instance(entry, f"each of {name}", kind)
        if len(set(_checks.wholes(self.seeds, "seeds", most=_checks.MOST_SEED))) < len(self.seeds):
            raise ValueError(f"seeds must differ from each other, got {self.seeds}")
        _checks.wholes(self.hidden, "hidden", least=1)
        _checks.instance(self.protocol, "protocol", Protocol)
        _checks.one_of(self.labels, "labels", ("true", "shuffled"))
        for name, least in _LEAST.items():
            _checks.whole(getattr(self, name), name, least=least)

    @property
    def config(self) -> dict[str, object]:
        """Everything above as plain values, but for newer fields that change nothing (see `_plain`)."""
        found: dict[str, object] = _plain(self)
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()

    @property
    def n_networks(self) -> int:
        """Trained and untrained networks."""
        return len(self.settings) * len(self.seeds) + self.untrained

    def shards(self) -> list[Shard]:
        """Trained networks by the seed, then the untrained networks by the score."""
        trained = [Shard(f"seed-{seed:03d}", (seed,), self.settings, trained=True) for seed in self.seeds]
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


def _plain(value: Any) -> Any:
    """Turn dataclasses into plain values, leaving out newer fields that stand where they were introduced.

    A field that is added to `Experiment`, `Setting`, `Choice` or `Protocol` after results have been stored
    names the value that those results were computed with, and has it for its default at first::

        momentum: float = field(default=0.0, metadata={"introduced_with": 0.0})

    While the field has that value it is not written, so the digests of stored results stay as they are.
    """
    if is_dataclass(value):
        held = {f.name: getattr(value, f.name) for f in fields(value)}
        old = {f.name: f.metadata.get("introduced_with", MISSING) for f in fields(value)}
        return {name: _plain(one) for name, one in held.items() if one != old[name]}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _grid(l2: Iterable[float], l1: Iterable[float], dropout: Iterable[float]) -> tuple[Setting, ...]:
    return (
        *(Setting("l2", s, l2=s) for s in l2),
        *(Setting("l1", s, l1=s) for s in l1),
        *(Setting("dropout", s, dropout=s) for s in dropout),
    )


def _logspace(start: int, stop: int, n: int) -> list[float]:
    """Powers of ten evenly spaced, rounded to six digits so that they are the same on every platform."""
    return [float(f"{10**e:.6g}") for e in np.linspace(start, stop, n)]


PLAIN = Setting("l2", 1e-5)  # next to no regularisation: the weakest L2 of every grid
QUICK_GRID = _grid([1e-5, 1e-4, 1e-3, 1e-2], [1e-5, 1e-4, 1e-3], [0.1, 0.3, 0.5, 0.7])


QUICK_COARSE = _grid([1e-5, 1e-3], [1e-4], [0.1, 0.5])
QUICK_CHOICES = ("images=100", "optimiser=spectral")
QUICK_BY_HEART: dict[str, object] = {
    "settings": (PLAIN, Setting("dropout", 0.3, dropout=0.3)),
    "train_samples": 2_000,
    "protocol": replace(PROTOCOLS["v1"], max_epochs=100),
}


def _dropout(p: float) -> Setting:
    return Setting("dropout", p, dropout=p)


def _both(paper: Experiment, **quick: object) -> dict[str, Experiment]:
    """Give an experiment at both profiles: at full scale, and on two cores in a minute or two.

    The quick one has a third of the images, fewer epochs and seeds, and what `quick` says besides.
    """
    small: dict[str, object] = {
        "seeds": paper.seeds[:3],
        "untrained": min(paper.untrained, 20),
        "train_samples": min(paper.train_samples, 20_000),
        "test_samples": 2_000,
        "restarts": 10,
        "null_settings": (),
        "null_draws": min(paper.null_draws, 19),
        "null_restarts": 3,
        "choices": (),
        "protocol": replace(paper.protocol, max_epochs=20),
    }
    return {"paper": paper, "quick": replace(paper, profile="quick", **(small | quick))}  # type: ignore[arg-type]


def _base() -> Experiment:
    """Lange et al. 2022, sec. 3.1, with the grids of their released code: 270 networks and 100 untrained."""
    settings = _grid(_logspace(-5, -1, 9), _logspace(-5, -2, 7), [round(0.05 * i, 2) for i in range(1, 15)])
    return Experiment(
        "base",
        "paper",
        settings=settings,
        seeds=tuple(range(9)),
        untrained=100,
        protocol=PROTOCOLS["final"],
        kept=(PLAIN, Setting("l1", 1e-3, l1=1e-3), _dropout(0.5)),
    )


def _experiments() -> dict[str, dict[str, Experiment]]:
    base = _base()
    few = (PLAIN, _dropout(0.5))
    some = replace(base, kept=(), null_settings=few, null_draws=39)
    # A third of the levels of the base grid, looked at as closely as can be: all networks held against nulls,
    # and seen by other choices. Many draws in all, hence few runs a draw.
    close_up = replace(
        base,
        name="close-up",
        settings=QUICK_GRID,
        untrained=0,
        kept=(),
        null_settings=QUICK_GRID,
        null_draws=19,
        null_restarts=2,
        choices=(
            *(Choice(f"images={n}", images=n) for n in (100, 1000)),
            *(Choice(f"optimiser={name}", optimiser=name) for name in OPTIMISERS),
        ),
    )
    # Lange et al. 2022: coarser grids for other shapes, and three seeds; nine for wide, as intervals rest on
    # the seeds.
    coarse_grid = _grid(_logspace(-5, -1, 5), _logspace(-5, -2, 4), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    coarse = replace(base, kept=(), settings=coarse_grid, untrained=20)
    # What the nulls say of networks that have learned nothing: how far a layer is from chance by its make.
    newborn = replace(
        base,
        name="untrained",
        settings=(),
        seeds=(),
        untrained=40,
        kept=(),
        null_settings=(UNTRAINED,),
        null_draws=19,
        null_restarts=2,
    )
    quick_newborn = {"untrained": 6, "null_settings": (UNTRAINED,)}
    # Memorising: so few images that the networks can learn labels without rhyme or reason by heart, trained
    # long at a constant rate, since the validation loss has nothing to say.
    by_heart = replace(
        base,
        settings=(PLAIN, _dropout(0.1), _dropout(0.3)),
        protocol=PROTOCOLS["v1"], train_samples=5_000, untrained=0, kept=(),
    )  # fmt: skip
    quick_close_up = {
        "settings": (*few, _dropout(0.3), Setting("l1", 1e-4, l1=1e-4)),
        "null_settings": few,
        "choices": tuple(c for c in close_up.choices if c.name in QUICK_CHOICES),
    }
    quick_coarse = {"settings": QUICK_COARSE, "untrained": 6}
    return {
        "base": _both(base, settings=QUICK_GRID),
        "close-up": _both(close_up, **quick_close_up),
        "base-v1": _both(replace(some, name="base-v1", protocol=PROTOCOLS["v1"]), **quick_coarse),
        "wide": _both(
            replace(coarse, name="wide", hidden=(256, 256)),
            **quick_coarse,
            test_samples=500,
            restarts=5,
        ),
        "deep": _both(replace(coarse, name="deep", hidden=(64,) * 5, seeds=tuple(range(3))), **quick_coarse),
        "fashion": _both(
            replace(some, name="fashion", dataset="fashion_mnist", untrained=40), **quick_coarse
        ),
        "untrained": _both(newborn, **quick_newborn),
        "untrained-fashion": _both(
            replace(newborn, name="untrained-fashion", dataset="fashion_mnist"), **quick_newborn
        ),
        "labels-shuffled": _both(
            replace(by_heart, name="labels-shuffled", labels="shuffled"), **QUICK_BY_HEART
        ),
        "labels-kept": _both(replace(by_heart, name="labels-kept"), **QUICK_BY_HEART),
    }


EXPERIMENTS = _experiments()
PROFILES = ("quick", "paper")


def get(name: str, profile: str) -> Experiment:
    """Return the experiment of that name at that profile.

    Raises
    ------
    ValueError
        If there is none, naming those that there are.
    """
    name = _checks.one_of(name, "experiment", EXPERIMENTS)
    return EXPERIMENTS[name][_checks.one_of(profile, "profile", PROFILES)]
