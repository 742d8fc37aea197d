"""How long shards will take on this machine, from a few steps of training and one analysis."""

import timeit
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from modlib.nulls import NULLS
from modlib.study.plan import Experiment, Shard
from modlib.study.rows import analyse
from modlib.study.shard import N_CLASSES, initialised
from modlib.study.workers import torch_threads
from modlib.training import Protocol, train

STEPS, HELD_OUT = 10, 100  # of a trial: steps in an epoch, and samples held out


def expected_epochs(protocol: Protocol) -> int:
    """Epochs that a network is expected to train: under early stopping 40, the mean over those of base."""
    return protocol.max_epochs if protocol.stop_after is None else min(40, protocol.max_epochs)


def seconds(
    experiment: Experiment, shards: Sequence[Shard], *, device: str = "cpu", workers: int = 1
) -> float:
    """Estimate the seconds that shards will take here, from a trial with the first of them.

    On a processor more workers than shards do not help. A GPU trains all shards together, and workers share
    their analysis.
    """
    first = next((shard for shard in shards if shard.trained), shards[0])
    with torch_threads(1 if device == "cpu" else None):
        per_step, per_analysis = _trial(experiment, first, device)
    protocol = experiment.protocol
    steps = experiment.train_samples * (1 - protocol.validation) / protocol.batch
    per_network = expected_epochs(protocol) * steps * per_step / len(first)
    training = [shard.trained * len(shard) * per_network for shard in shards]
    per_analysis *= max(1.0, experiment.test_samples / 2000)
    analysis = [per_analysis * _analyses(experiment, shard) for shard in shards]
    if device == "cuda":
        return sum(training) + sum(analysis) / max(1, workers)
    both = [a + b for a, b in zip(training, analysis, strict=True)]
    return max(*both, sum(both) / max(1, workers))


def in_words(seconds: float) -> str:
    """Say a duration in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _analyses(experiment: Experiment, shard: Shard) -> float:
    """How much work the analysis of a shard is, in analyses of one network.

    Each draw of a null is searched with fewer runs than the network itself, and for each draw of one of them
    the images are passed through the network again.
    """
    compared = len(shard.seeds) * sum(s in experiment.null_settings for s in shard.settings)
    per_draw = len(NULLS) * experiment.null_restarts / experiment.restarts + 0.3
    own = len(shard) * (1 + shard.trained * len(experiment.choices))
    return own + compared * experiment.null_draws * per_draw


def _trial(experiment: Experiment, shard: Shard, device: str) -> tuple[float, float]:
    """Measure the seconds of one step with a shard (0 if it is not trained), and of analysing one network."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(STEPS * experiment.protocol.batch + HELD_OUT, 784, generator=generator).to(device)
    y = torch.randint(N_CLASSES, (len(x),), generator=generator).to(device)
    stack, settings = initialised(experiment, shard)
    stack = stack.to(device)
    protocol = replace(experiment.protocol, stop_after=None, validation=HELD_OUT / len(x))

    def train_for(epochs: int) -> None:
        train(stack, x, y, **settings, protocol=replace(protocol, max_epochs=epochs), compile=False)
        if device == "cuda":
            torch.cuda.synchronize()

    def analyse_one() -> None:
        analyse(stack[:1], x[:500], y[:500], ["trial"], restarts=experiment.restarts)

    per_step = 0.0
    if shard.trained:  # the epoch after others: a GPU records in the second what it replays in the third
        warm_up = 1 if device == "cpu" else 2
        train_for(warm_up)
        longer, shorter = (_shortest(partial(train_for, epochs)) for epochs in (warm_up + 1, warm_up))
        per_step = max(0.0, longer - shorter) / STEPS
    if device == "cuda":  # whose libraries take seconds to start
        analyse_one()
    return per_step, _shortest(analyse_one)


def _shortest(run: Callable[[], None]) -> float:
    """Seconds of the quicker of two calls, since the machine may be busy with something else."""
    return min(timeit.repeat(run, repeat=2, number=1))
