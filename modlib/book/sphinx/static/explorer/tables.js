// What the pictures show, as tables.
(function (explorer) {
  "use strict";
  const called = (label) => (label < 0 ? "dead" : String(label + 1));

  function table(caption, head, rows) {
    const made = document.createElement("table");
    made.createCaption().textContent = caption;
    const cell = (tag, text, scope) => {
      const element = document.createElement(tag);
      element.textContent = text;
      if (scope) element.scope = scope;
      return element;
    };
    made.createTHead().insertRow().append(...head.map((text) => cell("th", text, "col")));
    const body = made.createTBody();
    for (const [first, ...rest] of rows) {
      body.insertRow().append(cell("th", first, "row"), ...rest.map((text) => cell("td", text)));
    }
    const frame = document.createElement("div");
    Object.assign(frame, { className: "explorer-table", tabIndex: 0 });
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", caption);
    frame.append(made);
    return frame;
  }

  explorer.drawTables = (room, view) => {
    const { counts } = explorer.contingency(...view.labels);
    const shared = table(
      `Units that a module of ${view.names[0]} (row) shares with one of ${view.names[1]} (column)`,
      ["", ...explorer.sizes(view.labels[1]).map((_, module) => called(module))],
      counts.map((row, module) => [called(module), ...row])
    );
    const units = table(
      "The module of each unit",
      ["unit", ...view.names],
      view.labels[0].map((label, unit) => [unit + 1, called(label), called(view.labels[1][unit])])
    );
    room.replaceChildren(shared, units);
  };
})(window.modlibExplorer);
