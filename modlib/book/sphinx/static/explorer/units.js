// The units module by module: in the first layer as images of their incoming weights, else as numbers.
(function (explorer) {
  "use strict";
  const SIDE = 14; // pixels of an image

  function draw(canvas, pixels, [excites, inhibits, page]) {
    canvas.width = canvas.height = SIDE;
    const image = new ImageData(SIDE, SIDE);
    pixels.forEach((level, place) => {
      const share = Math.abs(level - 128) / 127;
      const ink = level > 128 ? excites : inhibits;
      image.data.set([...ink.map((part, k) => page[k] + share * (part - page[k])), 255], 4 * place);
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  explorer.drawUnits = (room, view, { choose, pick, drop }) => {
    const side = view.grouped;
    const labels = view.labels[side];
    const inks = ["--explorer-excites", "--explorer-inhibits", "--explorer-page"].map((name) =>
      explorer.colour(room, name)
    );
    const groups = explorer.sizes(labels).map((_, module) => module);
    if (labels.includes(-1)) groups.push(-1);
    const focused = room.contains(document.activeElement) && document.activeElement.dataset.module;
    room.replaceChildren(
      ...groups.map((module) => {
        const members = labels.map((_, unit) => unit).filter((unit) => labels[unit] === module);
        const group = document.createElement("div");
        group.className = "explorer-group";
        const head = document.createElement(module < 0 ? "p" : "button");
        head.textContent = module < 0 ? `Dead (${members.length})` : `Module ${module + 1} (${members.length})`;
        if (module >= 0) {
          const pressed = view.chosen?.[0] === side && view.chosen[1] === module;
          head.type = "button";
          head.dataset.module = module;
          head.setAttribute("aria-pressed", String(pressed));
          head.onclick = () => choose(pressed ? null : [side, module]);
          group.ondragover = (event) => event.preventDefault();
          group.ondrop = (event) => {
            event.preventDefault();
            drop(Number(event.dataTransfer.getData("text/plain")), module);
          };
        }
        const tiles = document.createElement("div");
        tiles.className = "explorer-tiles";
        for (const unit of members) {
          const tile = document.createElement("span");
          tile.className = view.chosenUnits.has(unit) ? "explorer-tile marked" : "explorer-tile";
          if (view.picked === unit) tile.classList.add("picked");
          tile.dataset.unit = unit;
          tile.title = `unit ${unit + 1}`;
          if (view.images) {
            const canvas = document.createElement("canvas");
            draw(canvas, view.images.subarray(unit * SIDE ** 2, (unit + 1) * SIDE ** 2), inks);
            canvas.setAttribute("role", "img");
            canvas.setAttribute("aria-label", `incoming weights of unit ${unit + 1}`);
            tile.append(canvas);
          } else tile.textContent = unit + 1;
          if (module >= 0) {
            tile.draggable = true;
            tile.ondragstart = (event) => event.dataTransfer.setData("text/plain", unit);
            tile.onclick = () => pick(unit);
          }
          tiles.append(tile);
        }
        group.append(head, tiles);
        return group;
      })
    );
    if (focused) room.querySelector(`button[data-module="${focused}"]`)?.focus();
  };
})(window.modlibExplorer);
