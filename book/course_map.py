"""The course at a glance, from the chapters and exercises themselves: what is where, how long it
takes and what it needs.

A small Sphinx extension. Nothing here is typed twice: minutes and needs come from the line *About
N minutes. We need: …* of each chapter, the rest from the exercises' headers and `_toc.yml`; a part
that joins the table of contents joins the map.

    ```{learning-map}
    ```
    ```{weekly-plan} 6
    ```
    ```{course-plan}
    Day 1, morning: theory/dose 04; break/lab
    ```
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from exercise_cards import parsed
from sphinx.util.docutils import SphinxDirective

from weightdecay.grading import toc
from weightdecay.grading.load import SOURCE, Exercise, all_exercises
from weightdecay.runs import RunError

REFERENCE = "Reference"  # the caption of the pages that are no chapters
FACTS = re.compile(r"^\*About (?P<minutes>\d+) minutes\. We need: (?P<needs>.+)\*$", re.M)
LINK = re.compile(r"\]\((?P<file>[\w./-]+)\.md\)|\{doc\}`(?:[^`<]*<)?(?P<doc>[\w./-]+)>?`")


@dataclass(frozen=True)
class Chapter:
    """What the book says of one of its chapters."""

    file: str
    """Below ``book/``, without ending."""
    title: str
    minutes: int
    needs: tuple[str, ...]
    """Files of the chapters that come before it."""
    exercises: tuple[Exercise, ...]
    text: str = field(repr=False)

    @property
    def work(self) -> int:
        """Minutes of all its exercises."""
        return sum(e.minutes for e in self.exercises)


def course(book: Path = toc.BOOK) -> dict[str, list[Chapter]]:
    """The chapters of each part, in the order of the book.

    Raises:
        RunError: for a chapter that is missing or does not say how long it takes.
    """
    parts = {k: files for k, files in toc.parts(book).items() if k != REFERENCE}
    known = {file for files in parts.values() for file in files}
    exercises = all_exercises()
    return {
        caption: [_chapter(book, file, known, exercises) for file in files]
        for caption, files in parts.items()
    }


def _chapter(book: Path, file: str, known: set[str], exercises: Sequence[Exercise]) -> Chapter:
    path = book / f"{file}.md"
    try:
        text = path.read_text("utf-8")
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}; _toc.yml names it") from e
    title, facts = re.search(r"^# (.+)$", text, re.M), FACTS.search(text)
    if not title or not facts:
        raise RunError(f"{path}: expected a title and a line *About N minutes. We need: …*")
    targets = [m["file"] or m["doc"] for m in LINK.finditer(facts["needs"])]
    # As in Sphinx, a leading slash means the root of the book.
    found = [posixpath.normpath(posixpath.join("/", file, "..", t)).strip("/") for t in targets]
    needs = tuple(dict.fromkeys(f for f in found if f in known))
    own = tuple(e for e in exercises if e.chapter == file)
    return Chapter(file, title[1].strip(), int(facts["minutes"]), needs, own, text)


def hours(minutes: int) -> str:
    """``95`` as ``1 h 35 min``."""
    whole, rest = divmod(minutes, 60)
    return " ".join(f"{n} {unit}" for n, unit in ((whole, "h"), (rest, "min")) if n) or "0 min"


def counted(n: int, word: str) -> str:
    """``1 chapter``, ``2 chapters``."""
    return f"{n} {word}{'' if n == 1 else 's'}"


# ------------------------------------------------------------------------------------- the map


def totals(chapters: Sequence[Chapter]) -> str:
    """Chapters and exercises in numbers."""
    exercises = [e for c in chapters for e in c.exercises]
    reading = f"{counted(len(chapters), 'chapter')}, {hours(sum(c.minutes for c in chapters))}"
    if not exercises:
        return f"{reading}."
    points, work = sum(e.points for e in exercises), sum(e.minutes for e in exercises)
    return f"{reading}; {counted(len(exercises), 'exercise')}, {hours(work)}, {points} points."


def entries(chapters: Sequence[Chapter], titles: dict[str, str]) -> str:
    """MyST: a numbered list of chapters, each with what it builds on and its exercises."""
    items = []
    for c in chapters:
        before = ", ".join(f"{{doc}}`{titles[f]} </{f}>`" for f in c.needs)
        builds = f"; builds on {before}" if before else ""
        lines = [f"1. {{doc}}`{c.title} </{c.file}>`, {c.minutes} minutes{builds}"]
        lines.extend(
            f"   - Exercise {e.number}, {{ref}}`{e.title} <exercise-{e.id}>`: {e.minutes} minutes, "
            f"{e.points} points, difficulty {e.difficulty} of 5"
            for e in c.exercises
        )
        items.append("\n".join(lines))
    return "\n".join(items)


class FromTheCourse(SphinxDirective):
    """Reads the chapters and exercises, and is made again when one changes."""

    def course(self) -> dict[str, list[Chapter]]:
        book = Path(self.env.srcdir)
        try:
            found = course(book)
        except RunError as e:
            raise self.error(str(e)) from e
        self.env.note_dependency(str(book / "_toc.yml"))
        for c in (c for chapters in found.values() for c in chapters):
            self.env.note_dependency(str(book / f"{c.file}.md"))
            for exercise in c.exercises:
                self.env.note_dependency(str(exercise.folder / SOURCE))
        return found

    def section(self, name: str, title: str, text: str) -> nodes.section:
        """One of the page, so that its contents and screen readers have the heading."""
        section = nodes.section(ids=[name], names=[])
        section += nodes.title(text=title)
        section += parsed(self, text)
        return section


class LearningMap(FromTheCourse):
    """A section a part."""

    def run(self) -> list[nodes.Node]:
        found = self.course()
        everything = [c for chapters in found.values() for c in chapters]
        titles = {c.file: c.title for c in everything}
        made = parsed(self, f"In all: {totals(everything)}")
        for number, (caption, chapters) in enumerate(found.items(), 1):
            text = f"{totals(chapters)}\n\n{entries(chapters, titles)}"
            made.append(self.section(f"map-part-{number}", caption, text))
        return made


# ----------------------------------------------------------------------------------- the plans


@dataclass(frozen=True)
class Session:
    """Chapters that are taught together, each with the exercises that are worked."""

    title: str
    chapters: tuple[tuple[Chapter, tuple[Exercise, ...]], ...]

    @property
    def reading(self) -> int:
        return sum(c.minutes for c, _ in self.chapters)

    @property
    def work(self) -> int:
        return sum(e.minutes for _, exercises in self.chapters for e in exercises)


def weekly(chapters: Sequence[Chapter], weeks: int) -> list[Session]:
    """All chapters with all exercises, in order, over weeks that are as alike as can be.

    Raises:
        RunError: if there are fewer chapters than weeks.
    """
    if not 0 < weeks <= len(chapters):
        raise RunError(f"{weeks} weeks; accepted: 1 to {len(chapters)}, the number of chapters")
    minutes = [c.minutes + c.work for c in chapters]

    @cache
    def best(first: int, left: int) -> tuple[int, tuple[int, ...]]:
        """Least sum of squares from a chapter on, and where each week ends."""
        if left == 1:
            return sum(minutes[first:]) ** 2, (len(minutes),)
        splits = []
        for end in range(first + 1, len(minutes) - left + 2):
            cost, ends = best(end, left - 1)
            splits.append((sum(minutes[first:end]) ** 2 + cost, (end, *ends)))
        return min(splits)

    found, first = [], 0
    for number, end in enumerate(best(0, weeks)[1], 1):
        found.append(
            Session(f"Week {number}", tuple((c, c.exercises) for c in chapters[first:end]))
        )
        first = end
    return found


def chosen(lines: Sequence[str], chapters: Sequence[Chapter]) -> list[Session]:
    """Sessions from lines such as ``Day 1: theory/dose 04; break/lab``.

    Raises:
        RunError: for a chapter that is not there, or an exercise that is not one of its own.
    """
    by_file = {c.file: c for c in chapters}
    sessions = []
    for line in filter(None, map(str.strip, lines)):
        title, colon, rest = line.partition(":")
        if not colon:
            raise RunError(f"{line}: expected a title, a colon, and chapters with exercises")
        taught = []
        for words in (part.split() for part in rest.split(";")):
            file, *numbers = words or [""]
            if file not in by_file:
                raise RunError(f"{line}: no chapter {file}")
            own = {f"{e.number:02}": e for e in by_file[file].exercises}
            if strange := [n for n in numbers if n not in own]:
                there = ", ".join(own) or "none"
                raise RunError(f"{line}: {file} has no exercise {strange[0]}; it has {there}")
            taught.append((by_file[file], tuple(own[n] for n in numbers)))
        sessions.append(Session(title, tuple(taught)))
    return sessions


def plan(sessions: Sequence[Session]) -> str:
    """MyST: a table of sessions with their minutes, and the sum."""
    rows = [
        "| | chapters | exercises | reading | exercise time | together |",
        "|---|---|---|---|---|---|",
    ]
    for s in sessions:
        chapters = ", ".join(f"{{doc}}`{c.title} </{c.file}>`" for c, _ in s.chapters)
        numbers = ", ".join(f"{e.number}" for _, exercises in s.chapters for e in exercises)
        both = hours(s.reading + s.work)
        minutes = f"{s.reading} min | {s.work} min | {both}"
        rows.append(f"| {s.title} | {chapters} | {numbers or '–'} | {minutes} |")
    reading, work = sum(s.reading for s in sessions), sum(s.work for s in sessions)
    rows.append(f"| in all | | | {hours(reading)} | {hours(work)} | {hours(reading + work)} |")
    return "\n".join(rows)


class WeeklyPlan(FromTheCourse):
    """The whole course over some weeks."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        chapters = [c for part in self.course().values() for c in part]
        if not self.arguments[0].isdecimal():
            raise self.error(f"{self.arguments[0]}: expected a number of weeks")
        try:
            return parsed(self, plan(weekly(chapters, int(self.arguments[0]))))
        except RunError as e:
            raise self.error(str(e)) from e


class CoursePlan(FromTheCourse):
    """A selection, with its minutes counted."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        chapters = [c for part in self.course().values() for c in part]
        try:
            return parsed(self, plan(chosen(list(self.content), chapters)))
        except RunError as e:
            raise self.error(str(e)) from e


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("learning-map", LearningMap)
    app.add_directive("weekly-plan", WeeklyPlan)
    app.add_directive("course-plan", CoursePlan)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
