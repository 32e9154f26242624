"""Wrong ways to sort parameters that learners write."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from weightdecay.grading import Mistake

Names = dict[str, list[str]]
Named = Callable[[str, torch.Tensor], bool]


def probe_decay_names(f: Any, rng: np.random.Generator) -> Any:
    """Both lists, sorted, of a model that has every trap."""
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(5, 4),
            "position_bias": nn.Embedding(5, 2),
            "ln": nn.RMSNorm(4),
            "convolution": nn.Conv1d(4, 4, 3),
            "attention": nn.MultiheadAttention(4, 2),
            "loose": nn.ParameterDict({"scale": torch.ones(4), "temperature": torch.tensor(1.0)}),
            "hidden": nn.Linear(4, 4),
            "frozen": nn.Linear(4, 4).requires_grad_(False),
            "batch_norm": nn.BatchNorm1d(4),
            "final_norm": nn.LayerNorm(4),
            "head": nn.Linear(4, 5, bias=False),
        }
    )
    model["head"].weight = model["embedding"].weight
    found = f(model)
    return [sorted(found["decay"]), sorted(found["no_decay"])]


PROBES = {"decay_names": probe_decay_names}


def sorted_by(decayed: Named) -> Callable[[nn.Module], Names]:
    def names(model: nn.Module) -> Names:
        everything = list(model.named_parameters())
        return {
            "decay": [n for n, p in everything if decayed(n, p)],
            "no_decay": [n for n, p in everything if not decayed(n, p)],
        }

    return names


def norms_alone_spared(model: nn.Module) -> Names:
    norms = (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
    spared = {
        id(p) for layer in model.modules() if isinstance(layer, norms) for p in layer.parameters()
    }
    return sorted_by(lambda n, p: id(p) not in spared)(model)


def tied_twice(model: nn.Module) -> Names:
    everything = list(model.named_parameters(remove_duplicate=False))
    return {
        "decay": [n for n, p in everything if p.dim() >= 2],
        "no_decay": [n for n, p in everything if p.dim() < 2],
    }


def from_the_state_dict(model: nn.Module) -> Names:
    everything = list(model.state_dict().items())
    return {
        "decay": [n for n, p in everything if p.dim() >= 2],
        "no_decay": [n for n, p in everything if p.dim() < 2],
    }


def frozen_left_out(model: nn.Module) -> Names:
    everything = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return {
        "decay": [n for n, p in everything if p.dim() >= 2],
        "no_decay": [n for n, p in everything if p.dim() < 2],
    }


def embedding_spared(model: nn.Module) -> Names:
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return sorted_by(lambda n, p: p.dim() >= 2 and id(p) not in tables)(model)


def known_layers_only(model: nn.Module) -> Names:
    """Matrices by layer type, vectors by shape: what no layer type announces is dropped."""
    known = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d)
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, known)}
    everything = list(model.named_parameters())
    return {
        "decay": [n for n, p in everything if id(p) in matrices],
        "no_decay": [n for n, p in everything if p.dim() == 1],
    }


def by_layer_type(model: nn.Module) -> Names:
    """Weights of linear layers and embeddings are decayed, and every other parameter is not."""
    known = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d)
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, known)}
    return sorted_by(lambda n, p: id(p) in matrices)(model)


MISTAKES = [
    Mistake("everything-decayed", "decay_names", sorted_by(lambda n, p: True)),
    Mistake("two-axes-only", "decay_names", sorted_by(lambda n, p: p.dim() == 2)),
    Mistake("biases-decayed", "decay_names", norms_alone_spared),
    Mistake("by-the-word-bias", "decay_names", sorted_by(lambda n, p: "bias" not in n)),
    Mistake("by-the-word-bias", "decay_names", sorted_by(lambda n, p: not n.endswith(".bias"))),
    Mistake("by-the-word-bias", "decay_names", sorted_by(lambda n, p: not n.endswith("bias"))),
    Mistake(
        "by-the-word-norm",
        "decay_names",
        sorted_by(lambda n, p: not any(word in n for word in ("bias", "norm"))),
    ),
    Mistake(
        "by-the-word-norm",
        "decay_names",
        sorted_by(lambda n, p: not n.endswith("bias") and "norm" not in n),
    ),
    Mistake("tied-twice", "decay_names", tied_twice),
    Mistake("from-the-state-dict", "decay_names", from_the_state_dict),
    Mistake("frozen-left-out", "decay_names", frozen_left_out),
    Mistake("embedding-spared", "decay_names", embedding_spared),
    Mistake("by-layer-type", "decay_names", by_layer_type),
    Mistake("by-layer-type", "decay_names", known_layers_only),
]
