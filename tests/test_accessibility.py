"""The book for those who listen to it, work it by keyboard, read it in the dark or on paper.

axe-core, from the package that carries it, looks at every page twice: at all of it in the light,
and at what colors can spoil in the dark. It sees what is open, so every dropdown is opened first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page

from tests.built_book import HTML, pages, settle

pytestmark = [pytest.mark.site, pytest.mark.browser, pytest.mark.slow]

# And what opens, fades in: half faded in, it has too little contrast.
OPEN = """() => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  return Promise.all(document.getAnimations().map(a => a.finished)).then(() => null);
}"""
DARK = "document.documentElement.dataset.theme = 'dark'"
# All that a change of colors can break.
OF_COLORS = ["color-contrast", "link-in-text-block"]
# Everything above "minor" that no exception covers, and the numbers of the exceptions that were
# needed.
EXAMINE = """async ([rules, allowed]) => {
  const options = { resultTypes: ["violations"], elementRef: true };
  if (rules) options.runOnly = { type: "rule", values: rules };
  const { violations } = await axe.run(document, options);
  const found = [], used = [];
  for (const rule of violations) {
    if (!rule.impact || rule.impact === "minor") continue;
    for (const node of rule.nodes) {
      const number = allowed.findIndex(([id, selector]) =>
        id === rule.id && node.element?.matches(selector));
      if (number < 0) {
        const where = node.target.join(" ");
        found.push(`${rule.id} (${rule.impact}) at ${where}: ${node.failureSummary}`);
      } else used.push(number);
    }
  }
  return { found, used };
}"""


@dataclass(frozen=True)
class Allowed:
    """What axe says of an element of the theme's own, and why we leave it."""

    rule: str
    selector: str
    reason: str


ALLOWED = (
    Allowed(
        "region",
        ".sidebar-primary-item",
        "The theme puts the book's name above its navigation, outside of every landmark. It is "
        "the first thing read on each page, and the title of the window says it, too.",
    ),
    Allowed(
        "aria-required-children",
        ".citation-list",
        "Docutils marks a bibliography as a list of entries with the role doc-biblioentry, which "
        "are items of a list to DPUB-ARIA 1.0; axe goes by 1.1, where that role is deprecated.",
    ),
)


def examine(tab: Page, rules: list[str] | None = None) -> tuple[list[str], set[int]]:
    """What is wrong with a page as it stands, and which of the exceptions it needs."""
    if not tab.evaluate("() => 'axe' in window"):
        tab.evaluate(AXE_SCRIPT)
    answer = tab.evaluate(EXAMINE, [rules, [[e.rule, e.selector] for e in ALLOWED]])
    return answer["found"], set(answer["used"])


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One tab for all pages; nothing on it moves, so that no color is caught between two."""
    with browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    ) as context:
        context.set_default_timeout(60_000)
        yield context.new_page()


@dataclass
class Findings:
    wrong: list[str]
    needed: set[int]
    wide: list[str]


@pytest.fixture(scope="module")
def findings(site: str, tab: Page) -> Findings:
    all_of_it = Findings([], set(), [])
    for page in pages():
        tab.set_viewport_size({"width": 1280, "height": 900})
        tab.goto(site + page)
        settle(tab)
        tab.evaluate(OPEN)
        light, needed = examine(tab)
        tab.evaluate(DARK)
        dark, needed_too = examine(tab, OF_COLORS)
        all_of_it.wrong += [f"{page}, light: {x}" for x in light]
        all_of_it.wrong += [f"{page}, dark: {x}" for x in dark]
        all_of_it.needed |= needed | needed_too
        tab.set_viewport_size({"width": 390, "height": 844})
        if (over := tab.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            all_of_it.wide.append(f"{page}: {over} px")
    return all_of_it


def test_axe_finds_nothing_above_minor_on_any_page(findings: Findings) -> None:
    assert findings.wrong == []


@pytest.mark.parametrize("page", ["index.html", "theory/dose.html", "exercises.html"])
def test_nor_on_a_phone_where_the_menus_are_folded_away(site: str, tab: Page, page: str) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(site + page)
    settle(tab)
    assert examine(tab)[0] == []


def test_every_exception_is_still_needed(findings: Findings) -> None:
    idle = set(range(len(ALLOWED))) - findings.needed
    assert [ALLOWED[number] for number in sorted(idle)] == []


def test_open_dropdowns_do_not_widen_a_page_on_a_phone(findings: Findings) -> None:
    assert findings.wide == []


PLAIN = """<!DOCTYPE html><html lang="en"><head><title>A page</title><style>
  p {{ background: #fff; color: #000; }} [data-theme=dark] p {{ background: #111; color: {dark}; }}
</style></head><body><main><h1>A page</h1><p>Words</p>{body}</main></body></html>"""


@pytest.mark.parametrize(
    ("body", "dark", "rules"),
    [
        ("", "#eee", []),
        ("<button></button>", "#eee", ["button-name"]),
        ("<input>", "#eee", ["label"]),
        ('<img src="data:,">', "#eee", ["image-alt"]),
        ("<details><summary>s</summary><img src='data:,'></details>", "#eee", ["image-alt"]),
        ("", "#333", ["color-contrast"]),
    ],
)
def test_axe_is_heard(browser: Browser, body: str, dark: str, rules: list[str]) -> None:
    page = browser.new_page()
    page.set_content(PLAIN.format(body=body, dark=dark))
    page.evaluate(OPEN)
    light, _ = examine(page)
    page.evaluate(DARK)
    found = light + examine(page, OF_COLORS)[0]
    page.close()
    assert [x.split(" (")[0] for x in found] == rules


# By keyboard.

CONTROLS = """article => [...article.querySelectorAll(
  "input, select, textarea, button, summary, [tabindex='0']")].filter(e =>
  e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0)"""
# Where the keyboard is, by number among the controls; -1 elsewhere; and whether one can see it.
FOCUSED = """controls => {
  const at = document.activeElement, style = getComputedStyle(at);
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== "none";
  return [controls.indexOf(at), seen, at.outerHTML.slice(0, 120)];
}"""


def interactive(kind: str) -> str:
    """The first page that has an element of a class, and a card of an exercise."""
    for name in pages():
        html = (HTML / name).read_text("utf-8")
        if f'class="{kind}' in html and "exercise-card" in html:
            return name
    raise AssertionError(f"no page with .{kind} and an exercise")


@pytest.mark.parametrize("kind", ["wd-explorer", "wd-dashboard"])
def test_tab_reaches_every_control_in_order_and_one_sees_where(
    site: str, tab: Page, kind: str
) -> None:
    tab.goto(site + interactive(kind))
    settle(tab)
    article = tab.locator("article").element_handle()
    assert article
    controls = article.evaluate_handle(CONTROLS)
    wanted = controls.evaluate("controls => controls.length")
    assert wanted > 5
    article.evaluate("article => { article.tabIndex = -1; article.focus(); }")
    reached: list[int] = []
    unseen = []
    for _ in range(1000):
        tab.keyboard.press("Tab")
        number, seen, html = controls.evaluate(FOCUSED)
        if number >= 0:
            reached.append(number)
            if not seen:
                unseen.append(html)
        elif not article.evaluate("article => article.contains(document.activeElement)"):
            break
    assert reached == list(range(wanted))
    assert unseen == []


def test_the_first_tab_offers_to_skip_what_every_page_has(site: str, tab: Page) -> None:
    tab.goto(site)
    settle(tab)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#main-content"


def test_a_card_opens_hint_by_hint_with_enter(site: str, tab: Page) -> None:
    tab.goto(site + interactive("wd-explorer"))
    settle(tab)
    card = tab.locator(".exercise-card").first
    for number in (1, 2, 3):
        hint = card.locator("summary", has_text=f"Hint {number} (").first
        hint.press("Enter")
        assert hint.locator("xpath=following-sibling::*").first.is_visible()


def test_the_controls_of_a_dashboard_change_its_curves(site: str, tab: Page) -> None:
    tab.goto(site + interactive("wd-dashboard"))
    settle(tab)
    board = tab.locator(".wd-dashboard").first
    chart = board.locator(".wd-chart").first
    drawn = "c => JSON.stringify(c.data.map(t => [t.x, t.y, t.visible]))"
    for control, key in (
        (board.locator("select[name=x]"), "ArrowDown"),
        (board.locator("input[name=smooth]"), "ArrowRight"),
        (board.locator("input[name=run]").first, "Space"),
    ):
        before = chart.evaluate(drawn)
        control.press(key)
        assert chart.evaluate(drawn) != before, key


# On paper.


def shown(tab: Page, selector: str) -> int:
    """How many of the elements one can see."""
    visible: int = tab.locator(selector).evaluate_all(
        "found => found.filter(e => e.checkVisibility({ visibilityProperty: true })).length"
    )
    return visible


@pytest.fixture
def printed(site: str, tab: Page) -> Iterator[dict[str, Any]]:
    """A chapter as it is printed from a dark screen: what the browser does, without paper."""
    tab.goto(site + interactive("wd-explorer"))
    settle(tab)
    tab.evaluate(DARK)
    before = tab.evaluate("document.querySelectorAll('details[open]').length")
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    yield {"open": before}
    tab.emulate_media(media="screen")


def test_paper_has_the_text_and_nothing_to_click(tab: Page, printed: dict[str, Any]) -> None:
    assert shown(tab, "article h2") > 3
    assert shown(tab, "figure.wd-explorer .main-svg") > 0
    assert shown(tab, ".bd-sidebar, .bd-header-article, button:not(th button), input") == 0


def test_paper_is_light_and_the_screen_is_dark_again(tab: Page, printed: dict[str, Any]) -> None:
    assert tab.evaluate("document.documentElement.dataset.theme") == "light"
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert tab.evaluate("document.querySelectorAll('details[open]').length") == printed["open"]


def test_paper_has_the_answers_and_no_hints(tab: Page, printed: dict[str, Any]) -> None:
    answers = "article details.sd-dropdown .sd-summary-content"
    assert shown(tab, answers) == shown(tab, f"{answers}:not(.exercise-card *)") > 0
    assert shown(tab, ".exercise-card") > 0
