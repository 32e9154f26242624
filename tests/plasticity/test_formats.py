"""Two formats of a solution: written right, told apart, and drawn in disjoint parts."""

from __future__ import annotations

import pytest

from weightdecay.plasticity.downstream import Example, Words, examples, verified
from weightdecay.plasticity.formats import first, format_of, mixed, parts, solved


def words(text: str) -> Words:
    return tuple(text.split())


CHAIN = Example(words("8 + 3 - 2 ?"), words("8 + 3 = 1 . 1 - 2 = 9 . so 9 ."))


def test_the_other_format_has_each_result_before_its_sum() -> None:
    assert " ".join(first(CHAIN).response) == "1 = 8 + 3 . 9 = 1 - 2 . so 9 ."
    assert first(CHAIN).prompt == CHAIN.prompt
    for e in examples("chains", "train", 50, 0):
        other = first(e)
        assert sorted(other.response) == sorted(e.response)
        assert (format_of(e.response), format_of(other.response)) == ("last", "first")
        assert verified(e, other.response)
        assert verified(other, e.response)
        assert solved(e, other.response)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("8 + 3 = 7 . so 7 .", "last"),  # wrong, and yet in the format
        ("7 = 8 + 3 . so 0 . and more", "first"),  # what stands behind the answer is not read
        ("so 9 .", None),
        ("8 + 3 = 1 . 9 = 1 - 2 . so 9 .", None),  # both
        ("8 + 3 = 1 .", None),  # no answer
        ("8 + 3 = 1 . so 9", None),  # it does not end
        ("8 + 3 = 1 . so rose .", None),
        ("8 + 3 = 1 so . so 9 .", None),
        ("8 + 3 = = . so 9 .", None),
        ("8 = 3 = 1 . so 9 .", None),
        ("8 + 7 = 5 . so 5 .", None),  # no sum of the language adds 7
        ("= 8 + 3 1 . so 1 .", None),
        ("8 + 3 1 = . so 1 .", None),
        ("8 + 3 = 1 . . so 1 .", None),
        ("", None),
    ],
)
def test_the_detector_reads_form_and_not_truth(said: str, kind: str | None) -> None:
    assert format_of(words(said)) == kind


def test_a_right_answer_by_wrong_steps_is_verified_and_not_solved() -> None:
    said = words("8 + 3 = 2 . 1 - 2 = 9 . so 9 .")
    assert verified(CHAIN, said)
    assert not solved(CHAIN, said)
    assert solved(CHAIN, (*CHAIN.response, "the", "."))


def test_parts_are_disjoint_and_as_hard_as_each_other() -> None:
    found = parts([400, 300, 0, 100], 3)
    assert [len(part) for part in found] == [400, 300, 0, 100]
    prompts = [e.prompt for part in found for e in part]
    assert len(set(prompts)) == 800
    assert all(e.split == "train" for part in found for e in part)
    short = [sum(len(e.prompt) == 6 for e in part) / len(part) for part in found if part]
    assert max(short) - min(short) < 0.15  # unshuffled it is 0.3
    assert found == parts([400, 300, 0, 100], 3)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_mixture_has_the_share_asked_for_at_random_places(share: float) -> None:
    (given,) = parts([200], 0)
    found = mixed(given, share, 0)
    kinds = [format_of(e.response) for e in found]
    assert kinds.count("last") == round(200 * share)
    assert [e.prompt for e in found] == [e.prompt for e in given]
    if share == 0.3:
        assert 15 < kinds[:100].count("last") < 45
        assert kinds != [format_of(e.response) for e in mixed(given, share, 1)]
