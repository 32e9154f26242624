"""The figure of the front page: every number of the claim is drawn, and its words follow."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

import front_page
import pytest

from weightdecay import claims
from weightdecay.claims import Record
from weightdecay.runs import RunError

RECORDS = claims.read()


@pytest.fixture
def record() -> Record:
    (found,) = [r for r in RECORDS if r.id == front_page.CLAIM]
    return found


def test_every_claimed_and_every_measured_value_is_drawn(record: Record) -> None:
    marks = Counter(e.get("class") for e in ElementTree.fromstring(front_page.svg(record)).iter())
    assert marks["full"] == marks["open"] == marks["bar"] == len(record.claimed)
    assert marks["line"] == len(front_page.ARMS)


def test_a_value_stands_at_its_place(record: Record) -> None:
    """The heights of the marks are straight in the values: two of them say where a third lies."""
    drawn = [float(e.get("cy") or 0) for e in ElementTree.fromstring(front_page.svg(record)).iter()
             if e.get("class") == "full" and e.tag == "circle"]  # fmt: skip
    values = [m for _, _, m in front_page.curves(record)["imprint"]]
    slope = (drawn[-1] - drawn[0]) / (values[-1] - values[0])
    assert slope < 0  # up is more
    for height, value in zip(drawn, values, strict=True):
        assert height == pytest.approx(drawn[0] + slope * (value - values[0]), abs=0.2)


def test_words_and_caption_have_the_numbers_of_the_ledger(record: Record) -> None:
    assert record.measured is not None
    words = front_page.words(record)
    for name in ("control at 0", "control at 1e-2", "imprint at 0", "imprint at 1e-2"):
        assert f"{record.measured[name]:.2f} at weight decay {name.rpartition(' ')[2]}" in words
    caption = front_page.figure(record, RECORDS).partition("<figcaption>")[2]
    assert f"<em>{record.verdict}</em>" in caption
    counts = [int(n) for n in re.findall(r"(\d+) [a-z]", front_page.verdicts(RECORDS))]
    assert counts[0] == len(RECORDS) == sum(counts[1:])


def test_a_ledger_that_no_longer_fits_is_one_line(record: Record) -> None:
    assert record.measured is not None
    for changed, says in (
        ({"measured": None}, "expected 'ARM at SETTING'"),
        ({"claimed": {"control at 0": 1.0}}, "different settings"),
        ({"held": dict.fromkeys(record.held or {}, False)}, "everything it asserts held"),
    ):
        with pytest.raises(RunError, match=f"^H1: .*{says}") as e:
            front_page.figure(record.model_copy(update=changed), RECORDS)
        assert "\n" not in str(e.value)
