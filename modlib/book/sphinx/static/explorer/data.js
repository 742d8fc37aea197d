// The networks: a script for each seed hands them over, since a page opened from the disk may load nothing else.
window.modlibExplorer = {};
(function (explorer) {
  "use strict";
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const networks = new Map(); // seed -> networks by name
  const asked = new Map(); // seed -> promise
  const waiting = new Map(); // seed -> what fulfils the promise
  const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_~"; // a character a module

  explorer.receive = (seed, found) => {
    networks.set(seed, found);
    waiting.get(seed)?.();
  };

  explorer.load = (seed) => {
    if (networks.has(seed)) return Promise.resolve();
    if (!asked.has(seed)) {
      asked.set(seed, new Promise((done, failed) => {
        waiting.set(seed, done);
        const script = document.createElement("script");
        script.src = `${folder}seed-${seed}.js`;
        script.onerror = () => {
          asked.delete(seed);
          script.remove();
          failed(new Error(`The networks of seed ${seed} could not be loaded.`));
        };
        document.head.append(script);
      }));
    }
    return asked.get(seed);
  };

  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

  // A graph as numbers: its weights, of which the largest is 1, which similarities are negative, and what the
  // tables say of it. It is undefined where there is no such network.
  explorer.graph = (seed, network, layer, measure, form) => {
    const held = networks.get(seed)?.[network]?.layers[layer - 1];
    if (!held) return undefined;
    const graph = held.graphs[`${measure} ${form}`];
    if (graph.weights) return graph;
    const n = held.units;
    const levels = bytes(graph.code);
    const bits = bytes(held.signs[measure]);
    const weights = new Float64Array(n * n);
    const negative = new Uint8Array(n * n);
    for (let i = 0, pair = 0; i < n; i += 1) {
      for (let j = i + 1; j < n; j += 1, pair += 1) {
        weights[i * n + j] = weights[j * n + i] = (levels[pair] / 255) ** 2;
        negative[i * n + j] = negative[j * n + i] = (bits[pair >> 3] >> (7 - (pair & 7))) & 1;
      }
    }
    return Object.assign(graph, { n, weights, negative, stored: explorer.read(graph.labels) });
  };

  // Images of the incoming weights of the first layer: 14 x 14 levels a unit, 128 standing for 0.
  explorer.images = (seed, network) => bytes(networks.get(seed)[network].images);

  explorer.read = (text) => [...text].map((character) => ALPHABET.indexOf(character)); // dead units are -1
  explorer.write = (labels) => labels.map((label) => (label < 0 ? "-" : ALPHABET[label])).join("");

  // Modules numbered by decreasing size, ties by first member.
  explorer.canonical = (labels) => {
    const size = new Map();
    labels.forEach((label) => label >= 0 && size.set(label, (size.get(label) ?? 0) + 1));
    const order = [...size.keys()].sort(
      (a, b) => size.get(b) - size.get(a) || labels.indexOf(a) - labels.indexOf(b)
    );
    return labels.map((label) => order.indexOf(label));
  };

  // Units module by module, the dead ones last.
  explorer.order = (labels) =>
    labels.map((_, unit) => unit).sort((a, b) => (labels[a] >>> 0) - (labels[b] >>> 0) || a - b);

  explorer.sizes = (labels) => {
    const sizes = new Array(Math.max(-1, ...labels) + 1).fill(0);
    labels.forEach((label) => label >= 0 && (sizes[label] += 1));
    return sizes;
  };
})(window.modlibExplorer);
