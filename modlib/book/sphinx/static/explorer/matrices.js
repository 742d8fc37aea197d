// The two graphs as matrices on canvases, each sorted by its own modules and by those of the other.
(function (explorer) {
  "use strict";
  const CELL = 6; // pixels of the canvas a cell
  const STRIP = 14; // and of the strip on the left and on top that shows modules

  // The colour that a CSS variable has here and now, as [red, green, blue].
  function colour(element, name) {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    element.append(probe);
    const parts = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    probe.remove();
    return parts.slice(0, 3);
  }
  explorer.colour = colour;

  function draw(canvas, { graph, labels, order, chosen, ink, negativeInk, signed, accent, text, page }) {
    const n = graph.n;
    const size = STRIP + n * CELL;
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    const cells = new ImageData(n, n);
    order.forEach((i, row) =>
      order.forEach((j, column) => {
        const share = i === j ? 0 : Math.sqrt(graph.weights[i * n + j]);
        const full = signed && graph.negative[i * n + j] ? negativeInk : ink;
        const mixed = full.map((part, k) => page[k] + share * (part - page[k]));
        cells.data.set([...mixed, 255], 4 * (row * n + column));
      })
    );
    const small = document.createElement("canvas");
    small.width = small.height = n;
    small.getContext("2d").putImageData(cells, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, STRIP, STRIP, n * CELL, n * CELL);
    const css = (parts, alpha = 1) => `rgb(${parts.join(" ")} / ${alpha})`;
    order.forEach((unit, place) => {
      const marked = chosen.has(unit);
      context.fillStyle = marked ? css(accent) : css(text, labels[unit] < 0 ? 0.06 : labels[unit] % 2 ? 0.22 : 0.4);
      const inset = marked ? 0 : 4;
      context.fillRect(inset, STRIP + place * CELL, STRIP - 2 - inset, CELL);
      context.fillRect(STRIP + place * CELL, inset, CELL, STRIP - 2 - inset);
    });
    context.fillStyle = css(text, 0.75);
    for (let place = 1; place < n; place += 1) {
      if (labels[order[place]] === labels[order[place - 1]]) continue;
      const at = STRIP + place * CELL;
      context.fillRect(STRIP, at - 0.75, n * CELL, 1.5);
      context.fillRect(at - 0.75, STRIP, 1.5, n * CELL);
    }
  }

  // Unit of the row, and of the column, under a pointer on a canvas.
  function under(canvas, event, order) {
    const box = canvas.getBoundingClientRect();
    const place = (offset, span) => Math.floor(((offset / span) * canvas.width - STRIP) / CELL);
    const row = place(event.clientY - box.top, box.height);
    const column = place(event.clientX - box.left, box.width);
    const inside = (at) => at >= 0 && at < order.length;
    return inside(row) && inside(column) ? [order[row], order[column]] : null;
  }

  explorer.drawMatrices = (room, view, { choose, point }) => {
    if (!room.children.length) {
      for (let k = 0; k < 4; k += 1) {
        const figure = document.createElement("figure");
        figure.append(document.createElement("figcaption"), document.createElement("canvas"));
        room.append(figure);
      }
    }
    [...room.children].forEach((figure, k) => {
      const shown = k >> 1; // which graph
      const by = k & 1; // whose modules
      const own = shown === by;
      const labels = view.labels[by];
      const order = explorer.order(labels);
      const name = view.names[shown];
      const canvas = figure.querySelector("canvas");
      figure.querySelector("figcaption").textContent =
        `${name}, by ${own ? "its own modules" : `the modules of ${view.names[by]}`}`;
      canvas.setAttribute("role", "img");
      canvas.setAttribute(
        "aria-label",
        `Matrix of ${name} sorted by the modules of ${view.names[by]}, of ${
          explorer.sizes(labels).join(", ") || "no"} units; its numbers are in the cards and tables`
      );
      draw(canvas, {
        graph: view.graphs[shown],
        labels,
        order,
        chosen: view.chosenUnits,
        signed: view.signed,
        ink: colour(room, view.inks[shown]),
        negativeInk: colour(room, "--explorer-negative"),
        accent: colour(room, "--explorer-accent"),
        text: colour(room, "--explorer-text"),
        page: colour(room, "--explorer-page"),
      });
      canvas.onclick = (event) => {
        const units = under(canvas, event, order);
        if (units && labels[units[0]] >= 0) choose([by, labels[units[0]]]);
      };
      canvas.onpointermove = (event) => {
        const units = under(canvas, event, order);
        if (units) point(shown, by, units);
      };
    });
  };
})(window.modlibExplorer);
