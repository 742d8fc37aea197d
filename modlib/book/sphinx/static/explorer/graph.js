// Modularity Q of a partition, and the search for the partition that has the most of it.
(function (explorer) {
  "use strict";
  const LEAST_GAIN = 1e-12;
  const KICKED = [0.2, 0.35, 0.5]; // shares of the units that kicks move to random modules, in turn
  const RUNS = 3; // of a restart: what one run leaves, another may find
  const POOL = 8; // a kick starts from one of so many best partitions
  const SLICE = 12; // milliseconds of searching, after which the page may draw

  // Q = sum over modules of e_cc - gamma a_c^2 (Newman & Girvan 2004); units labelled -1 count as removed.
  explorer.modularity = (weights, labels, gamma = 1) => {
    const n = labels.length;
    const inside = new Float64Array(n);
    const degree = new Float64Array(n);
    let total = 0;
    for (let i = 0; i < n; i += 1) {
      if (labels[i] < 0) continue;
      for (let j = 0; j < n; j += 1) {
        if (labels[j] < 0) continue;
        const weight = weights[i * n + j];
        total += weight;
        degree[labels[i]] += weight;
        if (labels[i] === labels[j]) inside[labels[i]] += weight;
      }
    }
    if (!total) return NaN;
    let q = 0;
    for (let c = 0; c < n; c += 1) q += inside[c] / total - gamma * (degree[c] / total) ** 2;
    return q;
  };

  // The matrix whose sum within modules is Q of sizes, or with signs that of Gomez, Jensen & Arenas (2009):
  // Q of the positive less that of the negative similarities, each by its share of all weight.
  explorer.criterion = ({ n, weights, negative }, units, { signed = false, gamma = 1 } = {}) => {
    const k = units.length;
    const B = new Float64Array(k * k);
    let all = 0;
    for (const i of units) for (const j of units) all += weights[i * n + j];
    for (const sign of signed ? [0, 1] : [null]) {
      const part = (a, b) => {
        const place = units[a] * n + units[b];
        return sign === null || negative[place] === sign ? weights[place] : 0;
      };
      const degree = new Float64Array(k);
      for (let a = 0; a < k; a += 1) for (let b = 0; b < k; b += 1) degree[a] += part(a, b);
      const total = degree.reduce((sum, value) => sum + value, 0);
      if (!total) continue;
      for (let a = 0; a < k; a += 1) {
        for (let b = 0; b < k; b += 1) {
          const beyond = (part(a, b) - (gamma * degree[a] * degree[b]) / total) / all;
          B[a * k + b] += sign === 1 ? -beyond : beyond;
        }
      }
    }
    return B;
  };

  explorer.sumWithin = (B, labels) => {
    const k = labels.length;
    let sum = 0;
    for (let i = 0; i < k; i += 1) {
      for (let j = 0; j < k; j += 1) if (labels[i] === labels[j]) sum += B[i * k + j];
    }
    return sum;
  };

  // Move single units, in random order, to the module where they raise the sum most, until none does.
  function climb(B, labels, random) {
    const k = labels.length;
    const links = new Float64Array(k * k); // links[i k + c]: sum of B between unit i and module c, without i
    const size = new Int32Array(k);
    for (let i = 0; i < k; i += 1) {
      size[labels[i]] += 1;
      for (let j = 0; j < k; j += 1) if (j !== i) links[i * k + labels[j]] += B[i * k + j];
    }
    const units = explorer.shuffle(labels.map((_, unit) => unit), random);
    for (let moved = true; moved; ) {
      moved = false;
      for (const i of units) {
        const from = labels[i];
        const empty = size.indexOf(0);
        let to = from;
        let most = links[i * k + from] + LEAST_GAIN;
        for (let c = 0; c < k; c += 1) {
          if ((size[c] || c === empty) && links[i * k + c] > most) {
            to = c;
            most = links[i * k + c];
          }
        }
        if (to === from) continue;
        labels[i] = to;
        size[from] -= 1;
        size[to] += 1;
        for (let j = 0; j < k; j += 1) {
          if (j === i) continue;
          links[j * k + from] -= B[j * k + i];
          links[j * k + to] += B[j * k + i];
        }
        moved = true;
      }
    }
    return labels;
  }

  // Whole modules move as units do (the second phase of Louvain, Blondel et al. 2008).
  function merge(B, labels, random) {
    const k = labels.length;
    const number = new Map([...new Set(labels)].map((label, i) => [label, i]));
    const compact = labels.map((label) => number.get(label));
    const m = number.size;
    const between = new Float64Array(m * m);
    for (let i = 0; i < k; i += 1) {
      for (let j = 0; j < k; j += 1) between[compact[i] * m + compact[j]] += B[i * k + j];
    }
    const merged = climb(between, [...Array(m).keys()], random);
    return compact.map((label) => merged[label]);
  }

  // Units move, then modules, then units again, until neither raises the sum.
  explorer.louvain = (B, start, random) => {
    let labels = climb(B, [...start], random);
    for (let modules = Infinity; modules > new Set(labels).size; ) {
      modules = new Set(labels).size;
      labels = climb(B, merge(B, labels, random), random);
    }
    return labels;
  };

  // The best of many restarts. Of their runs a quarter start from single units, and the others from one of the
  // best partitions so far, with some of its units moved to random modules. `ended` may stop it, and `told` learns how far it is.
  explorer.search = async (graph, { restarts, seed, ended = () => false, told = () => {}, ...criterion }) => {
    const units = graph.stored.map((_, unit) => unit).filter((unit) => graph.stored[unit] >= 0);
    const B = explorer.criterion(graph, units, criterion);
    const random = explorer.generator(seed);
    const singles = [...units.keys()];
    const best = []; // the best partitions that differ, the very best first
    let pause = performance.now() + SLICE;
    const runs = restarts * RUNS;
    let done = 0;
    for (; done < runs && !ended(); done += 1) {
      let start = singles;
      if (done >= runs / 4) {
        const { labels } = best[Math.floor(random() * best.length)];
        const modules = Math.min(explorer.sizes(labels).length + 1, units.length);
        const share = KICKED[done % KICKED.length];
        start = labels.map((label) => (random() < share ? Math.floor(random() * modules) : label));
      }
      const labels = explorer.canonical(explorer.louvain(B, start, random));
      const sum = explorer.sumWithin(B, labels);
      if (!best.some((one) => Math.abs(one.sum - sum) < LEAST_GAIN)) {
        best.push({ labels, sum });
        best.sort((one, other) => other.sum - one.sum);
        best.length = Math.min(best.length, POOL);
      }
      if (performance.now() > pause) {
        told(done / runs);
        await new Promise((go) => setTimeout(go));
        pause = performance.now() + SLICE;
      }
    }
    const found = graph.stored.map(() => -1);
    best[0]?.labels.forEach((label, place) => (found[units[place]] = label));
    const before = explorer.sumWithin(B, units.map((unit) => graph.stored[unit]));
    return { labels: found, q: best[0]?.sum ?? NaN, stored: before, restarts: Math.floor(done / RUNS) };
  };
})(window.modlibExplorer);
