"""What the book does to the text of a finished page, and what it leaves alone."""

from __future__ import annotations

import pytest
from docutils import nodes
from docutils.utils import new_document
from typography import NO_BREAK, Typeset, typeset


def plain(text: str) -> str:
    return text.replace(NO_BREAK, "~").replace("\N{MINUS SIGN}", "−")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("by -1.5 points", "by −1.5 points"),
        ("-0.07 [-0.145, 0.00884]", "−0.07 [−0.145,~0.00884]"),
        ("+4.1 [+1.5, +6.7], n = 9", "+4.1 [+1.5,~+6.7], n~=~9"),
        ("29% [29%, 30%]", "29% [29%,~30%]"),
        ("at λ = 0.1 and η = 3e-4", "at λ~=~0.1 and η~=~3e-4"),
        ("p < 0.05, k ≥ 2", "p~<~0.05, k~≥~2"),
        ("models of λ = ", "models of λ~=~"),  # a glued number comes next
        ("(-3)", "(−3)"),
        # Neither of these is a minus, and a sentence may break.
        ("steps 10-20, 1e-4, 2e-05", "steps 10-20, 1e-4, 2e-05"),
        ("50%-60%, “Llama”-2", "50%-60%, “Llama”-2"),
        ("norm-matched, exercise-07, --lr 1", "norm-matched, exercise-07, --lr 1"),
        ("the dose = the sum", "the dose = the sum"),
        ("Figs [1, 2] and [a, b]", "Figs [1,~2] and [a, b]"),
    ],
)
def test_of_words(text: str, shown: str) -> None:
    assert plain(typeset(text)) == shown


def test_code_and_formulas_stay_as_they_are() -> None:
    document = new_document("page")
    document += nodes.paragraph("", "", nodes.strong("", "-1"), nodes.Text(" and n = 2"))
    document += nodes.paragraph("", "", nodes.literal("", "x = -1"), nodes.math("", "x = -1"))
    document += nodes.paragraph("", "", nodes.strong("", "Llama"), nodes.Text("-2 by -3"))
    document += nodes.literal_block("", "", nodes.inline("", "p = -1"))
    document += nodes.raw("", "<b>-1</b>", format="html")
    Typeset(document).run()
    assert [plain(n.astext()) for n in document.findall(nodes.Text)] == [
        "−1", " and n~=~2", "x = -1", "x = -1", "Llama", "-2 by −3", "p = -1", "<b>-1</b>"
    ]  # fmt: skip
