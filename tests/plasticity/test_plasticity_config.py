"""A config is checked once, and a wrong one is told in one line."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.plasticity.shrunk import BASE
from weightdecay import plan, runs
from weightdecay.plasticity.config import Finetune, Pretrain
from weightdecay.plasticity.task import FINETUNE, PRETRAIN
from weightdecay.runs import RunError
from weightdecay.versioned import parse

TUNE = {**BASE, "task": "lists", "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("kind", "changed", "says"),
    [
        (Pretrain, {"size": "2b"}, r"size = '2b'; .*'30k', '100k', '400k' or '1.6m'"),
        (Pretrain, {"style": "gpt"}, r"style = 'gpt'; .*'llama' or 'olmo2'"),
        (Pretrain, {"schedule": None}, r"schedule = None; .*'cosine' or 'wsd'"),
        (Pretrain, {"weight_decay": -0.1}, r"weight_decay = -0.1; .*greater than or equal to 0"),
        (Pretrain, {"weight_decay": float("nan")}, r"weight_decay = nan; "),
        (Pretrain, {"weight_decay": float("inf")}, r"weight_decay = inf; .*finite"),
        (Pretrain, {"learning_rate": 0}, r"learning_rate = 0; .*greater than 0"),
        (Pretrain, {"tokens_per_parameter": 0.5}, r"tokens_per_parameter = 0.5; .*integer"),
        (Pretrain, {"batch_size": 0}, r"batch_size = 0; .*greater than or equal to 1"),
        (Pretrain, {"seed": -1}, r"seed = -1; .*greater than or equal to 0"),
        (Pretrain, {"seed": "a\nb"}, r"seed = 'a\\nb'; .*integer"),
        (Pretrain, {"protocol": 2}, r"protocol = 2; .*1"),
        (Pretrain, {"wd": 1}, r"unknown key wd; accepted: .*seed, weight_decay, style"),
        (Finetune, {"task": "sums"}, r"task = 'sums'; .*'chains', 'lists', 'agreement'"),
        (Finetune, {"start": "reset"}, r"start = 'reset'; .*'own', 'norm_matched' or"),
        (Finetune, {"epochs": 0}, r"epochs = 0; .*greater than or equal to 1"),
        (Finetune, {"finetune_decay": -1}, r"finetune_decay = -1; "),
        (Finetune, {"rate": 1}, r"unknown key rate; accepted: .*finetune_decay"),
    ],
)
def test_a_bad_value_is_one_line_with_key_value_and_accepted(
    kind: type[Any], changed: dict[str, Any], says: str
) -> None:
    values = {**(BASE if kind is Pretrain else TUNE), **changed}
    with pytest.raises(RunError) as e:
        parse(kind, values, "some.yaml")
    assert re.match(f"some.yaml: {says}", str(e.value)), e.value
    assert len(str(e.value).splitlines()) == 1


@pytest.mark.parametrize(("kind", "key"), [(Pretrain, "seed"), (Finetune, "learning_rate")])
def test_a_missing_key_is_named(kind: type[Any], key: str) -> None:
    values = {k: v for k, v in (BASE if kind is Pretrain else TUNE).items() if k != key}
    with pytest.raises(RunError, match=f"^some.yaml: {key} is missing$"):
        parse(kind, values, "some.yaml")


def test_a_fine_tunes_base_is_the_pretraining_run_of_the_same_keys() -> None:
    tune = parse(Finetune, {**TUNE, "style": "olmo2", "schedule": "wsd"}, "")
    assert tune.base() == parse(Pretrain, {**BASE, "style": "olmo2", "schedule": "wsd"}, "")
    assert tune.base().learning_rate == 3e-3 != tune.learning_rate
    assert tune.base(0.5) == tune.base().model_copy(update={"weight_decay": 0.5})


def test_every_fine_tune_of_the_experiments_starts_from_a_model_of_the_pretraining_sweep() -> None:
    """The main ones and the controls; so a sweep of fine-tunes trains no base on the side."""
    folder = plan.ROOT / "experiments"
    bases = {job.directory for job in plan.jobs(folder / "plasticity-pretrain", PRETRAIN)}
    for name in ("plasticity-finetune", "plasticity-controls"):
        for job in plan.jobs(folder / name, FINETUNE):
            tune = parse(Finetune, job.config, name)
            for base in (tune.base(), tune.base(tune.norms_of)):
                assert plan.RUNS / plan.run_name("pretrain", base.model_dump()) in bases


def test_the_written_config_is_read_back_as_it_was(tmp_path: Any) -> None:
    full = parse(Finetune, TUNE, "").model_dump()
    runs.write_yaml(tmp_path / "config.yaml", full)
    assert parse(Finetune, runs.read_yaml(tmp_path / "config.yaml"), "").model_dump() == full
