"""What every chapter promises its reader, checked in the sources of the book."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("theory", "break", "hysteresis", "plasticity", "contraction", "practice")
CHAPTERS = sorted(p for part in PARTS for p in (ROOT / "book" / part).glob("*.md"))
TESTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))

chapters = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: f"{p.parent.name}/{p.stem}")


def test_every_chapter_is_in_the_table_of_contents_and_the_other_way_round() -> None:
    toc = (ROOT / "book" / "_toc.yml").read_text("utf-8")
    named = set(re.findall(rf"file: ((?:{'|'.join(PARTS)})/\S+)", toc))
    assert named == {f"{p.parent.name}/{p.stem}" for p in CHAPTERS}


@chapters
def test_opens_with_two_sentences_in_spanish_and_what_we_can_do_after_it(chapter: Path) -> None:
    text = chapter.read_text("utf-8")
    summary = re.search(r"^\{lang=es \.resumen\}\n\*\*En español\.\*\* (.+)$", text, re.M)
    assert summary
    # A full stop inside a number or a code span ends no sentence.
    assert len(re.findall(r"\.(?= |$)", re.sub(r"`[^`]*`", "x", summary.group(1)))) == 2
    assert text.index("After this chapter we can") < text.index("\n## ")


@chapters
def test_predicts_before_it_shows_and_says_what_it_does_not_show(chapter: Path) -> None:
    text = chapter.read_text("utf-8")
    assert "```{admonition} Predict" in text
    assert re.search(r"^## What this (chapter )?does not show$", text, re.M)


@chapters
def test_every_drawn_figure_has_alt_text_caption_and_name(chapter: Path) -> None:
    for cell in re.findall(
        r"```\{code-cell\} ipython3\n(.*?)\n```", chapter.read_text("utf-8"), re.S
    ):
        if "plt.show()" in cell:
            for key in ("alt:", "caption:", "name:"):
                assert key in cell.split("\nimport")[0], f"{key} missing: {cell[-80:]}"


@chapters
def test_no_alt_text_sends_the_reader_elsewhere_for_what_the_figure_shows(chapter: Path) -> None:
    for alt in re.findall(r"^ *alt: (.+)$", chapter.read_text("utf-8"), re.M):
        assert not re.search(
            r"\b(table|paragraph|text)s? (below|above|after|before)\b", alt, re.I
        ), alt


@chapters
def test_every_figure_is_named_in_the_text_and_no_number_is_typed_by_hand(chapter: Path) -> None:
    text = chapter.read_text("utf-8")
    drawn = set(re.findall(r"\bname: (fig-[\w-]+)$", text, re.M))
    assert drawn <= set(re.findall(r"\{numref\}`([\w-]+)`", text))
    prose = re.sub(r"```\{code-cell\}.*?\n```", "", text, flags=re.S)
    # Of our own: a paper's figure is cited with the paper.
    assert not re.findall(r"\b(?:figures?|fig\.|tables?) \d+(?![^.\n]*\{cite)", prose, re.I)


@chapters
def test_tests_that_a_chapter_names_exist(chapter: Path) -> None:
    text = chapter.read_text("utf-8")
    for name in re.findall(r"(?<!})`(test_[a-z0-9_]+)`", text):
        assert f"def {name}(" in TESTS, name
    if chapter.parent.name == "theory":
        assert "`test_" in text
        assert text.count("Explorer(") == 1
