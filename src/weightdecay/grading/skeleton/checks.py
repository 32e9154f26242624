"""What the functions must do, against something that is not the solution."""

from collections.abc import Callable

import numpy as np
import pytest

from weightdecay.grading import expect


@pytest.mark.points(2)
def test_doubles(answer: Callable[[float], float], rng: np.random.Generator) -> None:
    """the answer is twice the number"""
    x = float(rng.uniform(3, 9))
    expect(answer(x), x + x, inputs={"x": x}, what="the answer")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_doubles_negative_numbers(answer: Callable[[float], float]) -> None:
    """so it is for a negative number"""
    expect(answer(-3.0), -6.0, inputs={"x": -3.0}, what="the answer")
