// Draws the equations of a page with KaTeX, and its diagrams with Mermaid. Only pages that have some load these.
// The class of diagrams is not Mermaid's own: for that, the theme's script would ask another host for Mermaid.
(() => {
  const vendor = new URL("vendor/", document.currentScript.src);

  function load(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(name, vendor).href;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${name} could not be loaded`));
      document.head.append(script);
    });
  }

  async function drawEquations() {
    const equations = document.querySelectorAll(".arithmatex");
    if (equations.length === 0) return;
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("katex/katex.min.css", vendor).href;
    document.head.append(style);
    await load("katex/katex.min.js");
    for (const equation of equations) {
      // pymdownx.arithmatex writes \(...\) within a line, and \[...\] for an equation of its own.
      const text = equation.textContent.trim();
      window.katex.render(text.slice(2, -2), equation, { displayMode: text.startsWith("\\["), throwOnError: false });
    }
  }

  const isDark = () => document.body.dataset.mdColorScheme === "slate";

  async function draw(diagrams) {
    window.mermaid.initialize({
      startOnLoad: false,
      theme: isDark() ? "dark" : "default",
      fontFamily: getComputedStyle(document.body).fontFamily,
    });
    for (const [number, { element, source }] of diagrams.entries()) {
      const { svg } = await window.mermaid.render(`drawing-${number}`, source);
      element.innerHTML = svg;
    }
  }

  async function drawDiagrams() {
    const diagrams = [...document.querySelectorAll("pre.diagram")].map((text) => {
      const element = document.createElement("div");
      element.className = "diagram";
      return { text, element, source: text.textContent };
    });
    if (diagrams.length === 0) return;
    await load("mermaid/mermaid.tiny.js");
    let dark = isDark();
    // One drawing at a time: Mermaid has one configuration for all of them.
    let last = draw(diagrams).then(() => diagrams.forEach(({ text, element }) => text.replaceWith(element)));
    new MutationObserver(() => {
      if (dark === isDark()) return;
      dark = isDark();
      last = last.then(() => draw(diagrams));
    }).observe(document.body, { attributes: true, attributeFilter: ["data-md-color-scheme"] });
    await last;
  }

  document.addEventListener("DOMContentLoaded", () => {
    drawEquations();
    drawDiagrams();
  });
})();
