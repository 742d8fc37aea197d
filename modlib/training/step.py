"""The arrays of a stack in training, and steps of Adam on all of its networks."""

import warnings
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam as fused_adam

from modlib.networks import MLPStack
from modlib.training.cuda_graph import Recorded


class Trainer:
    """The arrays of a stack in training, and the steps of an epoch on them.

    A group holds the networks of one seed, which read the same batch. Parameters and Adam's moments are
    ``(group, network, out, in)`` and activations ``(group, network, unit, sample)``, so that layer 1 of a
    group is one wide matrix as it stands. The settings are ``l1``, ``l2`` and ``dropout``, of every network.
    """

    def __init__(
        self,
        stack: MLPStack,
        x: Tensor,
        y: Tensor,
        settings: dict[str, Tensor],
        n_groups: int,
        *,
        compile: bool,
    ) -> None:
        self.x, self.y = x, y
        self.settings = {name: value.reshape(n_groups, -1) for name, value in settings.items()}
        self.t = 0
        self.n_layers = len(stack.weights)
        self.widths = stack.widths[1:]
        self.on_gpu = x.device.type == "cuda"
        self.compiled = compile
        self.drops = self.sparse = False
        transposed = [w.mT.clone(memory_format=torch.contiguous_format) for w in stack.weights]
        flat = transposed + [b.clone() for b in stack.biases]
        parameters = [p.view(n_groups, -1, *p.shape[1:]) for p in flat]
        m, v = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self.adopt(parameters, m, v)

    def adopt(self, parameters: list[Tensor], m: list[Tensor], v: list[Tensor]) -> None:
        """Take parameters and Adam's moments; the settings are those of the same networks."""
        self.parameters, self.m, self.v = parameters, m, v
        l1, l2, dropout = (self.settings[name][:, :, None, None] for name in ("l1", "l2", "dropout"))
        # Compiled code stays in use when the last network that drops units or has a penalty leaves.
        self.drops = bool((dropout > 0).any()) or (self.compiled and self.drops)
        self.sparse = bool((l1 > 0).any()) or (self.compiled and self.sparse)
        self.keep = 1 - dropout  # (group, network, 1, 1)
        # The largest gradient has a place of its own, or the system would allocate it anew at every step.
        room = None if self.on_gpu or self.compiled else torch.empty_like(parameters[0])
        arrays = (parameters, m, v, self.keep, 2 * l2, l1 if self.sparse else None, room)
        # `steps` does not refer to this object, so what was recorded for former networks is freed at once.
        steps = partial(_steps, _compiled_update() if self.compiled else _update, self.x, self.y, arrays)
        self.steps = Recorded(steps) if self.on_gpu else steps

    def epoch(self, order: Tensor, batch: int, rate: Tensor, generators: list[torch.Generator]) -> None:
        """Go once through samples in an order (group, sample), at learning rates (group, network).

        Each group has a generator for its dropout.
        """
        n_full = order.shape[1] // batch
        full, rest = order[:, : n_full * batch], order[:, n_full * batch :]
        at_once = _RECORDED if self.on_gpu else 1
        requests = [*full.unflatten(1, (n_full, batch)).transpose(0, 1).split(at_once)] if n_full else []
        requests += [rest[None]] if rest.shape[1] else []

        # Adam's corrections of both moments; a processor's fused kernel takes the second in double precision.
        times = range(self.t + 1, self.t + 1 + sum(map(len, requests)))
        self.t = times[-1]
        number = partial(torch.tensor, device=order.device)
        down = number([1 - 0.9**t for t in times], dtype=rate.dtype)
        precision = self.parameters[0].dtype if self.on_gpu else torch.float64
        root = number([(1 - 0.999**t) ** -0.5 for t in times], dtype=precision)
        first = 0
        for index in requests:  # (step, group, sample)
            some = slice(first, first := first + len(index))
            step = rate[:, :, None, None] / down[some, None, None, None, None]
            self.steps(index, step, root[some], *self._noise(len(index), index.shape[2], generators))

    def _noise(self, n_steps: int, n: int, generators: list[torch.Generator]) -> list[Tensor]:
        """Draw uniform numbers for steps on n samples, (step, group, 1, unit, sample) for each hidden layer.

        The networks of a group share them, and differ in the threshold only. If none drops units, there are
        no numbers.
        """
        if not self.drops:
            return []
        draw = partial(torch.rand, device=self.x.device)
        hidden = self.widths[:-1]
        if self.on_gpu:  # one draw for all steps, since each draw costs a launch
            return [
                torch.stack([draw(n_steps, 1, width, n, generator=g) for g in generators], 1)
                for width in hidden
            ]
        draws = [[draw(1, n, width, generator=g) for width in hidden] for g in generators]
        return [torch.stack(layer).mT.contiguous()[None] for layer in zip(*draws, strict=True)]

    def stack(self) -> MLPStack:
        """Return the parameters in the stack's layout."""
        flat = [p.flatten(0, 1) for p in self.parameters]
        return MLPStack([w.mT for w in flat[: self.n_layers]], flat[self.n_layers :])

    @torch.no_grad()
    def evaluate(self, held_out: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Measure cross-entropy and accuracy on held-out samples (group, sample), both (group, network)."""
        n_groups, n = self.settings["l2"].shape
        losses, hits = torch.zeros(2, n_groups, n, dtype=torch.float64, device=self.x.device)
        for index in held_out.split(1000, dim=1):
            *_, logits = _forward(self.parameters, self.x[index], [], self.keep)
            target = self.y[index][:, None].expand(-1, n, -1)  # (group, network, sample)
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
        """Drop finished networks, so that the next epoch costs less, and return those left, (group, network).

        Groups stay equally large, so a group with fewer networks left keeps some finished ones.
        """
        # Code would be compiled anew for a size of 1.
        left = max(int((~finished[alive]).sum(1).max()), 1 + self.compiled)
        n = alive.shape[1]
        if left > (_WORTH_RECORDING * n if self.on_gpu else n - 1):
            return alive
        rows = np.sort(np.argsort(finished[alive], axis=1, kind="stable")[:, :left], axis=1)
        n_groups = len(alive)
        flat = torch.as_tensor((rows + n * np.arange(n_groups)[:, None]).ravel(), device=self.keep.device)
        self.settings = {
            name: value.reshape(-1)[flat].reshape(n_groups, left) for name, value in self.settings.items()
        }
        self.adopt(
            *(
                [t.flatten(0, 1)[flat].view(n_groups, left, *t.shape[2:]) for t in tensors]
                for tensors in (self.parameters, self.m, self.v)
            )
        )
        return np.take_along_axis(alive, rows, axis=1)


_RECORDED = 10  # steps that a GPU replays at a time
_WORTH_RECORDING = 0.85  # steps are recorded anew once no larger share of the networks is left

Maybe = Tensor | None  # None stands for a penalty that is zero, or for a result that has no place yet
# Parameters and both moments, a list each; the share of units kept, twice l2, and l1, each (group, network,
# 1, 1); the place of the largest gradient.
Arrays = tuple[list[Tensor], list[Tensor], list[Tensor], Tensor, Tensor, Maybe, Maybe]
Update = Callable[[Arrays, Tensor, Tensor, list[Tensor], Tensor, Tensor], None]


def _steps(
    update: Update,
    x: Tensor,
    y: Tensor,
    arrays: Arrays,
    index: Tensor,
    step: Tensor,
    root: Tensor,
    *noise: Tensor,
) -> None:
    """Take batches from all samples, index (step, group, sample), and make a step on each."""
    for i in range(len(index)):
        update(arrays, x[index[i]], y[index[i]], [layer[i] for layer in noise], step[i], root[i])


def _update(arrays: Arrays, x: Tensor, y: Tensor, noise: list[Tensor], step: Tensor, root: Tensor) -> None:
    """Change parameters and moments by a batch, x (group, sample, in), y (group, sample)."""
    parameters, m, v, keep, l2, l1, room = arrays
    gradients = _gradients(parameters, x, y, noise, keep, room)
    in_cache = x.device.type == "cpu" and not torch.compiler.is_compiling()
    for p, g, p_m, p_v in zip(parameters, gradients, m, v, strict=True):
        numbers = (step, root, l2, l1) if p.ndim == 4 else (step[..., 0], root, None, None)  # of biases
        if in_cache:
            adam_in_cache(*(t.flatten(0, 1) for t in (p, g, p_m, p_v)), *map(_flat, numbers))
        else:
            adam(p, g, p_m, p_v, *numbers)


def _flat(t: Maybe) -> Maybe:
    """Flatten (group, network, …) to (network, …)."""
    return t if t is None or t.ndim == 0 else t.flatten(0, 1)


@cache
def _compiled_update() -> Update:
    """Compile a step, for any number of networks in a group."""
    torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    warnings.filterwarnings("ignore", "TensorFloat32")  # which would cost precision
    warnings.filterwarnings("ignore", "\nOnline softmax is disabled")  # which takes next to no time
    compiled = torch.compile(_update)

    def update(arrays: Arrays, x: Tensor, y: Tensor, noise: list[Tensor], step: Tensor, root: Tensor) -> None:
        # One code serves any number of networks. Every other size has a code of its own: a general one,
        # compiled when a second size is met, would round differently, and results would depend on history.
        parameters, m, v, *shared = arrays
        for t in (*parameters, *m, *v, *shared, step):
            if t is not None:
                torch._dynamo.maybe_mark_dynamic(t, 1)
                torch._dynamo.mark_static(t, [0, *range(2, t.ndim)])
        for t in (x, y, *noise):
            torch._dynamo.mark_static(t)
        compiled(arrays, x, y, noise, step, root)

    return update


def _forward(parameters: list[Tensor], x: Tensor, noise: list[Tensor], keep: Tensor) -> list[Tensor]:
    """Give the activations of hidden layers, after dropout, and logits: (group, network, unit, sample)."""
    n_layers = len(parameters) // 2
    weights, biases = parameters[:n_layers], parameters[n_layers:]
    shape = (*keep.shape[:2], -1, x.shape[1])
    # Fused kernels add the biases at no cost; a change in place would prevent that.
    fused = torch.compiler.is_compiling()
    z = wide_product(weights[0].flatten(1, 2), x).view(shape)
    z = z + biases[0][..., None] if fused else z.add_(biases[0][..., None])
    outputs: list[Tensor] = []
    for layer in range(1, n_layers):
        h = z.relu() if fused else z.relu_()
        if noise:  # a unit is kept where noise < keep
            h = _where_positive(keep - noise[layer - 1], h).div_(keep)
        outputs.append(h)
        w, h, b = weights[layer].flatten(0, 1), h.flatten(0, 1), biases[layer].flatten(0, 1)[..., None]
        if fused:
            z = torch.bmm(w, h).view(shape) + biases[layer][..., None]
        else:
            z = torch.baddbmm(b, w, h).view(shape)
    return [*outputs, z]


def _gradients(
    parameters: list[Tensor], x: Tensor, y: Tensor, noise: list[Tensor], keep: Tensor, room: Maybe
) -> list[Tensor]:
    """Compute the gradients of mean cross-entropy, that of layer 1's weights in `room` if it is given."""
    *hidden, logits = _forward(parameters, x, noise, keep)
    d = (logits - logits.amax(2, keepdim=True)).exp_()
    d = d.div_(d.sum(2, keepdim=True))
    classes = torch.arange(logits.shape[2], device=y.device)
    hot = y[:, None, None] == classes[:, None]  # (group, 1, class, sample)
    d = d.sub_(hot.to(d.dtype)).div_(x.shape[1])
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for layer in range(len(hidden), 0, -1):
        h, flat = hidden[layer - 1], d.flatten(0, 1)
        weights.append(torch.bmm(flat, h.flatten(0, 1).mT).view(parameters[layer].shape))
        biases.append(d.sum(3))
        d = _where_positive(h, torch.bmm(parameters[layer].flatten(0, 1).mT, flat).view(h.shape))
        if noise:
            d = d.div_(keep)
    biases.append(d.sum(3))
    wide = wide_product(d.flatten(1, 2), x.mT, room)
    weights.append(wide.view(parameters[0].shape))
    return [*weights[::-1], *biases[::-1]]


def wide_product(a: Tensor, b: Tensor, room: Maybe = None) -> Tensor:
    """Multiply a (group, row, in) by bᵀ, b (group, column, in): layer 1 of all networks of a group.

    Most of the work of training is done here. On processors that are not Intel's, oneDNN, which is part of
    PyTorch, was measured to be twice as fast as MKL, which PyTorch uses by default.
    """
    if room is not None:
        room = room.view(len(a), a.shape[1], b.shape[1])
    if torch.compiler.is_compiling() or not _suits_onednn(a):
        return torch.bmm(a, b.mT, out=room)
    if room is None:
        products = [_onednn(one, other) for one, other in zip(a, b, strict=True)]
        return products[0][None] if len(products) == 1 else torch.stack(products)
    for one, other, result in zip(a, b, room, strict=True):
        for rows, part in zip(one.split(_ROWS), result.split(_ROWS), strict=True):
            part.copy_(_onednn(rows, other))
    return room


def _onednn(a: Tensor, b: Tensor) -> Tensor:
    """Multiply (row, in) by the transpose of (column, in), both dense, by the kernel for linear layers.

    Layers of `torch.nn.functional.linear` go there only if they are converted to oneDNN's own format and
    back, which takes up to half of the time. The product is the same to the last bit.
    """
    return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")  # type: ignore[no-any-return]


_ROWS = 256  # rows of a wide product at a time: they are still in the cache when they are copied


def _suits_onednn(a: Tensor) -> bool:
    return a.device.type == "cpu" and a.dtype == torch.float32 and torch.backends.mkldnn.is_available()


def _where_positive(condition: Tensor, value: Tensor) -> Tensor:
    """Keep `value` where `condition` > 0, by ReLU's backward kernel, thrice as fast as a boolean mask."""
    return torch.ops.aten.threshold_backward(value, condition, 0)  # type: ignore[no-any-return]


def adam(
    p: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Tensor, root: Tensor, l2: Maybe, l1: Maybe
) -> None:
    """Make a step of Adam (Kingma & Ba 2015) in place; the penalties add 2·l2·w and l1·sign(w) to g."""
    add = torch.addcmul if torch.compiler.is_compiling() else Tensor.addcmul_
    if l2 is not None:
        g = add(g, p, l2)
    if l1 is not None:
        g = add(g, p.sign(), l1)
    if p.device.type == "cpu" and not torch.compiler.is_compiling() and p.shape[-1] % _LANES == 0:
        # The fused kernel passes over memory once instead of six times. It rounds the remainder of a row
        # differently, so it is used where rows fill a processor's lanes: a network's place may not matter.
        # It has one rate for all networks and corrects the moments itself. So it is given zeros to change at
        # a rate of 1, and so late a step that its correction is none.
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


def adam_in_cache(
    p: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Tensor, root: Tensor, l2: Maybe, l1: Maybe
) -> None:
    """Do `adam` in pieces that fit a processor's cache, so that six passes over memory become one."""
    if p.ndim < 3 or p.numel() <= AT_ONCE:
        adam(p, g, m, v, step, root, l2, l1)
    elif len(step) == len(p) > 1:  # pieces of whole networks, numbers differing between them
        some = max(1, AT_ONCE // p[0].numel())
        for start in range(0, len(p), some):
            part = slice(start, start + some)
            penalties = (None if t is None else t[part] for t in (l2, l1))
            adam_in_cache(p[part], g[part], m[part], v[part], step[part], root, *penalties)
    else:  # pieces of rows, for which the numbers are the same
        n_rows = max(1, AT_ONCE // p.shape[2])
        for start in range(0, p.shape[1], n_rows):
            rows = (slice(None), slice(start, start + n_rows))
            adam(p[rows], g[rows], m[rows], v[rows], step, root, l2, l1)


AT_ONCE = 2**18  # numbers of a piece; four arrays of them and two temporaries are 6 MB
_LANES = 16  # numbers that a processor handles at once, at the most
