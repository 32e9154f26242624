"""Two ways to write the same chain of sums, and which of them a response is written in.

``last`` is that of `downstream.chains`, with the result behind its sum: ``8 + 3 = 1 .``; ``first``
has it before: ``1 = 8 + 3 .``. Both have the same words and the same length, and end alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from weightdecay.plasticity.downstream import Example, Words, examples
from weightdecay.plasticity.evaluate import cut
from weightdecay.plasticity.language import ADDENDS, DIGITS, STOP

Format: TypeAlias = Literal["last", "first"]
FORMATS: tuple[Format, ...] = ("last", "first")
STEP = 6
"""Words of a step, its stop included."""


def first(example: Example) -> Example:
    """The same right solution of a chain, each result before its sum."""
    end = example.response.index("so")
    words: list[str] = []
    for start in range(0, end, STEP):
        *asked, equals, result, stop = example.response[start : start + STEP]
        words += [result, equals, *asked, stop]
    return replace(example, response=(*words, *example.response[end:]))


def solved(example: Example, said: Words) -> bool:
    """Is all of a chain's solution right, in one format or the other?

    The answer alone is one of ten digits: of 64 guesses at least one is right nearly always.
    """
    return cut(said) in (example.response, first(example).response)


def format_of(said: Words) -> Format | None:
    """The format of a response, right or wrong, if all its steps share one and an answer follows.

    An answer without steps, or behind steps of both formats, has neither.
    """
    short = cut(said)
    if "so" not in short:
        return None
    end = short.index("so")
    steps = [short[start : start + STEP] for start in range(0, end, STEP)]
    is_answer = len(short) == end + 3 and short[-2] in DIGITS and short[-1] == STOP
    if not is_answer or end % STEP:
        return None
    kinds = {_format_of_step(step) for step in steps}
    return kinds.pop() if len(kinds) == 1 else None


def _format_of_step(step: Words) -> Format | None:
    *words, stop = step
    if stop != STOP or words.count("=") != 1:
        return None
    place = words.index("=")
    result, asked = (words[:1], words[2:]) if place == 1 else (words[4:], words[:3])
    is_sum = asked[0] in DIGITS and asked[1] in ("+", "-") and asked[2] in ADDENDS
    if place not in (1, 3) or result[0] not in DIGITS or not is_sum:
        return None
    return "first" if place == 1 else "last"


def parts(sizes: Sequence[int], seed: int) -> list[list[Example]]:
    """Training examples in disjoint parts of these sizes, each with short and long chains alike."""
    # Shuffled: there are few short chains, and those drawn first would have most of them.
    found = examples("chains", "train", sum(sizes), seed)
    order = np.random.default_rng([seed, len(found)]).permutation(len(found))
    ends = np.cumsum(sizes)
    return [[found[i] for i in order[end - n : end]] for n, end in zip(sizes, ends, strict=True)]


def mixed(given: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The examples, a random choice of this share in format ``last`` and the rest in ``first``."""
    order = np.random.default_rng([seed, 1]).permutation(len(given))
    kept = set(order[: round(share * len(given))].tolist())
    return [e if i in kept else first(e) for i, e in enumerate(given)]
