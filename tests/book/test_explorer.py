"""The explorer: what it computes in the browser against modlib, and what a reader can do with it."""

import base64
import json
import re
import shutil
import threading
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import in_process
import numpy as np
import pandas as pd
import pytest
import torch
from keyboard import press_until

from modlib import data
from modlib.book import builder
from modlib.book.builder import BookError, cache
from modlib.book.builder import explorer as builder_explorer
from modlib.book.chapters.explorer import payload
from modlib.book.sphinx import explorer
from modlib.clustering import find_modules, modularity, modularity_matrix
from modlib.comparison import agreement
from modlib.criteria import signed_modularity_matrix
from modlib.measures import VARIANTS, graphs, similarity
from modlib.networks import MLPStack
from modlib.study import catalogue, project
from modlib.study.rows import analyse
from modlib.study.store import Results

ROOT = Path(__file__).parents[2]
STATIC = Path(explorer.__file__).parent / "static" / "explorer"
UNITS, SAMPLES, RESTARTS = 24, 100, 3
LIMIT = 2_000_000  # bytes of page and data


def results(names, *, kept=(), restarts=RESTARTS):
    """Analyse untrained networks, some of which pass for trained ones that are kept."""
    plan = replace(
        catalogue.get("close-up", "quick"), hidden=(UNITS, UNITS), test_samples=SAMPLES, restarts=restarts
    )
    x, y = images_and_labels()
    networks, tables, stacks = [], [], {}
    for number, name in enumerate(names):
        level, seed = re.fullmatch(r"(.*),seed=(\d+)", name).groups()
        trained = level != "untrained"
        stack = MLPStack.initialise([784, UNITS, UNITS, 10], seeds=[100 + number if trained else int(seed)])
        networks.append(
            {"network": name, "hidden": f"{UNITS}-{UNITS}", "trained": trained, "seed": int(seed)}
        )
        tables.append(analyse(stack, x, y, [name], restarts=restarts)[0])
        if name in kept:
            stacks[name] = stack
    empty = pd.DataFrame()
    manifest = {"config": plan.config}
    return Results(pd.DataFrame(networks), pd.concat(tables), empty, manifest, stacks)


def images_and_labels():
    generator = np.random.default_rng(0)
    x = torch.as_tensor(generator.random((SAMPLES, 784), dtype=np.float32))
    return x, torch.as_tensor(generator.integers(0, 10, SAMPLES))


TRAINED = ("dropout=0.5,seed=0", "l2=1e-05,seed=0", "dropout=0.5,seed=1")
NAMES = (*TRAINED, "untrained,seed=0", "untrained,seed=1", "l1=0.001,seed=0")


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda _: SimpleNamespace(x_test=images_and_labels()[0]))
        found = results(NAMES, kept=TRAINED)
        yield SimpleNamespace(results=found, texts=payload.of_results([found]))


# --- what is made


def test_every_network_that_is_kept_is_there_and_untrained_ones_are_made_of_their_seeds(small):
    index = json.loads(small.texts["index.json"])
    assert {one["name"]: one["seeds"] for one in index["networks"]} == {
        "untrained": [0, 1], "l2=1e-05": [0], "dropout=0.5": [0, 1],
    }  # fmt: skip
    assert index["wanted"] == 24
    assert [one["strength"] for one in index["networks"]] == ["none", "10⁻⁵", "0.5"]
    assert set(small.texts) == {"index.json", "seed-0.js", "seed-1.js"}


def networks_of(text):
    return json.loads(re.fullmatch(r"modlibExplorer\.receive\(\d+, (.*)\);\n", text)[1])


def test_graphs_and_signs_are_those_of_the_weights(small):
    made = networks_of(small.texts["seed-0.js"])["dropout=0.5"]
    stack = small.results.kept["dropout=0.5,seed=0"].to(dtype=torch.float64)
    S = similarity(stack, images_and_labels()[0].double())
    upper = np.triu_indices(UNITS, k=1)
    for layer, held in enumerate(made["layers"]):
        for (measure, normalized), A in zip(VARIANTS, graphs(S, layer)[0], strict=True):
            graph = held["graphs"][f"{measure} {'normalised' if normalized else 'raw'}"]
            coarse = np.frombuffer(decoded(graph["code"]), dtype=np.uint8)
            exact = np.sqrt(A[upper] / A.max())
            np.testing.assert_allclose(coarse / 255, exact, atol=0.5 / 255 + 1e-9)
            bits = np.unpackbits(np.frombuffer(decoded(held["signs"][measure]), dtype=np.uint8))
            np.testing.assert_array_equal(bits[: len(upper[0])], (S[measure][layer][0].numpy() < 0)[upper])


def decoded(text):
    return base64.b64decode(text)


def test_images_are_means_of_four_pixels_and_a_faint_unit_stays_pale():
    weights = np.zeros((784, 3), dtype=np.float32)
    weights[:2, 0] = 4.0  # half of the first 2 × 2 pixels
    weights[783, 1] = -0.2  # a quarter of it in the mean, and a quarter of a tenth of the largest pixel
    pixels = np.frombuffer(decoded(payload.images(weights)), dtype=np.uint8).reshape(3, 14, 14)
    assert pixels[0, 0, 0] == 255
    assert pixels[1, 13, 13] == 128 - round(127 / 4)
    assert (pixels[2] == 128).all()
    assert (pixels[0].ravel()[1:] == 128).all()


def test_modules_that_do_not_fit_the_weights_are_refused(small):
    wrong = small.results.modules.copy()
    wrong["q"] += 0.01
    with pytest.raises(ValueError, match=r"untrained,seed=0, layer 1, input_cov, raw: q of the table must"):
        payload.of_results([replace(small.results, modules=wrong)])


def test_modules_of_a_time_when_other_units_were_dead_are_searched_for_again(small):
    rows = small.results.modules.copy().reset_index(drop=True)
    A = graph_of(small, "dropout=0.5,seed=0", 0, ("output_grad", True))
    place = rows.index[
        (rows.network == "dropout=0.5,seed=0") & (rows.layer == 1)
        & (rows.measure == "output_grad") & rows.normalized
    ][0]  # fmt: skip
    older = rows.labels[place].copy()
    older[5] = -1
    rows.at[place, "labels"], rows.at[place, "q"] = older, rows.q[place] + 0.1
    texts = payload.of_results([replace(small.results, modules=rows)])
    layer = networks_of(texts["seed-0.js"])["dropout=0.5"]["layers"][0]
    graph = layer["graphs"]["output_grad normalised"]
    found = find_modules(A, restarts=RESTARTS)
    assert graph["again"]
    assert graph["labels"] == payload.written(found.labels)
    assert graph["q"] == pytest.approx(found.q, abs=1e-6)
    assert sum("again" in one for one in layer["graphs"].values()) == 1


def graph_of(small, name, layer, variant):
    stack = small.results.kept[name].to(dtype=torch.float64)
    return graphs(similarity(stack, images_and_labels()[0].double()), layer)[0][VARIANTS.index(variant)]


def test_nothing_to_show_is_said():
    with pytest.raises(payload.NothingToShowError, match="no network to show: none is stored"):
        payload.of_results([])


# --- the build of the book


@pytest.fixture
def book(tmp_path, monkeypatch, small):
    """Give a function that makes the files of a small book's explorer, and how often they were computed."""
    calls = []

    def scripts(profile):
        calls.append(profile)
        return small.texts

    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters: [{file: book/explorer}]\n")
    (tmp_path / "results" / "base-paper").mkdir(parents=True)
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(payload, "scripts", scripts)
    in_process.patch(monkeypatch)

    def make(*, force=False, meanwhile=lambda: None):
        kept = cache.Cache(tmp_path / "_build", tmp_path)
        with builder_explorer.being_made(tmp_path, kept, "paper", force=force):
            meanwhile()
        return len(calls)

    return SimpleNamespace(make=make, root=tmp_path, calls=calls)


def test_files_are_made_anew_only_when_results_change(book, small):
    assert book.make() == 1
    folder = book.root / builder_explorer.FOLDER
    assert {path.name: path.read_text() for path in folder.iterdir()} == small.texts
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "seed-9.js").write_text("of another profile")
    assert book.make() == 1
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    (book.root / "results" / "base-paper" / "manifest.json").write_text("{}")
    assert book.make() == 2
    assert book.make(force=True) == 3


def test_a_book_without_an_explorer_makes_no_files_and_one_without_networks_says_so(book, monkeypatch):
    def nothing(profile):
        raise payload.NothingToShowError("the explorer has no network to show")

    monkeypatch.setattr(payload, "scripts", nothing)
    with pytest.raises(BookError, match="no network to show"):
        book.make()
    (book.root / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    book.make()
    assert not (book.root / builder_explorer.FOLDER).exists()


def test_files_are_made_while_something_else_goes_on(book, small, monkeypatch):
    begun, allowed = threading.Event(), threading.Event()

    def scripts(profile):
        begun.set()
        assert allowed.wait(60)
        return small.texts

    def meanwhile():
        assert begun.wait(60)
        assert not (book.root / builder_explorer.FOLDER).exists()
        allowed.set()

    monkeypatch.setattr(payload, "scripts", scripts)
    book.make(meanwhile=meanwhile)
    assert {path.name for path in (book.root / builder_explorer.FOLDER).iterdir()} == small.texts.keys()


def test_a_process_that_is_gone_and_one_that_fails_are_told_of(book, monkeypatch):
    def stumbling(profile):
        raise ValueError("q of the table must be that of the stored weights")

    monkeypatch.setattr(payload, "scripts", stumbling)
    with pytest.raises(ValueError, match="that of the stored weights"):
        book.make()
    monkeypatch.undo()
    monkeypatch.setattr(builder_explorer, "_send_scripts", print)  # it ends without having sent anything
    with pytest.raises(BookError, match="explorer's files could not be made: its process was killed"):
        book.make()


def test_the_book_has_the_page_after_the_example_layer():
    pages = re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text())
    assert pages[pages.index("book/executed/example-layer") + 1] == builder_explorer.PAGE
    assert "```{explorer}\n```" in (ROOT / "book" / "explorer.md").read_text()
    assert builder.explorer is builder_explorer


def test_a_wheel_carries_every_file_that_is_no_code():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "modlib"
    ]
    carried = [set(project.PACKAGE.glob(pattern)) for pattern in listed]
    assert all(carried)
    others = {
        path for path in project.PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }  # fmt: skip
    assert {path for found in carried for path in found if path.is_file()} == others
    assert {path.name for path in STATIC.glob("*.js")} == {f"{name}.js" for name in explorer.SCRIPTS}


# --- in the browser


def write_page(folder, texts):
    """Write a page with nothing but the explorer on it; return its address."""
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copy(STATIC.parent / "save.js", folder)
    names = ("save", *explorer.SCRIPTS)
    scripts = "".join(f'<script defer src="{name}.js"></script>' for name in names)
    (folder / "page.html").write_text(
        '<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        '<title>Explorer</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="explorer.css">{scripts}</head>'
        f"<body><main><h1>Explorer</h1><h2>Explore</h2>{explorer.page(texts['index.json'])}</main></body></html>",
        encoding="utf-8",
    )
    return (folder / "page.html").as_uri()


@pytest.fixture(scope="module")
def address(small, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("explorer"), small.texts)


@pytest.fixture
def visit(browser, address):
    """Give a function that opens the explorer; nothing may go wrong on the way, nor be asked of a server."""
    opened, faults = [], []

    def visit(anchor="", *, width=1000, theme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
        page = context.new_page()
        opened.append(context)
        page.on(
            "console", lambda message: message.type in ("error", "warning") and faults.append(message.text)
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "blob:file:")) or faults.append(request.url),
        )
        page.goto(address + anchor)
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        settle(page)
        return page

    yield visit
    for context in opened:
        context.close()
    assert not faults


def settle(page):
    page.wait_for_selector("#modlib-explorer[data-settled]", timeout=60_000)


def part(page, role):
    return page.locator(f'[data-role="{role}"]')


def graph_in_js(A):
    """Write a graph as JavaScript that the explorer's functions take, all of its units alive or dead."""
    coarse = payload.from_levels(payload.levels(A))
    alive = (A > 0).any(axis=1)
    return {
        "n": len(A), "weights": coarse.ravel().tolist(), "negative": [0] * A.size,
        "stored": np.where(alive, 0, -1).tolist(),
    }  # fmt: skip


@pytest.mark.browser
def test_q_and_agreement_are_those_of_modlib(visit, small):
    page = visit()
    table = small.results.modules.set_index(["network", "layer", "measure", "normalized"])
    compared = 0
    for name in ("dropout=0.5,seed=0", "untrained,seed=0"):
        for layer in (1, 2):
            rows = [table.loc[(name, layer, *variant)] for variant in VARIANTS]
            found = page.evaluate(
                """([network, layer, variants]) => {
                    const { graph, modularity, agreement } = modlibExplorer;
                    const graphs = variants.map(([m, form]) => graph(0, network, layer, m, form));
                    const q = graphs.map((g) => modularity(g.weights, g.stored));
                    const labels = graphs.map((g) => g.stored);
                    const pairs = labels.flatMap((a) => labels.map((b) => agreement(a, b)));
                    return { q, pairs };
                }""",
                [name.split(",")[0], layer, [[m, "normalised" if f else "raw"] for m, f in VARIANTS]],
            )
            np.testing.assert_allclose(found["q"], [row.q for row in rows], atol=1e-3)
            pairs = [agreement(a.labels.astype(int), b.labels.astype(int)) for a in rows for b in rows]
            for metric in ("ecs", "ami"):
                ours = [pair[metric] for pair in found["pairs"]]
                np.testing.assert_allclose(ours, [pair[metric] for pair in pairs], atol=1e-9)
            compared += len(rows)
    assert compared == 32


@pytest.mark.browser
def test_agreement_at_the_edges_is_that_of_modlib(visit):
    generator = np.random.default_rng(1)
    pairs = [([0, 0, 0], [0, 0, 0]), ([0, 0, 0], [0, 1, 2]), ([0, 1, 2], [0, 1, 2]), ([0, -1, 1], [-1, 0, 1])]
    for n_module in (1, 2, 5, 20):
        pairs += [tuple(generator.integers(-1, n_module, (2, 40)).tolist()) for _ in range(10)]
    found = visit().evaluate(
        """(pairs) => pairs.map(([a, b]) =>
            Object.values(modlibExplorer.agreement(a, b)).map((v) => isNaN(v) ? null : v))""",
        pairs,
    )
    for ours, (a, b) in zip(found, pairs, strict=True):
        theirs = agreement(a, b)
        expected = [theirs["ecs"], theirs["ami"]]
        np.testing.assert_allclose([np.nan if v is None else v for v in ours], expected, atol=1e-9)


@pytest.mark.browser
@pytest.mark.slow
def test_a_hundred_restarts_find_the_best_q_that_is_known(visit):
    """Of 64 stored graphs of 64 units; the search sees them rounded as the page's are."""
    reference = Path(__file__).parents[1] / "reference"
    best = pd.read_csv(reference / "best_q.csv").best_known_q
    page, gaps = visit(), []
    with np.load(reference / "best_q_graphs.npz") as stored:
        for index, known in enumerate(best):
            A = np.zeros((64, 64))
            A[np.triu_indices(64, k=1)] = stored[f"w{index}"]
            A += A.T
            found = page.evaluate(
                "(graph) => modlibExplorer.search(graph, { restarts: 100, seed: 0 })", graph_in_js(A)
            )
            gaps.append(modularity(A, found["labels"]) - known)
    assert len(gaps) == 64
    assert min(gaps) > -1e-3, (np.argmin(gaps), min(gaps))


@pytest.mark.browser
@pytest.mark.parametrize(("signed", "gamma"), [(False, 1.0), (False, 1.7), (True, 1.0), (True, 0.6)])
def test_signs_and_resolution_are_those_of_modlib(visit, signed, gamma):
    generator = np.random.default_rng(2)
    S = generator.normal(size=(12, 12))
    S = np.triu(S, k=1) + np.triu(S, k=1).T
    graph = {
        "n": 12, "weights": np.abs(S).ravel().tolist(), "negative": (S < 0).astype(int).ravel().tolist(),
        "stored": [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
    }  # fmt: skip
    found = visit().evaluate(
        """async ([graph, options]) => {
            const units = graph.stored.map((_, unit) => unit);
            const found = await modlibExplorer.search(graph, { restarts: 50, seed: 1, ...options });
            return { B: [...modlibExplorer.criterion(graph, units, options)], ...found };
        }""",
        [graph, {"signed": signed, "gamma": gamma}],
    )
    B = signed_modularity_matrix(S, gamma) if signed else modularity_matrix(np.abs(S), gamma)
    np.testing.assert_allclose(np.reshape(found["B"], (12, 12)), B, atol=1e-12)
    labels = np.array(found["labels"])
    assert found["q"] == pytest.approx(B[labels[:, None] == labels].sum(), abs=1e-12)
    assert found["q"] >= found["stored"]
    assert found["restarts"] == 50


@pytest.mark.browser
def test_a_search_lets_the_page_go_on_and_can_be_stopped(visit):
    found = visit().evaluate(
        """async () => {
            const graph = modlibExplorer.graph(0, "dropout=0.5", 1, "output_grad", "normalised");
            let ticks = 0;
            const timer = setInterval(() => (ticks += 1), 1);
            const found = await modlibExplorer.search(
                graph, { restarts: 100000, seed: 0, ended: () => ticks >= 5 }
            );
            clearInterval(timer);
            return { ticks, restarts: found.restarts };
        }"""
    )
    assert found["ticks"] >= 5  # timers ran in between
    assert 0 < found["restarts"] < 100_000


@pytest.mark.browser
def test_shuffled_labels_keep_sizes_and_their_q_is_as_expected(visit, small):
    A = payload.from_levels(payload.levels(graph_of(small, "dropout=0.5,seed=0", 0, ("output_grad", True))))
    labels = np.repeat([0, 1, 2], 8)
    found = visit().evaluate(
        "([weights, labels]) => modlibExplorer.shuffledModularity(weights, labels, labels, 1000, 0)",
        [A.ravel().tolist(), labels.tolist()],
    )
    share, n = np.bincount(labels) / len(labels), len(labels)
    degree = A.sum(axis=1) / A.sum()
    expected = -(degree**2).sum() * n * (1 - (share**2).sum()) / (n - 1)  # see modlib.comparison.transfers
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / np.sqrt(1000))
    assert np.std(found) > 0


# --- what a reader does


@pytest.mark.browser
def test_controls_change_what_is_shown_by_keyboard(visit):
    page = visit()
    assert "dropout 0.5, seed 0, layer 1" in part(page, "said").inner_text()
    press_until(page, 'select[name="layer"]')
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('[data-role=said]').textContent.includes('layer 2')")
    assert "shown by their numbers" in part(page, "units-said").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    page.wait_for_function(
        "document.querySelector('[data-role=said]').textContent.includes('input covariance')"
    )
    press_until(page, 'g[data-module="a0"]')
    page.keyboard.press("Enter")
    page.wait_for_selector('g[data-module="a0"][aria-pressed="true"]')
    assert page.evaluate("document.activeElement.dataset.module") == "a0"
    size = int(re.search(r"\((\d+)\)", part(page, "chosen").locator("option:checked").inner_text())[1])
    assert page.locator(".explorer-tile.marked").count() == size
    assert page.locator(".flow.marked").count() >= 1


@pytest.mark.browser
def test_a_number_is_covered_until_there_is_a_guess(visit, small):
    page = visit()
    card = page.locator('[data-card="ecs"]')
    assert page.locator(".explorer-value").count() == 0
    press_until(page, '[name="guess-ecs"]')
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-card="ecs"] .explorer-value:focus')
    rows = small.results.modules.set_index(["network", "layer", "measure", "normalized"]).labels
    a, b = (rows["dropout=0.5,seed=0", 1, m, True].astype(int) for m in ("input_grad", "output_grad"))
    said = part(page, "said").inner_text()
    assert f"{agreement(a, b)['ecs']:.2f}; 95 % of 1,000 shuffles lie from" in said
    assert "your guess was 0.51" in said
    assert page.locator(".explorer-value").count() == 1
    part(page, "open").check()
    page.wait_for_function("document.querySelectorAll('.explorer-value').length === 8")
    page.wait_for_function("!document.querySelector('[data-role=cards]').textContent.includes('shuffling')")
    assert "your guess" in card.locator("svg").get_attribute("aria-label")


@pytest.mark.browser
def test_a_unit_is_moved_after_a_prediction_and_back(visit, small):
    page = visit()
    form = part(page, "break")
    labels = moved(page)
    unit = int(form.locator('[name="unit"]').input_value())
    form.locator('[name="module"]').select_option(index=1 if labels[unit] != 1 else 0)
    form.locator('button[type="submit"]').click()
    assert "Say first" in part(page, "break-said").inner_text()
    assert moved(page) == labels
    page.keyboard.press("Space")  # the first of the predictions has the focus
    press_until(page, '[data-role="break"] button[type="submit"]')
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('[data-role=break-said]').textContent.includes('moved')")
    after = moved(page)
    assert after != labels
    A = payload.from_levels(payload.levels(graph_of(small, "dropout=0.5,seed=0", 0, ("input_grad", True))))
    q = [modularity(A, found) for found in (labels, after)]
    said = part(page, "break-said").inner_text()
    assert f"{q[0]:.4f} → {q[1]:.4f}" in said
    assert ("fell" in said) == (q[1] < q[0])
    assert ("Right 1 of 1" in said) == (q[1] > q[0])
    part(page, "undo").click()
    page.wait_for_function(
        "document.querySelector('[data-role=break-said]').textContent.includes('Taken back')"
    )
    assert moved(page) == labels


def moved(page):
    """Return the modules of the first measure as the table on the page has them."""
    rows = page.locator('[data-role="tables"] table').nth(1).locator("tbody tr")
    texts = rows.evaluate_all("(rows) => rows.map((row) => row.cells[1].textContent)")
    return [-1 if text == "dead" else int(text) - 1 for text in texts]


@pytest.mark.browser
def test_a_unit_is_dragged_to_another_module(visit):
    page = visit()
    before = moved(page)
    unit = before.index(0)
    groups = page.locator(".explorer-group")
    part(page, "break").locator('[value="fall"]').check()
    page.locator(f'.explorer-tile[data-unit="{unit}"]').drag_to(groups.nth(1).locator("button"))
    page.wait_for_function("document.querySelector('[data-role=break-said]').textContent.includes('moved')")
    changed = [u for u, (a, b) in enumerate(zip(before, moved(page), strict=True)) if a != b]
    assert changed == [unit]


@pytest.mark.browser
def test_searching_again_says_what_it_found_and_what_was_predicted(visit):
    page = visit()
    form = part(page, "search")
    form.locator('[name="restarts"]').fill("0")
    part(page, "start").click()
    assert part(page, "search-said").inner_text() == "Restarts must be a whole number from 1 to 2,000."
    form.locator('[name="restarts"]').fill("30")
    part(page, "start").click()
    assert "Say first" in part(page, "search-said").inner_text()
    page.keyboard.press("ArrowDown")  # to the second prediction: the same
    part(page, "start").click()
    page.wait_for_function("document.querySelector('[data-role=search-said]').textContent.includes('After')")
    said = part(page, "search-said").inner_text()
    assert said.startswith("After 30 restarts: ")
    found, stored = map(float, re.findall(r"\d\.\d{4}", said))
    assert found >= stored
    assert ("the same Q: right" in said) == (found - stored < 0.0005)
    labels = moved(page)
    assert len(set(labels) - {-1}) == int(re.search(r"(\d+) modules of", said)[1])


@pytest.mark.browser
def test_the_address_brings_back_everything_that_was_chosen(visit, address):
    page = visit()
    part(page, "controls").locator('[name="regularizer"]').select_option("none")
    part(page, "controls").locator('[name="seed"]').select_option("1")
    part(page, "controls").locator('[name="second"]').select_option("output_hess")
    part(page, "controls").locator('[name="form"]').select_option("raw")
    part(page, "open").check()
    page.wait_for_function("location.hash.includes('open=1') && location.hash.includes('form=raw')")
    form = part(page, "break")
    unit = int(form.locator('[name="unit"]').input_value())
    form.locator('[name="module"]').select_option(index=1 if moved(page)[unit] == 0 else 0)
    form.locator('[value="fall"]').check()
    form.locator('button[type="submit"]').click()
    page.wait_for_function("document.querySelector('[data-role=break-said]').textContent.includes('moved')")
    part(page, "chosen").select_option("b0")
    page.wait_for_function("location.hash.includes('at=b0') && location.hash.includes('pa=')")
    anchor = page.evaluate("location.hash")
    again = visit(anchor)
    for role in ("said", "cards", "tables", "alluvial"):
        assert part(again, role).text_content() == part(page, role).text_content(), role
    again.wait_for_timeout(200)
    assert again.evaluate("location.hash") == anchor


@pytest.mark.browser
@pytest.mark.parametrize(
    "anchor",
    ["#explore", "#net=nothing&seed=7&layer=9&a=x&b=&form=odd&at=a99&pa=00&pb=zz&gamma=-1", "#at=b&seed=1.5"],
)
def test_an_address_that_makes_no_sense_opens_the_page_as_it_is_at_first(visit, anchor):
    page = visit(anchor)
    assert "dropout 0.5, seed 0, layer 1" in part(page, "said").inner_text()
    assert "changed here" not in part(page, "said").inner_text()


@pytest.mark.browser
def test_modules_and_drawing_can_be_kept(visit, small):
    page = visit()
    with page.expect_download() as waiting:
        part(page, "save-csv").click()
    table = pd.read_csv(waiting.value.path())
    assert list(table.columns) == ["network", "seed", "layer", "measure", "form", "unit", "module"]
    assert table.network.unique().tolist() == ["dropout=0.5"]
    rows = small.results.modules.set_index(["network", "layer", "measure", "normalized"]).labels
    for measure in ("input_grad", "output_grad"):
        labels = table[table.measure == measure].module.replace("dead", 0).astype(int) - 1
        assert labels.tolist() == rows["dropout=0.5,seed=0", 1, measure, True].tolist()
    with page.expect_download() as waiting:
        part(page, "save-svg").click()
    drawing = Path(waiting.value.path()).read_text(encoding="utf-8")
    alone = page.context.new_page()
    alone.set_content(drawing)
    fills = alone.locator("svg path").evaluate_all("(paths) => paths.map((p) => getComputedStyle(p).fill)")
    assert fills
    assert "rgb(0, 0, 0)" not in fills  # the colours came along


@pytest.mark.browser
def test_matrices_are_drawn_in_both_themes_in_both_orders(visit):
    page = visit()
    shots = []
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        page.wait_for_timeout(200)
        canvases = page.locator(".explorer-matrices canvas")
        shots.append(canvases.evaluate_all("(all) => all.map((canvas) => canvas.toDataURL())"))
    assert len(set(shots[0] + shots[1])) == 8


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_scrolls_sideways_on_a_phone(visit, theme):
    page = visit("#open=1&at=a0", width=390, theme=theme)
    part(page, "tables").locator("xpath=..").locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = page.locator("#modlib-explorer *").evaluate_all(
        "(all) => all.filter((e) => !e.closest('.explorer-table') && e.getBoundingClientRect().right > 391)"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert wide == []


@pytest.mark.browser
def test_every_control_has_a_name_and_shows_the_focus(visit):
    page = visit()
    names = page.locator("#modlib-explorer :is(button, select, input, progress)").evaluate_all(
        "(all) => all.map((e) => [e.outerHTML.slice(0, 80), (e.labels?.[0] ?? e).textContent.trim()])"
    )
    assert len(names) > 40
    assert [element for element, name in names if not name] == []
    press_until(page, "#modlib-explorer select")
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"


def test_page_and_data_of_all_networks_stay_below_two_megabytes(small):
    """Judged by networks of 64 units, of which there may be as many as are wanted."""
    none, weights = np.zeros((64, 64), dtype=bool), np.zeros((784, 64), dtype=np.float32)
    level = "A" * len(payload.images(np.zeros((784, 11), dtype=np.float32)))  # above the 2,016 of a graph
    graph = {"code": level, "labels": "0" * 64, "q": 0.123456, "again": True}
    variants = [f"{measure} {form}" for measure, _ in VARIANTS[::2] for form in ("raw", "normalised")]
    signs = {measure: payload.signs(none) for measure, _ in VARIANTS}
    layer = {"units": 64, "signs": signs, "graphs": dict.fromkeys(variants, graph)}
    network = json.dumps({"layers": [layer, layer], "images": payload.images(weights)})
    page = len(explorer.page(small.texts["index.json"]).encode()) + (ROOT / "book/explorer.md").stat().st_size
    static = sum(path.stat().st_size for path in STATIC.iterdir())
    assert len(variants) == len(VARIANTS)
    assert page + static + len(payload.LEVELS) * len(payload.SEEDS) * len(network) < LIMIT
