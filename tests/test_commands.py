"""`justw` and the recipes: what they install and when, and that arguments arrive as given.

No test installs anything: a stand-in for Python writes down what it was called with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
JUST = ROOT / ".venv" / "bin" / "just"
GROUPS = {
    "break lab (phase 18)", "hysteresis", "plasticity", "experiments", "exercises", "book",
    "checks", "publishing",
}  # fmt: skip
SETTINGS = {"seed", "weight_decay", "out", "accelerate"}  # that go in front of a command

# One line per call, as a JSON list, so that spaces and quotes inside an argument stay visible.
# FAIL in the environment makes a call fail.
STAND_IN = """#!{python} -IS
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(int(os.environ.get("FAIL", "0")))
"""


class Checkout:
    """A copy of the command files with a stand-in for the environment's Python."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "calls.jsonl"
        for name in ("justfile", "justw", "pyproject.toml", "constraints.txt"):
            shutil.copy2(ROOT / name, root / name)
        binaries = root / ".venv" / "bin"
        binaries.mkdir(parents=True)
        python = binaries / "python"
        base = Path(sys.executable).resolve()  # not in an environment: starts faster
        python.write_text(STAND_IN.format(python=base, log=str(self.log)))
        python.chmod(0o755)
        (binaries / "just").symlink_to(JUST)

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if k not in SETTINGS}
        return subprocess.run(
            ["sh", str(self.root / "justw"), *args],
            cwd=self.root.parent,  # the commands work from anywhere
            env={**kept, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        """What the stand-in was called with since the last time of asking."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "a copy"  # the space is part of the test
    root.mkdir()
    return Checkout(root)


@pytest.fixture
def installed(checkout: Checkout) -> Checkout:
    checkout.run("corpus")
    checkout.calls()
    return checkout


def recipes() -> dict[str, dict[str, object]]:
    dump = subprocess.run(
        [JUST, "--justfile", ROOT / "justfile", "--dump", "--dump-format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, object]] = json.loads(dump.stdout)["recipes"]
    return {name: recipe for name, recipe in found.items() if not recipe["private"]}


def test_scripts_are_valid_shell() -> None:
    subprocess.run(["sh", "-n", ROOT / "justw"], check=True)
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
    for script in (ROOT / "justw", ROOT / ".ci" / "run"):
        assert os.access(script, os.X_OK), f"{script.name} cannot be executed"


def test_just_alone_lists_every_recipe_in_its_group(checkout: Checkout) -> None:
    listing = checkout.run().stdout
    for name, recipe in recipes().items():
        doc = str(recipe["doc"])
        assert re.search(rf"^ +{name}\b.*# {re.escape(doc)}$", listing, re.M), name
    assert set(re.findall(r"^ +\[(.+)\]$", listing, re.M)) == GROUPS
    assert "_install" not in listing


def test_readme_names_every_recipe() -> None:
    table = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "README.md").read_text(), re.M)
    assert sorted(table) == sorted(recipes())


def test_a_warning_fails_the_book(installed: Checkout) -> None:
    installed.run("book")
    (build,) = installed.calls()
    words = " ".join(build)
    assert words.endswith("build book -W --keep-going -n")
    config = (ROOT / "_config.yml").read_text("utf-8")
    assert "raise_on_error: true" in config


def test_installs_once(checkout: Checkout) -> None:
    first = checkout.run("corpus")
    install, corpus = checkout.calls()
    assert install[:3] == ["-m", "pip", "install"]
    assert install[install.index("--constraint") + 1] == "constraints.txt"
    assert corpus == ["-m", "weightdecay", "corpus"]
    assert first.stdout.count("\n") == 1
    assert first.stdout.startswith("Installing ")

    second = checkout.run("corpus")
    assert checkout.calls() == [corpus]
    assert second.stdout == ""


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_installs_again_when_it_matters(installed: Checkout, name: str) -> None:
    with (installed.root / name).open("a") as file:
        file.write("# changed\n")
    assert installed.run("corpus").stdout.startswith("Installing ")
    assert len(installed.calls()) == 2


def test_installs_again_after_a_move(installed: Checkout, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    installed.root.rename(moved)
    installed.root = moved
    assert installed.run("corpus").stdout.startswith("Installing ")


def test_failed_install_is_tried_again(checkout: Checkout) -> None:
    failed = checkout.run("corpus", FAIL="3")
    assert failed.returncode != 0
    assert [call[:2] for call in checkout.calls()] == [["-m", "pip"]], (
        "went on without its packages"
    )
    checkout.run("corpus")
    assert [call[:2] for call in checkout.calls()] == [["-m", "pip"], ["-m", "weightdecay"]]


def test_train_takes_its_settings_from_the_environment(installed: Checkout) -> None:
    installed.run("phase-18-train")
    defaults = ["-m", "weightdecay", "train", "--seed", "42", "--weight-decay", "0.1"]
    assert installed.calls() == [defaults]

    installed.run("phase-18-train", "--force", seed="7", weight_decay="0.0", out="my runs/it's one")
    settings = ["--seed", "7", "--weight-decay", "0.0", "--out", "my runs/it's one", "--force"]
    assert installed.calls() == [[*defaults[:3], *settings]]


def test_a_setting_is_never_run_as_a_command(installed: Checkout) -> None:
    installed.run("phase-18-train", seed="$(touch hacked)", out="; touch hacked")
    ((*_, seed, _, _, _, out),) = installed.calls()
    assert (seed, out) == ("$(touch hacked)", "; touch hacked")
    assert not (installed.root / "hacked").exists()


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        ("phase-18-compare", "compare"),
        ("phase-18-diagnose", "diagnose"),
        ("phase-18-reference", "reference"),
        ("hysteresis", "hysteresis"),
        ("hysteresis-scan", "hysteresis-scan"),
        ("plasticity", "plasticity"),
        ("plasticity-full", "plasticity-full"),
    ],
)
def test_arguments_arrive_as_given(installed: Checkout, recipe: str, command: str) -> None:
    given = ["experiments/18 control", "a'b", 'c"d', "$HOME", "*"]
    installed.run(recipe, *given)
    assert installed.calls() == [["-m", "weightdecay", command, *given]]


def test_a_release_is_told_the_version_that_is_wanted(installed: Checkout) -> None:
    installed.run("release", "v1.0 final")
    installed.run("release")
    assert installed.calls() == [["tools/release.py", "v1.0 final"], ["tools/release.py"]]


def test_scale_is_launched_with_the_file_that_the_environment_names(installed: Checkout) -> None:
    given = ["experiments/a b.yaml", "--weight-decay", "1.0"]
    launch = ["-m", "accelerate.commands.accelerate_cli", "launch"]
    module = ["-m", "weightdecay.plasticity.scale", *given]
    installed.run("plasticity-scale", *given)
    assert installed.calls() == [[*launch, *module]]
    installed.run("plasticity-scale", *given, accelerate="my files/fsdp.yaml")
    assert installed.calls() == [[*launch, "--config_file", "my files/fsdp.yaml", *module]]


def test_test_without_chromium_says_what_it_leaves_out(installed: Checkout) -> None:
    bare = installed.root / "bare"
    bare.mkdir()
    for tool in ("sh", "cat", "dirname", "env"):
        (bare / tool).symlink_to(str(shutil.which(tool)))
    result = installed.run("test", PATH=str(bare))
    assert "LEFT OUT" in result.stdout, result
    tests = [call for call in installed.calls() if "--nbval-lax" not in call]
    assert len(tests) == 2
    assert all("not browser" in call[-1] for call in tests)


@pytest.mark.parametrize("version", ["3.10", "3.9", "2.7"])
def test_old_python_is_refused_in_one_line(checkout: Checkout, version: str) -> None:
    shutil.rmtree(checkout.root / ".venv")
    old = checkout.root / "python-old"
    old.write_text(f"#!/bin/sh\necho {version}\n")
    old.chmod(0o755)
    result = checkout.run("corpus", PYTHON=str(old))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "3.11" in result.stderr
    assert version in result.stderr


def test_missing_python_is_named_in_one_line(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".venv")
    result = checkout.run("corpus", PYTHON="no-such-python")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "'no-such-python' is missing" in result.stderr
