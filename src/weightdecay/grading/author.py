"""Makes the files of a new exercise: ``just new-exercise SLUG``."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from weightdecay.grading.load import exercise_ids, exercises_folder
from weightdecay.runs import RunError

SKELETON = Path(__file__).parent / "skeleton"
SLUG = r"[a-z0-9]+(-[a-z0-9]+)*"


def create(slug: str) -> Path:
    """Write ``NN-slug`` with the next free number; the folder appears whole or not at all.

    It keeps every rule for an exercise, but its own solution fails its checks, so that one left
    unfinished is found by the tests.

    Raises:
        RunError: if the slug cannot be used.
    """
    if not re.fullmatch(SLUG, slug):
        raise RunError(f"slug = {slug!r}; accepted: small letters and digits, joined by hyphens")
    ids = exercise_ids()
    taken = [i for i in ids if i[3:] == slug]
    if taken:
        raise RunError(f"{exercises_folder() / taken[0]}: there is an exercise of this name")
    number = max((int(i[:2]) for i in ids), default=0) + 1
    folder = exercises_folder() / f"{number:02d}-{slug}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for file in SKELETON.glob("*.*"):
            text = file.read_text(encoding="utf-8")
            title = slug.replace("-", " ").capitalize()
            (fresh / file.name).write_text(text.replace("TITLE", title), encoding="utf-8")
        fresh.chmod(0o755)
        fresh.replace(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return folder
