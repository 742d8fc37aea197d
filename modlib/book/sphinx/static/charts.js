// Draws every chart of the page with Vega, in the colours of the page's theme, and again when that changes.
// `modlibVega` (the library) and `modlibThemes` (the colours) come from vega.js, written when the book is built.
(function () {
  "use strict";
  const root = document.documentElement;
  const drawn = new WeakMap(); // chart -> {view, result, mode}
  const ROWS_FOR_CANVAS = 4000; // above this many rows thousands of SVG elements become slow on a phone
  const NARROWEST = 90; // pixels: a panel that would have to be narrower is better scrolled than squeezed
  const phone = window.matchMedia("(max-width: 640px)");

  const mode = () => (root.dataset.theme === "dark" ? "dark" : "light");

  function rows(spec) {
    const tables = Object.values(spec.datasets || {});
    if (spec.data && Array.isArray(spec.data.values)) tables.push(spec.data.values);
    return Math.max(0, ...tables.map((table) => table.length));
  }

  // On a phone, panels that stand side by side stand above each other instead, and each has its own labels where
  // the first had those of all; modlib.css reserves the height.
  function stacked(spec) {
    if (!spec.hconcat || !phone.matches) return spec;
    const { hconcat, ...rest } = spec;
    const labelled = (key, value) =>
      key === "axis" && value && value.labels === false ? { ...value, labels: true } : value;
    return { ...rest, vconcat: JSON.parse(JSON.stringify(hconcat), labelled) };
  }

  // On a phone, titles of axes and legends may reach over the room of labels, to the left of narrow panels, and
  // ticks too close for their labels go without.
  function themed(mode) {
    const theme = modlibThemes[mode];
    if (!phone.matches) return theme;
    const end = { anchor: "end" };
    return {
      ...theme,
      legend: { ...theme.legend, layout: { top: end, bottom: end } },
      axisX: { ...theme.axisX, titleAnchor: "end", labelSeparation: 6 },
    };
  }

  // On a phone, a chart wider than its frame is narrowed until it fits, if that leaves room for its panels.
  // What axes and legends take does not shrink with the panels, so how much helps is found by trying.
  async function fit({ view, vgSpec }, drawing, room) {
    if (!phone.matches) return;
    const signals = (vgSpec.signals || []).map(({ name, value }) => [name, value]);
    const sizes = (side) =>
      [...signals, [side, vgSpec[side]]].filter(
        ([name, value]) => name.toLowerCase().endsWith(side) && typeof value === "number"
      );
    const panels = sizes("width");
    const heights = sizes("height");
    const square = panels.some(([, value]) => heights.some(([, other]) => other === value)); // and stays one
    const shrunk = square ? [...panels, ...heights] : panels;
    const width = () => drawing.querySelector("svg.marks, canvas.marks").getBoundingClientRect().width;
    const scale = async (factor) => {
      for (const [name, value] of shrunk) view.signal(name, Math.floor(value * factor));
      await view.resize().runAsync();
    };
    if (width() <= room || !panels.length) return;
    if (drawing.querySelector(".mark-text.role-mark")) return; // words among the marks would run into them
    const slimmest = square ? 0.7 : NARROWEST / Math.min(...panels.map(([, value]) => value));
    const whole = width();
    const tried = 0.8;
    await scale(tried);
    const perPanels = (whole - width()) / (1 - tried); // what is gained, were there no panels at all
    let factor = 1 - (whole - room) / perPanels;
    for (let round = 0; factor >= slimmest && round < 3; round += 1) {
      await scale(factor);
      if (width() <= room) return;
      factor -= (width() - room) / perPanels;
    }
    await scale(1);
  }

  async function draw(chart) {
    const wanted = mode();
    const before = drawn.get(chart);
    if (before && before.mode === wanted) return;
    const turn = { ...before, mode: wanted };
    drawn.set(chart, turn);

    const frame = chart.querySelector(".modlib-chart-frame");
    const spec = stacked(JSON.parse(chart.querySelector("script").textContent));
    const view = document.createElement("div");
    view.className = "modlib-chart-view modlib-chart-pending";
    frame.append(view);
    try {
      const result = await modlibVega.embed(view, spec, {
        mode: "vega-lite",
        config: themed(wanted),
        renderer: rows(spec) > ROWS_FOR_CANVAS ? "canvas" : "svg",
        actions: { export: true, source: false, compiled: false, editor: false },
        tooltip: { theme: wanted },
        logLevel: 1, // errors: what Vega-Lite only remarks on is for the author, not for the reader
      });
      await fit(result, view, frame.clientWidth);
      if (drawn.get(chart) !== turn) {
        result.finalize(); // the theme changed again while this was being drawn
        view.remove();
        return;
      }
      if (turn.result) {
        turn.result.finalize();
        turn.view.remove();
      }
      view.classList.remove("modlib-chart-pending");
      Object.assign(turn, { view, result });
      chart.dataset.drawn = wanted; // hides the still image, see modlib.css
      mark(frame);
    } catch (error) {
      view.remove(); // the still image stays
      console.error("a chart could not be drawn:", error);
    }
  }

  // A frame that scrolls must be reachable from the keyboard; one that does not must not be a tab stop.
  function mark(frame) {
    if (frame.scrollWidth > frame.clientWidth + 1) {
      frame.tabIndex = 0;
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", "chart, scrolls sideways");
    } else {
      frame.removeAttribute("tabindex");
      frame.removeAttribute("role");
      frame.removeAttribute("aria-label");
    }
  }

  const all = () => document.querySelectorAll(".modlib-chart");
  const drawAll = () => all().forEach(draw);
  new MutationObserver(drawAll).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  window.addEventListener("resize", () =>
    document.querySelectorAll(".modlib-chart-frame").forEach(mark)
  );
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", drawAll);
  else drawAll();
})();
