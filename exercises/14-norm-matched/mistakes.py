"""Wrong answers to 14-norm-matched that people give."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake

Weights = dict[str, Tensor]


# ------------------------------------------------------------------------------------ probes


def draw(rng: np.random.Generator, *shape: int, mean: float = 0.0) -> Tensor:
    return torch.from_numpy(rng.normal(mean, rng.uniform(0.5, 4), shape))


def network(rng: np.random.Generator) -> Weights:
    return {
        "w": draw(rng, 5, 4, mean=rng.uniform(1, 3)),
        "v": draw(rng, 5, 4, mean=rng.uniform(-3, -1)),
        "bias": draw(rng, 7),
    }


def probe_norm_matched(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    fresh, learned = network(rng), network(rng)
    kept = {name: w.clone() for name, w in fresh.items()}
    found = {name: w.clone() for name, w in f(fresh, learned).items()}
    right = by_tensor(torch.linalg.vector_norm)(kept, learned)
    if found.keys() != right.keys() or not all(torch.allclose(found[n], right[n]) for n in right):
        return found
    # The answer is right. What does it do to tensors that trade their norms, and to zeros?
    w, v = kept["w"].clone(), 7 * kept["v"]
    norm = float(w.norm())
    made = f({"w": w, "v": v}, {"w": v, "v": w})
    if abs(float(made["v"].norm()) - norm) > 1e-6 * norm:
        return "changes its arguments"
    zeros = {name: torch.zeros_like(w) for name, w in kept.items()}
    made = f(zeros, learned)
    if any(bool(w.isnan().any()) for w in made.values()):
        return "zeros: NaN"
    if all(torch.allclose(made[name], learned[name]) for name in made):
        return "zeros: copies what was learned"
    still = all(not bool(w.any()) for w in made.values())
    return found if still else "zeros: makes something else"


def same_values(found: Weights, learned: Weights) -> bool:
    return all(
        torch.equal(found[n].flatten().sort().values, w.flatten().sort().values)
        for n, w in learned.items()
    )


def probe_shuffled(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Facts about the control, since its values are random."""
    numbers = torch.arange(1200.0, dtype=torch.float64)
    learned = {"w": numbers.view(40, 30), "v": numbers.view(40, 30), "bias": numbers[:50] - 7}

    def made(seed: int) -> Weights:
        fresh = {name: w.clone() for name, w in learned.items()}
        found: Weights = f(fresh, torch.Generator().manual_seed(seed))
        return found

    found, seed = made(3), int(rng.integers(4, 1000))
    w = found["w"]
    everything = torch.cat([v.flatten() for v in found.values()]).sort().values
    return {
        "the same values, tensor by tensor": same_values(found, learned),
        "the same values in all": torch.equal(
            everything, torch.cat([v.flatten() for v in learned.values()]).sort().values
        ),
        "whole rows": sets(w) == sets(learned["w"]),
        "rows stay rows": [set(r.tolist()) for r in w] == [set(r.tolist()) for r in learned["w"]],
        "whole columns": sets(w.T) == sets(learned["w"].T),
        "columns stay columns": [set(r.tolist()) for r in w.T]
        == [set(r.tolist()) for r in learned["w"].T],
        "order of a row": {tuple(r.tolist()) for r in w}
        == {tuple(r.tolist()) for r in learned["w"]},
        "bias in the old order": torch.equal(found["bias"], learned["bias"]),
        "one permutation": torch.equal(w, found["v"]),
        "same seed, same control": torch.equal(w, made(3)["w"]),
        "another seed, same control": torch.equal(w, made(seed)["w"]),
    }


def sets(rows: Tensor) -> set[frozenset[float]]:
    return {frozenset(row.tolist()) for row in rows}


NAMES = [
    "norm of each tensor",
    "norm of all weights together",
    "mean of each tensor",
    "largest weight of each tensor",
    "norm of each row of a matrix",
    "singular values of each matrix",
]


def probe_kept(f: Callable[[], Any], rng: np.random.Generator) -> Any:
    answer = f()
    return [[name in answer[c] for name in NAMES] for c in ("norm_matched", "shuffled")]


# ------------------------------------------------------------------------------ norm_matched


def by_tensor(size: Callable[[Tensor], Tensor]) -> Callable[[Weights, Weights], Weights]:
    """Each fresh tensor times a quotient of sizes; right for the norm, but for zeros."""

    def norm_matched(fresh: Weights, learned: Weights) -> Weights:
        return {n: w * (size(learned[n]) / size(w)) for n, w in fresh.items()}

    return norm_matched


def of_vectors_too(size: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A bias has no singular values: its norm."""
    return lambda w: size(w) if w.dim() > 1 else w.norm()


def spectral(w: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(w, 2)


def one_factor(fresh: Weights, learned: Weights) -> Weights:
    total = [torch.cat([w.flatten() for w in ws.values()]).norm() for ws in (learned, fresh)]
    return {n: w * (total[0] / total[1]) for n, w in fresh.items()}


def learned_scaled(fresh: Weights, learned: Weights) -> Weights:
    return by_tensor(torch.linalg.vector_norm)(learned, fresh)


def learned_direction(fresh: Weights, learned: Weights) -> Weights:
    """As large as the learned ones, because they are the learned ones."""
    return {n: w.clone() for n, w in learned.items()}


def upside_down(fresh: Weights, learned: Weights) -> Weights:
    return {n: w * (w.norm() / learned[n].norm()) for n, w in fresh.items()}


def row_by_row(fresh: Weights, learned: Weights) -> Weights:
    return {
        n: w * (learned[n].norm(dim=-1, keepdim=True) / w.norm(dim=-1, keepdim=True))
        for n, w in fresh.items()
    }


def only_matrices(fresh: Weights, learned: Weights) -> Weights:
    return {
        n: w * (learned[n].norm() / w.norm()) if w.dim() > 1 else w.clone()
        for n, w in fresh.items()
    }


def factor(w: Tensor, learned: Tensor) -> float:
    return float(learned.norm() / w.norm()) if w.norm() > 0 else 1.0


def in_place(fresh: Weights, learned: Weights) -> Weights:
    for n, w in fresh.items():
        w *= factor(w, learned[n])
    return fresh


def copies_the_learned(fresh: Weights, learned: Weights) -> Weights:
    return {
        n: w * factor(w, learned[n]) if w.any() else learned[n].clone() for n, w in fresh.items()
    }


def something_else(fresh: Weights, learned: Weights) -> Weights:
    return {
        n: w * factor(w, learned[n])
        if w.any()
        else torch.full_like(w, float(learned[n].norm()) / w.numel() ** 0.5)
        for n, w in fresh.items()
    }


# ----------------------------------------------------------------------------------- shuffled


def each(
    permuted: Callable[[Tensor, torch.Generator], Tensor],
) -> Callable[[Weights, torch.Generator], Weights]:
    def shuffled(learned: Weights, generator: torch.Generator) -> Weights:
        return {n: permuted(w, generator) for n, w in learned.items()}

    return shuffled


def mixed(w: Tensor, generator: torch.Generator | None) -> Tensor:
    """Right."""
    return w.flatten()[torch.randperm(w.numel(), generator=generator)].view(w.shape)


def across(learned: Weights, generator: torch.Generator) -> Weights:
    values = mixed(torch.cat([w.flatten() for w in learned.values()]), generator)
    pieces = values.split([w.numel() for w in learned.values()])
    return {n: p.view(w.shape) for p, (n, w) in zip(pieces, learned.items(), strict=True)}


@each
def rows(w: Tensor, generator: torch.Generator) -> Tensor:
    return w[torch.randperm(len(w), generator=generator)]


@each
def rows_and_columns(w: Tensor, generator: torch.Generator) -> Tensor:
    w = w[torch.randperm(len(w), generator=generator)]
    return w[:, torch.randperm(w.shape[1], generator=generator)] if w.dim() > 1 else w


@each
def columns(w: Tensor, generator: torch.Generator) -> Tensor:
    return w[..., torch.randperm(w.shape[-1], generator=generator)]


@each
def within_rows(w: Tensor, generator: torch.Generator) -> Tensor:
    return torch.stack([mixed(r, generator) for r in w]) if w.dim() > 1 else mixed(w, generator)


@each
def with_replacement(w: Tensor, generator: torch.Generator) -> Tensor:
    places = torch.randint(w.numel(), (w.numel(),), generator=generator)
    return w.flatten()[places].view(w.shape)


@each
def drawn_anew(w: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(w.shape, generator=generator, dtype=w.dtype)
    return noise * (w.norm() / noise.norm())


@each
def global_numbers(w: Tensor, generator: torch.Generator) -> Tensor:
    return mixed(w, None)


@each
def its_own_seed(w: Tensor, generator: torch.Generator) -> Tensor:
    return mixed(w, torch.Generator().manual_seed(0))


def one_permutation(learned: Weights, generator: torch.Generator) -> Weights:
    """For all tensors: the generator starts again with each."""
    seed = generator.initial_seed()
    return {n: mixed(w, generator.manual_seed(seed)) for n, w in learned.items()}


@each
def matrices_only(w: Tensor, generator: torch.Generator) -> Tensor:
    return mixed(w, generator) if w.dim() > 1 else w.clone()


# --------------------------------------------------------------------------------------- kept


def answer(norm_matched: list[str], shuffled: list[str]) -> dict[str, list[str]]:
    return {"norm_matched": norm_matched, "shuffled": shuffled}


BOTH, VALUES = NAMES[:2], NAMES[:4]
ROWS, SPECTRUM = NAMES[4:5], NAMES[5:]
KEPT = {
    "controls-swapped": [(VALUES, BOTH)],
    "spectrum-kept": [
        (BOTH, VALUES + SPECTRUM),
        (BOTH + SPECTRUM, VALUES),
        (BOTH + SPECTRUM, VALUES + SPECTRUM),
    ],
    "rows-kept": [(BOTH, VALUES + ROWS), (BOTH + ROWS, VALUES), (BOTH + ROWS, VALUES + ROWS)],
    "values-kept-by-scaling": [(VALUES, VALUES), (NAMES[:3], VALUES), ([*BOTH, NAMES[3]], VALUES)],
    "values-lost-by-shuffling": [(BOTH, BOTH), (BOTH, NAMES[:3]), (BOTH, [*BOTH, NAMES[3]])],
    "no-total": [(NAMES[:1], [NAMES[0], *NAMES[2:4]]), (NAMES[:1], VALUES)],
    "shuffling-keeps-all": [(BOTH, NAMES)],
}

PROBES = {
    "norm_matched": probe_norm_matched,
    "shuffled": probe_shuffled,
    "kept": probe_kept,
}
MISTAKES = [
    Mistake("one-factor", "norm_matched", one_factor),
    Mistake("squared-norms", "norm_matched", by_tensor(lambda w: w.square().sum())),
    Mistake("learned-scaled", "norm_matched", learned_scaled),
    Mistake("learned-scaled", "norm_matched", learned_direction),
    Mistake("upside-down", "norm_matched", upside_down),
    Mistake("spread-not-norm", "norm_matched", by_tensor(lambda w: w.std())),
    Mistake("spread-not-norm", "norm_matched", by_tensor(lambda w: w.std(correction=0))),
    Mistake("another-norm", "norm_matched", by_tensor(of_vectors_too(spectral))),
    Mistake("another-norm", "norm_matched", by_tensor(lambda w: w.abs().max())),
    Mistake("another-norm", "norm_matched", by_tensor(lambda w: w.abs().sum())),
    Mistake("row-by-row", "norm_matched", row_by_row),
    Mistake("only-matrices", "norm_matched", only_matrices),
    Mistake("in-place", "norm_matched", in_place),
    Mistake("nan-from-zeros", "norm_matched", by_tensor(torch.linalg.vector_norm)),
    Mistake("copies-the-learned", "norm_matched", copies_the_learned),
    Mistake("something-from-zeros", "norm_matched", something_else),
    Mistake("across-tensors", "shuffled", across),
    Mistake("whole-rows", "shuffled", rows),
    Mistake("whole-rows", "shuffled", columns),
    Mistake("whole-rows", "shuffled", rows_and_columns),
    Mistake("within-rows", "shuffled", within_rows),
    Mistake("with-replacement", "shuffled", with_replacement),
    Mistake("with-replacement", "shuffled", drawn_anew),
    Mistake("not-the-generator", "shuffled", global_numbers),
    Mistake("not-the-generator", "shuffled", its_own_seed),
    Mistake("one-permutation", "shuffled", one_permutation),
    Mistake("vectors-left", "shuffled", matrices_only),
    *(
        Mistake(symptom, "kept", partial(answer, *lists))
        for symptom, answers in KEPT.items()
        for lists in answers
    ),
]
