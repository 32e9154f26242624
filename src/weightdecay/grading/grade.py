"""``just grade PATH…``: grades notebooks or a folder of submissions, several at a time.

Each submission gets a process of its own that runs the checks, and that process a sandbox in which
the learner's code runs; see `learner` and `sandbox`. What is done is in the gradebook at once, and
a second call grades only what changed.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tqdm import tqdm

from weightdecay.grading import gradesheet
from weightdecay.grading.gradebook import Gradebook
from weightdecay.grading.load import Exercise, exercises_folder, load
from weightdecay.grading.sandbox import Limits, Place, furnish, missing
from weightdecay.grading.submissions import Submission, find
from weightdecay.runs import Json, RunError, now

GRADEBOOK = "gradebook.sqlite"
GRACE_SECONDS = 180.0  # beyond the limits, for a process that grades on a busy machine


@dataclass(frozen=True)
class Job:
    """One submission to grade, as it is sent to the process that grades it."""

    submission: Submission
    exercise: Exercise
    limits: Limits
    hidden: tuple[Path, ...]
    isolated: bool


def grade(
    paths: Sequence[Path],
    out: Path,
    *,
    isolated: bool = True,
    force: bool = False,
    limits: Limits | None = None,
) -> list[Json]:
    """Grade every submission below `paths` that changed, and write all results into `out`.

    Args:
        paths: Notebooks, or folders with a notebook or a folder for each learner.
        out: Where grades.csv, the reports, the results and the gradebook go.
        isolated: Shut the learners' code in; without, only the limits hold.
        force: Grade also what did not change.
        limits: What one submission may use.

    Returns:
        A record for each submission, by learner and exercise; `graded_now` says which are new.

    Raises:
        RunError: for a missing path, a wrong exercise, or if there can be no sandbox here.
        KeyboardInterrupt: when stopped; what was done by then is written.
    """
    limits = limits or Limits()
    submissions = find(paths)
    if not submissions:
        raise RunError(f"{', '.join(map(str, paths))}: no submission in there")
    exercises = {
        name: load(name) for name in sorted({s.exercise for s in submissions if s.exercise})
    }
    hidden = tuple(
        p.resolve()
        for p in (
            exercises_folder(),
            Path.home(),
            out,
            *(p if p.is_dir() else p.parent for p in paths),
        )
    )
    jobs = [
        Job(s, exercises[s.exercise], limits, hidden, isolated)
        for s in submissions
        if s.notebook is not None and s.exercise
    ]
    if isolated and jobs:
        _refuse_without_sandbox(jobs[0])
    out.mkdir(parents=True, exist_ok=True)
    hashes = {e.id: _checks_sha256(e, limits, isolated) for e in exercises.values()}
    records: list[Json] = []
    todo: list[Job] = []
    with Gradebook(out / GRADEBOOK) as book:
        for job in jobs:
            old = book.latest(job.submission.learner, job.exercise.id)
            # Without checks there is only the word that grading it failed, which was our failure.
            done = old and old["checks"] and not force
            if old and done and _unchanged(old, job.submission, hashes[job.exercise.id]):
                records.append(old | {"graded_now": False})
            else:
                todo.append(job)
        for s in submissions:
            if s.notebook is None:
                possible = exercises[s.exercise].points if s.exercise else 0
                record = _record(s, hashes.get(s.exercise or "", ""), isolated, possible)
                old = book.latest(s.learner, s.exercise or "")
                if old and _unchanged(old, s, record["checks_sha256"], s.problem):
                    records.append(old | {"graded_now": False})
                else:
                    book.add(record)
                    records.append(record | {"graded_now": True})
        try:
            for record in _graded(todo, hashes):
                book.add(record)
                records.append(record | {"graded_now": True})
        finally:
            records.sort(key=lambda r: (r["learner"], r["exercise"]))
            gradesheet.write(records, out)
    return records


def summary(record: Json) -> str:
    """One line on one submission, for a terminal: what a file is called may hold anything."""
    name = "".join(c if c.isprintable() else "?" for c in record["learner"])
    points = f"{record['points']} of {record['possible']}"
    line = f"{name}: {record['exercise'] or 'unknown exercise'}, {points}"
    return f"{line}; {record['problem']}" if record["problem"] else line


def _unchanged(old: Json, s: Submission, checks_sha256: str, problem: str | None = None) -> bool:
    same = (old["notebook_sha256"], old["checks_sha256"]) == (s.sha256, checks_sha256)
    return same and problem in (None, old["problem"])


def _refuse_without_sandbox(job: Job) -> None:
    with tempfile.TemporaryDirectory(prefix="wd-") as folder:
        place = Place(Path(folder).resolve(), job.exercise, job.hidden, isolated=True)
        furnish(place)
        why = missing(place)
    if why:
        raise RunError(why)


def _checks_sha256(exercise: Exercise, limits: Limits, isolated: bool) -> str:
    """Of everything beside the notebook that decides a grade."""
    digest = hashlib.sha256(repr((limits, isolated)).encode())
    ours = sorted(Path(__file__).parent.glob("*.py"))
    theirs = sorted(p for p in exercise.folder.rglob("*") if p.is_file())
    for path in [*ours, *theirs]:
        if path.suffix not in (".ipynb", ".pyc"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _record(s: Submission, checks_sha256: str, isolated: bool, possible: float) -> Json:
    """An attempt at which nothing was checked."""
    return {
        "learner": s.learner,
        "exercise": s.exercise or "",
        "title": "",
        "file": s.path.name.encode("utf-8", "backslashreplace").decode("utf-8"),
        "notebook_sha256": s.sha256,
        "checks_sha256": checks_sha256,
        "time": now(),
        "seconds": 0.0,
        "isolated": isolated,
        "problem": s.problem,
        "points": 0,
        "possible": possible,
        "seed": None,
        "checks": [],
        "symptoms": [],
        "cells": [],
    }


# One process each


def _graded(jobs: Sequence[Job], hashes: dict[str, str]) -> Iterator[Json]:
    """The record of each job, as they come."""
    if not jobs:
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["weightdecay.grading.worker"])
    running: set[ForkServerProcess] = set()
    stopped = threading.Event()

    def one(job: Job) -> Json:
        record = _record(job.submission, hashes[job.exercise.id], job.isolated, job.exercise.points)
        if stopped.is_set():
            raise InterruptedError
        ours, theirs = context.Pipe(duplex=False)
        folder = Path(tempfile.mkdtemp(prefix="wd-")).resolve()
        process = context.Process(target=_process, args=(theirs, job, folder))
        process.start()
        running.add(process)
        theirs.close()
        x = job.limits
        longest = 2 * x.notebook_seconds + x.checks_seconds + GRACE_SECONDS
        try:
            answer = ours.recv() if ours.poll(longest) else f"was not graded within {longest:g} s"
        except EOFError:
            answer = "the process that grades it ended"
        finally:
            process.kill()
            process.join()
            running.discard(process)
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(answer, RunError):
            raise answer
        return record | ({"problem": answer} if isinstance(answer, str) else answer)

    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, len(jobs)))
    try:
        done = as_completed([pool.submit(one, job) for job in jobs])
        for future in tqdm(done, total=len(jobs), unit="submission", disable=None):
            yield future.result()
    finally:
        stopped.set()
        for process in list(running):
            process.kill()
        pool.shutdown(cancel_futures=True)


def _process(pipe: Connection, job: Job, folder: Path) -> None:
    """What the process of one submission does."""
    from weightdecay.grading import worker  # torch and pytest; only here

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends us
    assert job.submission.notebook is not None
    worker.end_with_the_command(folder)
    place = Place(folder, job.exercise, job.hidden, job.isolated)
    try:
        pipe.send(worker.graded(place, job.submission.notebook, job.limits))
    except RunError as e:
        pipe.send(e)
