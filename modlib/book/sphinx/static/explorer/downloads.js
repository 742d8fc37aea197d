// Files that the reader may keep, made in the browser.
(function (explorer) {
  "use strict";
  explorer.saveModules = (view) => {
    const lines = ["network,seed,layer,measure,form,unit,module"];
    view.labels.forEach((labels, side) =>
      labels.forEach((label, unit) => {
        const module = label < 0 ? "dead" : label + 1;
        lines.push([view.network, view.seed, view.layer, view.measures[side], view.form, unit + 1, module].join());
      })
    );
    modlibSave(`modules-${view.file}.csv`, "text/csv", `${lines.join("\n")}\n`);
  };

  // The drawing with its colours written into it, since the style sheet stays behind.
  explorer.saveDrawing = (svg, view) => {
    const copy = svg.cloneNode(true);
    const parts = copy.querySelectorAll("*");
    svg.querySelectorAll("*").forEach((element, k) => {
      const style = getComputedStyle(element);
      for (const name of ["fill", "fill-opacity", "stroke", "stroke-width", "font-size", "font-family", "font-weight"]) {
        parts[k].setAttribute(name, style.getPropertyValue(name));
      }
      for (const name of ["tabindex", "role", "aria-pressed"]) parts[k].removeAttribute(name);
    });
    copy.querySelectorAll(".hit").forEach((element) => element.remove());
    const { width, height } = svg.viewBox.baseVal;
    const ground = explorer.svg("rect", { width, height });
    ground.setAttribute("fill", `rgb(${explorer.colour(svg.parentElement, "--explorer-page").join(", ")})`);
    copy.prepend(ground);
    modlibSave(`modules-${view.file}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(copy));
  };
})(window.modlibExplorer);
