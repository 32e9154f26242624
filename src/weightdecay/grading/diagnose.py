"""Which misunderstanding is it? A learner's function is compared with known wrong ones.

``mistakes.py`` of an exercise holds wrong answers that learners give and, for each function, a
probe that calls it on inputs drawn from a generator. Two functions whose probes agree are taken for
the same one.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from weightdecay.grading.expect import close
from weightdecay.grading.load import MISTAKES, Exercise
from weightdecay.grading.outcome import Symptom
from weightdecay.runs import RunError

Function: TypeAlias = Callable[..., Any]
Probe: TypeAlias = Callable[[Function, np.random.Generator], Any]
RTOL = 1e-6  # of the largest number in a probe's result


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: the symptom that names it, the function it stands for, and itself."""

    symptom: str
    export: str
    function: Function


def import_file(path: Path) -> ModuleType:
    """Import a file under a name of its own, which is forgotten again.

    Raises:
        RunError: if it is missing or raises; the line names the error.
    """
    name = f"_weightdecay_exercise_{path.parent.name}_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while the file runs
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        raise RunError(f"{path}: {type(e).__name__}: {e}") from e
    finally:
        del sys.modules[name]
    return module


def mistakes(exercise: Exercise) -> tuple[dict[str, Probe], list[Mistake]]:
    """Probe by export, and the mistakes.

    Raises:
        RunError: if mistakes.py does not fit the header and hints.yml.
    """
    path = exercise.folder / MISTAKES
    module = import_file(path)
    probes: dict[str, Probe] = dict(getattr(module, "PROBES", {}))
    listed: list[Mistake] = list(getattr(module, "MISTAKES", []))
    if set(probes) != set(exercise.exports):
        raise RunError(f"{path}: PROBES has {sorted(probes)}, exports are {[*exercise.exports]}")
    for mistake in listed:
        if mistake.export not in probes:
            raise RunError(f"{path}: mistake {mistake.symptom}: no export {mistake.export}")
        if mistake.symptom not in exercise.hints:
            raise RunError(f"{path}: mistake {mistake.symptom}: no such key in hints.yml")
    return probes, listed


@contextlib.contextmanager
def repeatable(seed: int) -> Iterator[np.random.Generator]:
    """A generator of its own, and torch's seeded; torch's state is put back at the end."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield np.random.default_rng(seed)


def probed(probe: Probe, function: Function, seed: int) -> Any:
    """What the probe says of the function; its prints are swallowed.

    Raises:
        Exception: whatever the function raises.
    """
    with contextlib.redirect_stdout(io.StringIO()), repeatable(seed) as rng:
        return probe(function, rng)


def diagnose(
    exercise: Exercise, names: Mapping[str, Any], exports: Iterable[str], seed: int
) -> list[Symptom]:
    """The symptoms that the learner's functions of these names show, each once."""
    probes, listed = mistakes(exercise)
    found: dict[str, Symptom] = {}
    for export in exports:
        candidates = [m for m in listed if m.export == export]
        if not candidates or not callable(names.get(export)):
            continue
        try:
            observed = probed(probes[export], names[export], seed)
        except (Exception, SystemExit):  # whatever it is, it equals no mistake
            continue
        for mistake in candidates:
            if close(observed, probed(probes[export], mistake.function, seed), rtol=RTOL):
                says = exercise.hints[mistake.symptom].says
                found.setdefault(mistake.symptom, Symptom(mistake.symptom, export, says))
    return list(found.values())
