"""What a model says: batched greedy decoding and sampling with a key-value cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weightdecay.plasticity.downstream import Example, Words
from weightdecay.plasticity.language import BEGIN, TOKEN_ID, VOCABULARY
from weightdecay.transformer import Past, Transformer


@torch.no_grad()
def generate(
    model: Transformer,
    prompts: Tensor,
    new: int,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
    *,
    cache: bool = True,
) -> Tensor:
    """(B, new) ids that the model puts behind prompts (B, T) of one length.

    Args:
        temperature: 0 takes the most likely token.
        cache: without it each token reads the whole text again; slower, the same tokens.
    """
    past = [Past() for _ in model.blocks] if cache else None
    said = prompts
    for _ in range(new):
        seen = said[:, past[0].length :] if past else said
        logits = model(seen, past=past)[:, -1]
        if temperature == 0:
            token = logits.argmax(-1, keepdim=True)
        else:
            p = (logits / temperature).softmax(-1)
            token = torch.multinomial(p, 1, generator=generator)
        said = torch.cat([said, token], 1)
    return said[:, prompts.shape[1] :]


def responses(
    model: Transformer,
    examples: Sequence[Example],
    samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[list[Words]]:
    """`samples` responses to the prompt of each example, all as long as the longest right one."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    new = max(len(e.response) for e in examples)
    found: list[list[Words]] = [[] for _ in examples]
    for length in sorted({len(e.prompt) for e in examples}):  # one length at a time: no padding
        places = [i for i, e in enumerate(examples) if len(e.prompt) == length]
        ids = torch.tensor([prompt_ids(examples[i]) for i in places], device=device)
        said = generate(
            model, ids.repeat_interleave(samples, 0), new, temperature, generator
        ).tolist()
        for row, tokens in enumerate(said):
            found[places[row // samples]].append(tuple(VOCABULARY[t] for t in tokens))
    return found


def prompt_ids(example: Example) -> list[int]:
    """The beginning of a document, then the prompt."""
    return [TOKEN_ID[word] for word in (BEGIN, *example.prompt)]
