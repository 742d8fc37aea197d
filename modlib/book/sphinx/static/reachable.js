// What scrolls must be reachable from the keyboard, and what does not must not be a tab stop: modlibReachable tells an
// element of either, by the label that it has where it scrolls. Wide equations are told of it here.
(function () {
  "use strict";

  window.modlibReachable = function (element, label) {
    if (element.scrollWidth > element.clientWidth + 1) {
      element.tabIndex = 0;
      element.setAttribute("role", "group");
      element.setAttribute("aria-label", label);
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) element.removeAttribute(name);
    }
  };

  function equations() {
    const all = document.querySelectorAll('mjx-container[display="true"]');
    for (const one of all) modlibReachable(one, "equation, scrolls sideways");
  }

  addEventListener("load", () => {
    const typeset = window.MathJax && MathJax.startup && MathJax.startup.promise;
    Promise.resolve(typeset).then(equations);
  });
  addEventListener("resize", equations);
})();
