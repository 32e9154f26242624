"""`expect` tells equal from different, and says what differs in three lines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from weightdecay.grading import Mismatch, expect
from weightdecay.grading.expect import close

SAME: list[tuple[Any, Any]] = [
    (1, 1.0),
    (torch.tensor(2.0), 2.0),
    (np.float32(0.5), 0.5),
    (torch.tensor([3.0]), 3.0),
    ([1.0, 2.0], torch.tensor([1.0, 2.0])),
    (np.ones((2, 2)), torch.ones(2, 2)),
    (torch.ones(2, dtype=torch.bfloat16), torch.ones(2)),
    ((1, "a"), [1, "a"]),
    ({"b": [1.0], "a": None}, {"a": None, "b": (1.0,)}),
    (math.nan, math.nan),
    (math.inf, math.inf),
    (1.0 + 5e-7, 1.0),
    (torch.tensor(True), True),
    (torch.zeros(0), torch.zeros(0)),
]
DIFFERENT: list[tuple[Any, Any, str]] = [
    (None, 1.0, "does the function return its result?"),
    (None, "coupled", "does the function return its result?"),
    (None, {"a": 1}, "does the function return its result?"),
    (None, [], "does the function return its result?"),
    (None, torch.ones(2), "does the function return its result?"),
    ([None, 1], [0, 1], "the result [None, 1], differs at [0]: None where a number belongs"),
    ({"a": None}, {"a": "x"}, "differs at 'a': None where a string belongs"),
    ([None], [torch.ones(1, 2)], "differs at [0]: None where a tensor of shape (1, 2) belongs"),
    (1.0, None, "a number where None belongs"),
    ([1], {}, "a list where an empty dict belongs"),
    (1, [], "an integer where an empty list belongs"),
    (["a"], ["b"], "the result ['a'], differs at [0]"),
    (np.array(["a"]), ["b"], "the result ['a'], differs at [0]"),
    ("1", 1.0, "a string where a number belongs"),
    (True, 1.0, "True or False where a number belongs"),
    (1, True, "an integer where True or False belongs"),
    (torch.ones(3), torch.ones(4), "shape (3,) where (4,) belongs"),
    (torch.ones(3, 1), torch.ones(3), "shape (3, 1) where (3,) belongs"),
    (torch.ones(3), 1.0, "a tensor of shape (3,) where a number belongs"),
    (1.0, torch.ones(3), "a number where a tensor of shape (3,) belongs"),
    ([[1.0], [1.0, 2.0]], torch.ones(2, 1), "a ragged list"),
    (torch.tensor([1.0, math.nan]), torch.ones(2), "with NaN in it"),
    (torch.tensor([1.0, math.inf]), torch.ones(2), "with infinity in it"),
    (torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.5]), "off by up to 0.5, at [1]"),
    ([1.0], [1.0, 2.0], "1 entries where 2 belong"),
    ([1.0, 3.0], [1.0, 2.0], "differs at [1]"),
    ({"a": 1}, {"a": 1, "b": 2}, "without 'b'"),
    ({"a": 1, "c": 1}, {"a": 1}, "with 'c' too many"),
    ({"a": torch.ones(1, 2)}, {"a": torch.ones(2)}, "differs at 'a': shape (1, 2)"),
    (1.0, math.inf, "observed: the result 1"),
    (-math.inf, math.inf, "observed: the result -inf"),
    (math.nan, 1.0, "observed: the result nan"),
    ("a", "b", "observed: the result 'a'"),
]


@pytest.mark.parametrize(("observed", "expected"), SAME, ids=repr)
def test_equal_values_pass_and_are_close(observed: Any, expected: Any) -> None:
    expect(observed, expected)
    assert close(observed, expected, rtol=1e-6)


@pytest.mark.parametrize(("observed", "expected", "said"), DIFFERENT, ids=repr)
def test_different_values_are_told(observed: Any, expected: Any, said: str) -> None:
    with pytest.raises(Mismatch) as e:
        expect(observed, expected, inputs={"lr": 0.1, "w": torch.arange(9.0)})
    lines = str(e.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["observed", "expected", "inputs"]
    assert said in lines[0]
    assert lines[2] == "inputs:   lr = 0.1, w = [0, 1, 2, 3, 4, 5, …] of shape (9,)"
    assert not close(observed, expected, rtol=1e-6)


def told(observed: Any, expected: Any, **inputs: Any) -> list[str]:
    with pytest.raises(Mismatch) as e:
        expect(observed, expected, inputs=inputs)
    return str(e.value).splitlines()


def test_none_inside_a_result_is_not_taken_for_a_missing_return() -> None:
    for observed, expected in (([None, 1], [0, 1]), ({"a": [None]}, {"a": ["x"]})):
        assert "does the function return" not in "".join(told(observed, expected))


def test_each_input_is_shortened_by_itself() -> None:
    line = told(1, 2, a="x" * 5000, b=["y" * 5000], c="short")[2]
    assert line.startswith("inputs:   a = 'xxx")
    assert "x'…, b = ['yyy" in line
    assert line.endswith(", c = 'short'")
    assert len(line) < 500


def test_of_a_long_string_the_part_that_differs_is_shown() -> None:
    start = "".join(f"line {i}\n" for i in range(200))
    observed, expected = told(start + "seven", start + "eight")
    assert observed.startswith("observed: the result …'")
    assert observed.endswith("line 199\\nseven'")
    assert expected.startswith("expected: …'")
    assert expected.endswith("line 199\\neight'")
    cut = told("a" + start, "b" + start)
    assert [line[:23] for line in cut] == ["observed: the result 'a", "expected: 'bline 0\\nlin"]
    longer = told(start, start + "more")
    assert longer[0].endswith("line 199\\n'")
    assert longer[1].endswith("line 199\\nmore'")


def test_of_a_long_dict_the_entry_that_differs_is_shown() -> None:
    expected = {f"k{i}": [i] * 9 for i in range(9)}
    observed = {**expected, "k8": [8] * 7 + [1.5, 8]}
    assert told(observed, expected) == [
        "observed: the result at ['k8'][7] 1.5",
        "expected: 8",
    ]
    assert told({**expected, "k7": "x"}, expected)[0] == (
        "observed: the result at ['k7'] 'x', a string where a list of 9 belongs"
    )
    # What is short is shown whole, with the place beside it.
    assert told({"a": 1, "b": 2}, {"a": 1, "b": 3})[0] == (
        "observed: the result {'a': 1, 'b': 2}, differs at 'b'"
    )


def test_digits_are_added_until_the_two_look_different() -> None:
    with pytest.raises(Mismatch, match=r"1\.00000001.*\nexpected: 1$"):
        expect(1.00000001, 1.0, rtol=0, atol=0)


def test_close_forgives_the_rounding_of_float32_but_not_more() -> None:
    a = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert close(a * 3 / 3, a, rtol=1e-6)
    assert not close(a * (1 + 1e-5), a, rtol=1e-6)


def test_a_learners_repr_that_raises_is_no_crash() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(Mismatch, match="whose repr raises RuntimeError"):
        expect(Odd(), 1.0)
