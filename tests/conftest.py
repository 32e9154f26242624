"""What several test files share: a config that trains in a second, and real child processes."""

from __future__ import annotations

import functools
import multiprocessing
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from multiprocessing.context import ForkServerContext
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

from weightdecay.minitrain.config import Config

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The same examples every time: a red test is a change in the code, never luck.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# As in a run: threads that wait for each other on a busy machine cost more than they bring here.
torch.set_num_threads(1)


@pytest.fixture
def tiny() -> Config:
    """60 steps of a small model, evaluated every 10 and saved every 20."""
    return Config.model_validate(
        {
            "seed": 7,
            "model": {"d_model": 16, "n_head": 2, "n_layer": 1, "d_ff": 32},
            "optimizer": {"warmup_steps": 5, "learning_rate": 0.01},
            "training": {
                "steps": 60,
                "batch_size": 8,
                "eval_every": 10,
                "checkpoint_every": 20,
            },
        }
    )


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Starts real processes that can be killed; the package is imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    # torch imports the second one, slowly, at the first step of any optimizer.
    context.set_forkserver_preload(["weightdecay.minitrain.loop", "torch._dynamo"])
    return context


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, which asks nothing of any host by itself and reaches none but this machine."""
    from playwright.sync_api import sync_playwright  # the fast tests need no browser

    executable = shutil.which("chromium")
    assert executable, "no chromium on the PATH"
    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Address of the built book, below a path of its own and on the only host within reach."""
    from tests.built_book import HTML, PREFIX, ROOT, Handler

    if not (HTML / "index.html").exists():
        subprocess.run([str(ROOT / "justw"), "book"], check=True)
    handler = functools.partial(Handler, directory=str(HTML))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()
