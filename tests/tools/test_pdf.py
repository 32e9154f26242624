"""`just pdf`: the order of the book, bookmarks, links that stay inside; the built book's PDF."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pdf
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link
from pypdf.generic import (
    ArrayObject,
    Destination,
    DictionaryObject,
    Fit,
    NameObject,
    NullObject,
    TextStringObject,
)

from weightdecay.grading import toc

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"


def chapter(file: str, part: str, title: str, links: list[str], pages: int = 2) -> pdf.Chapter:
    """A chapter as Chromium prints it: links on its first page, a named place, "here", on its last.

    A link is an address, or the name of a place with a # before it.
    """
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 200)
    last = writer.pages[-1].indirect_reference
    assert last
    writer.add_named_destination_object(Destination("/here", last, Fit.xyz(0, 150)))
    for target in links:
        made = Link(rect=(0, 0, 10, 10), url="x")
        if target.startswith("#"):
            del made["/A"]
            made[NameObject("/Dest")] = NameObject("/" + target[1:])
        else:
            made[NameObject("/A")] = DictionaryObject(
                {NameObject("/S"): NameObject("/URI"), NameObject("/URI"): TextStringObject(target)}
            )
        writer.add_annotation(0, made)
    file_ = io.BytesIO()
    writer.write(file_)
    return pdf.Chapter(file, part, title, file_.getvalue())


def written(chapters: list[pdf.Chapter]) -> PdfReader:
    file = io.BytesIO()
    pdf.merged(chapters).write(file)
    return PdfReader(file)


def goals(reader: PdfReader, number: int) -> list[object]:
    """Where the links of a page lead: an address, or the number of a page and the height on it."""
    found: list[object] = []
    for entry in reader.pages[number].get("/Annots", ArrayObject()):
        link = entry.get_object()
        if "/A" in link:
            found.append(str(link["/A"]["/URI"]))
        else:
            page, _, _, top, _ = link["/Dest"]
            height = None if isinstance(top, NullObject) else float(top)
            found.append((reader.get_page_number(page.get_object()), height))
    return found


def test_bookmarks_stand_below_their_parts_at_their_pages() -> None:
    book = written(
        [
            chapter("index", pdf.TITLE, pdf.TITLE, [], pages=1),
            chapter("a/one", "Part 1", "One", []),
            chapter("a/two", "Part 1", "Two", []),
            chapter("b/three", "Part 2", "Three", []),
        ]
    )
    outline: list[Any] = [x if isinstance(x, list) else [x] for x in book.outline]
    flat = [[(str(x.title), book.get_destination_page_number(x)) for x in g] for g in outline]
    assert flat == [
        [(pdf.TITLE, 0)],
        [("Part 1", 1)],
        [("One", 1), ("Two", 3)],
        [("Part 2", 5)],
        [("Three", 5)],
    ]
    assert book.metadata
    assert book.metadata.title == pdf.TITLE


def test_links_lead_inside_the_book_and_outside_as_before() -> None:
    book = written(
        [
            chapter("index", pdf.TITLE, pdf.TITLE, [pdf.HOST + "a/two.html#somewhere", "#here"], 1),
            chapter("a/one", "Part 1", "One", ["#here", pdf.HOST + "index.html"]),
            chapter("a/two", "Part 1", "Two", ["#here", "https://x.example/a.html"]),
        ]
    )
    assert goals(book, 0) == [(3, None), (0, 150)]
    assert goals(book, 1) == [(2, 150), (0, None)]  # the same name, another place
    assert goals(book, 3) == [(4, 150), "https://x.example/a.html"]


def test_a_link_to_what_is_not_in_the_pdf_is_none() -> None:
    gone = [pdf.HOST + "_downloads/1/exercise.ipynb", pdf.HOST + "search.html", "#nowhere"]
    assert goals(written([chapter("index", pdf.TITLE, pdf.TITLE, gone)]), 0) == []


def test_the_order_is_that_of_the_contents_with_the_front_page_first() -> None:
    files = [file for chapters in toc.parts().values() for file in chapters]
    assert [file for _, file in pdf.order()] == ["index", *files]


def test_without_a_book_or_a_browser_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert pdf.main(tmp_path) == 1
    assert capsys.readouterr().err == (
        "pdf: there is no built page index.html; `just book` makes it\n"
    )
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert pdf.main(tmp_path) == 1
    assert capsys.readouterr().err == "pdf: no chromium on the PATH; it prints the pages\n"


# The built book.


@pytest.fixture(scope="module")
def chapters() -> list[pdf.Chapter]:
    return list(pdf.printed(HTML, pdf.order()))


@pytest.mark.site
@pytest.mark.browser
@pytest.mark.slow
def test_every_chapter_is_printed_with_its_words(chapters: list[pdf.Chapter]) -> None:
    for one in chapters:
        pages = PdfReader(io.BytesIO(one.pdf)).pages
        text = " ".join(" ".join(page.extract_text() for page in pages).split())
        text = normalize("NFKC", text)  # some fonts have one letter for "fi"
        assert normalize("NFKC", one.title) in text, one.file
        assert len(text) > 1000, one.file
        # A page can be all figure; two in a row without a word are a fault of the style.
        empty = [not page.extract_text().replace(one.title, "").strip() for page in pages]
        assert not any(a and b for a, b in pairwise(empty)), one.file


@pytest.mark.site
@pytest.mark.browser
@pytest.mark.slow
def test_figures_and_formulas_are_printed(chapters: list[pdf.Chapter]) -> None:
    figures = 0
    for one in chapters:
        page = (HTML / f"{one.file}.html").read_text("utf-8")
        shown = set(re.findall(r'<img [^>]*src="[./]*(_images/[^"]+\.png)"', page))
        pages = PdfReader(io.BytesIO(one.pdf)).pages
        drawn = {image.indirect_reference for p in pages for image in p.images}
        assert len(drawn) >= len(shown), one.file
        text = "".join(page.extract_text() for page in pages)
        assert not re.search(r"\\(frac|eta|lambda|theta)\b", text), one.file
        figures += len(shown)
    assert figures


@pytest.mark.site
@pytest.mark.browser
@pytest.mark.slow
def test_the_pdf_holds_all_chapters_and_names_no_server(chapters: list[pdf.Chapter]) -> None:
    file = io.BytesIO()
    pdf.merged(chapters).write(file)
    book = PdfReader(file)
    assert len(book.pages) == sum(len(PdfReader(io.BytesIO(c.pdf)).pages) for c in chapters)
    addresses = [goal for n in range(len(book.pages)) for goal in goals(book, n)]
    assert sum(isinstance(goal, tuple) for goal in addresses) > len(chapters)
    assert [goal for goal in addresses if str(goal).startswith(pdf.HOST)] == []
