"""What a learner has done so far: one small JSON file, outside the course, so that an update of the
course leaves it alone.

It lies in the folder that XDG names for a user's data; ``WEIGHTDECAY_PROGRESS`` names another file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weightdecay.runs import Json, RunError, now, read_json, write_json

EXERCISES = "exercises"


@dataclass
class State:
    """One exercise of one learner."""

    attempts: int = 0  # checks run
    best: int = 0  # points of public checks; stands still after giving up
    passed: bool = False
    surrendered: bool = False  # saw the solution before passing
    outcome: str = ""  # of the last check
    symptom: str = ""  # that the last check showed, "" for none
    hints: dict[str, int] = field(default_factory=dict)  # how many were shown, by symptom
    first: str = ""  # times, UTC
    last: str = ""
    passed_at: str = ""


def progress_file() -> Path:
    """Where the progress is kept."""
    named = os.environ.get("WEIGHTDECAY_PROGRESS")
    if named:
        return Path(named)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "weightdecay" / "progress.json"


def states() -> dict[str, State]:
    """Every exercise that the learner has begun."""
    return {name: _state(entry) for name, entry in _entries(_read()).items()}


def state(name: str) -> State:
    """The state of one exercise, an untouched one if it was not begun."""
    return states().get(name, State())


@contextlib.contextmanager
def changed(name: str) -> Iterator[State]:
    """Yield the state of an exercise, and keep what the block makes of it.

    Locked, so that two notebooks lose nothing of each other. Where nothing can be written, one line
    on standard error says so, and the lesson goes on.
    """
    with _locked() as writable:
        content = _read()
        entries = _entries(content)
        entry = entries.get(name)
        current = _state(entry)
        yield current
        current.last = now()
        current.first = current.first or current.last
        kept = entry if isinstance(entry, dict) else {}
        # What another version of the course wrote beside it stays.
        content[EXERCISES] = {**entries, name: {**kept, **dataclasses.asdict(current)}}
        if writable:
            _write(content)


def reset(name: str) -> bool:
    """Forget one exercise; False if there was nothing to forget."""
    with _locked() as writable:
        content = _read()
        entries = _entries(content)
        if name not in entries or not writable:
            return False
        del entries[name]
        content[EXERCISES] = entries
        _write(content)
    return True


def _state(entry: Any) -> State:
    """The state in an entry; what has the wrong type counts as not there."""
    state = State()
    for f in dataclasses.fields(State):
        value = entry.get(f.name) if isinstance(entry, dict) else None
        if type(value) is type(getattr(state, f.name)):
            setattr(state, f.name, value)
    state.hints = {k: v for k, v in state.hints.items() if type(v) is int}
    return state


def _entries(content: Json) -> Json:
    entries = content.get(EXERCISES)
    return dict(entries) if isinstance(entries, dict) else {}


def _read() -> Json:
    path = progress_file()
    if not path.exists():
        return {}
    try:
        return read_json(path)
    except RunError as e:
        aside = path.with_name(f"{path.stem}.broken-{now().replace(':', '')}{path.suffix}")
        with contextlib.suppress(OSError):
            path.replace(aside)
        _say(f"{e}; set aside as {aside.name}, progress starts anew")
        return {}


def _write(content: Json) -> None:
    try:
        write_json(progress_file(), content)
    except OSError as e:
        _say(f"{progress_file()}: {e.strerror}; progress is not kept")


@contextlib.contextmanager
def _locked() -> Iterator[bool]:
    """Wait for the lock and hold it; False, and a line, where nothing can be written."""
    path = progress_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    except OSError as e:
        _say(f"{path}: {e.strerror}; progress is not kept")
        yield False
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield True


def _say(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)
