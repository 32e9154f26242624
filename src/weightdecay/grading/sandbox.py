"""Where a learner's code runs: a bubblewrap sandbox with limits, or without one, limits alone.

Inside, there is the Python that grades, the course's library and results (read-only), what the
exercise gives to its learners, and an empty folder that goes when the process goes. There is no
network, and nothing else of this machine: no checks, no other submission, no home.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from weightdecay.grading.load import Exercise

PACKAGE = Path(__file__).resolve().parents[1]
EXPERIMENTS = PACKAGE.parents[1] / "experiments"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
SCRATCH = 256 << 20  # bytes in each of the two folders that can be written
INSTALL = "install bubblewrap (Debian, Ubuntu, Fedora: package `bubblewrap`), or pass --no-sandbox"


@dataclass(frozen=True)
class Limits:
    """What one submission may use."""

    cell_seconds: int = 30
    notebook_seconds: int = 120
    call_seconds: float = 10
    """One call of one exported function."""
    checks_seconds: float = 90
    """All checks of one submission."""
    memory: int = 2 << 30
    """Bytes of private memory."""
    file: int = 64 << 20
    """Bytes of the largest file."""
    processes: int = 64


@dataclass(frozen=True)
class Place:
    """The folders of one submission: `job` is the grader's, `seen` is shown read-only inside."""

    job: Path
    exercise: Exercise
    hidden: tuple[Path, ...]
    isolated: bool

    @property
    def seen(self) -> Path:
        """Notebook, socket, and the temporary files that checks make; the same path inside."""
        return self.job / "seen"

    @property
    def course(self) -> Path:
        """The course as the learner's process finds it."""
        return Path("/course") if self.isolated else self.job / "course"

    @property
    def cwd(self) -> Path:
        return self.course / "exercises" / self.exercise.id

    @property
    def scratch(self) -> Path:
        """Home and temporary folder."""
        return Path("/tmp") if self.isolated else self.job / "home"

    def environment(self) -> dict[str, str]:
        """All that is set inside."""
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        names = ("HOME", "TMPDIR", "JUPYTER_RUNTIME_DIR")
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return {
            **dict.fromkeys(names, str(self.scratch)),
            **dict.fromkeys(threads, "1"),
            "PATH": path,
            "PYTHONPATH": str(self.course / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "USER": "learner",
            "LANG": "C.UTF-8",
            "MPLBACKEND": "agg",
            "WEIGHTDECAY_GRADING": "1",
        }


def materials(exercise: Exercise) -> Iterator[Path]:
    """What an exercise's notebook may read: the folders beside its source."""
    for path in sorted(exercise.folder.iterdir()):
        if path.is_dir() and path.name[0] not in "._":
            yield path


def bubblewrap(place: Place) -> list[str]:
    """The command line up to the program to run."""
    python = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1]}
    shown = {p: p for p in [Path(p) for p in (*SYSTEM, *SYSTEM_FILES)] if p.exists()}
    shown |= {p: p for p in python if p != Path("/")}
    shown |= {place.course / "src" / "weightdecay": PACKAGE, place.seen: place.seen}
    if EXPERIMENTS.is_dir():
        shown[place.course / "experiments"] = EXPERIMENTS
    shown |= {place.cwd / p.name: p for p in materials(place.exercise)}
    # Outer folders first: a hidden one may lie in a shown one, and a shown one in that.
    steps: dict[Path, list[str]] = {
        p: ["--tmpfs", str(p)] for p in place.hidden if any(p.is_relative_to(s) for s in shown)
    }
    steps |= {p: ["--size", str(SCRATCH), "--tmpfs", str(p)] for p in (place.scratch, place.cwd)}
    steps |= {inside: ["--ro-bind", str(here), str(inside)] for inside, here in shown.items()}
    return [
        "bwrap",
        *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--proc", "/proc", "--dev", "/dev", "--size", str(SCRATCH), "--tmpfs", "/dev/shm"),
        *("--remount-ro", "/dev"),
        *(word for p in sorted(steps, key=lambda p: len(p.parts)) for word in steps[p]),
        *("--remount-ro", "/", "--chdir", str(place.cwd)),
    ]


def missing(place: Place) -> str | None:
    """Why there can be no sandbox here, in one line; None if there can."""
    if shutil.which("bwrap") is None:
        return f"there is no `bwrap` on the PATH, so submissions cannot be shut in; {INSTALL}"
    done = subprocess.run(
        [*bubblewrap(place), sys.executable, "-I", "-S", "-c", ""],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        return f"`bwrap` cannot make a sandbox here ({said}); {INSTALL}"
    return None


def furnish(place: Place) -> None:
    """Make the folders; without a sandbox also the copy of the course that stands in for it."""
    (place.seen / "tmp").mkdir(parents=True)
    if place.isolated:
        return
    place.scratch.mkdir()
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, place.course / "src" / "weightdecay", ignore=without)
    place.cwd.mkdir(parents=True)
    for path in materials(place.exercise):
        shutil.copytree(path, place.cwd / path.name)
    if EXPERIMENTS.is_dir():
        (place.course / "experiments").symlink_to(EXPERIMENTS)


class Worker:
    """A running sandbox, watched: too much memory or too many processes end it."""

    def __init__(self, place: Place, limits: Limits, exports: Sequence[str]) -> None:
        job = {
            "socket": str(place.seen / "grader.sock"),
            "notebook": str(place.seen / "notebook.ipynb"),
            "connection": str(place.scratch / "kernel.json"),
            "cwd": str(place.cwd),
            "exports": list(exports),
            "cell_seconds": limits.cell_seconds,
            "cpu_seconds": int(limits.notebook_seconds + limits.checks_seconds),
            "memory": limits.memory,
            "file": limits.file,
        }
        runner = place.course / "src" / "weightdecay" / "grading" / "runner.py"
        inside = bubblewrap(place) if place.isolated else []
        self.ended_by: str | None = None
        self.limits = limits
        self.process = subprocess.Popen(
            [*inside, sys.executable, "-P", str(runner), json.dumps(job)],
            stdin=subprocess.PIPE,  # held open: it closes when the grader ends, however it ends
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=None if place.isolated else place.cwd,
            env=place.environment(),
            start_new_session=True,
        )
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        # A process may hold `memory`; all of them that, and what the interpreter and torch map.
        most = self.limits.memory + (1 << 29)
        while not self._over.wait(0.1):
            memory, count = 0, 0
            for process in self._tree():
                with suppress(psutil.Error):
                    memory += process.memory_info().rss
                    count += 1
            if memory > most:
                size = f"{self.limits.memory / 2**30:g} GiB of memory"
                self.ended_by = f"used more than {size} in {count} processes"
            elif count > self.limits.processes:
                self.ended_by = f"started more than {self.limits.processes} processes"
            if self.ended_by:
                self._kill()
                return

    def _tree(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def _kill(self) -> None:
        tree = self._tree()
        for process in tree:  # the sandbox itself comes first and takes the others with it
            with suppress(psutil.Error):
                process.kill()

    def close(self) -> None:
        """End everything in it."""
        self._over.set()
        self._kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None
