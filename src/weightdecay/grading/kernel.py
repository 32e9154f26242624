"""Runs a notebook in a fresh kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from weightdecay.runs import RunError


def execute(
    notebook: Any,
    folder: Path,
    environment: Mapping[str, str],
    *,
    allow_errors: bool,
    timeout: int | None = None,
) -> None:
    """Run every code cell in `folder`; outputs go into the notebook.

    Args:
        notebook: nbformat's; changed in place.
        folder: Working directory.
        environment: Added to this process's own.
        allow_errors: Whether to go on after a cell that raises.
        timeout: Seconds a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: for the first cell that raises, unless allowed.
        nbclient.exceptions.CellTimeoutError: for a cell that takes longer.
    """
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        allow_errors=allow_errors,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    # What the kernel itself logs is of no use here; what cells print comes as output.
    client.execute(env={**os.environ, **environment}, stderr=subprocess.DEVNULL)


def read_notebook(path: Path) -> Any:
    """Read a notebook, in nbformat's present version.

    Raises:
        RunError: if it is missing or not a notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from e
    except Exception as e:  # nbformat lets the errors of JSON, schema and encoding through
        raise RunError(f"{path}: not a notebook: {type(e).__name__}") from e
