// Draws the panels of every .wd-dashboard on the page with Plotly and reacts to its controls.
// The data lie in a JSON script inside each element; Python (panels.py) says what is drawn.
(() => {
  "use strict";
  // Okabe and Ito's palette, less its yellow: told apart by the color-blind, on light and dark.
  const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
  const X_TITLES = { step: "step", epoch: "epoch", dose: "dose, sum of η·λ" };
  const { dark, escape } = window.wd;
  const color = (i) => window.wd.lineColor(COLORS[i % COLORS.length]);

  // Exponential moving average, as training dashboards draw it; gaps stay gaps.
  const smooth = (values, weight) => {
    let mean = null;
    return values.map((v) => {
      if (v === null) return null;
      mean = mean === null ? v : weight * mean + (1 - weight) * v;
      return mean;
    });
  };

  // Plain numbers at 1, 2, 5 on a log axis, at powers of ten only where it spans many of them.
  const logTicks = (traces, lines) => {
    const values = [...traces.flatMap((t) => t.y), ...lines.map(([, y]) => y)].filter((v) => v > 0);
    const low = Math.floor(Math.log10(Math.min(...values))), high = Math.ceil(Math.log10(Math.max(...values)));
    const tickvals = [], ticktext = [];
    for (let power = low; power <= high; power += 1) {
      for (const digit of Math.max(...values) < 300 * Math.min(...values) ? [1, 2, 5] : [1]) {
        tickvals.push(digit * 10 ** power);
        ticktext.push(power < -3 || power > 3 ? `${digit === 1 ? "" : `${digit}·`}10<sup>${power}</sup>`
          : String(Number((digit * 10 ** power).toPrecision(1))));
      }
    }
    return { tickvals, ticktext };
  };

  const rgba = (hex, alpha) => {
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };

  class Dashboard {
    constructor(root) {
      this.root = root;
      this.page = JSON.parse(root.querySelector("script[type='application/json']").textContent);
      this.controls = root.querySelector(".wd-controls");
      this.bySetting = this.page.settings.map((_, s) =>
        this.page.runs.flatMap((run, i) => (run.setting === s ? [i] : [])));
      this.figures = this.page.panels.map((panel) => {
        const element = root.querySelector(`[data-panel="${panel.id}"]`);
        return { panel, chart: element.querySelector(".wd-chart"),
          menu: element.querySelector(".wd-variant") };
      });
      this.controls.addEventListener("input", () => this.draw());
      this.controls.addEventListener("submit", (event) => event.preventDefault());
      for (const figure of this.figures) {
        figure.menu?.addEventListener("input", () => this.drawOne(figure));
      }
      this.draw();
    }

    get state() {
      const form = this.controls.elements;
      const runs = form.run.length === undefined ? [form.run] : [...form.run];
      return {
        shown: new Set(runs.filter((box) => box.checked).map((box) => Number(box.value))),
        x: form.x.value, log: form.log.checked, smooth: Number(form.smooth.value),
      };
    }

    draw() {
      const { x, shown } = this.state;
      for (const swatch of this.root.querySelectorAll(".wd-swatch")) {
        swatch.style.background = color(Number(swatch.dataset.setting));
      }
      const still = this.page.runs.filter((run, i) =>
        shown.has(i) && run.axes.eval.dose.every((d) => d === 0));
      this.controls.querySelector(".wd-note").textContent = x === "dose" && still.length
        ? `Without decay the dose stays 0: ${still.map((r) => r.name).join(", ")} is drawn at 0.` : "";
      for (const figure of this.figures) this.drawOne(figure);
    }

    drawOne(figure) {
      const { panel, chart, menu } = figure;
      const state = this.state;
      const series = panel.variants[menu ? menu.value : Object.keys(panel.variants)[0]]
        .filter((s) => state.shown.has(s.run));
      const traces = panel.kind === "bars" ? this.bars(series) : this.lines(panel, series, state);
      Plotly.react(chart, traces, this.layout(panel, state, traces), window.wd.options);
      if (!figure.listening) {
        figure.listening = true;
        chart.on("plotly_hover", (event) => this.hover(figure, event.xvals?.[0]));
        chart.on("plotly_unhover", () => this.hover(figure, null));
      }
    }

    // The same x position is hovered in every other line chart.
    hover(origin, x) {
      if (origin.panel.kind === "bars") return;
      for (const other of this.figures) {
        if (other === origin || other.panel.kind === "bars" || !other.chart.data?.length) continue;
        if (x === null || x === undefined) Plotly.Fx.unhover(other.chart);
        else Plotly.Fx.hover(other.chart, { xval: x }, "xy");
      }
    }

    lines(panel, series, state) {
      const traces = [];
      const groups = new Map(); // one line style of one setting, over its seeds
      for (const s of series) {
        const key = `${this.page.runs[s.run].setting}|${s.label}`;
        groups.set(key, [...(groups.get(key) ?? []), s]);
      }
      for (const group of groups.values()) {
        const setting = this.page.runs[group[0].run].setting;
        const hue = color(setting);
        const many = this.bySetting[setting].length > 1;
        const drawn = group.map((s) => ({
          name: this.page.runs[s.run].name, dash: s.dash, label: s.label,
          x: this.page.runs[s.run].axes[s.x][state.x], raw: s.y, y: smooth(s.y, state.smooth),
        }));
        if (many && drawn.length > 1) traces.push(...this.band(drawn, hue, setting));
        else {
          for (const d of drawn) {
            if (state.smooth > 0) traces.push(this.line(d, d.raw, hue, { opacity: 0.3, width: 1, silent: true }));
            traces.push(this.line(d, d.y, hue, {}));
          }
        }
      }
      return traces;
    }

    line(d, y, hue, { opacity = 1, width = 2, silent = false, name = d.name }) {
      const label = escape(d.label ? `${name}, ${d.label}` : name);
      return { type: "scatter", mode: "lines", x: d.x, y, name: label, opacity, showlegend: false,
        line: { color: hue, width, dash: d.dash }, hoverinfo: silent ? "skip" : undefined,
        hovertemplate: silent ? undefined : `%{y:.4~g}<extra>${label}</extra>` };
    }

    together(setting, seeds) {
      return `${this.page.settings[setting]} (${seeds} seeds)`;
    }

    // Several seeds: their range as a band, each seed thin, their mean (alone smoothed) on top.
    band(drawn, hue, setting) {
      const length = Math.min(...drawn.map((d) => d.y.length));
      const x = drawn[0].x.slice(0, length);
      const of = (f, key = "raw") => x.map((_, i) => {
        const column = drawn.map((d) => d[key][i]).filter((v) => v !== null);
        return column.length ? f(column) : null;
      });
      const edge = { type: "scatter", mode: "lines", x, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
      return [
        { ...edge, y: of((c) => Math.min(...c)) },
        { ...edge, y: of((c) => Math.max(...c)), fill: "tonexty", fillcolor: rgba(hue, 0.15) },
        ...drawn.map((d) => this.line(d, d.raw, hue, { opacity: 0.35, width: 0.8, silent: true })),
        this.line({ ...drawn[0], x }, of((c) => c.reduce((a, b) => a + b) / c.length, "y"), hue,
          { name: `mean of ${this.together(setting, drawn.length)}` }),
      ];
    }

    // One bar per setting and slice; with several seeds the mean, and every seed as a point.
    bars(series) {
      const traces = [];
      for (const [setting, members] of this.bySetting.entries()) {
        const group = series.filter((s) => members.includes(s.run));
        if (!group.length) continue;
        const slices = JSON.parse(group[0].x);
        const mean = slices.map((_, i) => {
          const values = group.map((s) => s.y[i]).filter((v) => v !== null);
          return values.length ? values.reduce((a, b) => a + b) / values.length : null;
        });
        const name = escape(group.length > 1 ? this.together(setting, group.length)
          : this.page.runs[group[0].run].name);
        traces.push({ type: "bar", x: slices, y: mean, name, marker: { color: color(setting) },
          showlegend: false, offsetgroup: String(setting),
          hovertemplate: `%{x}: %{y:.1%}<extra>${name}</extra>` });
        if (group.length < 2) continue;
        for (const s of group) {
          traces.push({ type: "box", x: slices, y: s.y, boxpoints: "all", pointpos: 0,
            fillcolor: "rgba(0,0,0,0)", line: { color: "rgba(0,0,0,0)" }, offsetgroup: String(setting),
            marker: { size: 4, color: dark() ? "#ffffff" : "#000000" }, showlegend: false, hoverinfo: "skip" });
        }
      }
      return traces;
    }

    layout(panel, state, traces) {
      const { axis, base, quiet } = window.wd.layout(this.root);
      const bars = panel.kind === "bars";
      const log = !bars && (state.log || panel.log) && panel.id !== "gap";
      const lines = bars ? [] : panel.lines;
      return {
        ...base, height: 300, hovermode: bars ? "closest" : "x",
        barmode: "group", boxmode: "group", uirevision: `${state.x}|${log}`,
        xaxis: { ...axis, title: { text: bars ? "" : X_TITLES[state.x] },
          showspikes: !bars, spikemode: "across", spikethickness: 1, spikecolor: quiet },
        yaxis: { ...axis, title: { text: escape(panel.unit) }, type: log ? "log" : "linear",
          tickformat: bars || panel.id === "accuracy" ? ".0%" : undefined, exponentformat: "power",
          range: bars ? [0, 1.02] : undefined, ...(log && traces.length ? logTicks(traces, lines) : {}) },
        shapes: lines.map(([, y]) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y,
          line: { color: quiet, width: 1, dash: "dot" } })),
        annotations: lines.map(([label, y]) => ({ text: escape(label), xref: "paper", x: 1, xanchor: "right",
          y: log ? Math.log10(y) : y, yanchor: "bottom", showarrow: false, font: { size: 11, color: quiet } })),
      };
    }
  }

  for (const root of document.querySelectorAll(".wd-dashboard:not([data-ready])")) {
    root.dataset.ready = "true";
    window.wd.plotly().then(() => {
      const dashboard = new Dashboard(root);
      window.wd.onTheme(() => dashboard.draw());
    });
  }

  const button = document.getElementById("wd-theme");
  if (button) {
    const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
    button.addEventListener("click", () => {
      document.documentElement.dataset.theme = dark() ? "light" : "dark";
    });
    window.wd.onTheme(name);
    name();
  }
})();
