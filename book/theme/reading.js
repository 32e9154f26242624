// What styles cannot do. A wide table or figure scrolls by keyboard, too. A printed page is light,
// whatever the screen is, and has the answers that stand in closed dropdowns.
(() => {
  "use strict";

  const WIDE = 600; // pixels of a picture whose words would be too small on a phone

  const scrollers = () => {
    for (const image of document.querySelectorAll(".bd-article figure > img")) {
      image.classList.toggle("wide", image.naturalWidth > WIDE);
      const figure = image.parentElement;
      if (figure.scrollWidth > figure.clientWidth) figure.tabIndex = 0;
      else figure.removeAttribute("tabindex");
    }
    for (const box of document.querySelectorAll(".bd-article .pst-scrollable-table-container")) {
      const wide = box.scrollWidth > box.clientWidth;
      box.tabIndex = wide ? 0 : -1;
      if (wide) {
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", "Table that scrolls sideways");
      }
    }
  };
  // Wider text or a narrower window makes a table scroll that did not before.
  const article = document.querySelector(".bd-article"); // the page of a search has none
  if (article) new ResizeObserver(scrollers).observe(article);

  const root = document.documentElement;
  let screen = null;
  addEventListener("beforeprint", () => {
    if (screen) return; // some browsers say it twice
    screen = { theme: root.dataset.theme, closed: document.querySelectorAll("details.sd-dropdown:not([open])") };
    root.dataset.theme = "light";
    for (const dropdown of screen.closed) dropdown.open = true;
  });
  addEventListener("afterprint", () => {
    if (!screen) return;
    root.dataset.theme = screen.theme;
    for (const dropdown of screen.closed) dropdown.open = false;
    screen = null;
  });
})();
