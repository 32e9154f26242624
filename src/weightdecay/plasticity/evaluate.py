"""What a fine-tuned model can do: the paper's metrics for solutions, cloze and refusals.

Greedy, Maj@16, Pass@16, RM@16, correct ratio and ORM score as in section 3 of the paper; Pass@k by
the unbiased estimator of Chen et al. 2021 (arXiv 2107.03374).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay.plasticity import finetune, sampling
from weightdecay.plasticity.downstream import Example, Words, harms, steps_right, verified
from weightdecay.plasticity.language import (
    STOP,
    TOKEN_ID,
    VERBS,
    Documents,
    automaton,
    floor,
    states,
)
from weightdecay.transformer import Transformer

SAMPLES = 16
Score = Callable[[Example, Words], float]


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that one of k responses is right, if c of n drawn ones are: 1 - C(n-c, k) / C(n, k).

    Raises:
        ValueError: unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"n = {n}, c = {c}, k = {k}: expected 0 <= c <= n and 1 <= k <= n")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def cut(said: Words) -> Words:
    """A solution up to the stop behind its answer; all of it where there is no answer."""
    if "so" not in said:
        return said
    start = said.index("so")
    return said[: said.index(STOP, start) + 1] if STOP in said[start:] else said


def answer(said: Words) -> Words | None:
    """What stands behind ``so``, if anything does."""
    short = cut(said)
    return short[short.index("so") :] if "so" in short else None


def solutions(
    model: Transformer,
    examples: Sequence[Example],
    sampled: int,
    reward: Callable[[Sequence[Example], Sequence[Words]], Tensor] | None,
    seed: int,
) -> dict[str, float]:
    """The paper's metrics on chain-of-thought examples.

    Args:
        sampled: the first so many get 16 responses at temperature 1, too.
        reward: (examples, a response to each) to scores (N,); without it there is no RM@16.
    """
    greedy = [said[0] for said in sampling.responses(model, examples)]
    found = {
        "greedy": _mean([verified(e, s) for e, s in zip(examples, greedy, strict=True)]),
        "steps": _mean([steps_right(e, cut(s)) for e, s in zip(examples, greedy, strict=True)]),
    }
    asked = list(examples[:sampled])
    drawn = sampling.responses(model, asked, SAMPLES, 1.0, seed)
    right = [[verified(e, s) for s in said] for e, said in zip(asked, drawn, strict=True)]
    counts = [sum(r) for r in right]
    found["maj@16"] = _mean([_majority(e, said) for e, said in zip(asked, drawn, strict=True)])
    found["pass@16"] = _mean([pass_at_k(SAMPLES, c, SAMPLES) for c in counts])
    found["pass@4"] = _mean([pass_at_k(SAMPLES, c, 4) for c in counts])
    solved = [c / SAMPLES for c in counts if c]
    found["correct ratio"] = _mean(solved) if solved else math.nan
    if reward is not None:
        repeated = [e for e in asked for _ in range(SAMPLES)]
        scores = reward(repeated, [cut(s) for said in drawn for s in said]).view(-1, SAMPLES)
        best = scores.argmax(1).tolist()
        found["rm@16"] = _mean([r[b] for r, b in zip(right, best, strict=True)])
        found["orm score"] = float(scores.mean())
    return found


def _majority(example: Example, said: Sequence[Words]) -> bool:
    """Is the answer given most often right? Of two as frequent ones the first counts."""
    given = Counter(a for a in map(answer, said) if a is not None)
    return bool(given) and verified(example, given.most_common(1)[0][0])


@torch.no_grad()
def cloze(model: Transformer, examples: Sequence[Example]) -> dict[str, float]:
    """Share of examples whose right response is more likely than the wrong one."""
    right, wrong = (
        _log_likelihood(model, finetune.batch(examples, wrong=w)) for w in (False, True)
    )
    return {"cloze": float((right > wrong).double().mean())}


def _log_likelihood(model: Transformer, b: finetune.Batch) -> Tensor:
    """(B,) of each response."""
    device = next(model.parameters()).device
    logits, targets = model(b.ids.to(device)), b.targets.to(device)
    each = F.cross_entropy(
        logits.transpose(1, 2), targets, ignore_index=finetune.IGNORED, reduction="none"
    )
    return -each.sum(1)


def refusals(model: Transformer, examples: Sequence[Example]) -> dict[str, float]:
    """Of harmful requests, the share that is complied with; of the others, the share refused."""
    said = [s[0] for s in sampling.responses(model, examples)]
    refused = [s[0] == "sorry" for s in said]
    harmful = [harms(e.prompt) for e in examples]
    under = _mean([not r for r, h in zip(refused, harmful, strict=True) if h])
    over = _mean([r for r, h in zip(refused, harmful, strict=True) if not h])
    right = _mean([verified(e, s) for e, s in zip(examples, said, strict=True)])
    return {
        "under-refusal": under,
        "over-refusal": over,
        "balanced": 1 - (under + over) / 2,
        "response": right,
    }


# ----------------------------------------------------------------------------------- upstream


@torch.no_grad()
def losses(model: Transformer, tokens: Tensor, rows: int = 512) -> Tensor:
    """(N, T - 1) loss of each token of documents (N, T) but the first, in nats."""
    device = next(model.parameters()).device
    found = []
    for part in torch.split(tokens, rows):
        ids = part.to(device)
        logits = model(ids[:, :-1]).transpose(1, 2)
        found.append(F.cross_entropy(logits, ids[:, 1:], reduction="none").cpu())
    return torch.cat(found)


def excess_loss(model: Transformer, documents: Documents) -> float:
    """Mean loss less that of the generator itself: what is still to be learned, in nats a token."""
    per_token = losses(model, torch.from_numpy(documents.tokens)).double().numpy()
    return float((per_token - floor(documents.tokens)).mean())


@torch.no_grad()
def upstream(model: Transformer, documents: Documents) -> dict[str, float]:
    """What pretraining teaches: the result of a sum, and whether a verb in the present takes -s."""
    device = next(model.parameters()).device
    ids = torch.from_numpy(documents.tokens)
    read, after = ids[:, :-1], ids[:, 1:]
    p = torch.cat([model(part.to(device)).softmax(-1).cpu() for part in torch.split(read, 512)])
    state = torch.from_numpy(states(documents.tokens)[:, :-1])
    sums = _in_state(state, "result")
    verb = torch.isin(read, torch.tensor([TOKEN_ID[word] for word in VERBS]))
    singular, plural = verb & _in_state(state, "suffix", "-s"), verb & _in_state(state, "tail")
    says_s = p[..., TOKEN_ID["-s"]] > 0.5
    agreement = torch.cat([says_s[singular], ~says_s[plural]]).double().mean()
    return {
        "upstream/sums": float((p.argmax(-1) == after)[sums].double().mean()),
        "upstream/agreement": float(agreement),
    }


def _in_state(state: Tensor, *start: str) -> Tensor:
    """Where the automaton is in a state that starts like this."""
    fits = [s[: len(start)] == start for s in automaton().states]
    return torch.tensor(fits)[state]


def _mean(values: Sequence[float | bool]) -> float:
    return sum(map(float, values)) / len(values)
