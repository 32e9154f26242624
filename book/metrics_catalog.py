"""What every column of the committed results means: `metrics.yml` as tables on a page.

A small Sphinx extension. Which tables have a column, and which chapters name it, is looked up.

    ```{metrics-catalog}
    ```
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from course_map import Chapter, FromTheCourse
from docutils import nodes
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weightdecay import plan, results, runs
from weightdecay.grading import toc
from weightdecay.runs import RunError

EXPERIMENTS = plan.ROOT / "experiments"
FILES = (results.TABLE, "reference/*.csv", f"reference/*/{runs.METRICS}")
DESCRIPTIONS = toc.BOOK / "metrics.yml"
Tables: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
"""Experiment to file, below it, to columns."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """What one column means, or several that share a description."""

    means: str
    unit: str = ""
    computed: str = Field(alias="from")
    """Dotted name below ``weightdecay``."""


class Group(_Strict):
    """Experiments whose tables share their columns."""

    package: str
    experiments: list[str]
    columns: dict[str, Column]


def catalog(path: Path = DESCRIPTIONS) -> dict[str, Group]:
    """The groups by their titles.

    Raises:
        RunError: for a wrong key or value, in one line.
    """
    try:
        return {k: Group.model_validate(v) for k, v in runs.read_yaml(path).items()}
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise RunError(f"{path}: {key} = {first['input']!r}; {first['msg']}") from e


@cache
def tables(parent: Path = EXPERIMENTS) -> Tables:
    """Every committed table; ``metrics.jsonl`` of several runs of an experiment counts as one."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for folder in sorted(parent.iterdir()):
        for path in sorted(p for pattern in FILES for p in folder.glob(pattern)):
            files = found.setdefault(folder.name, {})
            before = files.get(path.name, ())
            files[path.name] = tuple(dict.fromkeys([*before, *_columns(path)]))
    return found


def _columns(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as f:
        if path.suffix == ".csv":
            yield from next(csv.reader(f))
        else:
            yield from dict.fromkeys(key for line in f for key in json.loads(line))


def fits(key: str, column: str) -> bool:
    """Does a key of `Group.columns` describe this column?"""
    return any(fnmatchcase(column, pattern) for pattern in key.split(", "))


def problems(groups: Mapping[str, Group], found: Tables) -> list[str]:
    """A line for each column that is not described exactly once, and for each description of
    nothing."""
    said = []
    for experiment in found:
        titles = [title for title, g in groups.items() if experiment in g.experiments]
        if len(titles) != 1:
            said.append(f"{experiment}: in {len(titles)} groups of metrics.yml, expected 1")
    for title, group in groups.items():
        said += [f"{title}: no table in {e}" for e in group.experiments if e not in found]
        columns = {
            c: e for e in group.experiments for file in found.get(e, {}).values() for c in file
        }
        for column, experiment in columns.items():
            keys = [key for key in group.columns if fits(key, column)]
            if len(keys) != 1:
                said.append(f"{experiment}: {column} has {len(keys)} descriptions, expected 1")
        for key in group.columns:
            said += [
                f"{title}: no table has a column {pattern}"
                for pattern in key.split(", ")
                if not any(fits(pattern, column) for column in columns)
            ]
    return said


def used_in(group: Group, columns: Iterable[str], chapters: Iterable[Chapter]) -> list[Chapter]:
    """The chapters on the group's results that name one of the columns."""
    wanted = re.compile("|".join(_named(c) for c in columns))
    return [c for c in chapters if _about(group, c.text) and wanted.search(c.text)]


def _about(group: Group, text: str) -> bool:
    return f"weightdecay.{group.package}" in text or any(e in text for e in group.experiments)


def _named(column: str) -> str:
    """A pattern for the column in quotes, or for an f-string that makes it: ``f"norm/{when}"``."""
    starts = [re.escape(column[: m.end()]) for m in re.finditer("[/ ]", column)]
    return "|".join([f"[\"'`]{re.escape(column)}[\"'`]", *(f"f[\"']{s}{{" for s in starts)])


def page(groups: Mapping[str, Group], found: Tables, chapters: Sequence[Chapter]) -> dict[str, str]:
    """Title to MyST, for each group."""
    return {title: _group(group, found, chapters) for title, group in groups.items()}


def _group(group: Group, found: Tables, chapters: Sequence[Chapter]) -> str:
    files = {(e, f): cs for e in group.experiments for f, cs in found.get(e, {}).items()}
    entries = []
    for key, column in group.columns.items():
        having = {place: [c for c in cs if fits(key, c)] for place, cs in files.items()}
        places = [place for place, cs in having.items() if cs]
        lacking = [place for place in files if place not in places]
        where = "all of them" if not lacking else ", ".join(_place(*p) for p in places)
        if lacking and len(lacking) < len(places):
            where = "all but " + ", ".join(_place(*p) for p in lacking)
        users = used_in(group, {c for cs in having.values() for c in cs}, chapters)
        links = ", ".join(f"{{doc}}`{c.title} </{c.file}>`" for c in users)
        # In a pattern "?" stands for the comma of a name.
        names = ", ".join(f"`{p.replace('? ', ', ')}`" for p in key.split(", "))
        facts = [f"from `{column.computed}`", f"in {where}"]
        facts = [f"unit: {column.unit}", *facts] if column.unit else facts
        facts += [f"named in {links}"] if links else []
        # A list of terms and not a table: five columns do not fit a telephone.
        entries.append(f"{names}\n: {column.means}\n\n  {'; '.join(facts)}")
    told = ", ".join(f"`experiments/{e}`" for e in group.experiments)
    return "\n\n".join([f"The tables of {told}.", *entries])


def _place(experiment: str, file: str) -> str:
    return experiment if file == results.TABLE else f"{experiment} ({file})"


class MetricsCatalog(FromTheCourse):
    """A section a group."""

    def run(self) -> list[nodes.Node]:
        chapters = [c for part in self.course().values() for c in part]
        self.env.note_dependency(str(DESCRIPTIONS))
        try:
            made = page(catalog(), tables(), chapters)
        except RunError as e:
            raise self.error(str(e)) from e
        return [
            self.section(f"metrics-{number}", title, text)
            for number, (title, text) in enumerate(made.items(), 1)
        ]


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("metrics-catalog", MetricsCatalog)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
