"""The book runs its changed chapters side by side, and each of them once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import execution
import pytest
from jupyter_cache import get_cache
from myst_nb.core.config import NbParserConfig
from myst_nb.core.read import create_nb_reader
from myst_parser.config.main import MdParserConfig

HEAD = """\
---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  name: python3
---

"""
# Ends only when the other chapter has begun, too.
MEETS = """\
from pathlib import Path
from time import monotonic, sleep
Path("{own}").touch()
end = monotonic() + 60
while not Path("{other}").exists() and monotonic() < end:
    sleep(0.05)
print("met" if Path("{other}").exists() else "alone")"""


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # put back at the end
    config = NbParserConfig(
        execution_mode="cache", execution_cache_path=str(tmp_path / "cache"), execution_timeout=90
    )

    def chapter(name: str, code: str) -> Path:
        path = tmp_path / f"{name}.md"
        path.write_text(f"{HEAD}# Chapter\n\n```{{code-cell}} ipython3\n{code}\n```\n")
        return path

    def run(*names: str) -> None:
        env = SimpleNamespace(mystnb_config=config, doc2path=lambda n: str(tmp_path / f"{n}.md"))
        execution._run(None, env, list(names))

    def cached(path: Path) -> str | None:
        """What a cell printed, found as myst-nb finds it; None where it would run it again."""
        reader = create_nb_reader(path, MdParserConfig(), config, path.read_text())
        assert reader is not None
        try:
            _, notebook = get_cache(config.execution_cache_path).merge_match_into_notebook(
                reader.read(path.read_text())
            )
        except KeyError:
            return None
        cell = next(c for c in notebook.cells if c.cell_type == "code")
        return "".join(o.get("text", "") for o in cell.outputs).strip()

    return SimpleNamespace(chapter=chapter, run=run, cached=cached, folder=tmp_path)


@pytest.mark.slow
def test_side_by_side_and_found_by_the_build(book: SimpleNamespace) -> None:
    one = book.chapter("one", MEETS.format(own="a", other="b"))
    two = book.chapter("two", MEETS.format(own="b", other="a"))
    (book.folder / "page.md").write_text("# A page without code\n")
    book.run("one", "page", "two")
    assert [book.cached(one), book.cached(two)] == ["met", "met"]


@pytest.mark.slow
def test_one_that_fails_is_left_to_the_build_which_reports_it(book: SimpleNamespace) -> None:
    good, bad = book.chapter("good", "print(1)"), book.chapter("bad", "raise ValueError('no')")
    book.run("good", "bad")
    assert (book.cached(good), book.cached(bad)) == ("1", None)


@pytest.mark.slow
def test_what_is_cached_does_not_run_again(book: SimpleNamespace) -> None:
    path = book.chapter("one", "open('runs', 'a').write('x'); print('done')")
    book.run("one")
    path.write_text(path.read_text() + "\nA sentence more.\n")
    book.run("one")
    assert (book.folder / "runs").read_text() == "x"
    assert book.cached(path) == "done"
