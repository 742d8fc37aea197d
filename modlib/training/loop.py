"""Train a stack of networks at once, each as if it were alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modlib import _checks
from modlib.networks import MLPStack
from modlib.training.plateau import Plateau
from modlib.training.step import Trainer

Progress = Callable[[int, int, float], None]  # epoch, networks still training, median validation accuracy


@dataclass(frozen=True)
class Protocol:
    """How long and at what rate to train, and which weights to keep.

    Attributes
    ----------
    max_epochs
        The most passes over the training part.
    decay
        Factor on a network's learning rate when its validation loss stops improving; 1 keeps it constant.
    patience
        Epochs without improvement, after which the rate falls in the next one (``ReduceLROnPlateau``).
    stop_after
        A network is finished after this many epochs without improvement; ``None`` means never.
    keep
        ``"best"`` keeps the weights of the lowest validation loss, and ``"last"`` those of the last epoch.
    learning_rate, batch, validation
        Adam's step size, the samples in a batch, and the share of the samples that is held out.
    """

    max_epochs: int = 500
    decay: float = 0.25
    patience: int = 3
    stop_after: int | None = 6
    keep: Literal["best", "last"] = "best"
    learning_rate: float = 1e-3
    batch: int = 200
    validation: float = 0.1

    def __post_init__(self) -> None:
        _checks.whole(self.max_epochs, "max_epochs", least=1)
        _checks.real(self.decay, "decay", above=0.0, most=1.0)
        _checks.whole(self.patience, "patience")
        if self.stop_after is not None:
            _checks.whole(self.stop_after, "stop_after", least=1)
        _checks.one_of(self.keep, "keep", ("best", "last"))
        _checks.real(self.learning_rate, "learning_rate", above=0.0)
        _checks.whole(self.batch, "batch", least=1)
        _checks.real(self.validation, "validation", above=0.0, below=1.0)


#: The two protocols of Lange et al.: ``final`` (TMLR 2022) and ``v1`` (arXiv v1, which their figures follow).
PROTOCOLS = {"final": Protocol(), "v1": Protocol(decay=1.0, stop_after=None, keep="last")}


@dataclass(frozen=True)
class Training:
    """Trained networks, in the order in which they were given, and how their training went.

    The loss is the mean cross-entropy (nats, without penalties) of the weights kept, on the held-out part. It
    is inf for a network whose training diverged, or nan where the last weights are kept.
    """

    stack: MLPStack
    epochs: Int[np.ndarray, " network"]  # that each network trained before it was finished
    val_loss: Float[np.ndarray, " network"]
    val_accuracy: Float[np.ndarray, " network"]


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Treat denormal numbers (below 10⁻³⁸ in float32) as zero within the context.

    Weights that no gradient reaches decay to such numbers, and processors are 20 times slower on them.
    """
    before = not bool((torch.full((1,), 1e-40) * 1.0).any())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@denormals_flushed()
def train(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    y: Int[Tensor, " sample"],
    *,
    seeds: Sequence[int],
    l1: Sequence[float] | float = 0.0,
    l2: Sequence[float] | float = 0.0,
    dropout: Sequence[float] | float = 0.0,
    protocol: Protocol | Literal["final", "v1"] = "final",
    compile: bool | Literal["auto"] = "auto",
    progress: Progress | None = None,
) -> Training:
    """Minimise mean cross-entropy + l1·Σ|w| + l2·Σw² of every network with Adam (Lange et al. 2022, sec. 3).

    Networks of one seed share the validation split, the order of the batches and the noise that dropout
    thresholds, so that layer 1 of all of them is one wide matrix product. Each network has a learning rate,
    a stopping time and best weights of its own; finished networks leave the stack.

    Parameters
    ----------
    stack
        Networks as initialised; they are not changed.
    x, y
        Training samples and classes, a part of which is held out for validation.
    seeds
        The seed of each network. Networks of a seed stand together, and every seed has equally many.
    l1, l2
        Penalties on weights (not biases), one number or one per network.
    dropout
        Probability that a hidden unit is silenced, after each ReLU, in [0, 1), one number or one per network.
    compile
        Fuse each step with ``torch.compile``; ``"auto"`` does so on a GPU for runs that are long enough to
        repay the compiling. Where that fails (without a C compiler, for example), training goes on without.
    progress
        Called after every epoch, or every tenth where nothing depends on the validation loss.

    Notes
    -----
    The paper fixes the seed and leaves it open whether networks share the noise of dropout. Here networks of
    one seed do, while each network by itself sees ordinary dropout.
    """
    if isinstance(protocol, str):
        protocol = PROTOCOLS[_checks.one_of(protocol, "protocol", PROTOCOLS)]
    _checks.instance(protocol, "protocol", Protocol)
    _checks.instance(stack, "stack", MLPStack)
    seeds = [_checks.seed(seed, "each of seeds") for seed in _checks.listed(seeds, "seeds")]
    if not isinstance(compile, bool) and compile != "auto":
        raise ValueError(f"compile must be True, False or 'auto', got {_checks.shown(compile)}")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function, got {_checks.shown(progress)}")
    n_groups, settings = _settings(stack, seeds, l1=l1, l2=l2, dropout=dropout)
    y = _checked_classes(stack, x, y, protocol)

    groups = [seeds[g * len(seeds) // n_groups] for g in range(n_groups)]
    batches = [torch.Generator().manual_seed(stream_seed(s, "batches")) for s in groups]
    noise = [torch.Generator(device=x.device).manual_seed(stream_seed(s, "dropout")) for s in groups]
    n_held_out = max(1, round(protocol.validation * len(x)))
    splits = [torch.randperm(len(x), generator=b).to(x.device) for b in batches]
    held_out = torch.stack([s[:n_held_out] for s in splits])  # (group, sample)
    training_part = torch.stack([s[n_held_out:] for s in splits])

    if compile == "auto":
        steps = protocol.max_epochs * training_part.shape[1] // protocol.batch
        compile = x.device.type == "cuda" and protocol.stop_after is None and steps > 30_000
    trainer = Trainer(stack, x, y, settings, n_groups, compile=compile)
    plateau = Plateau(len(stack), protocol.learning_rate, protocol.decay, protocol.patience)
    alive = np.arange(len(stack)).reshape(n_groups, -1)  # numbers of the networks in the trainer
    kept, epochs = stack, np.zeros(len(stack), dtype=np.int64)
    finished = np.zeros(len(stack), dtype=bool)
    val_loss, val_accuracy = np.full(len(stack), np.inf), np.zeros(len(stack))

    def shuffled() -> Tensor:
        order = torch.stack([torch.randperm(training_part.shape[1], generator=b) for b in batches])
        return training_part.gather(1, order.to(x.device))

    order = shuffled()
    for epoch in range(1, protocol.max_epochs + 1):
        rate = torch.as_tensor(plateau.rate[alive], dtype=torch.float32, device=x.device)
        trainer.epoch(order, protocol.batch, rate, noise)
        order = shuffled()  # for the next epoch, while a GPU computes this one

        last = epoch == protocol.max_epochs
        if protocol.keep == "last" and not last and epoch % 10:
            continue  # nothing depends on the validation loss
        loss, accuracy = trainer.evaluate(held_out)
        flat = alive.ravel()
        running = ~finished[flat]
        better = running & (loss.ravel() < val_loss[flat]) if protocol.keep == "best" else running
        if protocol.keep == "best" or last:
            kept = trainer.copy_into(kept, flat, better)
        val_loss[flat[better]] = loss.ravel()[better]
        val_accuracy[flat[better]] = accuracy.ravel()[better]
        epochs[flat[running]] = epoch
        if protocol.keep == "best":
            finished[flat] |= plateau.update(flat, loss.ravel(), protocol.stop_after)
        if progress is not None:
            progress(epoch, int((~finished).sum()), float(np.median(val_accuracy)))
        if finished.all():
            break
        alive = trainer.retire(alive, finished)
    return Training(kept, epochs, val_loss, val_accuracy)


def _settings(
    stack: MLPStack, seeds: Sequence[int], **values: Sequence[float] | float
) -> tuple[int, dict[str, Tensor]]:
    """Check settings, and return the number of seeds and a tensor (network,) for each setting."""
    n, like = len(stack), stack.weights[0]
    if len(seeds) != n:
        raise ValueError(f"seeds must name one seed a network ({n}), got {len(seeds)}")
    distinct = list(dict.fromkeys(seeds))
    size, rest = divmod(n, len(distinct))
    if rest or list(seeds) != [s for s in distinct for _ in range(size)]:
        raise ValueError("networks of one seed must stand together, equally many for every seed")
    tensors = {}
    for name, value in values.items():
        array = _checks.floats(value, name)
        array = np.full(n, array) if array.ndim == 0 else array
        if array.shape != (n,):
            raise ValueError(f"{name} must be one number or one per network ({n}), got shape {array.shape}")
        if not (np.isfinite(array) & (array >= 0)).all():
            raise ValueError(f"{name} must be finite and not negative, got {array.min()}")
        if name == "dropout" and not (array < 1).all():
            raise ValueError(f"dropout must be below 1, got {array.max()}")
        tensors[name] = torch.as_tensor(array, dtype=like.dtype, device=like.device)
    return len(distinct), tensors


def _checked_classes(stack: MLPStack, x: Tensor, y: Tensor, protocol: Protocol) -> Tensor:
    """Check the networks and data, and return the classes as int64."""
    like = stack.weights[0]
    if not all(bool(torch.isfinite(t).all()) for t in (*stack.weights, *stack.biases)):
        raise ValueError("stack must be finite")
    if _checks.tensor(x, "x", like=like).dtype != like.dtype:
        raise TypeError(f"x must be {like.dtype} as the stack is, got {x.dtype}")
    if x.ndim != 2 or x.shape[1] != stack.widths[0]:
        raise ValueError(f"x must be (sample, {stack.widths[0]}), got {tuple(x.shape)}")
    if len(x) - round(protocol.validation * len(x)) < 1 or len(x) < 2:
        raise ValueError(f"x must hold samples to train on and samples to hold out, got {len(x)}")
    if not torch.isfinite(x).all():
        raise ValueError("x must be finite")
    return _checks.classes(y, "y", n_sample=len(x), n_class=stack.widths[-1], like=like)


def stream_seed(seed: int, purpose: Literal["batches", "dropout"]) -> int:
    """Give the seed of an independent stream of random numbers for one purpose."""
    entropy = [seed, {"batches": 1, "dropout": 2}[purpose]]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
