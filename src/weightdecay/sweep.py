"""Many runs of one experiment: ``just sweep experiments/NAME``.

`weightdecay.plan` says which runs, `train` trains those that are missing in parallel processes of
one thread each, and `weightdecay.results` makes the table that the book quotes.
"""

from __future__ import annotations

import fcntl
import functools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from joblib.parallel import BACKENDS
from tqdm import tqdm

from weightdecay import runs
from weightdecay.plan import Job, Row, Task
from weightdecay.runs import RunError

__all__ = ["Row", "Task", "train"]

PROCESSES = "loky"  # the engine whose workers are children of this process


@contextmanager
def _workers(lock: Path, *, shared: bool) -> Iterator[None]:
    """Held shared by each worker at work; who gets it alone knows that there is none."""
    with lock.open("w") as f:
        fcntl.flock(f, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@functools.cache
def _end_with(parent_pid: int) -> None:
    """End this worker when the process that started it is gone."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(task: Task, job: Job, lock: Path, parent_pid: int | None) -> str | None:
    """Train one job in a worker; what went wrong, if anything."""
    is_child = parent_pid not in (None, os.getpid())  # one worker at a time, or threads: is itself
    if parent_pid is not None and is_child:
        _end_with(parent_pid)
    with _workers(lock, shared=True):
        # Asked with the lock in hand: a new command that found no worker meets none afterwards.
        if is_child and os.getppid() != parent_pid:
            os._exit(1)
        if (job.directory / runs.RESULTS).exists():  # another sweep has trained it meanwhile
            return None
        try:
            task.train(job.config, job.directory)
        except Exception as e:  # whatever it is, the other runs go on
            return f"{job.name}: {type(e).__name__}: {' '.join(str(e).split())}"
    return None


def _engine(name: str) -> AbstractContextManager[None]:
    """Of the calls of joblib inside: this backend. It has to give results one by one."""
    # Given here and not to `Parallel`, which lets the environment overrule it.
    threads = {"inner_max_num_threads": 1} if name == PROCESSES else {}
    able = [key for key, kind in BACKENDS.items() if kind.supports_return_generator]
    try:
        if name in BACKENDS and name not in able:
            raise ValueError
        context: AbstractContextManager[None] = parallel_config(name, **threads)
    except ValueError:
        raise RunError(f"engine = {name}; accepted: {', '.join(able)}") from None
    return context


def train(
    todo: Sequence[Job],
    task: Task,
    name: str,
    *,
    workers: int | None = None,
    engine: str = PROCESSES,
) -> tuple[int, float]:
    """Train the jobs that are not finished, one thread each; how many, and in how many seconds.

    One command at a time may train the sweep called `name`. A killed one loses what its runs did
    since their last checkpoints. `engine` is a backend of joblib: ``loky`` for processes here, or
    one that a cluster registers.

    Raises:
        RunError: naming every run that failed, after the others have ended.
    """
    if workers is not None and workers < 1:
        raise RunError(f"workers = {workers}; accepted: 1 or more")
    missing = [job for job in todo if not (job.directory / runs.RESULTS).exists()]
    if not missing:
        return 0, 0.0
    start = time.perf_counter()
    state = missing[0].directory.parent / f".{name}"
    state.mkdir(parents=True, exist_ok=True)
    lock = state / "workers"
    failures = []
    with runs.locked(state), _engine(engine):
        with _workers(lock, shared=False):  # those of a killed sweep are gone
            pass
        parallel = Parallel(
            n_jobs=workers or os.cpu_count() or 1, return_as="generator_unordered", batch_size=1
        )
        parent_pid = os.getpid() if engine == PROCESSES else None
        results = parallel(delayed(_work)(task, job, lock, parent_pid) for job in missing)
        done = len(todo) - len(missing)
        # disable=None: no bar in a log
        with tqdm(total=len(todo), initial=done, unit="run", disable=None) as bar:
            try:
                for error in results:
                    failures += [error] if error else []
                    bar.set_postfix(failed=len(failures), refresh=False)
                    bar.update()
            except BrokenExecutor:
                failures.append(
                    "a worker was killed from outside, often for want of memory; the same command "
                    "goes on, --workers 1 takes less"
                )
    if failures:
        raise RunError("\n  ".join([f"{len(failures)} of {len(missing)} runs failed:", *failures]))
    return len(missing), time.perf_counter() - start
