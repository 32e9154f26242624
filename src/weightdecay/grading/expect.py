"""``expect(observed, expected, inputs={...})``: what a check says when a learner's answer is wrong.

Numbers, tensors, arrays, strings, lists and dicts are compared, and the difference is told in three
lines: observed, expected, inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from weightdecay.grading.show import LONGEST, is_number, plain, show

INPUT = 200  # characters of each input
BEFORE = 40  # characters of a long string before the first that differs
Array = npt.NDArray[Any]


class Mismatch(AssertionError):  # noqa: N818 - an answer is wrong, not the code
    """A wrong answer; the text is what the learner reads."""


def expect(
    observed: Any,
    expected: Any,
    inputs: Mapping[str, Any] | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    what: str = "the result",
) -> None:
    """Compare what the learner's function gave with what is right.

    A tensor, an array, a nested list of its shape and, for one number, a plain number are
    compared by value; a difference of dtype is none. A list equals a tuple.

    Args:
        observed: What the learner's function returned.
        expected: What is right.
        inputs: What the function was given, by name; shown shortened.
        rtol: Allowed difference, relative to each expected number.
        atol: Allowed difference, absolute.
        what: What the result is, in words.

    Raises:
        Mismatch: if they differ; observed, expected and inputs, a line each.
    """

    def tolerance(e: Array) -> Array:
        return np.asarray(rtol * np.abs(e) + atol)

    difference = _difference(observed, expected, tolerance)
    if difference is None:
        return
    if observed is None:
        difference = "does the function return its result?"
    place, o, e = _where(observed, expected, tolerance)
    if place:
        what, difference = f"{what} at {place}", _difference(o, e, tolerance)
    digits = 6 if show(o) != show(e) else 12
    skipped = _alike(o, e)
    shown = [f"…{show(v[skipped:])}" if skipped else show(v, digits) for v in (o, e)]
    lines = [
        f"observed: {what} {shown[0]}{difference and f', {difference}'}",
        f"expected: {shown[1]}",
    ]
    if inputs:
        values = [f"{k} = {show(v, length=INPUT)}" for k, v in inputs.items()]
        lines.append("inputs:   " + ", ".join(values))
    raise Mismatch("\n".join(lines))


def _where(observed: Any, expected: Any, tolerance: Any) -> tuple[str, Any, Any]:
    """The first place where they differ, "" where both are short enough to be shown whole."""
    pairs: list[tuple[Any, Any, Any]] = []
    if "…" in show(observed) + show(expected):
        if isinstance(observed, dict) and isinstance(expected, dict):
            same_keys = set(observed) == set(expected)
            pairs = [(k, observed[k], e) for k, e in expected.items() if same_keys]
        elif isinstance(observed, list | tuple) and isinstance(expected, list | tuple):
            same_length = len(observed) == len(expected)
            pairs = [(i, o, expected[i]) for i, o in enumerate(observed) if same_length]
    for key, o, e in pairs:
        if _difference(o, e, tolerance) is not None:
            further, o, e = _where(o, e, tolerance)
            return f"[{key!r}]{further}", o, e
    return "", observed, expected


def _alike(o: Any, e: Any) -> int:
    """How much at the beginning of two long strings is alike and need not be shown."""
    if not (type(o) is type(e) is str) or max(len(o), len(e)) <= LONGEST:
        return 0
    shorter = min(len(o), len(e))
    first = next((i for i in range(shorter) if o[i] != e[i]), shorter)
    return max(first - BEFORE, 0)


def close(observed: Any, expected: Any, rtol: float, atol: float = 1e-9) -> bool:
    """Whether two results are the same but for rounding.

    The difference may be `rtol` of the largest number of each tensor, or 20 of its units of
    rounding where that is more (float32).
    """

    def tolerance(e: Array) -> Array:
        rounding = 20 * float(np.finfo(e.dtype).eps) if e.dtype.kind == "f" else 0.0
        finite = np.abs(e[np.isfinite(e)])
        largest = float(finite.max()) if finite.size else 0.0
        return np.asarray(max(rtol, rounding) * largest + atol)

    return _difference(observed, expected, tolerance) is None


def _difference(observed: Any, expected: Any, tolerance: Any) -> str | None:
    """None where they agree, else a few words, "" where the two values say it all."""
    observed, expected = plain(observed), plain(expected)
    if is_number(expected) and isinstance(observed, np.ndarray) and observed.size == 1:
        observed = observed.reshape(())[()]
    if is_number(expected):
        if not is_number(plain(observed)):
            return f"{_kind(observed)} where a number belongs"
        return _numbers(np.asarray(observed), np.asarray(expected), tolerance)
    if isinstance(expected, np.ndarray):
        return _arrays(observed, expected, tolerance)
    if isinstance(expected, list | tuple):
        return _lists(observed, expected, tolerance)
    if isinstance(expected, dict):
        return _dicts(observed, expected, tolerance)
    if type(observed) is not type(expected):
        return f"{_kind(observed)} where {_kind(expected)} belongs"
    return None if observed == expected else ""


def _arrays(observed: Any, expected: Array, tolerance: Any) -> str | None:
    if isinstance(observed, list | tuple):
        try:
            observed = np.asarray([plain(v) for v in observed])
        except ValueError:
            return "a ragged list where a tensor belongs"
    if not isinstance(observed, np.ndarray):
        return f"{_kind(observed)} where a tensor of shape {expected.shape} belongs"
    if observed.shape != expected.shape:
        return f"shape {observed.shape} where {expected.shape} belongs"
    if observed.dtype.kind not in "biuf" or expected.dtype.kind not in "biuf":
        return None if bool((observed == expected).all()) else ""
    return _numbers(observed, expected, tolerance)


def _numbers(observed: Array, expected: Array, tolerance: Any) -> str | None:
    allowed = tolerance(expected if expected.dtype.kind == "f" else expected.astype(float))
    o, e = observed.astype(float), expected.astype(float)
    with np.errstate(invalid="ignore"):
        same = (o == e) | (np.isnan(o) & np.isnan(e)) | (np.abs(o - e) <= allowed)
        same &= np.isfinite(e) | (o == e) | (np.isnan(o) & np.isnan(e))  # inf allows everything
    if bool(np.all(same)):
        return None
    for strange, word in ((np.isnan, "NaN"), (np.isinf, "infinity")):
        if bool(np.any(strange(o) & ~strange(e))):
            return f"with {word} in it" if o.ndim else ""
    if o.ndim == 0:
        return ""
    off = np.where(same, 0.0, np.nan_to_num(np.abs(o - e), nan=np.inf))
    worst = np.unravel_index(int(off.argmax()), off.shape)
    place = ", ".join(str(int(i)) for i in worst)
    return f"off by up to {off[worst]:.3g}, at [{place}]"


def _lists(observed: Any, expected: Any, tolerance: Any) -> str | None:
    if isinstance(observed, np.ndarray):
        observed = list(observed)
    if not isinstance(observed, list | tuple):
        belongs = f"a list of {len(expected)}" if expected else "an empty list"
        return f"{_kind(observed)} where {belongs} belongs"
    if len(observed) != len(expected):
        return f"{len(observed)} entries where {len(expected)} belong"
    for i, (o, e) in enumerate(zip(observed, expected, strict=True)):
        inner = _difference(o, e, tolerance)
        if inner is not None:
            return f"differs at [{i}]{inner and f': {inner}'}"
    return None


def _dicts(observed: Any, expected: dict[Any, Any], tolerance: Any) -> str | None:
    if not isinstance(observed, dict):
        belongs = f"a dict with {', '.join(map(repr, expected))}" if expected else "an empty dict"
        return f"{_kind(observed)} where {belongs} belongs"
    if set(observed) != set(expected):
        missing = [repr(k) for k in expected if k not in observed]
        more = [repr(k) for k in observed if k not in expected]
        parts = [f"without {', '.join(missing)}"] * bool(missing)
        return " and ".join(parts + [f"with {', '.join(more)} too many"] * bool(more))
    for key, e in expected.items():
        inner = _difference(observed[key], e, tolerance)
        if inner is not None:
            return f"differs at {key!r}{inner and f': {inner}'}"
    return None


def _kind(value: Any) -> str:
    """The type in words."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"a tensor of shape {value.shape}"
    name = type(value).__name__
    names = {
        "str": "a string",
        "int": "an integer",
        "dict": "a dict",
        "float": "a number",
        "bool": "True or False",
    }
    return names.get(name, f"a {name}")
