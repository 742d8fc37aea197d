"""How alike two units of any layer of any torch model are: all measures, in one pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from modlib import _checks, extras, losses
from modlib.batches import Samples, Unpack, batches
from modlib.layer_similarity import LayerSimilarity, LayerSums, gram
from modlib.losses import Loss
from modlib.measures import DOWNSTREAM, MEASURES
from modlib.models import Output, Tap, Tapped, blamed, differentiable, found, plain
from modlib.untouched import untouched

POSITIONS = ("mean", "each")
MEMORY = 2**30  #: Bytes that the samples of a batch may take, unless it is said of how many it is.
MOST_SAMPLES = 256  #: Samples of a batch then, at the most.
TWICE = 4  #: How many times more memory second derivatives take than first ones, roughly.
MANY = 3  #: How many times more outputs than units there are where derivatives are taken unit by unit.
STRAIGHT = {torch.float64: 1e-10, torch.float32: 3e-5}  #: How far two ways to a Hessian times v may be apart.
ALIKE = 1e-3  #: How far apart two ways to the same product may be, relative to the sizes of its factors.
COMPARED = 64  #: Samples whose activations are exchanged to see whether the output follows.


def similarities(
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
) -> dict[str, LayerSimilarity]:
    r"""Similarity of the units of layers of any torch model, by automatic differentiation, in one pass.

    The measures are those of `similarity` (Lange et al. 2022, table 1), of a model that need not be a ReLU
    network. The output of a layer is replaced by itself plus zeros δ, and the rest of the model, paths that
    skip the layer included, is differentiated by δ. With a the activations ``(sample, position, unit)``, x
    the inputs, z the output, L the loss of a sample, and E the mean over samples, the two `positions` are:

    - ``"mean"``: h is the mean of a over positions, one number a unit and sample, and one δ a unit is added
      at every position, so that it raises h by δ. `input_cov` is cov(hᵢ, hⱼ); `input_grad` is E[J Jᵀ] with
      J = ∂h/∂x; `output_grad` is E[Jᵀ J] with J = ∂z/∂δ, over all numbers of z; and `output_hess` is
      E[∂²L/∂δᵢ∂δⱼ].
    - ``"each"``: every position of a sample counts as a sample of its own. a takes the place of h, every
      position has a δ of its own, and E is the mean over samples and positions; derivatives by two different
      positions are not compared. Upstream gradients and Hessians cost a backward pass a unit and position.

    For a layer without positions the two are the same.

    Parameters
    ----------
    model
        Any module. It is run in evaluation mode, and left bit for bit as it was, as is the state of the
        random generators. A compiled model is run as the one that it was made of.
    layer
        The name of a layer as in ``model.named_modules()``, or several. The forward pass calls it once; of
        a tuple that it returns the first tensor counts. What a recurrent layer returns at every time is its
        output, and a shift of it is not carried on to later times by the layer itself.
    data
        A tensor, NumPy array or table of samples, a tuple, list or dict of them (the arguments of the model,
        by place or by name), a data set, a ``DataLoader``, or another iterable of batches. Floating-point
        numbers are brought into the model's precision. All floating-point arguments together are x.
    y
        The labels, where data are arrays: classes as integers (of an output with positions, −100 is none),
        probabilities of the shape of the output, or what `loss` takes. Without labels the Hessian is that
        under the model's own prediction, the target being its output, or its probabilities, held fixed. The
        labels of a dict are its ``"labels"``.
    measures
        Names of `MEASURES`, or one; by default all that there can be.
    positions, unit_axis
        How positions are treated, and the axis of the output that is units; by default that of channels
        where the layer, or the last layer run before its end that shows it, is a convolution or its
        normalisation, and the last one where it is linear, recurrent or an embedding. All other axes but
        that of samples are positions, and padding counts as one.
    loss
        ``"cross_entropy"`` of logits, ``"bce"`` of logits, ``"mse"``, or a function of output and labels that
        returns one number a sample, or one number (it is then called for each sample alone). Those by name
        are the mean over the outputs or positions of a sample, as in torch.
    output
        How to get z from what the model returns: a function, a key or an index; by default a tensor, its
        ``logits``, or the first of a tuple.
    embedding
        The name of the embedding whose output takes the place of x, for models of tokens; integer inputs have
        no derivatives.
    unpack
        A function from a batch of an iterable to ``(inputs, labels)``; by default a batch is a pair of the
        two, a dict of inputs, or an array of inputs.
    probes
        Estimate `input_grad` from so many random directions v of the inputs a sample, as the mean of
        (J v)(J v)ᵀ, whose expectation is J Jᵀ where the entries of v are ±1 (Hutchinson 1990). It takes a few
        backward passes a direction instead of one a unit. The error of an entry is on average at most
        √(2 / (probes · samples)) of √(Sᵢᵢ Sⱼⱼ), if gradients are of one size in all samples; the halves have
        errors of their own, so reliability tells. By default, and where there are no more units, J is exact.
    batch
        Samples at a time; by default as many, up to 256, as are expected to take 1 GiB.
    progress
        Show a bar.

    Returns
    -------
    dict
        A `modlib.layer_similarity.LayerSimilarity` for each layer: a mapping from measures to float64
        ``(unit, unit)`` tensors on the processor, signed and symmetric, the diagonal in place.

    Raises
    ------
    TypeError, ValueError
        Of an argument that is not as described; of a layer that is not reached or several times; of a
        gradient that is cut; of outputs that are probabilities, or a single logit, where the loss takes
        several; of samples that are not independent; of what is not finite.

    Notes
    -----
    Samples are independent of each other, so derivatives are those of sums over a batch: a backward pass a
    number of z for `output_grad` (or three a unit, if that is less), one a unit for `input_grad`, and a
    double one a unit for `output_hess`. Where the rest of the model is linear around every sample, as one of
    ReLUs is, the Hessian is Jᵀ M J, with M that of the loss by z, and needs J only: whether it is so is tried
    with a random vector, batch by batch.
    Products are formed in the model's precision, at least float32, and added up in float64.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 6, 3), torch.nn.ReLU(), torch.nn.Flatten(),
    ...                           torch.nn.Linear(6 * 26 * 26, 10))
    >>> found = similarities(net, "1", torch.rand(8, 1, 28, 28))
    >>> found["1"]
    LayerSimilarity(input_cov, input_grad, output_grad, output_hess: 6 units, 8 samples, 676 positions)
    >>> found["1"]["output_hess"].shape
    torch.Size([6, 6])
    """
    model = plain(_checks.instance(model, "model", nn.Module, "torch.nn.Module"))
    names = found(model, layer, "layer")
    wanted = _wanted(measures)
    positions = _checks.one_of(positions, "positions", POSITIONS)
    if unit_axis is not None:
        unit_axis = _checks.whole(unit_axis, "unit_axis", least=None)
    loss = losses.checked(loss)
    if not (output is None or callable(output) or isinstance(output, str | int)) or isinstance(output, bool):
        raise TypeError(f"output must be a function, a key or an index, got {_checks.shown(output)}")
    if embedding is not None:
        embedding = found(model, [embedding], "embedding")[0]
    if batch is not None:
        batch = _checks.whole(batch, "batch", least=1)
    if probes is not None:
        probes = _checks.whole(probes, "probes", least=1)
    progress = _checks.flag(progress, "progress")
    tapped = Tapped(
        model, names, embedding=embedding, output=output, at_each=positions == "each", unit_axis=unit_axis
    )
    with untouched(model), differentiable(model), tapped.hooked():
        stream, n_samples = batches(data, y, unpack)
        work = _Pass(tapped, loss, wanted, batch, probes, named=measures is not None)
        device, dtype = _home(model)
        with _bar(n_samples, progress) as advance:
            for samples in stream:
                for n_done in work.add(samples.to(device, dtype)):
                    advance(n_done)
        return work.results()


@dataclass
class _Pass:
    """One pass over the data, and what has come of it so far."""

    tapped: Tapped
    loss: Loss
    wanted: list[str]
    batch: int | None
    probes: int | None
    named: bool  #: whether the user asked for the measures by name
    notes: list[str] = field(default_factory=list)
    sums: dict[str, LayerSums] = field(default_factory=dict)
    coins: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    directions: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))
    carried: bool | None = None  #: the half of the next sample, if it is the second of its pair
    few: Samples | None = None  #: the first samples, kept to be looked at again
    units: dict[str, str] = field(default_factory=dict)
    curved: set[str] = field(default_factory=set)  #: layers behind which the model is not linear
    probed: set[str] = field(default_factory=set)  #: layers whose input gradient is an estimate
    reached: set[str] = field(default_factory=set)  #: layers by which the output was seen to have a gradient

    @property
    def by_inputs(self) -> bool:
        return "input_grad" in self.wanted

    @property
    def by_output(self) -> bool:
        return any(measure in DOWNSTREAM for measure in self.wanted)

    def add(self, samples: Samples) -> Iterator[int]:
        """Add all samples of a batch as it was read, and give how many are done each time some are."""
        if self.few is None:
            self.few = samples[:COMPARED]
            self._begin(samples)
        for part in samples.split(cast(int, self.batch)):
            second = self._halves(len(part))
            order = torch.from_numpy(np.argsort(second, kind="stable"))
            cut = int((~second).sum())
            self._differentiate(part[order.to(_device(part))], cut)
            yield len(part)

    def _begin(self, samples: Samples) -> None:
        """Look at the model by the first samples, and decide what is computed and how."""
        if self.by_inputs and self.tapped.embedding is None and not _has_floats(samples):
            if self.named:
                raise ValueError(
                    "measures must not hold input_grad for inputs of integers, which have no gradient: name "
                    "by embedding the module whose output is to take their place"
                )
            self.wanted = [measure for measure in self.wanted if measure != "input_grad"]
            self.notes.append(
                "input_grad is left out, for the inputs are integers, which have no gradient; name by "
                "embedding the module whose output is to take their place"
            )
        n_bytes, notes = self.tapped.probe(samples, by_inputs=self.by_inputs, output=self.by_output)
        self.notes += notes
        returned, leaves = self.tapped.run(samples[:3], by_inputs=self.by_inputs)
        n_few = min(len(samples), 3)
        if self.by_output:
            z = self.tapped.logits(returned, n_few)
            self.notes += losses.check_logits(self.loss, z.detach())
            if self.loss == "cross_entropy" and "output_hess" in self.wanted:
                remark = losses.class_axis(z, samples[:3].y)[1]
                self.notes += [remark] if remark else []
            if samples.y is None and isinstance(self.loss, str) and "output_hess" in self.wanted:
                self.notes.append("without labels, the Hessian is that under the model's own prediction")
        sources = sum(leaf.numel() for leaf in leaves) // n_few
        for name, tap in self.tapped.taps.items():
            rows, axis = tap.rows, cast(Any, tap.layout).units
            n_units, n_axes = rows.shape[2], cast(Tensor, tap.activations).ndim
            self.sums[name] = LayerSums(self.wanted, n_units, rows.device)
            kind = "feature" if axis == n_axes - 1 else "channel"
            at = "at each of" if tap.at_each else "averaged over"
            at = f", {at} positions" if rows.shape[1] > 1 else ""
            self.units[name] = f"{kind} (axis {axis} of {n_axes}){at}"
            n_bytes += rows.shape[1] * n_units * 16
        widest = max(tap.rows.shape[2] for tap in self.tapped.taps.values())
        n_bytes *= TWICE if "output_hess" in self.wanted or self.probes else 2
        n_bytes += 2 * widest * sources * 4 if self.by_inputs else 0
        self.batch = self.batch or max(1, min(MEMORY // max(n_bytes, 1), MOST_SAMPLES))

    def _halves(self, n: int) -> np.ndarray:
        """Say of the next samples which are of the second half: one of each pair, drawn by a coin."""
        second = []
        for _ in range(n):
            if self.carried is None:
                side = bool(self.coins.random() < 0.5)
                self.carried = not side
            else:
                side, self.carried = self.carried, None
            second.append(side)
        return np.array(second, dtype=bool)

    def _differentiate(self, samples: Samples, cut: int) -> None:
        """Add samples of which those before the cut are of the first half, and the others of the second."""
        halves = [(0, slice(0, cut)), (1, slice(cut, len(samples)))]
        halves = [(half, rows) for half, rows in halves if rows.start < rows.stop]
        returned, leaves = self.tapped.run(samples, by_inputs=self.by_inputs)
        taps = self.tapped.taps
        for name, tap in taps.items():
            rows, sums = tap.rows, self.sums[name]
            if not torch.isfinite(rows).all():
                raise ValueError(f"layer {name!r} must give finite numbers, got nan or inf")
            h = _entries(rows.detach().double(), tap.at_each)
            for half, part in halves:
                sums.add_activations(half, h[part].flatten(0, 1))
            sums.n_samples += len(samples)
            sums.n_positions = max(sums.n_positions, rows.shape[1])
        if self.by_output:
            z = self.tapped.logits(returned, len(samples))
            jacobians: dict[str, Tensor] = {}
            straight = [tap for tap in taps.values() if tap.name not in self.curved]
            few = any(z[0].numel() < tap.rows.shape[2] for tap in straight)
            if "output_grad" in self.wanted or ("output_hess" in self.wanted and few):
                jacobians = self._add_output_gradients(z, halves)
            else:
                seeds = torch.randn_like(z)  # ones would miss logits that always sum to 0
                for tap, gradient in zip(taps.values(), self._back(z, seeds), strict=True):
                    self._reach(tap.name, gradient)
            if "output_hess" in self.wanted:
                self._add_hessians(z, samples.y, halves, jacobians)
            del z, jacobians
        del returned
        if self.by_inputs:
            for tap in taps.values():
                self._add_input_gradients(tap, leaves, halves)

    def _back(self, z: Tensor, seeds: Tensor) -> list[Tensor]:
        """Return the gradient of an output, weighted by the seeds, by every layer."""
        taps = self.tapped.taps
        shifts = [cast(Tensor, tap.shift) for tap in taps.values()]
        if not z.requires_grad:
            raise ValueError(_cut_after(*taps))
        with blamed("model cannot be differentiated"):
            gradients = torch.autograd.grad(z, shifts, seeds, retain_graph=True, allow_unused=True)
        for name, gradient in zip(taps, gradients, strict=True):
            if gradient is None:
                raise ValueError(_cut_after(name))
        return list(gradients)

    def _reach(self, name: str, gradient: Tensor) -> None:
        if name not in self.reached and bool(gradient.any()):
            self.reached.add(name)

    def _add_output_gradients(self, z: Tensor, halves: list[tuple[int, slice]]) -> dict[str, Tensor]:
        """Add Jᵀ J, from a backward pass an output, or three a unit where there are many more outputs.

        Returned is J, ``(output, sample, unit)``, of the layers whose Hessian may be made of it.
        """
        flat = z.reshape(len(z), -1)
        left = []
        for tap in self.tapped.taps.values():
            n_shifts = cast(Any, tap.layout).rows(tap.shift)[0].numel()
            few = flat.shape[1] <= MANY * n_shifts or "output_grad" not in self.wanted
            if few or not self._add_output_gradients_by_unit(tap, flat, halves):
                left.append(tap)
        seeds = torch.zeros_like(flat)
        jacobians = {tap.name: self._room_for_jacobian(tap, flat) for tap in left}
        for k in range(flat.shape[1] if left else 0):
            seeds[:, k] = 1
            gradients = dict(zip(self.tapped.taps, self._back(flat, seeds), strict=True))
            seeds[:, k] = 0
            for tap in left:
                self._reach(tap.name, gradients[tap.name])
                rows = _at_least_single(cast(Any, tap.layout).rows(gradients[tap.name]))
                if (room := jacobians[tap.name]) is not None:
                    room[k] = rows[:, 0]
                for half, part in halves if "output_grad" in self.wanted else ():
                    product = gram(rows[part].flatten(0, 1).T)
                    self.sums[tap.name].add("output_grad", half, product.double())
        return {name: room for name, room in jacobians.items() if room is not None}

    def _room_for_jacobian(self, tap: Tap, flat: Tensor) -> Tensor | None:
        """Make room for J of a layer, if a Hessian may be made of it and it is not too large."""
        n_samples, n_outputs = flat.shape
        n_units = tap.rows.shape[2]
        fits = n_samples * n_outputs * (2 * n_units + n_outputs) * 8 <= MEMORY
        fine = flat.dtype in STRAIGHT and tap.rows.dtype == flat.dtype  # enough to tell straight from curved
        if "output_hess" not in self.wanted or tap.at_each or tap.name in self.curved or not (fits and fine):
            return None
        return torch.empty(n_outputs, n_samples, n_units, dtype=flat.dtype, device=flat.device)

    def _add_output_gradients_by_unit(self, tap: Tap, flat: Tensor, halves: list[tuple[int, slice]]) -> bool:
        """Add Jᵀ J row by row, as Jᵀ (J eᵢ), and return whether that could be done.

        J v is the derivative of wᵀ J v by w, and so takes the gradient wᵀ J to be differentiable by w. An
        operation that computes its gradient without torch breaks that, in silence: a product of both kinds
        with random v and w shows it.
        """
        weights, direction = torch.zeros_like(flat, requires_grad=True), torch.randn_like(flat)
        shift, layout = cast(Tensor, tap.shift), cast(Any, tap.layout)
        back = layout.rows(dict(zip(self.tapped.taps, self._back(flat, direction), strict=True))[tap.name])
        try:
            (gradient,) = torch.autograd.grad(flat, shift, weights, create_graph=True)
            rows = layout.rows(gradient)
            units = torch.randn_like(rows)
            (column,) = torch.autograd.grad(rows, weights, units, retain_graph=True)
        except RuntimeError:
            return False
        if not _are_alike(column, direction, [units], [back]):
            return False
        for position, unit, seeds in _one_by_one(rows):
            (column,) = torch.autograd.grad(rows, weights, seeds, retain_graph=True)
            (back,) = torch.autograd.grad(flat, shift, column, retain_graph=True)
            self._reach(tap.name, column)
            found_rows = layout.rows(back)[:, position].double()
            for half, part in halves:
                self.sums[tap.name].add_row("output_grad", half, unit, found_rows[part].sum(0))
        return True

    def _add_hessians(
        self, z: Tensor, y: Tensor | None, halves: list[tuple[int, slice]], jacobians: dict[str, Tensor]
    ) -> None:
        """Add the Hessian, from a double backward pass a unit, or from `jacobians` where that is the same."""
        taps = self.tapped.taps.values()
        with blamed("model cannot be differentiated twice"):
            curvature = losses.curvature(self.loss, z, y) if jacobians else None
        total = losses.total(self.loss, z, y)
        if not total.requires_grad:
            raise ValueError("loss must depend on the output by operations that can be differentiated")
        shifts = [cast(Tensor, tap.shift) for tap in taps]
        with blamed("model cannot be differentiated twice"):
            gradients = torch.autograd.grad(total, shifts, create_graph=True, allow_unused=True)
        for tap, shift, gradient in zip(taps, shifts, gradients, strict=True):
            if gradient is None or not gradient.requires_grad:
                if isinstance(self.loss, str) and tap.name in self.reached:
                    raise ValueError(
                        f"model cannot be differentiated twice by layer {tap.name!r}: an operation behind "
                        "it, such as an autograd function that computes its gradient without torch, has a "
                        "gradient that cannot be differentiated again"
                    )
                continue  # a user's loss may be linear in the layer
            layout, sums = cast(Any, tap.layout), self.sums[tap.name]
            rows = layout.rows(gradient)
            if curvature is not None and tap.name in jacobians:
                J = jacobians.pop(tap.name)
                if self._add_hessian_by_jacobian(tap, rows, J, curvature, halves):
                    continue
            for position, unit, seeds in _one_by_one(rows):
                with blamed("model cannot be differentiated twice"):
                    (second,) = torch.autograd.grad(rows, shift, seeds, retain_graph=True, allow_unused=True)
                if second is None:
                    continue
                found_rows = layout.rows(second)[:, position].double()
                for half, part in halves:
                    sums.add_row("output_hess", half, unit, found_rows[part].sum(0))

    def _add_hessian_by_jacobian(
        self, tap: Tap, rows: Tensor, J: Tensor, curvature: Tensor, halves: list[tuple[int, slice]]
    ) -> bool:
        """Add Jᵀ M J, with M the Hessian of the loss by the output, and return whether that is the Hessian.

        The Hessian is Jᵀ M J + Σₖ ∂L/∂zₖ ∂²zₖ/∂δ². The sum vanishes where the rest of the model is linear
        around every sample, as one of ReLUs is. Whether it does is seen by the product of both with a random
        vector a sample, for which one double backward pass is enough: a sum that is not zero almost surely
        shows. A layer that was seen to have one is not asked again.
        """
        layout, shift = cast(Any, tap.layout), cast(Tensor, tap.shift)
        v = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0)).to(rows)
        with blamed("model cannot be differentiated twice"):
            (second,) = torch.autograd.grad(rows, shift, v, retain_graph=True, allow_unused=True)
        true = torch.zeros_like(J[0]) if second is None else layout.rows(second)[:, 0]
        M = curvature.to(J.dtype)
        found_product = torch.einsum("obu,bp,bpo->bu", J, torch.einsum("obu,bu->bo", J, v[:, 0]), M)
        size = max(float(true.norm()), float(found_product.norm()))
        if float((true - found_product).norm()) > STRAIGHT[J.dtype] * size:
            self.curved.add(tap.name)
            return False
        MJ = torch.einsum("bop,pbu->obu", M, J)
        for half, part in halves:
            product = J[:, part].flatten(0, 1).T @ MJ[:, part].flatten(0, 1)
            self.sums[tap.name].add("output_hess", half, product.double())
        return True

    def _add_input_gradients(self, tap: Tap, leaves: list[Tensor], halves: list[tuple[int, slice]]) -> None:
        rows = tap.rows
        if not rows.requires_grad:
            raise ValueError(_cut_before(tap.name))
        n_positions = 1 if tap.at_each else rows.shape[1]
        buffer: Tensor | None = None
        reached = False
        if not tap.at_each:
            rows = rows.sum(1, keepdim=True)  # the mean's gradient is divided in the end, in full precision
        few = self.probes is not None and self.probes < rows.shape[1] * rows.shape[2]
        if few and self._add_input_gradients_by_probes(tap, rows, leaves, halves, n_positions):
            return
        for _, unit, seeds in _one_by_one(rows):
            with blamed("model cannot be differentiated"):
                gradients = torch.autograd.grad(rows, leaves, seeds, retain_graph=True, allow_unused=True)
            reached = reached or any(gradient is not None for gradient in gradients)
            flat = torch.cat(
                [
                    self.tapped.flat_source(torch.zeros_like(leaf) if gradient is None else gradient)
                    for leaf, gradient in zip(leaves, gradients, strict=True)
                ],
                dim=1,
            )
            flat = _at_least_single(flat)
            if buffer is None:
                buffer = flat.new_empty(rows.shape[2], *flat.shape)
            buffer[unit] = flat
            if unit == rows.shape[2] - 1:
                for half, part in halves:
                    product = gram(buffer[:, part].flatten(1)).double() / n_positions**2
                    self.sums[tap.name].add("input_grad", half, product)
        if not reached:
            raise ValueError(_cut_before(tap.name))

    def _add_input_gradients_by_probes(
        self, tap: Tap, rows: Tensor, leaves: list[Tensor], halves: list[tuple[int, slice]], n_positions: int
    ) -> bool:
        """Add the mean of (J v)(J v)ᵀ over random v, and return whether that could be done.

        J v is the derivative of wᵀ J v by w, as in `_add_output_gradients_by_unit`, and is tried in the same
        way.
        """
        probes = cast(int, self.probes)
        weights, direction = torch.zeros_like(rows, requires_grad=True), torch.randn_like(rows)

        def signs(like: Tensor) -> Tensor:
            return (2 * torch.randint(2, like.shape, generator=self.directions) - 1).to(like)

        try:
            back = torch.autograd.grad(rows, leaves, direction, retain_graph=True, allow_unused=True)
            found = torch.autograd.grad(rows, leaves, weights, create_graph=True, allow_unused=True)
            gradients = [gradient for gradient in found if gradient is not None and gradient.requires_grad]
            if not gradients:
                return False
            for probe in range(probes):
                v = [signs(gradient) for gradient in gradients]
                (moved,) = torch.autograd.grad(gradients, weights, v, retain_graph=True)
                if probe == 0 and not _are_alike(moved, direction, v, [g for g in back if g is not None]):
                    return False
                moved = _at_least_single(moved)
                for half, part in halves:
                    product = gram(moved[part].flatten(0, 1).T).double() / (probes * n_positions**2)
                    self.sums[tap.name].add("input_grad", half, product)
        except RuntimeError:
            return False
        self.probed.add(tap.name)
        return True

    def results(self) -> dict[str, LayerSimilarity]:
        """Return what came of all samples, once no gradient is seen to be cut."""
        if self.few is None:
            raise ValueError("data must hold a sample or more, got none")
        found = {}
        for name, sums in self.sums.items():
            notes = list(self.notes)
            if name in self.probed:
                notes.append(f"input_grad is an estimate, from {self.probes} random directions a sample")
            if self.by_inputs and sums.is_zero("input_grad") and sums.varies():
                raise ValueError(
                    f"layer {name!r} has a gradient of exactly 0 by every input, though its activations "
                    "change: an operation before it, such as sign, round or a comparison, cuts the gradient"
                )
            if self.by_output and name not in self.reached:
                if self._follows(name):
                    raise ValueError(
                        f"model has an output whose gradient by layer {name!r} is exactly 0, though it "
                        "changes with the layer: an operation behind it, such as sign, round or a "
                        "comparison, cuts the gradient"
                    )
                notes.append("the output changes with no unit of the layer, so its downstream measures are 0")
            found[name] = sums.result(name, self.units[name], notes)
        return found

    def _follows(self, name: str) -> bool:
        """Whether the output changes when samples exchange their activations of a layer."""
        few = cast(Samples, self.few)
        returned, _ = self.tapped.run(few, by_inputs=False)
        z = self.tapped.logits(returned, len(few)).detach()
        tap = self.tapped.taps[name]
        a, axis = cast(Tensor, tap.activations).detach(), cast(Any, tap.layout).samples
        returned, _ = self.tapped.run(few, by_inputs=False, added={name: a.roll(1, axis) - a})
        return not torch.equal(self.tapped.logits(returned, len(few)).detach(), z)


def _wanted(measures: Any) -> list[str]:
    if measures is None:
        return list(MEASURES)
    names = [measures] if isinstance(measures, str) else _checks.listed(measures, "measures")
    if not names:
        raise ValueError("measures must name a measure or more, got none")
    return list(dict.fromkeys(_checks.one_of(name, "each of measures", MEASURES) for name in names))


def _home(model: nn.Module) -> tuple[torch.device, torch.dtype | None]:
    """Return the device of a model, and its precision; what it has no parameters for stays as it is."""
    parameters = [*model.parameters(), *model.buffers()]
    device = parameters[0].device if parameters else torch.device("cpu")
    return device, next((p.dtype for p in parameters if p.is_floating_point()), None)


@contextmanager
def _bar(n_samples: int | None, progress: bool) -> Iterator[Callable[[int], object]]:
    """Give a function that shows that so many more samples are done, if that is to be shown."""
    if not progress:
        yield lambda _: None
        return
    extras.require("progress=True", "report", "tqdm")
    from tqdm import tqdm

    with tqdm(total=n_samples, unit=" samples") as bar:
        yield bar.update


def _has_floats(samples: Samples) -> bool:
    return any(x.is_floating_point() for x in (*samples.inputs, *samples.keywords.values()))


def _device(samples: Samples) -> torch.device:
    return next(iter((*samples.inputs, *samples.keywords.values()))).device


def _entries(rows: Tensor, at_each: bool) -> Tensor:
    """Return the numbers whose covariance is taken, ``(sample, 1 or position, unit)``."""
    return rows if at_each else rows.mean(1, keepdim=True)


def _at_least_single(a: Tensor) -> Tensor:
    return a.float() if a.dtype in (torch.float16, torch.bfloat16) else a


def _are_alike(moved: Tensor, direction: Tensor, v: list[Tensor], back: list[Tensor]) -> bool:
    """Whether wᵀ (J v) and (wᵀ J) v are the same, of J v as `moved`, w as `direction` and wᵀ J as `back`."""
    forwards = (moved * direction).double().sum()
    backwards = sum((a * b).double().sum() for a, b in zip(back, v, strict=True))
    size = moved.double().norm() * direction.double().norm()
    return bool((forwards - backwards).abs() <= ALIKE * size)


def _one_by_one(rows: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Give each position and unit in turn, with weights that pick it, in every sample, from such rows."""
    seeds = torch.zeros_like(rows)
    for position in range(rows.shape[1]):
        for unit in range(rows.shape[2]):
            seeds[:, position, unit] = 1
            yield position, unit, seeds
            seeds[:, position, unit] = 0


def _cut_before(name: str) -> str:
    return (
        f"layer {name!r} has no gradient by the inputs: the way from them to it is cut, for example by "
        "no_grad, detach or a conversion to whole numbers"
    )


def _cut_after(*names: str) -> str:
    shown = ", ".join(map(repr, names))
    return (
        f"model has an output without a gradient by layer {shown}: the way from it to the output is cut, for "
        "example by no_grad or detach, or the output does not depend on what the layer returns"
    )
