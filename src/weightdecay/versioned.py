"""What the tasks of `weightdecay.sweep` share: a config checked once, and results with a version.

A protocol is everything that a config does not say. Its version goes up whenever the same config
would give other numbers, so that results of two versions never mix.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from weightdecay import runs
from weightdecay.runs import Json, RunError

C = TypeVar("C", bound=BaseModel)
AGAIN = "delete the directory, it is trained again"


def parse(kind: type[C], values: Json, source: str) -> C:
    """The checked config.

    Raises:
        RunError: naming source, key, value and what is accepted, in one line.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            accepted = ", ".join(kind.model_fields)
            raise RunError(f"{source}: unknown key {key}; accepted: {accepted}") from None
        if first["type"] == "missing":
            raise RunError(f"{source}: {key} is missing") from None
        raise RunError(f"{source}: {key} = {first['input']!r}; {first['msg']}") from None


def finish(directory: Path, version: int, results: Json) -> None:
    """Write what a run gave, which makes it a finished one."""
    manifest = runs.read_json(directory / runs.MANIFEST)
    runs.write_json(directory / runs.MANIFEST, {**manifest, "ended": runs.now()})
    runs.write_json(directory / runs.RESULTS, {"protocol": version, **results})


def finished(directory: Path, version: int) -> Json:
    """The results of a finished run.

    Raises:
        RunError: if there are none, or those of another version.
    """
    try:
        found = runs.read_json(directory / runs.RESULTS)
    except RunError as e:
        raise RunError(f"{e}; {AGAIN}") from e
    if found.get("protocol") != version:
        raise RunError(
            f"{directory / runs.RESULTS}: protocol = {found.get('protocol')}, expected {version}: "
            f"results of two versions do not mix; {AGAIN}"
        )
    return found
