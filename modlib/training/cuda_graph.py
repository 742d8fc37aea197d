"""Launches on a GPU, recorded once and replayed."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor


class Recorded:
    """A function of tensors whose launches on a GPU are recorded once and then replayed (a CUDA graph).

    A step of small networks is dozens of launches of a few microseconds each, and Python takes longer to make
    them one by one than the GPU takes to run them. Replaying them is one call.

    The function changes tensors in place, which must stay where they are. It may only launch kernels, and
    must not wait for the GPU. The first call with inputs of some shapes is an ordinary one, so that libraries
    and compilers can set themselves up; the second is recorded. Inputs are copied to where the recorded
    launches read them.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._ready: set[tuple[torch.Size, ...]] = set()
        self._recorded: dict[tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, list[Tensor]]] = {}

    def __call__(self, *inputs: Tensor) -> None:
        """Call the function."""
        shapes = tuple(t.shape for t in inputs)
        if shapes not in self._ready:
            self._function(*inputs)
            self._ready.add(shapes)
            return
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record(inputs)
        graph, places = self._recorded[shapes]
        for place, t in zip(places, inputs, strict=True):
            place.copy_(t)
        graph.replay()

    def _record(self, inputs: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, list[Tensor]]:
        """Record a call without computing anything.

        ``torch.cuda.graph`` would first collect garbage and give all memory back. Where networks leave the
        stack every other epoch, that takes longer than the recording saves.
        """
        places = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs]
        with torch.cuda.device(places[0].device):
            graph, aside = torch.cuda.CUDAGraph(), _aside(places[0].device)
            torch.cuda.synchronize()
            with _nothing_collected(), torch.cuda.stream(aside):
                graph.capture_begin(capture_error_mode="thread_local")  # other threads may launch meanwhile
                try:
                    self._function(*places)
                finally:
                    graph.capture_end()
            torch.cuda.current_stream().wait_stream(aside)
        return graph, places


@cache
def _aside(device: torch.device) -> torch.cuda.Stream:
    """Give the stream of all recordings: one, since libraries keep memory for every stream they have seen."""
    return torch.cuda.Stream(device)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Switch garbage collection off during a capture, which freeing another CUDA graph would invalidate."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
