// Every .wd-calculator: the dose of the run described by its fields. calculator.py has the same sums.
(() => {
  "use strict";

  const shares = {
    constant: () => 1,
    cosine: (t, run) => {
      const x = (t - run.warmup + 1) / Math.max(1, run.steps - run.warmup);
      return run.final + (1 - run.final) * (1 + Math.cos(Math.PI * x)) / 2;
    },
    wsd: (t, run) => {
      const left = run.steps - 1 - t;
      const cooldown = Math.round(run.cooldown * run.steps);
      return left >= cooldown ? 1 : run.final + (1 - run.final) * left / cooldown;
    },
  };

  // Learning rate of each step over the peak, added up.
  const steps = (run) => {
    let sum = 0;
    for (let t = 0; t < run.steps; t += 1) {
      sum += run.schedule !== "constant" && t < run.warmup ? (t + 1) / run.warmup : shares[run.schedule](t, run);
    }
    return sum;
  };

  const answers = (run) => {
    const sum = run.peak * steps(run);
    const dose = sum * run.decay;
    const tau = 1 / (run.peak * run.decay);
    return { dose, left: Math.exp(-dose), tau, share: tau / run.steps, needed: run.wanted / sum };
  };

  const number = (value) => {
    if (value === Infinity) return "without end";
    if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return value.toExponential(2);
    return String(Number(value.toPrecision(3)));
  };
  const shown = { left: (v) => `${number(100 * v)}%`, share: (v) => `${number(100 * v)}% of the run`,
    tau: (v) => v === Infinity ? "without end" : `${number(v)} steps` };

  const problem = (form) => {
    const field = [...form.elements].find((e) => !e.checkValidity());
    if (field) return `${field.parentElement.querySelector("span").textContent}: ${field.validationMessage}`;
    const [steps, warmup, cooldown] = ["steps", "warmup", "cooldown"].map((name) => Number(form.elements[name].value));
    const rest = { constant: steps, cosine: steps - warmup - 1, wsd: steps - warmup - Math.round(cooldown * steps) };
    return rest[form.elements.schedule.value] < 0 ? "Warmup and cooldown do not fit into the run." : "";
  };

  const start = (root) => {
    const form = root.querySelector("form");
    const landmarks = root.querySelector(".wd-landmarks");
    const own = document.createElement("li");
    own.className = "wd-own";
    const draw = () => {
      const wrong = problem(form);
      root.querySelector(".wd-problem").textContent = wrong;
      if (wrong) return;
      const run = Object.fromEntries([...form.elements].map((e) => [e.name, e.type === "number" ? Number(e.value) : e.value]));
      const found = answers({ ...run, steps: Math.round(run.steps), warmup: Math.round(run.warmup) });
      for (const cell of root.querySelectorAll("[data-answer]")) {
        const key = cell.dataset.answer;
        cell.textContent = (shown[key] ?? number)(found[key]);
      }
      if (!landmarks) return;
      own.innerHTML = "<b></b> your run";
      own.firstChild.textContent = number(found.dose);
      const after = [...landmarks.children].find((li) => li !== own && Number(li.dataset.dose) > found.dose);
      landmarks.insertBefore(own, after ?? null);
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", draw);
    draw();
  };

  for (const root of document.querySelectorAll(".wd-calculator:not([data-ready])")) {
    root.dataset.ready = "true";
    start(root);
  }
})();
