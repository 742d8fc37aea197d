// How the units of one set of modules flow into the other, as SVG.
(function (explorer) {
  "use strict";
  const UNIT = 5; // height of a unit
  const GAP = 12; // between modules
  const BAR = 16; // width of a module
  const MARGIN = 92; // room for labels
  const SPACE = "http://www.w3.org/2000/svg";

  function make(tag, attributes, parent) {
    const element = document.createElementNS(SPACE, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    parent?.append(element);
    return element;
  }
  explorer.svg = make;

  // Where each module stands: modules in order, and the dead units last.
  function stand(labels) {
    const modules = explorer.sizes(labels).map((size, module) => ({ module, size }));
    const dead = labels.filter((label) => label < 0).length;
    if (dead) modules.push({ module: -1, size: dead });
    let top = 22;
    for (const one of modules) {
      one.top = one.next = top;
      top += one.size * UNIT + GAP;
    }
    return { modules, height: top };
  }

  const units = (count) => (count === 1 ? "1 unit" : `${count} units`);
  const called = (module) => (module < 0 ? "dead" : `module ${module + 1}`);

  explorer.drawAlluvial = (room, view, choose) => {
    const width = Math.max(300, Math.min(760, room.clientWidth || 640));
    const sides = view.labels.map(stand);
    const height = Math.max(sides[0].height, sides[1].height);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group" });
    svg.setAttribute(
      "aria-label",
      `Units from the modules of ${view.names[0]}, left, to those of ${view.names[1]}, right`
    );
    const left = MARGIN;
    const right = width - MARGIN - BAR;
    view.names.forEach((name, side) => {
      const place = { x: side ? width - 1 : 1, y: 12, "text-anchor": side ? "end" : "start", class: "title" };
      make("text", place, svg).textContent = name;
    });
    const flows = make("g", { class: "flows", "aria-hidden": "true" }, svg);
    const counts = new Map();
    view.labels[0].forEach((label, unit) => {
      const key = `${label} ${view.labels[1][unit]}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    });
    const into = [sides[0].modules.map(() => []), sides[1].modules.map(() => [])];
    sides[0].modules.forEach((from, i) =>
      sides[1].modules.forEach((to, j) => {
        const count = counts.get(`${from.module} ${to.module}`);
        if (!count) return;
        into[0][i].push(`${count} to ${called(to.module)}`);
        into[1][j].push(`${count} from ${called(from.module)}`);
        const [y, z, thick, middle] = [from.next, to.next, count * UNIT, (left + BAR + right) / 2];
        from.next += thick;
        to.next += thick;
        const [x, end] = [left + BAR, right];
        const path = `M${x},${y}C${middle},${y} ${middle},${z} ${end},${z}V${z + thick}` +
          `C${middle},${z + thick} ${middle},${y + thick} ${x},${y + thick}Z`;
        const [side, module] = view.chosen ?? [];
        const marked = view.chosen && module === (side ? to.module : from.module);
        make("path", { d: path, class: marked ? "flow marked" : "flow" }, flows);
      })
    );
    sides.forEach(({ modules }, side) =>
      modules.forEach((one, k) => {
        const pressed = view.chosen?.[0] === side && view.chosen[1] === one.module;
        const node = make("g", { class: pressed ? "module marked" : "module" }, svg);
        const tall = one.size * UNIT;
        const middle = one.top + tall / 2;
        make("rect", { x: side ? right : left, y: one.top, width: BAR, height: tall }, node);
        const at = { x: side ? right + BAR + 6 : left - 6, y: middle + 4, "text-anchor": side ? "start" : "end" };
        make("text", at, node).textContent =
          one.module < 0 ? `dead: ${one.size}` : `${one.module + 1}: ${units(one.size)}`;
        if (one.module < 0) return;
        const hit = { x: side ? right : 0, y: one.top - GAP / 2, width: width - right, height: tall + GAP };
        make("rect", { ...hit, width: side ? width - right : left + BAR, class: "hit" }, node);
        node.setAttribute("role", "button");
        node.setAttribute("tabindex", "0");
        node.setAttribute("aria-pressed", String(pressed));
        node.setAttribute("data-module", `${"ab"[side]}${one.module}`);
        const flowing = into[side][k].join(", ");
        node.setAttribute(
          "aria-label", `${called(one.module)} of ${view.names[side]}, ${units(one.size)}: ${flowing}`
        );
        const toggle = () => choose(pressed ? null : [side, one.module]);
        node.addEventListener("click", toggle);
        node.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          toggle();
        });
      })
    );
    const focused = room.contains(document.activeElement) && document.activeElement.dataset.module;
    room.replaceChildren(svg);
    if (focused) room.querySelector(`[data-module="${focused}"]`)?.focus();
  };
})(window.modlibExplorer);
