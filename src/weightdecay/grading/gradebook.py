"""The gradebook: a SQLite file that keeps every attempt, and what each check said of it.

    sqlite3 gradebook.sqlite "select learner, exercise, points, time from attempts order by time"

An attempt is written whole or not at all, so that a grader that is killed leaves a usable file.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from weightdecay.runs import Json, RunError

TABLES = """
create table if not exists attempts (
    id integer primary key,
    learner text not null,
    exercise text not null,
    notebook_sha256 text not null,
    checks_sha256 text not null,
    time text not null,
    points real not null,
    possible real not null,
    record text not null
);
create table if not exists outcomes (
    attempt integer not null references attempts (id),
    name text not null,
    hidden integer not null,
    points real not null,
    outcome text not null,
    message text not null
);
create index if not exists latest on attempts (learner, exercise, id);
"""


class Gradebook:
    """One gradebook file; a context manager.

    Raises:
        RunError: if the file is not a gradebook.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, timeout=30)
        try:
            self._db.executescript(TABLES)
            self._db.execute("select record from attempts limit 1")
        except sqlite3.DatabaseError as e:
            self._db.close()
            raise RunError(
                f"{path}: not a gradebook ({e}); move it away or give another --out"
            ) from e

    def __enter__(self) -> Gradebook:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, record: Json) -> None:
        """Keep one attempt."""
        keys = ("learner", "exercise", "notebook_sha256", "checks_sha256", "time")
        with self._db:
            row = self._db.execute(
                "insert into attempts (learner, exercise, notebook_sha256, checks_sha256, time,"
                " points, possible, record) values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(record[k] for k in keys),
                    record["points"],
                    record["possible"],
                    json.dumps(record),
                ],
            )
            self._db.executemany(
                "insert into outcomes values (?, ?, ?, ?, ?, ?)",
                [
                    (row.lastrowid, c["name"], c["hidden"], c["points"], c["outcome"], c["message"])
                    for c in record["checks"]
                ],
            )

    def latest(self, learner: str, exercise: str) -> Json | None:
        """The last attempt of this learner at this exercise."""
        row = self._db.execute(
            "select record from attempts where learner = ? and exercise = ?"
            " order by id desc limit 1",
            (learner, exercise),
        ).fetchone()
        record: Json | None = json.loads(row[0]) if row else None
        return record
