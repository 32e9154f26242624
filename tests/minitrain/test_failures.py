"""Each failure is one switch, does what it says and nothing else, and never comes by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from weightdecay import runs
from weightdecay.minitrain import build, corpus, recipe
from weightdecay.minitrain.batches import BLOCKED, PairedBatches, batch_order, pair_masks
from weightdecay.minitrain.config import Config, parse
from weightdecay.runs import RunError

FAILURES = ("init", "warmup", "mask")


def config(failure: str = "none", **optimizer: Any) -> Config:
    return parse({"failure": failure, "optimizer": optimizer}, "test.yaml")


# The switch


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_run_differs_from_its_healthy_counterpart_in_one_key(failure: str) -> None:
    value = config(failure).model_dump()
    assert value.pop("failure") == failure
    assert value == config().model_dump()


def test_a_healthy_config_is_written_as_before_there_were_failures() -> None:
    assert "failure" not in config().model_dump()
    for path in recipe.RECIPE.parent.glob("reference/*/config.yaml"):
        kept = runs.read_yaml(path)
        assert parse(kept, str(path)).model_dump() == kept
    with pytest.raises(RunError, match="'none', 'init', 'warmup' or 'mask'"):
        config("Mask")


def test_a_bad_start_without_the_switch_is_an_error_that_names_it() -> None:
    message = r"^test.yaml: expected model.init_std = 2 to be at most 0.2; .* set failure: init$"
    with pytest.raises(RunError, match=message):
        parse({"model": {"init_std": 2.0}}, "test.yaml")
    with pytest.raises(RunError, match="failure: init"):
        parse({"model": {"init_std": 2.0}, "failure": "mask"}, "test.yaml")
    assert parse({"model": {"init_std": 0.2}}, "test.yaml").model.init_std == 0.2


@pytest.mark.parametrize("steps", [0, 1])
def test_no_warmup_at_a_high_rate_without_the_switch_is_an_error_that_names_it(steps: int) -> None:
    with pytest.raises(RunError, match=f"warmup_steps = {steps} to be at least 2 .* failure: warm"):
        config(learning_rate=0.03, warmup_steps=steps)
    assert config(learning_rate=0.01, warmup_steps=steps).optimizer.warmup_steps == steps
    assert config(learning_rate=0.03, warmup_steps=2).optimizer.warmup_steps == 2


# What each does


def test_init_scales_the_same_random_matrices_by_a_hundred() -> None:
    healthy, failed = (build.build_model(config(f)).state_dict() for f in ("none", "init"))
    for name, tensor in healthy.items():
        wanted = 100 * tensor if tensor.dim() >= 2 else tensor
        torch.testing.assert_close(failed[name], wanted)


def test_warmup_starts_at_the_peak_and_falls_along_a_cosine_of_all_steps() -> None:
    healthy, failed = (build.learning_rates(config(f)) for f in ("none", "warmup"))
    assert healthy[0] == pytest.approx(3e-5)
    assert failed[0] == pytest.approx(3e-3, rel=1e-5)
    assert failed == sorted(failed, reverse=True)
    assert failed[-1] == pytest.approx(healthy[-1])


@pytest.mark.parametrize("failure", ["warmup", "mask"])
def test_two_failures_leave_the_initial_weights_alone(failure: str) -> None:
    healthy, failed = (build.build_model(config(f)).state_dict() for f in ("none", failure))
    for name, tensor in healthy.items():
        assert torch.equal(failed[name], tensor)


@pytest.mark.parametrize("failure", ["init", "mask"])
def test_two_failures_leave_the_learning_rate_alone(failure: str) -> None:
    assert build.learning_rates(config(failure)) == build.learning_rates(config())


def test_the_broken_mask_opens_the_future_of_the_same_sentence_and_nothing_else() -> None:
    width = 7
    healthy, broken = pair_masks(width), pair_masks(width, causal=False)
    i = torch.arange(width)
    for first in range(width + 1):
        same = (i[:, None] < first) == (i < first)
        later = i[:, None] < i
        assert torch.equal(broken[first] == 0, same)
        assert torch.equal(healthy[first] == 0, same & ~later)
        assert torch.equal(broken[first] == BLOCKED, ~same)


def gradient_of_later_tokens(failure: str) -> float:
    """How much the first target's logits of a batch depend on the tokens after it."""
    checked = config(failure)
    model = build.build_model(checked)
    sentences = corpus.split("train")
    order = batch_order(0, len(sentences), 4, 1)
    batch = PairedBatches(sentences, order, causal=failure != "mask")[0]
    embedded: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        embedded.append(output)

    model.embedding.register_forward_hook(keep)
    model(batch.inputs, batch.mask)[0, 0].logsumexp(0).backward()
    assert embedded[0].grad is not None
    return float(embedded[0].grad[0, 1:].abs().sum())


def test_only_with_the_broken_mask_a_prediction_depends_on_later_tokens() -> None:
    assert gradient_of_later_tokens("none") == 0.0
    assert gradient_of_later_tokens("mask") > 0.0


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_run_trains_otherwise_than_its_healthy_counterpart(
    tiny: Config, tmp_path: Path, failure: str
) -> None:
    from weightdecay.minitrain import loop

    last = []
    for name in ("none", failure):
        checked = Config.model_validate({**tiny.model_dump(), "failure": name})
        run = loop.train(checked, tmp_path / name, quiet=True)
        assert run.config == checked.model_dump()
        last.append(run.steps[-1]["batch_loss"])
    assert last[0] != last[1]
