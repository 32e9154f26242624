"""The built book in a real browser: `./justw test-site`.

Each page is opened once in a wide light window and once in a narrow dark one, served from below
a path of its own (as project pages are) by a server that is the only host within reach.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import nbformat
import pytest
from course_map import course
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, Route
from progress import chapters

from tests.built_book import HTML, PREFIX, pages, settle
from weightdecay import claims
from weightdecay.grading.load import Exercise, all_exercises

pytestmark = [pytest.mark.site, pytest.mark.browser, pytest.mark.slow]

WINDOWS: dict[str, dict[str, Any]] = {
    "wide, light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "narrow, dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
# What a page is asked once everything on it has been drawn.
INSPECT = """() => ({
  title: document.title,
  heading: document.querySelectorAll("article h1").length,
  theme: document.documentElement.dataset.theme,
  overflow: document.documentElement.scrollWidth - innerWidth,
  images: [...document.images].map(i => ({
    src: i.getAttribute("src").slice(0, 80), alt: i.getAttribute("alt"),
    drawn: i.naturalWidth > 0})),
  formulas: [...document.querySelectorAll(".math")].map(m => ({
    tex: m.textContent.slice(0, 60), drawn: m.querySelector("mjx-container") !== null,
    error: m.querySelector("mjx-merror") !== null})),
  plots: [...document.querySelectorAll(".plotly-graph-div, .wd-chart")].map(p => ({
    name: p.ariaLabel || p.id, drawn: p.querySelector(".main-svg") !== null})),
  links: [...document.querySelectorAll("a[href]")].map(a => a.href),
  ids: [...document.querySelectorAll("[id]")].map(e => e.id),
})"""


@dataclass
class Visit:
    """What one window saw of one page."""

    page: str
    window: str
    outside: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    saw: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page} ({self.window})"


@pytest.fixture(scope="module")
def visits(site: str, browser: Browser) -> list[Visit]:
    return [visit(browser, site, page, window) for window in WINDOWS for page in pages()]


def visit(browser: Browser, site: str, page: str, window: str) -> Visit:
    seen = Visit(page, window)
    context = browser.new_context(**WINDOWS[window])
    # A page that stays silent for this long has failed to draw.
    context.set_default_timeout(60_000)
    tab = watched(context.new_page(), site, seen)
    tab.goto(site + page, wait_until="networkidle")
    settle(tab)
    seen.saw = tab.evaluate(INSPECT)
    context.close()
    return seen


def watched(tab: Page, site: str, seen: Visit) -> Page:
    """The tab, with all that it asks for and complains of written down, and other hosts shut."""

    def only_here(route: Route, request: Request) -> None:
        if request.url.startswith((site, "data:", "blob:")):
            route.continue_()
        else:
            seen.outside.append(request.url)
            route.abort()

    def on_response(response: Response) -> None:
        if response.status >= 400:
            seen.failed.append(f"{response.status} {response.url}")

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            seen.errors.append(message.text)

    tab.route("**/*", only_here)
    tab.on("response", on_response)
    tab.on("console", on_console)
    tab.on("pageerror", lambda error: seen.errors.append(str(error)))
    return tab


def complaints(visits: list[Visit], what: str) -> list[str]:
    return [f"{visit}: {entry}" for visit in visits for entry in getattr(visit, what)]


def test_asks_nothing_of_any_other_host(visits: list[Visit]) -> None:
    assert complaints(visits, "outside") == []


def test_nothing_it_asks_for_is_missing(visits: list[Visit]) -> None:
    assert complaints(visits, "failed") == []


def test_no_script_fails(visits: list[Visit]) -> None:
    assert complaints(visits, "errors") == []


def test_every_page_has_a_title_and_one_heading(visits: list[Visit]) -> None:
    for seen in visits:
        assert seen.saw["title"].strip(), seen
        if Path(seen.page).name not in {"genindex.html", "search.html"}:
            assert seen.saw["heading"] == 1, seen


def test_follows_the_colors_of_the_system(visits: list[Visit]) -> None:
    for seen in visits:
        assert seen.saw["theme"] == seen.window.split(", ")[1], seen


def test_toggle_changes_the_colors(site: str, browser: Browser) -> None:
    context = browser.new_context(**WINDOWS["wide, light"])
    tab = context.new_page()
    tab.goto(site)
    themes = set()
    for _ in range(3):  # the button goes round light, dark and what the system says
        tab.locator("button.theme-switch-button:visible").first.click()
        themes.add(tab.evaluate("document.documentElement.dataset.theme"))
    context.close()
    assert themes == {"light", "dark"}


def test_every_picture_is_drawn_and_described(visits: list[Visit]) -> None:
    for seen in visits:
        for image in seen.saw["images"]:
            assert image["drawn"], f"{seen}: {image['src']}"
            # A file name is what myst-nb writes when the author wrote nothing.
            alt = (image["alt"] or "").strip()
            assert alt, f"{seen}: no alt text for {image['src']}"
            assert "_images/" not in alt, f"{seen}: no alt text for {image['src']}"


def test_formulas_and_plots_are_drawn(visits: list[Visit]) -> None:
    drawn = 0
    for seen in visits:
        for formula in seen.saw["formulas"]:
            assert formula["drawn"], f"{seen}: {formula['tex']}"
            assert not formula["error"], f"{seen}: {formula['tex']}"
            drawn += 1
        for plot in seen.saw["plots"]:
            assert plot["drawn"], f"{seen}: plot {plot['name']}"
    assert drawn, "the book has formulas, and none was found"


def test_no_page_is_wider_than_its_window(visits: list[Visit]) -> None:
    assert [f"{v}: {v.saw['overflow']} px" for v in visits if v.saw["overflow"] > 0] == []


def test_links_within_the_book_lead_somewhere(site: str, visits: list[Visit]) -> None:
    ids = {site + seen.page: set(seen.saw["ids"]) for seen in visits}
    broken = set()
    for seen in visits:
        for link in seen.saw["links"]:
            url, fragment = urldefrag(link)
            if not url.startswith(site):
                continue
            target = unquote(urlsplit(url).path.removeprefix(PREFIX)) or "index.html"
            exists = (HTML / target).is_file()
            if not exists or (fragment and unquote(fragment) not in ids.get(site + target, set())):
                broken.add(f"{seen.page} → {target}#{fragment}")
    assert sorted(broken) == []


def test_the_search_finds_a_page(site: str, browser: Browser) -> None:
    context = browser.new_context(**WINDOWS["wide, light"])
    seen = Visit("search.html", "wide, light")
    tab = watched(context.new_page(), site, seen)
    tab.goto(site + "search.html?q=dose", wait_until="networkidle")
    tab.locator("#search-results li a").first.wait_for(timeout=20_000)
    found = tab.locator("#search-results li a").count()
    context.close()
    assert found > 0
    assert seen.outside + seen.failed + seen.errors == []


def interactive(kind: str = "") -> list[str]:
    """Pages with an interactive figure of a kind, or of any."""
    kinds = [kind] if kind else ["explorer", "dashboard", "calculator"]
    found = [
        page
        for page in pages()
        if any(f'class="wd-{k}' in (HTML / page).read_text("utf-8") for k in kinds)
    ]
    assert found
    return found


def test_moving_a_slider_by_keyboard_changes_curve_and_words(site: str, browser: Browser) -> None:
    drawn = """figure => JSON.stringify(
      figure.querySelector('.wd-chart').data.map(t => [t.x, t.y, t.z]))"""
    for page in interactive("explorer"):
        seen = Visit(page, "in use")
        with browser.new_page() as tab:
            watched(tab, site, seen).goto(site + page)
            for figure in tab.locator(".wd-explorer").all():
                figure.locator(".main-svg").first.wait_for()
                for slider in figure.get_by_role("slider").all():
                    readout = slider.locator("xpath=following-sibling::output")
                    before = figure.evaluate(drawn), readout.inner_text()
                    slider.focus()
                    end = slider.evaluate("s => Number(s.value) === Number(s.max)")
                    slider.press("ArrowLeft" if end else "ArrowRight")
                    after = figure.evaluate(drawn), readout.inner_text()
                    assert all(a != b for a, b in zip(after, before, strict=True)), page
                    assert figure.locator(".wd-chart").get_attribute("aria-label") == (
                        figure.locator(".wd-words").inner_text()
                    )
        assert seen.outside + seen.failed + seen.errors == [], page


def test_without_scripts_the_words_and_a_static_figure_remain(site: str, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        for page in interactive("explorer"):
            tab.goto(site + page)
            words = tab.locator(".wd-explorer .wd-words").all_inner_texts()
            assert len(words) == tab.locator(".wd-explorer").count(), page
            assert all(said.strip() for said in words), page
            still = tab.locator("article figure img, article .cell_output img").count()
            assert still >= len(words), page


def test_every_interactive_figure_says_what_to_try(site: str, browser: Browser) -> None:
    with browser.new_page() as tab:
        for page in interactive():
            tab.goto(site + page)
            for figure in tab.locator(".wd-explorer").all():
                assert figure.locator(".wd-hint").inner_text().strip(), page
            if tab.locator(".wd-dashboard, .wd-calculator").count():
                assert tab.locator("article em", has_text="Try:").count() >= 1, page


def test_without_scripts_a_dashboard_says_where_its_words_are(site: str, browser: Browser) -> None:
    dashboards = 0
    with browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        for page in interactive():
            tab.goto(site + page)
            for board in tab.locator(".wd-dashboard").all():
                dashboards += 1
                assert board.locator("noscript").inner_text().strip(), page
                panel = board.locator(".wd-panel").first
                panel.locator("summary").click()
                assert panel.locator("details p").inner_text().strip(), page
    assert dashboards


def test_a_heading_of_the_ledger_sorts_it_and_turns_it_round(site: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(site + "claims.html")
    rows = page.locator("table.sortable > tbody > tr")
    ids = "rows => rows.map(row => row.cells[0].textContent)"
    written = rows.evaluate_all(ids)
    assert sorted(written) == sorted(record.id for record in claims.read())
    heading = page.locator("table.sortable th", has_text="id").first
    heading.get_by_role("button").press("Enter")  # by keyboard
    assert heading.get_attribute("aria-sort") == "ascending"
    assert rows.evaluate_all(ids) == written  # sources in order, 10 after 9
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert rows.evaluate_all(ids) == written[::-1]
    page.locator("table.sortable th", has_text="verdict").first.get_by_role("button").click()
    verdicts = rows.evaluate_all("rows => rows.map(row => row.cells[1].textContent)")
    assert verdicts == sorted(verdicts)
    assert heading.get_attribute("aria-sort") is None
    page.close()


def test_the_ledger_shows_what_was_claimed_beside_what_was_measured(
    site: str, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(site + "claims.html")
    names = {c.file: c.title for part in course().values() for c in part}
    for record in claims.read():
        row = page.locator(f"#claim-{record.id}")
        assert row.locator("td").nth(1).inner_text() == str(record.verdict)
        quantities = row.locator("table tbody th").all_inner_texts()
        assert {*quantities} == {*record.claimed, *(record.measured or {}), *(record.held or {})}
        for name, value in record.claimed.items():
            cells = row.locator("table tbody tr").nth(quantities.index(name)).locator("td")
            assert float(cells.first.inner_text()) == pytest.approx(value, rel=1e-3)
        if record.chapter:
            assert row.locator(".whence a").inner_text() == names[record.chapter]
    page.close()


@pytest.mark.parametrize("width", [390, 760, 1200, 1440])
def test_the_ledger_fits_in_its_column(site: str, browser: Browser, width: int) -> None:
    with browser.new_page(viewport={"width": width, "height": 900}) as page:
        page.goto(site + "claims.html")
        ledger = page.locator(".ledger:has(.claims)")
        assert ledger.evaluate("box => box.scrollWidth - box.clientWidth") == 0


@pytest.mark.parametrize("exercise", all_exercises(), ids=lambda e: e.id)
def test_hints_open_one_after_the_other_and_the_notebook_can_be_fetched(
    site: str, browser: Browser, exercise: Exercise
) -> None:
    page = browser.new_page()
    page.goto(f"{site}{exercise.chapter}.html")
    card = page.locator(".exercise-card", has_text=exercise.title)
    for number in (1, 2, 3):
        hint = card.get_by_text(f"Hint {number} (").first
        assert hint.is_visible()
        if number < 3:  # the next one is out of sight until this one is open
            assert not card.get_by_text(f"Hint {number + 1} (").first.is_visible()
        hint.click()
    assert card.get_by_text("Hint 1 (").count() == len(exercise.hints)  # one cascade a symptom
    link = card.locator("a.download").get_attribute("href")
    assert link
    assert page.request.get(urljoin(page.url, link)).ok
    page.close()


def test_a_mark_on_a_chapter_is_counted_and_shown_on_other_pages(
    site: str, browser: Browser
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site + "theory/dose.html")
        button = page.get_by_role("button", name="Chapter read")
        button.press("Enter")  # by keyboard
        assert button.get_attribute("aria-pressed") == "true"
        card = page.locator(".exercise-card").first
        card.get_by_role("button", name="Exercise done").press(" ")
        page.goto(site + "exercises.html")
        count = page.locator(".progress-count")
        assert count.inner_text().startswith("1 of ")
        assert ", 1 of " in count.inner_text()
        page.goto(site + "index.html")
        entry = page.locator("article li a", has_text="Timescale and dose").first
        assert entry.locator(".progress-done").inner_text() == "done"


def test_the_front_page_is_one_screen(site: str, browser: Browser) -> None:
    with browser.new_page(viewport={"width": 1280, "height": 800}) as page:
        page.goto(site + "index.html")
        for part in (".front", ".front-figure", ".front-ways"):
            box = page.locator(part).first.bounding_box()
            assert box
            assert box["y"] + box["height"] <= 800, part
        said = page.locator(".front-figure svg[role=img]").get_attribute("aria-label")
        assert said
        assert "claimed" in said


def test_every_chapter_offers_its_notebook(site: str, browser: Browser) -> None:
    with browser.new_page() as page:
        for chapter in chapters():
            page.goto(f"{site}{chapter}.html")
            link = page.locator("a.dropdown-item", has_text=".ipynb").get_attribute("href")
            answer = page.request.get(urljoin(page.url, link or "no-link"))
            assert answer.ok, chapter
            nbformat.validate(answer.json())
            text = "\n".join("".join(cell["source"]) for cell in answer.json()["cells"])
            assert "{glue" not in text, chapter
