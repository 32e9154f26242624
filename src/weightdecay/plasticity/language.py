"""A generated language whose next-token probabilities are known exactly.

A document has two hidden variables, a topic and a sentiment, and is a chain of short sentences:
clauses with number agreement, some in the past tense with regular and irregular verbs, and sums
modulo 10. Given the hidden variables it is the walk of an automaton whose state follows from the
tokens read, so a filter over the eight values of (topic, sentiment) gives the exact p(token |
everything before it). A model's loss less the generator's own is its *excess loss*; 0 is perfect.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Ids: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

TOPICS, SENTIMENTS = 4, 2
OWN_TOPIC = 0.8
"""Share of a document's nouns that are of its topic; the rest are of any."""
OWN_SENTIMENT = 0.9
"""Share of its adjectives that carry its sentiment."""

CHAIN = 0.8
"""Chance that a sum goes on from its result: ``8 + 3 = 1 - 2 = 9 .``"""

PAD, BEGIN, STOP = "<pad>", "<begin>", "."
DIGITS = tuple("0123456789")
ADDENDS = tuple("123")
"""What sums add or subtract; with all digits, a model this small does not find the rule in time."""
STEMS = {
    "garden": ("rose", "tree", "seed", "bee", "pond", "leaf"),
    "kitchen": ("pan", "cook", "stove", "spoon", "pie", "jar"),
    "harbor": ("ship", "sailor", "rope", "crane", "net", "gull"),
    "school": ("book", "pupil", "desk", "chalk", "bell", "map"),
}
"""Topic to its nouns."""
SINGULAR = tuple(noun for nouns in STEMS.values() for noun in nouns)
PLURAL = tuple(f"{noun}s" for noun in SINGULAR)
GOOD = ("lovely", "fine", "bright", "kind", "calm", "fresh")
BAD = ("ugly", "poor", "gloomy", "cruel", "loud", "rotten")
REGULAR = ("wait", "turn", "help", "open", "rest", "move", "wash", "point")
IRREGULAR = {"fall": "fell", "stand": "stood", "come": "came", "break": "broke"}
"""Verb to its past form; the regular ones take the token ``-ed``."""
VERBS = (*REGULAR, *IRREGULAR)
ADVERBS = ("often", "here", "slowly", "again")
TASK_WORDS = (
    "?", "so", "list", "reverse", "sort", "raise", "swap", "please", "ok", "sorry",
    "dax", "blick", "wug", "fep", "toma", "zorp", "zarp", "mipt",
    "burn", "steal", "smash", "poison", "clean", "carry", "paint", "bring",
)  # fmt: skip
"""Words that only the tasks of `downstream.py` use."""
WORDS = ("the", "this", "these", "near", "behind", "yesterday", "-s", "-ed", "+", "-", "=")

VOCABULARY: tuple[str, ...] = (
    PAD, BEGIN, STOP, *DIGITS, *WORDS, *SINGULAR, *PLURAL, *GOOD, *BAD, *VERBS,
    *IRREGULAR.values(), *ADVERBS, *TASK_WORDS,
)  # fmt: skip
TOKEN_ID = {word: i for i, word in enumerate(VOCABULARY)}

HIDDEN = tuple(itertools.product(range(TOPICS), range(SENTIMENTS)))
"""The hidden values (topic, sentiment); each is as likely as any other."""
State: TypeAlias = tuple[str, ...]
Edge: TypeAlias = tuple[str, Array, State]
"""Token, its probability (K,) under each hidden value, and the state it leads to."""
START: State = ("start",)
NUMBERS = ("one", "many")


# ------------------------------------------------------------------------------------ grammar


def edges(state: State) -> list[Edge]:
    """What may follow in this state of a sentence."""
    match state:
        case ("start",):
            sums = _evenly(DIGITS, 0.2, lambda digit: ("sum", digit))
            past = _evenly(("yesterday",), 0.3, lambda _: ("determiner", "past"))
            return [*sums, *past, *_determiners(0.5, "noun", "present")]
        case ("determiner", tense):
            return _determiners(1.0, "noun", tense)
        case ("noun", number, tense):  # the subject, with or without an adjective
            adjectives = [(w, 0.7 * p, ("bare noun", number, tense)) for w, p in _adjectives()]
            return [*adjectives, *_nouns(0.3, number, lambda n: ("subject", n, tense))]
        case ("bare noun", number, tense):
            return _nouns(1.0, number, lambda n: ("subject", n, tense))
        case ("subject", number, tense):
            beside = _evenly(("near", "behind"), 0.3, lambda _: ("beside", number, tense))
            return [*beside, *_verbs(0.7, number, tense)]
        case ("beside", number, tense):  # the verb agrees with the subject, not with what is near
            return _determiners(1.0, "beside noun", number, tense)
        case ("beside noun", own, number, tense):
            return _nouns(1.0, own, lambda _: ("verb", number, tense))
        case ("verb", number, tense):
            return _verbs(1.0, number, tense)
        case ("suffix", suffix):
            return _evenly((suffix,), 1.0, lambda _: ("tail",))
        case ("tail",):
            return [
                *_evenly(ADVERBS, 0.5, lambda _: ("end",)),
                *_evenly((STOP,), 0.5, lambda _: START),
            ]
        case ("end",):
            return _evenly((STOP,), 1.0, lambda _: START)
        case ("sum", a):
            return _evenly(("+", "-"), 1.0, lambda sign: ("second", a, sign))
        case ("second", a, sign):
            return _evenly(ADDENDS, 1.0, lambda b: ("equals", calculated(a, sign, b)))
        case ("equals", result):
            return _evenly(("=",), 1.0, lambda _: ("result", result))
        case ("result", result):
            return _evenly((result,), 1.0, lambda _: ("total", result))
        case ("total", a):  # the sum goes on from its result, or ends
            more = _evenly(("+", "-"), CHAIN, lambda sign: ("second", a, sign))
            return [*more, *_evenly((STOP,), 1 - CHAIN, lambda _: START)]
    raise ValueError(f"no state {state}")


def calculated(a: str, sign: str, b: str) -> str:
    """The digit of a + b or a - b, modulo 10."""
    return str((int(a) + (int(b) if sign == "+" else -int(b))) % len(DIGITS))


def _evenly(words: Sequence[str], share: float, to: Callable[[str], State]) -> list[Edge]:
    return [(word, np.full(len(HIDDEN), share / len(words)), to(word)) for word in words]


def _determiners(share: float, kind: str, *rest: str) -> list[Edge]:
    each = (("the", 0.5, "either"), ("this", 0.25, "one"), ("these", 0.25, "many"))
    return [(w, np.full(len(HIDDEN), share * p), (kind, number, *rest)) for w, p, number in each]


def _nouns(share: float, number: str, to: Callable[[str], State]) -> list[Edge]:
    numbers = NUMBERS if number == "either" else (number,)
    per_topic = len(SINGULAR) // TOPICS
    found = []
    for n, i in itertools.product(numbers, range(len(SINGULAR))):
        own = np.array([topic == i // per_topic for topic, _ in HIDDEN])
        p = own * OWN_TOPIC / per_topic + (1 - OWN_TOPIC) / len(SINGULAR)
        found.append(((PLURAL if n == "many" else SINGULAR)[i], share / len(numbers) * p, to(n)))
    return found


def _adjectives() -> Iterator[tuple[str, Array]]:
    good = np.array([sentiment == 1 for _, sentiment in HIDDEN])
    for words, carries in ((GOOD, good), (BAD, ~good)):
        for word in words:
            yield word, np.where(carries, OWN_SENTIMENT, 1 - OWN_SENTIMENT) / len(words)


def _verbs(share: float, number: str, tense: str) -> list[Edge]:
    def form(verb: str) -> tuple[str, State]:
        if tense == "past":
            return (IRREGULAR[verb], ("tail",)) if verb in IRREGULAR else (verb, ("suffix", "-ed"))
        return verb, ("suffix", "-s") if number == "one" else ("tail",)

    p = np.full(len(HIDDEN), share / len(VERBS))
    return [(word, p, state) for word, state in map(form, VERBS)]


# ---------------------------------------------------------------------------------- automaton


@dataclass(frozen=True)
class Automaton:
    """The grammar as tables, for S states, K hidden values and V tokens."""

    probability: Array
    """(K, S, V)"""
    next_state: Ids
    """(S, V); -1 where the token cannot follow."""
    states: tuple[State, ...]
    """The first is the start of a sentence."""


@functools.cache
def automaton() -> Automaton:
    """Every state that the start leads to."""
    states = [START]
    for state in states:  # grows while it is read
        states += [s for s in dict.fromkeys(to for *_, to in edges(state)) if s not in states]
    number = {state: i for i, state in enumerate(states)}
    probability = np.zeros((len(HIDDEN), len(states), len(VOCABULARY)))
    next_state = np.full((len(states), len(VOCABULARY)), -1)
    for i, state in enumerate(states):
        for word, p, to in edges(state):
            probability[:, i, TOKEN_ID[word]] += p
            next_state[i, TOKEN_ID[word]] = number[to]
    return Automaton(probability, next_state, tuple(states))


@dataclass(frozen=True)
class Documents:
    """N documents of T tokens, the first of which is always the beginning."""

    tokens: Ids
    """(N, T)"""
    topic: Ids
    """(N,)"""
    sentiment: Ids
    """(N,)"""


def sample(documents: int, length: int, seed: int | Sequence[int]) -> Documents:
    """Draw documents, each cut off after `length` tokens."""
    rng = np.random.default_rng(seed)
    a = automaton()
    hidden = rng.integers(len(HIDDEN), size=documents)
    cumulative = a.probability.cumsum(-1)
    tokens = np.full((documents, length), TOKEN_ID[BEGIN])
    state = np.zeros(documents, dtype=np.int64)
    for t in range(1, length):
        # The last of the cumulative ones is 1 but for rounding.
        u = rng.random((documents, 1)) * cumulative[hidden, state, -1:]
        tokens[:, t] = (u >= cumulative[hidden, state]).sum(1)
        state = a.next_state[state, tokens[:, t]]
    topic, sentiment = np.array(HIDDEN)[hidden].T
    return Documents(tokens, topic, sentiment)


def conditional(tokens: Ids) -> Iterator[Array]:
    """For t = 1, 2, ...: the exact p(token t | tokens before it), (N, V), of documents (N, T).

    Raises:
        ValueError: for a document that the grammar cannot have made.
    """
    a = automaton()
    if (tokens[:, 0] != TOKEN_ID[BEGIN]).any():
        raise ValueError(f"expected each document to start with {BEGIN}")
    rows = np.arange(len(tokens))
    state = np.zeros(len(tokens), dtype=np.int64)
    belief = np.full((len(tokens), len(HIDDEN)), 1 / len(HIDDEN))  # p(hidden | tokens so far)
    for t in range(1, tokens.shape[1]):
        p = a.probability[:, state]  # (K, N, V)
        yield np.einsum("nk,knv->nv", belief, p)
        token = tokens[:, t]
        belief = belief * p[:, rows, token].T
        state = a.next_state[state, token]
        if (state < 0).any():
            row = int((state < 0).argmax())
            raise ValueError(f"document {row}: {VOCABULARY[token[row]]} cannot stand at place {t}")
        belief /= belief.sum(1, keepdims=True)


def states(tokens: Ids) -> Ids:
    """(N, T) the state after each token of documents (N, T), as a place in `Automaton.states`."""
    a = automaton()
    found = np.zeros_like(tokens)
    for t in range(1, tokens.shape[1]):
        found[:, t] = a.next_state[found[:, t - 1], tokens[:, t]]
    return found


def posterior(tokens: Ids) -> Array:
    """(N, K) the exact p(hidden | document) of documents (N, T): no reader can know more."""
    before, chosen = states(tokens)[:, :-1], tokens[:, 1:]
    with np.errstate(divide="ignore"):
        loglik = np.log(automaton().probability[:, before, chosen]).sum(-1).T
    p: Array = np.exp(loglik - loglik.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p


def floor(tokens: Ids) -> Array:
    """(N, T - 1) -log p of each token but the first, in nats: the least loss that any model can
    have on average."""
    each = zip(conditional(tokens), tokens[:, 1:].T, strict=True)
    chosen = np.stack([p[np.arange(len(token)), token] for p, token in each], 1)
    loss: Array = -np.log(chosen)
    return loss
