"""`just links`: which addresses it asks, and what it says of the answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import links
import pytest

ANSWERS = {"/fine": 200, "/gone": 404, "/robots-out": 403}


class Host(BaseHTTPRequestHandler):
    """Another host, as far as the site is concerned."""

    def do_GET(self) -> None:
        self.send_response(ANSWERS.get(self.path, 404))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the names are the library's

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def site(root: Path, body: str, readme: str = "") -> Path:
    html = root / "_build" / "html"
    html.mkdir(parents=True)
    (html / "index.html").write_text(body)
    (root / "README.md").write_text(readme)
    return html


def test_collects_what_leads_outside_once_with_its_pages(tmp_path: Path) -> None:
    html = site(
        tmp_path,
        '<a href="https://a.example/x#part">x</a> <a href="dose.html">in</a>'
        '<img src="_images/a.png">'
        '<a href="#here">here</a> <a href="mailto:a@b.example">mail</a>'
        '<a href="https://b.example/?a=1&amp;b=2">b</a>',
        "See [x](https://a.example/x) and <https://c.example>.",
    )
    (html / "_static").mkdir()
    (html / "_static" / "theme.html").write_text('<a href="https://theme.example">t</a>')
    assert links.collect(html, [tmp_path / "README.md"]) == {
        "https://a.example/x": {"index.html", "README.md"},
        "https://b.example/?a=1&b=2": {"index.html"},
        "https://c.example": {"README.md"},
    }


@pytest.mark.slow
def test_names_what_is_broken_and_where_and_what_only_refuses(
    tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    anchors = "".join(f'<a href="{host}{path}">x</a>' for path in ANSWERS)
    site(tmp_path, anchors)
    assert links.main(tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"refused {host}/robots-out: 403 Forbidden (on index.html)",
        f"BROKEN  {host}/gone: 404 Not Found (on index.html)",
        "3 external links: 1 answer, 1 refuse robots, 1 broken",
    ]


@pytest.mark.slow
def test_a_host_that_does_not_answer_is_broken() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        nobody = f"http://127.0.0.1:{server.server_port}/"  # closed again: nobody listens
    (answer,) = links.ask([nobody]).values()
    assert answer.startswith("ConnectionError")


def test_a_refusal_alone_does_not_fail() -> None:
    pages = {"https://a.example": {"index.html"}, "https://b.example": {"index.html"}}
    text, broken = links.report(pages, {"https://a.example": "429 Slow", "https://b.example": ""})
    assert broken == 0
    assert text.endswith("2 external links: 1 answer, 1 refuse robots, 0 broken")


def test_without_a_book_it_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert links.main(tmp_path) == 1
    assert capsys.readouterr().err == "links: there is no built book; `./justw book` makes it\n"
