"""`just update-constraints`: what it changes in the file, what it keeps, and what it says."""

from __future__ import annotations

import tomllib
from itertools import chain
from pathlib import Path

import pins
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OLD = """\
# Every install goes through this file.
# alpha stays below 2.
alpha==1.0
# beta is needed by the grader.
Beta_Two==2.0  # not 2.1
gamma==3.0
"""


def test_new_versions_go_in_and_every_comment_stays() -> None:
    fresh = {"alpha": "1.5", "beta-two": "2.0", "Delta": "4.0+cpu"}
    text, changes = pins.refresh(OLD, fresh)
    assert text == (
        "# Every install goes through this file.\n"
        "# alpha stays below 2.\n"
        "alpha==1.5\n"
        "# beta is needed by the grader.\n"
        "Beta_Two==2.0  # not 2.1\n"
        "Delta==4.0\n"
    )
    assert changes == ["changed alpha 1.0 -> 1.5", "added   Delta 4.0", "removed gamma 3.0"]


def test_the_project_s_own_file_comes_back_as_it_is() -> None:
    text = (pins.ROOT / "constraints.txt").read_text("utf-8")
    _, old = pins.parse(text)
    assert pins.refresh(text, {pin.name: pin.version for pin in old.values()}) == (text, [])


def test_every_package_that_pyproject_names_is_pinned() -> None:
    _, pinned = pins.parse((pins.ROOT / "constraints.txt").read_text("utf-8"))
    project = tomllib.loads((pins.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    for line in [*project["dependencies"], *chain(*extras), *pins.BESIDE]:
        wanted = Requirement(line)
        pin = pinned.get(canonicalize_name(wanted.name))
        assert pin, f"{wanted.name} is not in constraints.txt"
        assert wanted.specifier.contains(pin.version), f"{pin.line} is not {line}"


def test_writes_what_the_resolver_found_and_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text(OLD)
    changes = pins.update(tmp_path, lambda _: {"alpha": "1.0", "beta-two": "2.0", "gamma": "3.1"})
    assert changes == ["changed gamma 3.0 -> 3.1"]
    assert path.read_text() == OLD.replace("gamma==3.0", "gamma==3.1")
    assert [p.name for p in tmp_path.iterdir()] == ["constraints.txt"]


def test_leaves_the_file_alone_where_nothing_differs(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text(OLD)
    before = path.stat()
    assert (
        pins.update(tmp_path, lambda _: {"alpha": "1.0", "beta-two": "2.0", "gamma": "3.0"}) == []
    )
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


def test_a_resolver_that_fails_changes_nothing(tmp_path: Path) -> None:
    def fails(_: Path) -> dict[str, str]:
        raise pins.PinError("no")

    (tmp_path / "constraints.txt").write_text(OLD)
    with pytest.raises(pins.PinError):
        pins.update(tmp_path, fails)
    assert (tmp_path / "constraints.txt").read_text() == OLD


def test_a_line_that_is_no_pin_is_named() -> None:
    with pytest.raises(pins.PinError, match="line 2: 'beta>=1' is no pin"):
        pins.parse("alpha==1\nbeta>=1\n")


def test_another_python_than_the_oldest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nrequires-python = ">=3.11"\n')
    monkeypatch.setattr("sys.version_info", (3, 13, 0))
    with pytest.raises(pins.PinError, match=r"this is Python 3\.13; .* Python 3\.11$"):
        pins.resolve(tmp_path)


def test_reads_what_pip_reports_without_the_project_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "my-course"\nrequires-python = ">=3.11"\n'
        "[project.optional-dependencies]\nbook = []\ntest = []\n"
    )
    monkeypatch.setattr("sys.version_info", (3, 11, 9))
    called: list[list[str]] = []

    class Done:
        returncode = 0

    def pip(command: list[str], *, check: bool) -> Done:
        called.append(command)
        names = [("My_Course", "0.1"), ("alpha", "1.5")]
        entries = ",".join(f'{{"metadata": {{"name": "{n}", "version": "{v}"}}}}' for n, v in names)
        Path(command[command.index("--report") + 1]).write_text(f'{{"install": [{entries}]}}')
        return Done()

    monkeypatch.setattr("subprocess.run", pip)
    assert pins.resolve(tmp_path) == {"alpha": "1.5"}
    (command,) = called
    assert {"--dry-run", "--ignore-installed"} < set(command)
    assert command[-2:] == [f"{tmp_path}[book,test]", "rust-just"]
    assert "--constraint" not in command  # fresh, not held by the old pins
