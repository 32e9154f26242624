"""What a reader has done, kept by the reader's own browser: marks, counts, and a file of it.

A small Sphinx extension; `theme/progress.js` does the rest, on chapters, the front page and the
page with the panel, and nowhere else. The pages know nothing of a reader: without the script they
read as they stand.

    ```{progress-panel}
    ```
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from course_map import REFERENCE
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from weightdecay.grading import toc
from weightdecay.grading.load import all_exercises

PANEL = (
    '<div class="progress-panel" data-all="{everything}" hidden>'
    '<p class="progress-count" role="status"></p><p class="progress-buttons">'
    '<button type="button" data-do="export">Save as a file</button> '
    '<label>Load a file <input type="file" accept=".json,application/json"></label> '
    '<button type="button" data-do="forget">Forget all</button></p>'
    '<p class="progress-said" role="alert"></p></div>'
)
PAGES = ("index", "exercises")  # the other pages that show marks


def chapters(book: Path = toc.BOOK) -> list[str]:
    """All chapters, in the order of the book."""
    return [f for part, files in toc.parts(book).items() if part != REFERENCE for f in files]


class ProgressPanel(SphinxDirective):
    """Counts and buttons; hidden until the script is there."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(Path(self.env.srcdir) / "_toc.yml"))
        everything = {
            "chapters": chapters(Path(self.env.srcdir)),
            "exercises": {e.id: e.points for e in all_exercises()},
        }
        html = PANEL.format(everything=escape(json.dumps(everything)))
        return [nodes.raw("", html, format="html")]


def _page(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """The script where it is used, and on a chapter the place for its mark."""
    chapter = doctree is not None and pagename in chapters(Path(app.srcdir))
    if chapter:
        context["body"] += f'<div class="progress-mark" data-chapter="{escape(pagename)}"></div>'
    if chapter or pagename in PAGES:
        app.add_js_file("progress.js", loading_method="defer")


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("progress-panel", ProgressPanel)
    app.connect("html-page-context", _page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
