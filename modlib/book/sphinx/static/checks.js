// Checks: a reader answers on the page and is told why. What is done is kept in the browser, where that allows
// it; `modlibChecks`, the names of all checks by page, comes from checks-of-book.js.
(() => {
  "use strict";
  const KEY = "modlib-checks";
  const LETTERS = "ABCDEFGHIJ";
  const book = window.modlibChecks || {};
  const checks = [...document.querySelectorAll(".modlib-check")];

  // --- what is done, by page

  // A browser may refuse to keep anything, above all of pages read from the disk: then it lasts as long as the page.
  function kept() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      return found && typeof found === "object" ? found : {};
    } catch {
      return {};
    }
  }
  let done = kept();
  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify(done));
    } catch {
      // Nothing can be done about it, and nothing is lost but the count.
    }
  }
  const doneOn = (page, names) => (Array.isArray(done[page]) ? names.filter((n) => done[page].includes(n)) : []);

  function finish({ id, dataset: { page } }) {
    done = kept(); // other pages may have been read meanwhile
    done[page] = [...new Set([...(Array.isArray(done[page]) ? done[page] : []), id])];
    keep();
    showProgress();
  }

  function showProgress() {
    const names = checks.map((check) => check.id);
    const page = checks[0].dataset.page;
    const here = doneOn(page, names).length;
    const pages = Object.entries({ ...book, [page]: names });
    const all = pages.reduce((sum, [other, of]) => sum + doneOn(other, of).length, 0);
    const most = pages.reduce((sum, [, of]) => sum + of.length, 0);
    const told = `${here} of ${names.length} done on this page, ${all} of ${most} in the book`;
    for (const check of checks) {
      check.querySelector(".modlib-check-progress").textContent = told;
      check.toggleAttribute("data-done", doneOn(page, [check.id]).length > 0);
    }
    forget.hidden = all === 0;
  }

  // --- answers

  // A number as people type it: 0.25, 0,25, −1/4. Anything else is none.
  function number(text) {
    const plain = text.trim().replace(/[−–]/g, "-").replace(",", ".");
    const found = plain.match(/^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?:\/\s*(\d+\.?\d*))?$/i);
    return found ? Number(found[1]) / (found[2] === undefined ? 1 : Number(found[2])) : NaN;
  }

  function say(check, ...parts) {
    check.querySelector(".modlib-check-feedback").replaceChildren(...parts);
  }

  function hint(check, text) {
    const line = document.createElement("p");
    line.textContent = text;
    say(check, line);
  }

  // The feedback of an answer, without the value that it stands for.
  function copied(answer) {
    const copy = answer.cloneNode(true);
    copy.querySelector(":scope > .modlib-check-value")?.remove();
    return copy.childNodes;
  }

  function judge(check, answer) {
    const right = "right" in answer.dataset;
    check.dataset.outcome = right ? "right" : "wrong";
    say(check, ...copied(answer));
    if (right) finish(check);
  }

  const answers = {
    choice(check) {
      const chosen = check.querySelector("input:checked");
      if (!chosen) return hint(check, "Choose an answer first.");
      judge(check, check.querySelectorAll(".modlib-check-answer")[chosen.value]);
    },
    number(check) {
      const given = number(check.querySelector("input").value);
      if (!Number.isFinite(given)) return hint(check, "Write a number first, such as 0.25 or 1/4.");
      const all = [...check.querySelectorAll(".modlib-check-answer")];
      const tolerance = Number(check.dataset.tolerance) + 1e-12;
      const near = all.find(
        ({ dataset: { value } }) => value !== undefined && Math.abs(given - value) <= tolerance
      );
      judge(check, near || all[all.length - 1]);
    },
    predict(check) {
      const chosen = check.querySelector("input:checked");
      const field = check.querySelector("textarea");
      if (!chosen && !field?.value.trim()) {
        return hint(check, field ? "Write what you expect first." : "Choose what you expect first.");
      }
      const yours = document.createElement("p");
      yours.textContent = chosen ? `You said ${LETTERS[chosen.value]}.` : "Compare with what you wrote.";
      check.dataset.outcome = "revealed";
      say(check, yours, ...copied(check.querySelector(".modlib-check-answer")));
      commit(check, true);
      finish(check);
    },
  };

  // A prediction that is revealed stays as it was made.
  function commit(check, made) {
    check.querySelectorAll("input, textarea").forEach((field) => (field.disabled = made));
    check.querySelector("button").setAttribute("aria-disabled", made);
  }

  function open(check) {
    say(check);
    delete check.dataset.outcome;
  }

  // --- forgetting

  const forget = document.createElement("button");
  forget.type = "button";
  forget.className = "modlib-check-forget";
  forget.textContent = "Start over";
  forget.title = "Forget which checks of the book are done";
  forget.addEventListener("click", () => {
    done = {};
    keep();
    for (const check of checks) {
      commit(check, false);
      open(check);
      check.querySelectorAll("input[type=radio]").forEach((field) => (field.checked = false));
      check.querySelectorAll("input[type=text], textarea").forEach((field) => (field.value = ""));
    }
    showProgress();
    checks[checks.length - 1].querySelector("button").focus(); // the one that had the focus is gone
  });

  // --- wiring

  for (const check of checks) {
    const button = check.querySelector("button");
    const answer = () => button.getAttribute("aria-disabled") === "true" || answers[check.dataset.kind](check);
    button.addEventListener("click", answer);
    check.querySelector(".modlib-check-controls").hidden = false;
    check.dataset.ready = "";
    for (const field of check.querySelectorAll("input")) {
      field.addEventListener("keydown", (event) => event.key === "Enter" && answer());
    }
    for (const field of check.querySelectorAll("input, textarea")) {
      field.addEventListener("input", () => open(check)); // feedback is of the answer that is seen
    }
  }
  if (checks.length) {
    checks[checks.length - 1].querySelector(".modlib-check-controls").append(forget);
    showProgress();
  }
})();
