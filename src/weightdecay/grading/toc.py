"""The book's table of contents: which chapter is in which part."""

from __future__ import annotations

from pathlib import Path

from weightdecay.runs import read_yaml

BOOK = Path(__file__).resolve().parents[3] / "book"


def parts(book: Path = BOOK) -> dict[str, list[str]]:
    """The caption of each part, and the files of its chapters below ``book/``."""
    toc = read_yaml(book / "_toc.yml")
    return {part["caption"]: [c["file"] for c in part["chapters"]] for part in toc["parts"]}
