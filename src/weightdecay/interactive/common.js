// What the dashboard and the explorers share: theme, colors, and loading Plotly once a page.
window.wd ??= (() => {
  "use strict";
  const script = document.currentScript;
  const redraws = [];

  const dark = () => {
    const theme = document.documentElement.dataset.theme;
    if (theme === "dark" || theme === "light") return theme === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const redraw = () => redraws.forEach((f) => f());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  // A line's color on the dark card, where some of the palette are too dim, and black is nothing.
  const LIGHTER = { "#0072b2": "#4a86e0", "#57606a": "#c9d1d9", "#000000": "#ffffff" };
  const lineColor = (color) => (dark() && LIGHTER[color.toLowerCase()]) || color;

  // On the book's pages the large script is fetched once, and only by pages that have figures.
  let loading = null;
  const plotly = () => {
    loading ??= window.Plotly ? Promise.resolve() : new Promise((resolve) => {
      const tag = document.createElement("script");
      tag.src = script.dataset.plotly;
      tag.onload = resolve;
      document.head.append(tag);
    });
    return loading;
  };

  // Colors and sizes of a chart that follow the page.
  const layout = (root) => {
    const style = getComputedStyle(root);
    const ink = style.getPropertyValue("--wd-ink").trim();
    const grid = style.getPropertyValue("--wd-grid").trim();
    const quiet = style.getPropertyValue("--wd-quiet").trim();
    return {
      axis: { gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true }, quiet,
      base: {
        margin: { l: 56, r: 12, t: 8, b: 44 }, font: { color: ink, size: 13, family: "inherit" },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hoverlabel: { namelength: -1 },
      },
    };
  };

  return {
    dark, plotly, layout, lineColor,
    onTheme: (f) => redraws.push(f),
    escape: (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`),
    options: { displaylogo: false, responsive: true, displayModeBar: false },
  };
})();
