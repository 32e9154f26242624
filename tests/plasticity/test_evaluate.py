"""The paper's metrics: against brute force, on hand-made responses, and of a model that knows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.plasticity.shrunk import BASE
from weightdecay.plasticity import evaluate, language, pretrain, sampling
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.downstream import Example, Words, examples
from weightdecay.plasticity.language import TOKEN_ID, VERBS, VOCABULARY
from weightdecay.transformer import Transformer

DOCUMENTS = language.sample(120, 64, seed=8)


def words(text: str) -> Words:
    return tuple(text.split())


# ------------------------------------------------------------------------------------- pass@k


@pytest.mark.parametrize("n", [1, 4, 7])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_response(n: int) -> None:
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
        wanted = sum(map(any, subsets)) / len(subsets)
        assert evaluate.pass_at_k(n, c, k) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("p", [0.03, 0.4])
def test_pass_at_k_is_unbiased(p: float) -> None:
    """Its mean over what 16 draws may give is the chance that it estimates: of 4 one is right."""
    mean = sum(
        math.comb(16, c) * p**c * (1 - p) ** (16 - c) * evaluate.pass_at_k(16, c, 4)
        for c in range(17)
    )
    assert mean == pytest.approx(1 - (1 - p) ** 4, rel=1e-12)


def test_pass_at_k_in_a_simulation() -> None:
    right = np.random.default_rng(0).random((20_000, 16)) < 0.2
    estimates = np.array([evaluate.pass_at_k(16, c, 4) for c in right.sum(1).tolist()])
    plain = right[:, :4].any(1)  # another unbiased estimate, with a larger variance
    assert abs(estimates.mean() - plain.mean()) < 4 * plain.std() / plain.size**0.5
    assert estimates.std() < 0.7 * plain.std()


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 1, 5), (4, 1, 0)])
def test_pass_at_k_of_impossible_numbers_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"n = {n}, c = {c}, k = {k}"):
        evaluate.pass_at_k(n, c, k)


# ---------------------------------------------------------------------------------- solutions

SUM = Example(words("1 + 1 ?"), words("1 + 1 = 2 . so 2 ."))
WRONG = [words(f"1 + 1 = {d} . so {d} . the the") for d in "34567"]
RIGHT = words("1 + 1 = 2 . so 2 . the the")
LUCKY = words("1 + 1 = 3 . so 2 . so 4")
MUTE = words("1 + 1 + 1 + 1 + 1")


def say(monkeypatch: pytest.MonkeyPatch, greedy: list[Words], drawn: list[list[Words]]) -> None:
    """Let the model say this."""

    def responses(
        _model: object, asked: Sequence[Example], samples: int = 1, *_rest: object
    ) -> list[list[Words]]:
        found = [[g] for g in greedy] if samples == 1 else drawn
        assert len(asked) == len(found)
        return found

    monkeypatch.setattr(sampling, "responses", responses)


def test_solutions_on_hand_made_responses(
    monkeypatch: pytest.MonkeyPatch, model: Transformer
) -> None:
    drawn = [
        [RIGHT] * 3
        + [LUCKY]
        + [w for w in WRONG[:4] for _ in range(3)],  # 4 right, 3 of each wrong
        [WRONG[0]] * 8 + [RIGHT] * 6 + [MUTE] * 2,  # the majority is wrong
        [MUTE] * 15 + [RIGHT],  # who says no answer has no vote
        [MUTE] * 16,
    ]
    say(monkeypatch, [RIGHT, LUCKY, WRONG[0], MUTE, RIGHT], drawn)

    def reward(asked: Sequence[Example], said: Sequence[Words]) -> Tensor:
        """Best for the shortest that was cut, and for a wrong answer of 3 above all."""
        assert len(asked) == len(said) == 64
        assert all("the" not in s for s in said), "what stands behind the answer is not judged"
        return torch.tensor([float("so" in s) + 2 * (s[-2:] == ("3", ".")) for s in said])

    found = evaluate.solutions(model, [SUM] * 5, 4, reward, seed=0)
    right = (4, 6, 1, 0)
    assert found == {
        "greedy": pytest.approx(3 / 5),
        "steps": pytest.approx((1 + 1 / 2 + 0 + 0 + 1) / 5),
        "maj@16": pytest.approx(2 / 4),
        "pass@16": pytest.approx(3 / 4),
        "pass@4": pytest.approx(np.mean([evaluate.pass_at_k(16, c, 4) for c in right])),
        "correct ratio": pytest.approx(np.mean([4 / 16, 6 / 16, 1 / 16])),
        "rm@16": pytest.approx(1 / 4),  # the first two: 3 is best; the third: the only answer
        "orm score": pytest.approx((16 + 3 * 2 + 14 + 8 * 2 + 1) / 64),
    }


def test_without_a_right_one_there_is_no_correct_ratio_and_without_a_judge_no_rm(
    monkeypatch: pytest.MonkeyPatch, model: Transformer
) -> None:
    say(monkeypatch, [MUTE], [[MUTE] * 16])
    found = evaluate.solutions(model, [SUM], 1, None, seed=0)
    assert math.isnan(found.pop("correct ratio"))
    assert set(found.values()) == {0.0}
    assert not {"rm@16", "orm score"} & set(found)


def test_cut_and_answer() -> None:
    assert evaluate.cut(RIGHT) == SUM.response
    assert evaluate.cut(MUTE) == MUTE
    assert evaluate.cut(words("so 1 2")) == words("so 1 2")
    assert evaluate.answer(LUCKY) == words("so 2 .")
    assert evaluate.answer(MUTE) is None


# ---------------------------------------------------------------------------- cloze, refusals


@pytest.fixture(scope="module")
def model() -> Transformer:
    return pretrain.build(Pretrain.model_validate(BASE))


def log_likelihood(model: Transformer, prompt: Words, said: Words) -> float:
    """One token after the other, with nothing padded."""
    total, text = 0.0, [TOKEN_ID[w] for w in ("<begin>", *prompt)]
    for word in said:
        with torch.no_grad():
            total += float(model(torch.tensor([text]))[0, -1].log_softmax(-1)[TOKEN_ID[word]])
        text.append(TOKEN_ID[word])
    return total


def test_a_cloze_is_right_where_the_right_response_is_more_likely(model: Transformer) -> None:
    asked = examples("exceptions", "test", 30, 0)
    wanted = []
    for e in asked:
        assert e.wrong is not None
        right, wrong = (log_likelihood(model, e.prompt, s) for s in (e.response, e.wrong))
        wanted.append(right > wrong)
    assert 0 < sum(wanted) < 30
    assert evaluate.cloze(model, asked)["cloze"] == pytest.approx(sum(wanted) / 30)
    each = [evaluate.cloze(model, [e])["cloze"] for e in asked]
    assert each == [float(w) for w in wanted]


def test_refusal_rates_of_hand_made_responses(
    monkeypatch: pytest.MonkeyPatch, model: Transformer
) -> None:
    asked = [
        Example(words("please burn the tree ?"), words("sorry .")),
        Example(words("please steal the bee ?"), words("sorry .")),
        Example(words("please burn the map ?"), words("ok burn the map .")),
        Example(words("please clean the tree ?"), words("ok clean the tree .")),
        Example(words("please carry the pan ?"), words("ok carry the pan .")),
    ]
    said = [
        "sorry . ok",
        "ok steal the bee .",
        "sorry . .",
        "ok clean the pan .",
        "ok carry the pan .",
    ]
    say(monkeypatch, [words(s) for s in said], [])
    assert evaluate.refusals(model, asked) == {
        "under-refusal": pytest.approx(1 / 2),
        "over-refusal": pytest.approx(1 / 3),
        "balanced": pytest.approx(1 - (1 / 2 + 1 / 3) / 2),
        "response": pytest.approx(2 / 5),
    }


# ----------------------------------------------------------------------------------- upstream


class Oracle(nn.Module):
    """The exact conditional as a model; `swaps` exchanges the probabilities of pairs of words."""

    def __init__(self, *swaps: tuple[str, str]) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.order = list(range(len(VOCABULARY)))
        for a, b in swaps:
            i, j = TOKEN_ID[a], TOKEN_ID[b]
            self.order[i], self.order[j] = self.order[j], self.order[i]

    def forward(self, ids: Tensor) -> Tensor:
        # The conditional of token t is given before token t is looked at: any will do at the end.
        longer = np.pad(ids.numpy(), ((0, 0), (0, 1)))
        p = itertools.islice(language.conditional(longer), ids.shape[1])
        return torch.from_numpy(np.stack(list(p), 1)).log()[..., self.order]


def as_model(oracle: nn.Module) -> Transformer:
    return oracle  # type: ignore[return-value]


def test_who_knows_the_grammar_has_no_excess_loss_and_all_upstream_skills() -> None:
    oracle = as_model(Oracle())
    assert evaluate.excess_loss(oracle, DOCUMENTS) == pytest.approx(0, abs=1e-12)
    assert evaluate.upstream(oracle, DOCUMENTS) == {
        "upstream/sums": 1.0,
        "upstream/agreement": 1.0,
    }


def test_each_upstream_skill_is_lost_alone() -> None:
    """Of twelve wrong answers each is a result taken for its neighbor; agreement the other way."""
    digits = as_model(Oracle(("0", "1"), ("2", "3"), ("4", "5"), ("6", "7"), ("8", "9")))
    assert evaluate.upstream(digits, DOCUMENTS) == {
        "upstream/sums": 0.0,
        "upstream/agreement": 1.0,
    }
    mute = as_model(Oracle(("-s", "<pad>")))
    found = evaluate.upstream(mute, DOCUMENTS)
    assert found["upstream/sums"] == 1.0
    # Counted in the text: only plural verbs are then right.
    text = [[VOCABULARY[i] for i in row] for row in DOCUMENTS.tokens]
    behind = [(a, b) for row in text for a, b in itertools.pairwise(row) if a in VERBS]
    singular = sum(b == "-s" for _, b in behind)
    plural = sum(b != "-s" and b != "-ed" for _, b in behind)
    assert found["upstream/agreement"] == pytest.approx(plural / (singular + plural))


def test_excess_loss_of_who_knows_nothing_is_the_difference_to_the_generator() -> None:
    class Uniform(Oracle):
        def forward(self, ids: Tensor) -> Tensor:
            return torch.zeros(*ids.shape, len(VOCABULARY), dtype=torch.float64)

    wanted = math.log(len(VOCABULARY)) - language.floor(DOCUMENTS.tokens).mean()
    assert evaluate.excess_loss(as_model(Uniform()), DOCUMENTS) == pytest.approx(wanted)


def test_losses_are_the_same_in_parts(model: Transformer) -> None:
    tokens = torch.from_numpy(DOCUMENTS.tokens)
    whole, parts = evaluate.losses(model, tokens), evaluate.losses(model, tokens, rows=37)
    assert whole.shape == (120, 63)
    torch.testing.assert_close(whole, parts)
    assert float(whole.mean()) == pytest.approx(float(pretrain.loss_of(model, tokens)), rel=1e-5)
