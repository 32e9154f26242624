"""Minus signs, and no line that ends between a sign and its number.

A small Sphinx extension. Results are formatted by Python, which writes a hyphen for a minus; a page
breaks at any space. Both are mended in the text of the finished page, so that no chapter has to
think of it. Code and formulas stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = re.compile(r"(?<![\w.)\]%”’\"'-])-(?=\d|\.\d)")
NUMBER = r"[+\N{MINUS SIGN}]?\d[\d.,]*(?:e[-+]?\d+)?%?"
INTERVAL = re.compile(rf"\[({NUMBER}), ({NUMBER})\]")
# A number that was glued stands in a node of its own, and the text before it ends with the sign.
EQUATION = re.compile(rf"(?<!\w)([A-Za-zηλτβρ]|KL) ([=<>≥≤]) (?={NUMBER}|$)")
VERBATIM = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw)


def typeset(text: str, before: str = "") -> str:
    """The same words with minus signs and, around a sign and in an interval, spaces that hold.

    What stands before the text, a word in bold for example, decides about a hyphen that begins it.
    """
    text = MINUS.sub("\N{MINUS SIGN}", before + text)[len(before) :]
    text = INTERVAL.sub(rf"[\1,{NO_BREAK}\2]", text)
    return EQUATION.sub(rf"\1{NO_BREAK}\2{NO_BREAK}", text)


class Typeset(SphinxPostTransform):
    """Of all text that is read as words."""

    default_priority = 900  # when glued numbers stand in their places

    def run(self, **kwargs: Any) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if any(isinstance(n, VERBATIM) for n in _above(text)):
                continue
            if (set_ := typeset(str(text), _before(text))) != text:
                text.parent.replace(text, nodes.Text(set_))


def _before(node: nodes.Node) -> str:
    """The last character in front of a piece of text, within its paragraph or cell."""
    while isinstance(node.parent, nodes.TextElement):
        at = node.parent.index(node)
        if at and (said := str(node.parent[at - 1].astext())):
            return said[-1]
        node = node.parent
    return ""


def _above(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while (node := node.parent) is not None:
        found.append(node)
    return found


def setup(app: Any) -> dict[str, bool]:
    app.add_post_transform(Typeset)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
