"""Nothing stands in the ledger, or in a chapter about it, that the results do not give."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.test_sweep import one_line
from weightdecay import __main__ as command
from weightdecay import claims, verdicts
from weightdecay.claims import Claim, Direction, Quantity, Verdict
from weightdecay.runs import RunError
from weightdecay.stats import Estimate

COUNTS = {"H": 10, "B": 9, "C": 7, "P": 14}

# A ledger as people write it: quotes, folded lines, comments, an odd order, more keys to come.
LEDGER = """\
# What the sources say.

- id: B1   # the first
  source: 'break page'
  statement: "A claim: with | a bar"   # quoted
  claimed: {loss: 2, gap: 0.50}
  # counted by hand
  measure: weightdecay.toy_claims
  command: ~
  chapter:

  # Section C, in which nothing is measured
- id: C1
  chapter: null
  source: >-
    folded

    text
  statement: a plain text
    on two lines
  claimed: {}
  measure:
  command:
  verdict: not measured yet   # so far
# The end.
"""
COMPUTED = """\
  measured: {loss: 2.01, gap: 0.9, gap wider: 0.4}
  interval:
    loss: [2.0, 2.02]
    gap: [0.8, 1.0]
    gap wider: [0.3, 0.5]
  held: {gap wider: true}
  n: 5
  verdict: direction only
"""


class Toy(ModuleType):
    """In place of a module that measures claims from results files."""

    estimates: dict[str, Estimate]

    def measure(self, claim: Claim) -> None:
        for name, e in self.estimates.items():
            if name.endswith("wider"):
                claim.directions.append(Direction(name, e.low > 0, e))
            else:
                claim.quantities.append(Quantity(name, claim.claimed.get(name), e))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    module = Toy("weightdecay.toy_claims")
    module.estimates = {
        "loss": Estimate(2.01, 2.0, 2.02, 5),
        "gap": Estimate(0.9, 0.8, 1.0, 5),
        "gap wider": Estimate(0.4, 0.3, 0.5, 5),
    }
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def ledger(tmp_path: Path, toy: Toy) -> Path:
    path = tmp_path / "claims.yml"
    path.write_text(LEDGER)
    return path


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A copy of the ledger of the course."""
    return Path(shutil.copy(claims.LEDGER, tmp_path / "claims.yml"))


# ---- the ledger of the course --------------------------------------------------------------


def test_every_claim_of_the_four_sources_stands_once() -> None:
    ids = [record.id for record in claims.read()]
    assert ids == [f"{part}{i}" for part, n in COUNTS.items() for i in range(1, n + 1)]
    assert len(ids) == 40
    sources = {record.id[0]: record.source for record in claims.read()}
    assert len(set(sources.values())) == 4
    for record in claims.read():
        assert record.source == sources[record.id[0]]
        assert len(record.statement) > 30


def test_every_sentence_about_a_verdict_follows_from_the_ledger() -> None:
    assert list(claims.sentences()) == []


def test_what_is_measured_has_numbers_and_a_chapter_that_shows_them() -> None:
    for record in claims.read():
        if record.measure is None:
            assert record.verdict == Verdict.NOT_MEASURED
            assert record.measured is None
            continue
        assert record.verdict != Verdict.NOT_MEASURED
        assert record.command is not None
        assert record.command.startswith("just ")
        chapter = (claims.BOOK / f"{record.chapter}.md").read_text("utf-8")
        assert f'"{record.id}"' in chapter or f'measured("{record.id[0]}").values()' in chapter
        if record.verdict != Verdict.NOT_TESTABLE:
            assert record.measured
            assert record.n is not None
            assert record.n >= 6


def test_the_ledger_of_the_course_follows_from_the_results(
    committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = {record.id: claims.measure(record) for record in claims.read()}
    monkeypatch.setattr(claims, "measure", lambda record: measured[record.id])  # once is enough
    assert claims.differences() == []
    before = committed.read_bytes()
    claims.write(committed)
    assert committed.read_bytes() == before
    # Taken out and computed again, each record is what it was.
    text = before.decode()
    computed = re.compile(r"^  (measured|interval|held|n|verdict):.*\n(    .*\n)*", re.M)
    bare = computed.sub("", text)
    assert "verdict:" not in bare
    committed.write_text(bare)
    assert claims.differences(committed)
    claims.write(committed)
    assert committed.read_bytes() == before
    assert not re.search(r":[ ]*$", text.replace("interval:\n", ""), re.M)  # null, not nothing


def edited(record: str, old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        start = text.index(f"- id: {record}\n")
        alone = text[start : text.index("\n- id: ", start) + 1]  # the others take their time
        assert alone.count(old) == 1
        return alone.replace(old, new)

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (edited("B1", "validation loss: 0.6565", "validation loss: 0.65651"), ["B1: measured is"]),
        (edited("B1", "\n    gap: [0.", "\n    gap: [1."), ["B1: interval is"]),
        (edited("B1", "n: 9", "n: 10"), ["B1: n is 10, the results give 9"]),
        (
            edited("B2", "verdict: not reproduced", "verdict: reproduced"),
            ["B2: verdict is reproduced, the results give not reproduced"],
        ),
        (edited("B2", "gap wider: false", "gap wider: true"), ["B2: held is"]),
        (
            edited("B4", "growth without decay: 2.5", "growth without decay: 12"),  # people's key
            [],
        ),
        (
            edited("B4", "claimed: {growth without decay: 2.5, growth with decay 0.1: 1.2}",
                   "claimed: {growth without decay: 12, growth with decay 0.1: 12}"),
            ["B4: verdict is direction only, the results give reproduced"],
        ),
        (
            edited("B1", "measure: weightdecay.minitrain.break_claims", "measure: null"),
            [
                "B1: measured is", "B1: interval is", "B1: held is", "B1: n is",
                "B1: verdict is direction only, the results give not measured yet",
            ],
        ),
    ],
)  # fmt: skip
def test_a_tampered_ledger_is_reported_and_written_again(
    committed: Path, edit: Callable[[str], str], said: list[str]
) -> None:
    committed.write_text(edit(committed.read_text("utf-8")), "utf-8")
    found = claims.differences(committed)
    assert [line[: len(part)] for line, part in zip(found, said, strict=True)] == said
    claims.write(committed)
    assert claims.differences(committed) == []


# ---- bad records ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("id: B1 ", "id: D1 ", ["D1: id = 'D1'"]),
        ("id: B1 ", "id: B01 ", ["B01: id = 'B01'"]),
        ("id: B1 ", "", ["record 1: id"]),
        ("id: C1", "id: B1", ["B1 is used twice"]),
        ("source: 'break page'", "sauce: x", ["B1", "source"]),
        ("command: ~", "command: ~\n  extra: 1", ["B1: extra = 1"]),
        ("{loss: 2, gap: 0.50}", "{loss: two}", ["B1: claimed.loss = 'two'"]),
        ("{loss: 2, gap: 0.50}", "3", ["B1: claimed = 3"]),
        ("weightdecay.toy_claims", "os.system", ["B1: measure = 'os.system'"]),
        ("not measured yet", "proven", ["C1: verdict = 'proven'", "'reproduced'"]),
        ("claimed: {}", "claimed: {}\n  n: many", ["C1: n = 'many'"]),
        ("claimed: {}", "claimed: {}\n  interval: {a: [1]}", ["C1: interval.a.1"]),
        ("claimed: {}", "claimed: {}\n  claimed: {}", ["not valid YAML", "claimed"]),
        ("claimed: {}", "claimed: {", ["not valid YAML"]),
        ("- id: B1 ", "id: B1 ", ["not valid YAML"]),
        (LEDGER, "id: B1\n", ["expected a list of records"]),
        (LEDGER, "- B1\n", ["expected a list of records"]),
        (LEDGER, "", ["expected a list of records"]),
        ("'break page'", "2020-13-45", ["not valid YAML"]),
    ],
)
def test_a_bad_record_is_one_line_that_names_it_and_writing_leaves_it(
    ledger: Path, old: str, new: str, parts: list[str]
) -> None:
    assert LEDGER.count(old) == 1
    text = LEDGER.replace(old, new)
    ledger.write_text(text)
    for read in (claims.read, claims.differences, claims.write):
        with pytest.raises(RunError) as e:
            read(ledger)
        one_line(e, str(ledger), *parts)
    assert ledger.read_text() == text


def test_a_missing_ledger_and_one_that_is_no_text_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError) as e:
        claims.read(tmp_path / "no.yml")
    one_line(e, "no.yml: No such file")
    (tmp_path / "claims.yml").write_bytes(b"- \xff")
    with pytest.raises(RunError) as e:
        claims.read(tmp_path / "claims.yml")
    one_line(e, "claims.yml: not valid YAML")


def test_what_cannot_measure_a_claim_is_one_line(ledger: Path, toy: Toy) -> None:
    text = ledger.read_text()
    for module in ("weightdecay.no_such_module", "weightdecay.runs"):
        ledger.write_text(text.replace("weightdecay.toy_claims", module))
        with pytest.raises(RunError) as e:
            claims.differences(ledger)
        one_line(e, f"B1: measure = {module} cannot")
    ledger.write_text(text.replace("id: B1 ", "id: B99 ").replace(
        "weightdecay.toy_claims", "weightdecay.minitrain.break_claims"))  # fmt: skip
    with pytest.raises(RunError) as e:
        claims.differences(ledger)
    one_line(e, "B99: measure = weightdecay.minitrain.break_claims cannot", "KeyError: 'B99'")
    ledger.write_text(text)

    def lost(claim: Claim) -> None:
        claim.add("loss", [1.0, float("nan")])

    toy.measure = lost  # type: ignore[method-assign]
    with pytest.raises(RunError) as e:
        claims.differences(ledger)
    one_line(e, "B1: measure = weightdecay.toy_claims cannot", "finite")


def test_one_name_for_two_things_is_refused(ledger: Path, toy: Toy) -> None:
    def twice(claim: Claim) -> None:
        claim.add("gap", [1.0, 2.0])
        claim.direction("gap", [1.0, 2.0], +1)

    toy.measure = twice  # type: ignore[method-assign]
    with pytest.raises(RunError) as e:
        claims.differences(ledger)
    one_line(e, "B1: weightdecay.toy_claims measures gap twice")


# ---- writing -------------------------------------------------------------------------------


def test_what_people_wrote_and_their_comments_stay_byte_for_byte(ledger: Path, toy: Toy) -> None:
    claims.write(ledger)
    first = "  chapter:\n"
    assert ledger.read_text() == LEDGER.replace(first, first + COMPUTED, 1)
    assert claims.differences(ledger) == []
    claims.write(ledger)
    assert ledger.read_text() == LEDGER.replace(first, first + COMPUTED, 1)


def test_only_records_that_no_longer_follow_are_touched(ledger: Path, toy: Toy) -> None:
    claims.write(ledger)
    before = ledger.read_text()
    toy.estimates["gap"] = Estimate(0.51, 0.4, 0.6, 4)
    assert [line.split(",")[0] for line in claims.differences(ledger)][-2:] == [
        "B1: n is 5",
        "B1: verdict is direction only",
    ]
    claims.write(ledger)
    expected = (
        before.replace("gap: 0.9,", "gap: 0.51,")
        .replace("gap: [0.8, 1.0]", "gap: [0.4, 0.6]")
        .replace("n: 5", "n: 4")
        .replace("direction only", "reproduced")
    )
    assert ledger.read_text() == expected


def test_a_claim_that_is_no_longer_measured_loses_its_numbers(ledger: Path) -> None:
    claims.write(ledger)
    ledger.write_text(ledger.read_text().replace("measure: weightdecay.toy_claims", "measure: ~"))
    claims.write(ledger)
    text = ledger.read_text()
    assert text.count("verdict: not measured yet") == 2
    for key in ("measured", "interval", "held", "n"):
        assert f"\n  {key}:" not in text
    for comment in ("# counted by hand", "# Section C, in which", "# The end.", "# so far"):
        assert comment in text


def test_computed_keys_in_odd_places_and_a_cut_end_are_mended(ledger: Path) -> None:
    text = LEDGER.replace("  claimed: {loss", "  n: 3\n  # of these\n  claimed: {loss").rstrip()
    ledger.write_text(text[: text.index("   # so far")])
    claims.write(ledger)
    assert claims.differences(ledger) == []
    written = ledger.read_text()
    assert written.count("  n: ") == 1
    assert "  # of these\n" in written
    assert written.endswith("  verdict: not measured yet\n")
    claims.write(ledger)
    assert ledger.read_text() == written


def test_nothing_measured_prints_as_null(ledger: Path, toy: Toy) -> None:
    def not_testable(claim: Claim) -> None:
        claim.testable = False
        claim.directions.append(Direction("it shows", False, None))

    toy.measure = not_testable  # type: ignore[method-assign]
    claims.write(ledger)
    text = ledger.read_text()
    assert "  n: null\n" in text
    assert "  measured: {}\n" in text
    assert "  verdict: not testable at this scale\n" in text
    assert claims.differences(ledger) == []


@pytest.mark.parametrize(
    "text",
    [
        "- {id: B1, source: a, statement: b, claimed: {}, measure: weightdecay.toy_claims, "
        "command: , chapter: }\n",
        "- source: a\n  id: B1\n  statement: b\n  claimed: {}\n  measure: weightdecay.toy_claims\n"
        "  command:\n  chapter:\n",
    ],
)
def test_a_form_that_cannot_be_kept_is_refused_and_left(ledger: Path, text: str) -> None:
    ledger.write_text(text)
    with pytest.raises(RunError) as e:
        claims.write(ledger)
    one_line(e, "B1: expected")
    assert ledger.read_text() == text


def test_names_that_yaml_would_read_otherwise_come_back(ledger: Path, toy: Toy) -> None:
    odd = {"yes": 1.0, "a: b": 2.0, "1e-3": 3.0, "log(g² / v_t) #2": 4.0, "null": 1e-7, "it's": 1e7}
    toy.estimates = {name: Estimate(v, v, v, 3) for name, v in odd.items()}
    claims.write(ledger)
    assert claims.differences(ledger) == []
    assert claims.read(ledger)[0].measured == odd


# ---- sentences in chapters -----------------------------------------------------------------

# The ledger says: B1 direction only, C1 not measured yet.
WRONG = [
    "B1 is reproduced.",
    "**B1: reproduced.** The gap",
    "**B1:** reproduced",
    "**B1** is *not reproduced*",
    "so B1 was not reproduced here",
    "B1 is **confounded**",
    "| B1 | reproduced |",
    "`B1` (reproduced)",
    "B1 – reproduced",
    "B1 is\nnot reproduced",
    "B1: Reproduced",
    "B1 comes out as reproduced",
    "*C1 and B1 are not testable at this scale.*",
    "Of these, B1, C1 are all reproduced",
    "B1 is not testable",
    "B1 is\n  not\n  measured yet",
]
RIGHT = [
    "B1 is direction only.",
    "**B1: direction only.**",
    "| B1 | *direction only* |",
    "C1 is not measured yet",
    "B1 is not confounded",
    "Whether B1 holds is a question; nothing is reproduced here.",
    "B1 speaks of sizes.\n\nReproduced here is the figure.",
    '```python\nclaims["B1"]  # is reproduced below\n```',
    "AB1 is reproduced",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_chapter_with_another_verdict_is_reported(ledger: Path, text: str) -> None:
    claims.write(ledger)
    chapter = ledger.parent / "part" / "chapter.md"
    chapter.parent.mkdir()
    chapter.write_text(f"# Title\n\nText.\n{text}\n")
    found = list(claims.sentences(ledger.parent, ledger))
    assert found
    assert found[-1].startswith(f"{chapter}: line 4: ")
    assert any("B1 is said to be" in line and "has direction only" in line for line in found)
    for line in found:
        assert len(line.splitlines()) == 1


@pytest.mark.parametrize("text", RIGHT)
def test_a_chapter_with_the_verdict_of_the_ledger_is_not(ledger: Path, text: str) -> None:
    claims.write(ledger)
    (ledger.parent / "chapter.md").write_text(text)
    assert list(claims.sentences(ledger.parent, ledger)) == []


def test_a_claim_that_is_not_in_the_ledger_is_reported(ledger: Path) -> None:
    (ledger.parent / "chapter.md").write_text("P7 is reproduced")
    (found,) = claims.sentences(ledger.parent, ledger)
    assert found.endswith("chapter.md: line 1: P7 is not in the ledger")


# ---- the command ---------------------------------------------------------------------------


@pytest.fixture
def cli(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """``python -m weightdecay claims`` on the ledger and its folder as the book."""
    read, differences, write, sentences = (
        claims.read, claims.differences, claims.write, claims.sentences,
    )  # fmt: skip
    monkeypatch.setattr(claims, "differences", lambda: differences(ledger))
    monkeypatch.setattr(claims, "write", lambda: write(ledger))
    monkeypatch.setattr(claims, "sentences", lambda: sentences(ledger.parent, ledger))
    monkeypatch.setattr(claims, "read", lambda path=ledger: read(path))

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command.main(["claims", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_command_fails_until_everything_follows(
    ledger: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = cli()
    assert (code, out) == (1, "")
    assert err.splitlines()[0].startswith("error: claims.yml and the results disagree")
    assert len(err.splitlines()) == 1 + 5
    assert ledger.read_text() == LEDGER
    assert cli("--write") == (0, "1 direction only; 1 not measured yet\n", "")
    assert cli() == (0, "1 direction only; 1 not measured yet\n", "")
    (ledger.parent / "chapter.md").write_text("B1 is reproduced")
    code, out, err = cli("--write")
    assert (code, out) == (1, "")
    assert "chapter.md: line 1: B1 is said to be reproduced" in err


def test_a_ledger_that_measures_nothing_says_so(
    ledger: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    ledger.write_text(LEDGER.replace("weightdecay.toy_claims", "~"))
    assert cli() == (0, "2 not measured yet\n", "")


# ---- verdicts ------------------------------------------------------------------------------

CLOSE, FAR = Estimate(1.05, 1.04, 1.06, 9), Estimate(3.0, 2.5, 3.5, 9)


def claim(
    claimed: dict[str, float],
    measured: dict[str, Estimate],
    held: list[bool],
    **more: bool | str,
) -> Claim:
    found = Claim("B1", "A statement.", claimed, **more)  # type: ignore[arg-type]
    found.quantities = [Quantity(k, claimed.get(k), e) for k, e in measured.items()]
    found.directions = [Direction(f"d{i}", h, FAR) for i, h in enumerate(held)]
    return found


ONE = {"a": 1.0}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (claim(ONE, {"a": CLOSE}, []), Verdict.REPRODUCED),
        (claim(ONE, {"a": CLOSE}, [True, True]), Verdict.REPRODUCED),
        (claim({}, {}, [True]), Verdict.REPRODUCED),
        (claim({}, {"b": FAR}, [True]), Verdict.REPRODUCED),  # told besides
        (claim(ONE, {"a": FAR}, [True]), Verdict.DIRECTION),
        (claim(ONE, {"a": FAR}, []), Verdict.NOT_REPRODUCED),
        (claim(ONE, {"a": CLOSE}, [True, False]), Verdict.NOT_REPRODUCED),
        (claim({}, {}, [True, False]), Verdict.NOT_REPRODUCED),
        (claim({"a": 1.0, "b": 1.0}, {"a": CLOSE, "b": FAR}, []), Verdict.NOT_REPRODUCED),
        # A claimed value that nothing takes up has not come back.
        (claim({"a": 1.0, "b": 1.0}, {"a": CLOSE}, []), Verdict.NOT_REPRODUCED),
        (claim({"a": 1.0, "b": 1.0}, {"a": CLOSE}, [True]), Verdict.DIRECTION),
        (claim({"b": 1.0}, {"a": CLOSE}, []), Verdict.NOT_MEASURED),
        (claim(ONE, {}, []), Verdict.NOT_MEASURED),
        (claim({}, {}, []), Verdict.NOT_MEASURED),
        (claim({}, {"b": FAR}, []), Verdict.NOT_MEASURED),  # measures, but nothing it asserts
        (claim(ONE, {"a": CLOSE}, [], confounded="a control"), Verdict.CONFOUNDED),
        (claim(ONE, {"a": FAR}, [True], confounded="a control"), Verdict.CONFOUNDED),
        (claim(ONE, {"a": FAR}, [False], confounded="a control"), Verdict.NOT_REPRODUCED),
        (claim(ONE, {"a": CLOSE}, [True], testable=False), Verdict.NOT_TESTABLE),
    ],
)
def test_the_rules_of_the_verdicts(found: Claim, verdict: Verdict) -> None:
    assert found.verdict == verdict
    assert found.computed()["verdict"] == verdict.value


def test_a_direction_needs_its_sign_and_an_interval_without_zero() -> None:
    found = Claim("B1", "", {})
    for values in ([1.0, 1.2, 0.9, 1.1], [-1.0, -1.2, -0.9, -1.1], [0.0] * 4, [-5.0, 6.0, -4.0, 5]):
        for sign in (+1, -1):
            found.direction(f"{values} {sign}", values, sign)
    assert [d.held for d in found.directions] == [True, False, False, True] + [False] * 4


def test_means_intervals_and_the_least_n_are_what_is_computed() -> None:
    found = Claim("B1", "", {"a": 2.0})
    found.add("a", [1.5, 2.0, 2.5, 2.0, 1.23456789])
    found.add("b", [7.0, 7.0])
    found.direction("c", [1.0, 1.5, 2.0], +1)
    computed = found.computed()
    assert computed["measured"] == {"a": 1.847, "b": 7.0, "c": 1.5}
    assert list(computed["interval"]) == ["a", "b", "c"]
    low, high = computed["interval"]["a"]
    assert 1 < low < 1.847 < high < 3
    assert computed["interval"]["b"] == [7.0, 7.0]
    assert (computed["n"], computed["held"]) == (2, {"c": True})


def shown(found: Claim) -> str:
    """As Markdown, with a tilde for every space that does not break."""
    return verdicts.markdown([found]).replace("\N{NO-BREAK SPACE}", "~")


def test_the_markdown_shows_claimed_measured_and_what_agrees() -> None:
    found = claim(
        {"a": 1.0, "x|y": 2.0, "gone": 3.0}, {"a": CLOSE, "x|y": FAR, "z": FAR}, [True, False]
    )
    found.directions.append(Direction("never", False, None))
    assert shown(found).splitlines() == [
        "**B1: not reproduced.** A statement.",
        "",
        "| | claimed | measured [95% interval] |",
        "|---|---|---|",
        "| a | 1 | 1.05 [1.04,~1.06]~✓ |",
        r"| x\|y | 2 | 3 [2.50,~3.50]~✗ |",
        "| z |  | 3 [2.50,~3.50] |",
        "| gone | 3 | not measured |",
        "| d0 | yes | +3 [+2.50,~+3.50]~✓ |",
        "| d1 | yes | +3 [+2.50,~+3.50]~✗ |",
        "| never | yes | at no step to the end~✗ |",
    ]
    found.testable = False
    assert "**B1: not testable at this scale.**" in shown(found)
    assert "| d0 | yes | +3 [+2.50,~+3.50]~– |" in shown(found)


@pytest.mark.parametrize(
    ("e", "text"),
    [
        (Estimate(0.17965, 0.17961, 0.1797, 9), "0.180 [0.180,~0.180]"),
        (Estimate(1234.5, 999.6, 2000.2, 9), "1234 [1000,~2000]"),
        (Estimate(600.0, 600.0, 600.0, 9), "600"),
        (Estimate(99.96, -99.96, 99.94, 9), "100 [−100,~99.9]"),
        (Estimate(-0.0, -0.5, 1.0, 9), "0 [−0.500,~1]"),
        (Estimate(-1e-5, -2e-5, 3e-6, 9), "−1.00e-05 [−2.00e-05,~3.00e-06]"),
    ],
)
def test_digits(e: Estimate, text: str) -> None:
    assert verdicts.digits(e).replace("\N{NO-BREAK SPACE}", "~") == text
