"""Make one PDF of the built book: ``just pdf``.

Chromium prints every page in the order of the table of contents, in the style that print.css gives
it; pypdf puts them behind each other. A bookmark a chapter, below its part; a link from page to
page of the book leads there in the PDF, too.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Route, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject, NullObject

from weightdecay.grading import toc
from weightdecay.runs import RunError, atomic_path

ROOT = Path(__file__).resolve().parent.parent
TITLE = "Weight Decay, Measured"
HOST = "https://book.invalid/"  # where the pages think they are while they are printed
WIDTH = 658  # px: A4 less the margins of print.css; figures that scripts draw fill it
EAGER = "[...document.images].map(i => i.loading = 'eager') && window.MathJax?.startup?.promise"
READY = "[...document.querySelectorAll('.wd-chart')].every(c => c.querySelector('.main-svg'))"
PAPER: dict[str, Any] = {
    "format": "A4",
    "margin": dict.fromkeys(("top", "right", "bottom", "left"), "18mm"),
    "print_background": True,
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": '<div style="font-size: 8pt; width: 100%; text-align: center">'
    '<span class="title"></span> · <span class="pageNumber"></span></div>',
}


@dataclass(frozen=True)
class Chapter:
    """A printed page of the book; its file is named without ending, its part by the caption."""

    file: str
    part: str
    title: str
    pdf: bytes


def order(book: Path = toc.BOOK) -> list[tuple[str, str]]:
    """Part and file of every page, as in the table of contents; the front page is its own part."""
    return [(TITLE, "index"), *((p, f) for p, files in toc.parts(book).items() for f in files)]


def printed(site: Path, pages: Sequence[tuple[str, str]]) -> Iterator[Chapter]:
    """Every page as Chromium prints it."""
    chromium = shutil.which("chromium")
    if not chromium:
        raise RunError("no chromium on the PATH; it prints the pages")
    for _, file in pages:
        if not (site / f"{file}.html").is_file():
            raise RunError(f"there is no built page {file}.html; `just book` makes it")

    def answer(route: Route) -> None:
        """From the disk, and from nowhere else."""
        path = site / unquote(urlsplit(route.request.url).path).lstrip("/")
        if route.request.url.startswith(HOST) and path.is_file():
            route.fulfill(path=path)
        else:
            route.abort()

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": 930}, color_scheme="light")
        tab.emulate_media(media="print", reduced_motion="reduce")
        tab.set_default_timeout(120_000)
        tab.route("**/*", answer)
        for part, file in pages:
            tab.goto(f"{HOST}{file}.html")
            tab.evaluate(EAGER)
            tab.wait_for_load_state("networkidle")
            tab.wait_for_function(READY)
            yield Chapter(file, part, tab.title().removesuffix(f" — {TITLE}"), tab.pdf(**PAPER))
        browser.close()


def merged(chapters: Sequence[Chapter]) -> PdfWriter:
    """All of them in one document, with bookmarks and with links that lead within it."""
    writer, part, above = PdfWriter(), "", None
    readers = [PdfReader(io.BytesIO(chapter.pdf)) for chapter in chapters]
    first: dict[str, int] = {}
    for chapter, reader in zip(chapters, readers, strict=True):
        first[chapter.file] = len(writer.pages)
        for page in reader.pages:
            writer.add_page(page)
    for chapter, reader in zip(chapters, readers, strict=True):
        start = first[chapter.file]
        if chapter.part != part:
            part = chapter.part
            above = writer.add_outline_item(title=part, page_number=start)
        if chapter.title != part:
            writer.add_outline_item(title=chapter.title, page_number=start, parent=above)
        for page in writer.pages[start : start + len(reader.pages)]:
            links = [link.get_object() for link in page.get("/Annots", ())]
            kept = [link for link in links if lead(link, writer, start, reader, first)]
            page[NameObject("/Annots")] = ArrayObject(kept)
    writer.add_metadata({"/Title": TITLE})
    return writer


def lead(
    link: Any, writer: PdfWriter, start: int, reader: PdfReader, first: Mapping[str, int]
) -> bool:
    """Make a link into the book lead to its place in the PDF; false if there is no such place."""
    action = link.get("/A", {})
    name, uri = str(link.get("/Dest", action.get("/D", ""))), str(action.get("/URI", ""))
    file = unquote(urlsplit(uri).path).strip("/").removesuffix(".html")
    if name in reader.named_destinations:
        # Chapters use the same names, so the place itself stands in for the name.
        place = reader.named_destinations[name]
        page, top = start + (reader.get_destination_page_number(place) or 0), place.top
    elif uri.startswith(HOST) and file in first:
        page, top = first[file], None
    else:
        return bool(uri) and not uri.startswith(HOST)  # a notebook to download has no place
    link.pop("/A", None)
    there = [writer.pages[page].indirect_reference, NameObject("/XYZ"), NullObject()]
    link[NameObject("/Dest")] = ArrayObject([*there, top or NullObject(), NullObject()])
    return True


def main(root: Path = ROOT) -> int:
    try:
        book = merged(list(printed(root / "_build" / "html", order())))
    except RunError as error:
        print(f"pdf: {error}", file=sys.stderr)
        return 1
    target = root / "_build" / "weight-decay-measured.pdf"
    with atomic_path(target) as temporary:
        book.write(temporary)
    print(f"The PDF: {target} ({len(book.pages)} pages, {target.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
