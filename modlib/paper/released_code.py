"""Steps of the released code of Lange et al. (2022), tried on networks at hand.

Each function does a step once as that code does it and once as here, and says how far apart they end up.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modlib import _checks
from modlib._contingency import contingency_tables
from modlib.algorithms import find_modules_by
from modlib.analysis.modules import PAIRS
from modlib.clustering import find_modules, modularity, modularity_matrix, sum_within
from modlib.comparison import agreement_pairs
from modlib.measures import VARIANTS, adjacency, graphs, similarity
from modlib.networks import MLPStack
from modlib.paper import published
from modlib.study.accuracy_filter import PAIR
from modlib.study.store import Results
from modlib.two_parts import similarity_of

BATCH = 100  # images at a time, over which the released code sums in single precision
POOR = 0.01  # the relative error from which on a variance counts as poor
N_CLASSES = 10  # of all data sets here
HESSIAN_SCALE = 1 / 100  # what the released code's loss, a mean over a batch, makes of the Hessian

Networks = Mapping[str, MLPStack]  # stacks of one, by name
Inputs = Float[Tensor, "sample _in"]


def covariances(networks: Networks, x: Inputs) -> pd.DataFrame:
    """Covariances as E[hhᵀ] − E[h]E[h]ᵀ in single precision, against centred ones in double precision.

    Of the `units` of a network and layer that vary at all, variances come out as 0 or less (`lost`), or are
    off by more than 1 % (`poor`), and some of the latter units are `always_on`, active for every input.
    `largest_error` is relative. `q` is the modularity of the normalised graph, and `q_change` that of the
    single-precision graph less it, both found anew; units lost are dead in it.
    """
    rows = []
    for name, layer, h, S in _layers(networks, x):
        exact, naive = S["input_cov"], _naive_covariance(h)
        variance = torch.diagonal(exact)
        varies = variance > 0
        found = torch.diagonal(naive)[varies]
        error = ((found - variance[varies]) / variance[varies]).abs()
        poor = error > POOR
        q, q_naive = (
            find_modules(adjacency(s, normalized=True).numpy()).q for s in (exact, (naive + naive.mT) / 2)
        )
        always_on = (h[:, varies][:, poor] > 0).all(0)
        counts = [int(marked.sum()) for marked in (varies, found <= 0, poor, always_on)]
        rows.append([name, layer, *counts, float(error.max()), q, q_naive - q])
    names = ["network", "layer", "units", "lost", "poor", "always_on", "largest_error", "q", "q_change"]
    return pd.DataFrame(rows, columns=names)


def _naive_covariance(h: Float[Tensor, "sample unit"]) -> Float[Tensor, "unit unit"]:
    """E[hhᵀ] − E[h]E[h]ᵀ, summed over batches in single precision; returned in double."""
    products, sums = torch.zeros(h.shape[1], h.shape[1]), torch.zeros(h.shape[1])
    for part in h.float().split(BATCH):
        products += part.T @ part
        sums += part.sum(0)
    mean = sums / len(h)
    return (products / len(h) - torch.outer(mean, mean)).double()


def hessians(networks: Networks, x: Inputs, y: Int[Tensor, " sample"]) -> pd.DataFrame:
    """Count the diagonal entries by which a normalised Hessian would be divided that are 0 or less.

    They are those of the `closed_form` in double precision and of automatic differentiation (`autograd`) in
    single precision. `least` is the smallest entry of the closed form, relative to the largest.
    """
    rows = []
    for name, layer, h, S in _layers(networks, x):
        diagonal = torch.diagonal(S["output_hess"])
        rest = decoder(networks[name].to(dtype=torch.float32), layer)
        single = torch.diagonal(similarity_of(lambda a: a, rest, h.float(), y, measure="output_hess"))
        counts = [len(diagonal), int((diagonal <= 0).sum()), int((single <= 0).sum())]
        rows.append([name, layer, *counts, float(diagonal.min() / diagonal.max())])
    return pd.DataFrame(rows, columns=["network", "layer", "units", "closed_form", "autograd", "least"])


def decoder(stack: MLPStack, layer: int) -> Callable[[Tensor], Tensor]:
    """Logits of a stack of one from the activations of a hidden layer, counted from 1."""
    weights, biases = stack.weights[layer:], stack.biases[layer:]

    def decode(h: Tensor) -> Tensor:
        for number, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = (torch.relu(h) if number else h) @ w[0] + b[0]
        return h

    return decode


def first_splits(networks: Networks, x: Inputs) -> pd.DataFrame:
    """Split each graph in two by the eigenvector of the largest eigenvalue, in absolute value or not.

    Newman (2006) takes the most positive eigenvalue of the modularity matrix; the released code the vector of
    the largest singular value, whose eigenvalue may be `negative`. The split then separates units that belong
    together. `q_absolute` and `q_newman` are the modularity of the two halves by either vector.
    """
    rows = [
        (name, layer, *variant, *first_split(adjacency(S[variant[0]], normalized=variant[1]).numpy()))
        for name, layer, _, S in _layers(networks, x)
        for variant in VARIANTS
    ]
    columns = ["network", "layer", "measure", "normalized", "negative", "q_absolute", "q_newman"]
    return pd.DataFrame(rows, columns=columns)


def first_split(A: Float[np.ndarray, "unit unit"]) -> tuple[bool, float, float]:
    """Whether the eigenvalue largest in size is negative, and Q of the halves by either eigenvector.

    Examples
    --------
    Two pairs, with all edges between them and none within: the worst split is the first of the two.

    >>> A = np.ones((4, 4)) - np.kron(np.eye(2), np.ones((2, 2)))
    >>> negative, q_absolute, q_newman = first_split(A)
    >>> negative, round(q_absolute, 6), q_newman > -0.5
    (True, -0.5, True)
    """
    alive = A.any(axis=1)
    B = modularity_matrix(A[np.ix_(alive, alive)])
    values, vectors = np.linalg.eigh(B)
    largest = int(np.abs(values).argmax())
    q_absolute, q_newman = (
        sum_within(B, (vectors[:, i] > 0).astype(np.int64)) for i in (largest, len(values) - 1)
    )
    return bool(values[largest] < 0), q_absolute, q_newman


def rescaled_hessians(networks: Networks, x: Inputs) -> float:
    """Largest change of Q of any raw Hessian graph's partition if the Hessian is 100 times smaller."""
    changes = []
    for _, _, _, S in _layers(networks, x):
        A = adjacency(S["output_hess"]).numpy()
        part = find_modules(A, restarts=1)
        changes.append(abs(modularity(HESSIAN_SCALE * A, part.labels) - part.q))
    return max(changes)


def untrained_agreement(
    results: Results, x: Inputs, *, untrained: int = 12, optimiser: str = "monte-carlo"
) -> pd.DataFrame:
    """Agreement of untrained networks by the partitions of another optimiser, beside ours and the paper's.

    Untrained networks have no protocol and few dead units: apart from chance, what is left between our values
    and the paper's is the search for modules.

    A row is a pair of graphs, with element-centric similarity, the mean over networks and layers, by the
    `stored` partitions and by the `other` ones, of the first `untrained` networks on inputs `x`; and `paper`,
    that of the paper's figure.
    """
    networks = results.networks[~results.networks.trained]
    networks = networks.nsmallest(_checks.whole(untrained, "untrained", least=1, most=len(networks)), "seed")
    hidden = results.manifest["config"]["hidden"]
    stack = MLPStack.initialise([x.shape[1], *hidden, N_CLASSES], seeds=list(networks.seed))
    S = similarity(stack.to(dtype=torch.float64), x)
    values = []
    for A in chain.from_iterable(graphs(S, layer) for layer in range(len(hidden))):
        labels = np.stack([find_modules_by(a, optimiser).labels for a in A])
        values.append(agreement_pairs(labels, PAIRS)["ecs"])
    keys = [(*VARIANTS[a], *VARIANTS[b]) for a, b in PAIRS]
    other = pd.DataFrame(keys, columns=PAIR).assign(other=np.nanmean(values, axis=0))
    stored = results.agreement[results.agreement.network.isin(networks.network)]
    ours = stored.groupby(PAIR).ecs.mean().rename("stored").reset_index()
    paper = published.agreement().rename(columns={"ecs_untrained": "paper"})
    return other.merge(ours, on=PAIR).merge(paper[[*PAIR, "paper"]], on=PAIR, how="left")


def greedy_matching(
    a: Int[np.ndarray, "pair unit"], b: Int[np.ndarray, "pair unit"]
) -> Float[np.ndarray, " pair"]:
    """Share of units matched by pairing modules greedily: the two that share most units first, and so on.

    Units labelled −1 in either partition of a pair are left out.
    """
    shared = contingency_tables(a, b, int(max(a.max(), b.max())) + 1)
    n = shared.sum(axis=(1, 2))
    matched, pair = np.zeros(len(shared)), np.arange(len(shared))
    for _ in range(shared.shape[1]):
        row, column = np.divmod(shared.reshape(len(shared), -1).argmax(axis=1), shared.shape[2])
        matched += shared[pair, row, column]
        shared[pair, row], shared[pair, :, column] = 0, 0
    return np.asarray(np.divide(matched, n, out=np.full(len(n), np.nan), where=n > 0))


def _layers(networks: Networks, x: Tensor) -> Iterator[tuple[str, int, Tensor, dict[str, Tensor]]]:
    """Name, layer (from 1), activations in single precision and exact similarities of each layer."""
    for name, stack in networks.items():
        if len(stack) != 1:
            raise ValueError(f"networks must be stacks of one, got {len(stack)} in {name!r}")
        S = similarity(stack.to(dtype=torch.float64), x)
        hidden, _ = stack.to(dtype=torch.float32)(x.float())
        for layer, h in enumerate(hidden):
            yield name, layer + 1, h[0], {measure: S[measure][layer][0] for measure in S}
