"""What the built book needs to work without the internet, and when it has to run again.

A small Sphinx extension, named in `_config.yml`. On every build it

- fills `_build/assets/`, which ends up as `_static/`: one `plotly.min.js`, MathJax with its
  fonts, and our own styles and scripts in `interactive/` and `dashboard/`. They are taken from the
  installed packages, so the repository holds no copy. No page loads any of it by itself;
- keys the cache of executed chapters on everything a chapter reads apart from its own text.
  The cache alone sees only the chapter: without this, a change in `src/` would leave old
  numbers in the book.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

ROOT = Path(__file__).resolve().parent.parent
THEME = ROOT / "book" / "theme"
ASSETS = ROOT / "_build" / "assets"
LIBRARY = ROOT / "src" / "weightdecay"
OWN = (LIBRARY / "interactive", LIBRARY / "minitrain" / "dashboard")
# Of MathJax's 24 MB: TeX in, HTML out, and what its menu fetches for screen readers.
MATHJAX = (
    "tex-chtml.js",
    "input/tex/extensions",
    "output/chtml/fonts",
    "a11y",
    "sre",
)


def fill() -> None:
    """Put every asset in its place; what is there already and equal is left alone."""
    ASSETS.mkdir(parents=True, exist_ok=True)
    plotly = ASSETS / "plotly.min.js"
    script = get_plotlyjs()
    if not plotly.exists() or plotly.read_text(encoding="utf-8") != script:
        plotly.write_text(script, encoding="utf-8")

    package = importlib.util.find_spec("sphinx-mathjax-offline")
    if package is None or package.origin is None:
        raise RuntimeError("sphinx-mathjax-offline is not installed: run `./justw book`")
    mathjax = Path(package.origin).parent / "static" / "mathjax"
    for part in MATHJAX:
        _copy(mathjax / part, ASSETS / "mathjax" / part)

    # The theme draws its icons with fonts, and a second time with 1.5 MB of script that stands in
    # front of every page. A file of the same name is copied over that script.
    theme = Path(str(files("pydata_sphinx_theme"))) / "theme" / "pydata_sphinx_theme" / "static"
    for script_file in theme.glob("vendor/fontawesome/*/js/all.min.js"):
        empty = ASSETS / script_file.relative_to(theme)
        empty.parent.mkdir(parents=True, exist_ok=True)
        empty.write_text("// The icons come from fonts.\n", encoding="utf-8")

    for folder in OWN:
        for source in sorted(folder.iterdir()):
            if source.suffix in {".css", ".js"}:
                _copy(source, ASSETS / folder.name / source.name)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        for child in source.iterdir():
            _copy(child, target / child.name)
        return
    have, want = (p.stat() if p.exists() else None for p in (target, source))
    if have and want and (have.st_size, have.st_mtime_ns) == (want.st_size, want.st_mtime_ns):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def inputs() -> Iterator[Path]:
    """What a chapter's numbers depend on: the library, the versions, the committed results."""
    yield ROOT / "constraints.txt"
    yield ROOT / "claims.yml"
    yield from (ROOT / "benchmarks").glob("*.json")
    for path in (ROOT / "src" / "weightdecay").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
    for folder in (ROOT / "experiments").iterdir():
        # A manifest without a table marks a reader's own run: the book does not read those.
        if (folder / "manifest.json").exists() and not (folder / "results.csv").exists():
            continue
        for path in folder.glob("*.*"):
            if path.suffix in {".yaml", ".csv", ".json"} and path.name != "manifest.json":
                yield path
        yield from (p for p in (folder / "reference").rglob("*") if p.is_file())


def titles() -> str:
    """The first heading of every page: the ledger and the last part name chapters by them."""
    pages = sorted((ROOT / "book").rglob("*.md"))
    return "\n".join(
        next((line for line in p.read_text("utf-8").splitlines() if line.startswith("# ")), "")
        for p in pages
    )


def key(paths: Iterable[Path], text: str = "") -> str:
    """A short hash over names and contents, and over a text."""
    digest = hashlib.sha256(text.encode())
    for path in sorted(set(paths)):
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _prepare(app: Any, config: Any) -> None:
    fill()
    # Chapters run in a folder of their part, one below the root: from there they find `_static/`.
    os.environ["WEIGHTDECAY_ASSETS"] = "../_static"
    # Sphinx copies a changed style only when it writes a page, and writes pages when this changes.
    config.html_context["theme_key"] = key(THEME.iterdir())

    cache = ROOT / "_build" / "executed" / key(inputs(), titles())
    config.nb_execution_cache_path = str(cache)
    # Only the newest is of use; old ones would pile up with every edit of the library.
    for old in cache.parent.glob("*"):
        if old != cache:
            shutil.rmtree(old)


def setup(app: Any) -> dict[str, bool]:
    app.connect("config-inited", _prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
