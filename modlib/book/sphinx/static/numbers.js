// A finger cannot point: its first tap on a number shows where it comes from, and its second follows the link.
(() => {
  let tapped = null; // the number under a finger that has not shown its source yet
  document.addEventListener("pointerdown", (event) => {
    const number = event.target.closest("a.num[data-source]");
    tapped = event.pointerType === "touch" && number !== document.activeElement ? number : null;
  });
  document.addEventListener("click", (event) => {
    if (!tapped || !tapped.contains(event.target)) return;
    event.preventDefault();
    tapped.focus({ preventScroll: true });
    tapped = null;
  });
})();
