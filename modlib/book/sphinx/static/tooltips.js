// Where a number comes from and what a term means: told while it is pointed at or has the focus, until Escape.
(() => {
  const TOLD = ".num[data-source], .term[data-definition]";
  const GAP = 6; // pixels between a term and what is told of it, and least distance from the window's edges
  const PATIENCE = 200; // milliseconds in which the pointer may cross the gap
  const tip = document.createElement("div");
  tip.id = "modlib-tooltip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);

  let told = null; // what the tooltip is about
  let leaving = 0;

  // A term is told of beside it, within the window. Where a number comes from stands at the window's foot.
  const place = () => {
    tip.style.left = tip.style.top = "";
    if (!told.dataset.definition) return;
    const lines = told.getClientRects(); // a term may be broken over two of them
    const first = lines[0];
    const last = lines[lines.length - 1];
    const room = document.documentElement;
    const above = last.bottom + GAP + tip.offsetHeight > room.clientHeight && first.top > tip.offsetHeight + GAP;
    const left = Math.min((above ? first : last).left, room.clientWidth - tip.offsetWidth - GAP);
    tip.style.left = `${Math.max(left, GAP)}px`;
    tip.style.top = `${above ? first.top - GAP - tip.offsetHeight : last.bottom + GAP}px`;
  };
  const show = (link) => {
    clearTimeout(leaving);
    if (told === link) return;
    hide();
    told = link;
    tip.textContent = link.dataset.definition ?? link.dataset.source;
    tip.classList.toggle("modlib-tooltip-foot", !link.dataset.definition);
    tip.hidden = false;
    link.setAttribute("aria-describedby", tip.id);
    place();
  };
  const hide = () => {
    clearTimeout(leaving);
    tip.hidden = true;
    told?.removeAttribute("aria-describedby");
    told = null;
  };
  const leave = () => {
    clearTimeout(leaving);
    if (told !== document.activeElement) leaving = setTimeout(hide, PATIENCE);
  };

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = event.target.closest(TOLD);
    if (link) show(link);
    else if (tip.contains(event.target)) clearTimeout(leaving);
  });
  document.addEventListener("pointerout", (event) => {
    if (told && (told.contains(event.target) || tip.contains(event.target))) leave();
  });
  document.addEventListener("focusin", (event) => {
    const link = event.target.closest(TOLD);
    if (link) show(link);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  addEventListener("scroll", () => told && place(), { capture: true, passive: true });
  addEventListener("resize", hide);

  // A finger cannot point: its first tap tells, and its second follows the link.
  let tapped = null;
  document.addEventListener("pointerdown", (event) => {
    const link = event.target.closest(`a:is(${TOLD})`);
    tapped = event.pointerType === "touch" && link !== told ? link : null;
    if (event.pointerType === "touch" && !link && !tip.contains(event.target)) hide();
  });
  document.addEventListener("click", (event) => {
    if (!tapped?.contains(event.target)) return;
    event.preventDefault();
    tapped.focus({ preventScroll: true });
    show(tapped);
    tapped = null;
  });
})();
