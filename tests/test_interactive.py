"""Interactive figures: the data of the page, the static twin, the widget."""

from __future__ import annotations

import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from weightdecay.interactive import ASSETS_VARIABLE, Chart, Explorer, Line, draw


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
