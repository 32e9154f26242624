"""The built book, as the tests that open it in a browser see it: its pages, served below a path.

Project pages lie below a path of their own, so the tests' server puts the book there, too.
"""

from __future__ import annotations

import contextlib
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PREFIX = "/weight-decay/"

DRAWN = """() => document.documentElement.dataset.theme !== "auto"
  && [...document.querySelectorAll(".math")].every(m => m.querySelector("mjx-container"))
  && [...document.querySelectorAll(".plotly-graph-div, .wd-chart")]
    .every(p => p.querySelector(".main-svg"))"""


class Handler(SimpleHTTPRequestHandler):
    """The book below PREFIX; everything else is missing."""

    def translate_path(self, path: str) -> str:
        inside = path.startswith(PREFIX)
        return super().translate_path("/" + path.removeprefix(PREFIX) if inside else "/no/such")

    def log_message(self, *args: object) -> None:
        pass


def pages() -> list[str]:
    """Every page of the book, below HTML."""
    found = sorted(
        path.relative_to(HTML).as_posix()
        for path in HTML.rglob("*.html")
        if "_static" not in path.parts
    )
    assert "index.html" in found
    return found


def settle(tab: Page) -> None:
    """Bring lazy pictures into view and wait until the mathematics stands."""
    tab.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    tab.evaluate("() => window.MathJax?.startup?.promise")
    tab.wait_for_load_state("networkidle")
    # A busy machine can be silent before the scripts have run. What is not drawn by then never is;
    # the tests say so by name.
    with contextlib.suppress(PlaywrightTimeout):
        tab.wait_for_function(DRAWN, timeout=15_000)
