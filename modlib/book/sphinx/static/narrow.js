// Turns the Vega-Lite specification of a chart that is wider than its column into one that is not: panels stand
// above each other, long names of rows above their rows, and legends in as many columns as there is room for.
// The data stay those of the one specification that the page carries.
(function () {
  "use strict";
  const FONT = "12px system-ui, sans-serif"; // that of labels, see modlib/book/theme.py
  const BESIDE = 0.28; // share of the room that names may take beside their rows; longer ones stand above
  const NAME = 12; // pixels that a name takes above its row
  const ROW = 12; // what the row itself takes, at the least
  const PART = 11; // and each of the parts that it is divided into
  const APART = 9; // between a row and the next one's name
  const FIRST = 5; // what the first name needs besides, to keep clear of the frame
  const WIDEST = 420; // pixels: wider panels than this tell no more
  const SYMBOL = 34; // what an entry of a legend takes besides its label
  const LEGENDS = ["color", "fill", "stroke", "shape", "size", "opacity", "fillOpacity", "strokeDash"];

  const pen = document.createElement("canvas").getContext("2d");
  function wide(text) {
    pen.font = FONT;
    return pen.measureText(String(text)).width;
  }

  const distinct = (rows, field) => [...new Set(rows.map((row) => row[field]))].filter((v) => v != null);

  // The values of a field in the order in which Vega-Lite shows them.
  function ordered({ field, sort, scale }, rows) {
    if (scale && Array.isArray(scale.domain)) return scale.domain;
    const found = distinct(rows, field);
    if (Array.isArray(sort)) {
      const listed = sort.filter((value) => found.includes(value));
      return [...listed, ...found.filter((value) => !listed.includes(value))];
    }
    if (sort === null) return found;
    return found.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  // The chart for a column that is `room` wide, its panels at most `width`, and how wide the widest of them is.
  function narrow(spec, room, width) {
    const sets = spec.datasets || {};
    let widest = 0;
    const tableOf = (view, outer) => {
      if (!view.data) return outer;
      return view.data.values || sets[view.data.name] || [];
    };

    // Panels in one column. Each gets the title and the labels that only the first of its row, or the last of
    // its column, had in the grid.
    function stacked(panels, columns) {
      const across = Math.min(columns, panels.length);
      const last = Math.floor((panels.length - 1) / across) * across;
      return panels.map((panel, i) => {
        const own = structuredClone(panel);
        complete(own, panels[i - (i % across)], "y");
        complete(own, panels[Math.min(last + (i % across), panels.length - 1)], "x");
        if (!own.title && panels[i % across].title) own.title = panels[i % across].title;
        return own;
      });
    }

    function complete(panel, shown, channel) {
      const theirs = encodings(shown).map((encoding) => encoding[channel]);
      for (const encoding of encodings(panel)) {
        const def = encoding[channel];
        if (!def || !def.axis) continue;
        if (def.axis.labels === false) def.axis = { ...def.axis, labels: true };
        const named = theirs.find((other) => other && other.title && other.field === def.field);
        if (def.title === null && named) def.title = named.title;
      }
    }

    // The encodings of a view and of its layers.
    function encodings(view) {
      return [...(view.encoding ? [view.encoding] : []), ...(view.layer || []).flatMap(encodings)];
    }

    // One column of panels, each named above: what was a grid of two fields is a list of their pairs.
    function listed(view, rows) {
      const parts = view.facet.field ? [view.facet] : [view.facet.row, view.facet.column].filter(Boolean);
      const header = { title: null, labelOrient: "top", labelAnchor: "start", labelAngle: 0, labelAlign: "left" };
      Object.assign(header, { labelLimit: room - 65, labelPadding: 4 });
      const own = { ...header, labelFontSize: 12, labelFontWeight: "bold" };
      if (parts.length === 1) {
        view.facet = { ...parts[0], header: { ...parts[0].header, ...own } };
      } else {
        const [one, other] = parts.map((part) => ordered(part, rows));
        const there = new Set(rows.map((row) => parts.map(({ field }) => row[field]).join(" · ")));
        const sort = one.flatMap((a) => other.map((b) => `${a} · ${b}`)).filter((pair) => there.has(pair));
        const pair = parts.map(({ field }) => `datum[${JSON.stringify(field)}]`).join(" + ' · ' + ");
        view.transform = [...(view.transform || []), { calculate: pair, as: "modlib_panel" }];
        view.facet = { field: "modlib_panel", type: "nominal", sort, header: own };
      }
      view.columns = 1;
      view.spacing = 10;
      view.resolve = { ...view.resolve, axis: { x: "independent", ...(view.resolve || {}).axis } };
    }

    function namesAbove(view, rows) {
      const all = encodings(view);
      const named = all.map(({ y }) => y).filter((y) => y && y.field && ["nominal", "ordinal"].includes(y.type));
      if (!named.length || named.some((y) => y.axis === null)) return;
      const { field } = named[0];
      const axis = Object.assign({}, ...named.map((y) => y.axis || {}));
      if (axis.labels === false) return;
      const found = named.flatMap((y) => ordered(y, rows)).map((name) => String(name).replace("|", " "));
      const widest = found.length ? Math.max(...found.map(wide)) : axis.labelLimit || 0;
      if (widest <= BESIDE * room) return;
      const offset = all.find(({ yOffset }) => yOffset && yOffset.field);
      const parts = offset ? ordered(offset.yOffset, rows).length || 1 : 1;
      const tall = Math.max(ROW, PART * parts, 2 * written(view));
      const step = tall + NAME + APART;
      const padding = 1 - tall / step;
      for (const y of named) {
        if (y.field !== field) continue;
        y.axis = {
          ...axis,
          ...{ labelAlign: "left", labelPadding: -2, labelOffset: -(tall + NAME) / 2, labelLimit: room - 30 },
          ...{ ticks: false, domain: false, minExtent: 0, zindex: 1 }, // in front of rules
        };
        // Names in two lines fit into one here.
        if (axis.labelExpr) y.axis.labelExpr = axis.labelExpr.replace("split(datum.label, '|')", "replace(datum.label, '|', ' ')");
        const bands = { paddingInner: padding, paddingOuter: padding / 2 + FIRST / step };
        y.scale = { ...y.scale, ...(offset || isBand(view) ? bands : { padding: 0.5 + FIRST / step }) };
      }
      view.height = offset ? { step, for: "position" } : { step };
    }

    // How far above its row a chart writes, at the most.
    function written(view) {
      const { type, dy = 0 } = view.mark || {};
      return Math.max(type === "text" && dy < 0 ? 7 - dy : 0, ...(view.layer || []).map(written));
    }

    // Whether rows are bands, of bars or cells, and not points.
    function isBand(view) {
      const type = typeof view.mark === "string" ? view.mark : (view.mark || {}).type;
      return ["bar", "rect"].includes(type) || (view.layer || []).some(isBand);
    }

    // A title longer than its axis stands in two lines.
    function titles(view) {
      for (const { x } of encodings(view)) {
        if (!x || typeof x.title !== "string" || wide(x.title) < view.width + 20) continue;
        const words = x.title.split(" ");
        const halves = words.map((_, i) => [words.slice(0, i).join(" "), words.slice(i).join(" ")]).slice(1);
        const uneven = ([one, other]) => Math.abs(one.length - other.length);
        if (halves.length) x.title = halves.reduce((a, b) => (uneven(b) < uneven(a) ? b : a));
      }
    }

    function legends(view, rows) {
      for (const encoding of encodings(view)) {
        for (const channel of LEGENDS) {
          const def = encoding[channel];
          if (!def || !def.field || def.legend === null) continue;
          const legend = def.legend || {};
          const orient = legend.orient || "right";
          def.legend = { ...legend, orient: /-/.test(orient) ? orient : "top" };
          if (def.type === "quantitative" || /-/.test(orient)) continue;
          const labels = ordered(def, rows).map((label) => wide(label) + SYMBOL + (legend.labelExpr ? 40 : 0));
          const space = room - 50;
          if (!labels.length) continue;
          if (labels.reduce((sum, width) => sum + width, 0) <= space && !legend.columns) continue;
          def.legend.columns = Math.max(1, Math.min(labels.length, Math.floor(space / Math.max(...labels))));
        }
      }
    }

    // Panels become as wide as there is room; pictures without axes and squares keep their shape, and never grow.
    function sized(view) {
      if (typeof view.width !== "number") return;
      const picture = encodings(view).some(({ x }) => x && x.axis === null);
      if (!picture && view.width !== view.height) {
        view.width = Math.min(width, WIDEST);
      } else {
        const factor = Math.min(1, width / view.width);
        view.width = Math.floor(view.width * factor);
        if (typeof view.height === "number") view.height = Math.floor(view.height * factor);
      }
      widest = Math.max(widest, view.width);
    }

    function visit(view, outer) {
      const rows = tableOf(view, outer);
      for (const key of ["hconcat", "concat"]) {
        if (!view[key]) continue;
        view.vconcat = stacked(view[key], key === "hconcat" ? Infinity : view.columns || Infinity);
        view.spacing = 18;
        delete view[key];
        delete view.columns;
      }
      (view.vconcat || []).forEach((panel) => visit(panel, rows));
      if (view.facet) {
        listed(view, rows);
        visit(view.spec, rows);
        // An axis that panels share is drawn behind them, names and all.
        if (encodings(view.spec).some(({ y }) => y && y.axis && y.axis.zindex)) view.resolve.axis.y = "independent";
      }
      if (view.encoding || view.layer) {
        sized(view);
        titles(view);
        namesAbove(view, rows);
        const tables = [rows, ...(view.layer || []).map((layer) => tableOf(layer, rows))];
        legends(view, tables.flat());
      }
      return view;
    }

    // The tables themselves are shared, not copied.
    const { datasets, ...rest } = spec;
    const shown = visit(structuredClone(rest), []);
    return { spec: datasets ? { ...shown, datasets } : shown, widest };
  }

  window.modlibNarrow = narrow;
})();
