// Tables of sentences become cards on a phone (modlib.css): here they are found, and each cell is told the name of
// its column. Tables of numbers stay tables, and scroll by themselves.
(() => {
  const SENTENCE = 40; // characters in a cell, from which on it is not a number or a name

  function cards(table) {
    const heads = table.tHead && table.tHead.rows.length === 1 ? [...table.tHead.rows[0].cells] : [];
    if (heads.length < 3 || table.querySelector("[colspan], [rowspan]")) return;
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    const cells = rows.flatMap((row) => [...row.cells]);
    if (!cells.some((cell) => cell.textContent.trim().length > SENTENCE)) return;
    table.classList.add("modlib-paragraphs");
    // Said expressly, since a row that is shown as a block would not count as one.
    table.setAttribute("role", "table");
    table.tHead.setAttribute("role", "rowgroup");
    for (const body of table.tBodies) body.setAttribute("role", "rowgroup");
    for (const row of [table.tHead.rows[0], ...rows]) row.setAttribute("role", "row");
    for (const head of heads) head.setAttribute("role", "columnheader");
    for (const row of rows) {
      [...row.cells].forEach((cell, i) => {
        cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
        if (heads[i]) cell.dataset.label = heads[i].textContent.trim();
      });
    }
  }

  const all = () => document.querySelectorAll("article table").forEach(cards);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
  else all();
})();
