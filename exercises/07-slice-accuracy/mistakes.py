"""Wrong answers to 07-slice-accuracy that learners give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weightdecay.grading import Mistake

Records = list[dict[str, Any]]
WRITTEN = ("he goes", "he go", "he goed", "he goest", "she goes", "he wend")


def records(rng: np.random.Generator, slices: list[tuple[str, bool]]) -> Records:
    """One right record in every slice, and another number of wrong ones in each."""
    extra = rng.permutation(8)[: len(slices)]
    return [
        {"split": split, "regular": regular, "expected": "he goes", "written": written}
        for (split, regular), n in zip(slices, extra, strict=True)
        for written in (*WRITTEN, *rng.choice(WRITTEN[1:], n).tolist())
    ]


def probe_accuracy(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return f(records(rng, [("val", True)]))


def probe_slice_accuracy(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return f(records(rng, [("train", True), ("train", False), ("val", True)]))


def hits(records: Records) -> int:
    return sum(r["written"] == r["expected"] for r in records)


def share(records: Records) -> float | None:
    return hits(records) / len(records) if records else None


def matching(record: dict[str, Any]) -> int:
    return sum(a == b for a, b in zip(record["expected"], record["written"], strict=False))


def letters_together(records: Records) -> float | None:
    total = sum(len(r["expected"]) for r in records)
    return sum(map(matching, records)) / total if total else None


def letters_of_each(records: Records) -> float | None:
    shares = [matching(r) / len(r["expected"]) for r in records]
    return sum(shares) / len(shares) if shares else None


def beginning(records: Records) -> float | None:
    right = [
        all(a == b for a, b in zip(r["expected"], r["written"], strict=False)) for r in records
    ]
    return sum(right) / len(right) if right else None


def chosen(records: Records, split: str | None, regular: bool | None) -> Records:
    return [r for r in records if split in (None, r["split"]) and regular in (None, r["regular"])]


def by_slice(answer: Callable[[str, bool], Any]) -> dict[str, Any]:
    return {
        f"{split}/{name}": answer(split, regular)
        for split in ("train", "val")
        for name, regular in (("regular", True), ("irregular", False))
    }


def pooled(records: Records) -> dict[str, Any]:
    return by_slice(lambda split, regular: share(chosen(records, split, None)))


def splits_mixed(records: Records) -> dict[str, Any]:
    return by_slice(lambda split, regular: share(chosen(records, None, regular)))


def share_of_all(records: Records) -> dict[str, Any]:
    return by_slice(lambda split, regular: hits(chosen(records, split, regular)) / len(records))


def empty_is_zero(records: Records) -> dict[str, Any]:
    return by_slice(lambda split, regular: share(chosen(records, split, regular)) or 0.0)


def only_what_occurs(records: Records) -> dict[str, Any]:
    """A dict that grows with the records: an empty slice has no key."""
    shares = by_slice(lambda split, regular: share(chosen(records, split, regular)))
    return {name: value for name, value in shares.items() if value is not None}


PROBES = {"accuracy": probe_accuracy, "slice_accuracy": probe_slice_accuracy}
MISTAKES = [
    Mistake("letters", "accuracy", letters_together),
    Mistake("letters", "accuracy", letters_of_each),
    Mistake("beginning", "accuracy", beginning),
    Mistake("pooled", "slice_accuracy", pooled),
    Mistake("splits-mixed", "slice_accuracy", splits_mixed),
    Mistake("share-of-all", "slice_accuracy", share_of_all),
    Mistake("empty-is-zero", "slice_accuracy", empty_is_zero),
    Mistake("only-what-occurs", "slice_accuracy", only_what_occurs),
]
