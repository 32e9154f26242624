"""`just release`: what is in the archive, that it can be made again, and when it is refused."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import time
import tomllib
from pathlib import Path

import pytest
import release

TOP = "weight-decay-measured-9.9.1"


def git(root: Path, *args: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *args], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one exercise, and a file that git is told to leave out."""
    root = tmp_path / "checkout"
    (root / "exercises" / "01-first").mkdir(parents=True)
    (root / "exercises" / "01-first" / "exercise.ipynb").write_text('{"cells": []}')
    (root / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "9.9.1"\n')
    (root / "justw").write_text("#!/bin/sh\n")
    (root / "justw").chmod(0o755)
    (root / ".gitignore").write_text("_build/\n/runs/\n")
    (root / "runs").mkdir()
    (root / "runs" / "mine.csv").write_text("1\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def fake_book(tree: Path) -> Path:
    """A site of two files; it sees what a build from scratch would see."""
    assert not (tree / "_build").exists(), "not from scratch"
    assert not (tree / "runs").exists(), "sees what is not committed"
    html = tree / "_build" / "html"
    (html / "theory").mkdir(parents=True)
    (html / "index.html").write_text("<h1>Weight decay</h1>")
    (html / "theory" / "dose.html").write_text("<h1>Dose</h1>")
    return html


def test_holds_sources_exercises_and_site_and_nothing_else(checkout: Path) -> None:
    archive = release.release(checkout, "v9.9.1", fake_book)
    assert archive == checkout / "_build" / "release" / f"{TOP}.tar.gz"
    with tarfile.open(archive) as tar:
        entries = tar.getmembers()
    names = [entry.name for entry in entries]
    assert names == sorted(names)
    assert [entry.name.removeprefix(f"{TOP}/") for entry in entries if entry.isfile()] == [
        ".gitignore",
        "exercises/01-first/exercise.ipynb",
        "justw",
        "pyproject.toml",
        "site/index.html",
        "site/theory/dose.html",
    ]
    modes = {entry.name: entry.mode for entry in entries}
    assert modes[f"{TOP}/justw"] == 0o755
    assert modes[f"{TOP}/pyproject.toml"] == 0o644
    assert (archive.parent / "site" / "theory" / "dose.html").read_text() == "<h1>Dose</h1>"


def test_made_again_it_is_the_same_to_the_byte(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = release.release(checkout, build=fake_book)
    first = archive.read_bytes()
    archive.unlink()
    previous = os.umask(0o077)  # another reader's habits, another second
    try:
        time.sleep(1.1)
        assert release.release(checkout, build=fake_book).read_bytes() == first
    finally:
        os.umask(previous)


def test_checksums_are_those_that_sha256sum_reads(checkout: Path) -> None:
    archive = release.release(checkout, build=fake_book)
    sums = (archive.parent / "SHA256SUMS").read_text()
    assert sums == f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n"


@pytest.mark.parametrize("name", ["pyproject.toml", "new.txt"])
def test_refuses_what_is_not_committed(checkout: Path, name: str) -> None:
    with (checkout / name).open("a") as file:
        file.write("# changed\n")
    with pytest.raises(release.ReleaseError, match=rf"^1 files? .*\(first: {re.escape(name)}\)"):
        release.release(checkout, build=fake_book)
    assert not (checkout / "_build").exists()


def test_refuses_to_overwrite_an_archive(checkout: Path) -> None:
    archive = release.release(checkout, build=fake_book)
    before = archive.read_bytes()
    with pytest.raises(release.ReleaseError, match=r"9\.9\.1\.tar\.gz exists"):
        release.release(checkout, build=fake_book)
    assert archive.read_bytes() == before


def test_refuses_a_tag_of_another_version(checkout: Path) -> None:
    with pytest.raises(release.ReleaseError, match=r"^v2\.0\.0 was asked for, .* says 9\.9\.1$"):
        release.release(checkout, "v2.0.0", fake_book)


def test_a_book_that_does_not_build_leaves_nothing(checkout: Path) -> None:
    def fails(_: Path) -> Path:
        raise release.ReleaseError("the book does not build")

    with pytest.raises(release.ReleaseError):
        release.release(checkout, build=fails)
    assert not (checkout / "_build").exists()


def test_the_book_is_built_by_its_recipe_with_the_exported_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real `just`, a recipe that only says what it sees; nothing is installed."""
    root, tree = tmp_path / "checkout", tmp_path / "export"
    (root / ".venv").mkdir(parents=True)
    (root / ".venv" / ".installed").write_text("as installed\n")
    tree.mkdir()
    (tree / "justfile").write_text(
        'stamp := "of another place"\n\nbook:\n'
        "    mkdir -p _build/html\n"
        '    printf "%s" "{{ stamp }} $PYTHONPATH" > _build/html/index.html\n'
    )
    monkeypatch.setattr(release, "ROOT", root)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    html = release.build_book(tree)
    assert (html / "index.html").read_text() == f"as installed {tree / 'src'}"

    (tree / ".venv").unlink()
    (tree / "justfile").write_text('stamp := ""\n\nbook:\n    false\n')
    with pytest.raises(release.ReleaseError, match="does not build"):
        release.build_book(tree)


def test_the_stamp_and_the_recipe_that_it_leans_on_exist() -> None:
    justfile = (release.ROOT / "justfile").read_text("utf-8")
    assert re.search(r"^stamp := ", justfile, re.M)
    assert re.search(r"^book.*: _install$", justfile, re.M)
    assert "> .venv/.installed" in justfile


def test_every_file_that_states_the_version_states_the_same() -> None:
    version = tomllib.loads((release.ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "version"
    ]
    assert f"\nversion: {version}\n" in (release.ROOT / "CITATION.cff").read_text("utf-8")


def test_says_in_one_line_why_it_refuses(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "ROOT", checkout)
    monkeypatch.setattr(sys, "argv", ["release.py", "v1.0"])
    assert release.main() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("release: v1.0 ")
    assert captured.err.count("\n") == 1
