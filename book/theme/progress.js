// What a reader has done, in the browser's own storage: {"theory/dose": "2026-01-31", …}. Chapters
// go by their file, exercises by the name of their folder. Nothing leaves the browser but the file
// that the reader saves. Without this script every page reads as it stands.
(() => {
  const KEY = "weight-decay-measured";
  const FORMAT = "weight-decay-measured progress";
  const NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\/[a-z0-9]+(-[a-z0-9]+)*)?$/;
  const DAY = /^\d{4}-\d{2}-\d{2}$/;
  const LARGEST = 100_000; // bytes of a file, names in it
  let kept = true;
  let memory = {};

  const element = (name, text, properties = {}) =>
    Object.assign(document.createElement(name), { textContent: text }, properties);

  // The entries that are well formed: what is stored may have been changed by anybody.
  const clean = (value) =>
    Object.fromEntries(
      Object.entries(value ?? {}).filter(
        ([name, day]) =>
          name.length <= 80 && NAME.test(name) && typeof day === "string" && DAY.test(day),
      ),
    );

  function read() {
    if (!kept) return memory;
    try {
      return clean(JSON.parse(localStorage.getItem(KEY)));
    } catch {
      return memory;
    }
  }

  function write(done) {
    memory = done;
    try {
      localStorage.setItem(KEY, JSON.stringify(done));
    } catch {
      kept = false; // a browser that stores nothing for this page
    }
    show();
  }

  function toggle(name) {
    const done = read();
    if (done[name]) delete done[name];
    else done[name] = new Date().toISOString().slice(0, 10);
    write(done);
  }

  // A file of ours, or one line on what is wrong with it.
  function parse(text) {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Error("it is not JSON");
    }
    if (value?.format !== FORMAT) throw new Error(`its "format" is not "${FORMAT}"`);
    if (typeof value.done !== "object" || value.done === null || Array.isArray(value.done))
      throw new Error('its "done" is not an object of names and days');
    const good = clean(value.done);
    const bad = Object.keys(value.done).find((name) => !Object.hasOwn(good, name));
    if (bad !== undefined)
      throw new Error(
        `"done": ${JSON.stringify(bad.slice(0, 40))}: expected a chapter or an exercise, ` +
          "and a day such as 2026-01-31",
      );
    return good;
  }

  // The button of a chapter or an exercise; its words say what it is, its state whether it is done.
  function button(name, words) {
    const made = element("button", words, { type: "button", className: "progress-toggle" });
    made.dataset.name = name;
    made.addEventListener("click", () => toggle(name));
    return made;
  }

  // The name of what a link leads to.
  function target(link) {
    const [path, fragment] = link.href.split("#");
    if (fragment?.startsWith("exercise-")) return fragment.slice("exercise-".length);
    return fragment ? "" : path.replace(/\.html$/, "").split("/").slice(-2).join("/");
  }

  function show() {
    const done = read();
    for (const made of document.querySelectorAll(".progress-toggle"))
      made.setAttribute("aria-pressed", String(Object.hasOwn(done, made.dataset.name)));
    const links = ".bd-sidebar-primary nav.bd-links a, .bd-article :is(li, td) a.reference.internal";
    for (const link of document.querySelectorAll(links)) {
      link.querySelector(".progress-done")?.remove();
      if (Object.hasOwn(done, target(link)))
        link.append(element("span", "done", { className: "progress-done" }));
    }
    const panel = document.querySelector(".progress-panel");
    if (!panel) return;
    const { chapters, exercises } = JSON.parse(panel.dataset.all);
    const worked = Object.keys(exercises).filter((name) => Object.hasOwn(done, name));
    const points = (names) => names.reduce((sum, name) => sum + exercises[name], 0);
    panel.querySelector(".progress-count").textContent =
      `${chapters.filter((name) => Object.hasOwn(done, name)).length} of ${chapters.length} chapters read, ` +
      `${worked.length} of ${Object.keys(exercises).length} exercises done, ` +
      `${points(worked)} of ${points(Object.keys(exercises))} points.` +
      (kept ? "" : " This browser stores nothing for this page: save a file before you leave.");
  }

  function save() {
    const text = JSON.stringify({ format: FORMAT, done: read() }, null, 2);
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = element("a", "", { href: url, download: "weight-decay-progress.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  function workPanel(panel) {
    const said = panel.querySelector(".progress-said");
    const input = panel.querySelector("input");
    panel.hidden = false;
    panel.querySelector("[data-do=export]").addEventListener("click", save);
    panel.querySelector("[data-do=forget]").addEventListener("click", () => {
      if (!confirm("Forget every mark in this browser?")) return;
      write({});
      said.textContent = "Nothing is marked any more.";
    });
    input.addEventListener("change", async () => {
      const file = input.files[0];
      if (!file) return;
      try {
        if (file.size > LARGEST) throw new Error(`it is larger than ${LARGEST / 1000} kB`);
        const more = parse(await file.text());
        write({ ...read(), ...more });
        const number = Object.keys(more).length;
        said.textContent = `${file.name}: ${number} ${number === 1 ? "mark" : "marks"} added.`;
      } catch (error) {
        said.textContent = `${file.name} is not loaded: ${error.message}.`;
      }
      input.value = "";
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".progress-mark"))
      place.append(button(place.dataset.chapter, "Chapter read"));
    for (const card of document.querySelectorAll(".exercise-card[id^=exercise-]"))
      card
        .querySelector(".admonition-title")
        .after(button(card.id.slice("exercise-".length), "Exercise done"));
    document.querySelectorAll(".progress-panel").forEach(workPanel);
    addEventListener("storage", show); // another window of the same reader
    show();
  });
})();
