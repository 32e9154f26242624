"""``expect(observed, expected, inputs={...})``: what a check says when a learner's answer is wrong.

Numbers, tensors, arrays, strings, lists and dicts are compared, and the difference is told in three
lines: observed, expected, inputs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

SHOWN = 6  # numbers of a tensor that a message shows
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
    difference = _difference(observed, expected, lambda e: rtol * np.abs(e) + atol)
    if difference is None:
        return
    digits = 6 if show(observed) != show(expected) else 12
    lines = [
        f"observed: {what} {show(observed, digits)}{difference and f', {difference}'}",
        f"expected: {show(expected, digits)}",
    ]
    if inputs:
        lines.append("inputs:   " + ", ".join(f"{k} = {show(v)}" for k, v in inputs.items()))
    raise Mismatch("\n".join(lines))


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


def _plain(value: Any) -> Any:
    """Tensors as arrays, what holds a single number without dimensions as that number."""
    torch = sys.modules.get("torch")  # without it there is no tensor to compare
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        if value.dtype in (torch.bfloat16, torch.float16):
            value = value.float()  # NumPy has no bfloat16
        value = value.resolve_conj().resolve_neg().numpy()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item() if value.dtype != np.float32 else np.float32(value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.float32) and not isinstance(value, bool)


def _difference(observed: Any, expected: Any, tolerance: Any) -> str | None:
    """None where they agree, else a few words, "" where the two values say it all."""
    observed, expected = _plain(observed), _plain(expected)
    if observed is None and expected is not None:
        return "does the function return its result?"
    if _is_number(expected) and isinstance(observed, np.ndarray) and observed.size == 1:
        observed = observed.reshape(())[()]
    if _is_number(expected):
        if not _is_number(_plain(observed)):
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
            observed = np.asarray([_plain(v) for v in observed])
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
        return f"{_kind(observed)} where a list of {len(expected)} belongs"
    if len(observed) != len(expected):
        return f"{len(observed)} entries where {len(expected)} belong"
    for i, (o, e) in enumerate(zip(observed, expected, strict=True)):
        inner = _difference(o, e, tolerance)
        if inner is not None:
            return f"differs at [{i}]{inner and f': {inner}'}"
    return None


def _dicts(observed: Any, expected: dict[Any, Any], tolerance: Any) -> str | None:
    if not isinstance(observed, dict):
        return f"{_kind(observed)} where a dict with {', '.join(map(repr, expected))} belongs"
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


def show(value: Any, digits: int = 6) -> str:
    """The value in one short line; of tensors the shape and the first few numbers."""
    value = _plain(value)
    if isinstance(value, bool) or value is None:
        return str(value)
    if _is_number(value):
        return str(value) if isinstance(value, int) else _float(float(value), digits)
    if isinstance(value, np.ndarray):
        first = ", ".join(show(v, digits) for v in value.reshape(-1)[:SHOWN])
        more = ", …" if value.size > SHOWN else ""
        shape = "" if value.ndim == 1 and not more else f" of shape {value.shape}"
        return f"[{first}{more}]{shape}"
    if isinstance(value, list | tuple):
        parts = [show(v, digits) for v in value[:SHOWN]] + ["…"] * (len(value) > SHOWN)
        text = ", ".join(parts)
        return _shortened(f"({text})" if isinstance(value, tuple) else f"[{text}]")
    if isinstance(value, dict):
        parts = [f"{k!r}: {show(v, digits)}" for k, v in [*value.items()][:SHOWN]]
        return _shortened("{" + ", ".join(parts + ["…"] * (len(value) > SHOWN)) + "}")
    try:
        return _shortened(" ".join(repr(value).split()))
    except Exception as e:  # a repr of the learner's own may raise anything
        return f"a {type(value).__name__} whose repr raises {type(e).__name__}"


def _float(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)


def _shortened(text: str, length: int = 300) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
