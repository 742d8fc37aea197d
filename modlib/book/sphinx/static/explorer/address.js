// What the reader has chosen, in the address of the page, so that it can be kept and sent to others.
(function (explorer) {
  "use strict";
  // For each part of the state: its key in the address, and how it is read. What cannot be read is left out.
  const whole = (least, most) => (text) => {
    const value = Number(text);
    return text !== "" && Number.isInteger(value) && value >= least && value <= most ? value : undefined;
  };
  const number = (least, most) => (text) => {
    const value = Number(text);
    return text !== "" && value >= least && value <= most ? value : undefined;
  };
  const oneOf = (...words) => (text) => (words.includes(text) ? text : undefined);
  const word = (text) => text || undefined;
  const KEYS = {
    network: ["net", word],
    seed: ["seed", whole(0, 999)],
    layer: ["layer", whole(1, 99)],
    first: ["a", word],
    second: ["b", word],
    form: ["form", oneOf("raw", "normalised")],
    chosen: ["at", (text) => (/^[ab]\d+$/.test(text) ? text : undefined)],
    firstModules: ["pa", word],
    secondModules: ["pb", word],
    restarts: ["restarts", whole(1, 2000)],
    searchSeed: ["rseed", whole(0, 2 ** 31)],
    sign: ["sign", oneOf("size", "signed")],
    gamma: ["gamma", number(0.1, 5)],
    open: ["open", oneOf("1")],
  };

  explorer.readAddress = () => {
    // Links on other pages give the state behind "?": what stands behind "#" the theme takes for a place on a page.
    const found = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : location.search);
    const state = {};
    for (const [part, [key, read]] of Object.entries(KEYS)) {
      const value = found.has(key) ? read(found.get(key)) : undefined;
      if (value !== undefined) state[part] = value;
    }
    return state;
  };

  explorer.writeAddress = (state, initial) => {
    const parts = new URLSearchParams();
    for (const [part, [key]] of Object.entries(KEYS)) {
      const value = state[part];
      if (value !== undefined && value !== null && value !== initial[part]) parts.set(key, value);
    }
    const text = parts.toString();
    // A heading that the address names stays there until the reader chooses something.
    if (text === location.hash.slice(1) || (!text && !location.hash.includes("="))) return;
    history.replaceState(history.state, "", text ? `${location.pathname}#${text}` : location.pathname);
  };
})(window.modlibExplorer);
