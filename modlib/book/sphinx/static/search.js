// The search: chapters before names of the interface, the chapter that is about a word first, and excerpts that
// need no server. Sphinx's own script does the rest; it begins when the page has been read, after this one.
(() => {
  // Below a word in a text, which has 5.
  Object.assign(Scorer, { objNameMatch: 4, objPartialMatch: 2, objPrio: { 0: 0, 1: 0, 2: -1 } });
  // Entries of the glossary come after the chapter that is about a word, and chapters before other pages.
  const [FIRST, SECOND] = [1000, 100];
  const plain = (text) => text.toLowerCase().trim().split(/\s+/).join(" ");
  const asked = plain(new URLSearchParams(location.search).get("q") ?? "");

  const inTexts = Search.performTermsSearch;
  Search.performTermsSearch = (...terms) => {
    const { docnames, titles, filenames } = Search._index;
    const about = docnames.flatMap((name, i) =>
      (modlibKeywords[name] ?? []).some((word) => plain(word) === asked)
        ? [[name, titles[i], "", null, FIRST, filenames[i]]]
        : []
    );
    return [...about, ...inTexts(...terms)];
  };
  Scorer.score = ([page, , anchor, , score]) => {
    if (score < FIRST && anchor.startsWith("#term-")) return SECOND;
    return page in modlibKeywords ? score + 1 : score;
  };

  // --- excerpts: each page's text lies in a script of its own, which tells it when it is loaded
  const BEFORE = 80; // characters before the word that was asked for
  const LENGTH = 240;
  const texts = {}; // promises, by the name of the page
  const tell = {};
  const words = [asked, ...asked.split(" ")].filter((word) => word);

  window.modlibExcerpts = (page, text) => tell[page]?.(text);
  const textOf = (page) =>
    (texts[page] ??= new Promise((done) => {
      tell[page] = done;
      const script = document.createElement("script");
      script.src = `${document.documentElement.dataset.content_root}_static/modlib/excerpts/${page}.js`;
      document.head.append(script);
    }));
  const excerpt = (text) => {
    const lower = text.toLowerCase();
    const word = words.find((one) => lower.includes(one));
    const at = word ? lower.indexOf(word) : 0;
    const start = at > BEFORE ? text.indexOf(" ", at - BEFORE) + 1 : 0;
    const line = document.createElement("p");
    line.className = "context";
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + (word ?? "").length);
    line.append(start ? "… " : "", text.slice(start, at), mark, text.slice(at + mark.textContent.length, start + LENGTH));
    line.append(start + LENGTH < text.length ? " …" : "");
    return line;
  };
  const listed = (item) => {
    const link = item.querySelector("a");
    if (item.tagName !== "LI" || !link || item.querySelector("span")) return; // a name has a line of its own
    const page = link.getAttribute("href").split("#")[0].replace(/\.html$/, "");
    textOf(page).then((text) => item.append(excerpt(text)));
  };
  const seen = (changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((one) => one.tagName && listed(one)));
  new MutationObserver(seen).observe(document.getElementById("search-results"), { childList: true, subtree: true });
})();
