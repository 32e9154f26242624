"""The corpus against English written out by hand, and its baselines against brute force."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
import torch

from weightdecay.minitrain import corpus

# Written by hand, never generated: per verb one line a tense (present, past, future, continuous,
# perfect) with the forms of I | you | he.
BY_HAND = """
work
I work | you work | he works
I worked | you worked | he worked
I will work | you will work | he will work
I am working | you are working | he is working
I have worked | you have worked | he has worked
play
I play | you play | he plays
I played | you played | he played
I will play | you will play | he will play
I am playing | you are playing | he is playing
I have played | you have played | he has played
walk
I walk | you walk | he walks
I walked | you walked | he walked
I will walk | you will walk | he will walk
I am walking | you are walking | he is walking
I have walked | you have walked | he has walked
talk
I talk | you talk | he talks
I talked | you talked | he talked
I will talk | you will talk | he will talk
I am talking | you are talking | he is talking
I have talked | you have talked | he has talked
listen
I listen | you listen | he listens
I listened | you listened | he listened
I will listen | you will listen | he will listen
I am listening | you are listening | he is listening
I have listened | you have listened | he has listened
watch
I watch | you watch | he watches
I watched | you watched | he watched
I will watch | you will watch | he will watch
I am watching | you are watching | he is watching
I have watched | you have watched | he has watched
study
I study | you study | he studies
I studied | you studied | he studied
I will study | you will study | he will study
I am studying | you are studying | he is studying
I have studied | you have studied | he has studied
finish
I finish | you finish | he finishes
I finished | you finished | he finished
I will finish | you will finish | he will finish
I am finishing | you are finishing | he is finishing
I have finished | you have finished | he has finished
start
I start | you start | he starts
I started | you started | he started
I will start | you will start | he will start
I am starting | you are starting | he is starting
I have started | you have started | he has started
look
I look | you look | he looks
I looked | you looked | he looked
I will look | you will look | he will look
I am looking | you are looking | he is looking
I have looked | you have looked | he has looked
want
I want | you want | he wants
I wanted | you wanted | he wanted
I will want | you will want | he will want
I am wanting | you are wanting | he is wanting
I have wanted | you have wanted | he has wanted
like
I like | you like | he likes
I liked | you liked | he liked
I will like | you will like | he will like
I am liking | you are liking | he is liking
I have liked | you have liked | he has liked
be
I am | you are | he is
I was | you were | he was
I will be | you will be | he will be
I am being | you are being | he is being
I have been | you have been | he has been
have
I have | you have | he has
I had | you had | he had
I will have | you will have | he will have
I am having | you are having | he is having
I have had | you have had | he has had
do
I do | you do | he does
I did | you did | he did
I will do | you will do | he will do
I am doing | you are doing | he is doing
I have done | you have done | he has done
go
I go | you go | he goes
I went | you went | he went
I will go | you will go | he will go
I am going | you are going | he is going
I have gone | you have gone | he has gone
come
I come | you come | he comes
I came | you came | he came
I will come | you will come | he will come
I am coming | you are coming | he is coming
I have come | you have come | he has come
see
I see | you see | he sees
I saw | you saw | he saw
I will see | you will see | he will see
I am seeing | you are seeing | he is seeing
I have seen | you have seen | he has seen
eat
I eat | you eat | he eats
I ate | you ate | he ate
I will eat | you will eat | he will eat
I am eating | you are eating | he is eating
I have eaten | you have eaten | he has eaten
write
I write | you write | he writes
I wrote | you wrote | he wrote
I will write | you will write | he will write
I am writing | you are writing | he is writing
I have written | you have written | he has written
"""

Cell = tuple[str, str, str]


def by_hand() -> dict[Cell, str]:
    lines = BY_HAND.strip().splitlines()
    return {
        (lines[start], tense, person): text.strip()
        for start in range(0, len(lines), 6)
        for tense, line in zip(
            ("present", "past", "future", "continuous", "perfect"),
            lines[start + 1 : start + 6],
            strict=True,
        )
        for person, text in zip(("I", "you", "he"), line.split("|"), strict=True)
    }


def test_every_one_of_the_300_forms_is_the_one_written_by_hand() -> None:
    expected = by_hand()
    assert len(expected) == 300
    assert {(s.lemma, s.tense, s.person): s.text for s in corpus.sentences()} == expected


def test_verbs_are_the_twelve_regular_and_eight_irregular_ones() -> None:
    regular = "work play walk talk listen watch study finish start look want like"
    irregular = "be have do go come see eat write"
    assert {s.lemma for s in corpus.sentences() if s.regular} == set(regular.split())
    assert {s.lemma for s in corpus.sentences() if not s.regular} == set(irregular.split())


@pytest.mark.parametrize(
    ("cell", "bad"),
    [
        (("run", "present", "he"), "run"),
        (("Go", "present", "he"), "Go"),
        (("go", "pluperfect", "he"), "pluperfect"),
        (("go", "past", "she"), "she"),
    ],
)
def test_a_cell_outside_the_corpus_is_an_error_that_names_it_and_the_choices(
    cell: Cell, bad: str
) -> None:
    with pytest.raises(ValueError, match=f"'{bad}' is not in the corpus: choose from ") as e:
        corpus.conjugate(*cell)
    choices = {"run": "work, play, walk", "Go": "work, play", "pluperfect": "present, past, future"}
    assert choices.get(bad, "I, you, he") in str(e.value)


@pytest.fixture
def fresh_corpus() -> Iterator[None]:
    """Forget the cached table before the test, and after it."""
    corpus.sentences.cache_clear()
    yield
    corpus.sentences.cache_clear()


def test_split_has_240_and_60_and_7_regular_5_irregular_of_each_tense() -> None:
    assert [len(corpus.split(name)) for name in ("train", "val")] == [240, 60]
    counts = Counter((s.tense, s.regular) for s in corpus.split("val"))
    assert len(counts) == 10
    assert all(n == (7 if regular else 5) for (_, regular), n in counts.items())
    assert {s.text for s in corpus.split("train")} <= {s.text for s in corpus.sentences()}


@pytest.mark.usefixtures("fresh_corpus")
def test_split_ignores_and_leaves_alone_the_global_random_state() -> None:
    random.seed(1)
    torch.manual_seed(1)
    one = corpus.sentences()
    after = random.random()
    random.seed(1)
    assert random.random() == after
    random.seed(2)
    torch.manual_seed(2)
    corpus.sentences.cache_clear()
    assert corpus.sentences() == one


@pytest.mark.usefixtures("fresh_corpus")
def test_split_follows_its_own_seed_and_the_hash_tells_splits_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, digest = corpus.split("val"), corpus.data_hash()
    monkeypatch.setattr(corpus, "SPLIT_SEED", corpus.SPLIT_SEED + 1)
    corpus.sentences.cache_clear()
    assert corpus.split("val") != one
    assert corpus.data_hash() != digest


def test_data_hash_is_the_same_in_every_process() -> None:
    """Set and dict order of strings change with PYTHONHASHSEED; the data must not."""
    code = "from weightdecay.minitrain import corpus; print(corpus.data_hash())"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "4242")
    ]
    printed = [child.communicate(timeout=120)[0].strip() for child in children]
    assert printed == [corpus.data_hash()] * 2
    assert len(printed[0]) == 64


def test_vocabulary_has_64_distinct_tokens_and_ids_are_their_places() -> None:
    assert len(corpus.TOKENS) == len(set(corpus.TOKENS)) == 64
    assert [corpus.TOKEN_ID[token] for token in corpus.TOKENS] == list(range(64))


def test_no_sentence_uses_padding_or_a_reserved_id() -> None:
    used = {corpus.TOKENS[i] for s in corpus.sentences() for i in s.tokens}
    assert "<pad>" not in used
    assert not any(token.startswith("<unused") for token in used)
    assert len(used) >= 20 + 5 + 3 + 1


def test_a_sentence_is_its_three_features_then_its_characters_then_the_end() -> None:
    he_goes = next(s for s in corpus.sentences() if s.text == "he goes")
    assert [corpus.TOKENS[i] for i in he_goes.tokens] == [
        *("<go>", "<present>", "<he>"),
        *("h", "e", " ", "g", "o", "e", "s"),
        "<end>",
    ]


def test_every_sentence_fits_the_context_and_decodes_to_its_text() -> None:
    for s in corpus.sentences():
        assert len(s.tokens) == 3 + len(s.text) + 1 <= 32
        assert corpus.decode(s.tokens[3:]) == s.text
    assert len({tuple(s.tokens) for s in corpus.sentences()}) == 300


def test_decode_stops_at_the_first_end_and_shows_other_tokens_by_name() -> None:
    ids = [corpus.TOKEN_ID[t] for t in ("h", "e", "<pad>", "<end>", "x", "<end>")]
    assert corpus.decode(ids) == "he<pad>"
    assert corpus.decode([]) == ""


def test_padded_batch_predicts_each_next_token_and_ignores_padding() -> None:
    batch = [s for s in corpus.sentences() if s.text in ("I am", "you have listened")]
    inputs, targets = corpus.padded(batch)
    longest = max(len(s.tokens) for s in batch)
    assert inputs.shape == targets.shape == (2, longest - 1)
    for row, s in enumerate(batch):
        n = len(s.tokens) - 1
        assert inputs[row].tolist() == s.tokens[:-1] + [0] * (longest - 1 - n)
        assert targets[row].tolist() == s.tokens[1:] + [-1] * (longest - 1 - n)
    assert corpus.TOKENS[0] == "<pad>"


def test_entropy_floor_is_the_conditional_entropy_of_the_generator_counted_out() -> None:
    """Draw each of the 300 cells once: how uncertain is each token, given all before it?"""
    following: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for s in corpus.sentences():
        for i in range(1, len(s.tokens)):
            following[tuple(s.tokens[:i])][s.tokens[i]] += 1
    nats = -sum(
        n * math.log(n / counts.total()) for counts in following.values() for n in counts.values()
    )
    tokens = sum(counts.total() for counts in following.values())
    assert corpus.entropy_floor() == pytest.approx(nats / tokens, rel=1e-12)
    assert 0.1 < corpus.entropy_floor() < 0.3


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", ["train", "val"])
def test_ngram_baseline_is_the_add_one_estimate_counted_position_by_position(
    order: int, name: str
) -> None:
    """Strings instead of ids, and a scan of all training positions for each one scored."""

    def positions(split: str) -> list[tuple[str, str]]:
        out = []
        for s in corpus.sentences():
            if s.split == split:
                row = [f"<{s.lemma}>", f"<{s.tense}>", f"<{s.person}>", *s.text, "#"]
                for i in range(1, len(row)):
                    history = "/".join(row[:i][-(order - 1) :]) if order > 1 else ""
                    out.append((history, row[i]))
        return out

    seen, scored = positions("train"), Counter(positions(name))
    named = sum(not token.startswith("<unused") for token in corpus.TOKENS)
    nats = 0.0
    for (history, token), times in scored.items():
        same_history = [t for h, t in seen if h == history]
        nats -= times * math.log((same_history.count(token) + 1) / (len(same_history) + named))
    assert corpus.ngram_loss(order, name) == pytest.approx(nats / scored.total(), rel=1e-9)


def test_baselines_lie_above_the_floor_and_more_context_helps() -> None:
    unigram, trigram = (corpus.ngram_loss(order, "val") for order in (1, 3))
    assert corpus.entropy_floor() < trigram < unigram < math.log(64)
