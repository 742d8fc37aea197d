// The explorer: what the reader has chosen, and what follows from it on every part of the page.
(function (explorer) {
  "use strict";
  const root = document.getElementById("modlib-explorer");
  if (!root) return;
  const part = (role) => root.querySelector(`[data-role="${role}"]`);
  const index = JSON.parse(document.getElementById("explorer-index").textContent);
  const REGULARISERS = { none: "untrained", l2: "L2", l1: "L1", dropout: "dropout" };
  const SHUFFLES = 1000;
  const SAME = 0.0005; // two Q as close as this are the same
  const MODULES = ["firstModules", "secondModules"];
  const MEASURES = ["first", "second"];
  const opening = index.networks.find((one) => one.name === "dropout=0.5") ?? index.networks[0];
  const INITIAL = {
    network: opening.name, seed: opening.seeds[0], layer: 1, first: "input_grad", second: "output_grad",
    form: "normalised", chosen: null, firstModules: null, secondModules: null, restarts: 100, searchSeed: 0,
    sign: "size", gamma: 1, open: null,
  };
  const controls = part("controls").elements;
  const breaking = part("break").elements;
  const searching = part("search").elements;
  const percent = (share) => `${(100 * share).toPrecision(2).replace(/\.0$/, "")} %`;
  const chances = new Map(); // what shuffles gave, by what was shuffled
  let state = { ...INITIAL };
  let view = null; // what follows from the state
  let turn = 0; // counts renderings, so that one that was overtaken stops
  let guesses = new Map(); // of cards that were revealed
  let undone = []; // moves that can be taken back: [side, labels before]
  let score = { right: 0, all: 0 };
  let picked = null;
  let grouped = 0;
  let search = null; // the search under way

  // --- the state

  function repaired(asked) {
    const found = { ...INITIAL, ...asked };
    const network = index.networks.find((one) => one.name === found.network) ?? opening;
    found.network = network.name;
    if (!network.seeds.includes(found.seed)) found.seed = network.seeds[0];
    if (found.layer > network.layers) found.layer = 1;
    for (const key of MEASURES) {
      if (!index.measures.some((one) => one.name === found[key])) found[key] = INITIAL[key];
    }
    return found;
  }

  // Whether a text from an address is a partition of the graph's units with the same dead ones.
  function isPartition(text, stored) {
    const labels = explorer.read(text);
    const fits = labels.length === stored.length && labels.every((l, unit) => l < 0 === stored[unit] < 0);
    return fits && explorer.sizes(labels).every((size) => size > 0);
  }

  function look() {
    const measures = MEASURES.map((key) => state[key]);
    const graphOf = (network, measure) => explorer.graph(state.seed, network, state.layer, measure, state.form);
    const graphs = measures.map((measure) => graphOf(state.network, measure));
    graphs.forEach((graph, side) => {
      const text = state[MODULES[side]];
      if (text && (text === graph.labels || !isPartition(text, graph.stored))) state[MODULES[side]] = null;
    });
    const labels = graphs.map((graph, side) =>
      state[MODULES[side]] ? explorer.read(state[MODULES[side]]) : graph.stored
    );
    let chosen = state.chosen && ["ab".indexOf(state.chosen[0]), Number(state.chosen.slice(1))];
    if (chosen && chosen[1] >= explorer.sizes(labels[chosen[0]]).length) chosen = state.chosen = null;
    const about = measures.map((measure) => index.measures.find((one) => one.name === measure));
    const same = measures[0] === measures[1];
    return {
      ...state,
      measures,
      graphs,
      labels,
      chosen,
      chosenUnits: new Set(chosen ? labels[0].map((_, u) => u).filter((u) => labels[chosen[0]][u] === chosen[1]) : []),
      names: about.map(({ label }, side) => (same && side ? `${label} (second)` : label)),
      inks: about.map(({ family }) => `--explorer-${family}`),
      before: state.network === "untrained" ? null : measures.map((measure) => graphOf("untrained", measure)),
      signed: state.sign === "signed",
      images: state.layer === 1 ? explorer.images(state.seed, state.network) : null,
      file: [state.network, `seed${state.seed}`, `layer${state.layer}`, state.form].join("-").replace(/[^\w.-]/g, ""),
      grouped,
      picked,
    };
  }

  function change(changes) {
    const shows = (key) => key in changes && changes[key] !== state[key];
    const other = ["network", "seed", "layer", "form"].some(shows);
    MEASURES.forEach((key, side) => (other || shows(key)) && !(MODULES[side] in changes) && (state[MODULES[side]] = null));
    if (other || MEASURES.some(shows)) {
      guesses = new Map();
      undone = [];
      picked = null;
      state.chosen = null;
      for (const role of ["break-said", "search-said"]) part(role).textContent = "";
    }
    state = repaired({ ...state, ...changes });
    return render();
  }

  // --- what is drawn

  function fill(select, options, value) {
    select.replaceChildren(
      ...options.map(([name, text]) => new Option(text, name, false, String(name) === String(value)))
    );
  }

  function fillControls() {
    const network = index.networks.find((one) => one.name === state.network);
    const kinds = [...new Set(index.networks.map((one) => one.regularizer))];
    const alike = index.networks.filter((one) => one.regularizer === network.regularizer);
    fill(controls.regularizer, kinds.map((kind) => [kind, REGULARISERS[kind]]), network.regularizer);
    fill(controls.strength, alike.map((one) => [one.name, one.strength]), network.name);
    controls.strength.disabled = alike.length < 2;
    fill(controls.seed, network.seeds.map((seed) => [seed, seed]), state.seed);
    fill(controls.layer, [...Array(network.layers).keys()].map((k) => [k + 1, k + 1]), state.layer);
    for (const key of MEASURES) {
      const families = [...new Set(index.measures.map((one) => one.family))];
      controls[key].replaceChildren(
        ...families.map((family) => {
          const group = Object.assign(document.createElement("optgroup"), { label: family });
          const measures = index.measures.filter((one) => one.family === family);
          group.append(...measures.map((one) => new Option(one.label, one.name, false, one.name === state[key])));
          return group;
        })
      );
    }
    controls.form.value = state.form;
    for (const key of ["restarts", "searchSeed", "sign", "gamma"]) searching[key].value = state[key];
    part("open").checked = Boolean(state.open);
  }

  function fillModules() {
    const sides = view.names.map((name, side) => [side, name]);
    for (const elements of [breaking, searching]) fill(elements.side, sides, elements.side.value || 0);
    const chosen = part("chosen");
    chosen.replaceChildren(new Option("none", ""));
    view.labels.forEach((labels, side) => {
      const group = Object.assign(document.createElement("optgroup"), { label: view.names[side] });
      explorer.sizes(labels).forEach((size, module) => {
        const name = `${"ab"[side]}${module}`;
        group.append(new Option(`module ${module + 1} (${size})`, name, false, name === state.chosen));
      });
      chosen.append(group);
    });
    view.names.forEach((name, side) => (part(`name-${side}`).textContent = name));
    fillMove();
  }

  function fillMove() {
    const side = Number(breaking.side.value);
    const labels = view.labels[side];
    const alive = labels.map((_, unit) => unit).filter((unit) => labels[unit] >= 0);
    const unit = alive.includes(picked) ? picked : Number(breaking.unit.value || alive[0]);
    fill(breaking.unit, alive.map((u) => [u, `${u + 1} (in module ${labels[u] + 1})`]), unit);
    const modules = explorer.sizes(labels).map((_, module) => [module, module + 1]);
    fill(breaking.module, [...modules, [modules.length, "a new one"]], breaking.module.value || 0);
    part("undo").disabled = !undone.length;
    part("restore").disabled = !MODULES.some((key) => state[key]);
  }

  function draw() {
    view = look();
    explorer.drawMatrices(part("matrices"), view, { choose, point });
    explorer.drawAlluvial(part("alluvial"), view, choose);
    explorer.drawUnits(part("units"), view, { choose, pick, drop });
  }

  const choose = (chosen) => change({ chosen: chosen && `${"ab"[chosen[0]]}${chosen[1]}` });

  function point(shown, by, [i, j]) {
    const { n, weights, negative } = view.graphs[shown];
    const named = (unit) => {
      const label = view.labels[by][unit];
      return `unit ${unit + 1} (${label < 0 ? "dead" : `module ${label + 1}`})`;
    };
    const sign = negative[i * n + j] ? ", negative" : "";
    const tells = i === j ? "the same unit" : `similarity ${percent(weights[i * n + j])} of the largest${sign}`;
    part("under-pointer").textContent = `${named(i)} and ${named(j)}, by ${view.names[by]}: ${tells}`;
  }

  function pick(unit) {
    picked = unit;
    breaking.side.value = grouped;
    fillMove();
    draw();
    part("break-said").textContent = `Unit ${unit + 1} is chosen. Choose a module, and say what Q will do.`;
  }

  function drop(unit, module) {
    picked = unit;
    breaking.side.value = grouped;
    fillMove();
    breaking.module.value = module;
    if (guessed(breaking)) return move();
    draw();
    part("break-said").textContent = `Unit ${unit + 1} to module ${module + 1}: say what Q will do, then move it.`;
    breaking.guess[0].focus();
  }

  function summary() {
    const network = index.networks.find((one) => one.name === state.network);
    const kind = REGULARISERS[network.regularizer];
    const strength = network.regularizer === "none" ? "" : ` ${network.strength}`;
    const counts = view.names.map((name, side) => {
      const dead = view.labels[side].filter((label) => label < 0).length;
      const how = state[MODULES[side]] ? " (changed here)" : "";
      return `${explorer.sizes(view.labels[side]).length} modules of ${name}${how}, ${dead} dead units`;
    });
    const again = view.graphs.filter((graph) => graph.again).length
      ? " The tables have other dead units here, so these modules were searched for anew."
      : "";
    return `${kind}${strength}, seed ${state.seed}, layer ${state.layer}: ${counts.join("; ")}.${again}`;
  }

  async function render() {
    turn += 1;
    const mine = turn;
    if (search && search.key !== graphKey()) search.ended = true;
    fillControls();
    try {
      await explorer.load(state.seed);
    } catch (error) {
      part("said").textContent = error.message;
      return;
    }
    if (mine !== turn) return;
    draw();
    fillModules();
    explorer.drawTables(part("tables"), view);
    part("units-said").textContent = view.images
      ? "Each image is what one unit of the first layer reads of a digit, in 14 × 14 pixels: green pixels excite it, purple pixels inhibit it."
      : "Units of this layer read other units, not pixels, so they are shown by their numbers. Layer 1 has images.";
    const said = summary();
    if (part("said").textContent !== said) part("said").textContent = said;
    root.dataset.drawn = state.network;
    await drawCards(mine);
  }

  // --- cards

  const graphKey = () => [state.network, state.seed, state.layer, state.first, state.second, state.form].join();

  function cards() {
    const [a, b] = view.labels;
    const made = [];
    view.names.forEach((name, side) => {
      const ink = view.inks[side];
      const { weights } = view.graphs[side];
      const [own, others] = side ? [b, a] : [a, b];
      const q = (key, title, graph, labels, alive) =>
        made.push({
          key, title, ink,
          value: explorer.modularity(graph.weights, labels),
          shuffled: () => explorer.shuffledModularity(graph.weights, labels, alive, SHUFFLES, 0),
          of: [graph.code, explorer.write(labels), explorer.write(alive)],
        });
      q(`q${side}`, `Q of ${name}`, { weights, code: view.graphs[side].code }, own, own);
      q(`other${side}`, `Q of ${name} by the modules of ${view.names[1 - side]}`, view.graphs[side], others, own);
      const before = view.before?.[side];
      if (before) q(`before${side}`, `Q of ${name} before training`, before, before.stored, before.stored);
    });
    const { ecs, ami } = explorer.agreement(a, b);
    const of = [explorer.write(a), explorer.write(b)];
    const both = () => remembered(["agreement", ...of], () => explorer.shuffledAgreement(a, b, SHUFFLES, 0));
    const shared = { ink: "--explorer-text", of };
    made.push({ key: "ecs", title: "Agreement: ECS", value: ecs, shuffled: () => both().ecs, ...shared });
    made.push({ key: "ami", title: "Agreement: AMI", value: ami, shuffled: () => both().ami, ...shared });
    return made.map((card) => ({
      ...card, shuffles: SHUFFLES, guess: guesses.get(card.key), shown: Boolean(state.open) || guesses.has(card.key),
    }));
  }

  function remembered(key, make) {
    const name = JSON.stringify(key);
    if (!chances.has(name)) {
      if (chances.size > 200) chances.clear();
      chances.set(name, make());
    }
    return chances.get(name);
  }

  // Cards are drawn at once, and each again when its labels have been shuffled.
  async function drawCards(mine) {
    const made = cards();
    const show = () => explorer.drawCards(part("cards"), made, reveal);
    const chanceOf = (card) => [card.key.slice(0, -1), card.key, ...card.of];
    for (const card of made) card.chance = chances.get(JSON.stringify(chanceOf(card))) ?? null;
    for (const card of made) if (card.shown && !card.chance) card.about = "shuffling …";
    show();
    for (const card of made) {
      if (!card.shown || card.chance) continue;
      await new Promise((go) => setTimeout(go));
      if (mine !== turn) return null;
      card.chance = remembered(chanceOf(card), () => explorer.range(card.shuffled()));
      card.about = "";
      show();
    }
    root.dataset.settled = String(mine);
    explorer.writeAddress(state, INITIAL);
    return made;
  }

  async function reveal(key, guess) {
    guesses.set(key, guess);
    turn += 1;
    const made = await drawCards(turn);
    const card = made?.find((one) => one.key === key);
    if (!card) return;
    part("cards").querySelector(`[data-card="${key}"] .explorer-value`).focus();
    part("said").textContent = `${card.title}: ${explorer.describeCard(card)}.`;
  }

  // --- break it

  const guessed = (elements) => [...elements.guess].find((radio) => radio.checked)?.value;

  function forget(elements) {
    for (const radio of elements.guess) radio.checked = false;
  }

  function ask(elements, role, text) {
    part(role).textContent = text;
    elements.guess[0].focus();
  }

  async function move() {
    const side = Number(breaking.side.value);
    const [unit, module] = [Number(breaking.unit.value), Number(breaking.module.value)];
    const labels = view.labels[side];
    const guess = guessed(breaking);
    if (!guess) return ask(breaking, "break-said", "Say first whether Q will rise or fall.");
    if (labels[unit] === module) {
      part("break-said").textContent = `Unit ${unit + 1} is in module ${module + 1} already.`;
      return undefined;
    }
    const moved = labels.map((label, u) => (u === unit ? module : label));
    const sizes = explorer.sizes(moved);
    const compact = moved.map((label) => (label < 0 ? label : label - sizes.slice(0, label).filter((s) => !s).length));
    const { weights } = view.graphs[side];
    const [before, after] = [labels, compact].map((one) => explorer.modularity(weights, one));
    const rose = after - before;
    const did = Math.abs(rose) < 1e-12 ? "stay" : rose > 0 ? "rise" : "fall";
    score.all += 1;
    score.right += guess === did;
    undone.push([side, state[MODULES[side]]]);
    picked = null;
    forget(breaking);
    const words = { rise: "rose", fall: "fell", stay: "stayed the same" };
    await change({ [MODULES[side]]: explorer.write(compact) });
    const format = (value) => explorer.format(value, 4);
    part("break-said").textContent =
      `Unit ${unit + 1} moved. Q of ${view.names[side]} ${words[did]}: ${format(before)} → ${format(after)}. ` +
      `You said it would ${guess}: ${guess === did ? "right" : "wrong"}. Right ${score.right} of ${score.all} times.`;
    return undefined;
  }

  async function undo() {
    const [side, labels] = undone.pop();
    await change({ [MODULES[side]]: labels });
    const q = explorer.modularity(view.graphs[side].weights, view.labels[side]);
    part("break-said").textContent = `Taken back. Q of ${view.names[side]} is ${explorer.format(q, 4)} again.`;
    (part("undo").disabled ? breaking.unit : part("undo")).focus();
  }

  async function restore() {
    undone = [];
    await change({ firstModules: null, secondModules: null });
    part("break-said").textContent = "These are the stored modules again.";
    breaking.unit.focus();
  }

  // --- search again

  const ASKED = {
    restarts: ["Restarts", 1, 2000, true],
    searchSeed: ["The seed", 0, 2147483648, true],
    gamma: ["The resolution", 0.1, 5, false],
  };

  async function searchAgain() {
    for (const [name, [title, least, most, whole]] of Object.entries(ASKED)) {
      const value = Number(searching[name].value);
      if (searching[name].value !== "" && value >= least && value <= most && (!whole || Number.isInteger(value))) continue;
      const kind = whole ? "a whole number" : "a number";
      part("search-said").textContent =
        `${title} must be ${kind} from ${least.toLocaleString("en")} to ${most.toLocaleString("en")}.`;
      searching[name].focus();
      return;
    }
    const guess = guessed(searching);
    if (!guess) {
      ask(searching, "search-said", "Say first what the search will find.");
      return;
    }
    const options = {
      restarts: Number(searching.restarts.value), searchSeed: Number(searching.searchSeed.value),
      sign: searching.sign.value, gamma: Number(searching.gamma.value),
    };
    await change(options);
    const side = Number(searching.side.value);
    const name = view.names[side];
    const mine = { key: graphKey(), ended: false };
    search = mine;
    const busy = (is) => {
      part("start").disabled = is;
      part("stop").disabled = !is;
    };
    busy(true);
    part("stop").focus();
    part("search-said").textContent = "Searching …";
    const found = await explorer.search(view.graphs[side], {
      restarts: options.restarts, seed: options.searchSeed, signed: options.sign === "signed", gamma: options.gamma,
      ended: () => mine.ended,
      told: (share) => (part("progress").value = share),
    });
    part("progress").value = found.restarts / options.restarts;
    const wasFocused = document.activeElement === part("stop") || document.activeElement === document.body;
    busy(false);
    search = null;
    if (mine.key !== graphKey()) {
      part("search-said").textContent = "The search ended, since another graph was chosen.";
      return;
    }
    if (wasFocused) part("start").focus();
    if (!found.restarts) {
      part("search-said").textContent = "The search ended before its first restart.";
      return;
    }
    forget(searching);
    undone.push([side, state[MODULES[side]]]);
    await change({ [MODULES[side]]: explorer.write(found.labels) });
    const gain = found.q - found.stored;
    const did = Math.abs(gain) < SAME ? "same" : gain > 0 ? "higher" : "lower";
    const words = { same: "the same Q", higher: "a higher Q", lower: "a lower Q" };
    const format = (value) => explorer.format(value, 4);
    const times = found.restarts === 1 ? "1 restart" : `${found.restarts.toLocaleString("en")} restarts`;
    part("search-said").textContent =
      `After ${times}: ${explorer.sizes(found.labels).length} modules of ${name} with Q ${format(found.q)}; ` +
      `the stored modules have ${format(found.stored)} by the same criterion. ` +
      `You said ${words[guess]}: ${guess === did ? "right" : `wrong, it is ${words[did]}`}. The page now shows what was found.`;
  }

  // --- what the reader does

  part("controls").addEventListener("submit", (event) => event.preventDefault());
  part("controls").addEventListener("change", ({ target }) => {
    const number = ["seed", "layer"].includes(target.name);
    if (target.name === "regularizer") {
      const alike = index.networks.filter((one) => one.regularizer === target.value);
      const here = alike.find((one) => one.seeds.includes(state.seed)) ?? alike[0];
      change({ network: here.name });
    } else if (target.name === "strength") change({ network: target.value });
    else change({ [target.name]: number ? Number(target.value) : target.value });
  });
  part("chosen").addEventListener("change", ({ target }) => change({ chosen: target.value || null }));
  part("open").addEventListener("change", ({ target }) => change({ open: target.checked ? "1" : null }));
  for (const radio of root.querySelectorAll('[name="explorer-grouped"]')) {
    radio.addEventListener("change", () => {
      grouped = Number(radio.value);
      picked = null;
      draw();
    });
  }
  breaking.side.addEventListener("change", fillMove);
  breaking.unit.addEventListener("change", () => {
    picked = Number(breaking.unit.value);
    draw();
  });
  part("break").addEventListener("submit", (event) => {
    event.preventDefault();
    move();
  });
  part("undo").addEventListener("click", undo);
  part("restore").addEventListener("click", restore);
  part("search").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!search) searchAgain();
  });
  part("stop").addEventListener("click", () => search && (search.ended = true));
  part("save-svg").addEventListener("click", () => explorer.saveDrawing(part("alluvial").querySelector("svg"), view));
  part("save-csv").addEventListener("click", () => explorer.saveModules(view));
  window.addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    guesses = new Map();
    undone = [];
    state = repaired(explorer.readAddress());
    render();
  });
  new MutationObserver(() => view && draw()).observe(document.documentElement, {
    attributes: true, attributeFilter: ["data-theme"],
  });
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (view && contentRect.width !== width) explorer.drawAlluvial(part("alluvial"), view, choose);
    width = contentRect.width;
  }).observe(part("alluvial"));

  state = repaired(explorer.readAddress());
  render();
})(window.modlibExplorer);
