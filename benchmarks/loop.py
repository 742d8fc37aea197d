"""Training one network at a time, as well as PyTorch does it: what the stack is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from modlib.training.loop import Protocol, denormals_flushed, stream_seed

How = Literal["fused", "foreach", "compiled", "graphed"]

#: Ways to run the same loop, by device: which optimiser kernel, and whether the network is compiled or its
#: launches recorded once and replayed (CUDA graphs). The fastest counts; see `benchmarks.training`.
HOWS: dict[str, tuple[How, ...]] = {
    "cpu": ("fused", "foreach", "compiled"),
    "cuda": ("fused", "graphed"),
}


@dataclass(frozen=True)
class Alone:
    """A network trained alone: as a module, epochs, and the validation loss of the weights kept."""

    net: nn.Sequential
    epochs: int
    val_loss: float


class Dropout(nn.Module):
    """Dropout by comparing uniform numbers: on a processor faster than `nn.Dropout`'s Bernoulli numbers."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.keep = 1 - p

    def forward(self, h: Tensor) -> Tensor:
        """Silence units and scale up the rest, while training."""
        return h * ((torch.rand_like(h) < self.keep) * (1 / self.keep)) if self.training else h


@denormals_flushed()
def train_alone(
    widths: list[int],
    x: Tensor,
    y: Tensor,
    *,
    seed: int,
    l1: float = 0.0,
    l2: float = 0.0,
    dropout: float = 0.0,
    protocol: Protocol,
    how: How = "fused",
) -> Alone:
    """Train a network as `modlib.train` would: same weights to start with, same split, same batches.

    The data lie on the device throughout, batches are gathered there; L2 is Adam's own weight decay (the
    gradient 2·l2·w), L1 is added to the gradients in place; gradients are set to ``None``; the loss is read
    once an epoch. Only dropout draws numbers of its own. The weights of the best epoch are kept, whatever
    the protocol says.
    """
    torch.manual_seed(seed)
    net = network(widths, dropout, x.device)
    weights = [m.weight for m in net if isinstance(m, nn.Linear)]
    biases = [m.bias for m in net if isinstance(m, nn.Linear)]
    optimiser = torch.optim.Adam(
        [{"params": weights, "weight_decay": 2 * l2}, {"params": biases}],
        lr=protocol.learning_rate,
        **({"foreach": True} if how == "foreach" else {"fused": True}),
    )
    schedule = ReduceLROnPlateau(optimiser, factor=protocol.decay, patience=protocol.patience) \
        if protocol.decay < 1 else None  # fmt: skip

    batches = torch.Generator().manual_seed(stream_seed(seed, "batches"))
    n_held_out = max(1, round(protocol.validation * len(x)))
    split = torch.randperm(len(x), generator=batches).to(x.device)
    x_val, y_val = x[split[:n_held_out]], y[split[:n_held_out]]
    part = split[n_held_out:]
    forward = _run_by(how, net, x[part[: protocol.batch]])
    cross_entropy = nn.functional.cross_entropy

    parameters = list(net.parameters())
    best = [p.detach().clone() for p in parameters]
    lowest, waited, epochs = float("inf"), 0, 0
    while epochs < protocol.max_epochs and (protocol.stop_after is None or waited < protocol.stop_after):
        epochs += 1
        net.train()
        order = part[torch.randperm(len(part), generator=batches).to(x.device)]
        for index in order.split(protocol.batch):
            optimiser.zero_grad(set_to_none=True)
            cross_entropy(forward(x[index]), y[index]).backward()
            if l1:
                with torch.no_grad():
                    for w in weights:
                        w.grad.add_(w.sign(), alpha=l1)
            optimiser.step()
        net.eval()
        with torch.no_grad():
            loss = float(cross_entropy(net(x_val), y_val))
            if schedule is not None:
                schedule.step(loss)
            waited = 0 if loss < lowest else waited + 1
            if loss < lowest:
                lowest = loss
                _copy(best, parameters)
    _copy(parameters, best)
    return Alone(net, epochs, lowest)


@torch.no_grad()
def _copy(to: Iterable[Tensor], source: Iterable[Tensor]) -> None:
    for old, new in zip(to, source, strict=True):
        old.copy_(new)


def network(widths: list[int], dropout: float, device: torch.device) -> nn.Sequential:
    """Build a network with PyTorch's initial weights, and with dropout after every hidden layer if asked."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        silence = [nn.Dropout(dropout) if device.type == "cuda" else Dropout(dropout)] if dropout else []
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), *silence]
    return nn.Sequential(*layers[: -2 if dropout else -1]).to(device)


def _run_by(how: How, net: nn.Sequential, sample: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what computes the logits of a batch in training."""
    if how == "compiled":
        return torch.compile(net)
    if how == "graphed":  # its weights are those of `net`; batches must all be as large as the sample
        return torch.cuda.make_graphed_callables(net, (sample,))
    return net
