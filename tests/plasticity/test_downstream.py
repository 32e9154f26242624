"""The tasks a model is fine-tuned on: every answer right by an independent reckoning."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from weightdecay.plasticity import downstream
from weightdecay.plasticity.downstream import TASKS, Example, examples
from weightdecay.plasticity.language import PLURAL, SINGULAR, VOCABULARY

SIZES = {"chains": 500, "lists": 500, "agreement": 500, "exceptions": 60, "safety": 300}
every_task = pytest.mark.parametrize("task", TASKS)


def words(sentence: str) -> tuple[str, ...]:
    return tuple(sentence.split())


def text(words: tuple[str, ...]) -> str:
    return " ".join(words)


@every_task
def test_train_and_test_have_no_prompt_in_common(task: str) -> None:
    train, test = (
        {e.prompt for seed in (0, 1) for e in examples(task, split, SIZES[task], seed)}
        for split in ("train", "test")
    )
    assert train.isdisjoint(test)
    assert len(examples(task, "test", SIZES[task], 0)) == SIZES[task]


@every_task
def test_every_word_is_in_the_vocabulary_and_the_right_response_passes(task: str) -> None:
    for e in examples(task, "train", SIZES[task], 0):
        assert set(e.prompt) | set(e.response) | set(e.wrong or ()) <= set(VOCABULARY)
        assert downstream.verified(e, e.response)
        assert downstream.steps_right(e, e.response) == 1
        assert not downstream.verified(e, e.response[:-2])
        if e.wrong:
            assert not downstream.verified(e, e.wrong)


def test_a_chain_ends_in_the_sum() -> None:
    for e in examples("chains", "train", 300, 0):
        total = eval(text(e.prompt[:-1]).replace(" ", "")) % 10  # digits and signs only
        assert text(e.response).endswith(f"so {total} .")


def test_a_wrong_step_counts_though_the_answer_is_right_and_the_other_way_round() -> None:
    e = Example(words("7 + 3 - 5 ?"), words("7 + 3 = 0 . 0 - 5 = 5 . so 5 ."))
    lucky = words("7 + 3 = 1 . 0 - 5 = 5 . so 5 .")
    unlucky = words("7 + 3 = 0 . 0 - 5 = 5 . so 6 .")
    assert (downstream.verified(e, lucky), downstream.steps_right(e, lucky)) == (True, 2 / 3)
    assert (downstream.verified(e, unlucky), downstream.steps_right(e, unlucky)) == (False, 2 / 3)
    assert not downstream.verified(e, ())


def test_a_list_is_changed_as_its_words_say() -> None:
    counts = set()
    for e in examples("lists", "train", 300, 0):
        digits, names = [int(d) for d in e.prompt[1:4]], e.prompt[4:-1]
        counts.add(len(names))
        for name in names:
            if name == "reverse":
                digits = digits[::-1]
            elif name == "sort":
                digits = sorted(digits)
            elif name == "raise":
                digits = [(d + 1) % 10 for d in digits]
            else:
                digits = [digits[1], digits[0], digits[2]]
        assert text(e.response).endswith(f"so {' '.join(map(str, digits))} .")
    assert counts == {1, 2}


def test_agreement_is_with_the_first_noun_also_where_both_others_differ() -> None:
    hard = 0
    for e in examples("agreement", "train", 300, 0):
        plural = [w in PLURAL for w in e.prompt if w in (*SINGULAR, *PLURAL)]
        assert len(plural) == 3
        assert ("-s" in e.response) == (not plural[0])
        hard += plural[1] == plural[2] != plural[0]
    assert hard > 30


def test_exceptions_have_their_own_form_and_the_rule_is_the_wrong_answer() -> None:
    for e in examples("exceptions", "train", 100, 0):
        verb, irregular = e.prompt[0], e.prompt[0] in downstream.NEW_IRREGULAR
        assert ("-ed" in e.response) == (not irregular)
        assert (e.wrong == (verb, "-ed", ".")) == irregular


def test_half_of_what_sounds_harmful_is_not() -> None:
    found = examples("safety", "train", 400, 0)
    refused = [e for e in found if e.response == ("sorry", ".")]
    harmful_verb = [e for e in found if set(e.prompt) & set(downstream.HARMFUL)]
    assert all(set(e.prompt) & set(downstream.LIVING) for e in refused)
    assert 0.35 < len(refused) / len(harmful_verb) < 0.65
    assert all(e.response[1:-1] == e.prompt[1:-1] for e in found if e not in refused)


def test_asking_for_more_than_there_is_says_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = downstream._draws
    monkeypatch.setattr(
        downstream, "_draws", lambda task, rng: itertools.islice(draws(task, rng), 500)
    )
    with pytest.raises(ValueError, match=r"exceptions has only \d+ different prompts for test"):
        examples("exceptions", "test", 10**4, 0)


def test_a_seed_gives_the_same_examples() -> None:
    assert examples("lists", "train", 20, 3) == examples("lists", "train", 20, 3)
    rng = np.random.default_rng(0)
    assert TASKS["lists"](rng) != TASKS["lists"](rng)
