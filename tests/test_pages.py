"""The built pages as files: valid HTML, links and fragments that resolve, no page out of reach.

html5lib reads each page as the HTML standard says and reports every place where it has to guess
(elements left open, closed twice or out of place, doubled attributes, stray ampersands). What it
does not look at is checked here: ids, references to ids, and the words for pictures. The first
tests show that the checks have teeth; those marked `site` read the book: `./justw test-site`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import html5lib
import pytest
from html5lib.constants import E as SAYS
from progress import chapters

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
HOST = "https://book.invalid/"
# Attributes that name elements of the same page by their ids.
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "headers")
# The theme's own faults, and why we leave them: `page: fault` begins with the key. A test fails
# when one is gone, so that it leaves this list, too.
ALLOWED = {
    "search.html: id 'search-input' is used 2 times": (
        "the theme has a search box on every page, and Sphinx one more on the page of results"
    ),
}


@dataclass(frozen=True)
class Element:
    name: str
    attributes: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Page:
    elements: tuple[Element, ...]
    errors: tuple[str, ...]

    def of(self, *names: str) -> Iterator[Element]:
        return (element for element in self.elements if element.name in names)

    @property
    def ids(self) -> Counter[str]:
        return Counter(e.attributes["id"] for e in self.elements if "id" in e.attributes)

    @property
    def targets(self) -> set[str]:
        """What a fragment can lead to: ids, and the old names of anchors."""
        return {*self.ids, *(e.attributes["name"] for e in self.of("a") if "name" in e.attributes)}

    def links(self) -> Iterator[str]:
        """Everything that the page leads to or loads."""
        for element in self.elements:
            for key in ("href", "src", "poster", "data", "action"):
                # `data` is an address in <object> alone.
                if key in element.attributes and (key != "data" or element.name == "object"):
                    yield element.attributes[key].strip()
            for candidate in element.attributes.get("srcset", "").split(","):
                if candidate.strip():
                    yield candidate.split()[0]


def read(html: str) -> Page:
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    root = parser.parse(html)
    elements = tuple(
        # In a picture a name has its namespace in front: a <title> there titles no page.
        Element(
            node.tag.rpartition("}")[2],
            dict(node.attrib),
            (node.text or "") if node.tag == "title" else "",
        )
        for node in root.iter()
        if isinstance(node.tag, str)  # a comment's is a function
    )
    errors = tuple(
        f"line {line}: {SAYS.get(code, code) % details}"
        for (line, _), code, details in parser.errors
    )
    return Page(elements, errors)


def faults(page: Page) -> list[str]:
    """Everything that is wrong with one page by itself."""
    found = list(page.errors)
    found += [f"id {name!r} is used {n} times" for name, n in page.ids.items() if n > 1 or not name]
    for element in page.elements:
        for key in REFERENCES:
            for name in element.attributes.get(key, "").split():
                if name not in page.ids:
                    found.append(f"<{element.name}> {key} names {name!r}, which no element has")
    for image in page.of("img", "area", "input"):
        if image.name == "input" and image.attributes.get("type") != "image":
            continue
        if "alt" not in image.attributes:
            found.append(f"<{image.name}> without alt: {image.attributes.get('src', '')[:80]}")
    if not any(html.attributes.get("lang") for html in page.of("html")):
        found.append("<html> names no language")
    if not any(title.text.strip() for title in page.of("title")):
        found.append("no title")
    return found


def inside(name: str, link: str) -> tuple[str, str] | None:
    """The file and the fragment that a link on a page means; nothing if it leads elsewhere."""
    parts = urlsplit(urljoin(HOST + name, link))
    if f"{parts.scheme}://{parts.netloc}/" != HOST:
        return None
    path = unquote(parts.path).lstrip("/")
    if not path or path.endswith("/"):
        path += "index.html"
    return path, unquote(parts.fragment)


def broken(pages: Mapping[str, Page], files: set[str]) -> list[str]:
    """Links within the book whose file or fragment does not exist."""
    found = set()
    targets = {name: page.targets for name, page in pages.items()}
    for name, page in pages.items():
        for link in page.links():
            goal = inside(name, link)
            if goal is None:
                continue
            path, fragment = goal
            if path not in files:
                found.add(f"{name}: {link} leads to no file")
            elif fragment and path in pages and fragment not in targets[path]:
                found.add(f"{name}: {link} leads to no place on {path}")
    return sorted(found)


def orphans(pages: Mapping[str, Page], start: str = "index.html") -> set[str]:
    """Pages that no chain of links, or of boxes to type into, leads to from the front page."""
    seen, queue = {start}, [start]
    while queue:
        name = queue.pop()
        for element in pages[name].of("a", "form"):
            link = element.attributes.get("href" if element.name == "a" else "action")
            goal = inside(name, link) if link else None
            if goal and goal[0] in pages and goal[0] not in seen:
                seen.add(goal[0])
                queue.append(goal[0])
    return set(pages) - seen


def loads(name: str, page: Page) -> dict[str, set[str]]:
    """The book's files that a page makes the browser fetch at once, by what asks for them."""
    found: dict[str, set[str]] = {"img": set(), "script": set(), "link": set()}
    for element in page.of("img", "script", "link"):
        styles = element.name != "link" or element.attributes.get("rel") == "stylesheet"
        link = element.attributes.get("href" if element.name == "link" else "src")
        goal = inside(name, link) if link and styles else None
        if goal:
            found[element.name].add(goal[0])
    return found


# What the checks must find.

FRAME = '<!DOCTYPE html><html lang="en"><head><title>A</title></head><body>{}</body></html>'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<div><span>open</div>", "End tag (div)"),
        ("<section>never closed", "Missing end tag (section)"),
        ("closed twice</em>", "end tag (em)"),
        ("<b><i>crossed</b></i>", "End tag (b)"),
        ('<img src="a.png" alt="a" alt="b">', "attribute"),
        ("<table><p>in no cell</p></table>", "p"),
        ('<a href="x">one <a href="y">in another</a></a>', "start tag (a)"),
        ('<p id="x"></p><p id="x"></p>', "id 'x' is used 2 times"),
        ('<img src="a.png">', "<img> without alt: a.png"),
        ('<input type="image" src="go.png">', "<input> without alt: go.png"),
        ('<label for="gone">x</label>', "<label> for names 'gone'"),
        ('<div role="img" aria-labelledby="gone"></div>', "aria-labelledby names 'gone'"),
    ],
)
def test_each_fault_is_found(body: str, says: str) -> None:
    found = faults(read(FRAME.format(body)))
    assert found
    assert any(says in fault for fault in found), found


def test_a_page_without_language_or_title_is_found() -> None:
    found = faults(read("<!DOCTYPE html><html><head></head><body></body></html>"))
    assert found == ["<html> names no language", "no title"]


def test_what_is_right_is_left_alone() -> None:
    body = (
        "<ul><li>an end tag<li>that HTML lets go</ul><br/><details><summary>x</summary>y</details>"
        '<svg viewBox="0 0 1 1"><title>t</title><path d="M0 0"/></svg><img src="a" alt="">'
        '<label for="a">A</label><input id="a"><p>a &amp; b</p>'
    )
    assert faults(read(FRAME.format(body))) == []


def test_links_are_followed_from_where_they_stand() -> None:
    pages = {
        "index.html": read(
            FRAME.format(
                '<a href="part/a.html#here">1</a><a href="part/a.html#gone">2</a>'
                '<a href="#no">3</a>'
                '<a href="part/">4</a><a href="https://x.example/#y">5</a>'
                '<a href="mailto:a@b.c">6</a>'
                '<img src="data:," alt=""><img src="_images/no.png" alt="" srcset="b.png 2x">'
                '<a href="part/a.html#%C3%BC">7</a>'
            )
        ),
        "part/a.html": read(
            FRAME.format('<p id="here"></p><p id="ü"></p><a href="../index.html">back</a>')
        ),
    }
    assert broken(pages, {*pages, "b.png"}) == [
        "index.html: #no leads to no place on index.html",
        "index.html: _images/no.png leads to no file",
        "index.html: part/ leads to no file",
        "index.html: part/a.html#gone leads to no place on part/a.html",
    ]


def test_a_page_that_only_orphans_lead_to_is_an_orphan() -> None:
    bodies = {
        "index.html": '<a href="a.html">a</a>',
        "a.html": '<a href="index.html">home</a>',
        "b.html": '<a href="c.html">c</a>',
        "c.html": '<a href="b.html">b</a>',
    }
    pages = {name: read(FRAME.format(body)) for name, body in bodies.items()}
    assert orphans(pages) == {"b.html", "c.html"}


# The book.


@pytest.fixture(scope="module")
def files() -> set[str]:
    assert (HTML / "index.html").exists(), "there is no built book; `./justw test-site` makes it"
    return {p.relative_to(HTML).as_posix() for p in HTML.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def pages(files: set[str]) -> dict[str, Page]:
    names = sorted(n for n in files if n.endswith(".html") and not n.startswith("_static/"))
    return {name: read((HTML / name).read_text("utf-8")) for name in names}


@pytest.mark.site
def test_every_page_is_valid_html(pages: dict[str, Page]) -> None:
    found = [f"{name}: {fault}" for name, page in pages.items() for fault in faults(page)]
    assert [line for line in found if not line.startswith(tuple(ALLOWED))] == []
    assert [key for key in ALLOWED if not any(line.startswith(key) for line in found)] == []


@pytest.mark.site
def test_every_link_and_fragment_in_the_book_resolves(
    pages: dict[str, Page], files: set[str]
) -> None:
    assert broken(pages, files) == []


@pytest.mark.site
def test_every_page_can_be_reached_from_the_front_page(pages: dict[str, Page]) -> None:
    assert orphans(pages) == set()


@pytest.mark.site
def test_no_cell_ended_in_an_error_or_a_warning(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for element in page.elements:
            kinds = element.attributes.get("class", "").split()
            assert not {"traceback", "stderr"} & {*kinds}, f"{name}: {element.text}"


@pytest.mark.site
def test_the_status_page_has_every_chapter_and_how_it_ran() -> None:
    page = (HTML / "status.html").read_text("utf-8")
    rows = [re.findall(r"<td>(.*?)</td>", row, re.S) for row in page.split("<tr")]
    ran = {}
    for cells in (c for c in rows if len(c) == 5):
        name, _, _, seconds, how = (re.sub(r"<[^>]+>", "", cell).strip() for cell in cells)
        ran[name] = (float(seconds), how)
    assert {*chapters(ROOT / "book")} <= {*ran}
    assert all(seconds > 0 and how == "ok" for seconds, how in ran.values())


LARGEST = 1_500_000  # bytes of a page with its pictures
MARKS = {  # scripts of ours, and what a page that loads one must hold
    "_static/interactive/common.js": ("wd-explorer", "wd-dashboard"),
    "_static/interactive/explorer.js": ("wd-explorer",),
    "_static/interactive/calculator.js": ("wd-calculator",),
    "_static/dashboard/dashboard.js": ("wd-dashboard",),
    "_static/sortable.js": ("sortable",),
    "_static/progress.js": ("progress-mark", "progress-panel", "exercise-", "map-part-"),
}


@pytest.mark.site
def test_no_page_is_heavy_beyond_the_shared_scripts(pages: dict[str, Page]) -> None:
    heavy = []
    for name, page in pages.items():
        asked = loads(name, page)
        own = [HTML / name, *(HTML / file for file in asked["img"])]
        own += [HTML / f for f in asked["script"] | asked["link"] if not f.startswith("_static/")]
        if (size := sum(path.stat().st_size for path in own)) > LARGEST:
            heavy.append(f"{name}: {size} bytes")
    assert heavy == []


@pytest.mark.site
def test_every_shared_script_is_one_file_with_one_address(
    pages: dict[str, Page], files: set[str]
) -> None:
    """The same bytes are never in two files, and no file is asked for under two addresses: a
    browser then fetches each once."""
    contents = Counter((HTML / f).read_bytes() for f in files if f.endswith((".js", ".css")))
    twice = [f for f in files if f.endswith((".js", ".css"))
             and contents[(HTML / f).read_bytes()] > 1]  # fmt: skip
    assert twice == []
    addresses: dict[str, set[str]] = {}
    for name, page in pages.items():
        for link in (e.attributes.get("src") for e in page.of("script")):
            parts = urlsplit(urljoin(HOST + name, link or ""))
            addresses.setdefault(parts.path, set()).update([parts.query] if link else [])
    assert {path: found for path, found in addresses.items() if len(found) > 1} == {}


@pytest.mark.site
def test_a_script_of_ours_loads_only_where_it_is_used(pages: dict[str, Page]) -> None:
    used: set[str] = set()
    for name, page in pages.items():
        words = [f"{e.attributes.get('class', '')} {e.attributes.get('id', '')}"
                 for e in page.elements]  # fmt: skip
        scripts = loads(name, page)["script"]
        assert "_static/plotly.min.js" not in scripts, name  # common.js fetches it for a figure
        for script in scripts & set(MARKS):
            assert any(mark in text for text in words for mark in MARKS[script]), (name, script)
        used |= scripts & set(MARKS)
    assert used == set(MARKS)
