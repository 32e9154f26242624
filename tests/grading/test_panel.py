"""The panel in a real JupyterLab: a learner gets it wrong, reads three hints and gets it right."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.grading import tiny
from weightdecay.grading import build
from weightdecay.grading.load import load

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOKEN = "only-for-this-test"
PATIENCE = 120_000  # ms; a kernel that imports torch on a busy machine
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'
WRONG = """def shrink(w, lr, lam):
    return (1 - lam) * w

def which():
    return "<img src=x alt=injected>"
"""
RIGHT = """def shrink(w, lr, lam):
    return (1 - lr * lam) * w

def which():
    return "decoupled"
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of the notebook in a JupyterLab that knows nothing of this machine's settings."""
    monkeypatch.setenv("WEIGHTDECAY_EXERCISES", str(tmp_path / "exercises"))
    monkeypatch.setenv("WEIGHTDECAY_PROGRESS", str(tmp_path / "progress.json"))
    tiny.write(tmp_path / "exercises")
    build.restore(load(1))
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(NO_NEWS)
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
                *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={tmp_path}"),
            ],
            env={**os.environ, **{k: str(tmp_path / v) for k, v in folders.items()}},
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/status?token={TOKEN}", server)
        notebook = f"exercises/{tiny.ID}/exercise.ipynb"
        yield f"http://127.0.0.1:{port}/lab/tree/{notebook}?token={TOKEN}"
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        assert server.poll() is None, "JupyterLab ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, "JupyterLab does not answer"
            time.sleep(0.5)


def write_cell(page: Page, code: str) -> None:
    """Put the code into the cell of the stub, as if typed, and run it."""
    page.locator(".jp-CodeCell").nth(2).locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(code)  # all at once: the editor then indents nothing itself
    page.keyboard.press("Shift+Enter")


def press(button: Locator) -> None:
    """By keyboard alone; the focus stays on the button."""
    button.focus()
    button.press("Enter")
    expect(button).to_be_focused()


def test_wrong_answer_symptom_three_hints_right_answer_score(lab: str, tmp_path: Path) -> None:
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1800})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(lab)
        page.locator(".jp-CodeCell").nth(3).wait_for()
        # JupyterLab runs nothing, and says nothing, if it is asked before the kernel answers.
        page.get_by_role("button", name="Python 3 (ipykernel) | Idle").wait_for()

        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        last = page.locator(".jp-CodeCell").nth(3).locator(".jp-Cell-outputArea")
        expect(last).to_contain_text("not attempted: one step leaves")
        names = ("Check", "Hint", "Solution", "Progress")
        check, hint, solution, progress = (last.get_by_role("button", name=n) for n in names)
        answer = last.get_by_role("alert")

        write_cell(page, WRONG)
        press(check)
        expect(answer).to_contain_text("Symptom: Your decay is not multiplied by")
        expect(answer).to_contain_text("<img src=x alt=injected>")  # as text, and as nothing else
        assert page.locator("img[alt=injected]").count() == 0
        press(solution)
        expect(answer).to_contain_text("give_up=True")

        for number, text in enumerate(["mild help", "medium help", "direct help"], 1):
            press(hint)
            expect(answer).to_contain_text(f"Hint {number} of 3. {text}")
            assert answer.inner_text().count("Hint ") == number

        write_cell(page, RIGHT)
        press(check)
        expect(answer).to_contain_text("4 of 4 points. All passed.")
        press(solution)
        expect(answer).to_contain_text("return (1 - lr * lam) * w")
        press(progress)
        expect(answer).to_contain_text("Score: 4 of 4 points, 1 of 1 exercises passed.")
        browser.close()
    kept = json.loads((tmp_path / "progress.json").read_text())["exercises"][tiny.ID]
    assert (kept["passed"], kept["hints"], kept["surrendered"]) == (True, {"no-lr": 3}, False)
