"""Tables of the guides that come from files: what remakes a result, and what learners get wrong.

A small Sphinx extension; each directive is a function that returns MyST text.

    ```{experiments}
    ```
    ```{chapter-sources}
    ```
    ```{typical-mistakes}
    ```
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from course_map import Chapter, FromTheCourse, counted
from docutils import nodes
from exercise_cards import parsed
from sphinx.util.docutils import SphinxDirective

from weightdecay import plan, runs
from weightdecay.grading.load import HINTS, START, Exercise, all_exercises
from weightdecay.runs import Json, RunError

EXPERIMENTS = plan.ROOT / "experiments"
IMPORT = re.compile(r"^from weightdecay(?P<module>[\w.]*) import (?P<names>[\w, ]+)$", re.M)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def links(chapters: Iterable[Chapter]) -> str:
    return ", ".join(f"{{doc}}`{c.title} </{c.file}>`" for c in chapters) or "–"


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``; from an hour on without seconds."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


# ------------------------------------------------------------------------ what remakes a result


@dataclass(frozen=True)
class Experiment:
    """One whose results are committed."""

    name: str
    about: str
    manifest: Json
    quick: plan.Quick | None

    @property
    def command(self) -> str:
        return str(self.manifest["command"])

    @property
    def took(self) -> str:
        """As far as the manifest tells: of the command that wrote the table."""
        m = self.manifest
        if last := m.get("trained_by_last_command"):
            if last["runs"]:
                return f"{last['runs']} of {m['runs']} runs in {duration(last['seconds'])}"
        elif m.get("started") and m.get("ended"):
            start, end = (datetime.fromisoformat(m[key]) for key in ("started", "ended"))
            return duration((end - start).total_seconds())
        return "not recorded"

    @property
    def machine(self) -> str:
        m = self.manifest
        host, versions = m["host"], m["versions"]
        threads = m["threads"] if isinstance(m["threads"], list) else [m["threads"]]
        many = " or ".join(map(str, threads))
        return (
            f"{host['system']}, {host['machine']}, {counted(host['cpus'], 'core')}, "
            f"{many} {'thread' if threads == [1] else 'threads'} a run, "
            f"Python {versions['python']}, torch {versions['torch']}"
        )


def experiments(parent: Path = EXPERIMENTS) -> list[Experiment]:
    """Every experiment with a manifest of committed results, by name."""
    found = []
    for folder in sorted(parent.iterdir()):
        paths = [folder / "reference" / runs.MANIFEST, folder / runs.MANIFEST]
        # A reader's own run has a manifest and no table.
        if not (any(folder.glob("*.csv")) or paths[0].exists()):
            continue
        manifest = next((p for p in paths if p.exists()), None)
        if manifest is None:
            raise RunError(f"{folder}: a table without {runs.MANIFEST}")
        sweep = folder / plan.SWEEP
        text = sweep.read_text("utf-8") if sweep.exists() else ""
        quick = plan.read_plan(folder).quick if text else None
        found.append(Experiment(folder.name, _first(text), runs.read_json(manifest), quick))
    return found


def _first(text: str) -> str:
    """The first sentence of the comment at the head of a file."""
    lines = [line.removeprefix("#").strip() for line in text.splitlines()]
    words = " ".join(lines[: next((i for i, x in enumerate(text.splitlines()) if x[:1] != "#"), 0)])
    return re.split(r"(?<=[.?])\s", words)[0]


def readers(experiment: str, chapters: Sequence[Chapter]) -> list[Chapter]:
    """Chapters that name the experiment, or import a module that does."""
    return [c for c in chapters if experiment in c.text or f'"{experiment}"' in _modules(c.text)]


def _modules(text: str) -> str:
    """The source of the modules that a chapter imports by name."""
    found = []
    for m in IMPORT.finditer(text):
        below = plan.ROOT / "src" / "weightdecay" / m["module"].lstrip(".").replace(".", "/")
        files = [
            below.with_suffix(".py"),
            *(below / f"{n.strip()}.py" for n in m["names"].split(",")),
        ]
        found += [f.read_text("utf-8") for f in dict.fromkeys(files) if f.is_file()]
    return "\n".join(found)


def experiments_list(found: Sequence[Experiment], chapters: Sequence[Chapter]) -> str:
    """What remakes each, how long its last command took, its quick part; then on which machines."""
    machines: dict[str, list[str]] = {}
    for e in found:
        machines.setdefault(e.machine, []).append(f"`{e.name}`")
    where = [
        f"- {machine}: {', '.join(names) if len(machines) > 1 else 'all of them'}"
        for machine, names in machines.items()
    ]
    return "\n\n".join([*(_entry(e, chapters) for e in found), "Made on", "\n".join(where)])


def _entry(e: Experiment, chapters: Sequence[Chapter]) -> str:
    day = str(e.manifest.get("written") or e.manifest["ended"])[:10]
    first = ": " if not e.about else "  "
    lines = [f"`{e.name}`", *([f": {e.about}", ""] if e.about else [])]
    lines.append(f"{first}`{e.command}`; last command: {e.took}; written {day}")
    if e.quick:
        lines += ["", f"  Quick part: {quick(e.quick)}"]
    return "\n".join([*lines, "", f"  Read by: {links(readers(e.name, chapters))}"])


def quick(part: plan.Quick) -> str:
    """The small part of a sweep in words."""
    n = math.prod(map(len, part.grid.values())) * len(part.seeds)
    return f"{counted(n, 'run')}, of which it compares " + ", ".join(f"`{c}`" for c in part.columns)


def sources(found: Sequence[Experiment], chapters: Sequence[Chapter]) -> str:
    """Each chapter that reads results, with the commands that remake them."""
    entries = []
    for c in chapters:
        commands = dict.fromkeys(e.command for e in found if c in readers(e.name, chapters))
        if commands:
            told = "\n".join(f"  - `{command}`" for command in commands)
            entries.append(f"{links([c])}\n: {told.strip()}")
    return "\n\n".join(entries)


class Experiments(FromTheCourse):
    """All of them."""

    def run(self) -> list[nodes.Node]:
        chapters = [c for part in self.course().values() for c in part]
        for path in EXPERIMENTS.glob(f"**/{runs.MANIFEST}"):
            self.env.note_dependency(str(path))
        try:
            return parsed(self, experiments_list(experiments(), chapters))
        except RunError as e:
            raise self.error(str(e)) from e


class ChapterSources(FromTheCourse):
    """Chapter by chapter."""

    def run(self) -> list[nodes.Node]:
        chapters = [c for part in self.course().values() for c in part]
        try:
            return parsed(self, sources(experiments(), chapters))
        except RunError as e:
            raise self.error(str(e)) from e


# ------------------------------------------------------------------------ what learners get wrong


def typical_mistakes(exercises: Sequence[Exercise]) -> str:
    """A dropdown an exercise: what `check()` says to each mistake, and the mildest hint."""
    return "\n\n".join(_mistakes(e) for e in exercises)


def _mistakes(e: Exercise) -> str:
    known = [entry for name, entry in e.hints.items() if name != START]
    items = []
    for entry in known:
        says, hint = " ".join(entry.says.split()), textwrap.indent(entry.hints[0].strip(), "  ")
        items.append(f"**{says}**\n: {hint.strip()}")
    title = f"{e.number}. {e.title} ({counted(len(known), 'known mistake')})"
    return f"::::{{dropdown}} {title}\n{{doc}}`/{e.chapter}`\n\n" + "\n\n".join(items) + "\n::::"


class TypicalMistakes(SphinxDirective):
    """Of all exercises."""

    def run(self) -> list[nodes.Node]:
        try:
            found = all_exercises()
        except RunError as e:
            raise self.error(str(e)) from e
        for exercise in found:
            self.env.note_dependency(str(exercise.folder / HINTS))
        return parsed(self, typical_mistakes(found))


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("experiments", Experiments)
    app.add_directive("chapter-sources", ChapterSources)
    app.add_directive("typical-mistakes", TypicalMistakes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
