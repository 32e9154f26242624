"""The reference pages, without a build: what is generated agrees with the files it comes from."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name

import build_facts
import course_map
import guides
import metrics_catalog
import pytest
from course_map import Chapter

from weightdecay import plan, results, runs
from weightdecay.grading import toc
from weightdecay.grading.load import MISTAKES, START, all_exercises
from weightdecay.runs import RunError

BOOK = toc.BOOK
PAGES = ("notation", "metrics", "reproduce", "instructors", "status")
CODE = re.compile(r"```\{code-cell\}.*?\n```", re.S)
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$\n]+)\$", re.S)

GREEK = (
    "alpha|beta|gamma|delta|(var)?epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho"
    "|sigma|tau|upsilon|(var)?phi|chi|psi|omega"
)

pages = pytest.mark.parametrize("page", PAGES)


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return [c for part in course_map.course().values() for c in part]


def text_of(page: str) -> str:
    return (BOOK / f"{page}.md").read_text("utf-8")


# ---------------------------------------------------------------------------------- every page


@pages
def test_is_in_the_table_of_contents_under_reference(page: str) -> None:
    assert page in toc.parts()["Reference"]


@pages
def test_links_lead_to_pages_equations_and_terms_that_exist(page: str) -> None:
    text = text_of(page)
    everything = {p: p.read_text("utf-8") for p in BOOK.rglob("*.md")}
    labels = set(re.findall(r"^\$\$ \(([\w-]+)\)$", "\n".join(everything.values()), re.M))
    terms = set(re.findall(r"^([\w@$][^\n]*)\n  \S", text_of("glossary"), re.M))
    for file in re.findall(r"\]\(([\w./-]+\.md)\)", text):
        assert (BOOK / file).exists(), file
    for file in re.findall(r"\{doc\}`(?:[^`<]*<)?/?([\w./-]+)>?`", text):
        assert (BOOK / f"{file}.md").exists(), file
    for label in re.findall(r"\{eq\}`([^`]+)`", text):
        assert label in labels, label
    for name in re.findall(r"\{ref\}`[^`<]*<([\w-]+)>`", text):
        assert f"({name})=" in text, name
    for term in re.findall(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`", text):
        assert term in terms, term


@pages
def test_directives_are_registered_by_the_modules_of_the_book(page: str) -> None:
    known = {"nb-exec-table"}
    for name in ("course_map", "metrics_catalog", "guides", "build_facts"):
        source = (BOOK / f"{name}.py").read_text("utf-8")
        known |= set(re.findall(r'add_directive\("([\w-]+)"', source))
        config = (plan.ROOT / "_config.yml").read_text("utf-8")
        assert f"{name}: book" in config
        assert f"- {name}\n" in config
    for directive in re.findall(r"^```\{([\w-]+)\}", text_of(page), re.M):
        assert directive in known, directive


# ------------------------------------------------------------------------------------ notation


def symbols(text: str) -> set[str]:
    """Letters and Greek commands in the formulas of a page, without words and signs."""
    found: set[str] = set()
    for shown, inline in MATH.findall(CODE.sub("", text)):
        formula = re.sub(r"\\(?:text|mathrm|begin|end)\{[^}]*\}", " ", shown or inline)
        found |= {
            name
            for name in re.findall(r"\\([A-Za-z]+)", formula)
            if re.fullmatch(GREEK, name, re.I)
        }
        found |= set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", formula)))
    return found


def test_every_symbol_of_the_chapters_is_on_the_page_notation(chapters: list[Chapter]) -> None:
    there = symbols(text_of("notation"))
    assert {"lambda", "eta", "beta", "varepsilon", "Sigma", "w", "D"} <= there
    for chapter in chapters:
        missing = symbols(chapter.text) - there
        assert not missing, f"{chapter.file}: {sorted(missing)}"


# ------------------------------------------------------------------------------------- metrics


def test_every_column_is_described_once_and_every_description_has_a_column() -> None:
    assert metrics_catalog.problems(metrics_catalog.catalog(), metrics_catalog.tables()) == []


def test_what_is_missing_or_too_much_in_the_descriptions_is_told() -> None:
    groups = metrics_catalog.catalog()
    tables = {e: dict(files) for e, files in metrics_catalog.tables().items()}
    tables["dose-response"]["results.csv"] = ("seed", "a new column")
    tables["new"] = {"results.csv": ("seed",)}
    del tables["hysteresis-embedding"]
    told = metrics_catalog.problems(groups, tables)
    assert "dose-response: a new column has 0 descriptions, expected 1" in told
    assert "The break lab: no table has a column best_step" in told
    assert "new: in 0 groups of metrics.yml, expected 1" in told
    assert "Planes of the hysteresis networks: no table in hysteresis-embedding" in told


def test_tables_are_all_that_are_committed() -> None:
    tables = metrics_catalog.tables()
    committed = {p.parent.name for p in metrics_catalog.EXPERIMENTS.glob("*/results.csv")}
    assert committed == {e for e, files in tables.items() if results.TABLE in files}
    assert set(tables["18-break-weight-decay"]) == {"evals.csv", "metrics.jsonl"}
    assert "steps_per_second" in tables["18-break-weight-decay"]["metrics.jsonl"]


def test_what_is_said_to_compute_a_column_exists() -> None:
    for group in metrics_catalog.catalog().values():
        for column in group.columns.values():
            resolve_name(f"weightdecay.{column.computed}")


def test_a_chapter_that_reads_a_column_is_found(chapters: list[Chapter]) -> None:
    groups = metrics_catalog.catalog()

    def users(title: str, column: str) -> list[str]:
        return [c.file for c in metrics_catalog.used_in(groups[title], [column], chapters)]

    assert "break/how-much" in users("The break lab", "val_loss")
    assert "hysteresis/audit" in users("Hysteresis", "mlp/outputs/checkerboard")
    assert users("The break lab", "no such column") == []


def test_a_wrong_description_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.yml"
    path.write_text("Group: {package: minitrain, experiments: [], columns: {loss: {mean: x}}}\n")
    with pytest.raises(RunError, match=r"metrics\.yml: Group|metrics\.yml: columns\.loss") as e:
        metrics_catalog.catalog(path)
    assert "\n" not in str(e.value)


# ----------------------------------------------------------------------------------- the course


def test_map_has_every_part_chapter_and_exercise(chapters: list[Chapter]) -> None:
    parts = {k: v for k, v in toc.parts().items() if k != "Reference"}
    assert {k: [c.file for c in v] for k, v in course_map.course().items()} == parts
    assert sorted(e.id for c in chapters for e in c.exercises) == [e.id for e in all_exercises()]
    titles = {c.file: c.title for c in chapters}
    text = course_map.entries(chapters, titles)
    for c in chapters:
        assert f"</{c.file}>`, {c.minutes} minutes" in text
        assert f"*About {c.minutes} minutes." in c.text
        for e in c.exercises:
            assert f"<exercise-{e.id}>`: {e.minutes} minutes, {e.points} points" in text


def test_no_chapter_needs_a_later_one(chapters: list[Chapter]) -> None:
    before: set[str] = set()
    for c in chapters:
        assert before.issuperset(c.needs), c.file
        before.add(c.file)
    needs = {c.file: c.needs for c in chapters}
    assert needs["theory/dose"] == ("theory/decoupling",)  # a Markdown link
    assert needs["break/blind"] == ("break/ladder", "theory/dose")  # a link out of the folder


def book(folder: Path, toc_text: str, **texts: str) -> Path:
    (folder / "_toc.yml").write_text(toc_text)
    (folder / "later").mkdir()
    for name, text in texts.items():
        (folder / "later" / f"{name}.md").write_text(text)
    return folder


TOC = """parts:
- {caption: Part 7 · Later, chapters: [{file: later/one}, {file: later/two}]}
- {caption: Reference, chapters: [{file: notes}]}
"""


def test_a_new_part_joins_by_itself(tmp_path: Path) -> None:
    one = "# One\n\n*About 30 minutes. We need: patience.*\n"
    two = "# Two\n\n*About 1 minutes. We need: {doc}`one` and [notes](../notes.md).*\n"
    made = course_map.course(book(tmp_path, TOC, one=one, two=two))
    ((caption, (first, second)),) = made.items()
    assert caption == "Part 7 · Later"
    assert (first.title, first.minutes, first.needs) == ("One", 30, ())
    assert second.needs == ("later/one",)
    assert course_map.totals([first, second]) == "2 chapters, 31 min."


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"one": "# One\n\nNo minutes.\n"}, r"one\.md: expected a title and a line \*About"),
        ({}, r"one\.md: No such file.*_toc\.yml names it"),
    ],
)
def test_a_chapter_without_its_facts_is_one_line(
    tmp_path: Path, texts: dict[str, str], said: str
) -> None:
    with pytest.raises(RunError, match=said):
        course_map.course(book(tmp_path, TOC, **texts))


def test_weeks_hold_everything_in_order_and_no_split_is_more_alike(
    chapters: list[Chapter],
) -> None:
    weeks = course_map.weekly(chapters, 6)
    assert [c for w in weeks for c, _ in w.chapters] == chapters
    assert all(e == c.exercises for w in weeks for c, e in w.chapters)
    lengths = [w.reading + w.work for w in weeks]
    # Moving one chapter over a border never brings the two weeks closer together.
    for (a, b), (la, lb) in zip(pairwise(weeks), pairwise(lengths), strict=True):
        last, first = a.chapters[-1][0], b.chapters[0][0]
        for moved in (last.minutes + last.work, -(first.minutes + first.work)):
            assert abs((la - moved) - (lb + moved)) >= abs(la - lb)
    with pytest.raises(RunError, match="99 weeks; accepted: 1 to"):
        course_map.weekly(chapters, 99)


def test_plan_of_two_days_can_be_taught(chapters: list[Chapter]) -> None:
    lines = re.search(r"```\{course-plan\}\n(.+?)\n```", text_of("instructors"), re.S)
    assert lines
    sessions = course_map.chosen(lines[1].splitlines(), chapters)
    taught: list[str] = []
    days: dict[str, int] = {}
    for session in sessions:
        day = session.title.partition(",")[0]
        days[day] = days.get(day, 0) + session.reading + session.work
        for chapter, _ in session.chapters:
            assert set(chapter.needs) <= set(taught), chapter.file
            taught.append(chapter.file)
    assert len(days) == 2
    assert all(minutes <= 6.5 * 60 for minutes in days.values()), days
    total = sum(days.values())
    assert course_map.hours(total) in course_map.plan(sessions).splitlines()[-1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Day 1 theory/dose", "expected a title, a colon"),
        ("Day 1: theory/none", "no chapter theory/none"),
        ("Day 1: theory/dose 99", "theory/dose has no exercise 99; it has 04"),
    ],
)
def test_a_wrong_plan_is_one_line(line: str, said: str, chapters: list[Chapter]) -> None:
    with pytest.raises(RunError, match=said):
        course_map.chosen([line], chapters)


# ----------------------------------------------------------------------------------- the guides


def test_mistakes_are_those_of_the_exercises() -> None:
    for exercise in all_exercises():
        text = guides.typical_mistakes([exercise])
        # A name of a symptom may be put together in a loop; plain ones are enough to compare.
        tree = ast.parse((exercise.folder / MISTAKES).read_text("utf-8"))
        symptoms = {
            str(call.args[0].value)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and getattr(call.func, "id", "") == "Mistake"
            and isinstance(call.args[0], ast.Constant)
        }
        assert symptoms <= exercise.hints.keys() - {START}
        for symptom in symptoms:
            assert f"**{' '.join(exercise.hints[symptom].says.split())}**" in text
        assert text.count("\n: ") == len(exercise.hints) - 1


def test_experiments_are_told_as_in_their_manifests(chapters: list[Chapter]) -> None:
    found = guides.experiments()
    committed = {p.parent.name for p in guides.EXPERIMENTS.glob("*/results.csv")}
    assert {e.name for e in found} == committed | {"18-break-weight-decay"}
    text = guides.experiments_list(found, chapters)
    for e in found:
        assert e.manifest["host"]["machine"] in e.machine
        entry = text.partition(f"`{e.name}`\n: ")[2].partition("Read by:")[0]
        assert f"`{e.command}`; last command: {e.took}; written " in entry
        assert ("Quick part: " in entry) == (guides.EXPERIMENTS / e.name / plan.SWEEP).exists()
    assert {"break/break", "break/ladder"} <= {
        c.file for c in guides.readers("18-break-weight-decay", chapters)
    }
    part = next(e.quick for e in found if e.name == "hysteresis-scan")
    assert part is not None
    assert guides.quick(part).startswith("4 runs, of which it compares `article`, ")


def experiment(**manifest: object) -> guides.Experiment:
    return guides.Experiment("x", "", {"runs": 9, **manifest}, None)


@pytest.mark.parametrize(
    ("manifest", "took"),
    [
        ({"trained_by_last_command": {"runs": 3, "seconds": 75.2}}, "3 of 9 runs in 1 min 15 s"),
        ({"trained_by_last_command": {"runs": 0, "seconds": 0.0}}, "not recorded"),
        ({"started": "2026-01-01T23:00:00+00:00", "ended": "2026-01-02T01:30:10+00:00"},
         "2 h 30 min"),
        ({"written": "2026-01-01T23:00:00+00:00"}, "not recorded"),
    ],
)  # fmt: skip
def test_times_are_what_a_manifest_knows(manifest: dict[str, object], took: str) -> None:
    assert experiment(**manifest).took == took


def test_no_chapter_that_reads_results_goes_without_a_command(chapters: list[Chapter]) -> None:
    text = guides.sources(guides.experiments(), chapters)
    for file in ("break/break", "break/ladder", "hysteresis/audit", "plasticity/two-losses"):
        assert text.partition(f"</{file}>`\n: ")[2].startswith("- `just "), file
    assert "theory/shrinkage" not in text


def test_packages_are_those_that_the_project_names_and_facts_name_no_place() -> None:
    found = build_facts.packages()
    assert found["torch"] == version("torch")
    assert found["jupyter-book"] == version("jupyter-book")
    assert "not installed" not in found.values()
    facts = build_facts.facts()
    assert all(facts.values())
    assert not any(str(Path.home()) in value or str(plan.ROOT) in value for value in facts.values())


@pytest.mark.parametrize(
    ("shown", "value", "text"),
    [
        (guides.duration, 59.6, "1 min 0 s"),
        (guides.duration, 12, "12 s"),
        (guides.duration, 7260, "2 h 1 min"),
        (course_map.hours, 120, "2 h"),
        (course_map.hours, 45, "45 min"),
        (course_map.hours, 61, "1 h 1 min"),
    ],
)
def test_times_in_words(shown: Callable[[float], str], value: float, text: str) -> None:
    assert shown(value) == text


def test_a_table_without_a_manifest_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / results.TABLE).write_text("seed\n1\n")
    with pytest.raises(RunError, match=f"bare: a table without {runs.MANIFEST}"):
        guides.experiments(tmp_path)
