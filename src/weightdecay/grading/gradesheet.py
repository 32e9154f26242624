"""What ``just grade`` writes from the records: reports for learners, results, a table of grades.

``grades.csv``           one row a submission
``reports/NAME.html``    for the learner: one page that needs no other file
``results/NAME.json``    the same in Gradescope's format; of a single learner also ``results.json``
``index.json``           which files belong to whom

A hidden check is named nowhere but in the gradebook; here it has points and an outcome.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from weightdecay.runs import Json, write_json, write_text

HIDDEN = "hidden check"
UNGUARDED = (
    "Graded without a sandbox: this code could reach the network, the files of this machine and "
    "the checks, so its points prove little."
)
COLUMNS = (
    "learner", "exercise", "points", "possible", "passed", "failed", "raised", "not attempted",
    "problem", "sandbox", "time", "report",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write(records: Sequence[Json], out: Path) -> None:
    """Write everything for these records, which are sorted by learner."""
    for folder in ("reports", "results"):
        (out / folder).mkdir(exist_ok=True)
    template = Environment(
        loader=PackageLoader("weightdecay.grading", "."), autoescape=True, undefined=StrictUndefined
    ).get_template("gradesheet.html")
    index, taken = [], set[str]()
    by_learner = {k: list(g) for k, g in groupby(records, key=lambda r: str(r["learner"]))}
    for learner, theirs in by_learner.items():
        name = file_name(learner, taken)
        taken.add(name.casefold())
        page, result = f"reports/{name}.html", f"results/{name}.json"
        shown = [as_shown(r) for r in theirs]
        write_text(out / page, template.render(learner=learner, records=shown, warning=UNGUARDED))
        write_json(out / result, gradescope(shown))
        if len(by_learner) == 1:
            write_json(out / "results.json", gradescope(shown))
        index.append(
            {
                "learner": learner,
                "exercises": [r["exercise"] for r in theirs],
                "points": sum(r["points"] for r in theirs),
                "possible": sum(r["possible"] for r in theirs),
                "report": page,
                "results": result,
            }
        )
    write_json(out / "index.json", {"learners": index})
    write_text(out / "grades.csv", grades(records, {e["learner"]: e["report"] for e in index}))


def file_name(learner: str, taken: set[str]) -> str:
    """A file name for a learner: their name where that is one and free, else with a hash of it."""
    plain = re.sub(r"[^\w.-]+", "_", learner).strip(".")[:60]
    if plain == learner and plain.casefold() not in taken:
        return plain
    return f"{plain or 'learner'}-{hashlib.sha256(learner.encode()).hexdigest()[:8]}"


def as_shown(record: Json) -> Json:
    """The record as its learner may see it: a hidden check has no name and no message."""
    covered = {"name": HIDDEN, "claim": HIDDEN, "message": ""}
    checks = [c | covered if c["hidden"] else c for c in record["checks"]]
    return record | {"checks": checks}


def gradescope(records: Sequence[Json]) -> Json:
    """Gradescope's results of one learner; of several exercises the tests follow each other."""
    several = len(records) > 1
    tests: list[dict[str, Any]] = []
    output: list[str] = []
    for r in records:
        before = f"{r['exercise']}: " if several else ""
        output += [f"{before}{r['problem']}"] * bool(r["problem"])
        output += [f"{before}{s['says']}" for s in r["symptoms"]]
        output += [UNGUARDED] * (not r["isolated"] and UNGUARDED not in output)
        for check in r["checks"]:
            passed = check["outcome"] == "passed"
            tests.append(
                {
                    "name": before + check["claim"],
                    "score": check["points"] if passed else 0,
                    "max_score": check["points"],
                    "status": "passed" if passed else "failed",
                    "output": "" if passed else f"{check['outcome']}\n{check['message']}".strip(),
                    "output_format": "text",
                    "visibility": "visible",
                }
            )
    return {
        "score": sum(r["points"] for r in records),
        "execution_time": sum(r["seconds"] for r in records),
        "output": "\n".join(output),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {
            "learner": records[0]["learner"],
            "possible": sum(r["possible"] for r in records),
            "exercises": [r["exercise"] for r in records],
        },
    }


def grades(records: Sequence[Json], reports: dict[str, str]) -> str:
    """The table of grades; a text that a spreadsheet would take for a formula gets a quote."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for r in records:
        outcomes = [c["outcome"] for c in r["checks"]]
        row = {
            **{k: r[k] for k in ("learner", "exercise", "points", "possible", "problem", "time")},
            **{k: outcomes.count(k) for k in ("passed", "failed", "raised", "not attempted")},
            "sandbox": "yes" if r["isolated"] else "no",
            "report": reports[r["learner"]],
        }
        table.writerow([_cell(row[column]) for column in COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value
