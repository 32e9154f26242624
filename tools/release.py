"""Make the archive of a release: ``just release``, or ``just release v1.2.0`` to insist on it.

What is committed is exported into an empty folder and the book is built there, with nothing cached
and nothing that git does not know. The archive holds the sources, exercises included, and the built
site in ``site/``; names are sorted and every time is that of the commit, so that the same commit
and site give the same bytes. ``_build/release/`` gets the archive, ``SHA256SUMS`` and the site.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

from weightdecay.runs import atomic_path, write_text

ROOT = Path(__file__).resolve().parent.parent
NAME = "weight-decay-measured"


class ReleaseError(Exception):
    """One line for the reader."""


def git(root: Path, *args: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *args], check=True, capture_output=True).stdout


def check(root: Path, wanted: str | None) -> Path:
    """Where the archive goes; an error if it must not be made."""
    version = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    if wanted is not None and wanted.removeprefix("v") != version:
        raise ReleaseError(f"{wanted} was asked for, but pyproject.toml says {version}")
    archive = root / "_build" / "release" / f"{NAME}-{version}.tar.gz"
    if archive.exists():
        raise ReleaseError(f"{archive.relative_to(root)} exists; raise the version, or remove it")
    changed = git(root, "status", "--porcelain").decode().splitlines()
    if changed:
        raise ReleaseError(
            f"{len(changed)} files differ from the last commit (first: {changed[0][3:]}); "
            "a release holds what is committed"
        )
    return archive


def build_book(tree: Path) -> Path:
    """Build the book in an export, by the recipe `book`, with the environment of this checkout."""
    (tree / ".venv").symlink_to(ROOT / ".venv")
    installed = (ROOT / ".venv" / ".installed").read_text("utf-8").strip()
    just = ["just", "--justfile", str(tree / "justfile"), "--set", "stamp", installed, "book"]
    # The environment has this checkout's package; the export's goes before it.
    env = {**os.environ, "PYTHONPATH": str(tree / "src")}
    if subprocess.run(just, cwd=tree, env=env, check=False).returncode:
        raise ReleaseError("the book does not build from scratch; nothing was written")
    return tree / "_build" / "html"


def pack(tree: Path, inside: str, archive: Path, mtime: int) -> None:
    """Write a folder, named `inside` there, so that only names, contents and the one time count."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = mtime
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=mtime) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(tree.rglob("*")):
            name = f"{inside}/{path.relative_to(tree).as_posix()}"
            tar.add(path, arcname=name, recursive=False, filter=plain)


def checksums(folder: Path) -> str:
    """As `sha256sum` writes them: `sha256sum --check SHA256SUMS` reads it."""
    archives = sorted(folder.glob("*.tar.gz"))
    return "".join(f"{hashlib.sha256(a.read_bytes()).hexdigest()}  {a.name}\n" for a in archives)


def release(
    root: Path, wanted: str | None = None, build: Callable[[Path], Path] = build_book
) -> Path:
    """Export, build, pack; the archive."""
    archive = check(root, wanted)
    commit_time = int(git(root, "log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory() as folder:
        work, packed = Path(folder) / "build", Path(folder) / "packed"
        for tree in (work, packed):
            with tarfile.open(fileobj=io.BytesIO(git(root, "archive", "HEAD"))) as tar:
                tar.extractall(tree, filter="data")
        shutil.copytree(build(work), packed / "site")
        archive.parent.mkdir(parents=True, exist_ok=True)
        site = archive.parent / "site"
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(packed / "site", site)
        with atomic_path(archive) as temporary:
            pack(packed, archive.name.removesuffix(".tar.gz"), temporary, commit_time)
    write_text(archive.parent / "SHA256SUMS", checksums(archive.parent))
    return archive


def main() -> int:
    parser = argparse.ArgumentParser(prog="just release", description="Make a release's archive.")
    parser.add_argument("version", nargs="?", help="refuse unless this is pyproject.toml's version")
    try:
        archive = release(ROOT, parser.parse_args().version)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print((archive.parent / "SHA256SUMS").read_text("utf-8"), end="")
    print(f"The archive: {archive}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
