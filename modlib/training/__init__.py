"""Training: many networks of one shape at once, each as if it were alone."""

from modlib.training.loop import PROTOCOLS, Protocol, Training, denormals_flushed, train

__all__ = ["PROTOCOLS", "Protocol", "Training", "denormals_flushed", "train"]
