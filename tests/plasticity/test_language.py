"""The generated language: its rules hold in every document, and its probabilities are exact."""

from __future__ import annotations

import re

import numpy as np
import pytest

from weightdecay.plasticity import language
from weightdecay.plasticity.language import HIDDEN, TOKEN_ID, VOCABULARY

DOCUMENTS = language.sample(300, 48, seed=1)
TEXTS = [" ".join(VOCABULARY[i] for i in row) for row in DOCUMENTS.tokens]
SENTENCES = [s for text in TEXTS for s in text.removeprefix("<begin> ").split(" .")[:-1]]
NOUN = {**dict.fromkeys(language.SINGULAR, "one"), **dict.fromkeys(language.PLURAL, "many")}


def test_every_sum_is_right_modulo_ten() -> None:
    sums = re.findall(r"(?=(\d) ([+-]) (\d) = (\d))", " ".join(SENTENCES))
    assert len(sums) > 100
    assert {b for _, _, b, _ in sums} == set(language.ADDENDS)
    for a, sign, b, c in sums:
        assert (int(a) + int(b) * (1 if sign == "+" else -1) - int(c)) % 10 == 0


def test_a_sum_goes_on_from_its_result_as_often_as_it_should() -> None:
    following = [after for text in TEXTS for after in re.findall(r"(?== \d (\S+))", text)]
    share = np.isin(following, ["+", "-"]).mean()
    assert share == pytest.approx(language.CHAIN, abs=4 * (0.16 / len(following)) ** 0.5)


def test_clauses_have_adjectives_as_often_as_they_should() -> None:
    documents = language.sample(1000, 64, seed=7)
    state = language.states(documents.tokens)[:, :-1]
    before = [s[0] == "noun" for s in language.automaton().states]
    places = np.array(before)[state]
    words = [TOKEN_ID[w] for w in (*language.GOOD, *language.BAD)]
    share = np.isin(documents.tokens[:, 1:][places], words).mean()
    assert share == pytest.approx(0.7, abs=4 * (0.21 / places.sum()) ** 0.5)


def test_the_verb_agrees_with_its_subject_and_not_with_what_stands_near() -> None:
    """In the present: `-s` behind the stem if and only if the first noun is singular."""
    disagreeing_neighbors = 0
    for sentence in SENTENCES:
        words = sentence.split()
        if "=" in words or words[0] == "yesterday":
            continue
        numbers = [NOUN[w] for w in words if w in NOUN]
        assert ("-s" in words) == (numbers[0] == "one"), sentence
        disagreeing_neighbors += len(set(numbers)) == 2
    assert disagreeing_neighbors > 20


def test_the_past_takes_ed_but_for_the_exceptions() -> None:
    past = [s.split() for s in SENTENCES if s.startswith(("yesterday", " yesterday"))]
    irregular = 0
    for words in past:
        assert "-s" not in words
        assert not set(words) & set(language.IRREGULAR), words  # no stem of an exception
        if set(words) & set(language.IRREGULAR.values()):
            irregular += 1
            assert "-ed" not in words
        else:
            assert words[words.index("-ed") - 1] in language.REGULAR
    assert 0 < irregular < len(past)


def test_nouns_tell_the_topic_and_adjectives_the_sentiment_and_neither_the_other() -> None:
    noun_topic = {noun: i // 6 for i, noun in enumerate(language.SINGULAR)}
    noun_topic |= {f"{noun}s": topic for noun, topic in noun_topic.items()}
    counts = np.zeros((language.TOPICS, language.TOPICS))
    adjectives = np.zeros((language.SENTIMENTS, language.TOPICS, 2))
    documents = language.sample(2000, 48, seed=2)
    for row, topic, sentiment in zip(*vars(documents).values(), strict=True):
        for word in (VOCABULARY[i] for i in row):
            if word in noun_topic:
                counts[topic, noun_topic[word]] += 1
            if word in (*language.GOOD, *language.BAD):
                adjectives[sentiment, topic, int(word in language.GOOD)] += 1
    own = language.OWN_TOPIC + (1 - language.OWN_TOPIC) / language.TOPICS
    np.testing.assert_allclose(np.diag(counts) / counts.sum(1), own, atol=0.02)
    good = adjectives[..., 1] / adjectives.sum(-1)
    np.testing.assert_allclose(good[1], language.OWN_SENTIMENT, atol=0.04)
    np.testing.assert_allclose(good[0], 1 - language.OWN_SENTIMENT, atol=0.04)


def test_the_conditional_is_that_of_the_joint_probability() -> None:
    """Independent of the filter: p(x_t | x_<t) as a ratio of sums over all hidden values."""
    tokens = DOCUMENTS.tokens[:20, :20]

    def joint(row: np.ndarray) -> float:
        total = 0.0
        for k in range(len(HIDDEN)):
            state, p = language.START, 1 / len(HIDDEN)
            for i in row[1:]:
                _, q, state = next(e for e in language.edges(state) if e[0] == VOCABULARY[i])
                p *= q[k]
            total += p
        return total

    expected = [[joint(row[: t + 1]) / joint(row[:t]) for t in range(1, 20)] for row in tokens]
    np.testing.assert_allclose(np.exp(-language.floor(tokens)), expected, rtol=1e-10)


def test_the_posterior_is_that_of_every_hidden_value_tried_in_turn() -> None:
    """With the walk through `edges` as the oracle, which also says each state."""
    tokens = DOCUMENTS.tokens[:20, :30]
    found, at = language.posterior(tokens), language.states(tokens)
    for row, p, places in zip(tokens, found, at, strict=True):
        likelihood = np.ones(len(HIDDEN))
        state = language.START
        assert places[0] == 0
        for i, place in zip(row[1:], places[1:], strict=True):
            _, q, state = next(e for e in language.edges(state) if e[0] == VOCABULARY[i])
            likelihood *= q
            assert language.automaton().states[place] == state
        np.testing.assert_allclose(p, likelihood / likelihood.sum(), rtol=1e-9)
    assert found.max() > 0.9 > 0.2 > language.posterior(tokens[:, :1]).max()


def test_the_posterior_is_right_as_often_as_it_says() -> None:
    documents = language.sample(3000, 24, seed=6)
    p = language.posterior(documents.tokens)
    right = np.array(HIDDEN)[p.argmax(1)] == np.stack([documents.topic, documents.sentiment], 1)
    surprise = right.all(1) - p.max(1)
    assert abs(surprise.mean()) < 4 * surprise.std() / len(p) ** 0.5


def test_every_conditional_is_a_distribution_whose_entropy_is_the_floor() -> None:
    """What the generator loses on its own text is on average what it cannot know."""
    documents = language.sample(1500, 40, seed=3)
    entropy = []
    for p in language.conditional(documents.tokens):
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
        entropy.append(-(p * np.log(np.where(p > 0, p, 1))).sum(1))
    difference = language.floor(documents.tokens).mean(1) - np.mean(entropy, axis=0)
    assert abs(difference.mean()) < 4 * difference.std() / len(difference) ** 0.5
    assert difference.std() > 0


def test_reading_on_tells_the_hidden_values() -> None:
    """Later nouns are easier to foresee than the first, as the topic shows."""
    documents = language.sample(1500, 40, seed=4)
    loss, tokens = language.floor(documents.tokens), documents.tokens[:, 1:]
    nouns = np.isin(tokens, [TOKEN_ID[w] for w in NOUN])
    order = nouns.cumsum(1)
    first, eighth = (loss[nouns & (order == k)].mean() for k in (1, 8))
    assert eighth < first - 0.2


def test_the_same_seed_gives_the_same_documents_and_another_one_others() -> None:
    again = language.sample(300, 48, seed=1)
    assert (again.tokens == DOCUMENTS.tokens).all()
    assert (language.sample(300, 48, seed=5).tokens != DOCUMENTS.tokens).any()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<begin> these seed", "document 0: seed cannot stand at place 2"),
        ("<begin> 2 + 2 = 5", "document 0: 5 cannot stand at place 5"),
        ("the seed", "to start with <begin>"),
    ],
)
def test_text_that_the_grammar_cannot_make_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        language.floor(np.array([[TOKEN_ID[w] for w in text.split()]]))
