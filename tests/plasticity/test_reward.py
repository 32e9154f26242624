"""The reward model: padding does not touch a score, and it learns what is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.plasticity.shrunk import BASE
from tests.test_transformer import scramble
from weightdecay.plasticity import pretrain, reward
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.downstream import Words, examples
from weightdecay.plasticity.language import TOKEN_ID
from weightdecay.transformer import Transformer

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def base() -> Transformer:
    return pretrain.build(Pretrain.model_validate(BASE))


def test_a_score_is_read_at_the_last_token_whatever_is_padded(base: Transformer) -> None:
    model = reward.RewardModel(base)
    scramble(model)
    asked = examples("chains", "train", 8, 0)
    said: list[Words] = [e.response[: 3 + i] for i, e in enumerate(asked)]
    together = model.judge(asked, said)
    for e, words, score in zip(asked, said, together, strict=True):
        ids = torch.tensor([[TOKEN_ID[w] for w in ("<begin>", *e.prompt, *words)]])
        with torch.no_grad():
            x = model.body.embedding(ids)
            time = ids.shape[1]
            for block in model.body.blocks:
                x = block(x, model.body.cos[:time], model.body.sin[:time], None)
            wanted = model.score(model.body.final_norm(x)[0, -1])
        assert float(score) == pytest.approx(float(wanted), rel=1e-4, abs=1e-4)
    assert together.std() > 0.1


def test_a_fresh_one_prefers_nothing(base: Transformer) -> None:
    asked = examples("chains", "train", 4, 0)
    assert not reward.RewardModel(base).judge(asked, [e.response for e in asked]).any()


def test_it_learns_to_tell_right_from_wrong_and_leaves_the_base_alone(base: Transformer) -> None:
    before = [p.clone() for p in base.parameters()]
    model = reward.train("chains", base)
    assert all(torch.equal(p, q) for p, q in zip(base.parameters(), before, strict=True))
    asked = examples("chains", "test", 40, 5)  # never seen
    right = model.judge(asked, [e.response for e in asked])
    garbage = model.judge(asked, [("the", "so", "so", ".")] * 40)
    assert float((right > garbage).double().mean()) > 0.9


def test_it_is_trained_once_and_read_the_second_time(tmp_path: Path, base: Transformer) -> None:
    made = reward.load("lists", lambda: base, tmp_path / "new")
    read = reward.load("lists", lambda: pytest.fail("trained again"), tmp_path / "new")
    for (name, p), q in zip(made.state_dict().items(), read.state_dict().values(), strict=True):
        assert torch.equal(p, q), name
    assert any(p.any() for p in read.score.parameters())
    assert len(list((tmp_path / "new").iterdir())) == 1
