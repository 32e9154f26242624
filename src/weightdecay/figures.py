"""One matplotlib style and palette for every figure of the course.

Figures keep a light face in dark mode, as a card on the page: text on it stays readable whatever
the page's colors are.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

# Okabe and Ito's palette: told apart by color-blind readers.
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
)  # fmt: skip
GRAY = "#57606a"
WEIGHT_DECAY_COLORS = {0.0: ORANGE, 0.1: BLUE, 0.5: GREEN, 10.0: PURPLE, 30.0: AMBER}


def style() -> None:
    """Make matplotlib draw in the course's style from here on."""
    mpl.rcParams.update(
        {
            "figure.figsize": (7.2, 3.6),
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e4e8ec",
            "axes.titlesize": "medium",
            "axes.titlelocation": "left",
            "font.size": 10.5,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )
    palette = [BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY]
    mpl.rcParams["axes.prop_cycle"] = cycler(color=palette)


def seeds(
    ax: Axes, x: ArrayLike, runs: Sequence[ArrayLike], *, color: str, label: str, dash: str = "-"
) -> None:
    """Mean over seeds as a line, their whole range as a band. `runs` is (seeds, len(x))."""
    values = np.asarray(runs, dtype=float)
    ax.fill_between(x, values.min(0), values.max(0), color=color, alpha=0.18, linewidth=0)
    ax.plot(x, values.mean(0), color=color, linestyle=dash, label=label)
