"""The part's results asked by decay: right rows, right order, and no choice judged on itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightdecay import plan
from weightdecay.plan import Row
from weightdecay.plasticity import records
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.task import FINETUNE, PRETRAIN
from weightdecay.results import Array, Table
from weightdecay.runs import RunError

SEEDS = (2, 0, 1)  # as rows of a table may stand
RATES = records.RATES
SCORES = {  # rate to the score of seeds 0, 1, 2
    **dict.fromkeys(RATES, (0.0, 0.0, 0.0)),
    RATES[0]: (0.1, 0.9, 0.2),
    RATES[1]: (0.5, 0.4, 0.5),
    RATES[2]: (0.6, 0.3, 0.1),
}


def finetunes(decay: float, **keys: float | str) -> list[Row]:
    return [
        {
            "weight_decay": decay, "task": task, "learning_rate": rate, **keys, "seed": seed,
            "score": SCORES[rate][seed] + decay, "test loss": 10 * i + seed,
        }
        for task in records.TASKS for i, rate in enumerate(RATES) for seed in SEEDS
    ]  # fmt: skip


TABLES: dict[str, list[Row]] = {
    "plasticity-pretrain": [
        {
            "weight_decay": d,
            "tokens_per_parameter": t,
            "seed": s,
            "step": n,
            "norm": 100 * d + n + s,
        }
        for d, t in ((0.0, 20), (0.1, 20), (0.0, 0))
        for s in SEEDS
        for n in (5, 10)
    ],
    "plasticity-finetune": [*finetunes(0.0), *finetunes(1.0)],
    "plasticity-controls": finetunes(1.0, start="norm_matched", norms_of=0.1),
}
EMPTY: dict[str, list[Row]] = {name: [] for name in (*records.BASES, *records.FINETUNES)}


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "table", lambda name: Table({**EMPTY, **TABLES}[name]))


def test_a_base_models_numbers_are_its_last_ones_in_the_order_of_the_seeds() -> None:
    assert records.base("norm", 0.1) == [20.0, 21.0, 22.0]
    assert records.base("norm", 0.0) == [10.0, 11.0, 12.0]
    steps, norms = records.curve("norm", 0.1)
    assert steps.tolist() == [5, 10]
    assert norms.tolist() == [[15, 20], [16, 21], [17, 22]]


def test_a_changed_key_asks_for_other_models() -> None:
    found = records._rows(
        records.BASES,
        records._usual(Pretrain),
        {"weight_decay": 0.0, "tokens_per_parameter": 0},
    )
    assert {row["tokens_per_parameter"] for row in found.rows} == {0}
    with pytest.raises(RunError, match=r"^no experiment .* weight_decay = 0.0, style = olmo2$"):
        records.base("norm", 0.0, style="olmo2")


def test_the_controls_lie_in_their_own_table_and_are_never_taken_for_the_main_ones() -> None:
    assert records.finetuned("score", 1.0, "lists", RATES[1]) == [1.5, 1.4, 1.5]
    matched = records.finetuned("test loss", 1.0, "lists", RATES[1], start="norm_matched")
    assert matched == [10.0, 11.0, 12.0]
    with pytest.raises(RunError, match="start = norm_matched"):
        records.finetuned("score", 0.0, "lists", RATES[1], start="norm_matched")


def test_the_best_rate_of_a_seed_is_that_of_the_others() -> None:
    """By hand: for seed 0 the others' best is the first rate, and it has 0.1 there, not 0.6."""
    assert records.best(0.0, "safety") == pytest.approx([0.1, 0.4, 0.2])
    assert records.best(0.0, "safety", "test loss") == [0.0, 11.0, 2.0]
    assert records.downstream(0.0, "best", ["safety", "lists"]) == pytest.approx([0.1, 0.4, 0.2])
    assert records.downstream(1.0, RATES[2]) == pytest.approx([1.6, 1.3, 1.1])


NUMBERS = st.integers(0, 6).map(lambda i: i / 10)  # many ties, and sums that round


@given(st.data())
def test_the_choice_for_a_seed_never_uses_that_seed(data: st.DataObject) -> None:
    choices, seeds = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 5))
    row = st.lists(NUMBERS, min_size=seeds, max_size=seeds)
    scores: Array = np.array(data.draw(st.lists(row, min_size=choices, max_size=choices)))
    chosen = records.left_out(scores)
    for seed in range(seeds):
        changed = scores.copy()
        own = st.lists(st.floats(-1e9, 1e9), min_size=choices, max_size=choices)
        changed[:, seed] = data.draw(own)
        assert records.left_out(changed)[seed] == chosen[seed]
        others = np.delete(scores, seed, 1).mean(1)
        assert others[chosen[seed]] == pytest.approx(others.max())


def test_what_is_asked_for_is_what_the_sweeps_have() -> None:
    """Decays, tasks and rates; and the decays of the base models."""
    folder = plan.ROOT / "experiments"
    tunes = plan.jobs(folder / records.FINETUNES[0], FINETUNE)
    wanted = set(itertools.product(records.DECAYS, records.TASKS, records.RATES))
    keys = ("weight_decay", "task", "learning_rate")
    assert {tuple(job.setting[key] for key in keys) for job in tunes} == wanted
    bases = plan.jobs(folder / records.BASES[0], PRETRAIN)
    trained = {j.setting["weight_decay"] for j in bases if j.config["tokens_per_parameter"]}
    assert trained == set(records.DECAYS)
