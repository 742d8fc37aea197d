"""Kinds of models that people bring: what similarities of their units must be, or why there are none.

A model that works is written in three parts, so that its values can be computed without a hook and sample by
sample: `before` the layer, the layer itself, and `after` it, which also gets the inputs for paths that skip
the layer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class Parts(nn.Module):
    """A model whose layer `layer` is looked at; `z` of what it returns is the output."""

    def __init__(self, layer, before=None, after=None, wrap=None):
        super().__init__()
        self.layer = layer
        self.first = before if isinstance(before, nn.Module) else None
        self.last = after if isinstance(after, nn.Module) else None
        self._before, self._after, self.wrap = before, after, wrap

    def before(self, *x):
        return x[0] if self._before is None else self._before(*x)

    def after(self, h, *x):
        return self._after(h) if self.last is not None else self._after(h, *x)

    def activations(self, *x):
        h = self.layer(self.before(*x))
        return h[0] if isinstance(h, tuple) else h

    def forward(self, *x, **named):
        x = (*x, *named.values())
        h = self.layer(self.before(*x))
        z = self.after(h[0] if isinstance(h, tuple) else h, *x)
        return z if self.wrap is None else self.wrap(z)


@dataclass
class Kind:
    """A model, data for it, and the arguments that it needs; `refused` is why, if it is."""

    model: nn.Module
    x: Any
    y: Any = None
    layer: str = "layer"
    options: dict[str, Any] = field(default_factory=dict)
    units: int = -1  #: the axis of the units
    samples: int = 0  #: the axis of the samples
    tolerance: float = 1e-9
    parts: nn.Module | None = None  #: the parts of a model that does not show them itself
    left_out: tuple[str, ...] = ()
    refused: str | None = None


WORK: dict[str, Callable[[], Kind]] = {}
REFUSED: dict[str, Callable[[], Kind]] = {}


def kind(name, kinds=WORK):
    """Enter a function that makes a kind under a name."""

    def enter(make):
        def made():
            torch.manual_seed(0)
            return make()

        kinds[name] = made
        return made

    return enter


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


def classes(*shape, n=3):
    return torch.randint(n, shape)


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out, dtype=torch.float64)


def mlp(**options):
    return Parts(
        nn.Sequential(linear(5, 6), nn.ReLU()),
        after=nn.Sequential(linear(6, 4), nn.GELU(), linear(4, 3)),
        **options,
    )


class Opaque(torch.autograd.Function):
    """A function whose gradient torch cannot follow."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return torch.from_numpy((gradient * 3 * x**2).detach().numpy())


# ---------------------------------------------------------------- fully connected


@kind("MLP with ReLU")
def _():
    return Kind(mlp(), normal(9, 5), classes(9))


@kind("no labels")
def _():
    return Kind(mlp(), normal(9, 5))


@kind("probabilities as labels")
def _():
    return Kind(mlp(), normal(9, 5), normal(9, 3).softmax(1))


@kind("GELU and layer norm")
def _():
    layer = nn.Sequential(linear(5, 6), nn.LayerNorm(6, dtype=torch.float64), nn.GELU())
    return Kind(Parts(layer, after=linear(6, 3)), normal(9, 5), classes(9))


@kind("one unit")
def _():
    return Kind(Parts(nn.Sequential(linear(5, 1), nn.Tanh()), after=linear(1, 3)), normal(9, 5), classes(9))


@kind("one sample")
def _():
    return Kind(mlp(), normal(1, 5), classes(1))


@kind("256 units")
def _():
    return Kind(
        Parts(nn.Sequential(linear(3, 256), nn.ReLU()), after=linear(256, 2)), normal(3, 3), classes(3, n=2)
    )


@kind("4,096 units")
def _():
    model = Parts(nn.Sequential(linear(3, 4096), nn.ReLU()), after=linear(4096, 2))
    return Kind(model, normal(3, 3), classes(3, n=2))


@kind("more outputs than units")
def _():
    after = nn.Sequential(nn.Tanh(), linear(2, 9), nn.Tanh())
    return Kind(Parts(linear(5, 2), after=after), normal(9, 5), normal(9, 9), options={"loss": "mse"})


@kind("more outputs than units, some of a gradient computed without torch")
def _():
    model = Parts(linear(5, 2), after=lambda h, _: model.head(h).tanh() + model.side(Opaque.apply(h)))
    model.head, model.side = linear(2, 9), linear(2, 9)
    by_hand = Parts(model.layer, after=lambda h, _: model.head(h).tanh() + model.side(h**3))
    options = {"loss": "mse", "measures": ["input_cov", "input_grad", "output_grad"]}
    return Kind(model, normal(9, 5), normal(9, 9), options=options, parts=by_hand, left_out=("output_hess",))


@kind("in-place ReLU behind the layer")
def _():
    after = nn.Sequential(nn.ReLU(inplace=True), linear(6, 3))
    model = nn.Sequential(linear(5, 6), *after)
    parts = Parts(model[0], after=lambda h, _: model[2](h.relu()))
    return Kind(model, normal(9, 5), classes(9), layer="0", parts=parts)


@kind("in-place operation on the input")
def _():
    model = nn.Sequential(nn.ReLU(inplace=True), linear(5, 6), nn.Tanh(), linear(6, 3))
    parts = Parts(model[1], before=lambda x: x.relu(), after=lambda h, _: model[3](h.tanh()))
    return Kind(model, normal(9, 5), classes(9), layer="1", parts=parts)


@kind("dropout, in training mode")
def _():
    model = nn.Sequential(linear(5, 6), nn.ReLU(), nn.Dropout(0.5), linear(6, 3)).train()
    parts = Parts(model[:2], after=lambda h, _: model[3](h))
    return Kind(model, normal(9, 5), classes(9), layer="1", parts=parts)


@kind("batch norm, in training mode")
def _():
    norm = nn.BatchNorm1d(6, dtype=torch.float64)
    norm.running_mean.copy_(torch.randn(6))
    norm.running_var.copy_(torch.rand(6) + 0.5)
    model = nn.Sequential(linear(5, 6), norm, nn.ReLU(), linear(6, 3)).train()

    def normed(h):
        return norm.weight * (h - norm.running_mean) / (norm.running_var + norm.eps).sqrt() + norm.bias

    parts = Parts(nn.Identity(), before=lambda x: normed(model[0](x)), after=lambda h, _: model[3](h.relu()))
    return Kind(model, normal(9, 5), classes(9), layer="1", parts=parts)


@kind("frozen")
def _():
    return Kind(mlp().requires_grad_(False), normal(9, 5), classes(9))


@kind("weight normalisation")
def _():
    layer = nn.utils.parametrizations.weight_norm(linear(5, 6))
    return Kind(Parts(nn.Sequential(layer, nn.ReLU()), after=linear(6, 3)), normal(9, 5), classes(9))


@kind("compiled")
def _():
    model = mlp()
    return Kind(torch.compile(model, backend="eager"), normal(9, 5), classes(9), parts=model)


@kind("a part compiled")
def _():
    model = mlp()
    after = model.last
    whole = Parts(model.layer, after=torch.compile(after, backend="eager"))
    return Kind(whole, normal(9, 5), classes(9), parts=Parts(model.layer, after=after))


@kind("checkpointed")
def _():
    model = mlp()

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = model.layer, model.last

        def forward(self, x):
            h = checkpoint(self.layer, x, use_reentrant=False)
            return checkpoint(self.last, h, use_reentrant=False)

    return Kind(Checkpointed(), normal(9, 5), classes(9), parts=model)


@kind("layer within a checkpoint")
def _():
    model = mlp()

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=False)

    return Kind(Checkpointed(), normal(9, 5), classes(9), layer="inner.layer", parts=model)


class Cube(torch.autograd.Function):
    """A function with a derivative written by hand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * 3 * x**2


@kind("autograd function of one's own")
def _():
    layer, last = linear(5, 6), linear(6, 3)
    by_hand = Parts(layer, before=lambda x: x**3, after=lambda h, _: last(h**3))
    model = Parts(layer, before=Cube.apply, after=lambda h, _: last(Cube.apply(h)))
    model.kept = last
    return Kind(model, normal(9, 5), classes(9), parts=by_hand)


@kind("branch that depends on data")
def _():
    last = linear(6, 3)

    def one(h):
        return h * 2 if h.sum() > 0 else h.tanh()

    model = Parts(linear(5, 6), after=lambda h, *_: last(torch.stack([one(row) for row in h])))
    return Kind(model, normal(9, 5), classes(9))


@kind("float32")
def _():
    return Kind(mlp().float(), normal(9, 5), classes(9), tolerance=1e-5)


@kind("bfloat16")
def _():
    return Kind(mlp().bfloat16(), normal(9, 5), classes(9), tolerance=0.05)


@kind("float16")
def _():
    return Kind(mlp().half(), normal(9, 5), classes(9), tolerance=0.01)


# ---------------------------------------------------------------- losses and outputs


@kind("regression")
def _():
    model = Parts(
        nn.Sequential(linear(5, 6), nn.Tanh()), after=nn.Sequential(linear(6, 4), nn.Tanh(), linear(4, 1))
    )
    return Kind(model, normal(9, 5), normal(9), options={"loss": "mse"})


@kind("autoencoder, no labels")
def _():
    model = Parts(
        nn.Sequential(linear(5, 3), nn.Tanh()), after=nn.Sequential(linear(3, 4), nn.Tanh(), linear(4, 5))
    )
    return Kind(model, normal(9, 5), options={"loss": "mse"})


@kind("several labels a sample")
def _():
    return Kind(mlp(), normal(9, 5), classes(9, 3, n=2), options={"loss": "bce"})


@kind("a single logit")
def _():
    model = Parts(nn.Sequential(linear(5, 6), nn.ReLU()), after=lambda h, _: head(h)[:, 0])
    model.head = head = linear(6, 1)
    return Kind(model, normal(9, 5), classes(9, n=2), options={"loss": "bce"})


@kind("loss of one's own, one a sample")
def _():
    def loss(z, y):
        return ((z - y) ** 4).sum(1)

    return Kind(mlp(), normal(9, 5), normal(9, 3), options={"loss": loss})


@kind("loss of one's own, one number")
def _():
    return Kind(mlp(), normal(9, 5), classes(9), options={"loss": nn.CrossEntropyLoss(label_smoothing=0.1)})


@kind("tuple as output")
def _():
    return Kind(mlp(wrap=lambda z: (z, "more")), normal(9, 5), classes(9))


@kind("logits in a dict")
def _():
    return Kind(mlp(wrap=lambda z: {"loss": None, "logits": z}), normal(9, 5), classes(9))


@kind("logits as an attribute")
def _():
    return Kind(mlp(wrap=lambda z: SimpleNamespace(logits=z)), normal(9, 5), classes(9))


@kind("output by name")
def _():
    return Kind(mlp(wrap=lambda z: {"scores": z}), normal(9, 5), classes(9), options={"output": "scores"})


@kind("softmax left out by output")
def _():
    model = mlp(wrap=lambda z: (z.softmax(1), z))
    return Kind(model, normal(9, 5), classes(9), options={"output": 1})


# ---------------------------------------------------------------- inputs


@kind("two inputs")
def _():
    model = Parts(
        linear(5, 6),
        before=lambda a, b: torch.cat([a, b.flatten(1)], 1),
        after=lambda h, a, _: last(h.tanh()) + a,
    )
    model.last_ = last = linear(6, 3)
    return Kind(model, (normal(9, 3), normal(9, 2, 1)), classes(9))


@kind("inputs by name")
def _():
    model = Parts(
        linear(5, 6), before=lambda a, b: torch.cat([a, b], 1), after=lambda h, a, _: last(h.tanh()) + a
    )
    model.last_ = last = linear(6, 3)
    return Kind(model, {"a": normal(9, 3), "b": normal(9, 2)}, classes(9))


@kind("tokens")
def _():
    embedding = nn.Embedding(7, 5, dtype=torch.float64)
    model = Parts(linear(5, 6), before=embedding, after=lambda h, _: last(h.tanh().mean(1)))
    model.last_ = last = linear(6, 3)
    return Kind(model, classes(9, 4, n=7), classes(9), left_out=("input_grad",))


class ByEmbedding(nn.Module):
    """The model behind an embedding, which takes what the embedding gives."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def activations(self, e):
        return self.model.activations_of(e)

    def after(self, h, e):
        return self.model.rest(h, e)


class Decoder(nn.Module):
    """One block of a decoder-only transformer; `layer` is the hidden layer of its MLP."""

    def __init__(self, n_tokens=7, width=8):
        super().__init__()
        wide = {"dtype": torch.float64}
        self.embedding = nn.Embedding(n_tokens, width, **wide)
        self.places = nn.Parameter(torch.randn(6, width, **wide))
        self.norm, self.norm_2 = nn.LayerNorm(width, **wide), nn.LayerNorm(width, **wide)
        self.qkv, self.out = linear(width, 3 * width), linear(width, width)
        self.layer, self.down, self.head = linear(width, 12), linear(12, width), linear(width, n_tokens)

    def attended(self, e):
        e = e + self.places[: e.shape[1]]
        q, k, v = (t.unflatten(-1, (2, -1)).transpose(1, 2) for t in self.qkv(self.norm(e)).chunk(3, dim=-1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return e + self.out(mixed.transpose(1, 2).flatten(2))

    def activations_of(self, e):
        return self.layer(self.norm_2(self.attended(e)))

    def rest(self, h, e):
        return self.head(self.attended(e) + self.down(functional.gelu(h)))

    def forward(self, tokens):
        e = self.embedding(tokens)
        return self.rest(self.activations_of(e), e)


def decoder(**options):
    model = Decoder()
    y = classes(4, 5, n=7)
    y[1, 2:] = -100
    return Kind(
        model, classes(4, 5, n=7), y, options={"embedding": "embedding", **options}, parts=ByEmbedding(model)
    )


@kind("decoder-only transformer")
def _():
    return decoder()


@kind("decoder-only transformer, every token")
def _():
    return decoder(positions="each")


# ---------------------------------------------------------------- pictures


def conv(n_in, n_out, **options):
    return nn.Conv2d(n_in, n_out, 3, padding=1, dtype=torch.float64, **options)


def cnn(**options):
    after = nn.Sequential(conv(4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(3, 3))
    return Kind(
        Parts(nn.Sequential(conv(2, 4), nn.ReLU()), after=after),
        normal(7, 2, 4, 5),
        classes(7),
        units=1,
        options=options,
    )


@kind("CNN")
def _():
    return cnn()


@kind("CNN, every position")
def _():
    return cnn(positions="each")


@kind("CNN, features of rows as units")
def _():
    made = cnn(unit_axis=-1)
    made.units = 3
    return made


@kind("convolution of sequences")
def _():
    layer = nn.Sequential(nn.Conv1d(2, 4, 3, dtype=torch.float64), nn.ReLU())
    return Kind(
        Parts(layer, after=nn.Sequential(nn.Flatten(), linear(12, 3))),
        normal(7, 2, 5),
        classes(7),
        layer="layer.1",
        units=1,
    )


@kind("segmentation")
def _():
    return Kind(
        segmenter(),
        normal(5, 2, 3, 4),
        classes(5, 3, 4),
        units=1,
    )


def segmenter():
    model = Parts(conv(2, 4), after=lambda h, x: model.head(h.tanh()) + x.sum(1, keepdim=True))
    model.head = conv(4, 3)
    return model


class Block(nn.Module):
    """A residual block; `layer` is within it, beside the path that skips it."""

    def __init__(self):
        super().__init__()
        self.stem, self.layer, self.conv, self.head = conv(2, 3), conv(3, 5), conv(5, 3), linear(3, 3)

    def activations(self, x):
        return self.layer(self.stem(x).relu())

    def after(self, h, x):
        skip = self.stem(x).relu()
        return self.head(functional.gelu(skip + self.conv(h.tanh())).mean((2, 3)))

    def forward(self, x):
        return self.after(self.activations(x), x)


@kind("within a residual block")
def _():
    return Kind(Block(), normal(7, 2, 4, 4), classes(7), units=1)


class Vision(nn.Module):
    """A vision transformer of one block, with torch's own attention."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 2, stride=2, dtype=torch.float64)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
        self.norm, self.layer = nn.LayerNorm(8, dtype=torch.float64), linear(8, 10)
        self.down, self.head = linear(10, 8), linear(8, 3)

    def attended(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]

    def activations(self, x):
        return self.layer(self.norm(self.attended(x)))

    def after(self, h, x):
        return self.head((self.attended(x) + self.down(functional.gelu(h))).mean(1))

    def forward(self, x):
        return self.after(self.activations(x), x)


@kind("vision transformer")
def _():
    return Kind(Vision(), normal(5, 1, 4, 6), classes(5))


@kind("torch's own transformer layer")
def _():
    block = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.1, batch_first=True, dtype=torch.float64)
    model = nn.Sequential(block, nn.Flatten(), linear(12, 3))

    def attended(x):
        return block.norm1(x + block.self_attn(x, x, x, need_weights=False)[0])

    def after(h, x):
        return model[2](block.norm2(attended(x) + block.linear2(h.relu())).flatten(1))

    parts = Parts(block.linear1, before=attended, after=after)
    return Kind(model, normal(5, 3, 4), classes(5), layer="0.linear1", parts=parts)


# ---------------------------------------------------------------- sequences


def recurrent(make, **options):
    model = Parts(
        make(3, 4, batch_first=True, dtype=torch.float64),
        after=lambda h, _: model.head(h[:, -1].tanh() + h.mean(1)),
    )
    model.head = linear(4, 3)
    return Kind(model, normal(5, 4, 3), classes(5), options=options)


@kind("LSTM")
def _():
    return recurrent(nn.LSTM)


@kind("LSTM, every time")
def _():
    return recurrent(nn.LSTM, positions="each")


@kind("GRU")
def _():
    return recurrent(nn.GRU)


@kind("RNN")
def _():
    return recurrent(nn.RNN)


@kind("LSTM in float32, against float64")
def _():
    made = recurrent(nn.LSTM)
    made.model.float()
    made.tolerance = 1e-5
    return made


@kind("LSTM with time along axis 0")
def _():
    model = Parts(
        nn.LSTM(3, 4, dtype=torch.float64),
        before=lambda x: x.transpose(0, 1),
        after=lambda h, _: model.head(h[-1].tanh()),
    )
    model.head = linear(4, 3)
    return Kind(model, normal(5, 4, 3), classes(5), samples=1)


# ---------------------------------------------------------------- refused


def refused(model, message, *, layer="layer", x=None, **options):
    return Kind(
        model, normal(9, 5) if x is None else x, classes(9), layer=layer, options=options, refused=message
    )


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.spare, self.head = linear(5, 5), linear(5, 5), linear(5, 3)

    def forward(self, x):
        return self.head(self.layer(self.layer(x).relu()).relu())


@kind("layer called twice", REFUSED)
def _():
    return refused(Twice(), "layer 'layer' is called 2 times in a forward pass")


@kind("layer not reached", REFUSED)
def _():
    return refused(Twice(), "layer 'spare' is not reached", layer="spare")


@kind("misspelt layer", REFUSED)
def _():
    return refused(
        mlp(),
        "layer must be a name in the model's named_modules, got 'layr'; did you mean layer",
        layer="layr",
    )


@kind("softmax at the end", REFUSED)
def _():
    return refused(mlp(wrap=lambda z: z.softmax(1)), "model must return logits for the loss cross_entropy")


@kind("a single logit with cross-entropy", REFUSED)
def _():
    return refused(
        Parts(linear(5, 6), after=linear(6, 1)), 'loss must be "bce" for a model with a single logit'
    )


@kind("inputs cut off by no_grad", REFUSED)
def _():
    def before(x):
        with torch.no_grad():
            return stem(x)

    model = Parts(linear(5, 6), before=before, after=linear(6, 3))
    model.stem = stem = linear(5, 5)
    return refused(model, "layer 'layer' has no gradient by the inputs")


@kind("inputs cut off by sign", REFUSED)
def _():
    return refused(
        Parts(linear(5, 6), before=torch.sign, after=linear(6, 3)),
        "layer 'layer' has a gradient of exactly 0 by every input",
    )


@kind("layer detached by a hook", REFUSED)
def _():
    model = mlp()
    model.layer.register_forward_hook(lambda *args: args[2].detach())
    return refused(model, "layer 'layer' has no gradient by the inputs")


@kind("output cut off by detach", REFUSED)
def _():
    return refused(mlp(wrap=lambda z: z.detach()), "model has an output without a gradient by layer 'layer'")


@kind("output cut off by sign", REFUSED)
def _():
    model = Parts(linear(5, 6), after=nn.Sequential(linear(6, 4)))
    model.head = linear(4, 3)
    model.wrap = lambda z: model.head(z.sign())
    return refused(model, "model has an output whose gradient by layer 'layer' is exactly 0")


@kind("layer beside the way to the output", REFUSED)
def _():
    model = Parts(linear(5, 6), after=lambda h, x: model.head(x))
    model.head = linear(5, 3)
    return refused(model, "model has an output without a gradient by layer 'layer'")


@kind("samples that see each other", REFUSED)
def _():
    model = Parts(linear(5, 6), before=lambda x: x - x.mean(0), after=linear(6, 3))
    return refused(model, "model must treat each sample by itself")


@kind("dropout that never rests", REFUSED)
def _():
    model = Parts(linear(5, 6), after=nn.Sequential(linear(6, 3)), wrap=lambda z: functional.dropout(z, 0.5))
    return refused(model, "model must treat each sample by itself and leave nothing to chance")


@kind("reentrant checkpoint", REFUSED)
def _():
    model = Parts(linear(5, 6), after=lambda h, _: checkpoint(last, h, use_reentrant=True))
    model.last_ = last = nn.Sequential(linear(6, 4), nn.GELU(), linear(4, 3))
    return refused(model, "set use_reentrant=False")


@kind("gradient computed without torch", REFUSED)
def _():
    model = Parts(linear(5, 6), after=lambda h, _: model.head(Opaque.apply(h)))
    model.head = linear(6, 3)
    return refused(model, "model cannot be differentiated twice by layer 'layer'")


@kind("tokens and input_grad by name", REFUSED)
def _():
    model = Parts(nn.Identity(), before=nn.Embedding(7, 5, dtype=torch.float64), after=lambda h, _: h.mean(1))
    return refused(
        model,
        "measures must not hold input_grad for inputs of integers",
        x=classes(9, 4, n=7),
        measures="input_grad",
    )


@kind("weights that are nan", REFUSED)
def _():
    model = mlp()
    model.layer[0].weight.data[0, 0] = torch.nan
    return refused(model, "nan or inf")


@kind("module without shape yet", REFUSED)
def _():
    return refused(Parts(nn.LazyLinear(6), after=linear(6, 3)), "model must be called once before")


@kind("output that is no tensor", REFUSED)
def _():
    return refused(mlp(wrap=lambda z: {"scores": z}), "output must say how to get the tensor")


@kind("one row for all samples", REFUSED)
def _():
    return refused(mlp(wrap=lambda z: z.mean(0)), "model must return one row a sample")


@kind("inputs of another width", REFUSED)
def _():
    return refused(mlp(), "model could not be called on data", x=normal(9, 4))


@kind("layer that returns no tensor", REFUSED)
def _():
    class Odd(nn.Module):
        def forward(self, x):
            return {"x": x}

    model = Parts(Odd(), after=lambda h, _: last(h["x"]))
    model.last_ = last = linear(5, 3)
    return refused(model, "layer 'layer' must return a tensor")
