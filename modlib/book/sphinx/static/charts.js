// Draws every chart of the page with Vega, in the colours of the page's theme and no wider than its column
// (narrow.js), and again when either changes.
// `modlibVega` (the library) and `modlibThemes` (the colours) come from vega.js, written when the book is built.
(function () {
  "use strict";
  const root = document.documentElement;
  const drawn = new WeakMap(); // chart -> {view, result, mode}
  const ROWS_FOR_CANVAS = 4000; // above this many rows thousands of SVG elements become slow on a phone
  const NARROWEST = 90; // pixels: a panel that would have to be narrower is not squeezed
  const SQUEEZED = 1.3; // times its room that a chart may be wide and yet be squeezed rather than rearranged

  const mode = () => (root.dataset.theme === "dark" ? "dark" : "light");

  function rows(spec) {
    const tables = Object.values(spec.datasets || {});
    if (spec.data && Array.isArray(spec.data.values)) tables.push(spec.data.values);
    return Math.max(0, ...tables.map((table) => table.length));
  }

  // In a narrow column, titles of axes may reach over the room of labels, to the left of the panels, ticks too
  // close for their labels go without, and legends stand one below the other.
  function themed(mode, tight) {
    const theme = modlibThemes[mode];
    if (!tight) return theme;
    const rows = { anchor: "start", direction: "vertical", offset: 8 };
    return {
      ...theme,
      legend: { ...theme.legend, layout: { top: rows, bottom: rows } },
      axisX: { ...theme.axisX, titleAnchor: "end", labelSeparation: 6 },
    };
  }

  const widthOf = (drawing) =>
    Math.ceil(drawing.querySelector("svg.marks, canvas.marks").getBoundingClientRect().width);

  // Makes panels narrower until the chart fits its frame, if that leaves room for them. What axes and legends take
  // does not shrink with the panels, so how much helps is found by trying. Returns whether the chart fits.
  async function squeeze({ view, vgSpec }, drawing, room) {
    const signals = (vgSpec.signals || []).map(({ name, value }) => [name, value]);
    const sizes = (side) =>
      [...signals, [side, vgSpec[side]]].filter(
        ([name, value]) => name.toLowerCase().endsWith(side) && typeof value === "number"
      );
    const panels = sizes("width");
    const heights = sizes("height");
    const square = panels.some(([, value]) => heights.some(([, other]) => other === value)); // and stays one
    const shrunk = square ? [...panels, ...heights] : panels;
    const scale = async (factor) => {
      for (const [name, value] of shrunk) view.signal(name, Math.floor(value * factor));
      await view.resize().runAsync();
      await view.resize().runAsync(); // the second sees what the first made of the axes
    };
    const whole = widthOf(drawing);
    if (whole <= room) return true;
    if (!panels.length) return false;
    const slimmest = square ? 0.7 : NARROWEST / Math.min(...panels.map(([, value]) => value));
    const tried = 0.8;
    await scale(tried);
    const perPanels = (whole - widthOf(drawing)) / (1 - tried); // what is gained, were there no panels at all
    let factor = 1 - (whole - room) / perPanels;
    for (let round = 0; factor >= slimmest && round < 3; round += 1) {
      await scale(factor);
      if (widthOf(drawing) <= room) return true;
      factor -= Math.max(widthOf(drawing) - room, 1) / perPanels;
    }
    return false;
  }

  // Draws a chart in its frame: as it is where there is room, else squeezed, else rearranged.
  async function embed(drawing, spec, mode, room, still) {
    const tight = still > room;
    const options = {
      mode: "vega-lite",
      config: themed(mode, tight),
      renderer: rows(spec) > ROWS_FOR_CANVAS ? "canvas" : "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      tooltip: { theme: mode },
      logLevel: 1, // errors: what Vega-Lite only remarks on is for the author, not for the reader
    };
    let result;
    const show = async (shown) => {
      if (result) result.finalize();
      result = await modlibVega.embed(drawing, shown, options);
    };
    if (still <= SQUEEZED * room) {
      await show(spec);
      if (await squeeze(result, drawing, room)) return result;
    }
    let panel = room - 60; // beside an axis, which takes as much as it takes
    for (let round = 0; round < 5; round += 1) {
      const { spec: rearranged, widest } = modlibNarrow(spec, room, panel);
      await show(rearranged);
      const spare = room - widthOf(drawing);
      if (spare === 0 || (spare > 0 && (round > 0 || widest < panel))) break;
      panel = widest + spare;
    }
    return result;
  }

  async function draw(chart) {
    const wanted = mode();
    const frame = chart.querySelector(".modlib-chart-frame");
    const room = frame.clientWidth;
    const still = parseFloat(chart.style.getPropertyValue("--chart-width")) || 0; // as wide as the image
    const tight = still > room;
    const before = drawn.get(chart);
    if (before && before.mode === wanted && before.tight === tight && (!tight || before.room === room)) return;
    const turn = { ...before, mode: wanted, tight, room };
    drawn.set(chart, turn);

    const spec = JSON.parse(chart.querySelector("script").textContent);
    const view = document.createElement("div");
    view.className = "modlib-chart-view modlib-chart-pending";
    frame.append(view);
    try {
      const result = await embed(view, spec, wanted, room, still);
      if (drawn.get(chart) !== turn) {
        result.finalize(); // the theme or the window changed again while this was being drawn
        view.remove();
        return;
      }
      if (turn.result) {
        turn.result.finalize();
        turn.view.remove();
      }
      offer(view.querySelector(".vega-actions"), spec, chart.dataset.source);
      name(view);
      if (JSON.stringify(spec).includes('"bind":"legend"')) pressable(view);
      view.classList.remove("modlib-chart-pending");
      Object.assign(turn, { view, result });
      chart.dataset.drawn = wanted; // hides the still image, see modlib.css
      chart.classList.toggle("modlib-chart-tight", tight);
      reach(frame);
    } catch (error) {
      view.remove(); // the still image stays
      console.error("a chart could not be drawn:", error);
    }
  }

  // Adds to the menu what is behind the chart: its tables, and the function that drew it.
  function offer(menu, spec, source) {
    const { name, script } = spec.usermeta || {};
    const tables = Object.values(spec.datasets || {});
    tables.forEach((table, number) => {
      const file = `${name || "chart"}${tables.length > 1 ? `-${number + 1}` : ""}.csv`;
      const link = Object.assign(document.createElement("a"), { href: "#", textContent: `Save ${file}` });
      link.addEventListener("click", (event) => {
        event.preventDefault();
        modlibSave(file, "text/csv", csv(table));
      });
      menu.append(link);
    });
    if (!script) return;
    const made = document.createElement(source ? "a" : "span");
    made.textContent = `Drawn by ${script}`;
    if (source) made.href = source;
    menu.append(made);
  }

  function csv(table) {
    const columns = [...new Set(table.flatMap(Object.keys))];
    const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    const text = (cell) => (cell === null || cell === undefined ? "" : quoted(String(cell)));
    const lines = table.map((row) => columns.map((column) => text(row[column])).join());
    return `${[columns.map(quoted).join(), ...lines].join("\n")}\n`;
  }

  // Vega leaves its menu without a name, and groups of marks that have a role but no description.
  function name(view) {
    for (const menu of view.querySelectorAll("summary")) {
      menu.setAttribute("aria-label", "save this chart or its data");
    }
    for (const marks of view.querySelectorAll("[role^=graphics]:not([aria-label])")) {
      marks.setAttribute("aria-label", marks.getAttribute("aria-roledescription") || "part of the chart");
    }
  }

  // Entries of a legend that picks what is shown take clicks only; here the keyboard reaches and clicks them too,
  // and beside them with Escape, which shows everything again.
  function pressable(view) {
    // As the graphic that Vega takes a legend for, it could hold nothing to press.
    for (const legend of view.querySelectorAll(".role-legend")) legend.setAttribute("role", "group");
    const labels = view.querySelectorAll(".role-legend-label text");
    view.querySelectorAll(".role-legend-symbol path").forEach((symbol, entry) => {
      if (symbol.closest("[pointer-events=none]")) return; // an entry of a legend that only explains
      symbol.setAttribute("tabindex", "0");
      symbol.setAttribute("role", "button");
      symbol.setAttribute("aria-label", `show only ${labels[entry] ? labels[entry].textContent : "this"}`);
      symbol.addEventListener("keydown", (event) => {
        const clicked = { Enter: symbol, " ": symbol, Escape: symbol.closest("svg") }[event.key];
        if (!clicked) return;
        event.preventDefault();
        const { left, top, width, height } = symbol.getBoundingClientRect();
        const at = { clientX: left + width / 2, clientY: top + height / 2 };
        clicked.dispatchEvent(new MouseEvent("click", { bubbles: true, ...at }));
      });
    });
  }

  const reach = (frame) => modlibReachable(frame, "chart, scrolls sideways");
  const all = () => document.querySelectorAll(".modlib-chart");
  // Draws what is nearest to the reader first. What is more than a screen away waits until the page is idle: all
  // charts at once would keep it busy for seconds.
  const distance = (chart) => {
    const { top, bottom } = chart.getBoundingClientRect();
    return Math.max(top - innerHeight, -bottom, 0);
  };
  const idle = () => new Promise((go) => (window.requestIdleCallback || setTimeout)(go));
  let turn = 0;
  async function drawAll() {
    const mine = (turn += 1);
    root.dataset.charts = "drawing";
    const waiting = new Set(all());
    while (waiting.size) {
      const nearest = () => [...waiting].reduce((a, b) => (distance(b) < distance(a) ? b : a));
      if (distance(nearest()) > innerHeight) await idle();
      if (mine !== turn) return; // theme or window changed again, and a later turn draws all
      const chart = nearest(); // the reader may have moved on
      waiting.delete(chart);
      await draw(chart);
    }
    if (mine === turn) root.dataset.charts = "drawn"; // all of them, in the page's theme and width
  }
  new MutationObserver(drawAll).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  let resized;
  window.addEventListener("resize", () => {
    document.querySelectorAll(".modlib-chart-frame").forEach(reach);
    clearTimeout(resized);
    resized = setTimeout(drawAll, 200); // once the window has its size
  });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", drawAll);
  else drawAll();
})();
