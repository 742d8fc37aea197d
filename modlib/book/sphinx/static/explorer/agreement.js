// How alike two partitions are (modlib.agreement), and what shuffled labels give.
(function (explorer) {
  "use strict";
  // Counts of the units in each pair of modules; units that are dead in either partition are left out.
  function contingency(a, b) {
    const rows = explorer.sizes(a).length;
    const columns = explorer.sizes(b).length;
    const counts = Array.from({ length: rows }, () => new Array(columns).fill(0));
    a.forEach((label, unit) => label >= 0 && b[unit] >= 0 && (counts[label][b[unit]] += 1));
    const inA = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
    const inB = [...Array(columns).keys()].map((c) => counts.reduce((sum, row) => sum + row[c], 0));
    return { counts, inA, inB, n: inA.reduce((sum, count) => sum + count, 0) };
  }
  explorer.contingency = contingency;

  // Element-centric similarity (Gates et al. 2019): the mean over units of n_ij / max(a_i, b_j).
  function ecs({ counts, inA, inB, n }) {
    if (n < 2) return NaN;
    let sum = 0;
    counts.forEach((row, i) =>
      row.forEach((count, j) => count && (sum += count ** 2 / Math.max(inA[i], inB[j])))
    );
    return sum / n;
  }

  const xlogx = (x) => (x > 0 ? x * Math.log(x) : 0);
  const entropy = (counts, n) => Math.log(n) - counts.reduce((sum, c) => sum + xlogx(c), 0) / n;

  // Mean information of random labels with the same module sizes (Vinh, Epps & Bailey 2010).
  function expected({ inA, inB, n }) {
    const logFactorial = [0];
    for (let i = 1; i <= n; i += 1) logFactorial.push(logFactorial[i - 1] + Math.log(i));
    let sum = 0;
    for (const a of inA) {
      for (const b of inB) {
        for (let k = Math.max(1, a + b - n); k <= Math.min(a, b); k += 1) {
          const logP =
            logFactorial[a] + logFactorial[b] + logFactorial[n - a] + logFactorial[n - b] -
            logFactorial[n] - logFactorial[k] - logFactorial[a - k] - logFactorial[b - k] -
            logFactorial[n - a - b + k];
          sum += (Math.exp(logP) * k * Math.log((n * k) / (a * b))) / n;
        }
      }
    }
    return sum;
  }

  // Adjusted mutual information: 1 for equal partitions, 0 as expected by chance.
  function ami(table, chance) {
    const { counts, inA, inB, n } = table;
    if (n < 2) return NaN;
    const filled = (values) => values.filter((count) => count > 0).length;
    const [nA, nB, nAB] = [filled(inA), filled(inB), filled(counts.flat())];
    if (nAB === nA && nAB === nB) return 1;
    if (nA < 2 || nB < 2) return 0;
    const [hA, hB, hAB] = [entropy(inA, n), entropy(inB, n), entropy(counts.flat(), n)];
    return (hA + hB - hAB - chance) / ((hA + hB) / 2 - chance);
  }

  explorer.agreement = (a, b) => {
    const table = contingency(a, b);
    return { ecs: ecs(table), ami: ami(table, expected(table)) };
  };

  // Labels shuffled among the units that have one in both partitions: sizes stay, any relation goes.
  function* shuffles(labels, taking, number, seed) {
    const random = explorer.generator(seed);
    const units = labels.map((_, unit) => unit).filter((unit) => labels[unit] >= 0 && taking[unit] >= 0);
    const values = units.map((unit) => labels[unit]);
    for (let i = 0; i < number; i += 1) {
      explorer.shuffle(values, random);
      const shuffled = labels.map(() => -1);
      units.forEach((unit, place) => (shuffled[unit] = values[place]));
      yield shuffled;
    }
  }

  explorer.shuffledAgreement = (a, b, number, seed) => {
    const alive = a.map((label, unit) => (b[unit] < 0 ? -1 : label));
    const chance = expected(contingency(a, b)); // the same for every shuffle, since sizes are
    const found = { ecs: [], ami: [] };
    for (const shuffled of shuffles(b, a, number, seed)) {
      const table = contingency(alive, shuffled);
      found.ecs.push(ecs(table));
      found.ami.push(ami(table, chance));
    }
    return found;
  };

  explorer.shuffledModularity = (weights, labels, alive, number, seed) =>
    [...shuffles(labels, alive, number, seed)].map((shuffled) => explorer.modularity(weights, shuffled));

  // The middle 95 % of values, and their mean; nothing where there is nothing to measure.
  explorer.range = (values) => {
    if (!values.length || values.some(Number.isNaN)) return null;
    const sorted = Float64Array.from(values).sort();
    const quantile = (share) => {
      const place = share * (sorted.length - 1);
      const below = Math.floor(place);
      const above = Math.min(below + 1, sorted.length - 1);
      return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    };
    const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
    return { low: quantile(0.025), mean, high: quantile(0.975) };
  };
})(window.modlibExplorer);
