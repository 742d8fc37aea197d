// Draws every chart of the page with Vega, in the colours of the page's theme, and again when that changes.
// `modlibVega` (the library) and `modlibThemes` (the colours) come from vega.js, written when the book is built.
(function () {
  "use strict";
  const root = document.documentElement;
  const drawn = new WeakMap(); // chart -> {view, result, mode}
  const ROWS_FOR_CANVAS = 4000; // above this many rows thousands of SVG elements become slow on a phone

  const mode = () => (root.dataset.theme === "dark" ? "dark" : "light");

  function rows(spec) {
    const tables = Object.values(spec.datasets || {});
    if (spec.data && Array.isArray(spec.data.values)) tables.push(spec.data.values);
    return Math.max(0, ...tables.map((table) => table.length));
  }

  // On a phone, panels that stand side by side stand above each other instead; modlib.css reserves the height.
  function stacked(spec) {
    if (!spec.hconcat || !window.matchMedia("(max-width: 640px)").matches) return spec;
    const { hconcat, ...rest } = spec;
    return { ...rest, vconcat: hconcat };
  }

  async function draw(chart) {
    const wanted = mode();
    const before = drawn.get(chart);
    if (before && before.mode === wanted) return;
    drawn.set(chart, { ...before, mode: wanted });

    const frame = chart.querySelector(".modlib-chart-frame");
    const spec = stacked(JSON.parse(chart.querySelector("script").textContent));
    const view = document.createElement("div");
    view.className = "modlib-chart-view modlib-chart-pending";
    frame.append(view);
    try {
      const result = await modlibVega.embed(view, spec, {
        mode: "vega-lite",
        config: modlibThemes[wanted],
        renderer: rows(spec) > ROWS_FOR_CANVAS ? "canvas" : "svg",
        actions: { export: true, source: false, compiled: false, editor: false },
        tooltip: { theme: wanted },
        logLevel: 1, // errors: what Vega-Lite only remarks on is for the author, not for the reader
      });
      if (drawn.get(chart).mode !== wanted) {
        result.finalize(); // the theme changed again while this was being drawn
        view.remove();
        return;
      }
      if (before && before.result) {
        before.result.finalize();
        before.view.remove();
      }
      view.classList.remove("modlib-chart-pending");
      drawn.set(chart, { view, result, mode: wanted });
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
