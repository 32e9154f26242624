"""What a reader has done, in the browser: marks, counts, the file, and files that are none of ours.

The script runs on a page made here, from the panel that the book has, so that no built book is
needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from progress import PANEL, chapters

from weightdecay.grading import toc
from weightdecay.grading.load import all_exercises

pytestmark = pytest.mark.browser

THEME = Path(__file__).resolve().parent.parent / "book" / "theme"
ALL = {"chapters": ["theory/dose", "break/lab"], "exercises": {"01-one": 10, "02-two": 15}}
BODY = """<!DOCTYPE html><html lang="en"><head><title>t</title>
<script defer src="{script}"></script></head><body><article class="bd-article"><ul>
<li><a class="reference internal" href="theory/dose.html">Dose</a></li>
<li><a class="reference internal" href="theory/dose.html#exercise-01-one">One</a></li></ul>
<div class="exercise-card" id="exercise-01-one"><p class="admonition-title">One</p></div>
<div class="progress-mark" data-chapter="theory/dose"></div>{panel}</article></body></html>"""
FORMAT = "weight-decay-measured progress"


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    panel = PANEL.format(everything=escape(json.dumps(ALL)))
    html = BODY.format(script=(THEME / "progress.js").as_uri(), panel=panel)
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        yield page


def count(page: Page) -> str:
    return page.locator(".progress-count").inner_text()


def load(page: Page, tmp_path: Path, content: object, name: str = "mine.json") -> str:
    """Load a file; what the page says of it."""
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text, encoding="utf-8")
    page.locator(".progress-said").evaluate("said => said.textContent = ''")
    page.get_by_label("Load a file").set_input_files(tmp_path / name)
    page.wait_for_function("document.querySelector('.progress-said').textContent")
    return page.locator(".progress-said").inner_text()


def test_marks_are_made_by_keyboard_counted_and_kept(page: Page) -> None:
    assert count(page) == "0 of 2 chapters read, 0 of 2 exercises done, 0 of 25 points."
    page.get_by_role("button", name="Chapter read").press("Enter")
    page.get_by_role("button", name="Exercise done").press(" ")
    after = "1 of 2 chapters read, 1 of 2 exercises done, 10 of 25 points."
    assert count(page) == after
    assert page.locator("li a .progress-done").count() == 2
    page.reload()
    assert count(page) == after
    button = page.get_by_role("button", name="Chapter read")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert count(page).startswith("0 of 2 chapters")
    assert page.locator("li a .progress-done").count() == 1


def test_a_file_takes_the_marks_to_another_browser(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Chapter read").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").press("Enter")
    saved = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert saved["format"] == FORMAT
    assert list(saved["done"]) == ["theory/dose"]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget all").click()
    assert count(page).startswith("0 of 2 chapters")
    page.get_by_role("button", name="Exercise done").click()
    assert load(page, tmp_path, saved) == "mine.json: 1 mark added."
    assert count(page).startswith("1 of 2 chapters read, 1 of 2 exercises done")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "it is not JSON"),
        ("[]", 'its "format" is not'),
        ("null", 'its "format" is not'),
        ({"format": FORMAT}, 'its "done" is not an object'),
        ({"format": FORMAT, "done": ["theory/dose"]}, 'its "done" is not an object'),
        ({"format": FORMAT, "done": {"theory/dose": 3}}, '"done": "theory/dose": expected'),
        ({"format": FORMAT, "done": {"constructor": ""}}, '"done": "constructor": expected'),
        ({"format": FORMAT, "done": {"<img src=x onerror=alert(1)>": "2026-01-31"}}, "expected"),
        (" " * 100_001, "it is larger than 100 kB"),
    ],
)
def test_a_wrong_file_changes_nothing_and_is_one_line(
    page: Page, tmp_path: Path, content: object, says: str
) -> None:
    page.get_by_role("button", name="Chapter read").click()
    before = count(page)
    said = load(page, tmp_path, content, "<b>bad<b>.json")
    assert said.startswith("<b>bad<b>.json is not loaded: ")
    assert says in said
    assert "\n" not in said
    assert page.locator("b, img").count() == 0  # neither name nor content became part of the page
    assert count(page) == before


def test_what_is_stored_by_others_is_left_out(page: Page) -> None:
    page.evaluate(
        "localStorage.setItem('weight-decay-measured', JSON.stringify("
        "{'theory/dose': '2026-01-31', 'break/lab': ['2026-01-31'], 'Bad Name': '2026-01-31'}))"
    )
    page.reload()
    assert count(page).startswith("1 of 2 chapters read")
    page.evaluate("localStorage.setItem('weight-decay-measured', 'no JSON')")
    page.reload()
    assert count(page).startswith("0 of 2 chapters read")


def test_a_browser_that_stores_nothing_says_so(page: Page) -> None:
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new DOMException('no') } }")
    page.get_by_role("button", name="Chapter read").click()
    assert count(page).startswith("1 of 2 chapters read")
    assert count(page).endswith("save a file before you leave.")


def test_chapters_are_all_files_that_are_no_reference_pages() -> None:
    parts = toc.parts()
    assert set(chapters()) == {f for files in parts.values() for f in files} - set(
        parts["Reference"]
    )
    assert {e.chapter for e in all_exercises()} <= set(chapters())
