"""Runs the checks of one exercise on a learner's functions: pytest, in this process.

``run_checks`` gives pytest the learner's functions as fixtures and collects what came out. It
leaves no trace: no file, no option and no module of the caller's is read or changed.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import secrets
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from weightdecay.grading.blame import blamed
from weightdecay.grading.diagnose import Function, diagnose, repeatable
from weightdecay.grading.expect import Mismatch
from weightdecay.grading.load import CHECKS, Exercise
from weightdecay.grading.outcome import CheckResult, Outcome, Report
from weightdecay.grading.show import show
from weightdecay.runs import RunError

SEED = "WEIGHTDECAY_CHECK_SEED"
MARKERS = (
    "points(n): what the check is worth",
    "hidden: run by the grader only",
)
OPTIONS = [
    "--import-mode=importlib",
    "--noconftest",
    "--strict-markers",
    "--disable-plugin-autoload",
    "--capture=sys",  # of file descriptors there is none to spare inside a kernel
    *(f"--config-file={os.devnull}", "--quiet"),
    *(f"-pno:{name}" for name in ("cacheprovider", "faulthandler", "unraisableexception")),
]


def run_checks(
    exercise: Exercise,
    names: Mapping[str, Any],
    *,
    include_hidden: bool,
    seed: int | None = None,
) -> Report:
    """Check the learner's functions, and name the mistakes that a failed one shows.

    Args:
        exercise: What to check.
        names: The learner's names; what is missing counts as not attempted.
        include_hidden: Whether to run the hidden checks, too.
        seed: Of all random inputs; without it ``WEIGHTDECAY_CHECK_SEED``, or a fresh one.

    Raises:
        RunError: if checks.py or mistakes.py is wrong.
        KeyboardInterrupt: if the learner stopped a check.
    """
    seed = _seed() if seed is None else seed
    functions = {n: _called_with_copies(n, names[n]) for n in exercise.exports if n in names}
    plugin = _Plugin(exercise, functions, include_hidden, seed)
    path = exercise.folder / CHECKS
    arguments = [str(path), f"--rootdir={exercise.folder.parent}", *OPTIONS]
    with _no_traces(exercise.id), contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(arguments, plugins=[plugin, _fixtures(exercise, functions, seed)])
    if code == pytest.ExitCode.INTERRUPTED and not plugin.problems:
        raise KeyboardInterrupt
    if plugin.problems:
        raise RunError(f"{path}: {plugin.problems[0]}")
    if not plugin.results:
        raise RunError(f"{path}: no check ran: {_last_line(said.getvalue())}")
    wrong = [e for e in exercise.exports if e in plugin.wrong]
    symptoms = diagnose(exercise, functions, wrong, seed)
    return Report(plugin.results, symptoms, seed)


def _seed() -> int:
    fixed = os.environ.get(SEED)
    if fixed is None:
        return secrets.randbelow(2**31)
    if not fixed.isdecimal():
        raise RunError(f"{SEED} = {fixed!r}; accepted: a whole number")
    return int(fixed)


def _called_with_copies(name: str, value: Any) -> Any:
    """The function, given copies: what it does to its arguments stays with it.

    The grader calls it in another process, where the same holds.
    """
    if not callable(value):
        return value
    function: Function = value

    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))
        return function(*args, **kwargs)

    call.__name__ = name
    return call


def _fixtures(exercise: Exercise, functions: Mapping[str, Any], seed: int) -> ModuleType:
    """A pytest plugin with a fixture for each export, and `rng`."""

    def export(name: str) -> Any:
        def fixture() -> Any:
            if name not in functions:
                raise NotImplementedError(f"{name} is not defined")
            if not callable(functions[name]):
                raise Mismatch(f"observed: {name} = {show(functions[name])}\nexpected: a function")
            return functions[name]

        return pytest.fixture(name=name)(fixture)

    def rng() -> Iterator[np.random.Generator]:
        with repeatable(seed) as generator:
            yield generator

    plugin = ModuleType("weightdecay_exercise")
    for name in exercise.exports:
        setattr(plugin, name, export(name))
    # Used by every check, so that torch's own numbers can be repeated, too.
    setattr(plugin, "rng", pytest.fixture(autouse=True)(rng))  # noqa: B010 - a module has no such
    return plugin


class _Plugin:
    """Collects what pytest finds."""

    def __init__(
        self, exercise: Exercise, functions: Mapping[str, Any], include_hidden: bool, seed: int
    ) -> None:
        self.exercise, self.functions = exercise, functions
        self.include_hidden, self.seed = include_hidden, seed
        self.results: list[CheckResult] = []
        self.problems: list[str] = []  # the author's
        self.wrong: set[str] = set()  # exports that a failed check used

    def pytest_configure(self, config: pytest.Config) -> None:
        for marker in MARKERS:
            config.addinivalue_line("markers", marker)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(_last_line(report.longreprtext))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if _points(item) is None:
                self.problems.append(f"{item.name}: needs @pytest.mark.points(n), n at least 1")
            if not _claim(item):
                self.problems.append(f"{item.name}: needs a docstring that states its claim")
        if not self.include_hidden:
            items[:] = [i for i in items if i.get_closest_marker("hidden") is None]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.when == "teardown" or (call.when == "setup" and call.excinfo is None):
            return
        outcome: Outcome = "passed"
        message = ""
        if call.excinfo is not None:
            if call.excinfo.errisinstance(pytest.skip.Exception):
                self.problems.append(f"{item.name}: a check does not skip")
            if call.excinfo.errisinstance(pytest.FixtureLookupError):
                used = str(call.excinfo.value.argname)  # type: ignore[attr-defined]
                self.problems.append(f"{item.name}: {used} is no export and no fixture")
            outcome, message = blamed(call.excinfo.value, self.exercise.folder)
        if outcome in ("failed", "raised"):
            self.wrong.update(getattr(item, "fixturenames", ()))
        self.results.append(
            CheckResult(
                item.name,
                _claim(item),
                _points(item) or 0,
                item.get_closest_marker("hidden") is not None,
                outcome,
                message,
            )
        )


def _points(item: pytest.Item) -> int | None:
    marker = item.get_closest_marker("points")
    n = marker.args[0] if marker is not None and marker.args else None
    return n if isinstance(n, int) and n >= 1 else None


def _claim(item: pytest.Item) -> str:
    doc = getattr(item, "function", None).__doc__ or ""
    return " ".join(doc.split("\n\n")[0].split())


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].removeprefix("E").strip() if lines else "nothing was said"


@contextlib.contextmanager
def _no_traces(name: str) -> Iterator[None]:
    """pytest's options in the environment are not read, and checks.py is not left imported."""
    hidden = {k: os.environ.pop(k) for k in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS") if k in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
        for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            del sys.modules[module]
