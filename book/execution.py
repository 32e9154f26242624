"""Runs the chapters that changed, as many at a time as there are cores.

A small Sphinx extension. myst-nb runs one chapter after the other as it reads them, which leaves
all cores but one idle. Before it reads, jupyter-cache runs them side by side; myst-nb then finds
their outputs in the cache. One that fails here is run again by myst-nb, which reports it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from myst_nb.core.read import is_myst_markdown_notebook

READER = {"type": "plugin", "name": "myst_nb_md"}


def _run(app: Any, env: Any, names: list[str]) -> None:
    paths = [Path(env.doc2path(name)) for name in names]
    notebooks = [str(p) for p in paths if is_myst_markdown_notebook(p.read_text("utf-8"))]
    if not notebooks or env.mystnb_config.execution_mode != "cache":
        return
    cache = get_cache(env.mystnb_config.execution_cache_path)
    for path in notebooks:
        cache.add_nb_to_project(path, read_data=READER)
    # Each on one core: threads that wait for each other cost more than they bring.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    quiet = logging.getLogger(__name__)
    quiet.setLevel(logging.ERROR)
    try:
        load_executor("local-parallel", cache, quiet).run_and_cache(
            filter_uris=notebooks, timeout=env.mystnb_config.execution_timeout
        )
    except Exception as error:  # nothing is lost: what is not in the cache, myst-nb runs
        logging.getLogger(f"sphinx.{__name__}").info("chapters run one by one: %s", error)


def setup(app: Any) -> dict[str, bool]:
    # After myst-nb, which has read its own settings by then.
    app.connect("env-before-read-docs", _run, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
