"""Inside the sandbox: executes a learner's notebook, then hands its kernel to the checks.

Started by `sandbox`, never by hand. Imports nothing of the course, so that it starts at once and
nothing of the learner's is loaded in it. The first connection to the grader's socket is its own:
one JSON report on the cells. The second comes out of the kernel, from `serve`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from typing import Any

import nbformat
import psutil
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

SHOWN = 1000  # characters of one cell's output or error; the report holds no more
DEATHS = 3  # cells that end the kernel; each is left out and the notebook begins again


def limit(memory: int, file: int, cpu: int) -> None:
    """Bounds that every process below inherits and none can raise."""
    bounds = {resource.RLIMIT_CPU: cpu, resource.RLIMIT_FSIZE: file, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":
        bounds[resource.RLIMIT_DATA] = memory  # private memory; what torch only maps is not in it
    for kind, value in bounds.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def end_with_the_grader() -> None:
    """Standard input is a pipe that the grader holds open; without a sandbox only this ends us."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def shown(cell: Any) -> str:
    """What a cell printed or returned, cut."""
    parts: list[str] = []
    for output in cell.outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain") or ""
        parts.append(str(text)[: SHOWN + 1])
        if sum(map(len, parts)) > SHOWN:
            break
    text = "".join(parts)
    return text if len(text) <= SHOWN else text[:SHOWN] + " … (cut)"


def problem(cell: Any, seconds: float, timeout: int) -> str | None:
    """The last line of a cell's error."""
    for output in cell.outputs:
        if output.output_type == "error":
            if output.ename == "KeyboardInterrupt" and seconds >= timeout:
                return f"ran longer than {timeout} s and was interrupted"
            return f"{output.ename}: {output.evalue}"[:SHOWN]
    return None


def execute(notebook: Any, job: dict[str, Any]) -> tuple[NotebookClient, dict[int, Any]]:
    """Run every cell; one that fails does not keep the others from running."""
    left_out: dict[int, Any] = {}
    error: str | None
    while True:
        manager = AsyncKernelManager(
            kernel_name="python3", transport="ipc", connection_file=job["connection"]
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=job["cell_seconds"],
            interrupt_on_timeout=True,
            allow_errors=True,
            resources={"metadata": {"path": job["cwd"]}},
        )
        client.create_kernel_manager()
        client.start_new_kernel()
        client.start_new_kernel_client()
        report = dict(left_out)
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type != "code" or number in left_out:
                continue
            start = time.monotonic()
            try:
                client.execute_cell(cell, number)
            except (DeadKernelError, CellTimeoutError):
                error = "ended the process it ran in; it was left out and the notebook run again"
                left_out[number] = {"cell": number + 1, "error": error, "output": ""}
                client._cleanup_kernel()
                break
            error = problem(cell, time.monotonic() - start, job["cell_seconds"])
            report[number] = {"cell": number + 1, "error": error, "output": shown(cell)}
        else:
            return client, report
        if len(left_out) > DEATHS:
            return client, left_out


def main() -> None:
    job = json.loads(sys.argv[1])
    end_with_the_grader()
    limit(job["memory"], job["file"], job["cpu_seconds"])
    os.nice(5)  # the grader must get its turn beside a hundred of ours
    grader = socket.socket(socket.AF_UNIX)
    grader.connect(job["socket"])
    notebook = nbformat.read(job["notebook"], as_version=4)
    client, report = execute(notebook, job)
    cells = [report[number] for number in sorted(report)]
    grader.sendall(json.dumps({"cells": cells}).encode())
    grader.close()
    cell = nbformat.v4.new_code_cell(
        "from weightdecay.grading.serve import serve as _serve\n"
        f"_serve(globals(), {job['socket']!r}, {job['exports']!r})"
    )
    client.timeout = None
    client.execute_cell(cell, len(notebook.cells))


if __name__ == "__main__":
    main()
