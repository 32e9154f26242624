"""The grader's side of a submission: starts its worker, and functions that call into it.

The functions look like the learner's to a check, but run in another process; only plain data comes
back. One that does not return or ends its process is not called again, and the worker is started
anew for the others.
"""

from __future__ import annotations

import builtins
import json
import pickle
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from weightdecay.grading import wire
from weightdecay.grading.sandbox import Limits, Place, Worker
from weightdecay.grading.serve import LONGEST, RAISED, RETURNED
from weightdecay.runs import Json, RunError

REPORT = 1 << 20  # bytes of the report on the cells
START_SECONDS = 60.0  # until the worker runs, on a busy machine


class LostError(Exception):
    """The worker is gone or does not answer; the message says why."""


def learners_error(name: str, text: str) -> Exception:
    """The exception as a learner would have seen it; made here, from its name and its text."""
    kind = getattr(builtins, name, None)
    known = isinstance(kind, type) and issubclass(kind, Exception)
    if not isinstance(kind, type) or not known or kind is AssertionError:
        kind = Exception  # an assert in a learner's function is no failed check
    title = name if name.isidentifier() else "Error"
    try:
        error: Exception = type(title, (kind,), {"__str__": lambda _: text})(text)
    except TypeError:  # UnicodeDecodeError and its like want more than a text
        error = type(title, (Exception,), {})(text)
    return error


class Learner:
    """One submission being graded; a context manager."""

    def __init__(self, place: Place, limits: Limits, exports: Sequence[str]) -> None:
        self.place, self.limits, self.exports = place, limits, exports
        self.cells: list[Json] = []
        self.deadline = 0.0
        self._lost: dict[str, str] = {}
        self._worker: Worker | None = None
        self._connection: socket.socket | None = None
        path = place.seen / "grader.sock"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(8)

    def __enter__(self) -> Learner:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._listening.close()

    def _stop(self) -> None:
        if self._connection:
            self._connection.close()
        if self._worker:
            self._worker.close()
        self._connection = self._worker = None

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Run the notebook; every exported function that is there afterwards.

        Raises:
            LostError: if the notebook could not be run to its end.
        """
        report, found = self._start()
        self.cells = report
        self.deadline = time.monotonic() + self.limits.checks_seconds
        return {name: self._proxy(name) for name in self.exports if name in found}

    def _start(self) -> tuple[list[Json], list[str]]:
        self._worker = Worker(self.place, self.limits, self.exports)
        try:
            runner = self._accept(time.monotonic() + START_SECONDS)
            cells = self._read_report(runner, time.monotonic() + self.limits.notebook_seconds)
            self._connection = self._accept(time.monotonic() + START_SECONDS)
            hello, _ = wire.receive(self._connection, time.monotonic() + START_SECONDS)
            return cells, [str(name) for name in json.loads(hello)]
        except (OSError, EOFError) as e:
            why = self._why("the notebook ended the process it ran in")
            raise LostError(why) from e
        except (ValueError, TypeError, KeyError, RecursionError, wire.BrokenMessageError) as e:
            raise LostError("the notebook kept the grader from reaching its functions") from e
        finally:
            if self._connection is None:
                self._stop()

    def _why(self, otherwise: str) -> str:
        """What ended the worker."""
        time.sleep(0.2)  # the watch may be about to say
        return (self._worker.ended_by if self._worker else None) or otherwise

    def _accept(self, deadline: float) -> socket.socket:
        self._listening.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                return self._listening.accept()[0]
            except TimeoutError:
                if self._worker and not self._worker.alive:
                    raise EOFError("the worker is gone") from None
        raise LostError("the process did not come up in time")

    def _read_report(self, runner: socket.socket, deadline: float) -> list[Json]:
        """The runner's report; the learner could have forged it, so it only informs."""
        text = bytearray()
        with runner:
            while len(text) <= REPORT:
                runner.settimeout(max(deadline - time.monotonic(), 1e-3))
                try:
                    got = runner.recv(1 << 16)
                except TimeoutError:
                    seconds = self.limits.notebook_seconds
                    raise LostError(f"the notebook ran longer than {seconds:g} s") from None
                if not got:
                    break
                text += got
        if not text.endswith(b"}"):
            raise EOFError("the runner is gone")
        return [
            {
                "cell": int(c["cell"]),
                "error": None if c["error"] is None else clean(c["error"]),
                "output": clean(c["output"]),
            }
            for c in json.loads(text)["cells"]
        ]

    def _proxy(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, args, kwargs)

        call.__name__ = call.__qualname__ = name
        return call

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in self._lost:
            raise RuntimeError(f"{name} was not called again: it {self._lost[name]}")
        now = time.monotonic()
        if now > self.deadline:
            raise TimeoutError(f"the checks ran longer than {self.limits.checks_seconds:g} s")
        try:
            request = pickle.dumps((name, args, kwargs))
        except Exception as e:
            raise RunError(f"{name}: a check passes what cannot be pickled: {e}") from e
        if self._connection is None:
            try:
                self._start()
            except LostError as e:
                raise RuntimeError(f"{name} was not called: {e}") from None
        assert self._connection is not None
        deadline = min(time.monotonic() + self.limits.call_seconds, self.deadline)
        try:
            self._connection.settimeout(max(deadline - time.monotonic(), 1e-3))
            wire.send(self._connection, request)
            structure, data = wire.receive(self._connection, deadline)
        except TimeoutError:
            self._lose(name, f"did not return within {self.limits.call_seconds:g} s")
        except (OSError, EOFError, wire.BrokenMessageError):
            self._lose(name, self._why("ended the process it ran in"))
        return self._answer(name, structure, data)

    def _lose(self, name: str, why: str) -> None:
        self._lost[name] = why
        self._stop()
        raise TimeoutError(f"{name} {why}") if "return" in why else RuntimeError(f"{name} {why}")

    def _answer(self, name: str, structure: bytes, data: bytes) -> Any:
        kind, rest = structure[:1], structure[1:]
        try:
            value = wire.unpack(rest, data) if kind == RETURNED else json.loads(rest)
            if kind == RAISED:
                error, text = clean(value["raised"])[:80], clean(value["text"])[:LONGEST]
                missing = bool(value["not_implemented"])
        except (wire.BrokenMessageError, ValueError, TypeError, KeyError, RecursionError):
            raise TypeError(f"{name} returned something that is not {wire.PLAIN}") from None
        if kind == RETURNED:
            return value
        raise NotImplementedError(text) if missing else learners_error(error, text)


def clean(text: object) -> str:
    """Untrusted text that any file can hold: no half surrogate pairs, no control characters."""
    whole = str(text).encode("utf-8", "replace").decode("utf-8")
    return "".join(c for c in whole if c.isprintable() or c in "\n\t")[: 4 * LONGEST]
