"""R copies of a model trained as one tensor program: other seeds, data, lambda, eta, even rules.

    optimizers = [RuleOptimizer(parameter_groups(m, w), adamw, lr=1e-3) for m, w in pairs]
    replicas = Replicas([m for m, _ in pairs], optimizers)
    facts = replicas.step(loss, inputs, targets, lr=rates)  # inputs, targets: (R, ...)

Each weight is one tensor with a first axis of R replicas. `torch.func.vmap` runs the forward pass
over that axis; the backward pass is autograd's own, on the sum of R losses that have no weight in
common. The result is that of R separate runs, up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from weightdecay.decay import require_nonnegative
from weightdecay.rules import RuleOptimizer
from weightdecay.stacked_rules import column, row_blocks

M = TypeVar("M", bound=nn.Module)


class Facts(NamedTuple):
    """What a step tells of each replica, on the replicas' device."""

    loss: Tensor
    """(R,), before the step; NaN for a replica that has diverged."""
    grad_norm: Tensor
    """(R,), over all parameters, before clipping."""


class Replicas(Generic[M]):
    """R models and their optimizers, stacked; on the models' device and in their dtype.

    A replica that diverges goes on with NaN and leaves the others alone. Dropout is refused by
    `step`: the replicas would draw other numbers than separate runs.

    Args:
        models: alike in everything but the values of their weights and buffers; left unchanged.
            One model may be given several times.
        optimizers: one for each model, over its parameters, before its first step. Rule, groups
            and settings may differ among replicas; they are read here, once. A rule must treat
            each element by itself, as those of `rules.py` do.
        clip_norm: greatest norm of a replica's gradient, one number or one for each replica, as
            ``torch.nn.utils.clip_grad_norm_`` has it; left out, nothing is clipped.

    Raises:
        ValueError: naming the first difference between two models, an optimizer that does not
            belong to its model, or a `clip_norm` that is not positive.
    """

    def __init__(
        self,
        models: Sequence[M],
        optimizers: Sequence[RuleOptimizer],
        *,
        clip_norm: float | Sequence[float] | None = None,
    ) -> None:
        _require_alike(models)
        _require_own(models, optimizers)
        self._models = list(models)
        parameters, buffers = stack_module_state(models)
        self.tensors: dict[str, Tensor] = {**parameters, **buffers}
        """Every weight and buffer by its name, with a first axis of R."""
        self._blocks = {
            name: row_blocks(name, p, models, optimizers) for name, p in parameters.items()
        }
        self._clip_norm: Tensor | None = None
        if clip_norm is not None:
            limits = self._each("clip_norm", clip_norm)
            if not all(limit > 0 for limit in limits):
                raise ValueError(f"clip_norm = {clip_norm} must be positive")
            self._clip_norm = next(iter(parameters.values())).new_tensor(limits)

    def __len__(self) -> int:
        return len(self._models)

    def step(
        self,
        loss_fn: Callable[..., Tensor],
        *batch: Tensor,
        lr: float | Sequence[float] | None = None,
    ) -> Facts:
        """One optimizer step of every replica.

        A parameter that the loss does not use is neither moved nor decayed, as everywhere in torch.

        Args:
            loss_fn: (model, one replica's part of each of `batch`) to a scalar, written as for one
                ordinary model. It is called once for all replicas: what they share, data too, it
                takes from around it, and no ``if`` in it can depend on a tensor's values.
            batch: tensors with a first axis of R.
            lr: this step's learning rate, one number or one for each replica; left out, that of
                the optimizers' groups.

        Raises:
            ValueError: for another first axis, a loss that is no scalar, or an `lr` that is
                negative or has not R entries; nothing has moved then.
        """
        rate: float | Tensor | None = None
        if lr is not None:
            rates = self._each("lr", lr)
            for number in rates:
                require_nonnegative(lr=number)
            rate = torch.tensor(rates, dtype=torch.float64) if len(set(rates)) > 1 else rates[0]
        loss = self._call(loss_fn, batch)
        if loss.shape != (len(self),):
            raise ValueError(f"the loss has shape {tuple(loss.shape[1:])}, expected a scalar")
        trained = {name: t for name, t in self.tensors.items() if t.requires_grad}
        found = torch.autograd.grad(loss.sum(), list(trained.values()), allow_unused=True)
        grads = {n: g for n, g in zip(trained, found, strict=True) if g is not None}
        norm = _norm(list(grads.values()))
        with torch.no_grad():
            for name, g in grads.items():
                w = self.tensors[name]
                if self._clip_norm is not None:
                    g = g * column((self._clip_norm / (norm + 1e-6)).clamp(max=1), w)
                for block in self._blocks[name]:
                    block.step(w, g, rate)
        return Facts(loss.detach(), norm)

    @torch.no_grad()
    def map(self, function: Callable[..., Any], *batch: Tensor) -> Any:
        """``function(model, ...)`` for every replica at once, without gradient.

        Args:
            function: as `step`'s `loss_fn`, but it may return any tensor, tuple or dict of them.
            batch: tensors with a first axis of R.

        Returns:
            What the function returns, each tensor with a first axis of R.

        Raises:
            ValueError: for another first axis.
        """
        return self._call(function, batch)

    @torch.no_grad()
    def model(self, i: int) -> M:
        """Replica `i` as an ordinary module: a copy, which further steps do not change."""
        model = copy.deepcopy(self._models[i])
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            tensor.copy_(self.tensors[name][i])
        return model

    def state_dict(self) -> dict[str, Any]:
        """A snapshot that ``torch.save`` writes and ``torch.load(weights_only=True)`` reads.

        Weights, buffers and what the rules remember; rules and settings come with the optimizers
        when the replicas are made again.
        """
        return {
            "layout": self._layout(),
            "tensors": {name: t.detach().clone() for name, t in self.tensors.items()},
            "states": {name: [dict(b.state) for b in bs] for name, bs in self._blocks.items()},
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the `state_dict` of replicas that were made in the same way.

        Raises:
            ValueError: naming the first thing that does not fit; nothing has changed then.
        """
        if difference := _difference(state.get("layout", {}), self._layout()):
            raise ValueError(f"the state does not fit these replicas: {difference}")
        for name, t in self.tensors.items():
            t.copy_(state["tensors"][name])
        for name, blocks in self._blocks.items():
            for block, saved in zip(blocks, state["states"][name], strict=True):
                w = self.tensors[name]
                block.state = {k: v.to(w) if isinstance(v, Tensor) else v for k, v in saved.items()}

    def _layout(self) -> dict[str, str]:
        """Of every tensor: its kind, and which rule moves which replicas."""
        return {
            name: "; ".join([_kind(t), *(block.label() for block in self._blocks.get(name, ()))])
            for name, t in self.tensors.items()
        }

    def _call(self, function: Callable[..., Any], batch: Sequence[Tensor]) -> Any:
        for place, tensor in enumerate(batch):
            if tensor.shape[:1] != (len(self),):
                raise ValueError(
                    f"batch[{place}] has shape {tuple(tensor.shape)}, expected a first axis of "
                    f"{len(self)} replicas"
                )
        bound = _Bound(self._models[0])

        def one(tensors: dict[str, Tensor], *part: Tensor) -> Any:
            lent = {f"model.{name}": t for name, t in tensors.items()}
            return functional_call(bound, lent, (function, *part))

        return torch.func.vmap(one)(self.tensors, *batch)

    def _each(self, name: str, value: float | Sequence[float]) -> list[float]:
        """One number for each replica."""
        if isinstance(value, int | float):
            return [float(value)] * len(self)
        if len(value) != len(self):
            raise ValueError(f"{name} has {len(value)} entries for {len(self)} replicas")
        return [float(number) for number in value]


class _Bound(nn.Module):
    """Lets a function call any method of a model while `functional_call` lends it other weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *batch: Tensor) -> Any:
        return function(self.model, *batch)


def _norm(grads: list[Tensor]) -> Tensor:
    """(R,): norm over all parameters, built as ``torch.nn.utils.clip_grad_norm_`` builds it."""
    norms = torch.stack([torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in grads])
    total: Tensor = torch.linalg.vector_norm(norms, dim=0)
    return total


# --------------------------------------------------------------------------------------- checks


def _kind(t: Tensor) -> str:
    frozen = "" if t.requires_grad else " without gradient"
    return f"{str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}{frozen}"


def _common(model: nn.Module) -> dict[str, object]:
    """What all replicas must share: classes, plain settings, and the kind of every tensor.

    The settings matter since one model's code runs for all: with four heads and with eight the
    weights have the same shapes.
    """
    common: dict[str, object] = {}
    for name, module in model.named_modules():
        where = name or "the model"
        common[f"the class of {where}"] = type(module).__name__
        for key, value in vars(module).items():
            if not key.startswith("_") and isinstance(value, bool | int | float | str | tuple):
                common[f"{key} of {where}"] = value
    for name, t in (*model.named_parameters(), *model.named_buffers()):
        common[name] = f"{_kind(t)} on {t.device}"
    return common


def _difference(a: Mapping[str, object], b: Mapping[str, object]) -> str:
    """The first key in which `a` is not `b`; empty if they are equal."""
    for key in {**b, **a}:
        ours, theirs = a.get(key, "absent"), b.get(key, "absent")
        if ours != theirs:
            return f"{key} is {ours}, not {theirs}"
    return ""


def _require_alike(models: Sequence[nn.Module]) -> None:
    if not models:
        raise ValueError("no models: expected one or more replicas")
    first = _common(models[0])
    for i, model in enumerate(models):
        if difference := _difference(_common(model), first):
            raise ValueError(f"replica {i} differs from replica 0: {difference}")


def _require_own(models: Sequence[nn.Module], optimizers: Sequence[RuleOptimizer]) -> None:
    if len(models) != len(optimizers):
        raise ValueError(f"{len(optimizers)} optimizers for {len(models)} models")
    for i, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
        own = {id(p) for p in model.parameters()}
        if any(id(p) not in own for group in optimizer.param_groups for p in group["params"]):
            raise ValueError(f"optimizer {i} holds a parameter that is not of model {i}")
        if optimizer.state:
            raise ValueError(f"optimizer {i} has taken a step; replicas start from fresh ones")
