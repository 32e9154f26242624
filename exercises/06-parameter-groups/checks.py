"""Checks of 06-parameter-groups: models whose parameters are of known kinds by construction."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from weightdecay.grading import Mismatch
from weightdecay.transformer import Transformer, TransformerConfig

DecayNames = Callable[[nn.Module], dict[str, list[str]]]


def kind(value: Any) -> str:
    """The type in words: a value may be a model's worth of numbers."""
    return "None" if value is None else f"a {type(value).__name__}"


def compare(found: Any, model: nn.Module, decayed: set[str], what: str) -> None:
    """Each parameter has to be listed once; by any of its names, in the list where it belongs.

    `decayed` holds the first names of the parameters to decay; all others are not to be.
    """
    first = {id(p): name for name, p in model.named_parameters()}
    names = {n: first[id(p)] for n, p in model.named_parameters(remove_duplicate=False)}
    if not isinstance(found, dict) or set(found) != {"decay", "no_decay"}:
        keys = f" with {sorted(map(str, found))}" if isinstance(found, dict) else ""
        raise Mismatch(
            f"observed: {kind(found)}{keys}\nexpected: a dict with decay and no_decay\n"
            f"inputs:   {what}"
        )
    listed: dict[str, list[str]] = {name: [] for name in first.values()}
    for group in ("decay", "no_decay"):
        if not isinstance(found[group], list | tuple | set):
            raise Mismatch(
                f"observed: {kind(found[group])} in {group}, where a list of names belongs\n"
                f"expected: a list of strings\ninputs:   {what}"
            )
        for name in found[group]:
            if not isinstance(name, str):
                raise Mismatch(
                    f"observed: {kind(name)} in {group}, where a name belongs\n"
                    f"expected: strings, as in model.named_parameters()\ninputs:   {what}"
                )
            if name not in names:
                raise Mismatch(
                    f"observed: {name!r} in {group}\nexpected: names of parameters only\n"
                    f"inputs:   {what}"
                )
            listed[names[name]].append(group)
    for name, groups in listed.items():
        right = "decay" if name in decayed else "no_decay"
        if groups == [right]:
            continue
        place = " and in ".join(groups) if groups else "no list"
        shape = tuple(model.get_parameter(name).shape)
        raise Mismatch(
            f"observed: {name} of shape {shape} in {place}\nexpected: in {right}, once\n"
            f"inputs:   {what}"
        )


def small(**settings: Any) -> Transformer:
    sizes = {"vocab_size": 11, "context": 8, "d_model": 8, "n_head": 2, "n_layer": 1, "d_ff": 12}
    return Transformer(TransformerConfig(**(sizes | settings)))


MATRICES = {
    "embedding.weight",
    "head.weight",
    "blocks.0.qkv.weight",
    "blocks.0.attention_out.weight",
    "blocks.0.gate.weight",
    "blocks.0.mlp_in.weight",
    "blocks.0.mlp_out.weight",
}


@pytest.mark.points(2)
def test_a_gpt_decays_its_matrices_and_its_embedding(decay_names: DecayNames) -> None:
    """In a small GPT with biases, matrices and embedding are decayed; biases and gains are not."""
    model = small(tied_head=False)
    compare(decay_names(model), model, MATRICES, "a GPT-style transformer, untied head")


@pytest.mark.points(2)
def test_a_llama_keeps_its_gains(decay_names: DecayNames) -> None:
    """In a small Llama, which has no biases, the gains of the norms are not decayed."""
    model = small(style="llama", tied_head=False)
    compare(decay_names(model), model, MATRICES, "a Llama-style transformer, untied head")


@pytest.mark.points(2)
def test_a_tied_weight_is_listed_once(decay_names: DecayNames) -> None:
    """A tied head is one parameter with the embedding; a frozen one counts, buffers do not."""
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(7, 4),
            "hidden": nn.Linear(4, 4),
            "frozen": nn.Linear(4, 4).requires_grad_(False),
            "batch_norm": nn.BatchNorm1d(4),
            "head": nn.Linear(4, 7, bias=False),
        }
    )
    model["head"].weight = model["embedding"].weight
    decayed = {"embedding.weight", "hidden.weight", "frozen.weight"}
    what = "embedding, linear layer, a frozen one (requires_grad=False), batch norm, tied head"
    compare(decay_names(model), model, decayed, what)


@pytest.mark.points(2)
def test_names_and_types_do_not_decide(decay_names: DecayNames) -> None:
    """A table called bias, a norm called ln, a convolution, packed matrices, a lone scale."""
    model = nn.ModuleDict(
        {
            "position_bias": nn.Embedding(5, 2),
            "ln": nn.RMSNorm(4),
            "convolution": nn.Conv1d(4, 4, 3),
            "attention": nn.MultiheadAttention(4, 2),
            "loose": nn.ParameterDict({"scale": torch.ones(4), "temperature": torch.tensor(1.0)}),
        }
    )
    decayed = {
        "position_bias.weight",
        "convolution.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    }
    what = "a bias table, a norm, a convolution, attention, loose parameters"
    compare(decay_names(model), model, decayed, what)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_models_put_together_at_random(decay_names: DecayNames, rng: np.random.Generator) -> None:
    """Random stacks of layers under random names, convolutions and PReLUs among them."""
    words = ["bias", "norm", "weight", "embed", "gain", "a", "b", "head", "ln", "proj"]
    makers: list[tuple[Callable[[], nn.Module], set[str]]] = [
        (lambda: nn.Linear(3, 4), {"weight"}),
        (lambda: nn.Conv1d(3, 4, 2), {"weight"}),
        (lambda: nn.Embedding(3, 4), {"weight"}),
        (lambda: nn.Bilinear(2, 3, 4), {"weight"}),
        (lambda: nn.LayerNorm(4), set()),
        (lambda: nn.GroupNorm(2, 4), set()),
        (lambda: nn.PReLU(4), set()),
        (lambda: nn.BatchNorm2d(4), set()),
        (lambda: nn.ReLU(), set()),
    ]
    for _ in range(10):
        layers, decayed = {}, set()
        for word in rng.permutation(words)[: rng.integers(1, len(words))]:
            make, matrices = makers[rng.integers(len(makers))]
            layers[str(word)] = make()
            decayed |= {f"{word}.{name}" for name in matrices}
        kinds = ", ".join(f"{name}: {type(m).__name__}" for name, m in layers.items())
        model = nn.ModuleDict(layers)
        compare(decay_names(model), model, decayed, kinds)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_a_list_may_be_empty(decay_names: DecayNames) -> None:
    """A model without parameters gives two empty lists, one of matrices alone one."""
    empty = nn.ReLU()
    compare(decay_names(empty), empty, set(), "nn.ReLU()")
    bare = nn.Linear(2, 3, bias=False)
    compare(decay_names(bare), bare, {"weight"}, "nn.Linear(2, 3, bias=False)")
    norm = nn.LayerNorm(3)
    compare(decay_names(norm), norm, set(), "nn.LayerNorm(3)")
