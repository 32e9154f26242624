"""One color and one marker for a decay in all chapters of the part."""

from __future__ import annotations

from typing import TypedDict

from weightdecay.figures import AMBER, BLUE, GREEN, ORANGE, PURPLE, SKY, WEIGHT_DECAY_COLORS


class Style(TypedDict):
    """Arguments of matplotlib's ``plot``."""

    color: str
    marker: str
    label: str


_COLORS = {0.0: ORANGE, 0.1: BLUE, 0.3: SKY, 1.0: GREEN, 2.0: AMBER, 10.0: PURPLE}
assert all(_COLORS[d] == WEIGHT_DECAY_COLORS[d] for d in (0.0, 0.1, 10.0))  # as in the break lab
DECAY_STYLE: dict[float, Style] = {
    decay: {"color": color, "marker": marker, "label": f"λ = {decay:g}"}
    for (decay, color), marker in zip(_COLORS.items(), "osDP^v", strict=True)
}
