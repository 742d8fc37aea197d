"""How alike the units between two functions are, an encoder and a decoder: one measure at a time."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modlib import _checks
from modlib.any_model import similarities
from modlib.derivatives import Function, Model
from modlib.measures import MEASURES, family
from modlib.models import differentiable
from modlib.untouched import untouched


def similarity_of(
    encoder: Function,
    decoder: Function | None,
    x: Float[Tensor, "sample ..."],
    y: Int[Tensor, " sample"] | None = None,
    *,
    measure: str,
    batch: int | None = None,
) -> Float[Tensor, "unit unit"]:
    """Similarity of the units of one hidden layer of any torch model, by automatic differentiation.

    The definitions are those of `modlib.similarity`; the model need not be a ReLU network, and the Hessian is
    the full one. The tensor is float64, signed and symmetric, the diagonal in place. What `torch.func` cannot
    differentiate for many samples at once, such as a recurrent layer, is left to `modlib.similarities`, which
    is slower.

    Parameters
    ----------
    encoder
        From inputs ``(sample, *features)`` to hidden activations ``(sample, unit)``. Modules are run in
        evaluation mode, and left bit for bit as they were; a function is called as it is.
    decoder
        From hidden activations to logits ``(sample, class)``; may be ``None`` for upstream measures.
    x, y
        Inputs to average over, and their classes, which `output_hess` alone needs.
    measure, batch
        One of `MEASURES`, and the number of samples differentiated at a time; by default so many, from 1 to
        500, that their derivatives are 2²¹ numbers.

    Raises
    ------
    ValueError, TypeError
        Also of samples that are not independent of each other, of a gradient that is cut, and, for
        `output_hess`, of probabilities or a single class in place of logits.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.GELU(), torch.nn.Linear(3, 2))
    >>> x, y = torch.rand(10, 4), torch.zeros(10, dtype=torch.int64)
    >>> similarity_of(net[:2], net[2:], x, y, measure="output_hess").shape
    torch.Size([3, 3])
    """
    measure = _checks.one_of(measure, "measure", MEASURES)
    for part, name in ((encoder, "encoder"), (decoder, "decoder")):
        if not callable(part) and not (part is None and name == "decoder"):
            raise TypeError(f"{name} must be a function, got {_checks.shown(part)}")
    x = _checks.tensor(x, "x")
    if decoder is None and family(measure) == "downstream":
        raise ValueError(f"{measure} looks at the output: decoder must not be None")
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x must hold a sample or more, got shape {tuple(x.shape)}")
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise ValueError("x must be finite")
    if y is not None:
        y = _checks.classes(y, "y", n_sample=len(x), like=x)
    if batch is not None:
        batch = _checks.whole(batch, "batch", least=1)
    modules = nn.ModuleList(part for part in (encoder, decoder) if isinstance(part, nn.Module))
    # Without gradients of parameters; torch.func differentiates what it is asked to all the same.
    with untouched(modules), differentiable(modules), torch.no_grad():
        model = Model(encoder, decoder, x, y, batch)
        try:
            total = MEASURES[measure].of_model(model).detach()  # the parameters may ask for gradients
        except RuntimeError:  # torch.func says in many ways that it cannot follow an operation
            whole = _TwoParts(encoder, decoder, x)
            found = similarities(whole, "hidden", x, y, measures=measure, batch=batch)["hidden"]
            return found[measure].to(x.device)
        if not torch.isfinite(total).all():
            raise ValueError(f"encoder or decoder is such that {measure} is not finite")
        model.check_followed(measure, total)
    return (total + total.T) / (2 * len(x))


class _TwoParts(nn.Module):
    """A model made of two functions, between which is the layer `hidden`."""

    place: Tensor

    def __init__(self, encoder: Function, decoder: Function | None, x: Tensor) -> None:
        super().__init__()
        self.encoder, self.decoder, self.hidden = encoder, decoder, nn.Identity()
        self.register_buffer("place", x.new_zeros(0))  # functions have no parameters to tell the device by

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, or hidden activations where there is nothing behind them."""
        h: Tensor = self.hidden(self.encoder(x))
        return h if self.decoder is None else self.decoder(h)
