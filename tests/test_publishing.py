"""What runs on other machines: the workflows, the devcontainer, Binder.

None of them can run here, so the tests read them: that every command exists, that no job may write
more than it has to, and that whatever installs goes through the pins.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import launch
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHON = PROJECT["requires-python"].removeprefix(">=")  # the oldest that we promise
# What a step may call beside the project's own commands: all of it is on GitHub's machines.
TOOLS = {"cd", "gh", "git", "mkdir", "mv", "rm", "sha256sum", "sudo", "tar"}
# The only permissions to write, and the jobs that have them.
WRITES = {
    ("publish.yml", "pages"): {"pages", "id-token"},
    ("publish.yml", "attach"): {"contents"},
}

workflows = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(path)  # YAML 1.2: `on` is a word
    return loaded


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def commands(script: str) -> list[list[str]]:
    """The commands of a step as lists of words; these scripts quote no operator."""
    parts = re.split(r"&&|\|\||[;|()\n]", script)
    return [part.split() for part in parts if part.strip()]


def recipes() -> set[str]:
    just = str(Path(sys.executable).with_name("just"))
    dump = [just, "--justfile", str(ROOT / "justfile"), "--dump", "--dump-format", "json"]
    out = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    return set(json.loads(out)["recipes"])


def unknown(script: str, known: set[str]) -> list[str]:
    """Commands that a fresh machine would not find."""
    missing = []
    for words in commands(script):
        if words[0] == "./justw":
            if len(words) < 2 or words[1] not in known:
                missing.append(" ".join(words))
        elif words[0].startswith((".", "/")) or "/" in words[0]:
            if not os.access(ROOT / words[0], os.X_OK):
                missing.append(words[0])
        elif words[0] not in TOOLS:
            missing.append(words[0])
    return missing


def test_the_four_workflows_are_there() -> None:
    assert {p.name for p in WORKFLOWS} == {"ci.yml", "links.yml", "publish.yml", "weekly.yml"}


def test_a_command_that_does_not_exist_is_found() -> None:
    script = "./justw links && ./justw lnks\n.ci/run\n.ci/rum; make all\n(cd x && ./justw)"
    assert unknown(script, {"links"}) == ["./justw lnks", ".ci/rum", "make", "./justw"]


@workflows
def test_every_command_exists(path: Path) -> None:
    scripts = [step["run"] for step in steps(load(path)) if "run" in step]
    assert scripts
    known = recipes()
    assert [line for script in scripts for line in unknown(script, known)] == []


@workflows
def test_permissions_are_stated_and_the_least(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        given = job.get("permissions", {})
        assert set(given.values()) <= {"read", "write"}
        writes = {scope for scope, right in given.items() if right == "write"}
        assert writes == WRITES.get((path.name, name), set()), f"{path.name}: {name}"
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, path.name


@workflows
def test_actions_are_pinned_to_a_major_version_and_known(path: Path) -> None:
    for step in steps(load(path)):
        assert ("uses" in step) != ("run" in step), step
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step["uses"]
    for job in load(path)["jobs"].values():
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file(), job["uses"]


@workflows
def test_runs_do_not_pile_up(path: Path) -> None:
    workflow = load(path)
    assert workflow["concurrency"]["group"]
    # A publication that is half done is left to finish; anything else gives way to the newer run.
    assert workflow["concurrency"]["cancel-in-progress"] is (path.name != "publish.yml")
    for job in workflow["jobs"].values():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 180


@workflows
def test_the_python_is_the_oldest_that_we_promise(path: Path) -> None:
    for step in steps(load(path)):
        if step.get("uses", "").startswith("actions/setup-python@"):
            assert step["with"]["python-version"] == PYTHON
            for name in step["with"].get("cache-dependency-path", "").split():
                assert (ROOT / name).is_file(), name


def test_each_workflow_runs_when_it_should() -> None:
    on = {path.name: load(path)["on"] for path in WORKFLOWS}
    assert on["ci.yml"]["push"] == {"branches": ["**"]}
    assert {"pull_request", "workflow_call"} <= set(on["ci.yml"])
    assert {"schedule", "workflow_dispatch"} == set(on["weekly.yml"]) == set(on["links.yml"])
    assert on["publish.yml"] == {"push": {"tags": ["v*"]}}


def test_weekly_starts_from_nothing() -> None:
    weekly = load(ROOT / ".github" / "workflows" / "weekly.yml")
    assert weekly["env"]["PIP_NO_CACHE_DIR"] == "1"
    (when,) = weekly["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", when["cron"])  # a day of the week
    assert [".ci/run"] in [commands(step["run"])[0] for step in steps(weekly) if "run" in step]
    for step in steps(weekly):
        assert not step.get("uses", "").startswith("actions/cache@")
        assert "cache" not in step.get("with", {})


def test_nothing_is_published_that_did_not_pass_every_check() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "publish.yml")["jobs"]
    assert jobs["check"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["build"]["needs"] == "check"
    assert jobs["pages"]["needs"] == jobs["attach"]["needs"] == "build"
    ci = steps(load(ROOT / ".github" / "workflows" / "ci.yml"))
    assert [".ci/run"] in [commands(step["run"])[0] for step in ci if "run" in step]


def test_publishes_what_the_release_writes() -> None:
    """The folders in publish.yml are those of tools/release.py."""
    publish = steps(load(ROOT / ".github" / "workflows" / "publish.yml"))
    paths = [p for s in publish if "upload" in s.get("uses", "") for p in s["with"]["path"].split()]
    made = "_build/release"
    assert paths == [f"{made}/site", f"{made}/*.tar.gz", f"{made}/SHA256SUMS"]
    source = (ROOT / "tools" / "release.py").read_text("utf-8")
    assert '"_build" / "release" / f"{NAME}-{version}.tar.gz"' in source
    assert 'archive.parent / "site"' in source
    assert 'archive.parent / "SHA256SUMS"' in source


def test_a_release_puts_course_and_notebooks_on_the_branch_that_binder_and_colab_open(
    tmp_path: Path,
) -> None:
    jobs = load(ROOT / ".github" / "workflows" / "publish.yml")["jobs"]
    (script,) = [s["run"] for s in jobs["attach"]["steps"] if "git push" in s.get("run", "")]
    for name in ("README.md", "site/index.html", "site/notebooks/theory/dose.ipynb", ".github/x"):
        path = tmp_path / "made" / "course-1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "made" / "course-1" / ".gitignore").write_text("*.ipynb\n")
    (tmp_path / "release").mkdir()
    with tarfile.open(tmp_path / "release" / "course-1.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "course-1", "course-1")
    bare = tmp_path / "github.git"
    subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
    env = {
        **os.environ,
        "GH_TOKEN": "t",
        "GITHUB_REPOSITORY": "owner/course",
        "GITHUB_REF_NAME": "v1",
        "GIT_CONFIG_COUNT": "1",  # what goes to GitHub goes to the folder
        "GIT_CONFIG_KEY_0": f"url.{bare}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://x-access-token:t@github.com/owner/course",
    }
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=env, check=True, timeout=120)
    show = ["git", "-C", str(bare), "ls-tree", "-r", "--name-only", launch.BRANCH]
    there = subprocess.run(show, capture_output=True, text=True, check=True).stdout.split()
    assert there == [".gitignore", "README.md", f"{launch.FOLDER}/theory/dose.ipynb"]


def test_the_devcontainer_installs_what_ci_does_through_the_pins() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert container["image"].startswith(f"python:{PYTHON}-")
    create = container["postCreateCommand"]
    assert unknown(create.replace("apt-get", "sudo apt-get"), recipes()) == []
    assert create.endswith("./justw _install")  # constraints.txt: see test_commands
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    needed = re.findall(r"missing\+=\(([a-z0-9-]+)\)", ci)
    assert {"chromium", "bubblewrap"} <= set(needed)
    for package in set(needed) - {"python3-venv"}:  # part of the image's own Python
        assert re.search(rf"\binstall\b.* {package}\b", create), package
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"].endswith("/.venv/bin/python")


def test_binder_installs_through_the_pins_and_nothing_else(tmp_path: Path) -> None:
    assert (ROOT / "binder" / "runtime.txt").read_text() == f"python-{PYTHON}\n"
    script = ROOT / "binder" / "postBuild"
    assert script.stat().st_mode & stat.S_IXUSR
    stand_in, log = tmp_path / "python", tmp_path / "calls"
    stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{log}"\n')
    stand_in.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([script], cwd=ROOT, env=env, check=True, timeout=60)
    install, first_import = log.read_text().splitlines()
    assert install.startswith("-m pip install ")
    assert "--constraint constraints.txt" in install
    assert (ROOT / "constraints.txt").is_file()
    extras = re.fullmatch(r".* --editable \.\[([a-z,]+)\]", install)
    assert extras
    assert set(extras.group(1).split(",")) == {"book", "exercises"}
    assert {"book", "exercises"} <= set(PROJECT["optional-dependencies"])
    assert first_import.startswith("-c import ")


def test_what_binder_installs_is_all_that_a_notebook_imports() -> None:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["book"], *extras["exercises"]]
    named = {canonicalize_name(Requirement(line).name) for line in lines}
    homes = packages_distributions()
    importing = re.compile(r"^(?:import|from) (\w+)", re.M)
    chapters = (ROOT / "book").rglob("*.md")
    imported = {
        (module, path.relative_to(ROOT).as_posix())
        for path in [*chapters, *(ROOT / "exercises").glob("*/source.md")]
        for cell in re.findall(r"```\{code-cell\}.*?\n(.*?)```", path.read_text("utf-8"), re.S)
        for module in importing.findall(cell)
    }
    assert len(imported) > 20, "the notebooks' cells are not found"
    for module, path in sorted(imported):
        if module in sys.stdlib_module_names or module in {"weightdecay", "__future__"}:
            continue
        homes_of_it = {canonicalize_name(name) for name in homes.get(module, [])}
        assert homes_of_it & named, f"{path} imports {module}"
