"""What the explorer's page carries: graphs, modules and incoming weights, as a script for each seed.

A page that is opened from the disk may load scripts, but no other files. So each seed is a script that hands
its networks to the page, and is loaded when the reader chooses the seed.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from math import isqrt
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from modlib import data
from modlib.book.stored import experiments
from modlib.clustering import alive_units, find_modules, modularity
from modlib.measures import MEASURES, VARIANTS, graphs, similarity
from modlib.networks import MLPStack
from modlib.study.plan import UNTRAINED, Experiment, Setting
from modlib.study.store import Results

#: Experiments in the order in which a network is looked for.
SOURCES = ("close-up", "base")
#: Untrained networks, and for each regulariser a weak and a strong level.
LEVELS = (
    UNTRAINED,
    Setting("l2", 1e-5, l2=1e-5),
    Setting("l2", 1e-2, l2=1e-2),
    Setting("l1", 1e-4, l1=1e-4),
    Setting("l1", 1e-3, l1=1e-3),
    *(Setting("dropout", p, dropout=p) for p in (0.3, 0.5, 0.7)),
)
SEEDS = (0, 1, 2)
TOP_LEVEL = 255  #: The level of a graph's largest weight; the smallest is 0.
FAINTEST = 0.1  #: An image is scaled to no less than this share of the network's largest weight.
ROUNDING = 1e-3  #: How far rounding may move Q.
#: A character for each module, none of which has a meaning in an address; dead units have `DEAD`.
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_~"
DEAD = "-"


class NothingToShowError(LookupError):
    """No network that the explorer may show is stored with its weights."""


def scripts(profile: str) -> dict[str, str]:
    """Make the files of the explorer from the experiments that are stored at a profile: text by name.

    ``index.json`` says which networks there are, and ``seed-0.js`` and so on hold them. A NothingToShowError
    says that no network is stored, and a ValueError that what is stored does not fit its weights.
    """
    return of_results(list(experiments(profile, *SOURCES).values()))


def of_results(found: Sequence[Results]) -> dict[str, str]:
    """Make the files of `scripts` from results, of which the first that holds a network gives it."""
    shown: dict[tuple[Setting, int], dict[str, Any]] = {}
    test_images = cache(_test_images)  # loaded once for all networks, and not kept longer
    for setting, seed in product(LEVELS, SEEDS):
        if held := next(_holding(found, setting.network_name(seed)), None):
            shown[setting, seed] = _network(*held, setting.network_name(seed), test_images)
    if not shown:
        raise NothingToShowError(
            f"the explorer has no network to show: none is stored with its weights in {', '.join(SOURCES)}"
        )
    seeds = [seed for seed in SEEDS if any(seed == held for _, held in shown)]
    index = {
        "networks": [
            {
                "name": _name(setting),
                "regularizer": setting.regularizer,
                "strength": _strength(setting),
                "seeds": [seed for seed in seeds if (setting, seed) in shown],
                "layers": min(len(made["layers"]) for (held, _), made in shown.items() if held == setting),
            }
            for setting in LEVELS
            if any(setting == held for held, _ in shown)
        ],
        "measures": [{"name": m.name, "label": m.label, "family": m.family} for m in MEASURES.values()],
        "wanted": len(LEVELS) * len(SEEDS),
    }
    texts = {"index.json": _json(index) + "\n"}
    for seed in seeds:
        networks = {_name(setting): made for (setting, held), made in shown.items() if held == seed}
        texts[f"seed-{seed}.js"] = f"modlibExplorer.receive({seed}, {_json(networks)});\n"
    return texts


def _holding(found: Sequence[Results], network: str) -> Iterator[tuple[Results, MLPStack]]:
    """Give the results that hold a network and its modules, and the network, untrained ones made anew."""
    for results in found:
        rows = results.networks[results.networks.network == network]
        if rows.empty or not (results.modules.network == network).any():
            continue
        if not rows.trained.iloc[0]:
            hidden = [int(units) for units in rows.hidden.iloc[0].split("-")]
            yield results, MLPStack.initialise([784, *hidden, 10], seeds=[int(rows.seed.iloc[0])])
        elif network in results.kept:
            yield results, results.kept[network]


def _network(
    results: Results, stack: MLPStack, name: str, test_images: Callable[[str], Tensor]
) -> dict[str, Any]:
    """Give everything that the page needs of a network."""
    experiment = Experiment.from_config(results.manifest["config"])
    x = test_images(experiment.dataset)[: experiment.test_samples]
    S = similarity(stack.to(dtype=torch.float64), x)
    modules = results.modules[results.modules.network == name]
    keys = zip(modules.layer, modules.measure, modules.normalized, strict=True)
    rows = dict(zip(keys, zip(modules.labels, modules.q, strict=True), strict=True))
    layers = [
        {
            "units": stack.widths[layer + 1],
            "signs": {measure: signs((S[measure][layer][0] < 0).numpy()) for measure in MEASURES},
            "graphs": {
                f"{variant[0]} {_form(variant[1])}": _graph(
                    A,
                    *rows[layer + 1, *variant],
                    called=f"{name}, layer {layer + 1}, {variant[0]}, {_form(variant[1])}",
                    restarts=experiment.restarts,
                )
                for variant, A in zip(VARIANTS, graphs(S, layer)[0], strict=True)
            },
        }
        for layer in range(stack.n_hidden)
    ]
    return {"layers": layers, "images": images(stack.weights[0][0].numpy())}


def _test_images(dataset: str) -> Float[Tensor, "sample pixel"]:
    """Return the test images of a data set, in double precision."""
    return data.load(dataset).x_test.to(torch.float64)


def _graph(
    A: Float[np.ndarray, "unit unit"],
    labels: Int[np.ndarray, " unit"],
    q: float,
    *,
    called: str,
    restarts: int,
) -> dict[str, Any]:
    """Give a graph as levels, with the modules and Q that are stored for it.

    Tables may be older than the rule by which a unit is dead today (`modlib.measures.dead_units`). Where
    other units are dead in them and Q differs, their modules are of another graph, and are searched anew.
    """
    coarse, again = levels(A), False
    if not _fits(coarse, labels, q):
        if np.array_equal(labels < 0, ~alive_units(A)):
            raise ValueError(f"{called}: q of the table must be that of the stored weights, got {q:.4f}")
        found = find_modules(A, restarts=restarts)
        labels, q, again = found.labels, found.q, True
    kept = {"code": _base64(coarse), "labels": written(labels), "q": round(q, 6) if np.isfinite(q) else None}
    return kept | ({"again": True} if again else {})


def _fits(coarse: UInt8[np.ndarray, " pair"], labels: Int[np.ndarray, " unit"], q: float) -> bool:
    """Whether a graph, up to rounding, has this Q; both may be undefined, where there are no edges."""
    found = modularity(from_levels(coarse), labels)
    return bool(abs(found - q) <= ROUNDING or (np.isnan(found) and np.isnan(q)))


def levels(A: Float[np.ndarray, "unit unit"]) -> UInt8[np.ndarray, " pair"]:
    """Round the weights above the diagonal, row by row, to 256 levels, level k standing for top·(k/255)².

    The square leaves the many small weights as many levels as the few large ones.

    Examples
    --------
    >>> levels(np.array([[0.0, 4.0, 1.0], [4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])).tolist()
    [255, 128, 0]
    """
    upper = A[np.triu_indices(len(A), k=1)]
    top = upper.max(initial=0.0)
    return np.rint(TOP_LEVEL * np.sqrt(upper / top if top > 0 else upper)).astype(np.uint8)


def from_levels(coarse: UInt8[np.ndarray, " pair"]) -> Float[np.ndarray, "unit unit"]:
    """Give the graph of `levels` as the browser reads it, its largest weight being 1."""
    n = (1 + isqrt(1 + 8 * len(coarse))) // 2
    A = np.zeros((n, n))
    A[np.triu_indices(n, k=1)] = (coarse / TOP_LEVEL) ** 2
    return A + A.T


def signs(negative: Bool[np.ndarray, "unit unit"]) -> str:
    """Write which similarities above the diagonal are negative, a bit each, the first bits highest."""
    return _base64(np.packbits(negative[np.triu_indices(len(negative), k=1)]))


def images(weights: Float[np.ndarray, "pixel unit"]) -> str:
    """Write the weights by which each unit reads the image, as 14 × 14 pixels a unit, 128 standing for 0.

    A pixel is the mean over 2 × 2 of the image's. Each unit's image is scaled to its own largest pixel, but
    to no less than a tenth of the network's, so that a unit that hardly reads anything stays pale.
    """
    n_unit = weights.shape[1]
    pixels = weights.T.reshape(n_unit, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(n_unit, -1)
    own = np.abs(pixels).max(axis=1, keepdims=True)
    scale = np.maximum(own, max(FAINTEST * float(own.max()), 1e-12))
    return _base64((128 + np.rint(127 * pixels / scale)).astype(np.uint8))


def written(labels: Int[np.ndarray, " unit"]) -> str:
    """Write a partition, a character a unit; a ValueError says that there are too many modules for that.

    >>> written(np.array([0, 0, 11, -1]))
    '00b-'
    """
    if labels.max(initial=-1) >= len(ALPHABET):
        raise ValueError(f"labels must be below {len(ALPHABET)}, got {labels.max()}")
    return "".join(DEAD if label < 0 else ALPHABET[label] for label in labels.tolist())


def _base64(values: UInt8[np.ndarray, "..."]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _form(normalized: bool) -> str:
    return "normalised" if normalized else "raw"


def _name(setting: Setting) -> str:
    """Name a level, as the page's address does."""
    return "untrained" if setting == UNTRAINED else f"{setting.regularizer}={setting.strength:g}"


def _strength(setting: Setting) -> str:
    """Write a strength: a probability as it is, a penalty as a power of ten."""
    if setting == UNTRAINED:
        return "none"
    if setting.regularizer == "dropout":
        return f"{setting.strength:g}"
    power = f"{setting.strength:.0e}".split("e")[1]
    return "10" + str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
