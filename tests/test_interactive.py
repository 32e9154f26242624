"""Interactive figures: the data of the page, the static twin, the widget."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pytest

from weightdecay.interactive import ASSETS_VARIABLE, Chart, Explorer, Field, Line, draw

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def line(slope: float, height: float) -> Chart:
    x = np.array([0.0, 1.0, 2.0])
    label = "<script>alert(1)</script>"
    return Chart([Line(x, height + slope * x, label)], f"Slope {slope:g}.", "x", "y")


def explorer(start: tuple[int, ...] = (1, 0)) -> Explorer:
    sliders = {"slope": [1.0, 2.0, 3.0], "height": [0.0, 10.0]}
    return Explorer("line", "A line", sliders, line, start, "Try the slope.")


def page_data(html: str) -> dict[str, list[object]]:
    found = re.search(r'<script type="application/json">(.*?)</script>', html, re.S)
    assert found
    data: dict[str, list[object]] = json.loads(found.group(1))
    return data


def test_page_carries_every_state_with_the_last_slider_moving_fastest() -> None:
    data = explorer().data()
    assert data["sizes"] == [3, 2]
    ends = [chart["lines"][0]["y"][-1] for chart in data["charts"]]
    assert ends == [2, 12, 4, 14, 6, 16]


def test_page_is_self_contained_without_shared_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ASSETS_VARIABLE, raising=False)
    html = explorer().html()
    assert "Plotly" in html
    assert 'src="' not in html.split("</figure>")[0]


def test_page_refers_to_the_shared_scripts_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASSETS_VARIABLE, "../_static")
    html = explorer().html()
    assert len(html) < 20_000
    for path in ("interactive/common.js", "interactive/explorer.js", "plotly.min.js"):
        assert f'"../_static/{path}"' in html


def test_text_from_a_chart_is_escaped_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASSETS_VARIABLE, "../_static")
    html = explorer().html()
    assert "<script>alert" not in html
    assert "<script>alert" in json.dumps(page_data(html))


def test_x_is_written_once_for_neighboring_lines_that_share_it() -> None:
    def chart(_: float) -> Chart:
        return Chart([Line(x, [1, 2], "") for x in ([0, 1], [0, 1], [2, 3], [0, 1])], "")

    (found,) = Explorer("shared", "", {"a": [1.0]}, chart, (0,), "").data()["charts"]
    assert [line["x"] for line in found["lines"]] == [[0, 1], None, [2, 3], [0, 1]]


def test_numbers_that_are_not_finite_become_gaps() -> None:
    def broken(_: float) -> Chart:
        return Chart([Line([0, 1, 2], [1.0, np.nan, np.inf])], "")

    chart = Explorer("gaps", "", {"a": [1.0]}, broken, (0,), "").data()["charts"][0]
    assert chart["lines"][0]["y"] == [1.0, None, None]


def test_static_twin_draws_the_same_numbers() -> None:
    figure, ax = plt.subplots()
    draw(ax, explorer().at(2, 1))
    assert ax.lines[0].get_ydata() == pytest.approx([10, 13, 16])
    plt.close(figure)


def test_start_is_what_is_shown_first() -> None:
    assert explorer((2, 1)).at().words == "Slope 3."


def test_widget_offers_the_values_of_each_slider() -> None:
    widget = explorer().widget()
    slope, height = widget.children[:2]
    assert slope.description == "slope"
    assert [value for _, value in slope.options] == [1.0, 2.0, 3.0]
    assert (slope.value, height.value) == (2.0, 0.0)


def test_too_many_states_and_a_wrong_start_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 states"):
        Explorer("big", "", {"a": list(range(1000))}, line, (0,), "")
    with pytest.raises(ValueError, match="start has 1 of 2"):
        explorer((0,))


# ---- a field of colors ---------------------------------------------------------------------

SLOPES = [0.0, 1.0, -1.0]
X, Y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])


def plane(slope: float) -> Chart:
    """Values from -4 to 4.5, a few of them beyond the ends of the scale."""
    z = slope * (X + 0.5 * Y[:, None])
    point = Line([1.0], [1.0], "a point", "white", "none", markers=True)
    words = f"Slope {slope:g}, from {z.min():g} to {z.max():g}."
    return Chart([point], words, "first", "second", field=Field(X, Y, z, "height", (-3.0, 3.0)))


def planes() -> Explorer:
    return Explorer("plane", "A plane", {"slope": SLOPES}, plane, (1,), "Try the slope.")


def test_page_carries_a_field_row_by_row_with_three_digits_and_gaps() -> None:
    def thirds(_: float) -> Chart:
        z = np.array([[1 / 3, np.nan], [-200 / 3, 0.0]])
        return Chart([], "", field=Field([0.0, 1.0], [5.0, 6.0], z, "", (0.0, 1.0)))

    field = Explorer("thirds", "", {"a": [1.0]}, thirds, (0,), "").data()["charts"][0]["field"]
    assert field["z"] == [[0.333, None], [-66.7, 0.0]]
    assert (field["x"], field["y"]) == ([0.0, 1.0], [5.0, 6.0])
    assert explorer().data()["charts"][0]["field"] is None


@pytest.mark.parametrize("legend", [True, False])
def test_static_twin_of_a_field_has_its_numbers_and_scale(legend: bool) -> None:
    figure, ax = plt.subplots()
    draw(ax, planes().at(2), legend=legend)
    (mesh,) = ax.collections
    assert np.asarray(mesh.get_array()) == pytest.approx(-(X + 0.5 * Y[:, None]))
    assert mesh.get_clim() == (-3.0, 3.0)
    assert ax.lines[0].get_zorder() > mesh.get_zorder()
    assert [a.get_ylabel() for a in figure.axes[1:]] == (["height"] if legend else [])
    plt.close(figure)


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The planes on a telephone."""
    path = tmp_path / "page.html"
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>t</title>" + planes().html()
    )
    page = browser.new_page(viewport={"width": 390, "height": 900}, color_scheme=request.param)
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text))
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(path.as_uri())
    page.locator(".heatmaplayer image").wait_for(state="attached")
    yield page
    page.close()
    assert wrong == []


# Red, green, blue at the center of each cell of the picture, rows from the bottom.
PIXELS = """async (image, [rows, columns]) => {
  const picture = new Image();
  picture.src = image.href.baseVal;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0);
  const at = (i, n, length) => Math.floor((i + 0.5) / n * length);
  return Array.from({length: rows}, (_, i) => Array.from({length: columns}, (_, j) => [
    ...context.getImageData(
      at(j, columns, canvas.width), at(rows - 1 - i, rows, canvas.height), 1, 1).data,
  ].slice(0, 3)));
}"""


@pytest.mark.browser
def test_moving_the_slider_shows_the_colors_and_words_that_python_computes(page: Page) -> None:
    slider = page.get_by_role("slider", name="slope")
    colors = plt.get_cmap("viridis")
    pictures = []
    for i, key in ((1, None), (2, "ArrowRight"), (0, "Home")):
        if key:
            slider.press(key)
        chart = planes().at(i)
        assert chart.field
        assert page.locator(".wd-words").inner_text() == chart.words
        assert page.locator(".wd-chart").get_attribute("aria-label") == chart.words
        z = np.asarray(chart.field.z)
        expected = 255 * colors((z + 3) / 6)[..., :3]
        seen = np.array(page.locator(".heatmaplayer image").evaluate(PIXELS, list(z.shape)))
        assert np.abs(seen - expected).max() < 16, (i, seen, expected)  # two tables of one scale
        pictures.append(seen.tolist())
    assert pictures[0] != pictures[1] != pictures[2]


@pytest.mark.browser
def test_a_field_on_a_telephone_has_a_readable_scale_and_its_points(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    chart = page.locator(".wd-chart")
    assert chart.locator(".scatterlayer .point").count() == 1
    scale = chart.locator(".infolayer .colorbar")
    assert "height" in (scale.text_content() or "")
    labels = scale.locator("text")
    assert {"−2", "0", "2"} <= set(labels.all_text_contents())
    ink = page.locator(".wd-words").evaluate("e => getComputedStyle(e).color")
    assert {t.evaluate("e => getComputedStyle(e).fill") for t in labels.all()} == {ink}
    frame, box = chart.bounding_box(), scale.bounding_box()
    assert frame
    assert box
    assert frame["x"] <= box["x"]
    assert box["x"] + box["width"] <= frame["x"] + frame["width"]
