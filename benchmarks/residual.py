"""ResNet-18 for small pictures (He et al. 2016), with random weights: a model as people bring it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)
CLASSES = 10


class Block(nn.Module):
    """Two convolutions and a path that skips them (He et al. 2016, fig. 2)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        stride = 1 if n_in == n_out else 2
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        shrinking = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        self.skip = nn.Identity() if n_in == n_out else shrinking

    def forward(self, x: Tensor) -> Tensor:
        """Run the block."""
        h = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(h)) + self.skip(x)).relu()


def resnet18(seed: int = 0) -> nn.Sequential:
    """Give the network: a stem that halves a picture twice, ``layer1`` to ``layer4``, and the classes."""
    torch.manual_seed(seed)
    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False))
    net.add_module("bn", nn.BatchNorm2d(WIDTHS[0]))
    net.add_module("relu", nn.ReLU())
    net.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    for number, (n_in, n_out) in enumerate(zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False), start=1):
        net.add_module(f"layer{number}", nn.Sequential(Block(n_in, n_out), Block(n_out, n_out)))
    net.add_module("mean", nn.AdaptiveAvgPool2d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("fc", nn.Linear(WIDTHS[-1], CLASSES))
    return net
