"""Train a stack of networks at once, each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim.adam import adam as fused_adam

from modlib import arguments
from modlib.networks import MLPStack
from modlib.schedule import Plateau

Progress = Callable[[int, int, float], None]  # epoch, networks still training, median validation accuracy


@dataclass(frozen=True)
class Protocol:
    """How long and at what rate to train, and which weights to keep.

    Attributes
    ----------
    max_epochs
        Passes over the training part.
    decay
        Factor on a network's learning rate when its validation loss stops improving; 1 keeps it constant.
    patience
        Epochs without improvement that are borne before the rate falls (``ReduceLROnPlateau``'s meaning:
        the rate falls in the epoch after them).
    stop_after
        A network is finished after this many epochs without improvement; ``None`` means never.
    keep
        ``"best"``: the weights of the lowest validation loss; ``"last"``: those of the last epoch.
    learning_rate, batch, validation
        Adam's step size, samples a batch, and the part of the training data that is held out.

    Raises
    ------
    ValueError, TypeError
        If one of them is not allowed.
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
        arguments.whole(self.max_epochs, "max_epochs", least=1)
        arguments.real(self.decay, "decay", above=0.0, most=1.0)
        arguments.whole(self.patience, "patience")
        if self.stop_after is not None:
            arguments.whole(self.stop_after, "stop_after", least=1)
        arguments.one_of(self.keep, "keep", ("best", "last"))
        arguments.real(self.learning_rate, "learning_rate", above=0.0)
        arguments.whole(self.batch, "batch", least=1)
        arguments.real(self.validation, "validation", above=0.0, below=1.0)


#: The two protocols of Lange et al.: ``final`` (TMLR 2022) and ``v1`` (arXiv v1, which their figures follow).
PROTOCOLS = {
    "final": Protocol(),
    "v1": Protocol(decay=1.0, stop_after=None, keep="last"),
}


@dataclass(frozen=True)
class Training:
    """What training gives.

    Attributes
    ----------
    stack
        The trained networks, in the order in which they were given.
    epochs
        Epochs that each network trained before it was finished, ``(network,)``.
    val_loss, val_accuracy
        Mean cross-entropy (nats, without penalties) and accuracy on the held-out part, of the weights kept;
        inf (or nan, where the last are kept) for a network that came to nothing, as at a rate far too high.
    """

    stack: MLPStack
    epochs: Int[np.ndarray, " network"]
    val_loss: Float[np.ndarray, " network"]
    val_accuracy: Float[np.ndarray, " network"]


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Treat the tiniest numbers (below 10⁻³⁸ in float32) as zero within, as long as it lasts.

    Weights that no gradient reaches decay into them, and processors are 20 times slower there.
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
        Networks as initialised; left as they are.
    x, y
        Training samples and classes; a part of them is held out for validation.
    seeds
        The seed of each network. Networks of a seed stand together, and every seed has equally many.
    l1, l2
        Penalties on weights (not biases), one number or one per network.
    dropout
        Probability that a hidden unit is silenced, after each ReLU, in [0, 1), one number or one per network.
    protocol
        ``"final"``, ``"v1"`` or a `Protocol`.
    compile
        Fuse each step with ``torch.compile``; ``"auto"`` does so on a GPU for runs that are long enough to
        repay the compiling. Where compiling fails (no C compiler, say), training goes on without.
    progress
        Called after every epoch.

    Returns
    -------
    Training

    Raises
    ------
    ValueError
        If a setting is out of range or does not fit the stack.
    TypeError
        If an argument is of another kind.

    Notes
    -----
    Networks of one seed see the same dropout noise; the paper fixes the seed and leaves the sharing of noise
    to its generator. Each network by itself sees ordinary dropout.
    """
    plan = _resolve(protocol)
    arguments.instance(stack, "stack", MLPStack)
    seeds = [arguments.seed(seed, "each of seeds") for seed in arguments.listed(seeds, "seeds")]
    if not isinstance(compile, bool) and compile != "auto":
        raise ValueError(f"compile must be True, False or 'auto', got {arguments.shown(compile)}")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function, got {arguments.shown(progress)}")
    n_groups, settings = _settings(stack, seeds, l1=l1, l2=l2, dropout=dropout)
    y = _checked_classes(stack, x, y, plan)

    groups = [seeds[g * len(seeds) // n_groups] for g in range(n_groups)]
    batches = [torch.Generator().manual_seed(_stream(s, "batches")) for s in groups]
    noise = [torch.Generator(device=x.device).manual_seed(_stream(s, "dropout")) for s in groups]
    n_held_out = max(1, round(plan.validation * len(x)))
    splits = [torch.randperm(len(x), generator=b).to(x.device) for b in batches]
    held_out = torch.stack([s[:n_held_out] for s in splits])  # (group, sample)
    training_part = torch.stack([s[n_held_out:] for s in splits])

    if compile == "auto":
        steps = plan.max_epochs * training_part.shape[1] // plan.batch
        compile = x.device.type == "cuda" and plan.stop_after is None and steps > 30_000
    trainer = _Trainer(stack, settings, n_groups, compile=compile)
    plateau = Plateau(len(stack), plan.learning_rate, plan.decay, plan.patience)
    alive = np.arange(len(stack)).reshape(n_groups, -1)  # network numbers of what is still in the trainer
    kept, epochs = stack, np.zeros(len(stack), dtype=np.int64)
    finished = np.zeros(len(stack), dtype=bool)
    val_loss, val_accuracy = np.full(len(stack), np.inf), np.zeros(len(stack))

    for epoch in range(1, plan.max_epochs + 1):
        order = torch.stack([torch.randperm(training_part.shape[1], generator=b) for b in batches])
        order = training_part.gather(1, order.to(x.device))
        rate = torch.as_tensor(plateau.rate[alive], dtype=torch.float32, device=x.device)
        for start in range(0, order.shape[1], plan.batch):
            index = order[:, start : start + plan.batch]
            trainer.step(x[index], y[index], rate, noise)

        last = epoch == plan.max_epochs
        if plan.keep == "last" and not last and epoch % 10:
            continue  # nothing is decided by the validation loss: look at it now and then
        loss, accuracy = trainer.evaluate(x, y, held_out)
        flat = alive.ravel()
        running = ~finished[flat]
        better = running & (loss.ravel() < val_loss[flat]) if plan.keep == "best" else running
        if plan.keep == "best" or last:
            kept = trainer.copy_into(kept, flat, better)
        val_loss[flat[better]] = loss.ravel()[better]
        val_accuracy[flat[better]] = accuracy.ravel()[better]
        epochs[flat[running]] = epoch
        if plan.keep == "best":
            finished[flat] |= plateau.update(flat, loss.ravel(), plan.stop_after)
        if progress is not None:
            progress(epoch, int((~finished).sum()), float(np.median(val_accuracy)))
        if finished.all():
            break
        alive = trainer.retire(alive, finished)
    return Training(kept, epochs, val_loss, val_accuracy)


class _Trainer:
    """The arrays of a stack in training and one step of Adam on all of them.

    Weights are held as ``(group·network, out, in)`` and activations as ``(…, unit, sample)``, so that layer 1
    of all networks of a group, which read the same batch, is one wide matrix as it stands.
    """

    def __init__(self, stack: MLPStack, settings: dict[str, Tensor], n_groups: int, *, compile: bool) -> None:
        self.settings = {name: value.reshape(n_groups, -1) for name, value in settings.items()}
        self.t = 0
        self.n_layers = len(stack.weights)
        self.widths = stack.widths[1:]
        self.on_gpu = stack.weights[0].device.type == "cuda"  # where pieces would cost a launch each
        self.compiled = compile
        self.gradients, self.adam = _gradients, _adam if self.on_gpu else _adam_in_cache
        if compile:
            torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
            self.gradients = torch.compile(_gradients, dynamic=True)
            self.adam = torch.compile(_adam, dynamic=True)
        transposed = [w.mT.clone(memory_format=torch.contiguous_format) for w in stack.weights]
        parameters = transposed + [b.clone() for b in stack.biases]
        m, v = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self.adopt(parameters, m, v)

    def adopt(self, parameters: list[Tensor], m: list[Tensor], v: list[Tensor]) -> None:
        """Take parameters and Adam's moments; the settings are those of the same networks."""
        self.parameters, self.m, self.v = parameters, m, v
        self.sparse = bool((self.settings["l1"] > 0).any())
        self.drops = bool((self.settings["dropout"] > 0).any())
        self.keep = 1 - self.settings["dropout"][:, :, None, None]  # (group, network, 1, 1)
        self.l2 = (2 * self.settings["l2"]).reshape(-1, 1, 1)
        self.l1 = self.settings["l1"].reshape(-1, 1, 1)
        # For the largest gradient: a system hands out so much memory page by page, anew at every step.
        self.room = None if self.on_gpu or self.compiled else torch.empty_like(parameters[0])

    def step(self, x: Tensor, y: Tensor, rate: Tensor, generators: list[torch.Generator]) -> None:
        """One step on a batch, x (group, sample, in), y (group, sample), rate (group, network)."""
        self.t += 1
        n_samples = x.shape[1]
        noise = None
        if self.drops:  # shared by the networks of a group, which differ in the threshold only
            shapes = [(1, n_samples, width) for width in self.widths[:-1]]
            draws = [
                [torch.rand(shape, generator=g, device=x.device) for shape in shapes] for g in generators
            ]
            # (group, 1, unit, sample)
            noise = [torch.stack(layer).mT.contiguous() for layer in zip(*draws, strict=True)]
        gradients = self.gradients(self.parameters, x, y, noise, self.keep, self.room)
        step = rate.reshape(-1, 1, 1) / (1 - 0.9**self.t)
        correction = (1 - 0.999**self.t) ** -0.5
        # A plain number that changes every step might be compiled anew in every step.
        root = torch.full((), correction, device=x.device) if self.compiled else correction
        for i, (p, g, m, v) in enumerate(zip(self.parameters, gradients, self.m, self.v, strict=True)):
            if i < self.n_layers:
                self.adam(p, g, m, v, step, root, self.l2, self.l1 if self.sparse else None)
            else:  # biases bear no penalty
                self.adam(p, g, m, v, step[..., 0], root, None, None)

    def stack(self) -> MLPStack:
        """Return the parameters in the stack's layout."""
        return MLPStack([w.mT for w in self.parameters[: self.n_layers]], self.parameters[self.n_layers :])

    @torch.no_grad()
    def evaluate(self, x: Tensor, y: Tensor, held_out: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Cross-entropy and accuracy on held-out samples (group, sample); both (group, network)."""
        n_groups, n = self.settings["l2"].shape
        losses = torch.zeros(n_groups, n, dtype=torch.float64, device=x.device)
        hits = torch.zeros(n_groups, n, dtype=torch.float64, device=x.device)
        for index in held_out.split(1000, dim=1):
            *_, logits = _forward(self.parameters, x[index], None, self.keep)
            target = y[index][:, None].expand(-1, n, -1)  # (group, network, sample)
            picked = logits.gather(2, target[:, :, None])[:, :, 0]
            losses += (logits.logsumexp(2) - picked).double().sum(-1)
            hits += (logits.argmax(2) == target).double().sum(-1)
        n_samples = held_out.shape[1]
        return (losses / n_samples).cpu().numpy(), (hits / n_samples).cpu().numpy()

    def copy_into(self, kept: MLPStack, numbers: np.ndarray, which: np.ndarray) -> MLPStack:
        """Copy the networks marked in `which` to their `numbers` in `kept`."""
        if not which.any():
            return kept
        source = torch.as_tensor(np.flatnonzero(which), device=self.parameters[0].device)
        target = torch.as_tensor(numbers[which], device=self.parameters[0].device)
        now = self.stack()
        return MLPStack(
            *(
                [old.index_copy(0, target, new[source]) for old, new in zip(a, b, strict=True)]
                for a, b in ((kept.weights, now.weights), (kept.biases, now.biases))
            )
        )

    def retire(self, alive: np.ndarray, finished: np.ndarray) -> np.ndarray:
        """Drop finished networks, so that the next epoch costs less; return who is left, (group, network).

        Groups stay equally large: where one has fewer networks left than another, some finished ones stay.
        """
        left = int((~finished[alive]).sum(1).max())
        if left == alive.shape[1]:
            return alive
        rows = np.sort(np.argsort(finished[alive], axis=1, kind="stable")[:, :left], axis=1)
        n_groups, n = alive.shape
        flat = torch.as_tensor((rows + n * np.arange(n_groups)[:, None]).ravel(), device=self.keep.device)
        self.settings = {
            name: value.reshape(-1)[flat].reshape(n_groups, left) for name, value in self.settings.items()
        }
        self.adopt(*([t[flat] for t in tensors] for tensors in (self.parameters, self.m, self.v)))
        return np.take_along_axis(alive, rows, axis=1)


def _forward(parameters: list[Tensor], x: Tensor, noise: list[Tensor] | None, keep: Tensor) -> list[Tensor]:
    """Activations of every hidden layer, after dropout, and logits: (group, network, unit, sample) each."""
    n_groups, n_samples, n_in = x.shape
    n_layers = len(parameters) // 2
    weights, biases = parameters[:n_layers], parameters[n_layers:]
    n = keep.shape[1]
    z = _wide_product(weights[0].view(n_groups, -1, n_in), x).view(n_groups * n, -1, n_samples)
    z = z.add_(biases[0][..., None])
    outputs: list[Tensor] = []
    for layer in range(1, n_layers):
        h = z.relu_().view(n_groups, n, -1, n_samples)
        if noise is not None:  # a unit is kept where noise < keep
            h = _where_positive(keep - noise[layer - 1], h).div_(keep)
        outputs.append(h)
        z = torch.baddbmm(biases[layer][..., None], weights[layer], h.view(n_groups * n, -1, n_samples))
    return [*outputs, z.view(n_groups, n, -1, n_samples)]


def _gradients(
    parameters: list[Tensor],
    x: Tensor,
    y: Tensor,
    noise: list[Tensor] | None,
    keep: Tensor,
    room: Tensor | None,
) -> list[Tensor]:
    """Gradients of mean cross-entropy, written out as a forward and a backward pass.

    That of layer 1's weights is put into `room`, where there is some.
    """
    n_groups, n_samples, _ = x.shape
    n = keep.shape[1]
    *hidden, logits = _forward(parameters, x, noise, keep)
    d = (logits - logits.amax(2, keepdim=True)).exp_()
    d = d.div_(d.sum(2, keepdim=True))
    hot = torch.nn.functional.one_hot(y, logits.shape[2]).to(d.dtype).mT[:, None]  # (group, 1, class, sample)
    d = d.sub_(hot).div_(n_samples)
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for layer in range(len(hidden), 0, -1):
        h = hidden[layer - 1]
        flat = d.view(n_groups * n, -1, n_samples)
        weights.append(torch.bmm(flat, h.view(n_groups * n, -1, n_samples).mT))
        biases.append(flat.sum(2))
        d = _where_positive(h, torch.bmm(parameters[layer].mT, flat).view(h.shape))
        if noise is not None:
            d = d.div_(keep)
    biases.append(d.sum(3).view(n_groups * n, -1))
    wide = _wide_product(d.view(n_groups, -1, n_samples), x.mT, room)
    weights.append(wide.view(parameters[0].shape))
    return [*weights[::-1], *biases[::-1]]


def _wide_product(a: Tensor, b: Tensor, room: Tensor | None = None) -> Tensor:
    """Layer 1 of all networks of a group: a bᵀ of (group, row, in) and (group, column, in).

    Most of the multiplications are here. On a processor PyTorch leaves them to MKL, which does not use all of
    one that is not Intel's; oneDNN, which PyTorch has aboard too, was measured to be twice as fast there.
    """
    if room is not None:
        room = room.view(len(a), a.shape[1], b.shape[1])
    if torch.compiler.is_compiling() or not _suits_onednn(a):
        return torch.bmm(a, b.mT, out=room)
    product = a.new_empty(len(a), a.shape[1], b.shape[1]) if room is None else room
    for one, other, result in zip(a, b, product, strict=True):
        columns = other.to_mkldnn()
        for rows, part in zip(one.split(_ROWS), result.split(_ROWS), strict=True):
            part.copy_(torch.nn.functional.linear(rows.to_mkldnn(), columns).to_dense())
    return product


_ROWS = 256  # of a wide product at a time; what is copied is then still in the cache


def _suits_onednn(a: Tensor) -> bool:
    return a.device.type == "cpu" and a.dtype == torch.float32 and torch.backends.mkldnn.is_available()


def _where_positive(condition: Tensor, value: Tensor) -> Tensor:
    """`value` where `condition` > 0, else 0: ReLU's own backward kernel, thrice as fast as a boolean mask."""
    return torch.ops.aten.threshold_backward(value, condition, 0)  # type: ignore[no-any-return]


def _adam(
    p: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    step: Tensor,
    root: float | Tensor,
    l2: Tensor | None,
    l1: Tensor | None,
) -> None:
    """Adam (Kingma & Ba 2015) in place, the penalties' gradients 2·l2·w and l1·sign(w) added to g."""
    if l2 is not None:
        g = g.addcmul_(p, l2)
    if l1 is not None:
        g = g.addcmul_(p.sign(), l1)
    if p.device.type == "cpu" and not torch.compiler.is_compiling() and p.shape[-1] % _LANES == 0:
        # One pass over memory instead of six, for rows that fill a processor's lanes: the kernel rounds
        # what is left over at the end otherwise, and which network is at the end must not matter. It has
        # one rate for all and makes the corrections itself: it is given zeros to change, at a rate of 1,
        # and so late a step that there is none to make.
        change, late = torch.zeros_like(p), torch.full((), 1e9)
        fused_adam(
            [change], [g], [m], [v], [], [late], fused=True, lr=1.0, beta1=0.9, beta2=0.999,
            eps=float(1e-8 / root), weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip
        p.addcmul_(change, step / root)
        return
    m.lerp_(g, 0.1)
    v.mul_(0.999).addcmul_(g, g, value=0.001)
    p.addcdiv_(m * (step / root), v.sqrt().add_(1e-8 / root), value=-1)


def _adam_in_cache(
    p: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    step: Tensor,
    root: float | Tensor,
    l2: Tensor | None,
    l1: Tensor | None,
) -> None:
    """`_adam` in pieces that fit a processor's cache: half a dozen passes over memory become one."""
    if p.ndim < 3 or p.numel() <= _IN_CACHE:
        _adam(p, g, m, v, step, root, l2, l1)
    elif len(step) == len(p) > 1:  # pieces of whole networks, numbers differing between them
        some = max(1, _IN_CACHE // p[0].numel())
        for start in range(0, len(p), some):
            part = slice(start, start + some)
            _adam_in_cache(
                p[part], g[part], m[part], v[part], step[part], root,
                None if l2 is None else l2[part], None if l1 is None else l1[part],
            )  # fmt: skip
    else:  # pieces of rows: the numbers serve all
        n_rows = max(1, _IN_CACHE // p.shape[2])
        for start in range(0, p.shape[1], n_rows):
            rows = (slice(None), slice(start, start + n_rows))
            _adam(p[rows], g[rows], m[rows], v[rows], step, root, l2, l1)


_IN_CACHE = 2**18  # numbers; four arrays of them and two temporaries are 6 MB
_LANES = 16  # numbers that a processor handles at once, at the most


def _resolve(protocol: Protocol | str) -> Protocol:
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {sorted(PROTOCOLS)} or a Protocol, got {protocol!r}")
        return PROTOCOLS[protocol]
    arguments.instance(protocol, "protocol", Protocol)
    return replace(protocol)


def _settings(
    stack: MLPStack, seeds: Sequence[int], **values: Sequence[float] | float
) -> tuple[int, dict[str, Tensor]]:
    """Check settings; return the number of seeds and one tensor (network,) a setting."""
    n = len(stack)
    if len(seeds) != n:
        raise ValueError(f"seeds must name one seed a network ({n}), got {len(seeds)}")
    distinct = list(dict.fromkeys(seeds))
    size, rest = divmod(n, len(distinct))
    if rest or list(seeds) != [s for s in distinct for _ in range(size)]:
        raise ValueError("networks of one seed must stand together, equally many for every seed")
    tensors = {}
    for name, value in values.items():
        array = arguments.floats(value, name)
        array = np.full(n, array) if array.ndim == 0 else array
        if array.shape != (n,):
            raise ValueError(f"{name} must be one number or one per network ({n}), got shape {array.shape}")
        if not (np.isfinite(array) & (array >= 0)).all():
            raise ValueError(f"{name} must be finite and not negative, got {array.min()}")
        if name == "dropout" and not (array < 1).all():
            raise ValueError(f"dropout must be below 1, got {array.max()}")
        tensors[name] = torch.as_tensor(array, dtype=stack.weights[0].dtype, device=stack.weights[0].device)
    return len(distinct), tensors


def _checked_classes(stack: MLPStack, x: Tensor, y: Tensor, plan: Protocol) -> Tensor:
    """Check all data, and return the classes as int64."""
    like = stack.weights[0]
    if not all(bool(torch.isfinite(t).all()) for t in (*stack.weights, *stack.biases)):
        raise ValueError("stack must be finite")
    if arguments.tensor(x, "x", like=like).dtype != like.dtype:
        raise TypeError(f"x must be {like.dtype} as the stack is, got {x.dtype}")
    if x.ndim != 2 or x.shape[1] != stack.widths[0]:
        raise ValueError(f"x must be (sample, {stack.widths[0]}), got {tuple(x.shape)}")
    if len(x) - round(plan.validation * len(x)) < 1 or len(x) < 2:
        raise ValueError(f"x must hold samples to train on and samples to hold out, got {len(x)}")
    if not torch.isfinite(x).all():
        raise ValueError("x must be finite")
    return arguments.classes(y, "y", n_sample=len(x), n_class=stack.widths[-1], like=like)


def _stream(seed: int, purpose: Literal["batches", "dropout"]) -> int:
    """Seed of an independent stream of random numbers for one purpose."""
    entropy = [seed, {"batches": 1, "dropout": 2}[purpose]]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
