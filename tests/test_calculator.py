"""The calculator of doses: the page's sums against Python's, and its answers to wrong fields."""

from __future__ import annotations

import dataclasses
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from weightdecay.interactive.calculator import (
    FIELDS,
    LABELS,
    Calculator,
    Run,
    answers,
    learning_rates,
    shown,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LANDMARKS = ((3.0, "three <b>bold</b>"), (0.5, "a half"))


def test_a_constant_rate_gives_rate_times_decay_times_steps() -> None:
    run = Run(peak=1e-3, decay=0.5, steps=2000, schedule="constant", wanted=3.0)
    found = answers(run)
    assert found["dose"] == pytest.approx(1.0)
    assert found["left"] == pytest.approx(math.exp(-1))
    assert found["tau"] == pytest.approx(2000)
    assert found["share"] == pytest.approx(1)
    assert found["needed"] == pytest.approx(1.5)


def test_the_decay_that_is_needed_gives_the_wanted_dose() -> None:
    for schedule in ("constant", "cosine", "wsd"):
        run = Run(schedule=schedule, wanted=2.5)
        again = dataclasses.replace(run, decay=answers(run)["needed"])
        assert answers(again)["dose"] == pytest.approx(2.5)


def test_without_decay_nothing_is_forgotten() -> None:
    found = answers(Run(decay=0.0))
    assert (found["dose"], found["left"]) == (0.0, 1.0)
    assert shown("tau", found["tau"]) == "without end"


def test_every_field_is_one_of_the_runs_and_every_answer_has_a_label() -> None:
    assert [f["name"] for f in FIELDS] == [f.name for f in dataclasses.fields(Run)]
    assert list(answers(Run())) == list(LABELS)


def test_words_from_outside_are_escaped_and_landmarks_are_in_order() -> None:
    html = Calculator("dose", Run(), LANDMARKS).html()
    assert "<b>bold" not in html
    assert re.findall(r'data-dose="([^"]+)"', html) == ["0.5", "3.0"]
    assert 'src="' not in html


# ---- on a page -----------------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    path = tmp_path / "page.html"
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>t</title>"
        + Calculator("dose", Run(), LANDMARKS).html()
    )
    page = browser.new_page(viewport={"width": 390, "height": 900})
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text))
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert wrong == []


def fill(page: Page, run: Run) -> None:
    for name, value in dataclasses.asdict(run).items():
        field = page.locator(f"[name={name}]")
        if name == "schedule":
            field.select_option(value)
        else:
            field.fill(repr(value))


def answered(page: Page) -> dict[str, str]:
    return {key: page.locator(f"[data-answer={key}]").inner_text() for key in LABELS}


def random_run(rng: random.Random) -> Run:
    steps = rng.randint(10, 5000)
    cooldown = rng.uniform(0, 0.6)
    return Run(
        peak=float(f"{10 ** rng.uniform(-5, -1):.3g}"),
        decay=float(f"{10 ** rng.uniform(-4, 2):.3g}"),
        steps=steps,
        schedule=rng.choice(["constant", "cosine", "wsd"]),
        warmup=rng.randint(0, int(0.3 * steps)),
        final=round(rng.random(), 3),
        cooldown=round(cooldown, 3),
        wanted=round(rng.uniform(0.1, 30), 2),
    )


def value(text: str) -> float:
    return math.inf if text == "without end" else float(text.split()[0].rstrip("%"))


@pytest.mark.browser
def test_the_page_computes_what_python_computes(page: Page) -> None:
    rng = random.Random(0)
    seen = set()
    for _ in range(40):
        run = random_run(rng)
        fill(page, run)
        expected = {key: shown(key, v) for key, v in answers(run).items()}
        for key, text in answered(page).items():
            assert value(text) == pytest.approx(value(expected[key]), rel=0.006), (run, key)
            assert text.split()[1:] == expected[key].split()[1:]
        seen.add(run.schedule)
    assert len(seen) == 3
    assert len(learning_rates(run)) == run.steps


@pytest.mark.browser
def test_a_wrong_field_is_named_and_the_answers_stay(page: Page) -> None:
    before = answered(page)
    page.locator("[name=steps]").fill("0")
    problem = page.locator(".wd-problem")
    assert problem.inner_text().startswith("Steps: ")
    assert answered(page) == before
    page.locator("[name=steps]").fill("400")  # the warmup of 500 does not fit
    assert problem.inner_text() == "Warmup and cooldown do not fit into the run."
    assert answered(page) == before
    page.locator("[name=warmup]").fill("40")
    assert problem.inner_text() == ""
    assert answered(page) != before


@pytest.mark.browser
def test_the_readers_run_stands_among_the_others_by_its_dose(page: Page) -> None:
    for decay, place in ((0.001, 0), (0.5, 1), (100.0, 2)):
        fill(page, Run(decay=decay))
        rows = page.locator(".wd-landmarks li").all_inner_texts()
        assert [i for i, text in enumerate(rows) if text.endswith("your run")] == [place], rows
    assert "three <b>bold</b>" in rows[1]
