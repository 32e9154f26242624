"""Values of any kind as a line of text, for the messages of checks."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

SHOWN = 6  # numbers of a tensor, entries of a list
LONGEST = 300  # characters of a value


def plain(value: Any) -> Any:
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


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.float32) and not isinstance(value, bool)


def show(value: Any, digits: int = 6, length: int = LONGEST) -> str:
    """The value in one line of that length; of tensors the shape and the first few numbers."""
    value = plain(value)
    if isinstance(value, bool) or value is None:
        return str(value)
    if is_number(value):
        return str(value) if isinstance(value, int) else _float(float(value), digits)
    if isinstance(value, np.ndarray):
        first = ", ".join(show(v, digits) for v in value.reshape(-1)[:SHOWN])
        more = ", …" if value.size > SHOWN else ""
        shape = "" if value.ndim == 1 and not more else f" of shape {value.shape}"
        return f"[{first}{more}]{shape}"
    if isinstance(value, list | tuple):
        parts = [show(v, digits, length) for v in value[:SHOWN]] + ["…"] * (len(value) > SHOWN)
        text = ", ".join(parts)
        return _shortened(f"({text})" if isinstance(value, tuple) else f"[{text}]", length)
    if isinstance(value, dict):
        parts = [f"{k!r}: {show(v, digits, length)}" for k, v in [*value.items()][:SHOWN]]
        return _shortened("{" + ", ".join(parts + ["…"] * (len(value) > SHOWN)) + "}", length)
    try:
        if isinstance(value, str):  # cut inside its quotes
            return repr(value[:length]) + "…" * (len(value) > length)
        return _shortened(" ".join(repr(value).split()), length)
    except Exception as e:  # a repr of the learner's own may raise anything
        return f"a {type(value).__name__} whose repr raises {type(e).__name__}"


def _float(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
