"""What differs between runs: configuration first, then data, initial weights, batches, machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from weightdecay.runs import Json, Run

# Facts of a manifest that change numbers. Commit and host are shown too, but decide nothing.
DECISIVE = {
    "data_sha256": "tokeniser, sentences or split",
    "versions.torch": "torch version",
    "threads": "number of threads",
}
# These follow from some keys of the config; a difference without such a reason counts by itself.
CONSEQUENCES = {
    "initial_weights_sha256": ("initial weights", ("seed", "model.")),
    "batch_order_sha256": ("batch order", ("seed", "training.")),
}


def flatten(value: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(``optimizer.weight_decay``, 0.1) and so on for a nested mapping."""
    for key, item in value.items():
        if isinstance(item, dict):
            yield from flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def table(runs: Sequence[Run], part: str = "config") -> dict[str, list[Any]]:
    """The keys whose values differ between the runs, with the value of each run or None."""
    flat = [dict(flatten(getattr(run, part))) for run in runs]
    keys = dict.fromkeys(key for f in flat for key in f)
    values = {k: [f.get(k) for f in flat] for k in keys}
    return {k: v for k, v in values.items() if len(set(map(repr, v))) > 1}


def hidden(runs: Sequence[Run]) -> list[str]:
    """Differences outside the config that change numbers, each in words."""
    differing, explained = table(runs, "manifest"), table(runs)
    found = [words for key, words in DECISIVE.items() if key in differing]
    for key, (words, reasons) in CONSEQUENCES.items():
        if key in differing and not any(k.startswith(reasons) for k in explained):
            found.append(words)
    return found


def sentence(runs: Sequence[Run]) -> str:
    """One plain sentence that says what differs, or a warning that names everything that does."""
    keys, others = table(runs), hidden(runs)
    if not keys and not others:
        return "The runs have the same configuration, data, initial weights and batch order."
    if len(keys) == 1 and not others:
        key, values = next(iter(keys.items()))
        return f"The runs differ in exactly one key: {key} {arrow(values)}."
    parts = [f"{key} {arrow(values)}" for key, values in keys.items()] + others
    things = "1 thing" if len(parts) == 1 else f"{len(parts)} things"
    return f"Warning: the runs differ in {things}: {'; '.join(parts)}."


def arrow(values: Sequence[Any]) -> str:
    """``0.1 → 0.0``: the distinct values in the order of the runs."""
    return " → ".join(dict.fromkeys("not set" if v is None else str(v) for v in values))
