// Random numbers that a seed repeats, the same in every browser (mulberry32).
(function (explorer) {
  "use strict";
  explorer.generator = (seed) => {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  };

  explorer.shuffle = (values, random) => {
    for (let last = values.length - 1; last > 0; last -= 1) {
      const other = Math.floor(random() * (last + 1));
      [values[last], values[other]] = [values[other], values[last]];
    }
    return values;
  };
})(window.modlibExplorer);
