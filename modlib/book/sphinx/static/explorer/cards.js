// Numbers on cards: covered until the reader has guessed, and then beside what shuffled labels give.
(function (explorer) {
  "use strict";
  const WIDTH = 200; // of a bar
  const LOW = -0.1; // ends of its scale
  const HIGH = 1;
  const place = (value) => ((Math.min(HIGH, Math.max(LOW, value)) - LOW) / (HIGH - LOW)) * WIDTH;
  explorer.format = (value, digits = 2) =>
    Number.isFinite(value) ? value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−") : "not defined";

  // A line that says the same as the bar.
  explorer.describeCard = (card) => {
    const format = explorer.format;
    const chance = card.chance
      ? `; 95 % of ${card.shuffles.toLocaleString("en")} shuffles lie from ${format(card.chance.low)} to ${format(card.chance.high)}`
      : "";
    const guess = card.guess === undefined ? "" : `; your guess was ${format(card.guess)}`;
    return `${format(card.value)}${chance}${guess}`;
  };

  function bar(card) {
    const svg = explorer.svg("svg", { viewBox: `0 0 ${WIDTH} 26`, role: "img", class: "explorer-bar" });
    svg.setAttribute("aria-label", `${card.title}: ${explorer.describeCard(card)}`);
    const line = (x, y, z, kind) => explorer.svg("line", { x1: x, x2: x, y1: y, y2: z, class: kind }, svg);
    explorer.svg("line", { x1: 0, x2: WIDTH, y1: 12, y2: 12, class: "axis" }, svg);
    for (const tick of [0, 0.5, 1]) line(place(tick), 12, 16, "axis");
    if (card.chance) {
      const from = place(card.chance.low);
      const width = Math.max(2, place(card.chance.high) - from);
      explorer.svg("rect", { x: from, y: 6, width, height: 12, class: "chance" }, svg);
      line(place(card.chance.mean), 4, 20, "mean");
    }
    if (card.guess !== undefined) {
      const at = place(card.guess);
      explorer.svg("path", { d: `M${at},19l-5,7h10z`, class: "guess" }, svg);
    }
    if (Number.isFinite(card.value)) {
      explorer.svg("circle", { cx: place(card.value), cy: 12, r: 5, style: `fill: var(${card.ink})` }, svg);
    }
    return svg;
  }

  function covered(card, reveal) {
    const label = document.createElement("label");
    const slider = Object.assign(document.createElement("input"), {
      type: "range", min: 0, max: 1, step: 0.01, value: 0.5, name: `guess-${card.key}`,
    });
    // Not an <output>, which the label would name in place of the slider.
    const value = document.createElement("span");
    value.textContent = "0.50";
    slider.oninput = () => (value.textContent = explorer.format(Number(slider.value)));
    label.append("Your guess ", value, slider);
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Reveal" });
    button.onclick = () => reveal(card.key, Number(slider.value));
    return [label, button];
  }

  explorer.drawCards = (room, cards, reveal) => {
    const old = new Map([...room.children].map((element) => [element.dataset.card, element]));
    room.replaceChildren(
      ...cards.map((card) => {
        const before = old.get(card.key);
        if (!card.shown && before?.dataset.title === card.title && before.dataset.shown === "no") return before;
        const element = document.createElement("div");
        element.className = "explorer-card";
        element.dataset.card = card.key;
        element.dataset.title = card.title;
        element.dataset.shown = card.shown ? "yes" : "no";
        const title = document.createElement("h4");
        title.textContent = card.title;
        element.append(title);
        if (card.shown) {
          const value = document.createElement("p");
          value.className = "explorer-value";
          value.tabIndex = -1;
          value.textContent = explorer.format(card.value);
          const about = document.createElement("p");
          about.className = "explorer-about";
          about.textContent = card.chance
            ? `by chance ${explorer.format(card.chance.low)} to ${explorer.format(card.chance.high)}`
            : card.about ?? "";
          element.append(value, bar(card), about);
        } else element.append(...covered(card, reveal));
        return element;
      })
    );
  };
})(window.modlibExplorer);
