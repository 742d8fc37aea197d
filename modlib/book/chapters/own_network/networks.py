"""Small networks that stand for a reader's own, each with a task, and a loop that trains any of them."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "bce": functional.binary_cross_entropy_with_logits,
}
QUESTIONS = 4  # yes-or-no questions that the transformer and the recurrent network answer
KINDS = 16  # of tokens
LENGTH = 12  # tokens in a text
TIMES = 20  # of a sequence of pulses


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int,
    loss: str,
    seed: int,
    batch: int = 100,
    rate: float = 2e-3,
) -> None:
    """Train a model by Adam, and leave it in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    model.train()
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=generator).split(batch):
            optimiser.zero_grad()
            LOSSES[loss](model(x[part]), y[part]).backward()
            optimiser.step()
    model.eval()


class Reader(nn.Module):
    """One block of a transformer: tokens in, the answers to `QUESTIONS` questions out, as logits."""

    def __init__(self, *, width: int = 32, hidden: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(KINDS, width)
        self.block = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=hidden, batch_first=True)
        self.head = nn.Linear(width, QUESTIONS)

    def forward(self, tokens: Int[Tensor, "sample place"]) -> Float[Tensor, "sample question"]:
        """Answer the questions about texts."""
        answers: Tensor = self.head(self.block(self.embedding(tokens)).mean(dim=1))
        return answers


def texts(n: int, *, seed: int) -> tuple[Int[Tensor, "sample place"], Float[Tensor, "sample question"]]:
    """Draw texts of random tokens, with the answers to four questions about each.

    Question k asks whether token 2k stands in the text more often than token 2k + 1. So half of the kinds of
    tokens matter, each to one question, and no question has to do with another.
    """
    tokens = torch.randint(KINDS, (n, LENGTH), generator=torch.Generator().manual_seed(seed))
    counts = functional.one_hot(tokens, KINDS).sum(dim=1)
    first, second = counts[:, 0 : 2 * QUESTIONS : 2], counts[:, 1 : 2 * QUESTIONS : 2]
    return tokens, (first > second).float()


class Counter(nn.Module):
    """A recurrent network: pulses in, the answers to `QUESTIONS` questions out, as logits."""

    def __init__(self, *, hidden: int = 48) -> None:
        super().__init__()
        self.memory = nn.GRU(QUESTIONS, hidden, batch_first=True)
        self.head = nn.Linear(hidden, QUESTIONS)

    def forward(self, pulses: Float[Tensor, "sample time line"]) -> Float[Tensor, "sample question"]:
        """Answer the questions at the end of a sequence."""
        states, _ = self.memory(pulses)
        answers: Tensor = self.head(states[:, -1])
        return answers


def pulse_trains(
    n: int, *, seed: int
) -> tuple[Float[Tensor, "sample time line"], Float[Tensor, "sample question"]]:
    """Draw rare pulses of random sizes on four lines, with the answers to four questions about each.

    Question k asks whether the pulses on line k add up to more than 0. No line has to do with another.
    """
    generator = torch.Generator().manual_seed(seed)
    there = torch.rand(n, TIMES, QUESTIONS, generator=generator) < 0.3
    pulses = there * torch.randn(n, TIMES, QUESTIONS, generator=generator)
    return pulses, (pulses.sum(dim=1) > 0).float()
