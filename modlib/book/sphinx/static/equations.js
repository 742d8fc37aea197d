// An equation that scrolls must be reachable from the keyboard; one that does not must not be a tab stop.
(function () {
  "use strict";

  function mark() {
    for (const equation of document.querySelectorAll('mjx-container[display="true"]')) {
      if (equation.scrollWidth > equation.clientWidth + 1) {
        equation.tabIndex = 0;
        equation.setAttribute("role", "group");
        equation.setAttribute("aria-label", "equation, scrolls sideways");
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) equation.removeAttribute(name);
      }
    }
  }

  addEventListener("load", () => {
    const typeset = window.MathJax && MathJax.startup && MathJax.startup.promise;
    Promise.resolve(typeset).then(mark);
  });
  addEventListener("resize", mark);
})();
