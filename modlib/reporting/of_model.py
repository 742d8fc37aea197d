"""From a model, the name of a layer and data to a report."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from torch import nn

from modlib import _checks
from modlib.any_model import similarities
from modlib.batches import Unpack
from modlib.layer_similarity import LayerSimilarity
from modlib.losses import Loss
from modlib.models import Output
from modlib.reporting import model_nulls
from modlib.reporting.report import Report, checked_settings

Measure = Callable[[nn.Module], dict[str, LayerSimilarity]]


def report(
    model: nn.Module,
    layer: str | Iterable[str],
    data: Any,
    y: Any = None,
    *,
    measures: str | Iterable[str] | None = None,
    positions: str = "mean",
    unit_axis: int | None = None,
    loss: Loss = "cross_entropy",
    output: Output = None,
    embedding: str | None = None,
    unpack: Unpack | None = None,
    probes: int | None = None,
    batch: int | None = None,
    progress: bool = False,
    name: str | None = None,
    unit_names: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
    permuted: bool = True,
    untrained: bool = False,
    draws: int = 20,
    restarts: int = 20,
    null_restarts: int = 2,
    shuffles: int = 200,
    seed: int = 0,
) -> Report:
    """Report on the modules of one or several layers of any torch model, beside nulls of the same size.

    The similarities are those of `modlib.similarities`, and the model is left as it was.

    Parameters
    ----------
    model, layer, data, y
        The model, the name of a layer as in ``model.named_modules()`` or several, and the samples with their
        labels: as for `modlib.similarities`.
    measures, positions, unit_axis, loss, output, embedding, unpack, probes, batch, progress
        Options of `modlib.similarities`.
    name
        What the network is called; by default the name of its class.
    unit_names
        Names of the units, a mapping from layers to lists; one list, if there is one layer.
    permuted
        Whether Q is also compared with that of copies of the model whose weights are shuffled within each
        tensor, in all layers. It takes `draws` times as long as measuring the model once: leave it out where
        that is too long.
    untrained
        Whether Q is also compared with that of copies whose submodules are initialised anew, by their
        `reset_parameters`.
    draws, restarts, null_restarts, shuffles, seed
        As for `modlib.Report.of_similarities`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or the model cannot be measured, permuted or initialised anew.

    Notes
    -----
    Running means and variances of a BatchNorm are those of the trained network in a permuted copy, and those
    of initialisation in an untrained one.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 12), torch.nn.Tanh(), torch.nn.Linear(12, 3))
    >>> found = report(net, "1", torch.rand(50, 4), draws=2, restarts=1)
    >>> found.nulls.null.unique().tolist()
    ['similarity', 'rotations', 'weights-permuted']
    """
    _checks.instance(model, "model", nn.Module, "torch.nn.Module")
    if _checks.flag(permuted, "permuted"):
        model_nulls.check_can_be_permuted(model)
    if _checks.flag(untrained, "untrained"):
        model_nulls.check_can_be_initialised(model)
    name = type(model).__name__ if name is None else name
    settings = {"restarts": restarts, "null_restarts": null_restarts, "shuffles": shuffles, "seed": seed}
    checked_settings(name, draws=draws, **settings)
    if isinstance(data, Iterator):  # which can be gone through once only, and copies need the same samples
        data = _Batches(list(data))
    if not isinstance(layer, str):
        layer = _checks.listed(layer, "layer")
    measure: Measure = partial(
        similarities,
        layer=layer,
        data=data,
        y=y,
        measures=measures,
        positions=positions,
        unit_axis=unit_axis,
        loss=loss,
        output=output,
        embedding=embedding,
        unpack=unpack,
        probes=probes,
        batch=batch,
        progress=progress,
    )
    found = measure(model)
    nulls: dict[str, Iterable[dict[str, LayerSimilarity]]] = {}
    if permuted:
        nulls["weights-permuted"] = islice(map(measure, model_nulls.permuted(model, seed)), draws)
    if untrained:
        nulls["untrained"] = islice(map(measure, model_nulls.untrained(model, seed)), draws)
    about = {"model": type(model).__name__, "positions": positions, "loss": _loss_name(loss)}
    about |= {} if probes is None else {"probes": str(probes)}
    return Report.of_similarities(
        found,
        name=name,
        unit_names=unit_names,
        nulls=nulls,
        draws=draws,
        **settings,
        about=about | ({} if embedding is None else {"embedding": embedding}),
    )


@dataclass(frozen=True)
class _Batches:
    """Batches that can be gone through again and again; a list might be taken for the inputs of a model."""

    kept: list[Any]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.kept)


def _loss_name(loss: Loss) -> str:
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
