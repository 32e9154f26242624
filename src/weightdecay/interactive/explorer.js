// Draws every .wd-explorer: the chart for where its sliders stand, from charts computed beforehand.
(() => {
  "use strict";
  const { escape } = window.wd;

  class Explorer {
    constructor(root) {
      this.root = root;
      this.data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
      this.inputs = [...root.querySelectorAll("input[type='range']")];
      this.target = root.querySelector(".wd-chart");
      root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
      for (const input of this.inputs) input.addEventListener("input", () => this.draw());
      window.wd.onTheme(() => this.draw());
      this.draw();
    }

    get chart() {
      const index = this.inputs.reduce((sum, input, i) => sum * this.data.sizes[i] + Number(input.value), 0);
      return this.data.charts[index];
    }

    draw() {
      const chart = this.chart;
      for (const input of this.inputs) {
        const value = JSON.parse(input.dataset.values)[Number(input.value)];
        input.setAttribute("aria-valuetext", value);
        input.nextElementSibling.textContent = value;
      }
      this.root.querySelector(".wd-words").textContent = chart.words;
      this.target.setAttribute("aria-label", chart.words);
      let x = null; // null in the data means: as the line before
      const hue = (line) => (chart.field ? line.color : window.wd.lineColor(line.color));
      const traces = chart.lines.map((line) => ({
        type: "scatter", x: (x = line.x ?? x), y: line.y, name: escape(line.label), showlegend: Boolean(line.label),
        mode: [line.dash === "none" ? "" : "lines", line.markers ? "markers" : ""].filter(Boolean).join("+"),
        line: { color: hue(line), dash: line.dash === "none" ? "solid" : line.dash, width: line.width },
        marker: { color: hue(line), size: 6, line: { color: "#000000", width: chart.field ? 1 : 0 } }, hovertemplate: `%{x:.4~g}, %{y:.4~g}<extra>${escape(line.label)}</extra>`,
      }));
      const { axis, base } = window.wd.layout(this.root);
      const { field } = chart;
      if (field) traces.unshift({
        type: "heatmap", x: field.x, y: field.y, z: field.z, zmin: field.zrange[0], zmax: field.zrange[1], colorscale: "Viridis",
        colorbar: { orientation: "h", y: 1.02, yanchor: "bottom", ypad: 0, thickness: 14, title: { text: escape(field.label), side: "top" } },
        hovertemplate: "%{x:.2f}, %{y:.2f}: %{z:.2f}<extra></extra>",
      });
      const side = (label, log, range) => ({ ...axis, title: { text: escape(label) }, type: log ? "log" : "linear",
        exponentformat: "power", range: range && log ? range.map(Math.log10) : range ?? undefined });
      Plotly.react(this.target, traces, {
        ...base, height: this.target.clientHeight,
        legend: { orientation: "h", x: 0, ...(field ? { y: -0.15, yanchor: "top" } : { y: 1.02, yanchor: "bottom" }) },
        xaxis: { ...side(chart.xlabel, chart.xlog, chart.xrange), ...(field ? { constrain: "domain" } : {}) },
        yaxis: { ...side(chart.ylabel, chart.ylog, chart.yrange),
          ...(chart.square ? { scaleanchor: "x", constrain: "domain" } : {}) },
      }, window.wd.options);
    }
  }

  for (const root of document.querySelectorAll(".wd-explorer:not([data-ready])")) {
    root.dataset.ready = "true";
    window.wd.plotly().then(() => new Explorer(root));
  }
})();
