"""Grades one submission in a process of its own; the learner's code runs in another one still."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

from weightdecay.grading.check import run_checks
from weightdecay.grading.learner import Learner, LostError, clean
from weightdecay.grading.sandbox import Limits, Place, furnish
from weightdecay.runs import Json


def end_with_the_command(folder: Path) -> None:
    """Remove the folder and end this process when the command that started it is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def graded(place: Place, notebook: str, limits: Limits) -> Json:
    """Run the notebook, then all checks on its functions: what `grade` adds to a record.

    Raises:
        RunError: if the exercise's own files are wrong.
    """
    start = time.monotonic()
    furnish(place)
    (place.seen / "notebook.ipynb").write_text(notebook, encoding="utf-8")
    # What a check writes for a learner's function to read is seen inside, at the same path.
    tempfile.tempdir = os.environ["TMPDIR"] = str(place.seen / "tmp")
    problem = ""
    with Learner(place, limits, place.exercise.exports) as learner:
        try:
            functions = learner.functions()
        except LostError as e:
            functions, problem = {}, str(e)
        report = run_checks(place.exercise, functions, include_hidden=True)
    return {
        "title": place.exercise.title,
        "seconds": round(time.monotonic() - start, 1),
        "problem": problem,
        "points": report.points,
        "possible": report.possible,
        "seed": report.seed,
        "checks": [asdict(r) | {"message": clean(r.message)} for r in report.results],
        "symptoms": [asdict(s) for s in report.symptoms],
        "cells": learner.cells,
    }
