"""Ask every other host that the site links to: ``just links``.

Takes the links from the built pages, as a reader meets them, and from the Markdown files beside
the README; LinkChecker asks each address once. A host that refuses robots (401, 403, 429,
robots.txt) is named but breaks nothing: such a link may be fine. Links inside the site are tested
by tests/test_pages.py.
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
# "syntax OK" is all that LinkChecker says where robots.txt keeps it out.
REFUSED = re.compile(r"(401|403|429|syntax OK)\b")
LINKCHECKER = [
    *(sys.executable, "-m", "linkcheck", "--config", str(ROOT / "tools" / "linkchecker.ini")),
    *("--stdin", "--recursion-level", "0", "--output", "csv/utf_8", "--verbose", "--no-status"),
]


def outward(html: str) -> set[str]:
    """The addresses on other hosts that a page links to or loads from."""
    soup = BeautifulSoup(html, "html.parser")
    named = (str(tag[key]) for key in ("href", "src") for tag in soup.select(f"[{key}]"))
    return {url.partition("#")[0] for url in named if re.match(r"https?://", url)}


def collect(site: Path, texts: Iterable[Path]) -> dict[str, set[str]]:
    """Every address, with the names of the pages that it is on."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for page in sorted(site.rglob("*.html")):
        if "_static" not in page.parts:
            for url in outward(page.read_text("utf-8")):
                found[url].add(page.relative_to(site).as_posix())
    for text in texts:
        for url in outward(MarkdownIt().render(text.read_text("utf-8"))):
            found[url].add(text.name)
    return dict(found)


def ask(urls: Iterable[str]) -> dict[str, str]:
    """What is wrong with each address; nothing if it answers."""
    asked = sorted(urls)
    done = subprocess.run(
        LINKCHECKER, input="\n".join(asked), capture_output=True, text=True, check=False
    )
    rows = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    answers = {
        row["urlname"]: row["result"]
        if row["valid"] != "True" or REFUSED.match(row["result"])
        else ""
        for row in csv.DictReader(io.StringIO("\n".join(rows)), delimiter=";")
    }
    if missing := [url for url in asked if url not in answers]:
        raise RuntimeError(
            f"LinkChecker said nothing of {missing[0]}: {done.stderr.strip()[-500:]}"
        )
    return {url: answers[url] for url in asked}


def report(pages: Mapping[str, set[str]], answers: Mapping[str, str]) -> tuple[str, int]:
    """What to print, and how many links are broken."""
    refused = {url for url, wrong in answers.items() if REFUSED.match(wrong)}
    broken = {url for url, wrong in answers.items() if wrong} - refused
    lines = [
        f"{title} {url}: {answers[url]} (on {', '.join(sorted(pages[url]))})"
        for title, urls in (("refused", refused), ("BROKEN ", broken))
        for url in sorted(urls)
    ]
    fine = len(answers) - len(refused) - len(broken)
    lines.append(
        f"{len(answers)} external links: {fine} answer, {len(refused)} refuse robots, "
        f"{len(broken)} broken"
    )
    return "\n".join(lines), len(broken)


def main(root: Path = ROOT) -> int:
    site = root / "_build" / "html"
    if not (site / "index.html").exists():
        print("links: there is no built book; `./justw book` makes it", file=sys.stderr)
        return 1
    pages = collect(site, sorted(root.glob("*.md")))
    try:
        text, broken = report(pages, ask(pages))
    except RuntimeError as error:
        print(f"links: {error}", file=sys.stderr)
        return 1
    print(text)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
