"""The dashboard in a real Chromium, from disk and without a network.

Every page that a test opens is watched: an error on its console, an exception in a script, a dialog
or a request for anything but the file itself fails the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Locator,
    Page,
    expect,
)

from tests.minitrain.factory import construct, run, trained_pair
from tests.minitrain.test_dashboard import ATTACKS, hostile
from weightdecay.minitrain import dashboard, ladder
from weightdecay.runs import Run, load

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
LINES = (
    "loss", "gap", "norm", "spectral", "update", "grad", "batch", "calibration", "rate", "dose",
)  # fmt: skip


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file in a window of its own; whatever goes wrong in it fails the test."""
    wrong: list[str] = []
    contexts: list[BrowserContext] = []

    def note(text: str) -> None:
        wrong.append(text)

    def dismiss(dialog: Dialog) -> None:
        note(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open_page(path: Path, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: note(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: note(str(e)))
        page.on("dialog", dismiss)
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_function("() => !document.querySelector('.wd-chart:not(:has(svg))')")
        others = [u for u in asked if u != path.as_uri() and not u.startswith(("data:", "blob:"))]
        page.on("request", lambda r: wrong.append(f"asked for {r.url}"))
        wrong.extend(f"asked for {url}" for url in others)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of control and break, really trained."""
    runs = [load(path) for path in trained_pair(tmp_path_factory)]
    path = tmp_path_factory.mktemp("pages") / "compare.html"
    return dashboard.write(runs, path, ladder.diagnose(runs[0], runs[1]))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three seeds with decay and one without."""
    parent = tmp_path_factory.mktemp("seeds")
    runs = [
        run(parent / f"control-seed{s}", 0.1, changes={"seed": s}, final={"gap": s / 10})
        for s in (1, 2, 6)
    ]
    runs.append(run(parent / "break", 0.0, changes={"seed": 1}, final={"gap": 0.9}))
    return dashboard.write(runs, parent / "seeds.html")


def chart(page: Page, panel: str) -> Locator:
    return page.locator(f"[data-panel='{panel}'] .wd-chart")


def traces(page: Page, panel: str) -> list[dict[str, Any]]:
    """What Plotly was given to draw, as it stands in the chart."""
    found: list[dict[str, Any]] = chart(page, panel).evaluate(
        """c => c.data.map(t => ({
             type: t.type, name: t.name, x: [...t.x], y: [...t.y], fill: t.fill,
             opacity: t.opacity, dash: t.line?.dash, width: t.line?.width, color: t.line?.color,
           }))"""
    )
    return found


def paths(page: Page, panel: str) -> list[str]:
    """The outlines of the lines as they are on the screen."""
    found: list[str] = chart(page, panel).evaluate(
        "c => [...c.querySelectorAll('.scatterlayer .js-line')].map(p => p.getAttribute('d'))"
    )
    return found


def axis(page: Page, panel: str, name: str) -> Any:
    """(type, title, range) of an axis as it is drawn."""
    return chart(page, panel).evaluate(
        "(c, name) => { const a = c._fullLayout[name]; return [a.type, a.title.text, a.range]; }",
        name,
    )


def hovered(page: Page, panel: str) -> None:
    """Move the mouse into the middle of a chart."""
    page.locator(f"[data-panel='{panel}']").scroll_into_view_if_needed()
    box = chart(page, panel).locator(".nsewdrag").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y)
    page.mouse.move(x, y, steps=4)
    expect(chart(page, panel).locator(".hoverlayer .hovertext").first).to_be_attached()


def choose(page: Page, name: str, value: str) -> None:
    page.get_by_role("combobox", name=name, exact=True).select_option(value)


# Drawing


def test_every_panel_is_drawn(open_page: Open, compared: Path) -> None:
    page = open_page(compared)
    for panel in LINES:
        drawn = paths(page, panel)
        assert len(drawn) == len(traces(page, panel)) == (4 if panel == "loss" else 2)
        assert all(path and path.startswith("M") for path in drawn)
    bars = chart(page, "slices").locator(".barlayer .point path")
    assert bars.count() == 8
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs compared")


def test_the_lines_are_the_numbers_of_the_run_and_told_apart(
    open_page: Open, compared: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = open_page(compared)
    control, broken = (load(path) for path in trained_pair(tmp_path_factory))
    drawn = {t["name"]: t for t in traces(page, "loss")}
    assert set(drawn) == {
        f"{r.name}, {what}" for r in (control, broken) for what in ("train", "validation")
    }
    for each in (control, broken):
        for what, key in (("train", "train_loss"), ("validation", "val_loss")):
            trace = drawn[f"{each.name}, {what}"]
            assert trace["x"] == [e["step"] for e in each.evals]
            assert trace["y"] == pytest.approx([e[key] for e in each.evals], rel=1e-5)
    assert {t["dash"] for t in drawn.values()} == {"solid", "dash"}
    assert len({t["color"] for t in drawn.values()}) == 2


def test_baselines_and_floor_are_drawn_and_named(open_page: Open, compared: Path) -> None:
    page = open_page(compared)
    texts = chart(page, "loss").locator(".annotation-text").all_text_contents()
    assert sorted(texts) == ["entropy floor", "trigram, validation", "unigram, validation"]
    assert chart(page, "loss").locator(".shapelayer path").count() == 3


# Controls


def test_the_x_axis_turns_from_step_to_epoch_to_dose(open_page: Open, compared: Path) -> None:
    page = open_page(compared)
    on_screen = {}
    for choice, last, title in (
        ("step", 40, "step"),
        ("epoch", 40 * 8 / 240, "epoch"),
        ("dose", None, "dose, sum of η·λ"),
    ):
        choose(page, "x axis", choice)
        for panel in LINES:
            drawn = traces(page, panel)
            assert axis(page, panel, "xaxis")[1] == title
            if last is not None:
                assert [t["x"][-1] for t in drawn] == pytest.approx([last] * len(drawn), rel=1e-5)
        on_screen[choice] = paths(page, "gap")
    control, broken = traces(page, "gap")
    assert control["x"][-1] > control["x"][1] > 0
    assert set(broken["x"]) == {0}
    assert on_screen["dose"] != on_screen["step"]
    expect(page.locator(".wd-note")).to_contain_text("18-break-wd0 is drawn at 0")
    choose(page, "x axis", "step")
    expect(page.locator(".wd-note")).to_be_empty()
    assert paths(page, "gap") == on_screen["step"]


def test_log_y_changes_the_axis_and_back(open_page: Open, compared: Path) -> None:
    page = open_page(compared)
    assert axis(page, "norm", "yaxis")[0] == "linear"
    before = paths(page, "norm")
    box = page.get_by_role("checkbox", name="log y")
    box.check()
    assert axis(page, "norm", "yaxis")[0] == "log"
    assert paths(page, "norm") != before
    assert axis(page, "gap", "yaxis")[0] == "linear"  # goes below zero
    assert axis(page, "slices", "yaxis")[0] == "linear"
    box.uncheck()
    assert paths(page, "norm") == before


def test_smoothing_keeps_the_raw_trace_behind(open_page: Open, compared: Path) -> None:
    page = open_page(compared)
    raw = traces(page, "grad")
    slider = page.get_by_role("slider", name="smoothing")
    slider.fill("0.8")
    drawn = traces(page, "grad")
    assert len(drawn) == 2 * len(raw)
    for i, before in enumerate(raw):
        behind, smooth = drawn[2 * i : 2 * i + 2]
        assert behind["y"] == before["y"]
        assert behind["opacity"] < smooth["opacity"] == 1
        mean, expected = before["y"][0], []
        for value in before["y"]:
            mean = 0.8 * mean + 0.2 * value
            expected.append(mean)
        assert smooth["y"] == pytest.approx(expected)
        assert smooth["name"] == before["name"]
    slider.fill("0")
    assert traces(page, "grad") == raw


def test_unchecking_a_run_removes_it_from_every_chart(open_page: Open, compared: Path) -> None:
    page = open_page(compared)
    names = ("18-control", "18-break-wd0")
    both = {panel: len(traces(page, panel)) for panel in (*LINES, "accuracy", "slices")}
    color = traces(page, "gap")[1]["color"]
    page.get_by_role("checkbox", name=names[0]).uncheck()
    for panel, count in both.items():
        left = traces(page, panel)
        assert len(left) == count / 2
        assert all(t["name"].startswith(names[1]) for t in left)
    assert traces(page, "gap")[0]["color"] == color  # it keeps its own
    page.get_by_role("checkbox", name=names[1]).uncheck()
    assert all(traces(page, panel) == [] for panel in both)
    for name in names:
        page.get_by_role("checkbox", name=name).check()
    assert {panel: len(traces(page, panel)) for panel in both} == both


def test_a_panels_menu_changes_that_panel_alone(
    open_page: Open, compared: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = open_page(compared)
    control = load(trained_pair(tmp_path_factory)[0])
    other = traces(page, "update")
    for label, key in (
        ("token embedding (also the head), over initial", "growth/embedding"),
        ("feed-forward matrices, over initial", "growth/mlp"),
        ("feed-forward matrices, absolute", "norm/mlp"),
    ):
        choose(page, "What to draw: Weight norm by group", label)
        expected = [e[key] for e in control.evals]
        assert traces(page, "norm")[0]["y"] == pytest.approx(expected, rel=1e-5)
    assert traces(page, "update") == other
    choose(page, "x axis", "epoch")  # the choice survives the other controls
    assert traces(page, "norm")[0]["y"] == pytest.approx(expected, rel=1e-5)
    choose(page, "What to draw: Accuracy by slice at the end", "validation by tense")
    assert chart(page, "slices").locator(".barlayer .point path").count() == 10


def test_hovering_one_chart_hovers_the_others_at_the_same_place(
    open_page: Open, compared: Path
) -> None:
    page = open_page(compared)
    label = ".hoverlayer .hovertext"
    assert page.locator(label).count() == 0
    hovered(page, "loss")
    for panel in LINES:
        expect(chart(page, panel).locator(label).first).to_be_attached()
        assert chart(page, panel).locator(".hoverlayer .spikeline").count() > 0
    middle = traces(page, "gap")[0]["y"][2]  # at step 20 of 40
    texts = chart(page, "gap").locator(label).all_text_contents()
    (shown,) = (text for text in texts if "18-control" in text)
    value = float(shown.replace("18-control", "").replace("−", "-"))
    assert value == pytest.approx(middle, rel=2e-3)
    page.mouse.move(2, 2, steps=4)
    for panel in LINES:
        expect(chart(page, panel).locator(label)).to_have_count(0)


# Several seeds


def test_seeds_of_a_setting_are_a_band_with_thin_traces_and_their_mean(
    open_page: Open, seeds: Path
) -> None:
    page = open_page(seeds)
    low, high, *thin, mean, alone = traces(page, "gap")
    assert high["fill"] == "tonexty"
    assert chart(page, "gap").locator(".scatterlayer .js-fill").count() == 1
    assert len(thin) == 3
    assert max(t["width"] for t in thin) < mean["width"]
    assert (low["y"][-1], high["y"][-1]) == (0.1, 0.6)
    assert [t["y"][-1] for t in thin] == [0.1, 0.2, 0.6]
    assert mean["y"][-1] == pytest.approx(0.3)
    assert mean["name"] == "mean of control-seed1 (3 seeds)"
    assert alone["name"] == "break"
    assert len({low["x"][-1], high["x"][-1], mean["x"][-1]}) == 1
    assert {t["color"] for t in thin} == {mean["color"]} != {alone["color"]}


def test_smoothing_a_band_smooths_its_mean_in_front_of_the_raw_seeds(
    open_page: Open, seeds: Path
) -> None:
    page = open_page(seeds)
    *behind, mean, _ = traces(page, "gap")
    page.get_by_role("slider", name="smoothing").fill("0.5")
    *still_behind, smooth, _, _ = traces(page, "gap")
    assert still_behind == behind
    average, expected = mean["y"][0], []
    for value in mean["y"]:
        average = 0.5 * average + 0.5 * value
        expected.append(average)
    assert smooth["y"] == pytest.approx(expected)


def test_a_seed_that_is_unchecked_leaves_the_band_and_its_mean(
    open_page: Open, seeds: Path
) -> None:
    page = open_page(seeds)
    page.get_by_role("checkbox", name="control-seed6").uncheck()
    low, high, *thin, mean, _ = traces(page, "gap")
    assert (low["y"][-1], high["y"][-1]) == (0.1, 0.2)
    assert len(thin) == 2
    assert mean["y"][-1] == pytest.approx(0.15)
    assert mean["name"] == "mean of control-seed1 (2 seeds)"
    page.get_by_role("checkbox", name="control-seed2").uncheck()
    assert [t["name"] for t in traces(page, "gap")] == ["control-seed1", "break"]


def test_the_bars_of_several_seeds_show_every_seed(open_page: Open, seeds: Path) -> None:
    page = open_page(seeds)
    drawn = traces(page, "slices")
    assert [t["type"] for t in drawn] == ["bar", "box", "box", "box", "bar"]
    assert drawn[0]["name"] == "control-seed1 (3 seeds)"
    page.get_by_role("checkbox", name="control-seed1").uncheck()
    page.get_by_role("checkbox", name="control-seed2").uncheck()
    assert [t["name"] for t in traces(page, "slices")] == ["control-seed6", "break"]


# Theme, keyboard, names, small screens

INK = """() => [['.wd-page', 'color'], ['.wd-page', 'backgroundColor'], ['.wd-title', 'color'],
    ['.wd-panel', 'backgroundColor'], ['.ytitle', 'fill'], ['.ygrid', 'stroke'],
    ['.annotation-text', 'fill']]
  .flatMap(([which, key]) =>
    [...document.querySelectorAll(which)].map(e => getComputedStyle(e)[key]))"""
CONTRAST = """() => {
  const style = getComputedStyle(document.querySelector('.wd-dashboard'));
  const light = name => {
    const hex = style.getPropertyValue(name).trim();
    const parts = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const on = ['--wd-paper', '--wd-card'];
  const ink = ['--wd-ink', '--wd-quiet', '--wd-good', '--wd-bad', '--wd-open'];
  return Math.min(...on.flatMap(b => ink.map(i => {
    const [low, high] = [light(b), light(i)].sort((p, q) => p - q);
    return (high + 0.05) / (low + 0.05);
  })));
}"""


SWATCHES = """swatches => swatches.map(s => "#" + s.style.backgroundColor.match(/\\d+/g)
  .map(part => Number(part).toString(16).padStart(2, "0")).join(""))"""


def contrast(*colors: str) -> float:
    """Of two colors, as WCAG has it."""
    light = []
    for color in colors:
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        light.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_the_button_turns_the_whole_page_dark_and_back(open_page: Open, compared: Path) -> None:
    page = open_page(compared, color_scheme="light")
    light = page.evaluate(INK)
    lines = {t["color"].lower() for t in traces(page, "loss")}
    page.get_by_role("button", name="Dark").click()
    expect(page.get_by_role("button", name="Light")).to_be_visible()
    dark = page.evaluate(INK)
    assert len(light) == len(dark) > 20
    assert all(before != after for before, after in zip(light, dark, strict=True))
    lighter = {t["color"].lower() for t in traces(page, "loss")}
    assert len(lighter) == len(lines)
    assert lighter == set(page.locator(".wd-swatch").evaluate_all(SWATCHES))
    card = page.evaluate(
        "getComputedStyle(document.querySelector('.wd-dashboard')).getPropertyValue('--wd-card')"
    )
    assert all(contrast(color, card.strip()) >= 4 for color in lighter)
    page.get_by_role("button", name="Light").click()
    expect(page.get_by_role("button", name="Dark")).to_be_visible()
    assert page.evaluate(INK) == light
    assert {t["color"].lower() for t in traces(page, "loss")} == lines
    assert lines == set(page.locator(".wd-swatch").evaluate_all(SWATCHES))


def test_the_page_follows_the_system_until_it_is_told_otherwise(
    open_page: Open, compared: Path
) -> None:
    page = open_page(compared, color_scheme="dark")
    dark = page.evaluate(INK)
    expect(page.get_by_role("button", name="Light")).to_be_visible()
    page.emulate_media(color_scheme="light")
    expect(page.get_by_role("button", name="Dark")).to_be_visible()
    light = page.evaluate(INK)
    assert light != dark
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(INK) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_page: Open, compared: Path, scheme: str) -> None:
    page = open_page(compared, color_scheme=scheme)
    assert page.evaluate(CONTRAST) >= 4.5


def test_the_keyboard_reaches_every_control_and_space_toggles_a_run(
    open_page: Open, compared: Path
) -> None:
    page = open_page(compared)
    wanted = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, summary')]
             .map((e, i) => { e.dataset.control = i; return i; })"""
    )
    reached, outlined = set(), []
    for _ in range(3 * len(wanted)):
        page.keyboard.press("Tab")
        number, outline = page.evaluate(
            "() => { const e = document.activeElement;"
            " return [e.dataset.control, getComputedStyle(e).outlineStyle]; }"
        )
        if number is not None:
            reached.add(int(number))
            outlined.append(outline)
    assert reached == set(wanted)
    assert "none" not in outlined

    box = page.get_by_role("checkbox", name="18-break-wd0")
    box.focus()
    page.keyboard.press("Space")
    expect(box).not_to_be_checked()
    assert [t["name"] for t in traces(page, "gap")] == ["18-control"]
    page.keyboard.press("Space")
    assert len(traces(page, "gap")) == 2
    page.get_by_role("combobox", name="x axis").focus()
    page.keyboard.press("ArrowDown")
    assert axis(page, "gap", "xaxis")[1] == "epoch"
    page.get_by_role("slider", name="smoothing").focus()
    page.keyboard.press("ArrowRight")
    assert len(traces(page, "gap")) == 4


def test_controls_charts_and_tables_have_names_for_a_screen_reader(
    open_page: Open, compared: Path
) -> None:
    page = open_page(compared)
    form = page.get_by_role("form", name="Chart controls")
    group = form.get_by_role("group", name="Runs")
    expect(group.get_by_role("checkbox", name="18-control")).to_be_checked()
    expect(group.get_by_role("checkbox", name="18-break-wd0")).to_be_checked()
    expect(form.get_by_role("combobox", name="x axis")).to_have_value("step")
    expect(form.get_by_role("checkbox", name="log y")).not_to_be_checked()
    expect(form.get_by_role("slider", name="smoothing")).to_have_value("0")
    images = page.locator(".wd-chart[role=img]")
    assert images.count() == len(LINES) + 2
    for i in range(images.count()):
        name = images.nth(i).get_attribute("aria-label")
        assert name is not None
        assert "18-control" in name
    snapshot = page.locator("body").aria_snapshot()
    for role in ("checkbox", "combobox", "slider", "button", "table", "region"):
        lines = [line.strip() for line in snapshot.splitlines()]
        found = [line for line in lines if line.removeprefix("- ").split(" ")[0] == role]
        assert found
        assert all('"' in line for line in found), found  # a name in quotes
    expect(page.get_by_role("table", name="Configuration: only what differs")).to_be_visible()


@pytest.mark.parametrize("name", ["compared", "seeds"])
def test_a_phone_shows_the_page_without_scrolling_sideways(
    open_page: Open, request: pytest.FixtureRequest, name: str
) -> None:
    page = open_page(request.getfixturevalue(name), viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    outside = page.evaluate(
        """() => [...document.querySelectorAll('.wd-panel, .wd-chart svg.main-svg, .wd-controls *')]
             .filter(e => e.getBoundingClientRect().right > 390.5).map(e => e.className)"""
    )
    assert outside == []
    page.set_viewport_size({"width": 1000, "height": 800})
    page.wait_for_function(
        "() => document.querySelector('.main-svg').getBoundingClientRect().width > 400"
    )


# Difficult runs


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_a_run_directory_is_shown_and_never_run(
    open_page: Open, tmp_path: Path, attack: str
) -> None:
    a = hostile(tmp_path / "a", attack, 0.1)
    b = hostile(tmp_path / "b", attack, 0.0)
    path = dashboard.write([a, b], tmp_path / "page.html", ladder.diagnose(a, b))
    page = open_page(path)
    labels = page.locator(".wd-runs label").all_text_contents()
    assert [label.strip() for label in labels] == [a.name, b.name]
    choose(page, "What to draw: Spectral norm by matrix", attack)
    choose(page, "x axis", "dose")
    choose(page, "x axis", "step")
    hovered(page, "loss")
    assert page.locator("img, .wd-chart a").count() == 0
    baseline = chart(page, "loss").locator(".annotation-text").all_text_contents()
    assert f"{attack}, validation" in baseline


def test_charts_show_the_tags_that_plotly_knows_as_text(open_page: Open, tmp_path: Path) -> None:
    """Plotly formats <b> and <br> in its labels: in a name they are letters."""
    names = ("a<br>b", "<b>c")
    first, second = (run(tmp_path / name, i / 10) for i, name in enumerate(names))
    for each in (first, second):
        each.manifest["baselines"] = {"<b>base</b>": {"train": 1.0, "val": 1.0}}
    page = open_page(dashboard.write([first, second], tmp_path / "page.html"))
    texts = chart(page, "loss").locator(".annotation-text").all_text_contents()
    assert "<b>base</b>, validation" in texts
    hovered(page, "gap")
    shown = chart(page, "gap").locator(".hoverlayer .hovertext").all_text_contents()
    assert len(shown) == 2
    for name in names:
        assert any(text.startswith(name) for text in shown)


def test_runs_that_diverged_or_stopped_are_drawn(open_page: Open, tmp_path: Path) -> None:
    runs: list[Run] = [
        run(tmp_path / "lost", 0.0, diverged=True),
        run(tmp_path / "fine", 0.1),
        run(tmp_path / "begun", 0.2, stop=0),
        run(tmp_path / "half", 0.1, changes={"seed": 2}, stop=100),
        run(tmp_path / "lost2", 0.0, diverged=True, changes={"seed": 2}),
    ]
    page = open_page(dashboard.write(runs, tmp_path / "page.html"))
    for choice in ("epoch", "dose", "step"):
        choose(page, "x axis", choice)
    page.get_by_role("checkbox", name="log y").check()
    page.get_by_role("slider", name="smoothing").fill("0.5")
    expect(page.get_by_role("heading", name="What could not be read")).to_be_visible()


def test_a_band_goes_as_far_as_any_of_its_seeds(open_page: Open, tmp_path: Path) -> None:
    runs = [
        run(tmp_path / "whole", 0.1),
        run(tmp_path / "half", 0.1, changes={"seed": 2}, stop=100),
    ]
    page = open_page(dashboard.write(runs, tmp_path / "page.html"))
    low, high, whole, half, _ = traces(page, "gap")
    assert [t["x"][-1] for t in (whole, half)] == [200, 100]
    assert low["x"][-1] == high["x"][-1] == 100


def test_a_single_run_has_its_own_page(open_page: Open, tmp_path: Path) -> None:
    page = open_page(dashboard.write([run(tmp_path / "only")], tmp_path / "page.html"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Run only")
    page.get_by_role("checkbox", name="only").uncheck()
    assert traces(page, "loss") == []
    page.get_by_role("checkbox", name="only").check()
    assert len(traces(page, "loss")) == 2


def test_without_scripts_everything_is_there_in_words(open_page: Open, compared: Path) -> None:
    page = open_page(compared, java_script_enabled=False)
    expect(page.locator("noscript p")).to_contain_text("The charts need scripts.")
    expect(page.locator("noscript p")).to_be_visible()
    page.locator("[data-panel='loss'] summary").click()
    words = page.locator("[data-panel='loss'] details p")
    expect(words).to_contain_text("18-control train: from 4.")
    assert page.get_by_role("table").count() == 2


def test_fragments_share_one_page(open_page: Open, tmp_path: Path) -> None:
    """Two outputs of one live notebook, each with its scripts."""
    runs = [load(construct(tmp_path / str(w), w)) for w in (0.1, 0.0)]
    first = dashboard.fragment(runs, ["loss"])
    second = dashboard.fragment(runs, ["norm", "gap"])
    path = tmp_path / "chapter.html"
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><body><h2>x</h2>{first}{second}', "utf-8"
    )
    page = open_page(path)
    assert page.locator(".wd-chart svg.main-svg").count() >= 3
    boxes = page.get_by_role("checkbox", name="0.0", exact=True)
    boxes.first.uncheck()
    assert len(traces(page, "loss")) == 2
    assert len(traces(page, "norm")) == 2
    boxes.last.uncheck()
    assert len(traces(page, "norm")) == 1
