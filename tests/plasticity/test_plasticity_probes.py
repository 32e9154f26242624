"""Probes read what is there, and a control task says what they memorize."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.plasticity.shrunk import BASE
from weightdecay.plasticity import language, pretrain, probes
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.language import VOCABULARY
from weightdecay.transformer import Transformer

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture(scope="module")
def model() -> Transformer:
    return pretrain.build(Pretrain.model_validate(BASE))


def test_hidden_states_are_the_stream_at_the_last_token(model: Transformer) -> None:
    tokens = probes.documents("choose").tokens
    found = probes.hidden_states(model, tokens)
    ids = torch.from_numpy(tokens)
    with torch.no_grad():
        stream = model.embedding(ids)
        wanted = [stream[:, -1]]
        for block in model.blocks:
            stream = block(stream, model.cos[:64], model.sin[:64], None)
            wanted.append(stream[:, -1])
    for h, w in zip(found, wanted, strict=True):
        assert h.dtype == np.float64
        np.testing.assert_allclose(h, w.numpy(), rtol=1e-6)
    assert not model.embedding._forward_hooks, "no hook is left behind"


def test_the_three_parts_have_no_document_in_common() -> None:
    drawn = [{tuple(row) for row in probes.documents(part).tokens} for part in probes.PARTS]
    assert [len(part) for part in drawn] == list(probes.PARTS.values())
    assert len(set.union(*drawn)) == sum(map(len, drawn))


def test_the_control_hangs_on_the_last_word_alone_and_on_the_seed() -> None:
    found = language.sample(500, 16, seed=0)
    control, again, other = (probes.labels(found, s)["control"] for s in (1, 1, 2))
    assert (control == again).all()
    assert (control != other).any()
    of_word: dict[int, set[int]] = {}
    for word, label in zip(found.tokens[:, -1], control, strict=True):
        of_word.setdefault(int(word), set()).add(int(label))
    assert all(len(labels) == 1 for labels in of_word.values())
    every = language.Documents(np.arange(len(VOCABULARY))[:, None], control, control)
    assert abs(probes.labels(every, 1)["control"].mean() - 0.5) < 1 / len(VOCABULARY)


def test_a_probe_reads_what_is_planted_at_any_scale_and_no_more(
    monkeypatch: pytest.MonkeyPatch, model: Transformer
) -> None:
    """Layer 0 holds noise, layer 1 the sentiment, minute: a penalty without scaling hides it."""
    monkeypatch.setattr(probes, "PARTS", {"fit": 200, "choose": 100, "test": 200})
    probes.documents.cache_clear()
    rng = np.random.default_rng(0)
    truth = {
        probes.documents(p).tokens.tobytes(): probes.documents(p).sentiment for p in probes.PARTS
    }

    def planted(_model: Any, tokens: language.Ids) -> list[language.Array]:
        noise = rng.standard_normal((len(tokens), 4))
        hidden = noise.copy()
        hidden[:, 2] += 12 * truth[tokens.tobytes()]
        return [noise, 1e-3 * hidden]

    monkeypatch.setattr(probes, "hidden_states", planted)
    found = probes.measure(model, seed=0)
    assert found["probe/sentiment/1"] == 1.0
    assert found["raw/sentiment/1"] < 0.9
    assert abs(found["probe/sentiment/0"] - 0.5) < 0.15
    assert found["probe/topic/1"] < 0.45
    assert "raw/control/0" not in found
    control = probes.labels(probes.documents("test"), 0)["control"].mean()
    assert found["probe/control/1"] <= max(control, 1 - control) + 0.1


def test_the_ceiling_is_what_the_best_guess_of_each_variable_gets() -> None:
    found = probes.documents("test")
    p = language.posterior(found.tokens)
    right = {"topic": 0, "sentiment": 0}
    for row, topic, sentiment in zip(p, found.topic, found.sentiment, strict=True):
        of_topic = [
            sum(row[k] for k, (t, _) in enumerate(language.HIDDEN) if t == v) for v in range(4)
        ]
        of_mood = [
            sum(row[k] for k, (_, s) in enumerate(language.HIDDEN) if s == v) for v in (0, 1)
        ]
        right["topic"] += int(np.argmax(of_topic)) == topic
        right["sentiment"] += int(np.argmax(of_mood)) == sentiment
    n = len(p)
    assert probes.ceiling() == {name: pytest.approx(k / n) for name, k in right.items()}
    assert 0.7 < probes.ceiling()["sentiment"] <= 1
