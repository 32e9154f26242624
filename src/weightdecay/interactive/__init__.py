"""Interactive figures that need no kernel: one description, three renderings.

A chapter describes a figure as a function from slider values to a `Chart`. From that come

- `Explorer.html`: every chart computed beforehand, drawn by `explorer.js` on the built page;
- `Explorer.widget`: ipywidgets sliders that call the function in a live notebook;
- `draw`: one chart on a matplotlib axes, for the static figure beside it.

`Explorer.show` chooses between the first two.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from plotly.offline import get_plotlyjs

from weightdecay import figures

# Set by the book's build: where its pages find the one shared copy of the scripts.
ASSETS_VARIABLE = "WEIGHTDECAY_ASSETS"
COLORS = {
    "blue": figures.BLUE,
    "orange": figures.ORANGE,
    "green": figures.GREEN,
    "purple": figures.PURPLE,
    "amber": figures.AMBER,
    "sky": figures.SKY,
    "gray": figures.GRAY,
    "white": "#ffffff",
    "black": "#000000",
}
DASHES = {"solid": "-", "dash": "--", "dot": ":"}
MOST_STATES = 500

_HERE = Path(__file__).parent
_environment = Environment(
    loader=PackageLoader("weightdecay", "interactive"), autoescape=True, undefined=StrictUndefined
)
# Its data is most of a page: no spaces, which would be a byte in seven.
_environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}


def asset(name: str) -> Markup:
    """A script or style of this package, trusted, for a page that carries its own."""
    return Markup((_HERE / name).read_text("utf-8"))


def plotly_script() -> Markup:
    """plotly.js itself, from the installed package."""
    return Markup(get_plotlyjs())


def rounded(values: ArrayLike, digits: int = 4) -> list[float | None]:
    """Numbers for a page: so many significant digits, None where there is no finite one."""
    flat = np.asarray(values, dtype=float).ravel().tolist()
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in flat]


@dataclass(frozen=True)
class Line:
    """One line of a chart; `markers` draws its points as well, with no line if `dash` is none."""

    x: ArrayLike
    y: ArrayLike
    label: str = ""
    color: str = "blue"
    dash: Literal["solid", "dash", "dot", "none"] = "solid"
    markers: bool = False
    width: float = 2.0


@dataclass(frozen=True)
class Field:
    """Numbers over a plane, as colors below a chart's lines."""

    x: ArrayLike
    """(m,) evenly spaced"""
    y: ArrayLike
    """(k,) likewise"""
    z: ArrayLike
    """(k, m); the page carries three digits"""
    label: str
    """Of the color scale."""
    zrange: tuple[float, float]
    """Ends of the color scale; what lies beyond takes the color of the end."""


@dataclass(frozen=True)
class Chart:
    """What is drawn for one setting of the sliders; `words` says in a sentence what it shows.

    On a field, markers have a dark edge, so that they are seen on every color.
    """

    lines: Sequence[Line]
    words: str
    xlabel: str = ""
    ylabel: str = ""
    xrange: tuple[float, float] | None = None
    yrange: tuple[float, float] | None = None
    xlog: bool = False
    ylog: bool = False
    square: bool = False  # one unit as long on x as on y
    field: Field | None = None


def draw(ax: Axes, chart: Chart, *, legend: bool = True) -> None:
    """Draw a chart on matplotlib axes; without legend, a field has no color scale beside it."""
    if chart.field:
        field, (low, high) = chart.field, chart.field.zrange
        xyz = (np.asarray(values, dtype=float) for values in (field.x, field.y, field.z))
        colors = ax.pcolormesh(*xyz, vmin=low, vmax=high, cmap="viridis", rasterized=True)
        ax.grid(False)
        if legend:
            ax.figure.colorbar(colors, ax=ax, label=field.label)
    for line in chart.lines:
        ax.plot(
            line.x,
            line.y,
            color=COLORS[line.color],
            linestyle=DASHES.get(line.dash, "none"),
            marker="o" if line.markers else None,
            markersize=4,
            markeredgecolor="black" if chart.field else None,
            linewidth=line.width,
            label=line.label or None,
        )
    ax.set(xlabel=chart.xlabel, ylabel=chart.ylabel)
    ax.set_xscale("log" if chart.xlog else "linear")
    ax.set_yscale("log" if chart.ylog else "linear")
    if chart.xrange:
        ax.set_xlim(chart.xrange)
    if chart.yrange:
        ax.set_ylim(chart.yrange)
    if chart.square:
        ax.set_aspect("equal", adjustable="box")
    if legend and any(line.label for line in chart.lines):
        ax.legend(frameon=bool(chart.field))


@dataclass(frozen=True)
class Explorer:
    """A figure with sliders.

    Args:
        name: Unique on its page; letters, digits and hyphens.
        title: What the figure is about.
        sliders: Label of each slider to the values it takes; the labels' order is the order of
            the function's arguments.
        chart: From one value of each slider to the chart.
        start: Index of the first value shown, for each slider.
        hint: What to try.
    """

    name: str
    title: str
    sliders: Mapping[str, Sequence[float]]
    chart: Callable[..., Chart]
    start: Sequence[int]
    hint: str

    def __post_init__(self) -> None:
        states = math.prod(len(values) for values in self.sliders.values())
        if states > MOST_STATES:
            raise ValueError(f"{self.name}: {states} states; a page carries {MOST_STATES} at most")
        if len(self.start) != len(self.sliders):
            raise ValueError(f"{self.name}: start has {len(self.start)} of {len(self.sliders)}")

    def at(self, *indices: int) -> Chart:
        """The chart for the given index of each slider; without any, for the start."""
        chosen = indices or tuple(self.start)
        pairs = zip(self.sliders.values(), chosen, strict=True)
        return self.chart(*(values[i] for values, i in pairs))

    def data(self) -> dict[str, Any]:
        """All charts as plain data, in the order in which the last slider moves fastest.

        A line whose x is None has that of the line before it.
        """
        ranges = [range(len(values)) for values in self.sliders.values()]
        charts = []
        for indices in itertools.product(*ranges):
            chart = asdict(self.at(*indices))
            before = None
            for line in chart["lines"]:
                x, line["y"] = rounded(line["x"]), rounded(line["y"])
                # Lines of a chart often share their x, which would be half of the page.
                line["x"], before = None if x == before else x, x
                line["color"] = COLORS[line["color"]]
            if field := chart["field"]:
                field["x"], field["y"] = rounded(field["x"]), rounded(field["y"])
                field["z"] = [rounded(row, 3) for row in field["z"]]
            charts.append(chart)
        return {"sizes": [len(r) for r in ranges], "charts": charts}

    def html(self) -> str:
        """The figure for a page without a kernel."""
        assets = os.environ.get(ASSETS_VARIABLE)
        return _environment.get_template("explorer.html").render(
            explorer=self,
            sliders=[
                (label, [f"{v:g}" for v in values], first)
                for (label, values), first in zip(self.sliders.items(), self.start, strict=True)
            ],
            first=self.at(),
            data=self.data(),
            assets=assets,
            css="" if assets else asset("interactive.css"),
            scripts=() if assets else (plotly_script(), asset("common.js"), asset("explorer.js")),
        )

    def widget(self) -> Any:
        """The figure in a live notebook: ipywidgets sliders over the function itself."""
        import ipywidgets
        import matplotlib.pyplot as plt

        def redraw(**values: float) -> None:
            chart = self.chart(*values.values())
            ax = plt.subplots()[1]
            draw(ax, chart)
            ax.set_title(chart.words, wrap=True, fontsize="small")
            plt.show()

        controls = {
            f"slider{i}": ipywidgets.SelectionSlider(
                options=[(f"{v:g}", v) for v in values],
                value=values[first],
                description=label,
                style={"description_width": "initial"},
            )
            for i, ((label, values), first) in enumerate(
                zip(self.sliders.items(), self.start, strict=True)
            )
        }
        return ipywidgets.interactive(redraw, **controls)

    def show(self) -> Any:
        """On the built site the page's own figure, in a live notebook the widget."""
        from IPython.display import HTML

        if os.environ.get(ASSETS_VARIABLE):
            return HTML(self.html())
        return self.widget()
