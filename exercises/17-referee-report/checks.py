"""Checks of 17-referee-report: a letter against a matrix of threats and controls, and predictions.

The matrix is rubric.json. What a hypothesis predicts of two quantities follows from their levels in
the world where it holds, 0 or 1, or null where it leaves both open.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from weightdecay.grading import Mismatch
from weightdecay.grading.show import show

RUBRIC: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent / "rubric.json").read_text("utf-8")
)
THREATS: dict[str, dict[str, Any]] = RUBRIC["threats"]
HARMLESS: list[str] = RUBRIC["harmless"]
CONTROLS: dict[str, str] = RUBRIC["controls"]  # what each does
MEMORY: dict[str, int] = RUBRIC["memory"]
RIVALS: dict[str, dict[str, int | None]] = RUBRIC["rivals"]
SENTENCES, WORDS, ENOUGH, MOST = 15, 6, 5, 8
KEYS = ("threat", "sentence", "control", "why")
OUTCOMES = {"<": {-1}, "<=": {-1, 0}, "=": {0}, ">=": {0, 1}, ">": {1}}
SPELLED = {"==": "=", "≤": "<=", "≥": ">="}

Letter = list[dict[str, Any]]


def wrong(observed: str, expected: str, *more: str) -> Mismatch:
    return Mismatch("\n".join([f"observed: {observed}", f"expected: {expected}", *more]))


def accepted(names: Any) -> str:
    return f"one of {', '.join(sorted(names))}"


def complete(value: Any) -> Letter:
    """The letter, every entry of which has what an entry needs."""
    if not isinstance(value, list | tuple) or not all(isinstance(e, dict) for e in value):
        raise wrong(show(value), "a list of entries, each made by `entry`")
    for number, e in enumerate(value, 1):
        of = f"in entry {number}"
        if set(e) != set(KEYS):
            raise wrong(f"keys {show(sorted(map(str, e)))} {of}", f"{', '.join(KEYS)}")
        names = {"threat": [*THREATS, *HARMLESS], "control": CONTROLS}
        for key, known in names.items():
            if not isinstance(e[key], str) or e[key] not in known:
                raise wrong(f"{key} {show(e[key])} {of}", accepted(known))
        sentence = e["sentence"]
        if type(sentence) is not int or not 1 <= sentence <= SENTENCES:
            raise wrong(f"sentence {show(sentence)} {of}", f"a number from 1 to {SENTENCES}")
        if not isinstance(e["why"], str) or len(e["why"].split()) < WORDS:
            raise wrong(f"why = {show(e['why'])} {of}", f"a sentence of {WORDS} words or more")
    return list(value)


def serious(value: Any) -> Letter:
    """The entries that name a threat, if there are enough of them to judge."""
    letter = [e for e in complete(value) if e["threat"] in THREATS]
    found = len({e["threat"] for e in letter})
    if found < ENOUGH:
        raise wrong(
            f"{found} different threats", f"{ENOUGH} or more, or there is little to judge here"
        )
    return letter


def addresses(e: dict[str, Any]) -> bool:
    return e["control"] in THREATS[e["threat"]]["controls"]


def addressed(letter: Letter) -> set[str]:
    return {e["threat"] for e in letter if e["threat"] in THREATS and addresses(e)}


def standing(letter: Letter) -> str:
    """What the controls of the letter address, what stands open, and how much is not listed."""
    done = addressed(letter)
    listed = {e["threat"] for e in letter} & set(THREATS)
    missing = Counter(t["question"] for name, t in THREATS.items() if name not in listed)
    by = {e["threat"]: e["control"] for e in letter}
    parts = {
        "addressed": [f"{name} by {by[name]}" for name in sorted(done)],
        "listed and still open": sorted(listed - done),
        "not listed": [f"{n} about {q}" for q, n in missing.items()],
    }
    return "; ".join(f"{k}: {', '.join(v) or 'none'}" for k, v in parts.items())


@pytest.mark.points(1)
def test_complete(report: Callable[..., Any]) -> None:
    """each entry has a threat, a sentence, a control and a why, all different"""
    letter = complete(report())
    if len(letter) < ENOUGH:
        raise wrong(f"{len(letter)} entries", f"{ENOUGH} or more")
    for key in ("threat", "why"):
        value, times = Counter(e[key] for e in letter).most_common(1)[0]
        if times > 1:
            raise wrong(f"{key} {show(value)} in {times} entries", f"a {key} of its own in each")


@pytest.mark.points(2)
def test_no_false_alarm(report: Callable[..., Any]) -> None:
    """every entry names a threat: nothing is held against the report that does it no harm"""
    value = report()
    serious(value)
    false = sorted({e["threat"] for e in complete(value)} & set(HARMLESS))
    if false:
        raise wrong(
            f"{', '.join(false)} among the threats",
            "only what makes a number mean something else, or explains it without memory",
        )


@pytest.mark.points(2)
def test_sentences(report: Callable[..., Any]) -> None:
    """each entry points at the sentence that lets its threat in"""
    misplaced = [
        f"{e['threat']} at sentence {e['sentence']}"
        for e in serious(report())
        if e["sentence"] not in THREATS[e["threat"]]["sentences"]
    ]
    if misplaced:
        raise wrong(
            ", ".join(misplaced),
            "the sentence whose author would have to do, or say, something else",
        )


@pytest.mark.points(2)
def test_controls(report: Callable[..., Any]) -> None:
    """each entry asks for a control that addresses its threat"""
    letter = serious(report())
    for e in letter:
        if not addresses(e):
            raise wrong(
                f"{e['control']} against {e['threat']}; it {CONTROLS[e['control']]}",
                f"a control that takes {e['threat']} away, or measures how much it does",
                f"so far:   {standing(letter)}",
            )


@pytest.mark.points(1)
def test_decisive(report: Callable[..., Any]) -> None:
    """the decisive control is asked for: an arm with all but the memory"""
    letter = complete(report())
    asked = {e["control"] for e in letter}
    if not asked & set(THREATS["size"]["controls"]):
        raise wrong(
            f"no third arm among {', '.join(sorted(asked)) or 'no controls'}",
            "an arm without memory that is otherwise like the imprint arm",
        )
    if "size" not in addressed(letter):
        raise wrong(
            "a third arm, and no entry that asks for it because of what it keeps equal",
            "this entry",
        )


@pytest.mark.points(2)
def test_most(report: Callable[..., Any]) -> None:
    """both rivals of the memory are addressed, and eight threats or more in all"""
    letter = complete(report())
    done = addressed(letter)
    open_rivals = len(set(RIVALS) - done)
    if open_rivals or len(done) < MOST:
        raise wrong(
            f"{len(done)} threats addressed, {len(RIVALS) - open_rivals} of the rivals among them",
            f"{MOST} or more, and both rivals",
            f"so far:   {standing(letter)}",
        )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_all(report: Callable[..., Any]) -> None:
    """all ten threats are addressed"""
    letter = complete(report())
    if addressed(letter) != set(THREATS):
        raise wrong(standing(letter), f"all {len(THREATS)} addressed")


# ------------------------------------------------------------------------------------ predictions


class Comparison(NamedTuple):
    """``left`` less ``right`` has one of these signs."""

    left: str
    right: str
    signs: set[int]


def comparison(text: Any, of: str) -> Comparison:
    found = re.fullmatch(r"\s*(\S+?)\s*(<=|>=|==|<|>|=|≤|≥)\s*(\S+)\s*", str(text))
    if found is None or not {found[1], found[3]} <= set(MEMORY):
        raise wrong(
            f"{show(text)} {of}",
            f"A < B, with <, <=, =, >= or > between two of {', '.join(MEMORY)}",
        )
    return Comparison(found[1], found[3], OUTCOMES[SPELLED.get(found[2], found[2])])


def foreseen(value: Any) -> dict[str, tuple[str, str, set[int], set[int]]]:
    """By threat the two quantities, and their signs under memory and under the rival."""
    if not isinstance(value, dict) or len(value) != 2:
        raise wrong(show(value), 'a dict with two rivals, each {"if_memory": …, "if_rival": …}')
    found = {}
    for threat, pair in value.items():
        if threat not in {*THREATS, *HARMLESS}:
            raise wrong(f"rival {show(threat)}", accepted([*THREATS, *HARMLESS]))
        if not isinstance(pair, dict) or set(pair) != {"if_memory", "if_rival"}:
            raise wrong(f"{show(pair)} of {threat}", '{"if_memory": …, "if_rival": …}')
        memory, rival = (
            comparison(pair[key], f"as {key} of {threat}") for key in ("if_memory", "if_rival")
        )
        if {memory.left, memory.right} != {rival.left, rival.right} or memory.left == memory.right:
            raise wrong(
                f"{show(pair['if_memory'])} and {show(pair['if_rival'])} of {threat}",
                "two comparisons of the same two quantities",
            )
        turned = rival.signs if rival.left == memory.left else {-s for s in rival.signs}
        found[threat] = (memory.left, memory.right, memory.signs, turned)
    return found


def of_rivals(value: Any) -> dict[str, tuple[str, str, set[int], set[int]]]:
    found = foreseen(value)
    for threat in found:
        if threat not in RIVALS:
            raise wrong(
                f"{threat} as a rival of the memory",
                "a threat that still sets the arms apart when all scores are honest and exact",
            )
    return found


@pytest.mark.points(1)
def test_rivals(predictions: Callable[..., Any]) -> None:
    """the two rivals of the memory are named, each with two comparisons of the same quantities"""
    of_rivals(predictions())


@pytest.mark.points(1)
def test_tell_apart(predictions: Callable[..., Any]) -> None:
    """no outcome is allowed by both predictions of a rival"""
    words = {-1: "lower", 0: "no difference", 1: "higher"}
    for threat, (left, right, memory, rival) in foreseen(predictions()).items():
        if both := memory & rival:
            outcomes = " or ".join(words[s] for s in sorted(both))
            raise wrong(
                f"{left} against {right}, for {threat}: {outcomes} fits memory and rival alike",
                "no outcome that both allow",
            )


@pytest.mark.points(1)
def test_follow(predictions: Callable[..., Any]) -> None:
    """each prediction follows from its hypothesis"""
    for threat, (left, right, memory, rival) in of_rivals(predictions()).items():
        place = f"{left} against {right}, for {threat}"
        if left.endswith("/selectivity") != right.endswith("/selectivity"):
            raise wrong(f"{place}: an accuracy and a difference of two", "two of a kind")
        levels = [(w[left], w[right]) for w in (MEMORY, RIVALS[threat])]
        if None in levels[1]:
            raise wrong(
                f"{place}: if the rival holds, this may come out either way",
                "a comparison whose outcome the rival settles",
            )
        if_memory, if_rival = (a - b for a, b in levels)  # type: ignore[operator]
        if if_memory == if_rival:
            raise wrong(
                f"{place}: both hypotheses say the same of this pair",
                "a pair that comes out otherwise if there is no memory",
            )
        away = 1 if if_memory > if_rival else -1  # from the rival
        for name, signs, sign, side in (
            ("memory", memory, if_memory, away),
            (threat, rival, if_rival, -away),
        ):
            # Wider than the hypothesis only on the side that the other cannot claim.
            if sign not in signs or any((s - sign) * side < 0 for s in signs):
                raise wrong(
                    f"{place}: what you predict does not follow from {name}",
                    f"what the two score in a world where {name} alone sets the arms apart",
                )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_measured(report: Callable[..., Any], predictions: Callable[..., Any]) -> None:
    """each prediction is about something that a control of the letter measures"""
    asked = {e["control"] for e in complete(report())}
    for threat, (left, right, _, _) in of_rivals(predictions()).items():
        needed = {
            "random-labels" if q.endswith("/selectivity") else q
            for q in (left, right)
            if q not in ("fresh", "imprint")
        }
        if not needed <= asked:
            raise wrong(
                f"{left} against {right}, for {threat}",
                f"quantities that the letter's controls measure: {', '.join(sorted(asked))}",
            )
