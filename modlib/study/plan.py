"""What an experiment is: a grid of networks, how they are trained and how they are analysed.

An experiment is cut into shards, each of which is trained together and stored in one file. Its configuration,
as plain values, decides every number in its tables; the digest of the configuration names its results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, Literal

from modlib import _checks
from modlib.algorithms import OPTIMISERS
from modlib.training import Protocol

WEIGHT_DECAY = 1e-5  # every network that is trained with L1 or dropout carries this much L2 as well


@dataclass(frozen=True)
class Setting:
    """How one network is regularised: what is varied, its value, and all three penalties in force.

    The regulariser is ``"l2"``, ``"l1"``, ``"dropout"``, or ``"none"`` for untrained networks.
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

    def network_name(self, seed: int) -> str:
        """Name the network of this setting and a seed, such as ``dropout=0.5,seed=3``."""
        if self.regularizer == "none":
            return f"untrained,seed={seed}"
        return f"{self.regularizer}={self.strength:g},seed={seed}"


UNTRAINED = Setting("none", 0.0, l2=0.0)


@dataclass(frozen=True)
class Shard:
    """The part of an experiment that is trained together and stored in one file, whole or not at all."""

    name: str
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    trained: bool

    def __len__(self) -> int:
        return len(self.seeds) * len(self.settings)

    @property
    def networks(self) -> list[tuple[int, Setting]]:
        """Seed and setting of every network, in order."""
        return [(seed, setting) for seed in self.seeds for setting in self.settings]


@dataclass(frozen=True)
class Choice:
    """Another defensible way to analyse the same networks: fewer images, or another search for modules.

    Tables know it by its name, such as ``"images=300"``. As many of the first test images are used, or with
    ``None`` all that the experiment uses. The optimiser is ``"leiden"`` (`modlib.find_modules`) or one of
    `modlib.algorithms.OPTIMISERS`.
    """

    name: str
    images: int | None = None
    optimiser: str = "leiden"

    def __post_init__(self) -> None:
        _checks.file_name(self.name, "name")
        if self.images is not None:
            _checks.whole(self.images, "images", least=1)
        _checks.one_of(self.optimiser, "optimiser", ("leiden", *OPTIMISERS))


_ENTRIES: dict[str, type] = {
    "settings": Setting,
    "kept": Setting,
    "null_settings": Setting,
    "choices": Choice,
}
_LEAST = {
    "untrained": 0, "null_draws": 0, "kept_seeds": 1, "test_samples": 2, "restarts": 1, "null_restarts": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """A grid of networks and how they are analysed: everything that decides the numbers in its tables.

    Attributes
    ----------
    name, profile
        What `modlib.study.catalogue.get` knows it by.
    dataset, train_samples, test_samples
        Name of the data, and how many of its first training and test images are used.
    hidden
        Units of each hidden layer.
    settings, seeds
        Every setting is trained with every seed.
    untrained
        How many networks are analysed as initialised; their seeds count from 0.
    kept, kept_seeds
        The settings whose networks are stored with their weights, and for how many of the first seeds. One
        untrained network is stored besides.
    restarts
        Leiden runs for each graph.
    labels
        ``"true"``, or ``"shuffled"``: the training labels are permuted, in the same way for all seeds, so
        that a network can learn them only by memorising single images.
    null_settings, null_draws, null_restarts
        The settings whose networks' Q is compared with nulls, the draws of each null, and the Leiden runs for
        each draw. The network's own Q is found anew with as many runs.
    choices
        Other ways in which the trained networks are analysed.
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
    kept: tuple[Setting, ...] = ()
    kept_seeds: int = field(default=1, metadata={"introduced_with": 1})
    restarts: int = 20
    labels: Literal["true", "shuffled"] = "true"
    null_settings: tuple[Setting, ...] = ()
    null_draws: int = 0
    null_restarts: int = 5
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        for name in ("name", "profile", "dataset"):
            _checks.file_name(getattr(self, name), name)
        for name, kind in {"seeds": object, "hidden": object, **_ENTRIES}.items():
            for entry in _checks.instance(getattr(self, name), name, tuple):
                _checks.instance(entry, f"each of {name}", kind)
        if len(set(_checks.wholes(self.seeds, "seeds", most=_checks.MOST_SEED))) < len(self.seeds):
            raise ValueError(f"seeds must differ from each other, got {self.seeds}")
        _checks.wholes(self.hidden, "hidden", least=1)
        _checks.instance(self.protocol, "protocol", Protocol)
        _checks.one_of(self.labels, "labels", ("true", "shuffled"))
        _checks.whole(self.train_samples, "train_samples", least=2)
        for name, least in _LEAST.items():
            _checks.whole(getattr(self, name), name, least=least)

    @property
    def config(self) -> dict[str, Any]:
        """The fields as plain values, without newer fields that change nothing (see `_plain`)."""
        found: dict[str, Any] = _plain(self)
        return found

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Experiment:
        """Make an experiment of its `config`; a field that is not written there has its default."""
        found: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in config.items()}
        for name, kind in _ENTRIES.items():
            found[name] = tuple(kind(**values) for values in config[name])
        return cls(**found | {"protocol": Protocol(**config["protocol"])})

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()

    @property
    def n_networks(self) -> int:
        """Trained and untrained networks together."""
        return len(self.settings) * len(self.seeds) + self.untrained

    def shards(self, device: str = "cpu") -> list[Shard]:
        """Cut the experiment into shards: one for each seed, then the untrained networks by the score.

        Another device rounds otherwise than a processor. Its shards have other names, so that the two are
        never mixed.
        """
        prefix = "" if device == "cpu" else f"{device}-"
        trained = [Shard(f"{prefix}seed-{n:03d}", (n,), self.settings, trained=True) for n in self.seeds]
        seeds = [tuple(range(self.untrained))[i : i + 20] for i in range(0, self.untrained, 20)]
        return trained + [
            Shard(f"{prefix}untrained-{some[0]:03d}", some, (UNTRAINED,), trained=False) for some in seeds
        ]


def _plain(value: Any) -> Any:
    """Turn dataclasses into plain values, without newer fields that have the value of their introduction.

    A field that is added to `Experiment`, `Setting`, `Choice` or `Protocol` after results have been stored
    names the value that those results were computed with, which is its default at first::

        momentum: float = field(default=0.0, metadata={"introduced_with": 0.0})

    While the field has that value it is not written, so the digests of stored results stay as they are.
    """
    if is_dataclass(value):
        introduced_with = {f.name: f.metadata.get("introduced_with", MISSING) for f in fields(value)}
        present = {name: getattr(value, name) for name in introduced_with}
        return {name: _plain(held) for name, held in present.items() if held != introduced_with[name]}
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
