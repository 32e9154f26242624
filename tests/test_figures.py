"""Colors of the course's figures: told apart by readers with each kind of color blindness."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from weightdecay import figures, interactive

ROOT = Path(__file__).resolve().parent.parent
Array = npt.NDArray[np.float64]
PALETTE = {
    name: getattr(figures, name)
    for name in ("BLUE", "ORANGE", "GREEN", "PURPLE", "AMBER", "SKY", "GRAY")
}
# What scripts draw instead on a dark page.
SCRIPT = (Path(interactive.__file__).parent / "common.js").read_text("utf-8")
LIGHTER = dict(re.findall(r'"(#\w{6})": "(#\w{6})"', SCRIPT.split("LIGHTER = {")[1].split("}")[0]))
# What is seen, on linear sRGB, at full severity: Machado, Oliveira & Fernandes 2009, table 1.
SEEN: dict[str, npt.ArrayLike] = {
    "by most": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(  # linear sRGB, white point D65
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
APART = 15  # distances in CIELAB; from 2 to 3 on, two patches side by side can be told apart


def lab(color: str, seen: npt.ArrayLike) -> Array:
    """CIELAB coordinates of a color as it is seen."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = TO_XYZ @ np.clip(np.asarray(seen) @ linear, 0, 1) / TO_XYZ.sum(1)
    x, y, z = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colors: dict[str, str], seen: npt.ArrayLike) -> tuple[float, str, str]:
    """The two that are hardest to tell apart, and how far apart they are."""
    at = {name: lab(color, seen) for name, color in colors.items()}
    pairs = itertools.combinations(at, 2)
    return min((float(np.linalg.norm(at[a] - at[b])), a, b) for a, b in pairs)


@pytest.mark.parametrize("kind", SEEN)
def test_no_two_colors_look_alike(kind: str) -> None:
    assert nearest(PALETTE, SEEN[kind])[0] > APART
    assert (
        nearest({n: LIGHTER.get(c.lower(), c) for n, c in PALETTE.items()}, SEEN[kind])[0] > APART
    )


def test_what_is_lighter_in_the_dark_is_a_color_of_the_course() -> None:
    assert {*LIGHTER} <= {c.lower() for c in interactive.COLORS.values()}


def test_red_and_green_would_be_found() -> None:
    assert nearest({"red": "#a05050", "green": "#6b7a3a"}, SEEN["by most"])[0] > APART
    assert nearest({"red": "#a05050", "green": "#6b7a3a"}, SEEN["deuteranopia"])[0] < APART


def test_explorers_have_the_same_colors() -> None:
    assert {*interactive.COLORS.values()} == {*PALETTE.values(), "#ffffff", "#000000"}


@pytest.mark.parametrize(
    "chapter", sorted((ROOT / "book").rglob("*.md")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_chapters_draw_with_these_and_with_maps_of_even_lightness(chapter: Path) -> None:
    """A color is a name from `figures`, or has no hue; a color map reads in gray, too."""
    text = chapter.read_text("utf-8")
    cells = "\n".join(re.findall(r"```\{code-cell\} ipython3\n(.*?)\n```", text, re.S))
    named = set(re.findall(r"\b(?:color|facecolor|edgecolor|mfc|mec)=\"([^\"]+)\"", cells))
    assert named <= {"black", "white", "gray", "none"}
    assert not re.findall(r"\"#[0-9a-fA-F]{3,8}\"|\"tab:|\bplt\.cm\.|colormaps\[", cells)
    assert set(re.findall(r"cmap=\"([^\"]+)\"", cells)) <= {"cividis", "PuOr"}
